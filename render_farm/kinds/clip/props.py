"""Furniture around the people of a clip: boxes, shelves, tables, stools and columns that stand still while the camera moves."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...looks.patterns import Bytes, draw_palette, finish, noise, tile
from ...poses.angles import choose
from ...scenes.scene import OCCLUDER, Surface, Topology
from ...scenes.smooth import Floats
from .config import PropsConfig

LOOKS, _LOOK_STREAM = 24, 431
FORMS = {"box": 0.3, "shelf": 0.22, "table": 0.2, "bench": 0.16, "column": 0.12}
TRIES = 14


@cache
def _cuboids(count: int) -> Topology:
    """Topology of ``count`` boxes with corners of their own on each side, so that edges stay sharp."""
    quads = np.arange(6 * count)[:, None] * 4
    faces = np.concatenate([quads + np.array([0, 1, 2]), quads + np.array([0, 2, 3])]).astype(np.int32)
    corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    uv = np.tile(corner, (6 * count, 1))
    return Topology(f"clip-boxes-{count}", faces, uv, faces, np.full(len(faces), OCCLUDER, np.uint8), two_sided=False)


def boxes(parts: list[tuple[Floats, Floats]], yaw: float, spot: tuple[float, float], texture: Bytes) -> Surface:
    """One surface of boxes.

    Args:
        parts: (centre (3,), half sides (3,)) of each in metres, before the turn. yaw: about +Y. spot: x, z on the ground.
    """
    points = []
    for centre, half in parts:
        for axis in range(3):
            u, v = np.eye(3)[(axis + 1) % 3] * half, np.eye(3)[(axis + 2) % 3] * half
            for sign in (-1.0, 1.0):
                middle = centre + sign * half * np.eye(3)[axis]
                points += [middle + a * sign * u + b * v for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    c, s = np.cos(yaw), np.sin(yaw)
    turned = np.array(points) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T + (spot[0], 0.0, spot[1])
    return Surface(_cuboids(len(parts)), turned.astype(np.float32), texture, specular=0.04, wrap=0.1)


def stool(seat: tuple[float, float, float, float], texture: Bytes, height: float) -> Surface:
    """What somebody sits on: a box whose top lies at the seat. ``height``: of the person, metres."""
    x, top, z, yaw = seat
    half = np.array([0.15, 0.0, 0.13]) * height
    half[1] = top / 2
    return boxes([(np.array([0.0, top / 2, 0.0]), half)], yaw, (x, z), texture)


def furnish(
    rng: np.random.Generator, config: PropsConfig, looks: PropLooks, paths: list[Floats], camera: Floats, height: float
) -> list[Surface]:
    """Furniture on a ring around the people, clear of them and of the camera, mostly not between the two.

    Args:
        paths: (T, 3) of each person. camera: (T, 3) places of the camera. height: of the subject; lengths grow with it.
    """
    surfaces: list[Surface] = []
    taken: list[tuple[Floats, float]] = []
    scale = height / 1.7
    everyone = np.concatenate(paths)[:, [0, 2]]
    eyes = camera[:, [0, 2]]
    for _ in range(int(rng.integers(config.count[0], config.count[1] + 1))):
        form, look, free = choose(rng, FORMS), int(rng.integers(LOOKS)), rng.random() < config.between
        parts, radius = _form(rng, form)
        yaw, draws = rng.uniform(-np.pi, np.pi), rng.random((TRIES, 3))
        for angle, far, whom in draws:
            from_point = everyone[int(whom * len(everyone))]
            distance = height * (config.ring[0] + far * (config.ring[1] - config.ring[0])) + scale * radius
            turn = 2 * np.pi * angle
            spot = from_point + distance * np.array([np.sin(turn), np.cos(turn)])
            clear = 0.45 * height + scale * radius
            if _distance(spot, everyone) < clear or _distance(spot, eyes) < clear:
                continue
            if not free and _in_the_way(spot, paths[0][:, [0, 2]], eyes) < scale * radius + 0.12 * height:
                continue
            if any(np.linalg.norm(spot - other) < scale * radius + size for other, size in taken):
                continue
            taken.append((spot, scale * radius))
            grown = [(scale * centre, scale * half) for centre, half in parts]
            surfaces.append(boxes(grown, yaw, (float(spot[0]), float(spot[1])), looks.texture(look)))
            break
    return surfaces


def _distance(spot: Floats, points: Floats) -> float:
    return float(np.linalg.norm(points - spot, axis=1).min())


def _in_the_way(spot: Floats, subject: Floats, eyes: Floats) -> float:
    """Least distance of a spot from the lines of sight (T, 2) on the ground."""
    way = subject - eyes
    along = np.clip(((spot - eyes) * way).sum(1) / np.maximum((way**2).sum(1), 1e-9), 0, 1)
    return float(np.linalg.norm(eyes + along[:, None] * way - spot, axis=1).min())


def _form(rng: np.random.Generator, form: str) -> tuple[list[tuple[Floats, Floats]], float]:
    """Boxes of a piece of furniture, (centre, half sides) in metres, and its radius on the ground."""
    a, b, c = rng.random(3)

    def box(x: float, y: float, z: float, wide: float, high: float, deep: float) -> tuple[Floats, Floats]:
        return np.array([x, y, z]), np.array([wide, high, deep]) / 2

    if form == "shelf":
        wide, high, deep = 0.7 + 0.7 * a, 1.2 + 0.9 * b, 0.3 + 0.15 * c
        sides = [box(x * wide / 2, high / 2, 0, 0.04, high, deep) for x in (-1, 1)]
        boards = [box(0, y * high, 0, wide, 0.035, deep) for y in (0.06, 0.36, 0.66, 0.97)]
        return [*sides, *boards, box(0, high / 2, -deep / 2, wide, high, 0.02)], wide / 2
    if form == "table":
        wide, high, deep = 0.8 + 0.8 * a, 0.68 + 0.1 * b, 0.6 + 0.3 * c
        legs = [
            box(x * (wide / 2 - 0.06), high / 2, z * (deep / 2 - 0.06), 0.06, high, 0.06)
            for x in (-1, 1)
            for z in (-1, 1)
        ]
        return [box(0, high, 0, wide, 0.04, deep), *legs], float(np.hypot(wide, deep)) / 2
    if form == "bench":
        wide, deep = 1.0 + 0.9 * a, 0.5 + 0.3 * b
        return [box(0, 0.22, 0, wide, 0.44, deep), box(0, 0.5, -0.45 * deep, wide, 0.5 + 0.3 * c, 0.16)], wide / 2
    if form == "column":
        side, high = 0.25 + 0.2 * a, 2.4 + 0.8 * b
        return [box(0, high / 2, 0, side, high, side)], 0.7 * side
    wide, high, deep = 0.35 + 0.7 * a, 0.3 + 0.8 * b, 0.35 + 0.6 * c
    return [box(0, high / 2, 0, wide, high, deep)], float(np.hypot(wide, deep)) / 2


class PropLooks:
    """The surfaces of one job's furniture; entry j is a pure function of (seed, j)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._textures: dict[int, NDArray[np.uint8]] = {}

    def texture(self, index: int) -> Bytes:
        """Entry ``index``: (128, 128, 3) uint8 sRGB."""
        if index not in self._textures:
            rng = np.random.default_rng([self.seed, _LOOK_STREAM, index])
            kind = choose(rng, {"plain": 4, "stripes": 1.2, "checks": 1, "blocks": 1, "heather": 1})
            colours = draw_palette(rng, (22, 90), (2, 42))
            colours[1:] = colours[0] + rng.uniform(0.2, 0.7) * (colours[1:] - colours[0])
            grain = 1 + 0.06 * noise(rng, 128, 16, aspect=6.0) + 0.03 * noise(rng, 128, 40)
            self._textures[index] = finish(tile(rng, kind, colours, 128), grain.astype(np.float32))
        return self._textures[index]
