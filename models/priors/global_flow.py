"""A flow over the whole pose: along the tree or whitened first, then ActNorm, permutation and coupling, several times."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ...config import UserError, nearest
from .flow import FlowDensity, bend, unbend, widths
from .space import PoseSpace
from .tree import TreeTransform

FIRST = ("tree", "whiten", "none")
LOG_SCALE = (
    1.0  # bound of a coupling's log scales: six in a row stretch by e⁶ at most, and no outlier flies off in training
)
_FLOOR = 1e-8  # of the variance of standardised coordinates: whitening divides by its root


class GlobalFlow(FlowDensity):
    """Couplings between halves of the pose's coordinates (Dinh et al. 2017; Kingma and Dhariwal 2018 for ActNorm).

    What neighbours in the body have to do with each other holds for all people; what far joints have, a few takes cannot
    tell. So the first layer is the joint flow's, learned along with the rest ("tree"), and couplings, which begin as the
    identity, add what they find beyond it; whitened instead, plain couplings fell short of
    the joint flow itself on a held-out person.

    Args:
        space: what the density is stated on.
        layers: couplings K. hidden: width of their networks, two hidden layers.
        coupling: "affine" or "spline". bins: of all splines.
        drop: share of hidden units left out in training.
        first: "tree"; "whiten": the data's principal axes at unit variance, fixed, so that training begins at the full
            Gaussian; or "none".
        tree_hidden, tree_drop: width of the tree's networks, and the share of their units left out.
        seed: of the permutations.
    """

    kind = "global_flow"
    first: TreeTransform | Whitening | None

    def __init__(
        self,
        space: PoseSpace,
        layers: int = 6,
        hidden: int = 128,
        coupling: str = "affine",
        bins: int = 8,
        drop: float = 0.5,
        first: str = "tree",
        tree_hidden: int = 64,
        tree_drop: float = 0.1,
        seed: int = 0,
    ) -> None:
        args = {"layers": layers, "hidden": hidden, "coupling": coupling, "bins": bins, "drop": drop}
        super().__init__(space, **args, first=first, tree_hidden=tree_hidden, tree_drop=tree_drop, seed=seed)
        if space.dim < 2:
            raise UserError("a global flow couples halves of a pose: it needs two kept directions or more")
        if first not in FIRST:
            raise UserError(f"unknown first layer '{first}': {nearest(first, FIRST)}")
        self.first = None
        if first != "none":
            self.first = (
                Whitening(space.dim)
                if first == "whiten"
                else TreeTransform(space, tree_hidden, "spline", bins, tree_drop)
            )
        generator = torch.Generator().manual_seed(seed)
        orders = [torch.randperm(space.dim, generator=generator) for _ in range(layers)]
        self.steps = nn.ModuleList(Step(order, hidden, coupling, bins, drop) for order in orders)

    @torch.no_grad()
    def initialise(self, t: Tensor) -> None:
        """Set the first layer and the ActNorms by coordinates (n, D)."""
        h = t
        if self.first is not None:
            self.first.initialise(t)
            h = self.first(t)[0]
        for step in self._steps:
            step.initialise(h)
            h = step(h)[0]

    @property
    def _steps(self) -> list[Step]:
        return cast("list[Step]", list(self.steps))

    def to_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, D), and log |dz / dt| (n,)."""
        h, logs = t, torch.zeros_like(t[:, 0])
        if self.first is not None:
            h, each = self.first(t)
            logs = each.sum(-1)
        for step in self._steps:
            h, own = step(h)
            logs = logs + own
        return h, logs

    def decode_standard(self, z: Tensor) -> Tensor:
        """Coordinates (n, D) of noise (n, D)."""
        for step in reversed(self._steps):
            z = step.inverse(z)
        return z if self.first is None else self.first.inverse(z)


class Whitening(nn.Module):
    """Rotation to principal axes and division by deviations, fixed once by :meth:`initialise`."""

    mean: Tensor
    basis: Tensor
    spread: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("basis", torch.eye(dim))
        self.register_buffer("spread", torch.ones(dim))

    def initialise(self, t: Tensor) -> None:
        """Take over mean, axes and deviations of coordinates (n, D)."""
        apart = t.double() - t.double().mean(0)
        values, vectors = torch.linalg.eigh(apart.T @ apart / len(t))
        self.mean.copy_(t.double().mean(0))
        self.basis.copy_(vectors)
        self.spread.copy_(values.clamp(min=_FLOOR).sqrt())

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Whitened (n, D), and logs (n, D) that sum to log |det|."""
        return (t - self.mean) @ self.basis / self.spread, -self.spread.log().expand_as(t)

    def inverse(self, h: Tensor) -> Tensor:
        """Coordinates of whitened ones."""
        return (h * self.spread) @ self.basis.T + self.mean


class Step(nn.Module):
    """ActNorm, a fixed permutation, and a coupling that bends the second half by networks of the first.

    Args:
        order: (D,) the permutation. hidden, coupling, bins, drop: see :class:`GlobalFlow`.
    """

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor, hidden: int, coupling: str, bins: int, drop: float) -> None:
        super().__init__()
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())
        self.kept, self.bent = len(order) // 2, len(order) - len(order) // 2
        self.shift = nn.Parameter(torch.zeros(len(order)))
        self.log_scale = nn.Parameter(torch.zeros(len(order)))
        last = nn.Linear(hidden, self.bent * widths(coupling, bins))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(
            *(nn.Linear(self.kept, hidden), nn.SiLU(), nn.Dropout(drop)),
            *(nn.Linear(hidden, hidden), nn.SiLU(), nn.Dropout(drop), last),
        )

    def initialise(self, h: Tensor) -> None:
        """Bring the outputs of ActNorm for ``h`` (n, D) to zero mean and unit variance; once, before training."""
        self.log_scale.copy_(-h.std(0, correction=0).clamp(min=1e-6).log())
        self.shift.copy_(-h.mean(0) * self.log_scale.exp())

    def _shape(self, first: Tensor) -> Tensor:
        return self.network(first).unflatten(-1, (self.bent, -1))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Output (n, D) and log |det| (n,)."""
        h = (h * self.log_scale.exp() + self.shift)[:, self.order]
        first, second = h[:, : self.kept], h[:, self.kept :]
        second, logs = bend(self._shape(first), second, LOG_SCALE)
        return torch.cat([first, second], -1), logs.sum(-1) + self.log_scale.sum()

    def inverse(self, h: Tensor) -> Tensor:
        """Input (n, D) of an output."""
        first, second = h[:, : self.kept], h[:, self.kept :]
        second = unbend(self._shape(first), second, LOG_SCALE)
        return (torch.cat([first, second], -1)[:, self.back] - self.shift) * (-self.log_scale).exp()
