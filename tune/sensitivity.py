"""The metric over one key of a sweep: lines where the other keys are held, dots where all were drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..datasets.html import Report
from ..trainers.analysis.compare import band
from ..trainers.analysis.figures import draw_bands
from .config import SweepConfig
from .ledger import Report as Measurement
from .ledger import Setting
from .plots import MANY, draw_dots
from .ranking import label, spread
from .sweep import Outcome, SweepResult

SOURCE_FRAMES = "data.source_frames"
FURTHER = ("source/AP",)  # panels beside the sweep's own metric
SPREAD = 20  # largest over smallest value from which an axis is logarithmic


@dataclass(frozen=True)
class Figure:
    """One metric of one run: at which value of the key, beside which others, and at which rung it was measured."""

    metric: str
    setting: str
    x: float
    others: str
    where: str
    value: float


def add_sensitivity(page: Report, config: SweepConfig, result: SweepResult, key: str) -> None:
    """The metric over one key, mean ± deviation over seeds.

    A line, with a dot a run, for each value of the other keys; a dot a setting where these were drawn, too. Under ASHA each
    rung stands by itself: figures of one compare. Over ``data.source_frames`` it is the learning curve in the number of
    synthetic frames, at equal steps.
    """
    figures = list(_figures(config, result, key))
    values = {figure.x for figure in figures}
    if len(values) < 2:
        return
    counts = key == SOURCE_FRAMES
    name = "synthetic frames" if counts else key
    page.heading("How many synthetic frames does it take?" if counts else f"Sensitivity to {key}")
    if (config.search != "grid" or config.scheduler.kind == "pbt") and len(config.space) > 1:
        ticks = sorted(values) if isinstance(config.space[key], list) and len(values) <= MANY else []
        page.image(_dots(figures, name, scale(values), ticks), f"over {name}; a dot a setting, all other keys vary too")
    else:
        page.image(_lines(figures, name, values), f"over {name}; a dot a run")


def _figures(config: SweepConfig, result: SweepResult, key: str) -> Iterator[Figure]:
    rungs = {s.name: s.reports if config.scheduler.kind == "asha" else [] for s in result.settings}
    for metric in dict.fromkeys((config.metric, *FURTHER)):
        for outcome in result.outcomes:
            x, others = place(outcome, key), label({k: v for k, v in outcome.point.items() if k != key})
            for where, value in measured(outcome, rungs[outcome.setting], config.metric, metric):
                if x is not None:
                    yield Figure(metric, outcome.setting, x, others, where, value)


def _lines(figures: Sequence[Figure], name: str, values: set[float]) -> bytes:
    series: dict[str, dict[str, list[tuple[list[float], list[float]]]]] = {}
    for figure in figures:
        title = ", ".join(filter(None, (figure.others, figure.where))) or figure.metric
        series.setdefault(figure.metric, {}).setdefault(title, []).append(([figure.x], [figure.value]))
    panels = {
        metric: {title: band(found, dots=True) for title, found in lines.items()} for metric, lines in series.items()
    }
    ticks = sorted(values) if len(values) <= MANY else []
    return draw_bands(panels, name, scale=scale(values), ticks=ticks)


def _dots(figures: Sequence[Figure], name: str, scaled: str, ticks: Sequence[float]) -> bytes:
    found: dict[tuple[str, str, str, float], list[float]] = {}
    for figure in figures:
        found.setdefault((figure.metric, figure.where, figure.setting, figure.x), []).append(figure.value)
    panels: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    for (metric, where, _, x), values in found.items():
        mean, sd = spread(values)
        panels.setdefault(metric, {}).setdefault(where, []).append((x, mean or 0.0, sd or 0.0))
    return draw_dots(panels, name, scaled, ticks)


def measured(outcome: Outcome, rungs: Sequence[Measurement], ranked: str, metric: str) -> Iterator[tuple[str, float]]:
    """A run's figures, each with the rung where it was measured, or with none; on the way only ``ranked`` was noted."""
    if rungs and metric == ranked:
        yield from (
            (f"at {rung.progress:.0%}", rung.seeds[outcome.seed]) for rung in rungs if outcome.seed in rung.seeds
        )
    elif metric in (outcome.metrics or {}):
        yield f"at {rungs[-1].progress:.0%}" if rungs else "", (outcome.metrics or {})[metric]


def numeric_keys(config: SweepConfig, settings: Sequence[Setting]) -> list[str]:
    """Keys of the space that take at least two numbers (null, all of the source's frames, is one)."""
    found = []
    for key in config.space:
        points = [setting.newest_point for setting in settings]
        values = {point[key] for point in points if is_number(point[key]) or key == SOURCE_FRAMES}
        if len(values) > 1:
            found.append(key)
    return found


def place(outcome: Outcome, key: str) -> float | None:
    """Where a trial lies on the axis of a key; the source's frames as they were counted, whatever share was asked for."""
    value: Any = (outcome.metrics or {}).get("source_frames") if key == SOURCE_FRAMES else outcome.point[key]
    return float(value) if is_number(value) else None


def scale(values: set[float]) -> str:
    """Of an axis: logarithmic where values differ by factors, with a linear piece about 0."""
    positive = [value for value in values if value > 0]
    if min(values) < 0 or not positive:
        return "linear"
    if 0 in values:
        return "symlog" if max(positive) / min(positive) > SPREAD else "linear"
    return "log" if max(positive) / min(positive) > math.sqrt(SPREAD) else "linear"


def is_number(value: Any) -> bool:
    """Whether a key's value has a place on an axis: a bool has none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
