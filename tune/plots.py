"""Pictures of a sweep, as PNG bytes: parallel coordinates, importance, curves, the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trainers.analysis.figures import dress_panel, new_figure, palette, png
from .ledger import Report
from .space import Point

COLORS = "viridis"
SOFT, STRONG = "#b9c2cc", "#0b6bcb"
MANY = 12  # values of an axis up to which each is named


def draw_parallel(points: Sequence[Point], values: Sequence[float], logarithmic: Sequence[str], metric: str) -> bytes:
    """Parallel coordinates: a line a setting through its value of each key, to its mean metric, which colours it.

    Args:
        points: at least two, with the same keys.
        values: mean metric of each.
        logarithmic: keys whose axis is logarithmic.
        metric: its name.
    """
    import matplotlib as mpl

    keys = list(points[0])
    figure = new_figure(1.6 + 1.9 * (len(keys) + 1), 4.4)
    axis = figure.subplots()
    places = [_axis([point[key] for point in points], key in logarithmic) for key in keys]
    places.append(_axis(list(values), False))
    low, high = min(values), max(values)
    colors = mpl.colormaps[COLORS]
    for i in np.argsort(values):
        shade = (values[i] - low) / ((high - low) or 1.0)
        heights = [place[0][i] for place in places]
        axis.plot(
            range(len(places)), heights, color=colors(shade * 0.92), lw=1.0 + 1.4 * shade, alpha=0.45 + 0.5 * shade
        )
    for x, (name, (_, ticks)) in enumerate(zip([*keys, metric], places, strict=True)):
        axis.axvline(x, color="#5b6875", lw=0.8, zorder=0)
        for height, text in ticks:
            axis.text(x + 0.03, height, text, fontsize=8, va="center", ha="left", zorder=5,
                      bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.8})  # fmt: skip
        axis.text(x, 1.07, name, fontsize=9, ha="center", va="bottom", rotation=0, weight="bold")
    axis.set(xlim=(-0.35, len(places) - 0.55), ylim=(-0.05, 1.16))
    axis.axis("off")
    return png(figure)


def _axis(values: Sequence[Any], logarithmic: bool) -> tuple[list[float], list[tuple[float, str]]]:
    """Height in [0, 1] of each value, and the axis's (height, text) ticks. Values that are no numbers are set out evenly."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    distinct = list(dict.fromkeys(values)) if not numbers else sorted(set(values))
    positive = [v for v in distinct if numbers and v > 0]
    if numbers and len(distinct) > 1 and not (logarithmic and len(positive) < 2):
        # zero stands a step below the smallest positive value of a logarithmic axis
        floor = math.log10(positive[0]) - 0.7 if positive else 0.0
        scaled = {v: _scaled(v, logarithmic, floor) for v in distinct}
        low, high = min(scaled.values()), max(scaled.values())
        height = {v: (s - low) / (high - low) for v, s in scaled.items()}
    else:
        height = {v: i / max(len(distinct) - 1, 1) if len(distinct) > 1 else 0.5 for i, v in enumerate(distinct)}
    if numbers and len(distinct) > MANY:
        named = [distinct[i] for i in np.linspace(0, len(distinct) - 1, 5).round().astype(int)]
    else:
        named = distinct
    shown: list[tuple[float, str]] = []
    for value in sorted(named, key=lambda v: height[v]):
        if not shown or height[value] - shown[-1][0] > 0.045:
            shown.append((height[value], f"{value:.4g}" if numbers else str(value)))
    return [height[v] for v in values], shown


def _scaled(value: float, logarithmic: bool, floor: float) -> float:
    if not logarithmic:
        return float(value)
    return math.log10(value) if value > 0 else floor


def draw_importance(importance: Mapping[str, float]) -> bytes:
    """Bars, the most important key on top."""
    figure = new_figure(6.4, 0.8 + 0.38 * len(importance))
    axis = figure.subplots()
    names = sorted(importance, key=lambda key: importance[key])
    axis.barh(names, [importance[name] for name in names], color=STRONG, height=0.62)
    for i, name in enumerate(names):
        axis.text(importance[name] + 0.01, i, f"{importance[name]:.0%}", va="center", fontsize=8)
    axis.set_xlim(0, max(1.0, *importance.values()) * 1.08)
    axis.set_xlabel("share of the metric's variance over settings", fontsize=9)
    axis.tick_params(labelsize=9, length=0)
    axis.set_xticks([])
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    return png(figure)


def draw_curves_of_settings(
    curves: Mapping[str, Sequence[Report]], best: str | None, stopped: set[str], metric: str
) -> bytes:
    """Mean metric over the share of the steps, a line a setting: the best one stands out, what was stopped ends in a cross."""
    figure = new_figure(8.2, 4.2)
    axis = figure.subplots()
    for name, reports in curves.items():
        x, y = [100 * r.progress for r in reports], [r.value for r in reports]
        strong = name == best
        axis.plot(x, y, color=STRONG if strong else SOFT, lw=2.2 if strong else 1.1, marker="o", ms=3,
                  zorder=3 if strong else 1)  # fmt: skip
        if name in stopped:
            axis.plot(x[-1:], y[-1:], marker="x", color="#d97706", ms=6, lw=0, zorder=2)
    axis.plot([], [], color=STRONG, lw=2.2, label="best")
    if stopped:
        axis.plot([], [], marker="x", color="#d97706", lw=0, label="stopped")
    axis.legend(frameon=False, fontsize=9, loc="best")
    axis.set_xlabel("% of the steps", fontsize=9)
    axis.set_ylabel(f"{metric}, mean over seeds", fontsize=9)
    axis.grid(alpha=0.25)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return png(figure)


def draw_dots(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float, float]]]],
    name: str,
    scale: str,
    ticks: Sequence[float] = (),
) -> bytes:
    """Settings as dots with their deviation: panel title → group → (x, mean, deviation); a group has one colour.

    Args:
        panels: at most three.
        name: of x; ``scale``: of its axis: ``linear``, ``log`` or ``symlog``.
        ticks: of x; chosen by matplotlib where none are given.
    """
    figure = new_figure(4.9 * len(panels), 3.5)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    groups = list(dict.fromkeys(group for found in panels.values() for group in found))
    colors = dict(zip(groups, palette(len(groups)), strict=True))
    for axis, (title, found) in zip(axes, panels.items(), strict=True):
        for group, dots in found.items():
            x, mean, sd = zip(*dots, strict=True)
            axis.errorbar(
                x, mean, yerr=sd, fmt="o", ms=4.5, color=colors[group], elinewidth=0.9, alpha=0.85, label=group
            )
        dress_panel(axis, title, name, scale, ticks)
    if len(groups) > 1:
        axes[0].legend(frameon=False, fontsize=9)
    return png(figure)


def draw_front(
    means: Mapping[str, tuple[float, float]],
    spreads: Mapping[str, tuple[float, float]],
    front: set[str],
    labels: Mapping[str, str],
    names: tuple[str, str],
) -> bytes:
    """Two metrics against one another, with deviations over seeds; what nothing else beats in both is named and joined."""
    figure = new_figure(7.4, 5.2)
    axis = figure.subplots()
    for name, (x, y) in means.items():
        color = STRONG if name in front else SOFT
        dx, dy = spreads[name]
        axis.errorbar(x, y, xerr=dx, yerr=dy, fmt="o", ms=5, color=color, elinewidth=0.9, alpha=0.95, zorder=3)
    ordered = sorted((means[name], name) for name in front)
    axis.plot([p[0] for p, _ in ordered], [p[1] for p, _ in ordered], color=STRONG, lw=1, ls=(0, (4, 3)), zorder=2)
    for i, ((x, y), name) in enumerate(ordered):
        axis.annotate(labels[name], (x, y), xytext=(-14, -16 - 13 * i), textcoords="offset points", fontsize=8, ha="right",
                      arrowprops={"arrowstyle": "-", "color": SOFT, "lw": 0.7})  # fmt: skip
    axis.set_xlabel(names[0], fontsize=9)
    axis.set_ylabel(names[1], fontsize=9)
    axis.grid(alpha=0.25)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return png(figure)
