"""``sweep.html``: how the points rank, the metric over each key that varies, and the runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..datasets.html import Report
from ..trainers.analysis.compare import group_runs, read_run
from ..trainers.analysis.comparison import add_comparison, add_features, add_keypoints
from .config import SweepConfig
from .insight import importance, pareto
from .plots import draw_curves_of_settings, draw_front, draw_importance, draw_parallel
from .ranking import label, rows, spread
from .sensitivity import add_sensitivity, is_number, numeric_keys, scale
from .space import Point
from .sweep import SweepResult


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
        points = {s.name: label(s.point) if len(s.point) < 3 else f"rank {s.rank}" for s in result.standings}
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
        values = {float(point[key]) for point in points if is_number(point[key])}
        if len(values) > 1 and scale(values) in ("log", "symlog"):
            found.append(key)
    return found
