"""Infants on their backs: legs that kick in bursts, arms that wander, a head that turns."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ....datasets.mocap.rotations import global_rotations, matrix_to_rotvec
from ....datasets.mocap.target import Target
from ....models.bodies.body import Body
from ....models.bodies.skinning import skin
from ....models.geometry import axis_rotation
from ...poses.angles import COLUMN, angles_to_pose
from ...poses.postures import NAMES
from ...scenes.smooth import Floats, band_noise
from .motion import Motion, to_motion

SINK = 0.004
"""Depth to which the back presses into the surface, metres."""


def kick(rng: np.random.Generator, body: Body, target: Target, betas: NDArray[np.float32], times: Floats) -> Motion:
    """Draw a clip of an infant of 24 joints who lies on the back; ``betas`` (N,) are those of ``target``."""
    angles = np.zeros((len(times), len(NAMES)))

    def put(name: str, mean: float, spread: float, band: tuple[float, float] = (0.1, 0.6)) -> None:
        angles[:, COLUMN[name]] = mean + spread * band_noise(rng, times, band)[:, 0]

    put("neck_turn", rng.uniform(-30, 30), 14, (0.05, 0.3))
    put("neck_flex", rng.uniform(0, 10), 3)
    put("spine_side", rng.uniform(-6, 6), 3)
    put("spine_turn", 0.0, 3)
    rate, both = rng.uniform(0.5, 1.1), rng.random() < 0.3
    for side, key in enumerate("lr"):
        _leg(rng, angles, times, key, rate, 0.0 if both else 0.5 * side)
        up = rng.random() < 0.5
        put(f"{key}_shoulder_plane", rng.uniform(12, 28) if up else rng.uniform(20, 60), 8)
        put(f"{key}_shoulder_elev", rng.uniform(75, 105) if up else rng.uniform(30, 65), 10)
        put(f"{key}_shoulder_rot", rng.uniform(30, 55) if up else rng.uniform(-5, 15), 8)
        put(f"{key}_elbow", rng.uniform(55, 100), 18, (0.2, 1.2))
        put(f"{key}_forearm", rng.uniform(-10, 20), 10)
        put(f"{key}_wrist_flex", 5, 10)
        put(f"{key}_fist", rng.uniform(15, 45), 10)
    pose = angles_to_pose(angles).double().numpy()
    roll = np.radians(rng.normal(0, 4)) + np.radians(3) * band_noise(rng, times, (0.1, 0.4))[:, 0]
    pose[:, 0] = matrix_to_rotvec(axis_rotation(0, np.full(len(times), -np.pi / 2)) @ axis_rotation(1, roll))
    height = _lying_height(body, betas, pose)
    pelvis = np.tile([0.0, height, 0.0], (len(times), 1))
    return to_motion("kick", global_rotations(pose, target.parents), pelvis, target, lying=True)


def _leg(rng: np.random.Generator, angles: Floats, times: Floats, key: str, rate: float, apart: float) -> None:
    """Flex and stretch a leg in phase; bursts come and go, and a stretched leg stays above the bed."""
    drift = 0.12 * band_noise(rng, times, (0.1, 0.5))[:, 0]
    phase = 2 * np.pi * (rate * times + apart + drift + rng.uniform(-0.08, 0.08))
    vigour = np.clip(0.65 + 0.35 * band_noise(rng, times, (0.1, 0.4))[:, 0], 0.1, 1.0)
    hip = rng.uniform(58, 76) + 34 * vigour * np.sin(phase)
    bend = rng.uniform(1.05, 1.35) + 0.4 * vigour * np.sin(phase + 0.7)
    angles[:, COLUMN[f"{key}_hip_flex"]] = hip
    angles[:, COLUMN[f"{key}_hip_abd"]] = rng.uniform(22, 42) + 6 * band_noise(rng, times, (0.1, 0.6))[:, 0]
    angles[:, COLUMN[f"{key}_hip_rot"]] = rng.uniform(5, 22)
    angles[:, COLUMN[f"{key}_knee"]] = np.clip(hip * bend, 5, 140)
    angles[:, COLUMN[f"{key}_ankle"]] = rng.uniform(0, 18) + 8 * band_noise(rng, times, (0.2, 1.0))[:, 0]


def _lying_height(body: Body, betas: NDArray[np.float32], pose: Floats) -> float:
    """Height of the pelvis at which trunk and head lie :data:`SINK` deep, the median over some frames."""
    some = pose[:: max(1, len(pose) // 16)]
    rows = torch.from_numpy(np.ascontiguousarray(some, np.float32))
    shape = torch.from_numpy(np.tile(betas, (len(rows), 1)))
    with torch.no_grad():
        planes, joints = skin(body.mesh, body.shape_columns(shape), rows)
    trunk = torch.from_numpy(np.isin(body.weights.argmax(1), [0, 3, 6, 9, 12, 15]))
    lowest = planes[:, 1][:, trunk].amin(1) - joints[:, 0, 1]
    return float(-lowest.median()) - SINK
