"""AMASS archives: axes, joints by name, what is dropped, and defects."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.mocap.amass import SMPL_PELVIS, poses_from_amass, repose
from sim2pose.datasets.mocap.rotations import global_rotations, rotvec_to_matrix
from sim2pose.datasets.mocap.target import Target


def archive(frames: int = 4, width: int = 156) -> dict[str, np.ndarray]:
    """Somebody who stands upright with Z up, facing -Y, and walks along -Y."""
    poses = np.zeros((frames, width))
    poses[:, 0] = np.pi / 2
    trans = np.linspace(0, 1, frames)[:, None] * [0, -1.0, 0] + [0, 0, 0.9]
    return {
        "poses": poses,
        "trans": trans,
        "betas": np.ones(16),
        "gender": np.array("female"),
        "mocap_framerate": np.array(60.0),
    }


@pytest.mark.parametrize(("width", "name"), [(72, "smpl24"), (66, "smplh52"), (156, "smplh52"), (165, "smplx55")])
def test_z_up_becomes_y_up(width: int, name: str) -> None:
    poses = poses_from_amass(archive(width=width), "a.npz")
    assert (poses.joint_set, poses.fps, poses.body) == (name, 60.0, f"{name.rstrip('0123456789')}-female")
    np.testing.assert_allclose(rotvec_to_matrix(poses.pose[:, 0]), np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-6)
    pelvis = poses.transl + SMPL_PELVIS
    np.testing.assert_allclose(pelvis[-1] - pelvis[0], [0, 0, 1], atol=1e-6)  # -Y ahead becomes +Z
    assert pelvis[0, 1] == pytest.approx(0.9 + SMPL_PELVIS[2], abs=1e-6)


def test_y_up_stays() -> None:
    values = archive()
    values["poses"][:, 0] = 0
    poses = poses_from_amass(values, "a.npz", up="y")
    np.testing.assert_allclose(poses.transl, values["trans"], atol=1e-6)


def test_onto_a_body_with_fewer_joints(infant: Target) -> None:
    values = archive()
    values["poses"][:, 3 * 25] = 0.5  # a finger
    values["poses"][:, 3 * 4] = 0.7  # left knee
    poses, note = repose(poses_from_amass(values, "a.npz"), infant)
    assert poses.joint_set == "smpl24" and poses.body == "open-infant" and poses.betas is None
    assert "1 finger joints" in note and "betas of smplh-female" in note
    np.testing.assert_allclose(poses.pose[:, infant.index("left_knee"), 0], 0.7, atol=1e-6)
    rotations = global_rotations(poses.pose, infant.parents)
    positions = infant.positions(rotations, poses.transl + infant.rest[0])
    soles = [infant.sole_points(rotations, positions, side) for side in ("left", "right")]
    assert np.min(soles, (0, 1, 2))[1] == pytest.approx(0, abs=1e-3)
    assert repose(poses, infant)[0] is poses


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"poses": np.zeros((4, 100))}, r"poses are \(4, 100\), need \(T, 66 or 72 or 156 or 165\)"),
        ({"trans": np.zeros((3, 3))}, r"trans is \(3, 3\), need \(4, 3\)"),
        ({"trans": np.full((4, 3), np.nan)}, "transl is not finite at frame 0"),
        ({"mocap_framerate": np.array(0.0)}, "fps is 0.0"),
        ({"poses": np.array(["a"])}, "poses holds no numbers"),
    ],
)
def test_defects(changes: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        poses_from_amass({**archive(), **changes}, "a.npz")


def test_missing_keys() -> None:
    values = archive()
    del values["mocap_framerate"], values["trans"]
    with pytest.raises(UserError, match="lacks trans, mocap_framerate"):
        poses_from_amass(values, "a.npz")
