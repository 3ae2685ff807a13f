"""Losses against numbers worked out by hand."""

import math

import pytest
import torch

from sim2pose.models.keypoints.heatmaps import encode
from sim2pose.models.keypoints.losses import domain_bce, joints_mse


def test_joints_mse_by_hand():
    predicted = torch.zeros(2, 3, 2, 2)
    predicted[0, 0], predicted[1, 0], predicted[0, 1] = 1.0, 3.0, 100.0
    weight = torch.tensor([[1.0, 0.0, 1.0], [0.5, 1.0, 1.0]])
    # joint 0: squares 1 and (0.5·3)² = 2.25, mean 1.625, half 0.8125; joint 1 is hidden, joint 2 right; three joints
    assert joints_mse(predicted, torch.zeros(2, 3, 2, 2), weight).item() == pytest.approx(0.8125 / 3)


def test_joints_mse_equals_the_sum_over_joints():
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.rand(2, 4, 17, 12, 16, generator=generator)
    weight = (torch.rand(4, 17, generator=generator) > 0.3).float()
    terms = []
    for j in range(17):
        w = weight[:, j, None]
        terms.append(0.5 * ((w * predicted[:, j].flatten(1) - w * target[:, j].flatten(1)) ** 2).mean())
    assert joints_mse(predicted, target, weight).item() == pytest.approx(sum(t.item() for t in terms) / 17, rel=1e-6)


def test_zero_prediction_has_the_floor_of_its_gaussians():
    """A Gaussian's square integrates to π σ²: the loss of predicting nothing is 0.5 π σ² / (w h)."""
    points = torch.full((1, 1, 2), 191.5)
    target = encode(points, torch.ones(1, 1), (384, 384), (96, 96), 3.0)
    loss = joints_mse(torch.zeros_like(target), target, torch.ones(1, 1))
    assert loss.item() == pytest.approx(0.5 * math.pi * 9 / 96**2, rel=1e-4)


def test_domain_bce_by_hand():
    logits = torch.tensor([0.0, 2.0, -1.0])
    domain = torch.tensor([1, 1, 0])
    expected = (math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 3
    assert domain_bce(logits, domain).item() == pytest.approx(expected, rel=1e-6)
    assert domain_bce(logits.bfloat16(), domain).dtype == torch.float32
