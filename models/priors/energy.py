"""Evaluate pose priors in torch: value, gradient and (Gauss-Newton) Hessian for a batch of poses.

Everything is in units of a squared Mahalanobis distance, that is twice a negative log density: where a mixture has several
components, their weights and the determinants of their covariances are in it, so that components compare. Gradient and
Hessian are halved, as those of a sum of squares in Gauss-Newton form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .gaussian import Floats, Part


class PosePrior(Protocol):
    """What a fit needs to know of a prior: named joints and a mixture a part."""

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints covered, three axis-angle columns each."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """Independent mixtures."""
        ...

    @property
    def classes(self) -> Floats:
        """(Z,) logarithms of the shares of whole-body classes."""
        ...

    @property
    def exemplars(self) -> Floats | None:
        """Poses to begin from, or None."""
        ...

    @property
    def mean(self) -> Floats:
        """(D,)."""
        ...

    @property
    def precision(self) -> Floats:
        """(D, D)."""
        ...

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Poses (count, D)."""
        ...


@dataclass(frozen=True)
class _Block:
    columns: Tensor  # (d,) into the pose
    log_weights: Tensor  # (Z, C), the components' log determinants in it
    means: Tensor  # (C, d)
    precisions: Tensor  # (C, d, d)


class PriorEnergy:
    """A prior, marginalised to some of its columns, on a device.

    Args:
        parts: mixtures over the columns of a pose. classes: (Z,) logarithms of the shares of whole-body classes.
        columns: (E,) columns that the pose handed to :meth:`__call__` has, in its order; all others are integrated out.
    """

    def __init__(
        self, parts: Sequence[Part], classes: Floats, columns: np.ndarray, device: torch.device, dtype: torch.dtype
    ) -> None:
        place = {int(column): k for k, column in enumerate(columns)}
        self.width = len(columns)
        self.classes = torch.as_tensor(classes, dtype=dtype, device=device)
        self.blocks: list[_Block] = []
        for part in parts:
            kept = np.array([i for i, column in enumerate(part.columns) if int(column) in place], np.int64)
            if not len(kept):
                continue
            covariances = part.covariances[:, kept[:, None], kept[None]]
            size = np.linalg.slogdet(covariances)[1] / 2
            weights = np.zeros((len(classes), 1)) + part.log_weights - (size - size.min())
            arrays = (weights, part.means[:, kept], np.linalg.inv(covariances))
            tensors = (torch.as_tensor(array, dtype=dtype, device=device) for array in arrays)
            where = torch.tensor([place[int(part.columns[i])] for i in kept], device=device)
            self.blocks.append(_Block(where, *tensors))

    def __call__(self, pose: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Value (M,), halved gradient (M, E) and halved Hessian (M, E, E) at poses (M, E).

        The Hessian is the precision expected under the components' responsibilities: the bound of expectation maximisation.
        """
        likely, pulls = [], []
        total = self.classes.expand(len(pose), -1)
        for block in self.blocks:
            apart = pose[:, block.columns].unsqueeze(1) - block.means  # (M, C, d)
            pulled = (block.precisions @ apart.unsqueeze(-1)).squeeze(-1)
            joint = block.log_weights - (apart * pulled).sum(-1)[:, None] / 2  # (M, Z, C)
            share = joint.logsumexp(-1)
            total = total + share
            likely.append((joint - share.unsqueeze(-1)).exp())
            pulls.append(pulled)
        whole = total.logsumexp(-1)
        classes = (total - whole.unsqueeze(-1)).exp()  # (M, Z)
        gradient, hessian = pose.new_zeros(len(pose), self.width), pose.new_zeros(len(pose), self.width, self.width)
        for block, within, pulled in zip(self.blocks, likely, pulls, strict=True):
            share = (classes.unsqueeze(1) @ within).squeeze(1)  # (M, C)
            gradient[:, block.columns] = (share.unsqueeze(1) @ pulled).squeeze(1)
            curve = (share @ block.precisions.flatten(1)).view(len(pose), *block.precisions.shape[1:])
            hessian[:, block.columns[:, None], block.columns[None]] = curve
        return -2 * whole, gradient, hessian


def complete(parts: Sequence[Part], classes: Floats, pose: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill the columns of poses (N, D) that are not ``known`` (D,) bool with their expectation given those that are."""
    joints = []
    total = np.broadcast_to(classes, (len(pose), len(classes)))
    for part in parts:
        seen = known[part.columns]
        covariances = part.covariances[:, seen][:, :, seen]
        apart = pose[:, None, part.columns[seen]] - part.means[:, seen]  # (N, C, k)
        precise = np.linalg.inv(covariances)
        square = np.einsum("nci,cij,ncj->nc", apart, precise, apart, optimize=True) + np.linalg.slogdet(covariances)[1]
        joint = np.broadcast_to(part.log_weights, (len(classes), len(part.means))) - square[:, None] / 2  # (N, Z, C)
        total = total + np.logaddexp.reduce(joint, -1)
        joints.append((joint, apart, precise))
    shares = np.exp(total - np.logaddexp.reduce(total, -1)[:, None])
    filled = pose.astype(np.float64).copy()
    for part, (joint, apart, precise) in zip(parts, joints, strict=True):
        seen = known[part.columns]
        if seen.all():
            continue
        within = np.exp(joint - np.logaddexp.reduce(joint, -1)[..., None])
        likely = np.einsum("nz,nzc->nc", shares, within)
        gain = part.covariances[:, ~seen][:, :, seen] @ precise
        expected = part.means[:, ~seen] + np.einsum("cij,ncj->nci", gain, apart)
        filled[:, part.columns[~seen]] = np.einsum("nc,nci->ni", likely, expected)
    return filled
