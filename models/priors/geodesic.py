"""Isotropic normal distributions of rotations by geodesic distance, also where only one or two directions are free.

A rotation by an angle r about a unit axis a is the unit quaternion (cos(r/2), sin(r/2) a), up to its sign. Rotations whose
axis lies in a subspace of k directions are then a great sphere S^k with opposite points the same: all rotations for k = 3,
turns about one axis for k = 1, and for k = 2 those about any axis of a plane. Each is totally geodesic: its distances are
those of rotations, the angle θ between two of them, so that ``exp(-θ² / 2σ²)`` restricted to it is the normal distribution
of that space. At a distance θ lie ω_{k-1} (2 sin(θ/2))^{k-1} of its volume, ω being the areas 2, 2π, 4π of unit spheres.

The volume is scaled to be Lebesgue's at the identity; for k = 3 it is Haar's measure, with 8π² in all. Compare the
distributions on rotations of Said et al. (2017, Gaussian distributions on Riemannian symmetric spaces).

Quaternions are (..., 4), order w, x, y, z; ``size`` is k, an integer tensor that broadcasts with σ.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

NODES, REACH = 16, 8.5
"""Of the Gauss-Legendre quadrature (exact to 3e-9), and the standard deviations over which it goes: beyond lie 1e-15."""
_TINY = 1e-20


def to_quaternions(vectors: Tensor) -> Tensor:
    """Rotation vectors (..., 3), radians, of length below pi, as quaternions (..., 4) with w not negative."""
    half = vectors.square().sum(-1, keepdim=True).add(_TINY).sqrt() / 2
    return torch.cat([half.cos(), vectors * torch.sinc(half / math.pi) / 2], -1)


def to_vectors(quaternions: Tensor) -> Tensor:
    """Rotation vectors (..., 3) of length at most pi of unit quaternions (..., 4) of either sign."""
    positive = torch.where(quaternions[..., :1] < 0, -quaternions, quaternions)
    sine = positive[..., 1:].square().sum(-1, keepdim=True).add(_TINY).sqrt()
    return positive[..., 1:] * (2 * torch.atan2(sine, positive[..., :1]) / sine)


def nearest_within(quaternions: Tensor, projection: Tensor) -> Tensor:
    """The nearest quaternions (..., 4) whose axes lie in a subspace, ``projection`` (..., 3, 3) onto it.

    A half turn about an axis across the subspace is equally far from all of it; it goes to no rotation at all.
    """
    kept = torch.einsum("...ij,...j->...i", projection, quaternions[..., 1:])
    kept = torch.cat([quaternions[..., :1], kept], -1)
    length = kept.square().sum(-1, keepdim=True).sqrt()
    identity = kept.new_tensor([1.0, 0.0, 0.0, 0.0])
    return torch.where(length > 1e-6, kept / length.clamp(min=1e-6), identity)


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Angle (...) in radians, at most pi, between rotations given as quaternions (..., 4); θ = 4 arcsin(|p ∓ q| / 2)."""
    same = (first * second).sum(-1, keepdim=True) >= 0
    chord = (first - torch.where(same, second, -second)).square().sum(-1).add(_TINY).sqrt()
    return 4 * torch.asin((chord / 2).clamp(max=math.sqrt(0.5)))


def log_normaliser(sigma: Tensor, size: Tensor) -> Tensor:
    """Logarithm (...) of ∫ exp(-θ² / 2σ²) over the space of ``size`` k directions, by quadrature; differentiable in σ.

    With θ = σ s it is ω_{k-1} σ^k ∫ (s sinc(σ s / 2π))^{k-1} exp(-s² / 2) ds, s from 0 to π / σ.
    """
    nodes, weights, log_areas = _constants(sigma.dtype, sigma.device)
    end = (math.pi / sigma).clamp(max=REACH).unsqueeze(-1)
    s = end * nodes
    round_it = s * torch.sinc(sigma.unsqueeze(-1) * s / (2 * math.pi))
    k = size.unsqueeze(-1)
    around = torch.where(k == 1, 1.0, torch.where(k == 2, round_it, round_it**2))
    total = (weights * around * torch.exp(-(s**2) / 2)).sum(-1) * end.squeeze(-1)
    return log_areas[size - 1] + size * sigma.log() + total.log()


def log_density(value: Tensor, mean: Tensor, sigma: Tensor, size: Tensor) -> Tensor:
    """Log density (...) of rotations ``value`` about ``mean``, quaternions (..., 4) of the space, per unit of its volume."""
    return -(distance(value, mean) ** 2) / (2 * sigma**2) - log_normaliser(sigma, size)


def log_volume(radius: Tensor, size: Tensor) -> Tensor:
    """Logarithm (...) of the space's volume for a volume of the chart, at the length ``radius`` of the chart's vector."""
    return (size - 1) * torch.sinc(radius / (2 * math.pi)).log()


def draw(mean: Tensor, sigma: Tensor, projection: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draws (..., 4) about ``mean`` (..., 4), in the subspace of ``projection`` (..., 3, 3): exact, by rejection.

    A normal draw of the tangent space at θ is too frequent by (θ / 2 sin(θ/2))^{k-1}, so it is taken with the inverse of it.
    """
    size = torch.diagonal(projection, dim1=-2, dim2=-1).sum(-1).round()
    drawn, missing = mean.clone(), torch.ones_like(sigma, dtype=torch.bool)
    while missing.any():
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        chance = torch.rand(sigma.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        inside = torch.cat([noise[..., :1], torch.einsum("...ij,...j->...i", projection, noise[..., 1:])], -1)
        tangent = inside - mean * (inside * mean).sum(-1, keepdim=True)
        length = tangent.square().sum(-1).add(_TINY).sqrt()
        theta = sigma * length
        taken = missing & (theta < math.pi) & (chance < torch.sinc(theta / (2 * math.pi)) ** (size - 1))
        half = (theta / 2).unsqueeze(-1)
        found = half.cos() * mean + half.sin() * tangent / length.unsqueeze(-1)
        drawn = torch.where(taken.unsqueeze(-1), found, drawn)
        missing = missing & ~taken
    return drawn


@cache
def _constants(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes and weights of the quadrature on [0, 1], and the logarithms of ω_0, ω_1 and ω_2."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    parts = (nodes + 1) / 2, weights / 2, np.log([2.0, 2 * math.pi, 4 * math.pi])
    with torch.inference_mode(False):  # they are kept, and may later be part of a graph
        first, second, third = (torch.as_tensor(part, dtype=dtype, device=device) for part in parts)
    return first, second, third
