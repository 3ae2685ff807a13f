"""Poses from files: labels hold them, orientations follow what is known of gravity, bad files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sim2pose.config import UserError, load_config
from sim2pose.datasets.pose_joints import to_joints
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.bodies import load_body
from sim2pose.models.geometry import axis_angle_to_matrix
from sim2pose.models.joints import joint_set
from sim2pose.render_farm.config import BLOCK
from sim2pose.render_farm.kinds.frames import render_info
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.kinds.infant.sampler import InfantSampler
from sim2pose.render_farm.labels import camera_frame_pose
from sim2pose.render_farm.poses.source import load_pose_source

SMALL = {"wardrobe": {"pool": 2}, "skin": {"pool": 2}, "backgrounds": {"pool": 2}, "occluders": {"pool": 2}}


def _poses(count: int, joints: str = "smpl24", **more: object) -> PoseSequence:
    rng = np.random.default_rng(count)
    pose = rng.normal(0, 0.25, (count, joint_set(joints).count, 3)).astype(np.float32)
    names = tuple(f"take{i}" for i in range(count))
    return PoseSequence(pose, np.zeros((count, 3), np.float32), "open-person", joints, names=names, **more)  # type: ignore[arg-type]


def _sampler(source: Path, seed: int = 3) -> InfantSampler:
    scene = {**SMALL, "poses": {"source": str(source), "plausibility": {"redraws": 0}}}
    return InfantSampler(
        load_config(InfantConfig, None, {"scene": scene}).scene, load_body("open-infant"), seed, 64, 64
    )


def _matrix(axis_angle: np.ndarray) -> np.ndarray:
    return axis_angle_to_matrix(torch.as_tensor(axis_angle, dtype=torch.float64)).numpy()


def _about_x(degrees: float) -> list[float]:
    return [float(np.radians(degrees)), 0.0, 0.0]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_poses(tmp_path_factory.mktemp("poses") / "walk.npz", _poses(10, "smplx55", fps=30.0))


def test_labels_hold_the_poses_of_the_file(walk: Path) -> None:
    wanted = to_joints(_poses(10, "smplx55"))
    seen = []
    for index, scene in enumerate(_sampler(walk).scenes(0)):
        row = int(scene.source.split("take")[1])
        labelled = camera_frame_pose(scene.persons[0], scene.camera)[0].reshape(24, 3)
        np.testing.assert_array_equal(labelled[1:], wanted[row, 1:])
        turn = _matrix(scene.persons[0].pose[0]) @ _matrix(wanted[row, 0]).T
        np.testing.assert_allclose(turn[1], [0, 1, 0], atol=1e-6)  # nothing but a yaw between file and world
        assert -0.011 < scene.persons[0].surface.vertices[:, 1].min() < -0.002, "it stands on the surface"
        seen.append(row)
        assert index < BLOCK
    assert [sorted(seen[i : i + 10]) for i in (0, 10, 20)] == [list(range(10))] * 3, "each round shows each pose once"
    assert seen[:10] != seen[10:20]


def test_a_frame_is_a_function_of_seed_and_index(walk: Path) -> None:
    late, sampler = _sampler(walk).scenes(32), _sampler(walk)
    sampler.scenes(0)
    for a, b in zip(late, sampler.scenes(32), strict=True):
        assert a.source == b.source
        np.testing.assert_array_equal(a.persons[0].surface.vertices, b.persons[0].surface.vertices)
    other = _sampler(walk, seed=4).scenes(32)
    assert [a.source for a in late] != [b.source for b in other]


@pytest.mark.parametrize(
    ("orientation", "up", "posture", "laid"),
    [
        (
            _about_x(180),
            None,
            "supine",
            True,
        ),  # upright in the picture, chest to the camera: seen from above it lies supine
        ([0.0, 0.0, float(np.pi)], None, "prone", True),
        ([float(np.pi / np.sqrt(2)), 0.0, float(np.pi / np.sqrt(2))], None, "side", True),
        (_about_x(180), (0.0, -1.0, 0.0), "standing", False),
        (_about_x(90), (0.0, -1.0, 0.0), "supine", False),
    ],
)
def test_what_is_known_of_gravity_decides(
    orientation: list[float], up: tuple[float, float, float] | None, posture: str, laid: bool, tmp_path: Path
) -> None:
    """Camera frames have y downwards: a person upright in the picture is turned by 180 degrees about x."""
    pose = np.zeros((1, 24, 3), np.float32)
    pose[0, 0] = orientation
    file = save_poses(
        tmp_path / "one.npz", PoseSequence(pose, np.zeros((1, 3)), "open-infant", "smpl24", frame="camera", up=up)
    )
    source = load_pose_source(file)
    assert source.postures == (posture,) and source.laid.tolist() == [laid]
    trunk = {"standing": 1.0}.get(posture, 0.0)
    assert abs(source.orient[0, 1, 1] - trunk) < 1e-6
    assert source.plan(0, 0.0).table.settle == (0 if not laid else 32 if posture == "side" else 50)


def test_laid_bodies_settle_without_losing_their_pose(tmp_path: Path) -> None:
    poses = _poses(6, frame="camera")
    poses.pose[:, 0] = _about_x(180)
    file = save_poses(tmp_path / "fits.parquet", poses)
    for scene in _sampler(file).scenes(0)[:6]:
        person = scene.persons[0]
        row = int(scene.source.split("take")[1])
        np.testing.assert_array_equal(person.pose[1:], poses.pose[row, 1:])
        chest = _matrix(person.pose[0])[:, 2]
        assert chest[1] > 0.6 and "posture=supine" in scene.source, "on its back, after settling"


def test_a_folder_joins_its_files_in_order(tmp_path: Path) -> None:
    save_poses(tmp_path / "b.parquet", _poses(2))
    save_poses(tmp_path / "a.npz", _poses(3, "smplh52"))
    source = load_pose_source(tmp_path)
    assert source.names == ("a.npz:take0", "a.npz:take1", "a.npz:take2", "b.parquet:take0", "b.parquet:take1")
    assert len(source) == 5


def test_another_source_is_another_data_set(tmp_path: Path) -> None:
    def info(source: Path | None) -> str:
        scene = {} if source is None else {"poses": {"source": str(source)}}
        return render_info(load_config(InfantConfig, "infant", {"scene": scene})).config_hash

    file = save_poses(tmp_path / "p.npz", _poses(2))
    first, none = info(file), info(None)
    assert info(file) == first
    save_poses(file, _poses(3))
    assert len({info(file), first, none}) == 3, "the content counts, not the name alone"


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.npz").write_text("no archive")
    hand = save_poses(tmp_path / "hand.npz", _poses(1, "mano16"))
    for path, sentence in (
        (tmp_path / "none.npz", "no pose file at"),
        (tmp_path / "empty", "scene.poses.source: no .npz or .parquet file in"),
        (tmp_path / "text.npz", "text.npz is no .npz archive"),
        (hand, "hand.npz holds 'mano16' poses: poses of whole bodies are needed"),
    ):
        with pytest.raises(UserError, match=sentence):
            load_pose_source(path)
