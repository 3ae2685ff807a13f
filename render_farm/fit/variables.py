"""What a batch of fits holds: unknowns, targets, weights, and the loss with its derivatives; M rows, one a fit."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Dataclass of tensors that share their first dimension."""

    def take(self, rows: Tensor) -> Self:
        """The same with only some rows, copied."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def put(self, rows: Tensor, values: Self) -> None:
        """Overwrite some rows in place."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(values, f.name)

    def choose(self, mask: Tensor, other: Self) -> Self:
        """Rows of ``other`` where ``mask`` (M,) holds, else of this."""
        chosen = {}
        for f in fields(self):
            mine, theirs = getattr(self, f.name), getattr(other, f.name)
            chosen[f.name] = torch.where(mask.view(-1, *[1] * (mine.ndim - 1)), theirs, mine)
        return replace(self, **chosen)


@dataclass(frozen=True)
class Variables(Rows):
    """What is fitted: root (M, 3, 3), pose (M, J - 1, 3) axis-angle, betas (M, N), transl (M, 3), log_focal (M,), the
    logarithm of a factor on the given focal length."""

    root: Tensor
    pose: Tensor
    betas: Tensor
    transl: Tensor
    log_focal: Tensor


@dataclass(frozen=True)
class Targets(Rows):
    """What is fitted to, and how.

    Attributes:
        pixels: (M, K, 2). weight: (M, K) >= 0, of residuals, in 1 / pixel. rho: (M,) pixels.
        camera: (M, 4) fx, fy, cx, cy. depth: (M,) metres, expected. focal_weight: (M,), 1 / standard deviation.
    """

    pixels: Tensor
    weight: Tensor
    rho: Tensor
    camera: Tensor
    depth: Tensor
    focal_weight: Tensor


@dataclass(frozen=True)
class Weights:
    """Factors of the terms, and how the loss is read.

    Attributes:
        pose, shape, bending, depth, interpenetration: factors of the terms.
        noise: factor on the noise of the data and its rho.
        per_coordinate: x and y are robust on their own, as in SMPLify-X, rather than their distance.
        evidence: the width of a solution counts beside its loss when the best is chosen.
        free: what moves, of "root", "pose", "betas", "transl", "focal".
    """

    pose: float = 1.0
    shape: float = 1.0
    bending: float = 0.0
    depth: float = 0.0
    interpenetration: float = 0.0
    noise: float = 1.0
    per_coordinate: bool = False
    evidence: bool = False
    free: tuple[str, ...] = ("root", "pose", "betas", "transl", "focal")


@dataclass(frozen=True)
class Evaluation(Rows):
    """Loss (M,), halved gradient (M, D) and Hessian (M, D, D)."""

    loss: Tensor
    gradient: Tensor
    hessian: Tensor
