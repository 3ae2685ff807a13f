"""Implausible poses are found, with the joint that is to blame, in pose files and frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sim2pose.config import UserError
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.priors import GaussianDensity, GaussianPrior
from sim2pose.models.priors.named import load_prior
from sim2pose.trainers.priors.evaluation import training_scores
from sim2pose.trainers.priors.scored_people import People, Person
from sim2pose.trainers.priors.scored_people import read_people as read
from sim2pose.trainers.priors.scoring import JOINT, QUANTILES, Scorer, judge

from .conftest import JOINTS, gaussian, made_poses


def read_people(path: Path, scorer: Scorer) -> People:
    return read(path, scorer.joints, scorer.mean)


def _file(path: Path, pose: np.ndarray, joint_set: str = "smplx55") -> Path:
    count = {"smplx55": 55, "smpl24": 24}[joint_set]
    full = np.zeros((len(pose), count, 3), np.float32)
    full[:, 1:22] = pose
    return save_poses(path, PoseSequence(full, np.zeros((len(pose), 3), np.float32), "open-person", joint_set))


def test_a_broken_elbow_is_found_and_named(density: GaussianDensity, tmp_path: Path) -> None:
    pose = made_poses(30, 3)
    pose[7, JOINTS.index("left_elbow")] += [0.0, 2.0, 0.0]
    scorer = Scorer(density)
    people = read_people(_file(tmp_path / "a.npz", pose), scorer)
    limits = scorer.limits(0.999, 25.0)
    assert limits.source == "its own samples" and not people.lacking
    verdicts = judge(scorer, people, limits)
    assert verdicts[0].person == Person("7", -1, 7) and verdicts[0].implausible
    assert verdicts[0].joints[0] in ("left_elbow", "right_elbow"), "the other elbow should have bent, too"
    assert sum(verdict.implausible for verdict in verdicts) <= 2
    assert verdicts[0].nats_per_dim > limits.nats_per_dim


def test_one_broken_joint_among_common_ones_is_found(density: GaussianDensity) -> None:
    """Both knees bent backwards, all else at the mean: the density as a whole is high, and the tie of knees holds."""
    scorer = Scorer(density)
    pose = np.repeat(scorer.mean[None], 3, 0)
    pose[1, [JOINTS.index("left_knee"), JOINTS.index("right_knee")], 0] -= 1.2
    limits = scorer.limits(0.999, 25.0)
    assert scorer.nats(pose)[1] < limits.nats_per_dim
    deviations = scorer.deviations(pose)
    assert deviations[0].max() < 1 and deviations[1].max() > limits.deviation
    people = People([Person(str(k), -1, k) for k in range(3)], pose, ())
    verdicts = judge(scorer, people, limits)
    assert [verdict.implausible for verdict in verdicts] == [True, False, False]
    assert set(verdicts[0].joints[:2]) == {"left_knee", "right_knee"}


def test_turns_that_never_occurred_are_found_beside_the_density(tmp_path: Path) -> None:
    """A knee that only ever bends has no density for turns aside, yet such a pose must not pass."""
    trained = made_poses(2000, 0)
    trained[:, JOINTS.index("right_knee"), 1:] = 0
    scorer = Scorer(gaussian(trained))
    pose = made_poses(5, 3)
    pose[:, JOINTS.index("right_knee"), 1:] = 0
    pose[2, JOINTS.index("right_knee")] = [0.0, 0.0, 0.9]
    people = read_people(_file(tmp_path / "a.npz", pose), scorer)
    verdicts = judge(scorer, people, scorer.limits(0.999, 25.0))
    assert verdicts[0].person.number == 2 and verdicts[0].joints[0] == "right_knee"
    assert verdicts[0].lost_deg == pytest.approx(np.degrees(0.9), abs=8)
    assert [verdict.lost_deg < 5 for verdict in verdicts[1:]] == [True] * 4


def test_thresholds_come_with_the_prior(density: GaussianDensity) -> None:
    density.data = {"scores": training_scores(density, made_poses(300, 0))}
    try:
        scores = density.data["scores"]
        limits = Scorer(density).limits(0.99, 25.0)
        assert limits.source == "training poses" and limits.nats_per_dim == scores["0.99"]
        assert limits.deviation == scores[f"{JOINT}0.99"] and len(scores) == 2 * len(QUANTILES)
        assert list(scores.values()) == [*sorted(list(scores.values())[:7]), *sorted(list(scores.values())[7:])]
        with pytest.raises(UserError, match=r"kept no quantile 0.97 of its training: 0.5, 0.9, .*, 0.9999$"):
            Scorer(density).limits(0.97, 25.0)
    finally:
        density.data = {}


def test_mixtures_score_on_rotation_vectors() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6)) * 0.2
    prior = GaussianPrior(rng.normal(size=6), np.linalg.inv(root @ root.T + 0.01 * np.eye(6)), ("left_knee", "head"))
    pose = rng.normal(size=(4, 2, 3))
    wanted = -multivariate_normal(prior.mean, np.linalg.inv(prior.precision)).logpdf(pose.reshape(4, 6)) / 6
    np.testing.assert_allclose(Scorer(prior).nats(pose), wanted, rtol=1e-6)
    own = Scorer(load_prior("open-person"))
    limits = own.limits(0.99, 25.0)
    drawn = own.prior.draw(np.random.default_rng(1), 2000).reshape(2000, -1, 3)  # type: ignore[union-attr]
    assert (own.nats(drawn) > limits.nats_per_dim).mean() == pytest.approx(0.01, abs=0.007)
    assert (own.deviations(drawn).max(1) > limits.deviation).mean() == pytest.approx(0.01, abs=0.007)


def test_joints_that_the_data_lacks_are_named_and_stand_at_the_mean(tmp_path: Path) -> None:
    joints = (*JOINTS, "left_index1")
    pose = np.concatenate([made_poses(400, 0), np.random.default_rng(0).normal(0.5, 0.2, (400, 1, 3))], 1)
    scorer = Scorer(gaussian(pose.astype(np.float32), joints))
    people = read_people(_file(tmp_path / "a.npz", made_poses(3, 1), "smpl24"), scorer)
    assert people.lacking == ("left_index1",)
    np.testing.assert_allclose(people.pose[:, -1], np.repeat(scorer.mean[None, -1], 3, 0))
    fingers = Scorer(gaussian(pose[:, -1:].astype(np.float32), ("left_index1",)))
    with pytest.raises(UserError, match=r"a.npz has none of the prior's joints \(left_index1\.\.\.\)"):
        read_people(tmp_path / "a.npz", fingers)
