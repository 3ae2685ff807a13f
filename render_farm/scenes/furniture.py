"""Furniture and things for grown people's scenes: boxes, cylinders and ellipsoids put together, part id 255.

A thing is made of blocks of one kind in one surface. Its texture comes from a pool; entry j is a function of (seed, j).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes
from ..poses.angles import choose
from .finishes import draw_finish
from .plants import VARIANTS, Crown, crown_of, foliage
from .scene import OCCLUDER, Surface, Topology

Floats = NDArray[np.floating]
Block = tuple[Sequence[float] | Floats, Sequence[float] | Floats]
"""Centre and half sizes of a block, metres."""
_STREAM = 411


@cache
def _cube() -> tuple[Floats, NDArray[np.int64], Floats]:
    """Vertices (24, 3), faces (12, 3) and uv (24, 2) of a cube of half side 1, sharp edges."""
    points: list[Floats] = []
    faces: list[tuple[int, int, int]] = []
    uv: list[tuple[float, float]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            start = len(points)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                points.append(sign * np.eye(3)[axis] + a * sign * u + b * v)
                uv.append(((a + 1) / 2, (b + 1) / 2))
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    return np.array(points), np.array(faces), np.array(uv)


@cache
def _round(rows: int, columns: int, profile: str) -> tuple[Floats, NDArray[np.int64], Floats]:
    """A body of revolution about y within the cube: "tube" (closed) or "ball"."""
    angle = np.linspace(0, 2 * np.pi, columns)
    if profile == "ball":
        slope = np.linspace(0, np.pi, rows)
        radius, height = np.sin(slope), np.cos(slope)
    else:
        radius, height = np.array([0, 1, 1, 0.0]), np.array([1, 1, -1, -1.0])
    up = np.repeat(height[:, None], columns, 1)
    points = np.stack([radius[:, None] * np.sin(angle), up, radius[:, None] * np.cos(angle)], -1)
    corner = (np.arange(len(radius) - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    below = corner + columns
    faces = np.concatenate([np.stack([corner, below, corner + 1], 1), np.stack([corner + 1, below, below + 1], 1)])
    uv = np.stack(np.meshgrid(angle / (2 * np.pi), np.linspace(0, 1, len(radius))), -1)
    return points.reshape(-1, 3), faces, uv.reshape(-1, 2)


_SHAPES: dict[str, Callable[[], tuple[Floats, NDArray[np.int64], Floats]]] = {
    "box": _cube, "tube": lambda: _round(4, 15, "tube"), "ball": lambda: _round(9, 15, "ball"),
}  # fmt: skip


@cache
def _topology(shape: str, count: int) -> Topology:
    points, faces, uv = _SHAPES[shape]()
    every = np.concatenate([faces + k * len(points) for k in range(count)]).astype(np.int32)
    parts = np.full(len(every), OCCLUDER, np.uint8)
    return Topology(
        f"{shape}-{count}", every, np.tile(uv, (count, 1)).astype(np.float32), every, parts, two_sided=False
    )


def build(
    blocks: Sequence[Block], texture: Bytes, yaw: float = 0.0, at: Sequence[float] = (0, 0, 0), shape: str = "box",
    specular: float = 0.05,
) -> Surface:  # fmt: skip
    """A surface of blocks, turned by ``yaw`` (radians about +Y) and moved to ``at``.

    Args:
        shape: of every block: "box", "tube" (upright) or "ball".
    """
    points = _SHAPES[shape]()[0]
    every = np.concatenate([points * np.asarray(half) + np.asarray(centre) for centre, half in blocks])
    c, s = np.cos(yaw), np.sin(yaw)
    turned = every @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T + np.asarray(at)
    return Surface(_topology(shape, len(blocks)), turned.astype(np.float32), texture, specular)


def seat_blocks(rng: np.random.Generator, kind: str, height: float, depth: float, width: float) -> list[Block]:
    """A seat whose top is at ``height``, its front edge at z = depth / 2, the sitter facing +Z.

    Args:
        kind: stool, chair, bench, sofa or wall (a block).
    """
    w, d, thick = width / 2, depth / 2, rng.uniform(0.015, 0.035)
    top: Block = ((0, height - thick, 0), (w, thick, d))
    if kind in ("sofa", "wall"):
        blocks: list[Block] = [((0, height / 2, -0.04), (w, height / 2, d - 0.04)), top]
        if kind == "sofa":
            rise, arm = rng.uniform(0.3, 0.5), rng.uniform(0.15, 0.25)
            blocks.append(((0, (height + rise) / 2, -d - 0.10), (w + 0.1, (height + rise) / 2, 0.10)))
            blocks += [
                ((side * (w + 0.07), (height + arm) / 2, -0.04), (0.07, (height + arm) / 2, d)) for side in (-1, 1)
            ]
        return blocks
    leg = rng.uniform(0.012, 0.025)
    legs: list[Block] = [
        ((x * (w - leg), height / 2 - thick, z * (d - leg)), (leg, height / 2 - thick, leg))
        for x in (-1, 1)
        for z in (-1, 1)
    ]
    blocks = [top, *legs]
    if kind == "chair" or (kind == "bench" and rng.random() < 0.5):
        rise = rng.uniform(0.32, 0.5)
        low = rng.uniform(0.0, 0.6) * rise
        blocks.append(((0, height + (low + rise) / 2, -d), (w, (rise - low) / 2, 0.014)))
        blocks += [((x * (w - leg), height + rise / 2, -d), (leg, rise / 2, leg)) for x in (-1, 1)]
    return blocks


def table_blocks(rng: np.random.Generator, height: float, width: float, depth: float) -> list[Block]:
    """A table or a counter whose top is at ``height``, its middle at the origin."""
    thick, leg, w, d = rng.uniform(0.012, 0.03), rng.uniform(0.02, 0.04), width / 2, depth / 2
    top: Block = ((0, height - thick, 0), (w, thick, d))
    if rng.random() < 0.25:
        return [top, ((0, height / 2 - thick, 0), (0.92 * w, height / 2 - thick, 0.88 * d))]
    return [top] + [
        ((x * (w - 2 * leg), height / 2 - thick, z * (d - 2 * leg)), (leg, height / 2 - thick, leg))
        for x in (-1, 1)
        for z in (-1, 1)
    ]


def _fence(rng: np.random.Generator) -> list[Block]:
    height, count, pitch = rng.uniform(0.8, 1.3), int(rng.integers(8, 16)), rng.uniform(0.1, 0.18)
    rails: list[Block] = [((0, level * height, 0), (count * pitch / 2, 0.025, 0.015)) for level in (0.25, 0.85)]
    return rails + [((pitch * (k - count / 2 + 0.5), height / 2, 0), (0.02, height / 2, 0.01)) for k in range(count)]


def _shelves(rng: np.random.Generator) -> list[Block]:
    height, w, d = rng.uniform(0.9, 2.0), rng.uniform(0.3, 0.6), rng.uniform(0.15, 0.25)
    boards: list[Block] = [((0, y, 0), (w, 0.012, d)) for y in np.linspace(0.1, height, 5)]
    books: list[Block] = [
        ((rng.uniform(-0.7, 0.7) * w, y + 0.10, 0), (rng.uniform(0.05, 0.25) * w, 0.09, 0.7 * d))
        for y in np.linspace(0.1, height, 5)[:-1]
    ]
    return [*boards, *books, *(((x * w, height / 2, 0), (0.014, height / 2, d)) for x in (-1, 1))]


class Things:
    """The textures of one job's furniture, and things put together from them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._textures: dict[tuple[str, int], Bytes] = {}

    def texture(self, index: int, kind: str = "any") -> Bytes:
        """Entry ``index``: (64, 64, 3) uint8 sRGB; ``kind``: any, wood, leaf, cloth, paint, glass."""
        if (kind, index) not in self._textures:
            rng = np.random.default_rng([self.seed, _STREAM, index, len(kind)])
            self._textures[kind, index] = draw_finish(rng, kind)
        return self._textures[kind, index]

    def clutter(self, rng: np.random.Generator, indoor: bool, pool: int, at: tuple[float, float]) -> list[Surface]:
        """Something that stands about at (x, z): furniture indoors, street things outdoors, plants, boxes, poles."""
        kind = choose(rng, _INDOORS if indoor else _OUTDOORS)
        yaw, index = float(rng.uniform(-np.pi, np.pi)), int(rng.integers(pool))
        place = (at[0], 0.0, at[1])
        wooden = kind in ("table", "chair", "shelves", "bench") and rng.random() < 0.6
        texture = self.texture(index, "wood" if wooden else "any")
        if kind in ("plant", "tree", "bush"):
            return self.plant(rng, crown_of(rng, kind), index, place, kind == "plant")
        if kind == "car":
            return self.car(rng, index, yaw, place)
        if kind in ("pole", "lamp", "sign"):
            height, deep = rng.uniform(1.5, 4.0), 0.2 if kind == "lamp" else 0.01
            parts = [build([((0, height / 2, 0), (0.03, height / 2, 0.03))], texture, yaw, place, "tube", 0.1)]
            if kind != "pole":
                parts.append(build([((0, height, 0), (0.2, rng.uniform(0.1, 0.3), deep))], texture, yaw, place))
            return parts
        if kind == "ball":
            radius = rng.uniform(0.06, 0.16)
            return [build([((0, radius, 0), (radius, radius, radius))], texture, yaw, place, "ball", 0.15)]
        return [build(_SOLID[kind](rng), texture, yaw, place)]

    def car(self, rng: np.random.Generator, index: int, yaw: float, place: tuple[float, float, float]) -> list[Surface]:
        """A parked car: painted body and roof, dark glass and wheels."""
        length, wide, roof = rng.uniform(1.9, 2.3), rng.uniform(0.82, 0.92), rng.uniform(1.38, 1.6)
        back = -rng.uniform(0.05, 0.3) * length
        cabin = (0.84 * wide, (roof - 0.86) / 2, 0.52 * length)
        body: list[Block] = [
            ((0, 0.56, 0), (wide, 0.30, length)),
            ((0, roof, back), (0.86 * wide, 0.03, 0.46 * length)),
        ]
        wheels: list[Block] = [
            ((x * 0.9 * wide, 0.32, z * 0.62 * length), (0.14, 0.32, 0.32)) for x in (-1, 1) for z in (-1, 1)
        ]
        glass: list[Block] = [((0, 0.86 + cabin[1], back), cabin)]
        return [
            build(body, self.texture(index, "paint"), yaw, place, specular=0.25),
            build(glass, self.texture(0, "glass"), yaw, place, specular=0.3),
            build(wheels, self.texture(0, "glass"), yaw, place, "ball"),
        ]

    def plant(
        self, rng: np.random.Generator, crown: Crown, index: int, at: tuple[float, float, float], pot: bool
    ) -> list[Surface]:
        """Leaves, and the stem or trunk and the pot that carry them."""
        yaw = float(rng.uniform(-np.pi, np.pi))
        parts = [foliage(crown, int(rng.integers(VARIANTS)), self.texture(index, "leaf"), yaw, at)]
        if crown.dome:
            return parts
        half = 0.012 + 0.06 * crown.low * crown.wide
        middle = (crown.low + 0.35 * (crown.high - crown.low)) / 2
        parts.append(build([((0, middle, 0), (half, middle, half))], self.texture(index, "wood"), 0.0, at, "tube"))
        if pot:
            side, high = 0.55 * crown.wide, min(0.4 * crown.low, 0.35)
            parts.append(build([((0, high, 0), (side, high, side))], self.texture(index), 0.0, at, "tube"))
        return parts


def _box(rng: np.random.Generator) -> list[Block]:
    half = rng.uniform(0.12, 0.5, 3)
    return [((0, half[1], 0), half)]


def _seat(kind: str, width: float) -> Callable[[np.random.Generator], list[Block]]:
    return lambda rng: seat_blocks(
        rng, kind, rng.uniform(0.40, 0.48), rng.uniform(0.4, 0.55), width * rng.uniform(0.9, 1.2)
    )


def _any_table(rng: np.random.Generator) -> list[Block]:
    return table_blocks(rng, rng.uniform(0.45, 1.0), rng.uniform(0.5, 1.6), rng.uniform(0.5, 0.9))


_SOLID: dict[str, Callable[[np.random.Generator], list[Block]]] = {
    "box": _box, "fence": _fence, "shelves": _shelves, "table": _any_table, "chair": _seat("chair", 0.45),
    "bench": _seat("bench", 1.5), "sofa": _seat("sofa", 1.6),
}  # fmt: skip
_INDOORS = {"table": 2.0, "chair": 2.0, "shelves": 2.0, "sofa": 1.0, "plant": 1.5, "box": 1.0, "lamp": 1.0, "ball": 0.4}
_OUTDOORS = {
    "car": 1.2, "pole": 1.5, "bush": 2.0, "bench": 1.0, "fence": 1.0, "box": 1.0, "tree": 1.5, "ball": 0.5, "sign": 1.0,
}  # fmt: skip
