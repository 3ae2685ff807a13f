"""All figures of a density at once, the fitting loop, and priors side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.bodies import Body
from sim2pose.models.priors import GaussianDensity, GaussianPrior
from sim2pose.trainers.priors import comparison
from sim2pose.trainers.priors.evaluation import FULL, QUICK, evaluate_prior
from sim2pose.trainers.priors.fitting import fit_with, informs_fits, projected

from .conftest import JOINTS, gaussian, made_poses

TINY = replace(QUICK, samples=256, diverse=64, base=256, nearest=16, denoised=8, completed=4, completions=3)


def test_figures_of_a_density_are_flat_finite_and_repeatable(density: GaussianDensity, person: Body) -> None:
    train, val = made_poses(500, 0), made_poses(60, 1)
    takes = np.arange(60) // 20
    found = evaluate_prior(density, train, val, takes, person, TINY)
    assert found == evaluate_prior(density, train, val, takes, person, TINY)
    assert all(np.isfinite(value) for value in found.values())
    assert {name.split("/")[0] for name in found} == {
        *(
            "val",
            "uniform",
            "roundtrip",
            "frechet",
            "baseline",
            "diversity",
            "limits",
            "nearest",
            "denoise",
            "complete",
        ),
    }
    assert found["val/nats_per_dim"] < found["uniform/nats_per_dim"]
    assert found["val/takes"] == 3 and found["val/poses"] == 60 and found["val/dimensions"] == density.dim
    assert found["denoise/0.3/after_mm"] < found["denoise/0.3/before_mm"]
    assert found["frechet/sample_val_mm"] < found["baseline/mean_pose_mm"]


def test_memorisers_are_caught(person: Body) -> None:
    """A density that only knows its training poses draws them; one that does not stays as far off as unseen poses."""

    class Parrot(GaussianDensity):
        def sample_standard(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
            t = self.space.standardise(self.space.to_coordinates(torch.from_numpy(made_poses(200, 0))))[0]
            return t[torch.randint(200, (count,), generator=generator)]

    honest = gaussian(made_poses(200, 0))
    parrot = Parrot(honest.space)
    parrot.load_state_dict(honest.state_dict())
    train, val = made_poses(200, 0), made_poses(60, 1)
    only = replace(TINY, denoised=0, completed=0)
    found = evaluate_prior(parrot.eval(), train, val, np.zeros(60, int), person, only)
    assert found["nearest/sample_mm"] < 1 < found["nearest/val_mm"]
    found = evaluate_prior(honest, train, val, np.zeros(60, int), person, only)
    assert found["nearest/sample_mm"] > 0.7 * found["nearest/val_mm"]


def test_poses_of_other_joints_are_refused(density: GaussianDensity, person: Body) -> None:
    good = made_poses(20, 0)
    with pytest.raises(UserError, match=r"val poses of this prior are \(2 or more, 21, 3\), found \(20, 20, 3\)"):
        evaluate_prior(density, good, good[:, 1:], np.zeros(20, int), person, TINY)
    with pytest.raises(UserError, match=r"takes of 20 held-out poses are \(20,\), found \(3,\)"):
        evaluate_prior(density, good, good, np.zeros(3, int), person, TINY)


def test_people_of_the_fitting_loop_are_seen_whole(person: Body) -> None:
    people, joints = projected(JOINTS, made_poses(5, 3), person, seed=0)
    for one in people:
        seen = one.keypoints[one.keypoints[:, 2] > 0, :2]
        assert len(seen) >= 6 and (seen > 0).all() and (seen < [640, 480]).all()
    assert joints.shape == (5, 22, 3) and (joints[..., 2] > 1).all()
    head, feet = joints[:, 15, 1], joints[:, 7:9, 1].mean(1)
    assert (head < feet - 0.8).all(), "people stand upright, y points down"
    again, _ = projected(JOINTS, made_poses(5, 3), person, seed=0)
    np.testing.assert_array_equal(people[4].keypoints, again[4].keypoints)


def test_a_prior_that_knows_the_people_fits_them_better(density: GaussianDensity, person: Body) -> None:
    pose = made_poses(4, 5)
    assert informs_fits(density) and not informs_fits(gaussian(pose[:, :3], JOINTS[:3]))
    right = fit_with(density.to_fit_prior(), JOINTS, pose, person)
    stiff = GaussianPrior(np.zeros(63), 1e6 * np.eye(63), JOINTS)
    wrong = fit_with(stiff, JOINTS, pose, person)
    assert right["people"] == 4 and right["failed"] == 0
    assert right["pa_mean_mm"] < 0.7 * wrong["pa_mean_mm"]


@pytest.fixture
def motion(tmp_path: Path) -> Path:
    """Three takes of two subjects."""
    folder = tmp_path / "motion"
    folder.mkdir()
    for k, name in enumerate(("01_01", "01_02", "11_01")):
        pose = np.zeros((50, 55, 3), np.float32)
        pose[:, 1:22] = made_poses(50, 10 + k)
        save_poses(folder / f"{name}.npz", PoseSequence(pose, np.zeros((50, 3), np.float32), "open-person", "smplx55"))
    return folder


def test_priors_side_by_side(
    density: GaussianDensity, motion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "QUICK", TINY)
    density.save(tmp_path / "full.safetensors")
    run = tmp_path / "diagonal"
    run.mkdir()
    gaussian(made_poses(4000, 0), full=False).save(run / "prior.safetensors")
    names = [str(tmp_path / "full.safetensors"), str(run)]
    done = comparison.compare(names, [str(motion)], "subject", ["11"], None, tmp_path / "out", quick=True)
    assert done.header == ("", "full", "diagonal", "beside")
    first = dict(zip(done.header, done.rows[0], strict=True))
    assert first[""] == "held-out nats per dimension" and float(first["full"]) < float(first["diagonal"])
    assert first["beside"].startswith("uniform within limits ")
    text = done.markdown.read_text()
    assert "50 held-out poses (subject 11)" in text and "| left arm |" in text and "| noise of 0.3 rad |" in text
    assert "Completion" in done.page.read_text()
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == done.figures


def test_priors_that_do_not_compare_are_refused(motion: Path, density: GaussianDensity, tmp_path: Path) -> None:
    file = str(tmp_path / "one.safetensors")
    density.save(file)
    for names, message in (
        (["open-person"], r"'open-person' is a mixture for fits"),
        (["open-persn"], r"no prior 'open-persn': did you mean 'open-person'"),
        ([file, file], r"named twice"),
    ):
        with pytest.raises(UserError, match=message):
            comparison.compare(names, [str(motion)], "subject", ["11"], None, tmp_path)
    with pytest.raises(UserError, match="no subject '77'"):
        comparison.compare([file], [str(motion)], "subject", ["77"], None, tmp_path)


def test_full_settings_measure_what_is_promised() -> None:
    assert FULL.sigmas == (0.1, 0.2, 0.3, 0.5) and FULL.completions == 10 and FULL.fitted == 64
