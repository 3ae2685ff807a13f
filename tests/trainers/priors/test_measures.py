"""Measures on constructed poses whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import Body
from sim2pose.trainers.priors import measures
from sim2pose.trainers.priors.skeleton import skeleton_of

from .conftest import JOINTS


def test_frechet_distance_of_known_gaussians() -> None:
    """One dimension: d² = (μ₁ - μ₂)² + (σ₁ - σ₂)². Of commuting covariances: the difference of their roots."""
    one = measures.gaussian_frechet(np.array([1.0]), np.array([[4.0]]), np.array([4.0]), np.array([[36.0]]))
    assert one == pytest.approx(5.0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    first, second = (turn @ np.diag(values) @ turn.T for values in ((1.0, 4.0, 9.0), (4.0, 4.0, 1.0)))
    assert measures.gaussian_frechet(np.zeros(3), first, np.zeros(3), second) == pytest.approx(np.sqrt(1 + 0 + 4))
    same = np.random.default_rng(1).normal(size=(50, 4))
    assert measures.frechet_distance(same, same) == pytest.approx(0, abs=1e-6)
    assert measures.frechet_distance(same, same + np.array([3, 0, 4, 0])) == pytest.approx(5.0)
    with pytest.raises(UserError, match="two rows"):
        measures.frechet_distance(same[:1], same)


def test_frechet_of_joints_is_as_of_one_joint() -> None:
    joints = torch.randn(40, 7, 3)
    moved = joints + torch.tensor([0.003, 0.0, 0.004])
    assert measures.frechet_of_joints(joints, moved) == pytest.approx(5.0, abs=1e-3)


def test_diversity_of_two_and_of_equal_poses() -> None:
    two = torch.zeros(2, 5, 3)
    two[1, :, 0] = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4])
    assert measures.diversity(two) == pytest.approx(200.0, abs=1e-3)
    assert measures.diversity(torch.ones(4, 5, 3)) == 0
    three = torch.stack([two[0], two[0], two[1]])
    assert measures.diversity(three) == pytest.approx(200.0 * 2 / 3, abs=1e-3), "two of three pairs differ"
    with pytest.raises(UserError, match="two poses or more, found 1"):
        measures.diversity(two[:1])


def test_nearest_distances_whatever_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    base, queries = torch.randn(300, 6, 3), torch.randn(17, 6, 3)
    queries[3] = base[200] + torch.tensor([0.0, 0.002, 0.0])
    wanted = 1000 * (queries[:, None] - base).norm(dim=-1).mean(-1).amin(1)
    torch.testing.assert_close(measures.nearest_distance(queries, base), wanted)
    monkeypatch.setattr(measures, "FACTORS", 1)
    torch.testing.assert_close(measures.nearest_distance(queries, base), wanted)
    assert float(wanted[3]) == pytest.approx(2.0, abs=1e-3)


def test_angles_between_rotations() -> None:
    first = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0], [1e-4, 0.0, 0.0]])
    second = torch.tensor([[0.0, 0.5, 0.0], [0.0, 0.0, -3.0], [0.0, 0.0, 0.0]])
    found = measures.rotation_distance(first, second)
    torch.testing.assert_close(found, torch.tensor([0.5, 2 * np.pi - 6.0, 1e-4]), atol=1e-6, rtol=1e-3)


def test_spread_over_takes() -> None:
    values, takes = torch.tensor([1.0, 3.0, 10.0]), np.array([0, 0, 1])
    mean, spread = measures.over_takes(values, takes)
    assert mean == pytest.approx(14 / 3) and spread == pytest.approx(np.std([2.0, 10.0], ddof=1))
    assert measures.over_takes(values, np.zeros(3, int)) == (pytest.approx(14 / 3), None)


def test_joint_limits_of_body_face_and_fingers() -> None:
    joints = ("left_elbow", "spine1", "jaw", "left_eyeball", "right_index2")
    limits = measures.PoseLimits(joints)
    pose = torch.zeros(5, len(joints), 3)
    pose[0, 0, 1] = np.radians(30)  # backwards
    pose[1, 0, 1] = -np.radians(150)  # bent
    pose[2, 2, 0] = np.radians(60)
    pose[3, 4, 2] = np.radians(120)
    beyond = limits.ratios(pose) > 1
    np.testing.assert_array_equal(np.argwhere(beyond), [[0, 0], [2, 2], [3, 4]])
    assert limits.violations(pose) == pytest.approx(3 / 5)


def test_skeletons_measure_what_the_prior_moves(person: Body) -> None:
    skeleton = skeleton_of(person, JOINTS)
    assert "jaw" in skeleton.measured and "left_index1" in skeleton.measured
    assert not {"pelvis", "left_hip", "spine1", "left_index2"} & set(skeleton.measured)
    pose = torch.randn(3, len(JOINTS), 3) * 0.3
    full = torch.zeros(3, 55, 3)
    full[:, 1:22] = pose
    with torch.no_grad():
        wanted = person(torch.zeros(3, person.num_betas), full, torch.zeros(3, 3)).joints
    torch.testing.assert_close(skeleton(pose, batch=2), wanted[:, skeleton.rows] - wanted[:, :1], atol=1e-5, rtol=1e-4)
    moved = [name for name, seen in zip(skeleton.measured, skeleton.moved_by(["left_elbow"]), strict=True) if seen]
    assert moved == ["left_wrist", "left_index1"]
    hands = skeleton_of(person, ("left_index1", "left_index2"))
    assert hands.measured == ("left_index2", "left_index3")
    with pytest.raises(UserError, match=r"no joint that left_hand\.\.\. move"):
        skeleton_of(person, ("left_hand",))
