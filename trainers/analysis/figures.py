"""The pictures of an analysis, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...datasets.html import COLORS, GAP

DOMAIN_COLORS = {"source": COLORS[0], "target": COLORS[1]}
TOP = 98  # percentile of errors that the heat map's darkest colour stands for, so that one wild cell does not blind it
NUMBERS = 12  # validations up to which every cell of a heat map carries its number
TICKS = 14
CROWDED = 7  # ticks from which their numbers are turned
WIDE = 300  # largest over smallest value from which a logarithmic axis names powers of ten alone


@dataclass(frozen=True)
class Band:
    """A curve over runs that differ in their seed alone.

    Attributes (n points): x, mean (n,); sd (n,), NaN where only one run has the point; values: per point, of each run.
    """

    x: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    values: Sequence[Sequence[float]] = ()


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), dpi=110, layout=ConstrainedLayoutEngine(h_pad=GAP))
    FigureCanvasAgg(figure)
    return figure


def png(figure: Any) -> bytes:
    """A figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_embeddings(panels: Sequence[tuple[str, Mapping[str, np.ndarray]]]) -> bytes:
    """Scatter plots side by side: (title, points (n, 2) by domain). Axes have no unit and carry no numbers.

    The legend names each domain of any panel, with the number of its points (all numbers, where panels differ).
    """
    figure = new_figure(4.9 * len(panels), 4.7)
    axes = np.atleast_1d(np.asarray(figure.subplots(1, len(panels)))).ravel()
    counts: dict[str, set[int]] = {}
    handles: dict[str, Any] = {}
    for axis, (title, domains) in zip(axes, panels, strict=True):
        points = np.concatenate(list(domains.values()))
        names = np.repeat(np.arange(len(domains)), [len(p) for p in domains.values()])
        colors = [DOMAIN_COLORS.get(name, COLORS[2 + i % 4]) for i, name in enumerate(domains)]
        order = np.random.default_rng(0).permutation(len(points))  # neither domain covers the other
        axis.scatter(*points[order].T, c=[colors[i] for i in names[order]], s=15, alpha=0.7, linewidths=0)
        for name, color in zip(domains, colors, strict=True):
            counts.setdefault(name, set()).add(len(domains[name]))
            handles[name] = axis.scatter([], [], c=color, s=34, linewidths=0)
        axis.set_title(title, fontsize=12)
        axis.set(xticks=[], yticks=[])
        axis.spines[["top", "right", "bottom", "left"]].set_color("#dde3ea")
        axis.margins(0.06)
    labels = [f"{name} ({', '.join(map(str, sorted(counts[name])))})" for name in handles]
    figure.legend(handles.values(), labels, loc="outside lower center", ncols=len(labels), fontsize=10, frameon=False)
    return png(figure)


def draw_keypoint_errors(history: Sequence[Mapping[str, Any]], xlabel: str = "step") -> bytes:
    """Heat map a domain: rows keypoints, columns validations (or runs), colour the mean error over the box's longer side.

    Args:
        history: as ``history.read_keypoints`` gives it, at least one entry. The colours' scale is logarithmic, as errors
            fall by factors, and common to all domains. Cells without labels stay white. ``step`` may be a name.
        xlabel: what ``step`` is.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter

    names = list(history[-1]["folders"])
    joints = list(next(iter(history[-1]["folders"].values())))
    grids = {name: _errors(history, name, joints) for name in names}
    seen = np.concatenate([grid[np.isfinite(grid)] for grid in grids.values()])
    low, high = np.maximum(np.percentile(seen, (0, TOP)), 0.1) if len(seen) else (1.0, 10.0)
    high = max(high, low * 1.5)
    norm = LogNorm(low, high, clip=True)
    columns = min(len(history), 30)
    labels = [_number(entry["step"]) for entry in history]
    deep = 0.08 * max(len(line) for text in labels for line in text.split("\n"))
    lines = max(text.count("\n") + 1 for text in labels)
    figure = new_figure(2.6 + len(names) * max(2.6, max(0.42, 0.16 * lines) * columns), 1.0 + deep + 0.27 * len(joints))
    axes = np.atleast_1d(np.asarray(figure.subplots(1, len(names), sharey=True))).ravel()
    for axis, (name, grid) in zip(axes, grids.items(), strict=True):
        mesh = axis.imshow(grid, norm=norm, cmap="magma_r", aspect="auto", interpolation="nearest")
        _write_numbers(axis, grid, norm)
        shown = np.unique(np.linspace(0, len(history) - 1, min(len(history), TICKS)).round().astype(int))
        axis.set_xticks(shown, [labels[i] for i in shown], fontsize=8, rotation=90)
        axis.set_yticks(range(len(joints)), [joint.replace("_", " ") for joint in joints], fontsize=9)
        axis.tick_params(length=0)
        axis.set_title(name, fontsize=11)
        axis.set_xlabel(xlabel, fontsize=9)
        axis.spines[:].set_visible(False)
    bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=32, extend="max")
    ticks = [t for t in (0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100) if low <= t <= high]
    bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
    bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, position: ""))
    bar.set_label("error, % of the box's longer side", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return png(figure)


def _errors(history: Sequence[Mapping[str, Any]], name: str, joints: Sequence[str]) -> np.ndarray:
    """(joints, validations) per cent of the box."""
    rows = [[entry["folders"].get(name, {}).get(joint, {}).get("error_box") for entry in history] for joint in joints]
    return 100 * np.array(rows, dtype=float)


def _write_numbers(axis: Any, grid: np.ndarray, norm: Any) -> None:
    if grid.shape[1] > NUMBERS:
        return
    for (row, column), value in np.ndenumerate(grid):
        if np.isfinite(value):
            color = "white" if norm(value) > 0.45 else "#1d2733"
            axis.text(column, row, f"{value:.0f}" if value >= 9.95 else f"{value:.1f}", ha="center", va="center",
                      fontsize=7.5, color=color)  # fmt: skip


def _number(step: float | str) -> str:
    if isinstance(step, str):
        return step
    return f"{step / 1000:g}k" if step >= 10_000 else f"{step:g}"


def draw_bands(
    panels: Mapping[str, Mapping[str, Band]],
    xlabel: str = "step",
    levels: Mapping[str, float] | None = None,
    scale: str = "linear",
    ticks: Sequence[float] = (),
) -> bytes:
    """Mean curves with their deviation over seeds, and a dot a run: panel title → series name → :class:`Band`.

    Args:
        panels: at most three a row.
        xlabel: of every panel.
        levels: horizontal lines by panel title.
        scale: of x: ``linear``, ``log`` or ``symlog`` (for a grid that begins at 0).
        ticks: of x; chosen by matplotlib where none are given.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(4.9 * columns, 3.5 * rows)
    axes = np.atleast_1d(np.asarray(figure.subplots(rows, columns))).ravel()
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    colors = dict(zip(names, palette(len(names)), strict=True))  # a name has one colour, whatever panels it is in
    for axis, (title, series) in zip(axes, panels.items(), strict=False):
        for name, band in series.items():
            _draw_band(axis, band, name, colors[name])
        if levels and title in levels:
            axis.axhline(levels[title], color="#5b6875", lw=1, ls=(0, (4, 3)), zorder=0)
        dress_panel(axis, title, xlabel, scale, ticks)
    for axis in axes[len(panels) :]:
        axis.remove()
    _legend(figure, list(axes[: len(panels)]))
    return png(figure)


def _draw_band(axis: Any, band: Band, name: str, color: str) -> None:
    marker = "o" if len(band.x) < 15 else None
    axis.plot(band.x, band.mean, label=name, color=color, lw=1.7, marker=marker, ms=3.5)
    sd = np.nan_to_num(band.sd)
    if sd.any():
        axis.fill_between(band.x, band.mean - sd, band.mean + sd, color=color, alpha=0.14, lw=0)
    for x, values in zip(band.x, band.values, strict=False):
        axis.scatter([x] * len(values), values, color=color, s=9, alpha=0.45, linewidths=0)


def dress_panel(axis: Any, title: str, xlabel: str, scale: str = "linear", ticks: Sequence[float] = ()) -> None:
    """Give a drawn panel its title, grid and x axis: ``linear``, ``log`` or ``symlog``, with these ticks or some of its own."""
    _set_scale(axis, scale, ticks)
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(xlabel, fontsize=9)
    axis.grid(alpha=0.25)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _set_scale(axis: Any, scale: str, ticks: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    if scale == "symlog":
        axis.set_xscale("symlog", linthresh=min((t for t in ticks if t > 0), default=axis.dataLim.minposx))
    elif scale == "log":
        axis.set_xscale("log")
    if len(ticks):
        turned = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if len(ticks) > CROWDED else {}
        axis.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks], **turned)
        axis.minorticks_off()
    elif scale == "log":
        low, high = axis.get_xlim()
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < WIDE * low else (1,)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.minorticks_off()


def _legend(figure: Any, axes: Sequence[Any]) -> None:
    """One legend below all panels; none where each panel has one curve, which its title names."""
    found = [axis.get_legend_handles_labels() for axis in axes]
    named = {label: handle for handles, labels in found for handle, label in zip(handles, labels, strict=True)}
    if any(len(labels) > 1 for _, labels in found):
        columns = min(len(named), 3 if max(map(len, named)) < 40 else 2)
        figure.legend(
            named.values(), named.keys(), loc="outside lower center", ncols=columns, fontsize=9, frameon=False
        )


def palette(count: int) -> list[str]:
    """Colours of ``count`` series: the house's, or shades from blue to yellow where they do not suffice."""
    if count <= len(COLORS):
        return list(COLORS[:count])
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](x)) for x in np.linspace(0, 0.93, count)]
