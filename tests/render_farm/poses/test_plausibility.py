"""The filter finds what no body does, and leaves alone what bodies do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.config import UserError, load_config
from sim2pose.models.bodies import load_body
from sim2pose.models.joints import joint_set
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.poses.config import PlausibilityConfig, PoseConfig, ShapeConfig
from sim2pose.render_farm.poses.plausibility import REASONS, Plausibility, flexion_angle
from sim2pose.render_farm.poses.posing import Poser

BODIES = ("open-infant", "open-person")
UPRIGHT = {"left_shoulder": (0, 0, -1.2), "right_shoulder": (0, 0, 1.2)}  # arms down
GOOD: dict[str, dict[str, tuple[float, float, float]]] = {
    "standing": UPRIGHT,
    "elbows bent": {**UPRIGHT, "left_elbow": (0, -1.6, 0), "right_elbow": (0, 1.6, 0)},
    "a step": {**UPRIGHT, "left_hip": (-0.35, 0, 0), "right_hip": (0.35, 0, 0)},
    "squatting": {
        **UPRIGHT,
        "pelvis": (0.5, 0, 0),
        **{f"{side}_hip": (-1.8, 0, 0) for side in ("left", "right")},
        **{f"{side}_knee": (2.0, 0, 0) for side in ("left", "right")},
        **{f"{side}_ankle": (-0.7, 0, 0) for side in ("left", "right")},
    },
}
BAD: dict[str, tuple[str, dict[str, tuple[float, float, float]]]] = {
    "arm through the trunk": ("self_penetration", {**UPRIGHT, "left_shoulder": (0, 0, -1.9)}),
    "forearm through the chest": ("self_penetration", {"left_shoulder": (0, -2.4, 0), "left_elbow": (0, -2.2, 0)}),
    "shins through each other": ("self_penetration", {**UPRIGHT, "left_knee": (0, 0, -0.7), "right_knee": (0, 0, 0.7)}),
    "knee bent backwards": ("joint_limit", {**UPRIGHT, "left_knee": (-0.9, 0, 0)}),
    "elbow bent backwards": ("joint_limit", {**UPRIGHT, "right_elbow": (0, -0.9, 0)}),
    "neck wrung": ("joint_limit", {**UPRIGHT, "neck": (0, 1.6, 0)}),
    "leaning in the air": ("unsupported", {**UPRIGHT, "pelvis": (0.9, 0, 0)}),
    "sitting on nothing": (
        "unsupported",
        {
            **UPRIGHT,
            **{f"{side}_hip": (-1.5, 0, 0) for side in ("left", "right")},
            **{f"{side}_knee": (1.5, 0, 0) for side in ("left", "right")},
        },
    ),
}


@pytest.fixture(scope="module", params=BODIES)
def judge(request: pytest.FixtureRequest) -> Plausibility:
    return Plausibility(load_body(request.param), PlausibilityConfig())


def _pose(judge: Plausibility, turns: dict[str, tuple[float, float, float]]) -> tuple[torch.Tensor, torch.Tensor]:
    names = joint_set(judge.body.joint_set).joints
    pose = torch.zeros(1, len(names), 3)
    for name, turn in turns.items():
        pose[0, names.index(name)] = torch.tensor(turn)
    return torch.zeros(1, judge.body.mesh.shapedirs.shape[0]), pose


@pytest.mark.parametrize("name", GOOD)
def test_possible_poses_pass(judge: Plausibility, name: str) -> None:
    judged = judge.judge(*_pose(judge, GOOD[name]))
    assert judged.plausible.all(), dict(zip(REASONS, judged.excess[0].round(2).tolist(), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_impossible_poses_fail_for_their_reason(judge: Plausibility, name: str) -> None:
    reason, turns = BAD[name]
    judged = judge.judge(*_pose(judge, turns))
    assert judged.excess[0, REASONS.index(reason)] > 0, dict(
        zip(REASONS, judged.excess[0].round(2).tolist(), strict=True)
    )


def test_what_lies_below_the_ground_is_found(judge: Plausibility) -> None:
    shape, pose = _pose(judge, UPRIGHT)
    low = judge.judge(shape, pose, ground=np.array([-10.0])), judge.judge(shape, pose, ground=np.array([0.0]))
    assert low[0].excess[0, 2] < 0 < low[1].excess[0, 2]


def test_a_check_can_be_switched_off(judge: Plausibility) -> None:
    off = Plausibility(judge.body, PlausibilityConfig(penetration=None, joints=None, ground=None, balance=None))
    for _, turns in BAD.values():
        assert off.judge(*_pose(judge, turns)).plausible.all()


@pytest.mark.parametrize(
    ("joint", "axis"), [("left_knee", (1, 0, 0)), ("left_elbow", (0, -1, 0)), ("right_elbow", (0, 1, 0))]
)
@pytest.mark.parametrize("degrees", [-20.0, 0.0, 45.0, 150.0])
def test_flexion_is_positive_as_the_joint_bends(joint: str, axis: tuple[int, int, int], degrees: float) -> None:
    import roma

    turn = roma.rotvec_to_rotmat(torch.tensor(axis, dtype=torch.float64) * np.radians(degrees)).numpy()
    assert flexion_angle(turn[None], joint)[0] == pytest.approx(degrees, abs=1e-6)


def test_rejected_draws_are_drawn_again_and_counted() -> None:
    body = load_body("open-infant")
    kept, all_drawn = (
        Poser(body, PoseConfig(plausibility=PlausibilityConfig(redraws=redraws)), ShapeConfig(), 3)
        for redraws in (3, 0)
    )
    for start in range(0, 128, 32):
        before = all_drawn.pose(range(start, start + 32))
        after = kept.pose(range(start, start + 32))
        bad = all_drawn._judgement(before).badness > 0
        same = (before.pose == after.pose).all(2).all(1).numpy()
        assert (same | bad).all() and not (same & bad).all(), "what passed is left as it was"
        assert [plan.posture for plan in before.plans] == [plan.posture for plan in after.plans]
        assert (kept._judgement(after).badness > 0).sum() <= kept.counts["kept_implausible"]
    assert all_drawn.counts["kept_implausible"] == all_drawn.counts["poses_rejected"] > 3
    assert kept.counts["poses_rejected"] >= all_drawn.counts["poses_rejected"]
    assert kept.counts["kept_implausible"] < 0.2 * all_drawn.counts["kept_implausible"]
    assert kept.counts["self_penetration"] + kept.counts["joint_limit"] >= kept.counts["poses_rejected"]


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(UserError, match=r"scene.poses.plausibility.penetration.*greater than 0"):
        load_config(InfantConfig, None, ["scene.poses.plausibility.penetration=-1"])
