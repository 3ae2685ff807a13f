"""Things that hands hold: procedural meshes, and the simple solids they are made of, for contact.

A thing stands along its own y axis, is symmetric about its plane x = 0 (so a left hand may hold what a right hand does,
mirrored), and has its middle at the origin. Lengths are metres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...scenes.scene import OCCLUDER, Topology

Floats = NDArray[np.floating]
AROUND, ROWS, CELLS = 25, 34, 13
"""Columns and rows of turned things, points along the sides of boxes: dense enough for the renderers' shadows."""
_GRID_CACHE: dict[str, Topology] = {}


@dataclass(frozen=True)
class Solid:
    """A box or a cylinder about an axis parallel to y, its edges rounded.

    Attributes:
        round: whether it is a cylinder. centre: (3,). half: (3,) half sides, before rounding; a cylinder's radius is half[0].
        rounding: radius added all round: a ball is a box of no size with rounding.
    """

    round: bool
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    rounding: float = 0.0


@dataclass(frozen=True)
class Thing:
    """One thing, ready to be held.

    Attributes:
        kind: its name. grip: how it is held: "power" (against the palm), "pinch" (between thumb and fingers), "tripod" (a pen).
        topology, vertices: mesh, (V, 3). solids: at most two. thickness: across the grip. length: along y.
        upright: whether people mostly hold it with its y axis up.
    """

    kind: str
    grip: str
    topology: Topology
    vertices: Floats
    solids: tuple[Solid, ...]
    thickness: float
    length: float
    upright: bool = False


@dataclass(frozen=True)
class Solids:
    """The solids of N things as arrays (N, 2, ...), for distances in one go; a missing second is far away."""

    round: NDArray[np.bool_]
    centre: Floats
    half: Floats
    rounding: Floats

    def distance(self, points: Floats) -> Floats:
        """Signed distances (N, P), negative inside, of points (N, P, 3) in the things' own frames."""
        p = points[:, None] - self.centre[:, :, None]  # (N, 2, P, 3)
        radial = np.hypot(p[..., 0], p[..., 2]) - self.half[:, :, None, 0]
        q = np.abs(p) - self.half[:, :, None]
        is_round = self.round[:, :, None]
        q0, q2 = np.where(is_round, radial, q[..., 0]), np.where(is_round, radial, q[..., 2])
        out0, out1, out2 = np.maximum(q0, 0), np.maximum(q[..., 1], 0), np.where(is_round, 0, np.maximum(q2, 0))
        inside = np.minimum(np.maximum(np.maximum(q0, q[..., 1]), q2), 0)
        return (np.sqrt(out0**2 + out1**2 + out2**2) + inside - self.rounding[:, :, None]).min(1)


def stack_solids(things: list[Thing]) -> Solids:
    """The solids of several things."""
    far = Solid(False, (0.0, 99.0, 0.0), (0.0, 0.0, 0.0))
    rows = [(*thing.solids, far)[:2] for thing in things]
    return Solids(
        np.array([[s.round for s in row] for row in rows]),
        np.array([[s.centre for s in row] for row in rows]),
        np.array([[s.half for s in row] for row in rows]),
        np.array([[s.rounding for s in row] for row in rows]),
    )


def grid_faces(rows: int, columns: int) -> NDArray[np.int32]:
    """Triangles (2 (rows - 1)(columns - 1), 3) of a grid of vertices, row-major; rows downwards, columns to the right."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    lower = np.stack([corner, corner + columns, corner + 1], 1)
    upper = np.stack([corner + 1, corner + columns, corner + columns + 1], 1)
    return np.concatenate([lower, upper]).astype(np.int32)


def revolved(profile: Floats) -> Floats:
    """Vertices (P * AROUND, 3) of a profile (P, 2) of radius and height turned about y; a profile runs top to bottom."""
    angle = np.linspace(0, 2 * np.pi, AROUND)
    radius, height = profile[:, :1], np.repeat(profile[:, 1:], AROUND, 1)
    return np.stack([radius * np.sin(angle), height, radius * np.cos(angle)], -1).reshape(-1, 3)


def _revolved_layout(rows: int) -> tuple[NDArray[np.int32], Floats]:
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 2, AROUND), indexing="ij")
    return grid_faces(rows, AROUND), np.stack([u, v], -1).reshape(-1, 2)


def _box(half: Floats) -> Floats:
    """Vertices (6 * CELLS ** 2, 3) of a box, a grid of its own to each side so that edges stay sharp."""
    axis = np.linspace(-1, 1, CELLS)
    a, b = (x.reshape(-1, 1) for x in np.meshgrid(axis, axis, indexing="ij"))
    sides = []
    for k in range(3):
        for sign in (-1.0, 1.0):
            u, v = np.eye(3)[(k + 1) % 3], np.eye(3)[(k + 2) % 3]
            sides.append(sign * np.eye(3)[k] + a * u + sign * b * v)
    return np.concatenate(sides) * half


def _box_layout() -> tuple[NDArray[np.int32], Floats]:
    start = CELLS**2 * np.arange(6)[:, None, None]
    faces = (start + grid_faces(CELLS, CELLS)).reshape(-1, 3).astype(np.int32)
    v, u = np.meshgrid(np.linspace(0, 1, CELLS), np.linspace(0, 1, CELLS), indexing="ij")
    return faces, np.tile(np.stack([u, v], -1).reshape(-1, 2), (6, 1))


def _fine(profile: list[tuple[float, float]]) -> Floats:
    """A profile (ROWS, 2) with sharp corners: they are doubled, and long stretches are divided."""
    points = np.array(profile, np.float64)
    length = np.linalg.norm(np.diff(points, axis=0), axis=1)
    pieces = np.ones(len(length), int)
    while pieces.sum() + len(pieces) < ROWS:
        pieces[(length / pieces).argmax()] += 1
    rows = [points[k] + np.linspace(0, 1, n + 1)[:, None] * (points[k + 1] - points[k]) for k, n in enumerate(pieces)]
    return np.concatenate(rows)


def _loop(radius: float, tube: float, rows: int = 9, columns: int = 11) -> Floats:
    """Half a ring in the plane x = 0 that bulges along +z from the y axis: the handle of a mug."""
    turn, around = np.meshgrid(np.linspace(-1.75, 1.75, columns), np.linspace(0, 2 * np.pi, rows))
    reach = radius + tube * np.cos(around)
    return np.stack([tube * np.sin(around), reach * np.sin(turn), 0.8 * reach * np.cos(turn)], -1).reshape(-1, 3)


def _topology(name: str, parts: list[tuple[NDArray[np.int32], Floats]]) -> Topology:
    """One mesh of several parts, each faces and texture coordinates by vertex; kept under its name."""
    if name not in _GRID_CACHE:
        starts = np.cumsum([0, *(len(uv) for _, uv in parts)])
        faces = np.concatenate([part + start for (part, _), start in zip(parts, starts, strict=False)]).astype(np.int32)
        uv = np.concatenate([uv for _, uv in parts]).astype(np.float32)
        _GRID_CACHE[name] = Topology(f"held-{name}", faces, uv, faces, np.full(len(faces), OCCLUDER, np.uint8), False)
    return _GRID_CACHE[name]


def _turned_thing(
    kind: str, grip: str, profile: list[tuple[float, float]], solids: tuple[Solid, ...], thickness: float, upright: bool
) -> Thing:
    rows = _fine(profile)
    topology = _topology(kind, [_revolved_layout(len(rows))])
    return Thing(kind, grip, topology, revolved(rows), solids, thickness, float(np.ptp(rows[:, 1])), upright)


def _cylinder(rng: np.random.Generator, size: float) -> Thing:
    r, h = size * rng.uniform(0.018, 0.033), size * rng.uniform(0.045, 0.075)
    profile = [(0, h), (0.9 * r, h), (r, h - 0.1 * r), (r, 0.1 * r - h), (0.9 * r, -h), (0, -h)]
    return _turned_thing("cylinder", "power", profile, (Solid(True, (0, 0, 0), (r, h, r)),), 2 * r, True)


def _bottle(rng: np.random.Generator, size: float) -> Thing:
    r, h = size * rng.uniform(0.026, 0.034), size * rng.uniform(0.085, 0.11)
    neck, shoulder = rng.uniform(0.35, 0.5) * r, h * rng.uniform(0.3, 0.5)
    cap = 1.25 * neck
    profile = [(0, h), (cap, h), (cap, h - 0.016), (neck, h - 0.016), (neck, shoulder + 0.9 * r), (r, shoulder), (r, 0.004 - h),
               (0.9 * r, -h), (0, -h)]  # fmt: skip
    body = Solid(True, (0, (shoulder - h) / 2, 0), (r, (shoulder + h) / 2, r))
    top = Solid(True, (0, (shoulder + h) / 2, 0), (0.6 * r, (h - shoulder) / 2, 0.6 * r))
    return _turned_thing("bottle", "power", profile, (body, top), 2 * r, True)


def _mug(rng: np.random.Generator, size: float) -> Thing:
    r, h = size * rng.uniform(0.032, 0.038), size * rng.uniform(0.040, 0.050)
    wall = 0.9 * r
    rows = _fine([(0, 0.15 * h - h), (wall, 0.15 * h - h), (wall, h), (r, h), (r, -h), (0, -h)])
    handle = _loop(0.55 * h, 0.005) + np.array([0, 0, r])
    loop_uv = np.full((9 * 11, 2), 0.5)
    topology = _topology("mug", [_revolved_layout(len(rows)), (grid_faces(9, 11), loop_uv)])
    vertices = np.concatenate([revolved(rows), handle])
    return Thing("mug", "power", topology, vertices, (Solid(True, (0, 0, 0), (r, h, r)),), 2 * r, 2 * h, True)


def _ball(rng: np.random.Generator, size: float) -> Thing:
    r = size * rng.uniform(0.022, 0.038)
    turn = np.linspace(0, np.pi, 15)
    topology = _topology("ball", [_revolved_layout(15)])
    vertices = revolved(r * np.stack([np.sin(turn), np.cos(turn)], 1))
    return Thing("ball", "power", topology, vertices, (Solid(False, (0, 0, 0), (0, 0, 0), r),), 2 * r, 2 * r)


def _boxed(kind: str, grip: str, half: Floats, upright: bool = False) -> Thing:
    topology = _topology(kind, [_box_layout()])
    size = (float(half[0]), float(half[1]), float(half[2]))
    return Thing(kind, grip, topology, _box(half), (Solid(False, (0, 0, 0), size),), 2 * size[0], 2 * size[1], upright)


def _carton(rng: np.random.Generator, size: float) -> Thing:
    pinched = rng.random() < 0.5
    half = size * rng.uniform((0.010, 0.025, 0.018), (0.022, 0.060, 0.034))
    return _boxed("box", "pinch" if pinched else "power", half if pinched else half * (1.0, 1.0, 0.8), True)


def _phone(rng: np.random.Generator, size: float) -> Thing:
    scale = rng.uniform(0.92, 1.06) * np.clip(size, 0.9, 1.1)
    return _boxed("phone", "pinch", scale * np.array([0.0042, 0.074, 0.036]))


def _pen(rng: np.random.Generator, size: float) -> Thing:
    r, h = size * rng.uniform(0.0035, 0.0052), 0.070
    profile = [(0, h), (r, h), (r, 0.016 - h), (0.25 * r, -h), (0, -h)]
    return _turned_thing("pen", "tripod", profile, (Solid(True, (0, 0, 0), (r, h, r)),), 2 * r, False)


def _tool(rng: np.random.Generator, size: float) -> Thing:
    r, h = size * rng.uniform(0.010, 0.015), size * rng.uniform(0.055, 0.075)
    grip = Solid(True, (0, 0, 0), (r, h, r))
    if rng.random() < 0.5:  # a screwdriver
        shaft = 0.28 * r
        profile = [(0, h + 0.09), (shaft, h + 0.09), (shaft, h + 0.008), (0.7 * r, h), (r, h - 0.012), (r, -h), (0, -h)]
        return _turned_thing(
            "screwdriver", "power", profile, (grip, Solid(True, (0, h + 0.045, 0), (shaft, 0.045, shaft))), 2 * r, False
        )
    rows = _fine([(0, h + 0.08), (0.8 * r, h + 0.08), (0.8 * r, h), (r, 0.8 * h), (r, -h), (0, -h)])
    head = _box(np.array([0.012, 0.013, 0.045])) + np.array([0, h + 0.075, 0])
    topology = _topology("hammer", [_revolved_layout(len(rows)), _box_layout()])
    solids = (grip, Solid(False, (0, h + 0.075, 0), (0.012, 0.013, 0.045)))
    return Thing("hammer", "power", topology, np.concatenate([revolved(rows), head]), solids, 2 * r, 2 * h)


MAKERS: dict[str, Callable[[np.random.Generator, float], Thing]] = {
    "box": _carton, "cylinder": _cylinder, "ball": _ball, "mug": _mug, "bottle": _bottle, "phone": _phone, "pen": _pen,
    "tool": _tool,
}  # fmt: skip


def make_thing(rng: np.random.Generator, kind: str, size: float) -> Thing:
    """Draw a thing of a kind.

    Args:
        kind: a key of :data:`MAKERS`. size: factor on its usual size.
    """
    return MAKERS[kind](rng, size)
