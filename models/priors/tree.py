"""The bijection along the kinematic tree: each joint's coordinates given its parent's.

Joints whose parent is not covered (or never moves) have no condition, or that of the nearest ancestor that moves. A joint's
up to three coordinates follow each other autoregressively (Papamakarios et al. 2017), each through a monotonic function
whose parameters a small network gives from the parent's coordinates and the joint's own earlier ones. The networks of all
coordinates run at once, as batched products over padded inputs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, pad, silu

from ...config import UserError
from ..joints import PARENTS, joint_set
from .flow import bend, unbend, widths
from .space import PoseSpace

_INPUTS = 6  # three of the parent, three of the joint itself


class TreeTransform(nn.Module):
    """Standardised coordinates (n, D) to noise and back; begins as an affine map of each coordinate.

    Args:
        space: its joint set has a kinematic tree.
        hidden: width of each coordinate's network, two hidden layers.
        coupling: "spline" or "affine". bins: of the splines. drop: share of hidden units left out in training.

    Attributes:
        inputs: for each coordinate the six that its network sees; D stands for none.
        levels: coordinates that can be computed at once, those that they depend on first.

    Raises:
        UserError: for a joint set without a tree, or one that lacks a joint.
    """

    gather: Tensor
    shift: Tensor
    size: Tensor

    def __init__(self, space: PoseSpace, hidden: int, coupling: str, bins: int, drop: float) -> None:
        super().__init__()
        out = widths(coupling, bins)
        self.dim, self.drop = space.dim, drop
        self.inputs = _inputs(space)
        level: list[int] = []
        for before in self.inputs:
            level.append(1 + max((level[d] for d in before if d < space.dim), default=-1))
        self.levels = [[d for d, own in enumerate(level) if own == number] for number in range(max(level) + 1)]
        self.register_buffer("gather", torch.tensor(self.inputs), persistent=False)
        self.weight0 = nn.Parameter(torch.randn(space.dim, _INPUTS, hidden) / math.sqrt(_INPUTS))
        self.weight1 = nn.Parameter(torch.randn(space.dim, hidden, hidden) / math.sqrt(hidden))
        self.weight2 = nn.Parameter(torch.zeros(space.dim, hidden, out))
        self.bias0 = nn.Parameter(torch.zeros(space.dim, 1, hidden))
        self.bias1 = nn.Parameter(torch.zeros(space.dim, 1, hidden))
        self.bias2 = nn.Parameter(torch.zeros(space.dim, 1, out))
        self.register_buffer("shift", torch.zeros(space.dim))
        self.register_buffer("size", torch.ones(space.dim))

    @torch.no_grad()
    def initialise(self, t: Tensor) -> None:
        """Keep mean and deviation of coordinates (n, D), so that the noise begins standardised."""
        self.shift.copy_(t.mean(0))
        self.size.copy_(t.std(0, correction=0))

    def _shape(self, context: Tensor, units: list[int] | None = None) -> Tensor:
        """Parameters (n, u, P) of the coordinates ``units`` (all if None) from their inputs (n, u, 6)."""
        rows = slice(None) if units is None else units
        h = context.transpose(0, 1)
        for weight, bias in ((self.weight0, self.bias0), (self.weight1, self.bias1)):
            h = dropout(silu(torch.baddbmm(bias[rows], h, weight[rows])), self.drop, self.training)
        return torch.baddbmm(self.bias2[rows], h, self.weight2[rows]).transpose(0, 1)

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Noise (n, D), and the logs (n, D) of each coordinate's derivative; the Jacobian is triangular."""
        s = (t - self.shift) / self.size
        z, logs = bend(self._shape(pad(s, (0, 1))[:, self.gather]), s)
        return z, logs - self.size.log()

    def inverse(self, z: Tensor, given: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """Coordinates (n, D) of noise, parents first; those ``known`` (D,) are taken from ``given`` (n, D) instead."""
        done: dict[int, Tensor] = {self.dim: torch.zeros_like(z[:, 0])}
        fixed = None if given is None else (given - self.shift) / self.size
        for units in self.levels:
            context = torch.stack([torch.stack([done[d] for d in self.inputs[unit]], -1) for unit in units], 1)
            values = unbend(self._shape(context, units), z[:, units])
            if fixed is not None and known is not None:
                values = torch.where(known[units], fixed[:, units], values)
            done |= dict(zip(units, values.unbind(-1), strict=True))
        return torch.stack([done[d] for d in range(self.dim)], -1) * self.size + self.shift

    def ancestral(self, known: Tensor) -> bool:
        """Whether no ``known`` (D,) coordinate depends on one that is not: then draws given them are exact."""
        seen = [*known.tolist(), True]
        return not any(seen[d] and not seen[e] for d, row in enumerate(self.inputs) for e in row)


def _inputs(space: PoseSpace) -> list[list[int]]:
    """For each coordinate the six that its network sees; D stands for none.

    Raises:
        UserError: for a joint set without a kinematic tree, or one that lacks a joint.
    """
    if space.joint_set not in PARENTS:
        raise UserError(f"joint set '{space.joint_set}' has no kinematic tree; one of {', '.join(PARENTS)} has")
    names, parents = joint_set(space.joint_set).joints, PARENTS[space.joint_set]
    unknown = [name for name in space.joints if name not in names]
    if unknown:
        raise UserError(f"joint set '{space.joint_set}' has no joint '{unknown[0]}'")
    own: dict[str, list[int]] = {}
    for d, j in enumerate(space.owner.tolist()):
        own.setdefault(space.joints[j], []).append(d)
    none = space.dim
    rows = []
    for d, j in enumerate(space.owner.tolist()):
        name = space.joints[j]
        above = parents[names.index(name)]
        while above >= 0 and names[above] not in own:
            above = parents[above]
        parent = own[names[above]] if above >= 0 else []
        before = [e for e in own[name] if e < d]
        rows.append([*(parent + [none] * 3)[:3], *(before + [none] * 3)[:3]])
    return rows
