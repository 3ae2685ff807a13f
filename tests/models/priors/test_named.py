"""Priors by name: shipped mixtures, files of every kind, run folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.priors import GaussianDensity, GaussianPrior, PartMixture, PoseSpace
from sim2pose.models.priors.named import RUN_FILE, SHIPPED, find_prior, load_fit_prior, load_prior


def _density(path: Path) -> Path:
    pose = torch.randn(200, 2, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    space = PoseSpace.fit(pose, ("left_knee", "head"), "smplx55")
    density = GaussianDensity(space)
    density.initialise(space.standardise(space.to_coordinates(pose))[0])
    density.save(path)
    return path


def test_every_kind_is_found_and_read(tmp_path: Path) -> None:
    assert isinstance(load_prior("open-infant"), PartMixture) and find_prior("open-person") == SHIPPED["open-person"]
    GaussianPrior(np.zeros(6), np.eye(6), ("left_knee", "head")).save(tmp_path / "g.npz")
    assert isinstance(load_prior(tmp_path / "g.npz"), GaussianPrior)
    run = tmp_path / "run"
    run.mkdir()
    _density(run / RUN_FILE)
    for name in (run, run / RUN_FILE, str(run)):
        assert isinstance(load_prior(name), GaussianDensity)
    fit = load_fit_prior(run)
    assert fit.joints == ("left_knee", "head") and fit.precision.shape == (6, 6)
    assert isinstance(load_fit_prior("open-person"), PartMixture)


def test_unknown_names_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no prior 'open-persn': did you mean 'open-person'"):
        load_prior("open-persn")
    with pytest.raises(UserError, match=rf"holds no {RUN_FILE}: it is no run folder of a pose prior"):
        load_prior(tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"x\.safetensors"):
        load_prior(tmp_path / "x.safetensors")
