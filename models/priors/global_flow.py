"""A flow over the whole pose: whitening, then ActNorm, permutation and coupling, several times."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ...config import UserError
from .flow import FlowDensity, bend, unbend, widths
from .space import PoseSpace

_FLOOR = 1e-8  # of the variance of standardised coordinates: whitening divides by its root


class GlobalFlow(FlowDensity):
    """Couplings between halves of the pose's coordinates (Dinh et al. 2017; Kingma and Dhariwal 2018 for ActNorm).

    The first layer is fixed by :meth:`initialise`: the principal axes of the data, each scaled to unit variance. As couplings
    begin as the identity, training begins at the full Gaussian.

    Args:
        space: what the density is stated on.
        layers: couplings K. hidden: width of their networks, two hidden layers.
        coupling: "affine" or "spline". bins: of the splines.
        drop: share of hidden units left out in training.
        whiten: whether the first layer is there.
        seed: of the permutations.
    """

    kind = "global_flow"
    mean: Tensor
    basis: Tensor
    spread: Tensor

    def __init__(
        self,
        space: PoseSpace,
        layers: int = 6,
        hidden: int = 512,
        coupling: str = "affine",
        bins: int = 8,
        drop: float = 0.0,
        whiten: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(
            space, layers=layers, hidden=hidden, coupling=coupling, bins=bins, drop=drop, whiten=whiten, seed=seed
        )
        if space.dim < 2:
            raise UserError("a global flow couples halves of a pose: it needs two kept directions or more")
        self.whiten = whiten
        self.register_buffer("mean", torch.zeros(space.dim))
        self.register_buffer("basis", torch.eye(space.dim))
        self.register_buffer("spread", torch.ones(space.dim))
        generator = torch.Generator().manual_seed(seed)
        orders = [torch.randperm(space.dim, generator=generator) for _ in range(layers)]
        self.steps = nn.ModuleList(Step(order, hidden, coupling, bins, drop) for order in orders)

    @torch.no_grad()
    def initialise(self, t: Tensor) -> None:
        """Set the whitening and the ActNorms by coordinates (n, D)."""
        if self.whiten:
            mean = t.double().mean(0)
            values, vectors = torch.linalg.eigh((t.double() - mean).T @ (t.double() - mean) / len(t))
            self.mean.copy_(mean)
            self.basis.copy_(vectors)
            self.spread.copy_(values.clamp(min=_FLOOR).sqrt())
        h = self._whitened(t)
        for step in self._steps:
            step.initialise(h)
            h = step(h)[0]

    @property
    def _steps(self) -> list[Step]:
        return cast("list[Step]", list(self.steps))

    def _whitened(self, t: Tensor) -> Tensor:
        return (t - self.mean) @ self.basis / self.spread

    def to_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, D), and log |dz / dt| (n,)."""
        h = self._whitened(t)
        logs = -self.spread.log().sum().expand(len(t))
        for step in self._steps:
            h, own = step(h)
            logs = logs + own
        return h, logs

    def decode_standard(self, z: Tensor) -> Tensor:
        """Coordinates (n, D) of noise (n, D)."""
        for step in reversed(self._steps):
            z = step.inverse(z)
        return (z * self.spread) @ self.basis.T + self.mean


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
        self.log_scale.copy_(-h.std(0).clamp(min=1e-6).log())
        self.shift.copy_(-h.mean(0) * self.log_scale.exp())

    def _shape(self, first: Tensor) -> Tensor:
        return self.network(first).unflatten(-1, (self.bent, -1))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Output (n, D) and log |det| (n,)."""
        h = (h * self.log_scale.exp() + self.shift)[:, self.order]
        first, second = h[:, : self.kept], h[:, self.kept :]
        second, logs = bend(self._shape(first), second)
        return torch.cat([first, second], -1), logs.sum(-1) + self.log_scale.sum()

    def inverse(self, h: Tensor) -> Tensor:
        """Input (n, D) of an output."""
        first, second = h[:, : self.kept], h[:, self.kept :]
        second = unbend(self._shape(first), second)
        return (torch.cat([first, second], -1)[:, self.back] - self.shift) * (-self.log_scale).exp()
