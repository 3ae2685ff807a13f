"""Furniture around the people of a clip, and what they sit on: it stands still while the camera moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...looks.patterns import Bytes
from ...scenes.furniture import Things, build
from ...scenes.scene import Surface
from ...scenes.smooth import Floats
from .config import PropsConfig

POOL, TRIES = 24, 14
TALL, OFF = 0.5, 1.1
"""In heights of the subject: things taller than the first hide people, and stay the second further from the camera."""


def stool(seat: tuple[float, float, float, float], texture: Bytes, height: float) -> Surface:
    """What somebody sits on: a box whose top lies at the seat. ``height``: of the person, metres."""
    x, top, z, yaw = seat
    half = (0.15 * height, top / 2, 0.13 * height)
    return build([((0.0, top / 2, 0.0), half)], texture, yaw, (x, 0.0, z))


def furnish(
    rng: np.random.Generator,
    config: PropsConfig,
    things: Things,
    indoor: bool,
    paths: Sequence[Floats],
    camera: Floats,
    height: float,
) -> list[Surface]:
    """Furniture, plants, cars on a ring around the people, clear of them and of the camera, mostly not between the two.

    Args:
        paths: (T, 3) of each person. camera: (T, 3) places of the camera. height: of the subject; lengths grow with it.
    """
    surfaces: list[Surface] = []
    taken: list[tuple[Floats, float]] = []
    scale = height / 1.7
    everyone, eyes = np.concatenate(paths)[:, [0, 2]], camera[:, [0, 2]]
    for _ in range(int(rng.integers(config.count[0], config.count[1] + 1))):
        free, draws = rng.random() < config.between, rng.random((TRIES, 3))
        piece = things.clutter(rng, indoor, POOL, (0.0, 0.0))
        points = scale * np.concatenate([surface.vertices for surface in piece])
        radius, tall = float(np.hypot(points[:, 0], points[:, 2]).max()), float(points[:, 1].max()) > TALL * height
        for angle, far, whom in draws:
            from_point = everyone[int(whom * len(everyone))]
            distance = height * (config.ring[0] + far * (config.ring[1] - config.ring[0])) + radius
            turn = 2 * np.pi * angle
            spot = from_point + distance * np.array([np.sin(turn), np.cos(turn)])
            clear = 0.45 * height + radius
            if _distance(spot, everyone) < clear or _distance(spot, eyes) < clear + OFF * height * tall:
                continue
            if (tall or not free) and sight(spot, paths[0][:, [0, 2]], eyes).min() < radius + 0.12 * height:
                continue
            if any(np.linalg.norm(spot - other) < radius + size for other, size in taken):
                continue
            taken.append((spot, radius))
            for surface in piece:
                surface.vertices = (scale * surface.vertices + (spot[0], 0.0, spot[1])).astype(np.float32)
            surfaces += piece
            break
    return surfaces


def _distance(spot: Floats, points: Floats) -> float:
    return float(np.linalg.norm(points - spot, axis=1).min())


def sight(spot: Floats, subject: Floats, eyes: Floats) -> Floats:
    """Distances (T,) of spots (2,) or (T, 2) on the ground from the lines of sight between ``subject`` and ``eyes``, (T, 2)."""
    way = subject - eyes
    along = np.clip(((spot - eyes) * way).sum(1) / np.maximum((way**2).sum(1), 1e-9), 0, 1)
    return np.asarray(np.linalg.norm(eyes + along[:, None] * way - spot, axis=1))
