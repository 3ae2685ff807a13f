"""Rotations in numpy agree with those in torch, near no turn and near half a turn, too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.models import turns
from sim2pose.models.bodies.skinning import joint_transforms
from sim2pose.models.geometry import axis_angle_to_matrix, axis_rotation
from sim2pose.models.joints import PARENTS


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-4, 1.0, np.pi - 1e-4])
def test_rotation_vectors(dtype: type, size: float) -> None:
    axes = np.random.default_rng(0).standard_normal((7, 5, 3))
    vectors = (size * axes / np.linalg.norm(axes, axis=-1, keepdims=True)).astype(dtype)
    found = turns.vectors_to_matrices(vectors)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, axis_angle_to_matrix(torch.from_numpy(vectors)).numpy(), atol=2e-6)


def test_turns_about_axes_follow_each_other() -> None:
    first, second, third = np.random.default_rng(1).uniform(-170, 170, (3, 9))
    quaternions = turns.then_about(turns.then_about(turns.about(1, first), 2, second), 0, third)
    expected = np.eye(3)
    for axis, angle in ((1, first), (2, second), (0, third)):
        expected = expected @ axis_rotation(axis, np.radians(angle))
    np.testing.assert_allclose(turns.quaternions_to_matrices(quaternions), expected, atol=1e-12)
    vectors = turns.quaternions_to_vectors(quaternions)
    assert np.linalg.norm(vectors, axis=-1).max() <= np.pi + 1e-12
    np.testing.assert_allclose(turns.vectors_to_matrices(vectors), expected, atol=1e-12)


@pytest.mark.parametrize("skeleton", ["smpl24", "smplx55", "mano16"])
def test_chains_of_joints(skeleton: str) -> None:
    rng, parents = np.random.default_rng(2), PARENTS[skeleton]
    local = turns.vectors_to_matrices(rng.standard_normal((4, len(parents), 3)))
    rest = rng.standard_normal((4, len(parents), 3))
    expected = joint_transforms(torch.from_numpy(local), torch.from_numpy(rest), tuple(parents))
    for found, wanted in zip(turns.chain(local, rest, tuple(parents)), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-12)


def test_cross_products() -> None:
    a, b = np.random.default_rng(3).standard_normal((2, 4, 3))
    np.testing.assert_allclose(turns.cross(a, b), np.cross(a, b), atol=1e-14)
    np.testing.assert_allclose(turns.cross(a[0], b), np.cross(a[0], b), atol=1e-14)
