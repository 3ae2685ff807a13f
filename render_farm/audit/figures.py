"""The report's figures: each takes numbers and gives the bytes of one PNG. Ours is blue, the other data set orange."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from .duplicates import HASH_BITS
from .features import Measured
from .pictures import TONES, tone_shares

OURS, REAL = "#0b6bcb", "#e8590c"
_V = (("visible", "#2b8a3e"), ("occluded", "#f2b134"), ("absent", "#ced4da"))
_SKIN = ("#f6ddcb", "#eac3a2", "#d3a27c", "#b07b52", "#7c4f30", "#3f281b")
_PANELS = (
    ("box_height", "box height / picture height", (0.0, 1.0)),
    ("box_width", "box width / picture width", (0.0, 1.0)),
    ("box_pixels", "√ box area, pixels", None),
    ("aspect", "log₂ (box width / height)", (-3.0, 3.0)),
    ("fill", "area / box area", (0.0, 1.0)),
    ("centre_x", "box centre x / picture width", (0.0, 1.0)),
    ("centre_y", "box centre y / picture height", (0.0, 1.0)),
    ("visible", "share of keypoints visible", (0.0, 1.0)),
    ("difficulty", "difficulty", (0.0, 1.0)),
)


def histograms(
    panels: Sequence[tuple[str, np.ndarray, np.ndarray | None, tuple[float, float] | None]], columns: int = 3
) -> bytes:
    """Panels of (title, ours, the other's or None, range or None), as shares; the median is a tick on the axis."""
    figure, axes = _grid(len(panels), columns)
    for axis, (title, ours, real, limits) in zip(axes, panels, strict=False):
        both = [values[np.isfinite(values)] for values in (ours, real) if values is not None]
        together = np.concatenate(both)
        if not len(together):
            axis.text(0.5, 0.5, "not known", ha="center", va="center", color="#868e96", transform=axis.transAxes)
            _plain(axis, title)
            continue
        low, high = limits or _limits(together)
        levels = np.unique(together)
        few = (
            len(levels) <= 30 and len(levels) > 1
        )  # shares of a few keypoints: a bar for each, lest bins beat with them
        step = float(np.diff(levels).min()) if few else 0.0
        bins = np.arange(low - step / 2, high + step, step) if few else np.linspace(low, high, 31)
        for values, colour, filled in zip(both, (OURS, REAL), (True, False), strict=False):
            if len(values):
                weights = np.full(len(values), 1 / len(values))
                style: dict[str, Any] = {"color": colour, "alpha": 0.55} if filled else {"color": colour, "lw": 1.6}
                axis.hist(values, bins, weights=weights, histtype="stepfilled" if filled else "step", **style)
                axis.plot([np.median(values)], [0], marker=6, ms=8, color=colour, clip_on=False, zorder=5)
        axis.set_xlim(bins[0], bins[-1])
        _plain(axis, title)
    return _png(figure)


def persons_figure(ours: Measured, real: Measured | None) -> bytes:
    """Boxes, places and difficulty as histograms."""
    panels = [
        (title, ours.person(name), None if real is None else real.person(name), limits)
        for name, title, limits in _PANELS
    ]
    return histograms(panels)


def visibility_figure(names: Sequence[str], ours: np.ndarray, real: np.ndarray | None) -> bytes:
    """Stacked bars by keypoint: shares visible, occluded and absent; the thin bar beneath is the other's.

    Args:
        names: of the keypoints. ours, real: v (P, J).
    """
    shown = list(range(len(names)))
    figure, axes = _grid(1, 1, (9.5, 1.0 + 0.27 * len(shown)))
    axis = axes[0]
    for v, height, offset, strength in ((ours, 0.5, 0.0, 1.0), (real, 0.16, 0.37, 0.8)):
        if v is None or not len(v):
            continue
        left = np.zeros(len(shown))
        for value, (name, colour) in zip((2, 1, 0), _V, strict=True):
            share = (v == value).mean(0)
            label = name if offset == 0 else None
            axis.barh(np.arange(len(shown)) + offset, share, height, left, color=colour, label=label, alpha=strength)
            left += share
    axis.set_yticks(range(len(shown)), [name.replace("_", " ") for name in names], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8, frameon=False)
    _plain(axis, "")
    return _png(figure)


def view_figure(ours: Measured, real: Measured | None) -> bytes:
    """Where cameras stand about the body, and how bodies are turned in the picture."""
    figure, _ = _grid(0, 1, (10.5, 3.6))
    around, rose = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="polar")
    azimuth, elevation = ours.person("azimuth"), ours.person("elevation")
    if np.isfinite(azimuth).any():
        around.scatter(azimuth, elevation, s=7, color=OURS, alpha=min(0.6, 60 / len(azimuth) ** 0.5), lw=0)
    else:
        around.text(
            0.5, 0.5, "no body parameters", ha="center", va="center", color="#868e96", transform=around.transAxes
        )
    around.set_xlim(-180, 180)
    around.set_ylim(-90, 90)
    around.set_xticks(range(-180, 181, 90), ["back", "right", "front", "left", "back"])
    around.set_yticks(range(-90, 91, 45), ["feet −90°", "−45°", "0°", "45°", "head 90°"])
    _plain(around, "seen from (body's own axes)")
    for measured, colour, filled in ((ours, OURS, True), (real, REAL, False)):
        angles = np.radians(measured.person("tilt")) if measured is not None else np.zeros(0)
        angles = angles[np.isfinite(angles)]
        if len(angles):
            counts = np.histogram(np.mod(angles + np.pi / 24, 2 * np.pi), bins=24, range=(0, 2 * np.pi))[0] / len(
                angles
            )
            centres = np.arange(24) * np.pi / 12
            if filled:
                rose.bar(centres, counts, width=np.pi / 12 * 0.92, color=colour, alpha=0.55)
            else:
                rose.plot(np.append(centres, centres[0]), np.append(counts, counts[0]), color=colour, lw=1.6)
    rose.set_theta_zero_location("N")
    rose.set_theta_direction(-1)
    rose.set_yticklabels([])
    rose.set_xticks(np.arange(0, 2 * np.pi, np.pi / 2), ["head up", "right", "head down", "left"], fontsize=8)
    rose.set_title("turned in the picture", fontsize=11)
    return _png(figure)


def pose_figure(ours: Measured, real: Measured | None, names: Sequence[str]) -> bytes:
    """How far joints turn (5 to 95 %), and 2D poses on their first two principal components.

    Args:
        names: of the body model's joints behind the root; empty if there are no parameters.
    """
    rows = max(9, min(len(names), 24))
    figure, axes = _grid(2, 2, (10.5, 1.2 + 0.2 * rows))
    turns, poses = axes
    if names:
        turned = np.stack(next(iter(ours.rotations.values())))[:, :24]
        low, quarter, middle, three, high = np.percentile(turned, (5, 25, 50, 75, 95), axis=0)
        y = np.arange(turned.shape[1])
        turns.hlines(y, low, high, color=OURS, alpha=0.35, lw=2)
        turns.hlines(y, quarter, three, color=OURS, lw=5, alpha=0.8)
        turns.plot(middle, y, "o", ms=3.5, color="white", mec=OURS)
        turns.set_yticks(y, [name.replace("_", " ") for name in names[: turned.shape[1]]], fontsize=7.5)
        turns.invert_yaxis()
        turns.set_xlim(0, None)
    else:
        turns.text(0.5, 0.5, "no body parameters", ha="center", va="center", color="#868e96", transform=turns.transAxes)
    _plain(turns, "joint rotation, degrees (5, 25, 50, 75, 95 %)")
    sets = [(m.poses, c) for m, c in ((ours, OURS), (real, REAL)) if m is not None and len(m.poses) > 2]
    if sets:
        base = np.stack(sets[-1][0])
        mean = base.mean(0)
        axes_2d = np.linalg.svd(base - mean, full_matrices=False)[2][:2]
        for vectors, colour in sets:
            x, y = ((np.stack(vectors) - mean) @ axes_2d.T).T
            poses.scatter(x, y, s=7, color=colour, alpha=min(0.6, 40 / len(x) ** 0.5), lw=0)
        poses.set_aspect("equal", "datalim")
    else:
        poses.text(0.5, 0.5, "no whole poses", ha="center", va="center", color="#868e96", transform=poses.transAxes)
    _plain(poses, "2D poses, first two principal components")
    return _png(figure)


def pictures_figure(ours: dict[str, np.ndarray], real: dict[str, np.ndarray] | None) -> bytes:
    """Brightness, contrast and saturation."""
    titles = {
        "brightness": "brightness (mean L*)",
        "contrast": "contrast (sd of L*)",
        "saturation": "saturation (mean C*)",
    }
    return histograms([(t, ours[n], None if real is None else real[n], None) for n, t in titles.items()])


def skin_figure(ours: np.ndarray, real: np.ndarray | None) -> bytes:
    """Shares of skin classes, each bar in a colour of its class; the thin bar is the other's."""
    figure, axes = _grid(1, 1, (9.5, 2.2))
    axis = axes[0]
    for angles, y, height in ((ours, 0.0, 0.6), (real, 0.55, 0.25)):
        if angles is None or not np.isfinite(angles).any():
            continue
        left = 0.0
        for share, colour, (name, _) in zip(tone_shares(angles), _SKIN, TONES, strict=True):
            axis.barh(y, share, height, left, color=colour, edgecolor="white")
            if share > 0.05 and y == 0:
                ink = "white" if name in ("tan", "brown", "dark") else "#3f281b"
                axis.text(left + share / 2, y, f"{name}\n{share:.0%}", ha="center", va="center", fontsize=8, color=ink)
            left += share
    axis.set_xlim(0, 1)
    axis.set_yticks([])
    _plain(axis, "")
    axis.spines[["left"]].set_visible(False)
    return _png(figure)


def duplicates_figure(bits: np.ndarray) -> bytes:
    """How many bits the nearest other picture's hash differs in."""
    figure, axes = _grid(1, 1, (9.5, 2.2))
    axes[0].hist(bits[bits <= 64], np.arange(-0.5, 33.5), color=OURS, alpha=0.55)
    axes[0].axvline(HASH_BITS + 0.5, color="#495057", lw=1, ls="--")
    axes[0].text(
        HASH_BITS + 0.2, axes[0].get_ylim()[1] * 0.92, "alike", ha="right", va="top", fontsize=8, color="#495057"
    )
    _plain(axes[0], "bits that differ from the nearest other picture's hash (of 64)")
    return _png(figure)


def _grid(count: int, columns: int, size: tuple[float, float] | None = None) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-count // columns)
    figure = Figure(figsize=size or (3.5 * columns, 2.1 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(np.atleast_1d(np.asarray(figure.subplots(rows, columns))).ravel()) if count else []
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = (float(edge) for edge in np.percentile(values, (0.2, 99.8)))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _plain(axis: Any, title: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.2)
    axis.set_axisbelow(True)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
