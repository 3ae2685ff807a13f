from dataclasses import replace

import numpy as np
import pytest
import torch

from sim2pose.models.bodies.body import Body
from sim2pose.models.joints import joint_set
from sim2pose.render_farm.fit import FitConfig, fit_people
from sim2pose.render_farm.fit.adults import ADULT_LIMITS, adult_poses
from sim2pose.render_farm.fit.choice import begin
from sim2pose.render_farm.fit.limbs import alternatives, merge
from sim2pose.render_farm.fit.priors import own_prior
from sim2pose.render_farm.fit.setup import Setup, prepare
from sim2pose.render_farm.fit.targets import make_targets

NAMES = joint_set("smpl24").joints[1:]


@pytest.fixture(scope="module")
def setup(infant: Body) -> Setup:
    return prepare(infant, "coco17", own_prior(infant), FitConfig())


def test_limbs_own_their_keypoints(setup: Setup) -> None:
    points = joint_set("coco17").joints
    owned = [{points[k] for k in limb.points.tolist()} for limb in setup.limbs]
    assert owned == [
        {"left_elbow", "left_wrist"},
        {"right_elbow", "right_wrist"},
        {"left_knee", "left_ankle"},
        {"right_knee", "right_ankle"},
    ]


def test_alternatives_change_one_limb_and_differ(setup: Setup, infant: Body, scene) -> None:
    to = make_targets(setup, scene.people(infant)[:3], FitConfig(), scene.K[:3])
    at, _ = begin(setup, to, 1)
    other, which = alternatives(setup.objective, setup.limbs, at, to, 2)
    assert which.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    pose = other.pose.view(3, 8, 23, 3)
    for column, number in enumerate(which.tolist()):
        changed = (pose[:, column] != at.pose).any(-1)
        rows = setup.limbs[number].rows
        assert changed[:, rows].any(1).all()
        rest = torch.ones(23, dtype=torch.bool)
        rest[rows] = False
        assert not changed[:, rest].any()
    first, second = pose[:, 0], pose[:, 1]
    assert (first - second).abs().amax((1, 2)).min() > 0.1


def test_merging_takes_over_what_is_better(setup: Setup, infant: Body, scene) -> None:
    to = make_targets(setup, scene.people(infant)[:2], FitConfig(), scene.K[:2])
    at, _ = begin(setup, to, 1)
    options = torch.full((2, 4, 23, 3), 9.0, dtype=torch.float64)
    better = torch.tensor([[True, False, False, False], [False, False, False, True]])
    merged = merge(replace(at, pose=torch.zeros_like(at.pose)), setup.limbs, options, better)
    assert {NAMES[k] for k in torch.nonzero(merged.pose[0, :, 0])[:, 0].tolist()} == {
        "left_collar", "left_shoulder", "left_elbow", "left_wrist", "left_hand"
    }  # fmt: skip
    assert {NAMES[k] for k in torch.nonzero(merged.pose[1, :, 0])[:, 0].tolist()} == {
        "right_hip", "right_knee", "right_ankle", "right_foot"
    }  # fmt: skip


def test_thinking_again_never_raises_what_it_judges_by(infant: Body, scene) -> None:
    people = scene.people(infant)
    search = FitConfig().search
    once = fit_people(infant, people, FitConfig(search=search.model_copy(update={"limbs": 0, "evidence": False})))
    again = fit_people(infant, people, FitConfig(search=search.model_copy(update={"limbs": 2, "evidence": False})))
    before, after = sum(once.terms.values()), sum(again.terms.values())
    assert (after <= before + 0.5).all()


def test_adult_poses_keep_their_limits() -> None:
    poses = adult_poses(200, 0).reshape(200, 21, 3)
    assert np.isfinite(poses).all()
    knee = np.degrees(poses[:, NAMES.index("left_knee"), 0])  # a hinge about x: flexion
    low, high = ADULT_LIMITS["knee"]
    assert knee.min() >= low - 1e-3 and knee.max() <= high + 1e-3
    assert np.array_equal(poses, adult_poses(200, 0).reshape(200, 21, 3))
