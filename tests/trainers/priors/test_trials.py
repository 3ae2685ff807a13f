"""Densities tried on poses of a world that is known: a Gaussian of mirrored arms and legs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import Body
from sim2pose.models.priors import GaussianDensity
from sim2pose.trainers.priors import trials
from sim2pose.trainers.priors.baseline import uniform_limits
from sim2pose.trainers.priors.skeleton import Skeleton, skeleton_of

from .conftest import JOINTS, gaussian, made_poses


@pytest.fixture(scope="module")
def skeleton(person: Body) -> Skeleton:
    return skeleton_of(person, JOINTS)


@pytest.fixture(scope="module")
def unseen() -> torch.Tensor:
    return torch.from_numpy(made_poses(64, 1))


def test_likelihood_is_the_gaussian_s_own(density: GaussianDensity) -> None:
    """Of poses drawn from the density itself nats per dimension are its entropy, with little noise added."""
    drawn = density.sample(20_000, torch.Generator().manual_seed(1))
    found = trials.nats_per_dim(density, drawn).mean()
    t_entropy = density.log_scale.sum() / density.dim + 0.5 * math.log(2 * math.pi * math.e)
    x = density.space.to_coordinates(drawn)
    logdet = density.space.standardise(x)[1].mean() / density.dim
    assert float(found) == pytest.approx(float(t_entropy - logdet), abs=0.01)
    noisy = trials.nats_per_dim(density, drawn, seed=0).mean()
    assert noisy > found, "noise of the resolution can only blur"


def test_likelihood_does_not_depend_on_batches_and_follows_the_seed(
    density: GaussianDensity, unseen: torch.Tensor
) -> None:
    one = trials.nats_per_dim(density, unseen, seed=3)
    assert torch.equal(one, trials.nats_per_dim(density, unseen, seed=3))
    assert not torch.equal(one, trials.nats_per_dim(density, unseen, seed=4))
    torch.testing.assert_close(
        trials.nats_per_dim(density, unseen), trials.nats_per_dim(density, unseen, batch=7), atol=1e-4, rtol=1e-4
    )
    figures = trials.likelihood(density, unseen, np.arange(64) // 32, 3)
    assert figures["bits_per_dim"] == pytest.approx(float(one.mean()) / math.log(2), rel=1e-5)
    assert figures["nats_per_dim_std_takes"] > 0
    assert "nats_per_dim_std_takes" not in trials.likelihood(density, unseen, np.zeros(64, int), 3)


def test_a_better_density_scores_better(density: GaussianDensity, unseen: torch.Tensor) -> None:
    diagonal = gaussian(made_poses(4000, 0), full=False)
    uniform = uniform_limits(density.space).figures(unseen)
    nats = [float(trials.nats_per_dim(each, unseen, seed=0).mean()) for each in (density, diagonal)]
    assert nats[0] < nats[1] < uniform["nats_per_dim"] and uniform["outside"] < 0.2


def test_uniform_density_is_proper() -> None:
    """An eyeball may turn by 40 degrees about any axis: the volume of its ball is known; a knee's is an interval."""
    rng = np.random.default_rng(0)
    pose = np.zeros((2000, 2, 3), np.float32)
    pose[:, 0] = rng.normal(0, 0.1, (2000, 3))
    pose[:, 1, 0] = rng.normal(1.0, 0.3, 2000)
    density = gaussian(pose, ("left_eyeball", "left_knee"))
    assert density.dim == 4
    uniform = uniform_limits(density.space)
    ball, interval = 4 / 3 * math.pi * math.radians(40) ** 3, math.radians(185)
    assert uniform.log_volume == pytest.approx(math.log(ball) + math.log(interval), abs=0.05)
    inside, outside = torch.tensor(pose[:1]), torch.tensor(pose[:1]).clone()
    outside[0, 0] = torch.tensor([1.0, 0.0, 0.0])
    assert uniform.log_prob(inside).item() == pytest.approx(-uniform.log_volume)
    assert uniform.log_prob(outside).item() == -math.inf
    both = uniform.figures(torch.cat([inside, outside]))
    assert both == {"nats_per_dim": pytest.approx(uniform.log_volume / 4), "outside": 0.5}


def test_roundtrip_and_what_the_chart_loses(density: GaussianDensity, unseen: torch.Tensor, skeleton: Skeleton) -> None:
    found = trials.roundtrip(density, unseen, skeleton)
    assert found["max_rad"] < 1e-4 and found["mean_mm"] < 0.05 and found["chart_mean_mm"] < 0.05
    stiff = made_poses(500, 2)
    stiff[:, JOINTS.index("left_knee"), 1:] = 0
    lossy = gaussian(stiff)
    assert trials.roundtrip(lossy, unseen, skeleton)["chart_mean_mm"] > 1, "a knee turned aside is off its chart"


def test_denoising_helps_and_the_more_the_noise(
    density: GaussianDensity, unseen: torch.Tensor, skeleton: Skeleton
) -> None:
    found = trials.denoising(density, unseen, skeleton, (0.1, 0.4), seed=0)
    for sigma in ("0.1", "0.4"):
        assert found[f"{sigma}/after_mm"] < 0.8 * found[f"{sigma}/before_mm"]
    assert found["0.4/before_mm"] > 3 * found["0.1/before_mm"]
    assert found == trials.denoising(density, unseen, skeleton, (0.1, 0.4), seed=0)


def test_completions_of_mirrored_arms_beat_the_mean_pose(
    density: GaussianDensity, unseen: torch.Tensor, skeleton: Skeleton
) -> None:
    groups = trials.joint_groups(("left_arm", "trunk"), JOINTS)
    found = trials.completion(density, unseen, skeleton, groups, 10, seed=0)
    assert found["left_arm/mean_mm"] < 0.5 * found["left_arm/mean_pose_mm"], "the right arm tells"
    assert found["left_arm/min_mm"] < found["left_arm/mean_mm"]
    centred = unseen.clone()
    rows = [JOINTS.index(joint) for joint in groups["left_arm"]]
    centred[:, rows] = trials.mean_pose(density, 1)[:, rows]
    moved = [skeleton.measured.index(name) for name in ("left_shoulder", "left_elbow", "left_wrist", "left_index1")]
    apart = (skeleton(centred) - skeleton(unseen))[:, moved].norm(dim=-1)
    assert found["left_arm/mean_pose_mm"] == pytest.approx(1000 * float(apart.mean()), rel=1e-4), "of the arm alone"
    assert found["trunk/mean_mm"] > found["trunk/mean_pose_mm"], "nothing tells, and draws differ"


def test_groups_of_joints() -> None:
    names = (*JOINTS, "left_index1", "left_thumb1", "right_index1")
    groups = trials.joint_groups(("left_arm", "hands", "left_thumb", "neck_and_head", "head"), names)
    assert groups["left_arm"] == (
        *("left_collar", "left_shoulder", "left_elbow", "left_wrist", "left_index1", "left_thumb1"),
    )
    assert groups["hands"] == ("left_wrist", "right_wrist", "left_index1", "left_thumb1", "right_index1")
    assert (
        groups["left_thumb"] == ("left_thumb1",)
        and groups["neck_and_head"] == ("neck", "head")
        and groups["head"] == ("head",)
    )
    with pytest.raises(UserError, match=r"unknown joint or group 'left_am': did you mean 'left_arm'"):
        trials.joint_groups(("left_am",), names)
    with pytest.raises(UserError, match=r"no joint of 'right_thumb' is covered"):
        trials.joint_groups(("right_thumb",), names)
    assert set(trials.usual_groups(JOINTS)) == set(trials.COMPLETIONS)
    assert trials.usual_groups(("left_index1", "left_index2")) == {}
    assert set(trials.usual_groups(("left_index1", "left_thumb1", "right_index1"))) == set(trials.OF_HANDS)
