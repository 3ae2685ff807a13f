"""Clips of imported motion: cut, resampled, mirrored, put on another body, the floor kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.mocap.feet import standing
from sim2pose.datasets.mocap.rotations import global_rotations, rotvec_to_matrix
from sim2pose.datasets.mocap.target import Target, body_target
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.bodies import load_body
from sim2pose.render_farm.kinds.clip.actions import perform
from sim2pose.render_farm.kinds.clip.motion import retargeted
from sim2pose.render_farm.kinds.clip.source import Take, load_motion_source, mirror_motion, resample
from sim2pose.render_farm.kinds.clip.steps import SIDES

BODY = load_body("open-person")


def take_of(target: Target, action: str, frames: int, fps: float, seed: int = 0) -> Take:
    motion = perform(np.random.default_rng(seed), action, target, np.arange(frames) / fps, 0.09)
    return Take(action, motion.pose, motion.joints[:, 0], fps, target, np.zeros(frames))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two walks of different rates; one is for the mean shape, one for another."""
    path = tmp_path_factory.mktemp("motions")
    shapes = [np.zeros(BODY.num_betas, np.float32), BODY.sample_betas(np.random.default_rng(4), 1)[0]]
    for name, fps, betas in (("a", 120.0, shapes[0]), ("b", 50.0, shapes[1])):
        target = body_target(BODY, betas)
        take = take_of(target, "walk", int(5 * fps), fps)
        transl = (take.pelvis - target.rest[0]).astype(np.float32)
        poses = PoseSequence(take.pose.astype(np.float32), transl, BODY.name, BODY.joint_set, betas=betas, fps=fps)
        save_poses(path / f"{name}.npz", poses)
    return path


def test_resampling_keeps_frames_and_goes_smoothly_between() -> None:
    take = take_of(body_target(BODY), "turn", 90, 30.0)
    pose, pelvis = resample(take, np.arange(10, 40) / 30)
    np.testing.assert_allclose(rotvec_to_matrix(pose), rotvec_to_matrix(take.pose[10:40]), atol=1e-6)
    np.testing.assert_allclose(pelvis, take.pelvis[10:40], atol=1e-9)
    _, fine = resample(take, np.arange(300, 1200) / 900)
    assert np.linalg.norm(np.diff(fine, 3, axis=0), axis=1).max() < 2e-5


def test_a_mirror_swaps_sides() -> None:
    target = body_target(BODY)
    take = take_of(target, "wave", 60, 30.0, seed=2)
    mirrored = mirror_motion(take.pose, take.pelvis, target)
    again = mirror_motion(*mirrored, target)
    np.testing.assert_allclose(again[0], take.pose, atol=1e-12)
    one, other = (
        target.positions(global_rotations(pose, target.parents), pelvis)
        for pose, pelvis in ((take.pose, take.pelvis), mirrored)
    )
    swapped = other[:, target.joint_set.flip_permutation()] * (-1, 1, 1)
    assert np.abs(swapped - one)[:, :22].max() < 0.004, "left is where right was; the body itself is symmetric"
    wrist = target.index("left_wrist"), target.index("right_wrist")
    raised = [joints[:, wrist, 1].max(0) for joints in (one, other)]
    assert abs(raised[0][0] - raised[0][1]) > 0.3 and np.abs(raised[0] - raised[1][::-1]).max() < 0.004


@pytest.mark.parametrize("seed", [1, 5, 9])
def test_another_body_keeps_the_floor(seed: int) -> None:
    origin = body_target(BODY)
    target = body_target(BODY, BODY.sample_betas(np.random.default_rng(seed), 1, (216, 900))[0])
    take = take_of(origin, "walk", 120, 30.0)
    motion = retargeted("walk", take.pose, take.pelvis, origin, target, 30.0)
    rotations = global_rotations(motion.pose, target.parents)
    joints = target.positions(rotations, motion.joints[:, 0])
    np.testing.assert_allclose(joints, motion.joints, atol=1e-6)
    gaps = []
    for side in SIDES:
        sole = target.sole_points(rotations, joints, side)[..., 1].min(1)
        stands = standing(joints[:, target.index(f"{side}_ankle")], joints[:, target.index(f"{side}_foot")], 30.0)
        gaps.append(sole[stands])
    assert np.abs(np.concatenate(gaps)).max() < 0.01, "standing soles lie on y = 0 within a centimetre"
    scale = target.leg_length() / origin.leg_length()
    assert np.ptp(joints[:, 0, 2]) == pytest.approx(scale * np.ptp(take.pelvis[:, 2]), rel=0.02)


def test_clips_of_a_folder_are_functions_of_the_draws(folder: Path) -> None:
    source = load_motion_source(folder, "open-person", 2.0)
    target = body_target(BODY)
    assert [take.name for take in source.takes] == ["a", "b"] and source.takes[0].low.max() < 0.2
    one, two = (source.clip(np.random.default_rng(7), target, 60, 30.0, 0.5, 0.5)[0] for _ in range(2))
    assert one.name == two.name and np.array_equal(one.pose, two.pose) and np.array_equal(one.transl, two.transl)
    names = {source.clip(np.random.default_rng(k), target, 60, 30.0, 0.5, 0.5)[0].name for k in range(12)}
    assert len(names) == 12 and {name[0] for name in names} == {"a", "b"}
    assert any("mirrored" in name for name in names) and any("backwards" in name for name in names)
    forward, back = (source.clip(np.random.default_rng(3), target, 60, 30.0, 0.0, share)[0] for share in (0.0, 1.0))
    np.testing.assert_allclose(forward.joints[::-1], back.joints, atol=1e-6)
    speed = np.diff(forward.joints[:, :22], axis=0) * 30
    assert np.linalg.norm(np.diff(speed, axis=0) * 30, axis=-1).max() < 80


def test_parts_of_a_take_that_leave_the_floor_are_drawn_again(tmp_path: Path) -> None:
    target = body_target(BODY)
    take = take_of(target, "walk", 600, 30.0)
    pelvis = take.pelvis - target.rest[0]
    pelvis[300:] += (0.0, 1.0, 0.0)
    poses = PoseSequence(take.pose.astype(np.float32), pelvis.astype(np.float32), BODY.name, BODY.joint_set, fps=30.0)
    save_poses(tmp_path / "climb.npz", poses)
    source = load_motion_source(tmp_path, "open-person", 2.0)
    drawn = [source.clip(np.random.default_rng(k), target, 60, 30.0, 0.0, 0.0) for k in range(10)]
    starts = [float(motion.name.split(":")[1][:-1]) for motion, _ in drawn]
    assert sum(refused for _, refused in drawn) > 0
    assert max(starts) < 8.5 and len(set(starts)) > 7


def test_sources_that_cannot_serve_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.npz or \.parquet file"):
        load_motion_source(tmp_path / "nowhere", "open-person", 1.0)
    with pytest.raises(UserError, match="the longest take"):
        load_motion_source(folder, "open-person", 60.0)
    still = PoseSequence(np.zeros((2, 55, 3), np.float32), np.zeros((2, 3), np.float32), BODY.name, BODY.joint_set)
    save_poses(tmp_path / "fit.npz", still)
    with pytest.raises(UserError, match="frame rate"):
        load_motion_source(tmp_path, "open-person", 1.0)
