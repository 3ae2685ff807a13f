"""Trained densities as sources of poses: the same on every machine, standing where they can, leaving alone what they
do not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.joints import joint_set
from sim2pose.models.priors import GaussianDensity, PoseSpace
from sim2pose.models.priors.named import RUN_FILE, load_prior
from sim2pose.render_farm.kinds.person.config import PersonConfig
from sim2pose.render_farm.kinds.person.posing import Poser, Request
from sim2pose.render_farm.kinds.registry import load_render_config
from sim2pose.render_farm.poses import prior_source as module
from sim2pose.render_farm.poses.prior_source import GRID, prior_source, sample_poses, stands

BODY = joint_set("smplx55").joints[1:22]
FINGERS = joint_set("smplx55").joints[25:55]


def _density(path: Path, joints: tuple[str, ...], spread: float = 0.1) -> Path:
    pose = torch.randn(500, len(joints), 3, generator=torch.Generator().manual_seed(0)) * spread
    if "left_shoulder" in joints:
        pose[:, joints.index("left_shoulder"), 2] -= 1.2
        pose[:, joints.index("right_shoulder"), 2] += 1.2
    space = PoseSpace.fit(pose, joints, "smplx55")
    density = GaussianDensity(space)
    density.initialise(space.standardise(space.to_coordinates(pose))[0])
    density.save(path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    _density(folder / RUN_FILE, BODY)
    return folder


def test_samples_are_a_function_of_the_seed_on_a_grid(run: Path) -> None:
    prior = load_prior(run)
    first, joints = sample_poses(prior, 50, 3)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    second, _ = sample_poses(load_prior(run), 50, 3)
    torch.set_num_threads(threads)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first / GRID, np.round(first / GRID), atol=2e-3)
    assert joints == BODY and first.shape == (50, 21, 3)
    assert next(prior.parameters()).dtype == torch.float32, "the prior is as it was"  # type: ignore[union-attr]


def test_who_can_stand_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BANK", 128)
    file = str(_density(tmp_path / "wild.safetensors", BODY, spread=0.35))
    source = prior_source(file, "smplx55")
    standing = np.array([posture == "standing" for posture in source.postures])
    assert 0.2 < standing.mean() < 1 and (source.laid == ~standing).all()
    np.testing.assert_array_equal(source.orient[standing], np.broadcast_to(np.eye(3), (standing.sum(), 3, 3)))
    assert source.covered is not None and source.covered[1:22].all() and not source.covered[22:].any()
    assert source.digest == prior_source(file, "smplx55").digest
    pose = np.zeros((2, 55, 3), np.float32)
    pose[1, 1:3, 0] = 1.0  # both legs backwards
    assert stands(pose, "smplx55").tolist() == [True, False]


def _pose(sources: dict[str, float]) -> tuple[np.ndarray, list[str], list[str]]:
    config = load_render_config("person", {"poses": sources})
    assert isinstance(config, PersonConfig)
    poser = Poser(load_body("open-person"), config.scene.poses, config.scene.people)
    people = poser.pose([Request((5, index, 0), "standing") for index in range(8)])
    return people.pose.numpy(), people.origins, people.activities


def test_fingers_stay_as_the_farm_draws_them(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BANK", 128)
    drawn, _, activities = _pose({"procedural": 1.0})
    body, origins, postures = _pose({f"prior:{run}": 1.0})
    assert all(origin.startswith(f"prior:{run}:") for origin in origins)
    assert all(name.startswith("file_") for name in postures)
    assert np.abs(body[:, 25:]).max() > 0.1, "hands are not left flat"
    hands = _density(tmp_path / "hands.safetensors", FINGERS)
    fingers, origins, same = _pose({f"prior:{hands}": 1.0})
    assert all(origin.startswith(f"prior:{hands}:") for origin in origins)
    assert same == activities, "a prior of fingers leaves the body to the farm"
    np.testing.assert_array_equal(fingers[:, 1:22], drawn[:, 1:22])
    assert not np.array_equal(fingers[:, 25:], drawn[:, 25:])


def test_poses_is_short_for_the_sources_of_bodies() -> None:
    for preset in ("infant", "person"):
        config = load_render_config(preset, ["poses=prior:open-person"])
        assert config.scene.poses.sources == {"prior:open-person": 1.0}  # type: ignore[attr-defined]
    config = load_render_config("infant", ["poses={procedural: 1, prior:open-infant: 3}", "scene.poses.spread=0.5"])
    assert config.scene.poses.sources == {"procedural": 1, "prior:open-infant": 3}  # type: ignore[attr-defined]
    assert config.scene.poses.spread == 0.5  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="frames of kind 'hand' have none"):
        load_render_config("hand", ["poses=prior:open-person"])
    with pytest.raises(UserError, match="name all sources in one of them"):
        load_render_config("infant", ["poses=a.npz", "scene.poses.source=b.npz"])


def test_priors_that_cannot_be_a_source_are_refused(tmp_path: Path) -> None:
    hands = _density(tmp_path / "hands.safetensors", FINGERS)
    with pytest.raises(UserError, match=r"covers left_index1, .*: no joint of 'smpl24'"):
        prior_source(str(hands), "smpl24")
    with pytest.raises(UserError, match=r"scene.poses.sources: no prior 'open-infnt': did you mean 'open-infant'"):
        prior_source("open-infnt")
