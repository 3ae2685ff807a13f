"""``pipeline.html``: the graph, what each step took and found, why it ran, its command, and links to its reports."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...datasets.html import Report
from .children import typed
from .drawing import Box, draw_graph
from .state import Outcome, Result, short

COLOURS = {
    "made": ("#e7f5ec", "#2b8a3e"),
    "unchanged": ("#eef3f8", "#5b6875"),
    "failed": ("#fdecea", "#c92a2a"),
    "left out": ("#fff4e6", "#d9480f"),
}
NEUTRAL = ("#ffffff", "#adb5bd")


def rows(result: Result) -> list[tuple[str, str, float | str | None, str]]:
    """Step, state, seconds of making it, and its figures or why it failed."""
    return [
        (name, outcome.state, None if outcome.seconds is None else f"{outcome.seconds:.1f}", _what(outcome))
        for name, outcome in result.outcomes.items()
    ]


def _what(outcome: Outcome) -> str:
    return "; ".join(outcome.reasons) if outcome.state in ("failed", "left out") else short(outcome.facts)


def write_page(result: Result) -> Path:
    """Write the page into the pipeline's folder."""
    out = result.plan.pipeline.out
    states = [outcome.state for outcome in result.outcomes.values()]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    page = Report(f"Pipeline {out.name}", " · ".join(f"{count} {state}" for state, count in counts.items()))
    for name, outcome in result.outcomes.items():
        if outcome.state in ("failed", "left out"):
            log = result.plan.steps[name].product.log
            page.text(f"{name} {outcome.state}: {'; '.join(outcome.reasons)}" + _log(outcome, log), warn=True)
    page.parts.append(draw_graph(_boxes(result)))
    page.heading("Steps")
    table = [_row(result, name) for name in result.outcomes]
    header = ("step", "verb", "state", "seconds", "figures", "why it ran")
    columns = len(header) if any(row[-1] for row in table) else len(header) - 1
    page.table(header[:columns], [row[:columns] for row in table])
    page.text(f"Seconds are those of making a product, whenever that was; together {_total(result):.0f}.")
    _evaluations(page, result)
    page.heading("Reports")
    page.parts.append(_links(result))
    page.heading("Commands")
    page.code("\n".join(typed(result.plan.words(name)) for name in result.plan.steps))
    page.heading("Pipeline")
    page.code(result.plan.pipeline.text)
    return page.write(out / "pipeline.html")


def _log(outcome: Outcome, log: Path) -> str:
    return f" (log: {log})" if outcome.state == "failed" else ""


def _row(result: Result, name: str) -> tuple[Any, ...]:
    outcome, step = result.outcomes[name], result.plan.steps[name]
    why = "; ".join(outcome.reasons) if outcome.state in ("made", "failed", "left out") else ""
    seconds = None if outcome.seconds is None else f"{outcome.seconds:.1f}"
    return name, step.config.verb, outcome.state, seconds, short(outcome.facts), why


def _total(result: Result) -> float:
    return sum(outcome.seconds or 0.0 for outcome in result.outcomes.values())


def _boxes(result: Result) -> list[Box]:
    boxes = []
    for name, step in result.plan.steps.items():
        outcome = result.outcomes[name]
        took = "" if outcome.seconds is None else f" · {outcome.seconds:.0f} s"
        fill, line = COLOURS.get(outcome.state, NEUTRAL)
        boxes.append(Box(name, step.config.verb, f"{outcome.state}{took}", step.needs, fill, line))
    return boxes


def _evaluations(page: Report, result: Result) -> None:
    """Figures of all evaluations, with their baselines, in one table."""
    found = {
        name: outcome.facts
        for name, outcome in result.outcomes.items()
        if result.plan.steps[name].config.verb == "evaluate" and outcome.facts
    }
    if found:
        columns = list(dict.fromkeys(key for facts in found.values() for key in facts))
        page.heading("Evaluations")
        page.table(
            ("step", *columns),
            [(name, *(facts.get(key) for key in columns)) for name, facts in found.items()],
            best=(1,),
        )


def _links(result: Result) -> str:
    """Reports, pictures and logs of each step, relative to the page."""
    items = []
    for name, step in result.plan.steps.items():
        folder = step.product.folder
        files = [path for pattern in step.verb.page for path in sorted(folder.glob(pattern))]
        files += [path for path in (step.product.log, folder) if path.exists()]
        if files:
            items.append(f"<dt>{html.escape(name)}</dt><dd>{_anchors(files, step.product.out)}</dd>")
    return f"<dl>{''.join(items)}</dl>"


def _anchors(files: Sequence[Path], out: Path) -> str:
    places = [Path(os.path.relpath(file, out)).as_posix() for file in files]
    return " · ".join(f'<a href="{html.escape(place)}">{html.escape(place)}</a>' for place in places)
