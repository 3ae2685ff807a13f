"""A capture volume's floor is seldom level: half a degree lifts a walker by 4 cm over 5 m. Found by standing feet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .feet import STILL, speeds
from .rotations import shortest_rotation
from .skeleton import Motion

BAND = (0.08, 0.03, 0.02)
"""Standing toes this near to the floor found so far take part in the next fit, metres."""

NOISE = 0.008
"""Standard deviation of a standing toe's height, metres; a step counts once, however many frames it lasts."""

SLOPE = 0.01
"""Standard deviation expected of the floor's slope (0.6 degrees): keeps short takes from inventing one."""

LIMIT = np.radians(2)
"""A floor is never tilted by more than this: what is, is a ramp, or stairs."""


def level_floor(motion: Motion, toes: Sequence[np.ndarray], ankles: Sequence[np.ndarray]) -> tuple[Motion, float]:
    """Turn a take such that the floor under its standing feet is level; the rest pose stays.

    Args:
        motion: Y up, metres.
        toes, ankles: (T, 3) positions of both feet in the world.

    Returns:
        the motion, and the tilt in degrees that was taken out; 0 where no floor is found (fewer than ten frames of
        standing, or a slope of more than 2 degrees).
    """
    still = [
        (speeds(t, motion.fps) < STILL) & (speeds(a, motion.fps) < STILL) for t, a in zip(toes, ankles, strict=True)
    ]
    points = np.concatenate([toe[stands] for toe, stands in zip(toes, still, strict=True)])
    if len(points) < 10:
        return motion, 0.0
    middle = points.mean(0)
    # A height for each foot: markers sit otherwise on the left than on the right, which is no slope.
    foot = np.repeat(np.eye(len(toes)), [int(stands.sum()) for stands in still], 0)
    flat = np.column_stack([points[:, [0, 2]] - middle[[0, 2]], foot])
    plane = np.array([0.0, 0.0, *[np.percentile(points[:, 1], 20)] * len(toes)])
    for band in BAND:
        near = np.abs(points[:, 1] - flat @ plane) < band
        if near.sum() < 10:
            return motion, 0.0
        plane = _fit(flat[near], points[near, 1], motion.fps)
    if np.hypot(*plane[:2]) > np.tan(LIMIT):
        return motion, 0.0
    turn = shortest_rotation(np.array([-plane[0], 1.0, -plane[1]]), np.array([0.0, 1.0, 0.0]))
    rotations = motion.rotations.copy()
    rotations[:, 0] = turn @ rotations[:, 0]
    translation = (motion.translation - middle) @ turn.T + middle
    tilt = float(np.degrees(np.arctan(np.hypot(*plane[:2]))))
    return replace(motion, rotations=rotations, translation=translation), tilt


def _fit(flat: np.ndarray, heights: np.ndarray, fps: float) -> np.ndarray:
    """Slopes along x and z, then a height a foot: least squares with a prior on slopes, a third of a second a step."""
    weight = 3 / (fps * NOISE**2)
    prior = np.diag([1 / SLOPE**2, 1 / SLOPE**2, *[1e-6] * (flat.shape[1] - 2)])
    return np.linalg.solve(weight * flat.T @ flat + prior, weight * flat.T @ heights)
