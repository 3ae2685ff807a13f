"""``sweep.html``: how the points rank, the metric over each key that varies, and the runs side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..datasets.html import Report
from ..trainers.analysis.compare import band, group_runs, read_run
from ..trainers.analysis.comparison import add_comparison, add_features, add_keypoints
from ..trainers.analysis.figures import Band, draw_bands
from .config import SweepConfig
from .insight import importance, pareto
from .ledger import Report as Measurement
from .ledger import Setting
from .plots import draw_curves_of_settings, draw_front, draw_importance, draw_parallel
from .ranking import label, rows, spread
from .space import Point
from .sweep import Outcome, SweepResult

SOURCE_FRAMES = "data.source_frames"
FURTHER = ("source/AP",)  # panels beside the sweep's own metric
SPREAD = 20  # largest over smallest value from which an axis is logarithmic


def write_sweep_report(config: SweepConfig, result: SweepResult) -> Path:
    """Write ``<sweep>/sweep.html`` from what the trials left so far."""
    count = len(result.outcomes)
    finished = sum(outcome.status == "finished" for outcome in result.outcomes)
    page = Report(f"sim2pose sweep “{config.folder.name}”", f"{config.train} · {finished} of {count} trials finished")
    page.heading("Ranking")
    page.text(result.verdict)
    against = "to control" if any(s.to_control for s in result.standings) else "to best"
    page.table(("rank", "point", config.metric, "seeds", against), rows(result.standings, len(config.seeds)))
    page.text("Mean ± sample deviation over seeds; differences seed by seed; * not told from the best.")
    for outcome in result.failed:
        page.text(f"Failed: {outcome.name}: {outcome.note}", warn=True)
    for key in numeric_keys(config, result.settings):
        add_sensitivity(page, config, result, key)
    add_front(page, config, result)
    add_settings(page, config, result)
    runs = [read_run(o.run_dir) for o in result.outcomes if (o.run_dir / "config.yaml").is_file()]
    if runs:
        groups = group_runs(runs)
        add_comparison(page, groups)
        add_features(page, groups, 200)
        add_keypoints(page, groups)
    return page.write(config.folder / "sweep.html")


def add_front(page: Report, config: SweepConfig, result: SweepResult) -> None:
    """The metric against each further objective, and which settings no other one beats in both."""
    for other in config.objectives:
        both = (config.metric, other)
        means: dict[str, tuple[float, float]] = {}
        spreads: dict[str, tuple[float, float]] = {}
        for standing in result.standings:
            runs = [o.metrics or {} for o in result.outcomes if o.setting == standing.name]
            if standing.rank is not None and all(metric in run for run in runs for metric in both):
                (x, dx), (y, dy) = (spread([run[metric] for run in runs]) for metric in both)
                means[standing.name], spreads[standing.name] = (x or 0.0, y or 0.0), (dx or 0.0, dy or 0.0)
        if len(means) < 2:
            continue
        front = pareto(means, config.mode)
        points = {standing.name: label(standing.point) for standing in result.standings}
        page.heading(f"{config.metric} against {other}")
        picture = draw_front(means, spreads, front, points, both)
        page.image(picture, "Means and deviations over seeds; blue: no other setting is as good in both.")


def add_settings(page: Report, config: SweepConfig, result: SweepResult) -> None:
    """Parallel coordinates, importance of the keys, and curves over the steps where settings were measured on the way."""
    ranked = [s for s in result.standings if s.rank is not None]
    points, means = [s.point for s in ranked], [s.mean or 0.0 for s in ranked]
    if len(ranked) > 1:
        page.heading("Parallel coordinates")
        page.image(
            draw_parallel(points, means, logarithmic_keys(points), config.metric), "A line a setting, at its mean."
        )
    shares = importance(points, means, config.space)
    if shares:
        page.heading("Which keys matter")
        page.image(draw_importance(shares), f"fANOVA over {len(points)} finished settings; each key by itself.")
    curves = {s.name: s.reports for s in result.settings if s.reports}
    if any(len(reports) > 1 for reports in curves.values()):
        page.heading("On the way")
        stopped = {s.name for s in result.settings if s.ended == "stopped"}
        best = ranked[0].name if ranked else None
        page.image(draw_curves_of_settings(curves, best, stopped, config.metric), "Means over seeds; a line a setting.")


def logarithmic_keys(points: Sequence[Point]) -> list[str]:
    """Keys whose values differ by factors."""
    found = []
    for key in points[0]:
        values = {float(point[key]) for point in points if _is_number(point[key])}
        if len(values) > 1 and scale(values) in ("log", "symlog"):
            found.append(key)
    return found


def numeric_keys(config: SweepConfig, settings: Sequence[Setting]) -> list[str]:
    """Keys of the space that take at least two numbers (null, all of the source's frames, is one)."""
    found = []
    for key in config.space:
        points = [setting.newest_point for setting in settings]
        values = {point[key] for point in points if _is_number(point[key]) or key == SOURCE_FRAMES}
        if len(values) > 1:
            found.append(key)
    return found


def add_sensitivity(page: Report, config: SweepConfig, result: SweepResult, key: str) -> None:
    """The metric over one key, mean ± deviation over seeds with a dot a run; a line for each value of the other keys.

    Under ASHA a line for each rung, too: figures of one compare. Over ``data.source_frames`` it is the learning curve in the
    number of synthetic frames, at equal steps.
    """
    panels: dict[str, dict[str, Band]] = {}
    ticks: set[float] = set()
    reports = {s.name: s.reports if config.scheduler.kind == "asha" else [] for s in result.settings}
    for metric in dict.fromkeys((config.metric, *FURTHER)):
        series: dict[str, list[tuple[list[float], list[float]]]] = {}
        for outcome in result.outcomes:
            x, others = place(outcome, key), label({k: v for k, v in outcome.point.items() if k != key})
            for where, value in measured(outcome, reports[outcome.setting], config.metric, metric):
                if x is not None:
                    name = ", ".join(filter(None, (others, where))) or metric
                    series.setdefault(name, []).append(([x], [value]))
                    ticks.add(x)
        if series:
            panels[metric] = {name: band(found, dots=True) for name, found in series.items()}
    if len(ticks) < 2:
        return
    counts = key == SOURCE_FRAMES
    page.heading("How many synthetic frames does it take?" if counts else f"Sensitivity to {key}")
    name = "synthetic frames" if counts else key
    page.image(draw_bands(panels, name, scale=scale(ticks), ticks=sorted(ticks)), f"over {name}; a dot a run")


def measured(outcome: Outcome, rungs: Sequence[Measurement], ranked: str, metric: str) -> Iterator[tuple[str, float]]:
    """A run's figures, each with the rung where it was measured, or with none; on the way only ``ranked`` was noted."""
    if rungs and metric == ranked:
        yield from (
            (f"at {rung.progress:.0%}", rung.seeds[outcome.seed]) for rung in rungs if outcome.seed in rung.seeds
        )
    elif metric in (outcome.metrics or {}):
        yield f"at {rungs[-1].progress:.0%}" if rungs else "", (outcome.metrics or {})[metric]


def place(outcome: Outcome, key: str) -> float | None:
    """Where a trial lies on the axis of a key; the source's frames as they were counted, whatever share was asked for."""
    value: Any = (outcome.metrics or {}).get("source_frames") if key == SOURCE_FRAMES else outcome.point[key]
    return float(value) if _is_number(value) else None


def scale(values: set[float]) -> str:
    """Of an axis: logarithmic where values differ by factors, with a linear piece about 0."""
    positive = [value for value in values if value > 0]
    if min(values) < 0 or not positive:
        return "linear"
    if 0 in values:
        return "symlog" if max(positive) / min(positive) > SPREAD else "linear"
    return "log" if max(positive) / min(positive) > math.sqrt(SPREAD) else "linear"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
