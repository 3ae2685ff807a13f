"""Normal distributions of rotations: they integrate to one, are drawn as they are scored, and keep to their subspaces."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sim2pose.models.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from sim2pose.models.priors.geodesic import (
    distance,
    draw,
    log_density,
    log_normaliser,
    log_volume,
    nearest_within,
    to_quaternions,
    to_vectors,
)

SIZES = (1, 2, 3)
SIGMAS = (0.02, 0.3, 1.0, 3.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def projection(size: int) -> Tensor:
    """Onto some subspace of ``size`` directions that lies across all coordinate axes; (3, 3) float64."""
    basis = torch.linalg.qr(torch.randn(3, 3, generator=generator(3), dtype=torch.float64)).Q[:, :size]
    return basis @ basis.T


def uniform(count: int, size: int) -> Tensor:
    """Rotations (count, 4) uniform by the volume of their space."""
    noise = torch.randn(count, 4, generator=generator(1), dtype=torch.float64)
    inside = torch.cat([noise[:, :1], noise[:, 1:] @ projection(size)], 1)
    return inside / inside.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("size", SIZES)
def test_the_normaliser_is_the_integral(size: int) -> None:
    """Against Monte Carlo about a mean that is not the identity, and against the whole volume for a very wide one."""
    whole = (2 * math.pi, 8 * math.pi, 8 * math.pi**2)[size - 1]
    k = torch.tensor(size)
    wide = log_normaliser(torch.tensor(1e4, dtype=torch.float64), k).item()
    assert wide == pytest.approx(math.log(whole), abs=1e-6)
    rotations = uniform(400_000, size)
    for sigma in (0.5, 1.0, 3.0):
        values = torch.exp(-(distance(rotations, rotations[:1]) ** 2) / (2 * sigma**2))
        found = log_normaliser(torch.tensor(sigma, dtype=torch.float64), k).exp().item()
        error = float(values.std() / len(values) ** 0.5) * whole
        assert abs(float(values.mean()) * whole - found) < 4 * error, sigma


@pytest.mark.parametrize("size", SIZES)
def test_a_narrow_one_is_the_flat_normal_distribution(size: int) -> None:
    sigma = torch.tensor(1e-3, dtype=torch.float64)
    flat = size * (sigma.log() + math.log(2 * math.pi) / 2)
    assert log_normaliser(sigma, torch.tensor(size)).item() == pytest.approx(flat.item(), abs=1e-6)
    assert log_normaliser(sigma.float(), torch.tensor(size)).item() == pytest.approx(flat.item(), abs=1e-4)


def test_the_normaliser_has_its_gradient() -> None:
    sigma = torch.tensor([0.02, 0.3, 0.9, 3.0], dtype=torch.float64, requires_grad=True)
    for size in SIZES:
        assert torch.autograd.gradcheck(lambda s: log_normaliser(s, torch.tensor(size)), (sigma,))  # noqa: B023


@pytest.mark.parametrize("size", SIZES)
def test_the_chart_density_integrates_to_one(size: int) -> None:
    """Density times volume element over the ball of the chart, of a distribution that reaches round to its seam."""
    mean = uniform(1, size)
    sigma, k = torch.tensor(0.8, dtype=torch.float64), torch.tensor(size)
    basis = torch.linalg.svd(projection(size)).U[:, :size]
    points = (2 * torch.rand(400_000, size, generator=generator(2), dtype=torch.float64) - 1) * math.pi
    points = points[points.norm(dim=1) < math.pi]
    ball = (2 * math.pi, math.pi**3, 4 * math.pi**4 / 3)[size - 1]
    values = log_density(to_quaternions(points @ basis.T), mean, sigma, k) + log_volume(points.norm(dim=1), k)
    values = values.exp() * ball
    error = float(values.std()) / len(values) ** 0.5
    assert abs(float(values.mean()) - 1) < 4 * error < 0.1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sigma", [0.05, 1.2])
def test_draws_follow_the_density(size: int, sigma: float) -> None:
    count = 40_000
    mean, spread = uniform(1, size).expand(count, -1), torch.full((count,), sigma, dtype=torch.float64)
    drawn = draw(mean, spread, projection(size).expand(count, 3, 3), generator())
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(count, dtype=torch.float64))
    torch.testing.assert_close(drawn[:, 1:] @ projection(size), drawn[:, 1:])
    theta = distance(drawn, mean)
    grid = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
    weight = (2 * torch.sin(grid / 2)) ** (size - 1) * torch.exp(-(grid**2) / (2 * sigma**2))
    for power in (1, 2):
        wanted = float((weight * grid**power).sum() / weight.sum())
        error = float((theta**power).std()) / count**0.5
        assert abs(float((theta**power).mean()) - wanted) < 4 * error


def test_distances_are_those_of_matrices() -> None:
    first, second = uniform(200, 3), uniform(400, 3)[200:]
    a, b = (axis_angle_to_matrix(to_vectors(part)) for part in (first, second))
    wanted = matrix_to_axis_angle(a.mT @ b).norm(dim=-1)
    torch.testing.assert_close(distance(first, second), wanted)
    torch.testing.assert_close(distance(first, -second), wanted)
    vectors = to_vectors(first)
    torch.testing.assert_close(to_vectors(to_quaternions(vectors)), vectors)
    zero = torch.zeros(1, 3, requires_grad=True)
    distance(to_quaternions(zero), torch.tensor([[1.0, 0, 0, 0]])).square().sum().backward()
    assert zero.grad is not None and zero.grad.isfinite().all()


@pytest.mark.parametrize("size", SIZES)
def test_the_nearest_rotation_of_a_subspace(size: int) -> None:
    rotations = uniform(50, 3)
    found = nearest_within(rotations, projection(size))
    inside = uniform(4000, size)
    for rotation, near in zip(rotations, found, strict=True):
        assert distance(rotation, near) <= distance(inside, rotation).min() + 1e-9
    across = torch.linalg.svd(projection(1)).U[:, 2]
    lost = nearest_within(torch.cat([across.new_zeros(1), across])[None], projection(1))
    torch.testing.assert_close(lost, torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64))
