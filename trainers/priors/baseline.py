"""The least a pose density must beat: every pose within joint limits equally likely, on the density's own chart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.priors.space import PoseSpace
from .measures import PoseLimits

DRAWS = 65_536
"""Points by which a joint's volume is measured: its logarithm is off by less than 0.01 where a tenth of them is inside."""


@dataclass(frozen=True)
class UniformLimits:
    """A proper density on a chart: uniform where all joints keep their limits, zero elsewhere.

    Limits hold joint by joint, so the volume is a product over joints of the shares of their balls of radius π (in the
    kept directions, radians) that keep the limit.

    Attributes:
        space: the chart. log_volume: of the support, in rad^D.
    """

    space: PoseSpace
    log_volume: float

    def log_prob(self, pose: Tensor) -> Tensor:
        """Log density (n,) in nats of poses (n, C, 3); minus infinity for those outside of the limits."""
        inside = torch.from_numpy((PoseLimits(self.space.joints).ratios(pose) <= 1).all(1)).to(pose.device)
        inside_value = torch.full((len(pose),), -self.log_volume, device=pose.device)
        return torch.where(inside, inside_value, -math.inf)

    def figures(self, pose: Tensor) -> dict[str, float]:
        """Nats per dimension of the poses inside, and the share of those outside, which are impossible to it."""
        value = self.log_prob(pose)
        return {
            "nats_per_dim": self.log_volume / self.space.dim,
            "outside": float(torch.isinf(value).double().mean()),
        }


def uniform_limits(space: PoseSpace, draws: int = DRAWS, seed: int = 0) -> UniformLimits:
    """Measure the support of the uniform density on a chart, joint by joint, from seeded draws."""
    device = space.axes.device
    generator = torch.Generator(device).manual_seed(seed)
    joints, counts = torch.unique(space.owner, return_counts=True)
    width = torch.zeros(len(space.joints), device=device, dtype=torch.long).index_put_((joints,), counts)
    noise = torch.randn(draws, space.dim, generator=generator, device=device)
    size = torch.zeros(draws, len(space.joints), device=device).index_add_(1, space.owner, noise**2).sqrt()
    # Uniform in a k-ball: a direction, and a radius of the k-th root of a uniform number.
    radius = math.pi * torch.rand(draws, len(space.joints), generator=generator, device=device) ** (1 / width.clamp(1))
    x = noise * (radius / size.clamp(min=1e-12))[:, space.owner]
    inside = torch.from_numpy(PoseLimits(space.joints).ratios(space.to_pose(x)) <= 1).double().mean(0)
    total = 0.0
    for joint in joints.tolist():
        k = int(width[joint])
        ball = k / 2 * math.log(math.pi) - math.lgamma(k / 2 + 1) + k * math.log(math.pi)
        total += ball + math.log(max(float(inside[joint]), 1 / draws))
    return UniformLimits(space, total)
