"""Pose tables: every kind of file ends in the same rows, what is wrong is counted or refused, memory stays flat."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.mocap.rotations import rotvec_to_matrix
from sim2pose.datasets.pose_joints import take_joints, to_joints, with_eyes
from sim2pose.datasets.pose_keys import PARTS
from sim2pose.datasets.pose_tables import gather, rows, split
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.joints import joint_set

FINGERS = [i for i, name in enumerate(joint_set("smplx55").joints) if name[-1] in "123" and i > 22]


def poses(frames: int = 6, joints: int = 55, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, (frames, joints, 3)).astype(np.float32)


def save(path: Path, pose: np.ndarray, joints: str = "smplx55", **more) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_poses(path, PoseSequence(pose, np.zeros((len(pose), 3)), "open-person", joints, **more))


def by_parts(pose: np.ndarray, eyes: bool = True) -> dict[str, np.ndarray]:
    """SMPL-X poses by the documented keys."""
    ends = np.cumsum(list(PARTS.values()))
    split_up = {key: part.reshape(len(pose), -1) for key, part in zip(PARTS, np.split(pose, ends, 1), strict=False)}
    return {key: part for key, part in split_up.items() if eyes or "eye" not in key}


def save_raw(path: Path, **arrays: object) -> Path:
    """A file that ``save_poses`` would refuse."""
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_our_files(suffix: str, tmp_path: Path) -> None:
    first, second = poses(), poses(4, seed=1)
    save(tmp_path / f"01_02{suffix}", first, fps=120.0)
    save(tmp_path / f"walk{suffix}", second)
    table = gather(tmp_path)
    np.testing.assert_array_equal(table.pose, np.concatenate([first, second]))
    assert (table.takes, table.subjects, table.fps) == (("01_02", "walk"), ("01", "walk"), (120.0, None))
    assert table.take.tolist() == [0] * 6 + [1] * 4 and table.take.dtype == np.int32
    assert table.counts == {"files": 2, "frames": 10, "kept_frames": 10, "dropped_frames": 0, "reduced_angles": 0}
    assert table.notes == ()


def test_amass_stands_up_and_keeps_its_joints(tmp_path: Path) -> None:
    pose = poses(3, 52)
    amass = {"trans": np.zeros((3, 3)), "betas": np.zeros(16), "mocap_framerate": 60.0}
    save_raw(tmp_path / "a.npz", poses=pose.reshape(3, -1), **amass, markers=np.array([{}], object))
    save_raw(tmp_path / "shape.npz", betas=np.zeros(16))
    table = gather(tmp_path)
    theirs, ours = joint_set("smplh52").joints, joint_set("smplx55").joints
    for joint, name in enumerate(theirs[1:], 1):
        np.testing.assert_array_equal(table.pose[:, ours.index(name)], pose[:, joint])
    np.testing.assert_allclose(
        rotvec_to_matrix(table.pose[:, 0])[..., 1, :], rotvec_to_matrix(pose[:, 0])[..., 2, :], atol=1e-6
    )
    assert table.notes == (
        "left out: 1 files of shapes only",
        "1 of 1 files: 3 joints that 'smplh52' lacks are at rest",
    )


@pytest.mark.parametrize("eyes", [True, False])
def test_documented_keys(eyes: bool, tmp_path: Path) -> None:
    pose = poses()
    if not eyes:
        pose[:, 23:25] = 0
    table = gather(save_raw(tmp_path / "a.npz", **by_parts(pose, eyes), fps=30))
    np.testing.assert_array_equal(table.pose, pose)
    assert table.fps == (30.0,)
    assert table.notes == (() if eyes else ("1 of 1 files: without leye_pose and reye_pose: at rest",))


def test_53_joints_become_55(tmp_path: Path) -> None:
    pose = poses()
    pose[:, 23:25] = 0
    without = np.delete(pose, [23, 24], 1)
    np.testing.assert_array_equal(with_eyes(without), pose)
    save_raw(tmp_path / "own.npz", pose=without, joint_set="smplx55")
    save_raw(tmp_path / "flat.npz", poses=without.reshape(6, 159))
    table = gather([tmp_path / "own.npz", tmp_path / "flat.npz"])
    np.testing.assert_array_equal(table.pose[:6], pose)
    np.testing.assert_array_equal(table.pose[6:, 1:], pose[:, 1:])
    assert table.notes == ("2 of 2 files: without eyes: they are at rest",)


def test_fitted_poses_of_a_folder_count_once(tmp_path: Path) -> None:
    """A fit leaves the same poses as .npz and .parquet, under the same names for every run."""
    for run in ("first", "second"):
        for suffix in (".npz", ".parquet"):
            save(tmp_path / run / f"poses{suffix}", poses(3), frame="camera", names=("a", "b", "c"))
        (tmp_path / run / "fits.json").write_text("{}")
    table = gather(tmp_path)
    assert len(table) == 6 and table.takes == table.subjects == ("first/poses", "second/poses")
    assert table.notes == ("left out: 2 .parquet files beside an .npz of the same name",)


def test_other_joint_sets_go_by_names(tmp_path: Path) -> None:
    pose = poses(2, 24)
    table = gather(save(tmp_path / "a.npz", pose, "smpl24"))
    np.testing.assert_array_equal(table.pose[:, :22], pose[:, :22])
    assert not table.pose[:, 22:].any()
    assert table.notes == ("1 of 1 files: 33 joints that 'smpl24' lacks are at rest",)
    assert gather(save(tmp_path / "hand.npz", poses(2, 16), "mano16"), "mano16").pose.shape == (2, 16, 3)
    with pytest.raises(UserError, match=r"hand\.npz holds 'mano16' poses: poses of whole bodies are needed"):
        gather(tmp_path / "hand.npz")
    with pytest.raises(UserError, match=r"a\.npz holds 'smpl24' poses: poses of one hand are needed"):
        gather(tmp_path / "a.npz", "mano16")


def test_the_middle_finger_stands_for_the_hand() -> None:
    pose, names = poses(3), joint_set("smplx55")
    found = to_joints(PoseSequence(pose, np.zeros((3, 3)), "open-person", "smplx55"))
    np.testing.assert_array_equal(found[:, :22], pose[:, :22])
    np.testing.assert_array_equal(found[:, 23], pose[:, names.index("right_middle1")])
    np.testing.assert_array_equal(take_joints(pose, (3, -1))[:, 0], pose[:, 3])


def test_rows_that_are_not_finite_are_dropped_and_long_angles_reduced(tmp_path: Path) -> None:
    pose = poses()
    pose[2, 5, 1], pose[4, 0, 0] = np.nan, np.inf
    pose[3, 7], pose[5, 9] = (0, 4.0, 0), (-5.0, 0, 0)
    table = gather(save_raw(tmp_path / "a.npz", pose=pose, joint_set="smplx55"))
    assert len(table) == 4 and np.isfinite(table.pose).all()
    assert (table.counts["dropped_frames"], table.counts["reduced_angles"], table.counts["frames"]) == (2, 2, 6)
    assert "2 frames" in table.notes[0] and "2 angles beyond pi" in table.notes[1]
    assert np.linalg.norm(table.pose, axis=-1).max() <= np.pi + 1e-4
    kept = pose[[0, 1, 3, 5]]
    np.testing.assert_allclose(rotvec_to_matrix(table.pose), rotvec_to_matrix(kept), atol=1e-6)
    np.testing.assert_allclose(table.pose[2, 7], (0, 4.0 - 2 * np.pi, 0), atol=1e-6)
    unchanged = np.linalg.norm(kept, axis=-1) < np.pi
    np.testing.assert_array_equal(table.pose[unchanged], kept[unchanged])


def test_degrees_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"b\.npz: in half of all frames a joint turns by more than \d+, which must be deg"
    ):
        gather(save(tmp_path / "b.npz", np.degrees(poses())))
    spun = poses()
    spun[:, 0] = (0, 40.0, 0)  # someone turned round six times: radians all the same
    assert gather(save(tmp_path / "c.npz", spun)).counts["reduced_angles"] == 6


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pose": np.zeros((2, 54, 3)), "joint_set": "smplx55"}, r"expected pose \(T, 55, 3\) .* found \(2, 54, 3\)"),
        ({"pose": np.zeros((2, 54, 3)), "joint_set": "smpl99"}, "unknown joint set 'smpl99'"),
        ({"poses": np.zeros((2, 99))}, r"poses are \(2, 99\), need \(T, 66 or 72 or 156 or 165\)"),
        ({"body_pose": np.zeros((2, 63))}, "lacks global_orient, jaw_pose.*expected global_orient, .* found body_pose"),
        ({**by_parts(poses(2)), "lhand_pose": np.zeros((2, 6))}, r"expected lhand_pose \(2, 45\), found \(2, 6\)"),
        ({**by_parts(poses(2)), "jaw_pose": np.zeros((3, 3))}, r"expected jaw_pose \(2, 3\), found \(3, 3\)"),
        ({"theta": np.zeros(3), "beta": np.zeros(2)}, "holds theta, beta: a pose file holds pose and joint_set"),
        ({"pose": poses(2), "joint_set": "smplx55", "fps": -1}, r"fps is -1\.0; expected a positive"),
        ({"pose": np.array(["a"]), "joint_set": "smplx55"}, "pose holds no numbers"),
        ({"pose": np.full((2, 55, 3), np.nan), "joint_set": "smplx55"}, "hold no frame that is finite"),
    ],
)
def test_bad_files_are_refused(arrays: dict, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        gather(save_raw(tmp_path / "a.npz", **arrays))


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", poses())
    with pytest.raises(UserError, match=r"no .npz or .parquet file at .*nowhere"):
        gather(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no path of poses"):
        gather([])
    with pytest.raises(UserError, match="unknown joint set 'smplx5'"):
        gather(tmp_path, "smplx5")
    with pytest.raises(UserError, match="fps is 0"):
        gather(tmp_path, fps=0)


def test_a_rate_is_reached_by_stride(tmp_path: Path) -> None:
    first, second, third = poses(10), poses(4, seed=1), poses(3, seed=2)
    paths = [
        save(tmp_path / "a.npz", first, fps=120.0),
        save(tmp_path / "b.npz", second, fps=25.0),
        save(tmp_path / "c.npz", third),
    ]
    table = gather([*paths, str(tmp_path / "*.npz")], fps=30)
    np.testing.assert_array_equal(table.pose, np.concatenate([first[::4], second, third]))
    assert table.fps == (30.0, 25.0, None) and table.notes == ("1 of 3 files: rate unknown: every frame kept",)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for name, frames in (("01_01", 6), ("01_02", 2), ("11_01", 4), ("jump", 3)):
        save(tmp_path / f"{name}.npz", poses(frames, seed=frames))
    return tmp_path


def test_a_split_shares_no_subject(people: Path) -> None:
    table = gather(people)
    train, val = split(table)
    assert val.tolist() == [8, 9, 10, 11] and sorted([*train, *val]) == list(range(15))
    train, val = split(table, "take", ("01_02", "jump"))
    assert val.tolist() == [6, 7, 12, 13, 14] and train.tolist() == [*range(6), *range(8, 12)]
    seen = set()
    for seed in range(8):
        train, val = split(table, val=0.2, seed=seed)
        assert len(val) >= 3 and len(train) and len(train) + len(val) == 15
        subjects = [{table.subjects[take] for take in table.take[part]} for part in (train, val)]
        assert not subjects[0] & subjects[1]
        seen.add(frozenset(subjects[1]))
        np.testing.assert_array_equal(split(table, val=0.2, seed=seed)[1], val)
    assert len(seen) > 1, "the seed decides"


def test_a_split_without_a_side_is_refused(people: Path) -> None:
    table = gather(people)
    with pytest.raises(UserError, match=r"no subject '12' to validate on: .* 01 \(8\), 11 \(4\), jump \(3\)"):
        split(table, val=("11", "12"))
    with pytest.raises(UserError, match=r"no frame for training: subjects .* 01 \(8\)"):
        split(table, val=("01", "11", "jump"))
    with pytest.raises(UserError, match="no frame for validation"):
        split(table, val=())
    with pytest.raises(UserError, match=r"no frame for validation: subjects and their frames are 01 \(6\)"):
        split(gather(people / "01_01.npz"), val=0.5)
    with pytest.raises(UserError, match=r"share of rows to validate on is 1\.5"):
        split(table, val=1.5)


def test_a_cache_is_written_once_and_whole(people: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = tmp_path_factory.mktemp("cache")
    plain, table = gather(people), gather(people, cache=store)
    assert isinstance(table.pose, np.memmap)
    np.testing.assert_array_equal(table.pose, plain.pose)
    for key in ("takes", "subjects", "fps", "notes", "counts"):
        assert getattr(table, key) == getattr(plain, key)
    (folder,) = store.iterdir()
    stamp = (folder / "pose.npy").stat().st_mtime_ns
    gather(people, cache=store)
    assert (folder / "pose.npy").stat().st_mtime_ns == stamp
    gather(people, cache=store, fps=30)
    save(people / "new.npz", np.degrees(poses()))
    with pytest.raises(UserError, match="degrees"):
        gather(people, cache=store)
    assert len(list(store.iterdir())) == 2, "nothing half written is left"
    (folder / "labels.json").write_text("{")
    (people / "new.npz").unlink()
    with pytest.raises(UserError, match=r"damaged .*: remove it"):
        gather(people, cache=store)


@pytest.mark.parametrize("cache", [True, False])
def test_rows_by_index(cache: bool, people: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    table = gather(people, cache=tmp_path_factory.mktemp("cache") if cache else None)
    index = np.array([14, 0, 3, 3])
    np.testing.assert_array_equal(rows(table, index), np.asarray(table.pose)[index])
    found = rows(table, index, FINGERS)
    np.testing.assert_array_equal(found, np.asarray(table.pose)[index][:, FINGERS])
    assert found.shape == (4, 30, 3) and found.dtype == np.float32
    assert rows(table, []).shape == (0, 55, 3)
    with pytest.raises(IndexError):
        rows(table, [15])


READER = """
import sys, numpy as np
from resource import RUSAGE_SELF, getrusage
from sim2pose.datasets.pose_tables import gather, rows
table = gather(sys.argv[1], cache=sys.argv[2])
order = np.random.default_rng(0).permutation(len(table))
before = getrusage(RUSAGE_SELF).ru_maxrss
for start in range(0, len(order), 1024):
    rows(table, order[start:start + 1024])
print((getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the peak of resident memory in Linux' units")
def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    """100,000 poses of 660 bytes, 63 MiB, read once in a random order, by a process that never holds more than a batch."""
    block = poses(5000)
    files = [save_raw(tmp_path / f"{i:02d}.npz", pose=block, joint_set="smplx55") for i in range(20)]
    store = tmp_path / "cache"
    assert len(gather(files, cache=store)) == 100_000
    command = [sys.executable, "-c", READER, str(tmp_path / "*.npz"), str(store)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 16, f"resident memory grew by {done.stdout.strip()} MiB"
