"""Plausible hand poses, from which the open hands and open-person take their pose components.

Poses whose fingers or palm sink into each other are drawn again; see :mod:`..hand_draws`.
"""

from __future__ import annotations

import numpy as np

from ..gestures import hand_pose
from ..hand_draws import OVERLAP_MM, draw_angles, overlap


def hand_poses(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw ``n`` poses of a **right** hand, (n, 45) float64: axis-angle in radians, MANO's joints, about the flat hand.

    The left hand's pose is the same times (1, -1, -1) for each joint.
    """
    found = np.zeros((0, 21))
    while len(found) < n:
        angles = draw_angles(rng, max(64, n))
        found = np.concatenate([found, angles[overlap(hand_pose(angles, "right")) <= OVERLAP_MM]])
    return hand_pose(found[:n], "right")


def hand_pca(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (45,) and principal components (45, 45) of poses (N, 45), as MANO's ``hands_mean`` and ``hands_components``.

    Rows are orthonormal, in falling order of variance; each has a positive sum, so that signs do not depend on the machine.
    """
    mean = poses.mean(0)
    _, vectors = np.linalg.eigh(np.cov(poses.T))
    components = vectors.T[::-1]
    return mean, components * np.where(components.sum(1) < 0, -1.0, 1.0)[:, None]
