"""What infants lie in: the edge of a mattress, a cot with bars, a padded nest, a basket; and cushions beside them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes, Singles, draw_colour, finish, noise
from .config import OccluderConfig
from .meshes import box, grid_faces, occluder_topology, tapered, turned
from .scene import Camera, Ground, Surface, Topology

_COT_STREAM = 402
_ROUND = 280  # columns round a mattress
_RIM = 73  # columns round a nest
_TUBE = 12
_LONG, _SHORT = 16, 10  # bars of a cot's sides
_BAR = 28  # vertices of a bar
_NEAR = 0.14  # metres: bars nearer to the camera than this are left out
_AWAY = np.array([0.0, -0.6, 0.0])
Floats = NDArray[np.floating]


@cache
def _edge_topology() -> Topology:
    u, v = np.meshgrid(np.arange(_ROUND + 1) / 14.0, np.linspace(0, 0.4, 4))
    faces = grid_faces(4, _ROUND + 1)
    return occluder_topology("mattress-edge", faces, np.stack([u.reshape(-1), v.reshape(-1)], 1))


def _around(half: tuple[float, float], grow: Floats, count: int, power: float) -> Floats:
    """Points (len(grow), count + 1, 2) round a rectangle with rounded corners, each ring ``grow`` metres wider."""
    angle = np.linspace(0, 2 * np.pi, count + 1)
    c, s = np.cos(angle), np.sin(angle)
    radius = (np.abs(c) ** power + np.abs(s) ** power) ** (-1 / power)
    ring = np.stack([radius * c * half[0], radius * s * half[1]], -1)
    outwards = np.stack(
        [np.abs(c) ** (power - 1) * np.sign(c) / half[0], np.abs(s) ** (power - 1) * np.sign(s) / half[1]], -1
    )
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    return ring[None] + grow[:, None, None] * outwards[None]


def _corners(half: tuple[float, float], grow: Floats) -> Floats:
    """Points (len(grow), _ROUND + 1, 2) round a rectangle with sharp corners; wider rings round them off."""
    side = _ROUND // 4
    way = np.linspace(-1, 1, side, endpoint=False)
    x, y = half
    one = np.ones(side)
    ring = np.concatenate([
        np.stack([x * one, y * way], 1), np.stack([-x * way, y * one], 1), np.stack([-x * one, -y * way], 1),
        np.stack([x * way, -y * one], 1), [[x, -y]],
    ])  # fmt: skip
    normal = np.repeat([[1.0, 0], [0, 1], [-1, 0], [0, -1]], side, 0)
    normal[::side] = (normal[::side] + np.roll(normal[::side], 1, 0)) * 0.75  # rounds the corners
    normal = np.concatenate([normal, normal[:1]])
    return ring[None] + grow[:, None, None] * normal[None]


def mattress_edge(ground: Ground, thickness: float) -> Surface:
    """The rounded sides of a bounded ground: a mattress, or a mat where ``thickness`` is small (metres)."""
    assert ground.half_size is not None
    bevel = min(0.022, 0.4 * thickness)
    grow = bevel * np.array([0.0, 0.6, 1.0, 0.9])
    down = np.array([0.0, -0.2 * bevel, -1.1 * bevel, -thickness])
    flat = _corners(ground.half_size, grow)
    points = np.stack([flat[..., 0], np.repeat(down[:, None], _ROUND + 1, 1), flat[..., 1]], -1).reshape(-1, 3)
    return Surface(_edge_topology(), _placed(points, ground), ground.texture, specular=0.0)


def _placed(points: Floats, ground: Ground) -> Singles:
    """Points given about a ground's middle, in the world."""
    moved = turned(points, ground.yaw) + np.array([ground.centre[0], ground.height, ground.centre[1]])
    return np.ascontiguousarray(moved, np.float32)


@cache
def _cot_topology() -> Topology:
    bars, panels = 2 * (_LONG + _SHORT), 10
    points, faces, uv = tapered(1.0, 7, 2)
    points_box, faces_box, uv_box = box()
    assert len(points) == _BAR
    all_faces = [faces + k * _BAR for k in range(bars)]
    all_faces += [faces_box + bars * _BAR + k * len(points_box) for k in range(panels)]
    return occluder_topology(
        "cot", np.concatenate(all_faces), np.concatenate([np.tile(uv, (bars, 1)), np.tile(uv_box, (panels, 1))])
    )


def cot(rng: np.random.Generator, config: OccluderConfig, camera: Camera, ground: Ground, texture: Bytes) -> Surface:
    """A cot round a mattress: bars or boards at the ends, bars along the sides, rails above and below.

    The side towards the camera may be let down, and bars right before the lens are left out.
    """
    assert ground.half_size is not None
    x, y = ground.half_size[0] + 0.035, ground.half_size[1] + 0.035
    top, bottom = rng.uniform(*config.cot_height), -rng.uniform(0.10, 0.22)
    radius, boards = rng.uniform(0.006, 0.011), rng.random() < 0.35
    open_side = rng.random() < config.cot_open
    eye = turned(
        np.array([[camera.position[0] - ground.centre[0], 0, camera.position[2] - ground.centre[1]]]), -ground.yaw
    )[0]
    facing = int(np.argmax([eye[0] / x, eye[2] / y, -eye[0] / x, -eye[2] / y]))  # which side the camera is at
    bar = tapered(1.0, 7, 2)[0] * (radius, 0.5 * (top - bottom), radius) + (0, 0.5 * (top + bottom), 0)
    parts, rails = [], []
    none = np.broadcast_to(_AWAY, box()[0].shape)
    ways = (((x, 0), (0, y), _LONG), ((0, y), (x, 0), _SHORT), ((-x, 0), (0, y), _LONG), ((0, -y), (x, 0), _SHORT))
    for side, (middle, reach, count) in enumerate(ways):
        hidden, solid = open_side and side == facing, boards and side % 2 == 1
        share = ((2 * np.arange(count) + 1) / count - 1)[:, None]
        places = np.insert(np.array(middle) + share * np.array(reach), 1, 0.0, axis=1)
        bars = bar[None] + places[:, None]
        close = np.hypot(places[:, 0] - eye[0], places[:, 2] - eye[2]) < _NEAR
        bars[close | hidden | solid] = _AWAY
        parts.append(bars.reshape(-1, 3))
        centre, half = (
            np.array([middle[0], 0.0, middle[1]]),
            np.array([max(reach[0], 0.012), 0.018, max(reach[1], 0.012)]),
        )
        for height in (top, bottom):
            shown = not (hidden and height == top)
            rails.append(box()[0] * half + centre + (0, height, 0) if shown else none)
        if side % 2 == 1:
            board = box()[0] * (x, 0.5 * (top - bottom), 0.009) + centre + (0, 0.5 * (top + bottom), 0)
            rails.append(board if solid and not hidden else none)
    return Surface(_cot_topology(), _placed(np.concatenate([*parts, *rails]), ground), texture, specular=0.06)


@cache
def _nest_topology() -> Topology:
    u, v = np.meshgrid(np.linspace(0, 8, _RIM), np.linspace(0, 1, _TUBE))
    return occluder_topology("nest", grid_faces(_TUBE, _RIM), np.stack([u.reshape(-1), v.reshape(-1)], 1))


def nest(
    rng: np.random.Generator, vertices: Floats, long: Floats, texture: Bytes, basket: bool, widest: float = 0.46
) -> list[Surface]:
    """A padded rim, or the woven wall of a basket, round lying bodies; none where they sprawl wider than ``widest``.

    Args:
        vertices: (V, 3) of the bodies, metres. long: (3,) from the feet to the head.
    """
    radius, ease, power = rng.uniform(0.028, 0.048), rng.uniform(0.015, 0.05), rng.uniform(2.6, 4.0)
    wall, yaw = rng.uniform(0.12, 0.22), float(np.arctan2(long[0], long[2]))
    flat = turned(vertices[::7], -yaw)
    low, high = flat.min(0), flat.max(0)
    middle, extent = 0.5 * (low + high) * (1, 0, 1), 0.5 * (high - low)[[0, 2]]
    share = np.abs((flat - middle)[:, [0, 2]]) / extent
    reach = float((share**power).sum(1).max()) ** (1 / power)  # so that nobody lies across a rounded corner
    half = reach * extent + ease + (0.01 if basket else radius)
    if half[0] > widest:
        return []
    around = np.linspace(0, 2 * np.pi, _TUBE)
    if basket:
        sway = np.interp(np.arange(_TUBE), [0, 4, 5, 6, 7, 11], [0.0, 0.03, 0.045, 0.055, 0.05, 0.015])
        up = np.interp(np.arange(_TUBE), [0, 4, 5, 6, 7, 11], [-0.02, 0.95, 1.0, 0.97, 0.9, -0.04]) * wall
    else:
        sway, up = -radius * np.cos(around), radius * 0.9 * np.sin(around) + 0.75 * radius
    ring = _around((float(half[0]), float(half[1])), sway, _RIM - 1, power)
    points = np.stack([ring[..., 0], np.repeat(up[:, None], _RIM, 1), ring[..., 1]], -1)
    world = turned(points.reshape(-1, 3) + middle, yaw)
    return [Surface(_nest_topology(), np.ascontiguousarray(world, np.float32), texture, specular=0.0)]


class Woods:
    """What a job's furniture is made of: painted or bare wood; entry j is a pure function of (seed, j)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._textures: dict[int, Bytes] = {}

    def texture(self, index: int) -> Bytes:
        """Entry ``index``: (64, 64, 3) uint8 sRGB."""
        if index not in self._textures:
            rng = np.random.default_rng([self.seed, _COT_STREAM, index])
            painted, grain = rng.random() < 0.5, noise(rng, 64, 9, aspect=8.0)
            bare = np.array([rng.uniform(45, 82), rng.uniform(4, 12), rng.uniform(14, 28)], np.float32)
            white = np.array([rng.uniform(80, 95), 0, rng.uniform(0, 5)], np.float32)
            colour = bare if not painted else white if rng.random() < 0.7 else draw_colour(rng, (40, 90), (0, 25))
            lab = np.zeros((64, 64, 3), np.float32) + colour
            self._textures[index] = finish(lab, 1 + (0.015 if painted else 0.09) * grain)
        return self._textures[index]
