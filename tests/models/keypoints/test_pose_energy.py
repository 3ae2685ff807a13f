"""The Gaussian over keypoint shapes: about one on its own kind, more on nonsense, blind to place and size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.keypoints.heatmaps import encode
from sim2pose.models.keypoints.pose_energy import GaussianShape, soft_argmax


def people(count: int, seed: int) -> np.ndarray:
    """Five points in a row of varied bend, 100 pixels long, anywhere."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 100, 5)[None] + rng.normal(0, 3, (count, 5))
    y = rng.normal(0, 10, (count, 1)) * np.linspace(-1, 1, 5) + rng.normal(0, 3, (count, 5))
    return (np.stack([x, y], -1) * rng.uniform(0.5, 2, (count, 1, 1)) + rng.uniform(0, 500, (count, 1, 2))).astype(
        np.float32
    )


def test_energy_is_about_one_on_its_kind_and_high_on_nonsense() -> None:
    prior = GaussianShape(people(400, 0))
    likely = prior(torch.from_numpy(people(100, 1)))
    assert 0.3 < float(likely.mean()) < 1.5
    shuffled = people(100, 1)[:, [2, 0, 4, 1, 3]]
    assert float(prior(torch.from_numpy(shuffled)).min()) > 3 * float(likely.mean())


def test_place_and_size_do_not_matter() -> None:
    prior = GaussianShape(people(50, 0))
    points = torch.from_numpy(people(3, 2))
    torch.testing.assert_close(prior(points), prior(points * 7 - 300), rtol=1e-3, atol=1e-4)


def test_gradient_descends_to_plausible_shapes() -> None:
    prior = GaussianShape(people(50, 0))
    points = torch.from_numpy(people(4, 3)[:, ::-1].copy()).requires_grad_()
    first = prior(points).sum()
    optimiser = torch.optim.Adam([points], lr=2.0)
    for _ in range(60):
        optimiser.zero_grad()
        prior(points).sum().backward()
        optimiser.step()
    assert prior(points).sum().item() < 0.5 * first.item()


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(UserError, match="found 1"):
        GaussianShape(people(1, 0))


def test_soft_argmax_finds_the_peak_between_pixels() -> None:
    points = torch.tensor([[[20.0, 33.5], [41.2, 12.0]]])
    heatmaps = encode(points, torch.ones(1, 2), (64, 64), (64, 64), 2.0)
    torch.testing.assert_close(soft_argmax(heatmaps, 25.0), points, atol=0.1, rtol=0)
