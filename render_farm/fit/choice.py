"""Where fits begin, and which of a person's solutions is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .hypotheses import find_starts
from .setup import Setup
from .solver import Solution
from .variables import Targets, Variables, Weights

SAME = np.cos(np.radians(40.0))
"""Solutions whose orientations are nearer than 40 degrees are one."""


@dataclass(frozen=True)
class Fitted:
    """The kept solution of each person and how it was found; see :class:`.result.FitResult`."""

    solution: Solution
    to: Targets
    weights: Weights
    hypothesis: Tensor
    margin: Tensor


def begin(setup: Setup, to: Targets, count: int, mean_only: bool = False) -> tuple[Variables, Tensor]:
    """First guesses (N H rows) and the rank (N, H) of each."""
    library = setup.library
    if mean_only:
        views = len(library.views)
        library = replace(library, pose=library.pose[:1], flat=library.flat[:, :views])
    starts = find_starts(library, to.pixels, to.weight, to.camera, count)
    people, each = starts.view.shape
    rows = people * each
    variables = Variables(
        root=starts.root.reshape(rows, 3, 3).contiguous(),
        pose=starts.pose.reshape(rows, *starts.pose.shape[2:]).contiguous(),
        betas=starts.pelvis.new_zeros(rows, setup.model.betas),
        transl=(starts.pelvis - library.pelvis).reshape(rows, 3).contiguous(),
        log_focal=starts.pelvis.new_zeros(rows),
    )
    return variables, torch.arange(each, device=starts.pelvis.device).expand(people, each)


def keep_best(setup: Setup, solution: Solution, to: Targets, weights: Weights, rank: Tensor) -> Fitted:
    """The lowest loss of each person's solutions (N, F), and the margin to the best that is turned otherwise."""
    people, each = rank.shape
    score = solution.loss.view(people, each)
    if weights.evidence:
        owner = torch.arange(people, device=rank.device).repeat_interleave(each)
        score = score + _log_volume(setup, solution.at, to.take(owner), weights).view(people, each)
    best, index = score.min(1)
    rows = torch.arange(people, device=rank.device)
    flat = rows * each + index
    margin = best_other(score, solution.at.root, solution.at.root[flat]) - best
    one = take_rows(solution, flat)
    return Fitted(one, to, weights, rank[rows, index], margin)


def best_other(score: Tensor, roots: Tensor, kept: Tensor) -> Tensor:
    """Lowest score (N,) among those (N, F) whose root (N F, 3, 3) is turned against the one kept (N, 3, 3); or infinity."""
    cosine = ((roots.view(*score.shape, 3, 3) * kept[:, None]).sum((-1, -2)) - 1) / 2
    return torch.where(cosine > SAME, torch.inf, score).min(1)[0]


def _log_volume(setup: Setup, at: Variables, to: Targets, weights: Weights) -> Tensor:
    """Log determinant (M,) of the Hessian: together with the loss, twice the negative log evidence of a mode (Laplace)."""
    columns = setup.objective.columns(weights.free)
    hessian = setup.objective(at, to, weights).hessian[:, columns[:, None], columns]
    root, info = torch.linalg.cholesky_ex(hessian)
    volume = 2 * root.diagonal(dim1=1, dim2=2).clamp_min(1e-12).log().sum(1)
    return torch.where(info == 0, volume, torch.inf)


def take_rows(solution: Solution, rows: Tensor) -> Solution:
    """A solution with only some rows."""
    return Solution(solution.at.take(rows), solution.loss[rows], solution.converged[rows], solution.iterations[rows])
