"""A small world of poses: the body's joints, arms that mirror each other, and Gaussian densities of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.models.bodies import Body, load_body
from sim2pose.models.joints import joint_set
from sim2pose.models.priors import GaussianDensity, PoseSpace

JOINTS = joint_set("smplx55").joints[1:22]


def made_poses(count: int, seed: int, spread: float = 0.2) -> np.ndarray:
    """Poses (count, 21, 3) whose right side mirrors the left, but for a little noise."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 1, (count, len(JOINTS), 3)) * (spread * np.array([1.0, 0.6, 0.4]))
    for k, name in enumerate(JOINTS):
        if name.startswith("right_"):
            left = JOINTS.index(name.replace("right", "left"))
            pose[:, k] = pose[:, left] * [1, -1, -1] + rng.normal(0, 0.03, (count, 3))
    pose[:, JOINTS.index("left_shoulder"), 2] -= 1.1
    pose[:, JOINTS.index("right_shoulder"), 2] += 1.1
    return pose.astype(np.float32)


def gaussian(pose: np.ndarray, joints: tuple[str, ...] = JOINTS, full: bool = True) -> GaussianDensity:
    """A Gaussian with the moments of poses."""
    given = torch.from_numpy(pose)
    space = PoseSpace.fit(given, joints, "smplx55")
    density = GaussianDensity(space, full=full, shrinkage=0.0)
    density.initialise(space.standardise(space.to_coordinates(given))[0])
    return density.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def person() -> Body:
    return load_body("open-person")


@pytest.fixture(scope="session")
def density() -> GaussianDensity:
    return gaussian(made_poses(4000, 0))
