"""The dashboard asks for metrics that the code exports, all of them, and by their labels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sim2pose.render_farm.farm import gauges

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "cluster" / "grafana" / "sim2pose.json").read_text(encoding="utf-8")
)
EXPORTED = {metric.series: metric for metric in gauges.METRICS}
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}


def asked(query: str) -> list[str]:
    return re.findall(r"\bray_\w+", query)


def test_every_metric_is_drawn_and_nothing_else_is_asked_for() -> None:
    assert {name for query in QUERIES for name in asked(query)} == set(EXPORTED)
    of_lists = {name for each in VARIABLES.values() for name in asked(json.dumps(each["query"]))}
    assert of_lists <= set(EXPORTED)


@pytest.mark.parametrize("query", QUERIES)
def test_queries_suit_the_kind_and_labels_of_their_metric(query: str) -> None:
    (name,) = asked(query)
    metric = EXPORTED[name]
    assert f'{{{metric.label}=~"${metric.label}"}}' in query, "the list at the top chooses among its label's values"
    (by,) = re.findall(r" by \(([^)]*)\)", query)
    assert by.split(", ") == [label for label in (metric.label, metric.part) if label]
    if not metric.counts:  # Ray shows a value for two report intervals, and training gives it once in log_every steps
        assert "last_over_time(" in query
        assert "rate(" not in query


def test_panels_lie_beside_each_other_and_legends_name_labels() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells and at["x"] + at["w"] <= 24, panel["title"]
        cells |= own
        for target in panel.get("targets", []):
            labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert labels <= {"folder", "run", "network"}
    used = set(re.findall(r"\$(\w+)", json.dumps(DASHBOARD["panels"]))) - {"__rate_interval"}
    assert used <= set(VARIABLES)
