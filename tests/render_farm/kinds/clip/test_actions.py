"""Procedural motion: feet that stay, soles on the floor, joints that move continuously."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.datasets.mocap.rotations import global_rotations
from sim2pose.datasets.mocap.target import Target, body_target
from sim2pose.models.bodies import load_body
from sim2pose.render_farm.kinds.clip.actions import ACTIONS, perform
from sim2pose.render_farm.kinds.clip.config import ACTION_NAMES
from sim2pose.render_farm.kinds.clip.motion import placed
from sim2pose.render_farm.kinds.clip.steps import SIDES

FPS = 30.0
TIMES = np.arange(96) / FPS
SKATE_MM = 0.05
"""Most that the part of a foot on which it stands moves between two frames, millimetres."""


@pytest.fixture(scope="module")
def targets() -> list[Target]:
    body = load_body("open-person")
    shapes = body.sample_betas(np.random.default_rng(1), 2, (216, 800))
    return [body_target(body), *(body_target(body, betas) for betas in shapes)]


def sole_path(target: Target, pose: np.ndarray, pelvis: np.ndarray) -> dict[str, np.ndarray]:
    """Heel, ball and tip of the soles and the ball's joint (T, 4, 3) by side."""
    rotations = global_rotations(pose, target.parents)
    joints = target.positions(rotations, pelvis)
    return {
        side: np.concatenate(
            [target.sole_points(rotations, joints, side), joints[:, [target.index(f"{side}_foot")]]], 1
        )
        for side in SIDES
    }


def test_config_names_the_actions_there_are() -> None:
    assert set(ACTION_NAMES) == set(ACTIONS)


@pytest.mark.parametrize("action", ACTIONS)
def test_feet_are_planted_and_motion_is_continuous(action: str, targets: list[Target]) -> None:
    for seed, target in enumerate(targets):
        motion = perform(np.random.default_rng(seed), action, target, TIMES, 0.09)
        pelvis = motion.joints[:, 0]
        np.testing.assert_allclose(motion.transl + target.rest[0], pelvis, atol=1e-9)
        soles = sole_path(target, motion.pose, pelvis)
        lowest = np.stack([soles[side][:, :3, 1].min(1) for side in SIDES])
        assert lowest.min() > -0.004, "nothing sinks into the floor"
        if action != "run_in_place":
            assert lowest.min(0).max() < 0.004, "one foot is always on the floor"
        moved = []
        for side in SIDES:
            steps = 1000 * np.linalg.norm(np.diff(soles[side], axis=0)[..., [0, 2]], axis=-1)  # (T-1, 4) mm
            down = (soles[side][:-1, :3, 1].min(1) < 1e-3) & (soles[side][1:, :3, 1].min(1) < 1e-3)
            moved.append(steps[down].min(1))
        assert np.concatenate(moved).max() < SKATE_MM
        speed = np.diff(motion.joints[:, :22], axis=0) * FPS
        assert np.linalg.norm(speed, axis=-1).max() < 7.0
        assert np.linalg.norm(np.diff(speed, axis=0) * FPS, axis=-1).max() < 80.0, "no joint jumps"


def test_actions_do_what_they_are_called(targets: list[Target]) -> None:
    target = targets[0]
    names = target.joint_set.joints

    def joints(action: str) -> dict[str, np.ndarray]:
        motion = perform(np.random.default_rng(3), action, target, np.arange(180) / FPS, 0.09)
        return {name: motion.joints[:, names.index(name)] for name in names[:22]}

    walk, sit, wave, squat, side = (joints(a) for a in ("walk", "sit", "wave", "squat", "sidestep"))
    assert np.linalg.norm(np.ptp(walk["pelvis"], axis=0)[[0, 2]]) > 3.0
    assert 0.02 < np.ptp(walk["pelvis"][:, 1]) < 0.1
    ahead = (walk["left_wrist"] - walk["pelvis"])[:, 2], (walk["left_ankle"] - walk["pelvis"])[:, 2]
    assert np.corrcoef(*ahead)[0, 1] < -0.5, "arms swing against legs"
    assert (walk["left_knee"] - (walk["left_hip"] + walk["left_ankle"]) / 2)[:, 2].min() > -0.03, "knees bend forward"
    assert np.ptp(sit["pelvis"][:, 1]) > 0.25 and np.ptp(squat["pelvis"][:, 1]) > 0.12
    assert max((wave[f"{s}_wrist"] - wave["head"])[:, 1].max() for s in SIDES) > 0.0
    assert np.ptp(side["pelvis"][:, 0]) > 2 * np.ptp(side["pelvis"][:, 2])


def test_placing_moves_the_whole_rigidly(targets: list[Target]) -> None:
    target = targets[1]
    motion = perform(np.random.default_rng(0), "sit", target, TIMES, 0.09)
    there = placed(motion, 1.1, (2.0, -3.0))
    rotations = global_rotations(there.pose, target.parents)
    np.testing.assert_allclose(target.positions(rotations, there.joints[:, 0]), there.joints, atol=1e-6)
    np.testing.assert_allclose(there.joints[..., 1], motion.joints[..., 1], atol=1e-9)
    np.testing.assert_allclose(there.joints[:, 0] - there.transl, motion.joints[:, 0] - motion.transl, atol=1e-9)
    assert motion.seat is not None and there.seat is not None and there.seat[1] == pytest.approx(motion.seat[1])
    seat_gap = [np.linalg.norm(np.array(m.seat)[[0, 2]] - m.joints[-1, 0, [0, 2]]) for m in (motion, there)]
    assert seat_gap[0] == pytest.approx(seat_gap[1])
