"""Rotations against reference vectors and against each other."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from sim2pose.datasets.mocap.rotations import (
    between,
    euler_to_matrix,
    geodesic,
    matrix_to_euler,
    matrix_to_quaternion,
    matrix_to_rotvec,
    rotvec_to_matrix,
    shortest_rotation,
    twist_angle,
)

VECTORS = np.random.default_rng(0).normal(size=(200, 3))


def test_one_turn_by_hand() -> None:
    quarter = euler_to_matrix(np.radians([90.0]), "Z")
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    # Channels from left to right: first letter outermost.
    both = euler_to_matrix(np.radians([90.0, 90.0]), "ZX")
    np.testing.assert_allclose(both @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_array_equal(euler_to_matrix(np.zeros((2, 0)), ""), np.stack([np.eye(3)] * 2))


@pytest.mark.parametrize("order", map("".join, itertools.permutations("XYZ")))
def test_euler_round_trip(order: str) -> None:
    matrices = rotvec_to_matrix(VECTORS)
    np.testing.assert_allclose(euler_to_matrix(matrix_to_euler(matrices, order), order), matrices, atol=1e-12)
    pole = euler_to_matrix(np.radians([[20.0, 90.0, 30.0], [20.0, -90.0, 30.0]]), order)
    np.testing.assert_allclose(euler_to_matrix(matrix_to_euler(pole, order), order), pole, atol=1e-9)


def test_rotation_vectors_near_zero_and_pi() -> None:
    axis = np.array([0.6, 0.0, 0.8])
    for angle in (0.0, 1e-12, 1e-7, 1.0, np.pi - 1e-7, np.pi):
        back = matrix_to_rotvec(rotvec_to_matrix(angle * axis))
        np.testing.assert_allclose(rotvec_to_matrix(back), rotvec_to_matrix(angle * axis), atol=1e-12)
        assert np.linalg.norm(back) == pytest.approx(angle, abs=1e-9)


def test_shortest_rotation_and_twist() -> None:
    a, b = VECTORS[:100], VECTORS[100:]
    turn = shortest_rotation(a, b)
    moved = (turn @ a[..., None])[..., 0]
    np.testing.assert_allclose(np.cross(moved, b), 0, atol=1e-9)
    assert ((moved * b).sum(-1) > 0).all()
    opposite = shortest_rotation(np.array([0.0, 2, 0]), np.array([0.0, -1, 0]))
    np.testing.assert_allclose(opposite @ [0, 1, 0], [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(opposite), 1)
    axis = np.array([0.0, 1.0, 0.0])
    swing = shortest_rotation(axis, np.array([1.0, 1.0, 0.3]))
    assert twist_angle(swing @ rotvec_to_matrix(0.7 * axis), axis) == pytest.approx(0.7)


def test_between_goes_along_the_geodesic() -> None:
    first, second = rotvec_to_matrix(VECTORS[0]), rotvec_to_matrix(VECTORS[1])
    third = between(first, second, 1 / 3)
    assert geodesic(first, third) == pytest.approx(geodesic(first, second) / 3)


def test_reference_vectors(shared_data: Path) -> None:
    folder = shared_data / "reference" / "rotation_vectors"
    with np.load(folder / "euler_zyx_to_rotmat.npz") as data:
        np.testing.assert_allclose(euler_to_matrix(data["euler"], "ZYX"), data["rotmat"], atol=1e-12)
    with np.load(folder / "rotmat_to_axisangle.npz") as data:
        np.testing.assert_allclose(
            rotvec_to_matrix(matrix_to_rotvec(data["rotmat"])), rotvec_to_matrix(data["rotvec"]), atol=1e-9
        )
    with np.load(folder / "rotmat_to_quat.npz") as data:
        ours, theirs = matrix_to_quaternion(data["rotmat"]), data["quat_wxyz"]
        np.testing.assert_allclose(np.abs((ours * theirs).sum(-1)), 1, atol=1e-9)
    with np.load(folder / "rotation_geodesic.npz") as data:
        np.testing.assert_allclose(geodesic(data["rotmat_a"], data["rotmat_b"]), data["angle"], atol=1e-7)
