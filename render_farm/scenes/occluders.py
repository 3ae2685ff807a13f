"""Things that stand round a body: bars of a cot seen from afar, a table to stand at.

All are surfaces with part id 255. Meshes are static; looks come from pools.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes
from .meshes import box, occluder_topology, turned
from .scene import Camera, Ground, Surface, Topology

Floats = NDArray[np.floating]


@cache
def block_topology() -> Topology:
    """The topology of every box."""
    return occluder_topology("furniture-box", box(12)[1], box(12)[2])


def cot_rail(
    rng: np.random.Generator, camera: Camera, target: Floats, ground: Ground | None, texture: Bytes
) -> list[Surface]:
    """The side of a cot between the camera and the body: a rail below, one above, and bars from one to the other.

    It stands on the bed, or reaches below its edge.
    """
    eye, spacing, half = camera.position, rng.uniform(0.065, 0.10), rng.uniform(0.004, 0.008)
    high, count = rng.uniform(0.36, 0.60), 13
    away = np.array([target[0] - eye[0], 0, target[2] - eye[2]])
    far = float(np.linalg.norm(away))
    away = away / max(far, 1e-6)
    near = min(rng.uniform(0.28, 0.45), 0.6 * far)  # the body lies behind it, the camera stays outside
    shift, across = rng.uniform(-0.5, 0.5) * spacing, np.cross((0, 1, 0), away)
    middle, yaw = np.asarray(target) * (1, 0, 1) - near * away, float(np.arctan2(across[0], across[2]))
    foot = 0.0 if ground is None or ground.half_size is None or _within(ground, middle) else -rng.uniform(0.15, 0.3)
    points, tall = box(12)[0], (high - foot) / 2
    uprights = [((half, tall, half), shift + (k - count // 2) * spacing, foot + tall) for k in range(count)]
    rails = [((1.6 * half, 2.2 * half, count * spacing / 2), shift, y) for y in (foot + 2.2 * half, high)]
    surfaces = []
    for size, place, y in [*uprights, *rails]:
        vertices = turned(points * size, yaw) + middle + place * across + (0, y, 0)
        surfaces.append(Surface(block_topology(), vertices.astype(np.float32), texture, specular=0.08))
    return surfaces


def _within(ground: Ground, point: Floats) -> bool:
    """Whether a point lies above a finite ground."""
    assert ground.half_size is not None
    c, s = np.cos(ground.yaw), np.sin(ground.yaw)
    x, z = point[0] - ground.centre[0], point[2] - ground.centre[1]
    return bool(abs(x * c - z * s) < ground.half_size[0] and abs(x * s + z * c) < ground.half_size[1])


def table(rng: np.random.Generator, joints: Floats, texture: Bytes) -> Surface:
    """A low table that a standing infant holds on to: beneath the hands, in front of the body."""
    hands = joints[[20, 21, 22, 23]]
    facing = np.cross(joints[1] - joints[2], (0, 1, 0)) * (1, 0, 1)
    facing = facing / max(float(np.linalg.norm(facing)), 1e-6)
    height = float(hands[:, 1].min()) - 0.018
    hips = (joints[1] + joints[2]) / 2
    knees = joints[[4, 5, 10, 11]]
    near = max(float(((hands - hips) @ facing).min()) - 0.02, float(((knees - hips) @ facing).max()) + 0.05)
    half = np.array([rng.uniform(0.20, 0.40), max(height, 0.04) / 2, rng.uniform(0.12, 0.22)])
    centre = hips + facing * (near + half[2])
    points = turned(box(12)[0] * half, float(np.arctan2(facing[0], facing[2])))
    vertices = (points + np.array([centre[0], half[1], centre[2]])).astype(np.float32)
    return Surface(block_topology(), vertices, texture, specular=0.06)
