"""Pose files: what is written reads back, and what is not valid is refused by name and frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.poses import PoseSequence, load_poses, save_poses


def sequence(**changes) -> PoseSequence:
    rng = np.random.default_rng(0)
    poses = PoseSequence(
        rng.normal(size=(5, 24, 3)),
        rng.normal(size=(5, 3)),
        "open-infant",
        "smpl24",
        betas=np.array([0.5, -1.0], np.float32),
        fps=29.97,
        names=("a", "b", "c", "d", "e"),
        source="walk.bvh",
        up=(0.0, 1.0, 0.0),
    )
    return replace(poses, **changes)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize(
    "poses",
    [
        sequence(),
        sequence(betas=None, fps=None, names=(), up=None, frame="camera"),
        sequence(betas=np.ones((5, 3)), expression=np.zeros((5, 10))),
    ],
    ids=["motion", "bare", "per frame"],
)
def test_what_is_written_reads_back(poses: PoseSequence, suffix: str, tmp_path: Path) -> None:
    path = save_poses(tmp_path / f"x{suffix}", poses)
    read = load_poses(path)
    for key in ("pose", "transl", "betas", "expression"):
        wanted, found = getattr(poses, key), getattr(read, key)
        assert (wanted is None) == (found is None)
        if wanted is not None:
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, np.asarray(wanted, np.float32))
    for key in ("body", "joint_set", "frame", "fps", "names", "source", "up"):
        assert getattr(read, key) == getattr(poses, key)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # no temporary file is left


BAD_POSE = np.zeros((5, 24, 3))
BAD_POSE[3, 2, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pose": np.zeros((5, 23, 3))}, r"pose is \(5, 23, 3\), need \(5, 24, 3\)"),
        ({"pose": BAD_POSE}, "pose is not finite at frame 3"),
        ({"pose": np.zeros((0, 24, 3))}, "holds no frame"),
        ({"transl": np.zeros((4, 3))}, r"transl is \(4, 3\), need \(5, 3\)"),
        ({"betas": np.zeros((4, 2))}, r"betas is \(4, 2\), need \(N,\) or \(5, N\)"),
        ({"joint_set": "smpl42"}, "unknown joint set 'smpl42': did you mean 'smpl24'"),
        ({"frame": "wrld"}, "unknown frame 'wrld': did you mean 'world'"),
        ({"fps": 0.0}, "fps is 0.0; give a positive number"),
        ({"names": ("a",)}, "1 names for 5 frames"),
        ({"up": (0.0, 0.0, 0.0)}, "up is"),
    ],
)
def test_bad_poses_are_refused(changes: dict, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        save_poses(tmp_path / "x.npz", sequence(**changes))
    assert not list(tmp_path.iterdir())


def test_bad_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(UserError, match="no pose file at"):
        load_poses(path)
    np.savez(path, pose=np.zeros((1, 24, 3)))
    with pytest.raises(UserError, match=r"x\.npz lacks transl, body, joint_set"):
        load_poses(path)
    save_poses(path, sequence())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="truncated"):
        load_poses(path)
    np.savez(path, pose=np.array([{"a": 1}], object))
    with pytest.raises(UserError, match="pickled objects"):
        load_poses(path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="no pose file of sim2pose"):
        load_poses(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"kept as \.npz or \.parquet"):
        load_poses(tmp_path / "x.pkl")


def test_amass_files_are_poses_too(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        poses=np.zeros((2, 156)),
        trans=np.zeros((2, 3)),
        betas=np.zeros(16),
        gender="male",
        mocap_framerate=120.0,
    )
    poses = load_poses(tmp_path / "a.npz")
    assert (poses.joint_set, poses.body, poses.fps) == ("smplh52", "smplh-male", 120.0)
