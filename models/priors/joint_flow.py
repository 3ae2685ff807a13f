"""A flow along the kinematic tree: each joint given its parent."""

from __future__ import annotations

import torch
from torch import Tensor

from .flow import FlowDensity, normal_log_prob
from .space import PoseSpace
from .tree import TreeTransform


class JointFlow(FlowDensity):
    """p(pose) = Π_j p(t_j | t_parent(j)), by a :class:`TreeTransform`: one conditional autoregressive flow a joint.

    Args:
        space: what the density is stated on; its joint set has a kinematic tree.
        hidden: width of each coordinate's network, two hidden layers.
        coupling: "spline" or "affine" (Gaussian given the condition). bins: of the splines.
        drop: share of hidden units left out in training.

    Raises:
        UserError: for a joint set without a tree.
    """

    kind = "joint_flow"

    def __init__(
        self, space: PoseSpace, hidden: int = 64, coupling: str = "spline", bins: int = 8, drop: float = 0.1
    ) -> None:
        super().__init__(space, hidden=hidden, coupling=coupling, bins=bins, drop=drop)
        self.tree = TreeTransform(space, hidden, coupling, bins, drop)

    def initialise(self, t: Tensor) -> None:
        """Begin as the diagonal Gaussian of coordinates (n, D)."""
        self.tree.initialise(t)

    def to_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, D), and log |dz / dt| (n,)."""
        z, logs = self.tree(t)
        return z, logs.sum(-1)

    def decode_standard(self, z: Tensor) -> Tensor:
        """Coordinates (n, D) of noise (n, D), parents first."""
        return self.tree.inverse(z)

    def joint_log_prob(self, pose: Tensor) -> Tensor | None:
        """Log densities (n, J) of each joint given its parent, nats; zero where all directions are dropped."""
        t, chart = self.space.standardise_joints(self.space.to_coordinates(pose))
        z, logs = self.tree(t)
        return (normal_log_prob(z) + logs) @ self.space.members + chart

    def complete_standard(
        self, t: Tensor, known: Tensor, count: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws (count, n, D): exact where no known joint descends from a missing one, else by search."""
        if not self.tree.ancestral(known):
            return super().complete_standard(t, known, count, generator)
        z = torch.randn((count * len(t), self.dim), generator=generator, device=t.device, dtype=t.dtype)
        given = t.expand(count, -1, -1).flatten(0, 1)
        return torch.where(known, t, self.tree.inverse(z, given, known).unflatten(0, (count, len(t))))
