"""Toys and other things that lie beside or on infants, of primitives, each in the colours of one small texture.

Looks are a pool of the job: entry j is a pure function of (seed, j).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes, draw_palette, finish, noise, tile
from ..poses.angles import choose
from .cloths import HeightMap
from .config import OccluderConfig
from .meshes import Mesh, Part, box, join, occluder_topology, refined, ring, sphere, tapered, turned
from .scene import Surface, Topology

_TOY_STREAM = 401
_SIDE = 64
Floats = NDArray[np.floating]
SOFT = ("bear", "rabbit", "cloth_book")
FLAT = ("book", "cloth_book", "rattle", "teether", "bottle", "spoon")


def _bear() -> Mesh:
    """A sitting bear, height 2, standing on y = -1."""
    ball = sphere(9, 15)
    limbs = [((0.52, -0.1, 0.2), (0.17, 0.38, 0.17)), ((0.34, -0.82, 0.42), (0.20, 0.18, 0.44))]
    parts = [Part(ball, (0, -0.35, 0), (0.52, 0.62, 0.45)), Part(ball, (0, 0.48, 0.05), (0.44, 0.42, 0.40)),
             Part(ball, (0, 0.38, 0.40), (0.19, 0.15, 0.16), 1),
             Part(ball, (0, 0.43, 0.54), (0.06, 0.05, 0.05), 3)]  # fmt: skip
    for side in (1, -1):
        parts += [Part(ball, (side * x, y, z), axes) for (x, y, z), axes in limbs]
        parts.append(Part(ball, (side * 0.33, 0.84, 0), (0.16, 0.16, 0.09), 1))
        parts.append(Part(ball, (side * 0.16, 0.56, 0.40), (0.05, 0.06, 0.05), 3))
    return join(parts)


def _rabbit() -> Mesh:
    """A lying rabbit with long ears, as comforters are."""
    ball = sphere(9, 15)
    parts = [Part(ball, (0, -0.05, -0.3), (0.42, 0.30, 0.62)), Part(ball, (0, 0.02, 0.52), (0.30, 0.28, 0.30)),
             Part(ball, (0, -0.02, 0.80), (0.06, 0.05, 0.05), 3)]  # fmt: skip
    for side in (1, -1):
        parts.append(Part(ball, (side * 0.30, -0.12, 0.30), (0.12, 0.08, 0.46), 1, (1, side * 38)))
        parts.append(Part(ball, (side * 0.36, -0.16, -0.86), (0.15, 0.12, 0.32), 0, (1, side * 16)))
        parts.append(Part(ball, (side * 0.13, 0.16, 0.74), (0.04, 0.05, 0.04), 3))
    return join(parts)


def _duck() -> Mesh:
    ball = sphere(9, 17)
    return join([
        Part(ball, (0, -0.25, -0.05), (0.55, 0.50, 0.78)), Part(ball, (0, 0.48, 0.36), (0.36, 0.36, 0.36)),
        Part(ball, (0, 0.42, 0.76), (0.17, 0.07, 0.20), 1), Part(ball, (0, 0.0, -0.82), (0.20, 0.26, 0.24)),
        Part(ball, (0.15, 0.58, 0.64), (0.06, 0.07, 0.06), 3), Part(ball, (-0.15, 0.58, 0.64), (0.06, 0.07, 0.06), 3),
    ])  # fmt: skip


def _rattle() -> Mesh:
    """Two balls on a stick, lying."""
    stick = tapered(1.0)
    return join([
        Part(stick, (0, 0, 0), (0.10, 0.62, 0.10), 1, (0, 90.0)), Part(sphere(11, 17), (0, 0, 0.68), (0.34, 0.34, 0.34)),
        Part(ring(9, 21), (0, 0, -0.74), (0.30, 0.34, 0.30), 2, (2, 25.0)),
    ])  # fmt: skip


def _teether() -> Mesh:
    beads = [Part(sphere(7, 11), (0.68 * float(np.sin(a)), 0, 0.68 * float(np.cos(a))), (0.27, 0.24, 0.27), k % 3)
             for k, a in enumerate(np.linspace(0, 2 * np.pi, 9, endpoint=False))]  # fmt: skip
    return join(beads)


def _cup() -> Mesh:
    cups = [(0.95, 0.36, -0.64), (0.78, 0.34, 0.02), (0.6, 0.3, 0.62)]
    return join([Part(tapered(0.86), (0, y, 0), (r, h, r), k) for k, (r, h, y) in enumerate(cups)])


def _bottle() -> Mesh:
    """A feeding bottle, lying."""
    upright = [
        (0.30, 0.52, -0.34, 1.0, 0),
        (0.33, 0.10, 0.28, 1.0, 1),
        (0.20, 0.12, 0.46, 0.45, 2),
        (0.08, 0.12, 0.66, 0.7, 2),
    ]
    return join([Part(tapered(top), (0, 0, y), (r, h, r), patch, (0, 90.0)) for r, h, y, top, patch in upright])


def _book() -> Mesh:
    """An open board book, two boards that lean on a spine."""
    return join([
        Part(box(), (0.47, -0.02, 0), (0.48, 0.03, 0.62), 0, (2, 8.0)),
        Part(box(), (-0.47, -0.02, 0), (0.48, 0.03, 0.62), 1, (2, -8.0)),
        Part(box(), (0.45, 0.03, 0), (0.44, 0.02, 0.57), 2, (2, 7.0)),
        Part(box(), (-0.45, 0.03, 0), (0.44, 0.02, 0.57), 3, (2, -7.0)),
    ])  # fmt: skip


def _cloth_book() -> Mesh:
    return join([Part(box(), (0, 0.09 * k, 0), (0.6 + 0.02 * k, 0.045, 0.6), k, (1, 3.0 * k)) for k in range(3)])


def _car() -> Mesh:
    wheel = tapered(1.0, 15)
    parts = [Part(box(), (0, -0.1, 0), (0.42, 0.22, 0.9)), Part(box(), (0, 0.26, -0.1), (0.36, 0.18, 0.46), 1)]
    parts += [
        Part(wheel, (x, -0.36, z), (0.22, 0.10, 0.22), 3, (2, 90.0)) for x in (0.42, -0.42) for z in (0.52, -0.52)
    ]
    return join(parts)


def _spoon() -> Mesh:
    return join([Part(tapered(0.7, 11), (0, 0, -0.35), (0.07, 0.62, 0.04), 0, (0, 90.0)),
                 Part(sphere(7, 13), (0, 0, 0.55), (0.24, 0.07, 0.34), 1)])  # fmt: skip


def _single(mesh: Mesh) -> Mesh:
    return join([Part(mesh, (0, 0, 0), (1, 1, 1))])


SHAPES: dict[str, Callable[[], Mesh]] = {
    "ball": lambda: _single(sphere(21, 39)), "block": lambda: _single(box(12)), "ring": lambda: _single(ring(19, 43)),
    "bear": _bear, "rabbit": _rabbit, "duck": _duck, "rattle": _rattle,
    "teether": _teether, "cups": _cup, "bottle": _bottle, "book": _book, "cloth_book": _cloth_book, "car": _car,
    "spoon": _spoon,
}  # fmt: skip


@cache
def toy_shape(kind: str) -> tuple[Floats, Topology]:
    """Vertices (V, 3) of radius about 1, and topology."""
    points, faces, uv = refined(SHAPES[kind]())
    return points, occluder_topology(f"toy-{kind}", faces, uv)


def place_toy(
    rng: np.random.Generator, config: OccluderConfig, bumps: HeightMap, joints: Floats, texture: Bytes, lying: bool
) -> Surface:
    """A toy beside a hand, foot or the head, or on a body that lies; it rests on what is beneath it."""
    kind, radius, yaw = choose(rng, config.toys), rng.uniform(*config.toy_size) / 2, rng.uniform(0, 2 * np.pi)
    on_body, direction, apart = rng.random() < config.on_body, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 2.2)
    on_body = on_body and lying
    anchors = (0, 3, 9, 4, 5) if on_body else (20, 21, 7, 8, 15, 4, 5)
    anchor = joints[anchors[int(rng.integers(len(anchors)))]]
    shape, topology = toy_shape(kind)
    offset = 0.4 * radius if on_body else radius * apart + 0.03
    outline = 0.8 * radius * np.exp(1j * np.linspace(0, 2 * np.pi, 8, endpoint=False))
    for _ in range(8):  # beside the body: outwards until nothing lies beneath
        x, z = anchor[0] + offset * np.cos(direction), anchor[2] + offset * np.sin(direction)
        beneath = bumps.at(x + outline.real, z + outline.imag)
        if on_body or beneath.max() < 0.01:
            break
        offset += 0.04
    floor = float(np.median(beneath) if on_body else beneath.max())
    points = turned(shape, yaw) * (radius * (0.8 if kind == "block" else 1.0))
    lift = -points[:, 1].min() - (0.004 if floor > 0.01 else 0.001)
    vertices = (points + np.array([x, floor + lift, z])).astype(np.float32)
    return Surface(topology, vertices, texture, specular=0.0 if kind in SOFT else 0.12)


class Toys:
    """The surfaces of one job's toys; entry j is a pure function of (seed, j)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._textures: dict[int, Bytes] = {}

    def texture(self, index: int) -> Bytes:
        """Entry ``index``: (128, 128, 3) uint8 sRGB, four quarters: a print, its accents, and near black."""
        if index not in self._textures:
            rng = np.random.default_rng([self.seed, _TOY_STREAM, index])
            kind = choose(rng, {"plain": 3, "stripes": 2, "dots": 1, "stars": 1, "blocks": 1})
            colours = draw_palette(rng, (30, 92), (8, 70))
            dark = np.array([[12, 0, 0], *colours[1:]], np.float32)
            quarters = [tile(rng, kind, colours, _SIDE), *(tile(rng, "plain", colours[[k, 0, 1]], _SIDE) for k in (1, 2)),
                        tile(rng, "plain", dark, _SIDE)]  # fmt: skip
            lab = np.concatenate([np.concatenate(quarters[:2], 1), np.concatenate(quarters[2:], 1)])
            self._textures[index] = finish(lab, 1 + 0.02 * noise(rng, 2 * _SIDE, 20))
        return self._textures[index]
