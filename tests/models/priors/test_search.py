"""Completion and denoising by search: exact where the closed form is known, and of use for flows."""

from __future__ import annotations

import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.priors import PoseDensity, PoseSpace
from sim2pose.models.priors.search import complete_by_search, denoise_by_search

from .conftest import trained, walk


def test_completion_of_the_gaussian_is_its_conditional(space: PoseSpace) -> None:
    """Randomised maximum likelihood is exact for linear decoders, here observed at the space's resolution."""
    density = trained("gaussian", space)
    t = space.standardise(space.to_coordinates(walk(2, seed=7)))[0]
    known = torch.arange(space.dim) < 6
    exact = density.complete_standard(t, known, 3000, torch.Generator().manual_seed(0))
    found = complete_by_search(density, t, known, 3000, torch.Generator().manual_seed(1))
    assert torch.equal(found[..., known], t[:, known].expand(3000, -1, -1))
    assert (found.mean(0) - exact.mean(0)).abs().max() < 0.08
    assert (found.std(0) - exact.std(0)).abs().max() < 0.08


@pytest.mark.parametrize("kind", ["joint_flow", "global_flow"])
def test_search_finds_the_known_joints(kind: str, space: PoseSpace) -> None:
    """Before the known columns are put back, the decoded poses already have them, to the resolution."""
    flow = trained(kind, space)
    t = flow.sample_standard(4, torch.Generator().manual_seed(0)).detach()
    known = space.owner != 0  # the root of a chain is missing, so that no ancestral draw is at hand
    seen: list[torch.Tensor] = []
    decode = flow.decode_standard
    flow.decode_standard = lambda z: seen.append(decode(z)) or seen[-1]  # type: ignore[method-assign, func-returns-value]
    filled = flow.complete_standard(t, known, 6, torch.Generator().manual_seed(0))
    apart = ((seen[-1].unflatten(0, (6, 4)) - t) * space.scale)[..., known]
    assert apart.square().mean().sqrt() < 4 * space.resolution
    assert torch.equal(filled[..., known], t[:, known].expand(6, -1, -1))
    assert filled[..., ~known].std(0).min() > 0.01, "completions differ"


def test_denoising_goes_towards_the_truth(density: PoseDensity) -> None:
    space, generator = density.space, torch.Generator().manual_seed(0)
    clean = space.to_coordinates(density.sample(60, generator))
    noisy = space.perturb(clean, 0.4, generator)
    found = space.to_coordinates(density.denoise(space.to_pose(noisy), 0.4))
    assert (found - clean).square().mean() < 0.6 * (noisy - clean).square().mean()


def test_the_closed_form_is_what_the_search_finds(space: PoseSpace) -> None:
    density = trained("gaussian", space)
    x = space.perturb(space.to_coordinates(walk(50)), 0.1, torch.Generator().manual_seed(0))
    closed = space.to_coordinates(density.denoise(space.to_pose(x), 0.1))
    assert (denoise_by_search(density, x, 0.1) - closed).square().mean().sqrt() < 0.01


def test_wrong_masks_are_named(space: PoseSpace) -> None:
    with pytest.raises(UserError, match=r"'known' must be \(6,\) bool, found \(4,\)"):
        trained("gaussian", space).complete(walk(2), torch.ones(4, dtype=torch.bool))
