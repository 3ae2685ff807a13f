"""The Gaussian against torch's, its conditionals, and the priors of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.joints import joint_set
from sim2pose.models.priors import GaussianDensity, GaussianPrior, PoseSpace, build_density

from .conftest import trained, walk


@pytest.mark.parametrize("full", [False, True])
def test_it_is_torchs(space: PoseSpace, full: bool) -> None:
    density = build_density("gaussian", space, full=full, shrinkage=0.0)
    t = space.standardise(space.to_coordinates(walk()))[0]
    density.initialise(t)
    covariance = torch.cov(t.T, correction=0)
    wanted = torch.distributions.MultivariateNormal(
        t.mean(0), covariance if full else torch.diag(torch.diag(covariance))
    )
    assert torch.allclose(density.log_prob_standard(t), wanted.log_prob(t), atol=2e-3, rtol=1e-5)


def test_shrinkage_weakens_covariances_alone(space: PoseSpace) -> None:
    density = trained("gaussian", space, shrinkage=0.25)
    assert isinstance(density, GaussianDensity)
    t = space.standardise(space.to_coordinates(walk()))[0]
    found, data = density.covariance, torch.cov(t.T, correction=0)
    assert torch.allclose(torch.diag(found), torch.diag(data), rtol=1e-3)
    assert torch.allclose(found[0, 3], 0.75 * data[0, 3], rtol=1e-3)
    with pytest.raises(UserError, match="shrinkage"):
        build_density("gaussian", space, shrinkage=1.0)


def test_completion_is_the_closed_form(space: PoseSpace) -> None:
    density = trained("gaussian", space)
    assert isinstance(density, GaussianDensity)
    t = space.standardise(space.to_coordinates(walk(2, seed=7)))[0]
    known = torch.arange(space.dim) < 4
    drawn = density.complete_standard(t, known, 20_000, torch.Generator().manual_seed(0))
    a, b = known.nonzero()[:, 0], (~known).nonzero()[:, 0]
    sigma, mean = density.covariance.detach().double(), density.mean.detach().double()
    gain = sigma[b][:, a] @ torch.linalg.inv(sigma[a][:, a])
    expected = mean[b] + (t.double() - mean)[:, a] @ gain.T
    rest = sigma[b][:, b] - gain @ sigma[a][:, b]
    assert torch.equal(drawn[..., known], t[:, known].expand(20_000, -1, -1))
    assert (drawn[..., b].mean(0) - expected).abs().max() < 0.03
    assert (torch.cov(drawn[:, 0, b].T) - rest).abs().max() < 0.03


def test_the_fits_gaussian_is_its_own() -> None:
    """With the floor zero, the prior handed to fits has the moments of samples of the density."""
    generator = torch.Generator().manual_seed(0)
    pose = torch.tensor([[0.5, 0.2, -0.1], [0.0, 1.0, 0.0]]) + 0.05 * torch.randn(4000, 2, 3, generator=generator)
    names = ("left_hip", "left_knee")
    space = PoseSpace.fit(pose, names)
    density = GaussianDensity(space, shrinkage=0.0)
    density.initialise(space.standardise(space.to_coordinates(pose))[0])
    prior = density.to_fit_prior(floor=0.0)
    assert np.allclose(prior.mean, pose.mean(0).flatten(), atol=2e-3)
    assert np.allclose(np.linalg.inv(prior.precision), np.cov(pose.flatten(1).T), atol=1e-4)


@pytest.mark.parametrize("joints", [joint_set("smpl24").joints[1:], joint_set("smpl24").joints[1:22]])
def test_a_mahalanobis_file_comes_and_goes(joints: tuple[str, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    width = 3 * len(joints)
    root = 3 * rng.standard_normal((width, width)) + 40 * np.eye(width)
    prior = GaussianPrior(0.5 * rng.standard_normal(width), root @ root.T, joints)
    prior.save(tmp_path / "prior.npz")
    density = GaussianDensity.from_mahalanobis(tmp_path / "prior.npz")
    back = density.to_fit_prior(floor=0.0)
    assert back.joints == joints and density.space.joint_set == "smpl24"
    assert np.allclose(back.mean, prior.mean, atol=1e-5)
    assert np.abs(back.precision - prior.precision).max() < 2e-3 * np.abs(prior.precision).max()
    pose = torch.from_numpy(prior.draw(rng, 200)).float().reshape(200, -1, 3)
    apart = pose.flatten(1).double().numpy() - prior.mean
    distance = np.einsum("ni,ij,nj->n", apart, prior.precision, apart)
    scores = density.log_prob(pose).detach().numpy()
    assert np.corrcoef(distance, scores)[0, 1] < -0.9, "the nearer by the file, the likelier here"
