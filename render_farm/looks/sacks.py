"""Sleep sacks: one bag round both legs, spanned anew over every pose as taut cloth would.

Across the trunk's direction the bag is the convex hull of all that is in it, slice by slice, so nothing can poke
through, however the legs are bent; lengthwise slices are evened out. What lies on the bed is flat beneath.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Topology
from .cutting import Piece
from .patterns import Bytes, finish, noise, tile
from .points import Points

Singles = NDArray[np.float32]
RINGS, COLUMNS, DIRECTIONS = 15, 41, 28
_WIDEST = 0.62  # a bag is worn where the ankles are nearer to each other than this share of the leg's length
_EASE = (0.006, 0.020)  # metres between what is within and the cloth, at the waist and at the feet, infant of 0.65 m


@cache
def sack_topology(name: str) -> Topology:
    """A closed bag: RINGS rings of COLUMNS vertices from the waist to the feet, and one that closes it."""
    rings = RINGS + 1
    corner = (np.arange(rings - 1)[:, None] * COLUMNS + np.arange(COLUMNS - 1)).reshape(-1)
    faces = np.concatenate(
        [
            np.stack([corner, corner + COLUMNS, corner + 1], 1),
            np.stack([corner + 1, corner + COLUMNS, corner + COLUMNS + 1], 1),
        ]
    ).astype(np.int32)
    u, v = np.meshgrid(np.linspace(0, 1, COLUMNS), np.linspace(0, 1, rings))
    uv = np.stack([u.reshape(-1), v.reshape(-1)], 1).astype(np.float32)
    down, left = v.reshape(-1)[faces].mean(1), u.reshape(-1)[faces].mean(1) < 0.5
    level = np.digitize(down, (0.25, 0.55, 0.85))  # pelvis, thighs, shins, feet: 1 + SMPL joint
    part = np.where(level == 0, 1, np.choose(np.maximum(level - 1, 0), (2, 5, 8)) + np.where(left, 0, 1))
    return Topology(name, faces, uv, faces, part.astype(np.uint8), two_sided=True)


def sack_content(p: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which vertices a bag goes round (legs, pelvis and belly), thinned out, and which of them make its upper rim."""
    legs = np.flatnonzero(np.isin(p.joint, (1, 2, 4, 5, 7, 8, 10, 11)))[::3]
    trunk = np.flatnonzero(np.isin(p.joint, (0, 3)))[::2]
    return np.concatenate([legs, trunk]), np.flatnonzero(np.isin(p.joint, (3, 6)))


def fits(joints: Singles, height: float) -> bool:
    """Whether legs are in such a place that a bag could be worn: not astride, not higher than the trunk's length.

    Args:
        joints: (J, 3) posed, world. height: of the body at rest, metres.
    """
    apart = float(np.linalg.norm(joints[7] - joints[8]))
    knees = float(np.linalg.norm(joints[4] - joints[5]))
    raised = float(joints[[4, 5, 7, 8], 1].max() - joints[0, 1])
    return max(apart, knees) < _WIDEST * 0.45 * height and raised < 0.22 * height


def span_sack(vertices: Singles, joints: Singles, content: NDArray[np.intp], rim: NDArray[np.intp], scale: float
              ) -> Singles:  # fmt: skip
    """The bag's vertices, ((RINGS + 1) COLUMNS, 3) float32, round a posed and dressed body.

    Args:
        vertices: (V, 3) world, metres. joints: (J, 3). content, rim: see :func:`sack_content`.
        scale: size of the body, 1 for an infant of 0.65 m.
    """
    points, waist = vertices[content], vertices[rim]
    away = joints[[1, 2, 4, 5, 7, 8]].mean(0) - joints[6]
    along = away / max(float(np.linalg.norm(away)), 1e-6)
    side = joints[1] - joints[2]
    side = side - (side @ along) * along
    side = side / max(float(np.linalg.norm(side)), 1e-6)
    front = np.cross(side, along)  # right-handed: side x along; the belly's or the back's side, it does not matter
    frame = np.stack([side, front, along]).astype(np.float32)
    origin = joints[3]
    local, top = (points - origin) @ frame.T, (waist - origin) @ frame.T
    start, end = 0.0, float(local[:, 2].max()) + 0.02 * scale
    levels = np.linspace(start, end, RINGS)
    step = levels[1] - levels[0]
    local = np.concatenate([local, top[np.abs(top[:, 2] - start) < step]])
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    support = local[:, :2] @ np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)  # (P, K)
    reach = _reach(support, local[:, 2], levels, step)
    ease = np.linspace(*_EASE, RINGS)[:, None] * scale
    outline = _outline(reach + ease, angles)
    ring = np.concatenate([outline, levels[:, None, None] + np.zeros((RINGS, COLUMNS, 1))], -1)
    last = ring[-1:].copy()
    last[..., :2] = last[..., :2].mean(1, keepdims=True)
    world = np.concatenate([ring, last]).reshape(-1, 3) @ frame + origin
    world[:, 1] = np.maximum(world[:, 1], 0.001)
    return np.asarray(world, np.float32)


def _reach(support: Singles, heights: Singles, levels: NDArray[np.floating], step: float) -> NDArray[np.float64]:
    """(RINGS, K) support function of each slice and its neighbours, evened out along the bag."""
    slot = np.clip(np.round((heights - levels[0]) / step).astype(np.int64), 0, RINGS - 1)
    reach = np.full((RINGS, support.shape[1]), -np.inf)
    order = np.argsort(slot, kind="stable")
    starts = np.searchsorted(slot[order], np.arange(RINGS))
    filled = np.flatnonzero(np.diff(np.append(starts, len(slot))) > 0)
    reach[filled] = np.maximum.reduceat(support[order], starts[filled], axis=0)
    for k in range(1, RINGS):  # an empty slice goes on as the one before it
        reach[k] = np.where(np.isfinite(reach[k]), reach[k], reach[k - 1])
    wide = np.maximum(reach, np.maximum(np.roll(reach, 1, 0), np.roll(reach, -1, 0)))
    wide[0], wide[-1] = reach[0], np.maximum(reach[-1], reach[-2])
    for _ in range(4):  # taut lengthwise
        wide[1:-1] = np.maximum(wide[1:-1], 0.5 * (wide[:-2] + wide[2:]))
    return wide


def _outline(reach: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(RINGS, COLUMNS, 2) closed outlines, evenly divided, of the convex shapes with these support functions."""
    cos, sin = np.cos(angles), np.sin(angles)
    after, turn = np.roll(reach, -1, 1), np.sin(angles[1] - angles[0])
    x = (reach * np.roll(sin, -1) - after * sin) / turn
    y = (after * cos - reach * np.roll(cos, -1)) / turn
    corners = np.stack([np.concatenate([x, x[:, :1]], 1), np.concatenate([y, y[:, :1]], 1)], -1)
    length = np.concatenate(
        [np.zeros((len(reach), 1)), np.cumsum(np.linalg.norm(np.diff(corners, axis=1), axis=-1), 1)], 1
    )
    result = np.empty((len(reach), COLUMNS, 2))
    for k, (line, way) in enumerate(zip(corners, length, strict=True)):
        places = np.linspace(0, way[-1], COLUMNS)
        result[k, :, 0], result[k, :, 1] = np.interp(places, way, line[:, 0]), np.interp(places, way, line[:, 1])
    return result


def paint_sack(rng: np.random.Generator, piece: Piece, girth: float, size: int = 256) -> Bytes:
    """Texture (size, size, 3) uint8 sRGB: the print, quilted or plain, folds lengthwise, a zip down one side.

    Args:
        girth: metres round the bag, for the print's scale.
    """
    picture = tile(rng, piece.kind, piece.colours, 128)
    across, down = (np.floor(np.arange(size) / size * metres * (128 / piece.span)).astype(int) % 128
                    for metres in (girth, girth))  # fmt: skip
    lab = np.ascontiguousarray(picture[down[:, None], across[None]], np.float32)
    shade = 1 + 0.07 * noise(rng, size, 7, aspect=3.0) + 0.04 * noise(rng, size, 16)
    if rng.random() < 0.5:  # quilted
        y, x = np.mgrid[0:size, 0:size] / size * int(rng.integers(6, 11))
        shade *= 0.86 + 0.16 * (np.abs(np.sin(np.pi * (x + y)) * np.sin(np.pi * (x - y)))) ** 0.35
    column = int(0.25 * size)
    shade[:, column - 2 : column + 2] *= 0.8
    shade[: size // 24] *= 0.9
    return finish(lab, shade.astype(np.float32))
