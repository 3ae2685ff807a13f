"""Metrics for dashboards: nothing without Ray; once it is there, what is given. ``tests/cluster/test_live.py`` scrapes them."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from sim2pose.render_farm.farm import gauges


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What Ray's metric objects are told, in a process that uses Ray."""
    told: list[tuple[Any, ...]] = []

    def made(metric: gauges.Metric) -> SimpleNamespace:
        def tell(value: float, labels: dict[str, str]) -> None:
            told.append((metric, value, labels))

        return SimpleNamespace(inc=tell) if metric.counts else SimpleNamespace(set=tell)

    monkeypatch.setattr(gauges, "_made", made)
    monkeypatch.setattr(gauges, "_in_cluster", lambda: True)
    return told


def test_without_ray_nothing_is_done_and_nothing_imported() -> None:
    code = (
        "import sys; from sim2pose.render_farm.farm import gauges\n"
        "gauges.record(gauges.QUEUE, 1, 'x'); gauges.record_training('x', 1, {}); print('ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_counters_add_and_gauges_set(given: list[tuple[Any, ...]]) -> None:
    gauges.record(gauges.FRAMES, 32, "/frames")
    gauges.record(gauges.QUARANTINED, 0, "/frames")
    gauges.record(gauges.QUEUE, 0, "/frames")
    assert given == [(gauges.FRAMES, 32, {"folder": "/frames"}), (gauges.QUEUE, 0, {"folder": "/frames"})]


def test_a_log_line_of_training_gives_its_figures(given: list[tuple[Any, ...]]) -> None:
    line = {"samples_per_second": 500.0, "data_wait": 0.02, "loss_pose": 0.5, "loss_domain": 0.7, "lr_pose": 1e-3}
    gauges.record_training("first", 50, {f"train/{name}": value for name, value in line.items()})
    assert given == [
        (gauges.STEP, 50, {"run": "first"}),
        (gauges.RATE, 500.0, {"run": "first"}),
        (gauges.WAIT, 0.02, {"run": "first"}),
        (gauges.LOSS, 0.5, {"run": "first", "network": "pose"}),
        (gauges.LOSS, 0.7, {"run": "first", "network": "domain"}),
    ]


def test_names_differ_and_are_what_prometheus_takes() -> None:
    names = [metric.series for metric in gauges.METRICS]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() and name.startswith("ray_sim2pose_") for name in names)
