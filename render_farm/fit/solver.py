"""Batched Levenberg-Marquardt: every problem has its own damping, is accepted or refused, and leaves when it is done."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .terms import Objective
from .variables import Evaluation, Targets, Variables, Weights

CHECK = 4
"""Iterations between looks at who has converged: each look waits for the device."""

FIRST_DAMPING, MOST_DAMPING = 1e-2, 1e10
"""Relative to the Hessian's diagonal (Marquardt 1963)."""


@dataclass(frozen=True)
class Solution:
    """Where a minimisation ended: variables, loss (M,), converged (M,) bool, iterations (M,) int64."""

    at: Variables
    loss: Tensor
    converged: Tensor
    iterations: Tensor


def minimise(
    objective: Objective, start: Variables, to: Targets, weights: Weights, iterations: int, tolerance: float
) -> Solution:
    """Minimise the losses of M problems at once.

    A problem has converged when an accepted step of small damping lowers its loss by less than ``tolerance`` of it (or of
    one, near zero), or when no step lowers it any more. Converged problems leave the batch, so they cost nothing further.
    """
    size = len(start.betas)
    device = start.betas.device
    final = start.take(torch.arange(size, device=device))  # a copy
    loss = start.betas.new_full((size,), torch.inf)
    converged = torch.zeros(size, dtype=torch.bool, device=device)
    spent = torch.zeros(size, dtype=torch.long, device=device)
    rows = torch.arange(size, device=device)
    columns = objective.columns(weights.free)
    at, to_now = start, to
    here = objective(at, to_now, weights)
    damping = loss.new_full((size,), FIRST_DAMPING)
    growth = torch.full_like(damping, 2.0)
    done = ~here.loss.isfinite()  # nothing can be made of it: reported as not converged
    for k in range(1, iterations + 1):
        step, promised = _step(here, columns, damping, objective.width)
        trial = objective.move(at, step)
        there = objective(trial, to_now, weights)
        better = there.loss < here.loss  # false for NaN
        fall = torch.where(better, here.loss - there.loss, 0.0)
        gain = fall / promised.clamp_min(1e-30)
        spent[rows] += (~done).long()
        small = better & (fall < tolerance * (1 + here.loss.abs())) & (damping <= 1.0)
        at, here = at.choose(better & ~done, trial), here.choose(better & ~done, there)
        damping, growth = _damp(damping, growth, better, gain)
        finished = small | (damping > MOST_DAMPING)
        converged[rows] |= finished & ~done & here.loss.isfinite()
        done = done | finished
        if k % CHECK == 0 or k == iterations:
            final.put(rows, at)
            loss[rows] = here.loss
            going = torch.nonzero(~done)[:, 0]
            if not len(going) or k == iterations:
                break
            if len(going) < 0.9 * len(rows):
                rows, at, to_now, here = rows[going], at.take(going), to_now.take(going), here.take(going)
                damping, growth, done = damping[going], growth[going], done[going]
    return Solution(final, loss, converged, spent)


def _damp(damping: Tensor, growth: Tensor, better: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """Nielsen's rule (1999): less damping by how well the step did, ever more of it after steps that failed."""
    less = damping * (1 - (2 * gain - 1) ** 3).clamp(1 / 5, 2.0)
    return (
        torch.where(better, less.clamp_min(1e-9), damping * growth),
        torch.where(better, torch.full_like(growth, 2.0), 2 * growth),
    )


def _step(here: Evaluation, columns: Tensor, damping: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Steps (M, D), zero for what is held, and the fall of the loss that the quadratic model promises (M,)."""
    hessian, gradient = here.hessian[:, columns[:, None], columns], here.gradient[:, columns]
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    extra = damping[:, None] * diagonal.clamp_min(1e-8)
    root, info = torch.linalg.cholesky_ex(hessian + torch.diag_embed(extra))
    part = -torch.cholesky_solve(gradient.unsqueeze(-1), root).squeeze(-1)
    part = torch.where((info == 0)[:, None] & part.isfinite(), part, 0.0)  # no step: refused, more damping next
    promised = (part * (extra * part - gradient)).sum(1)
    step = gradient.new_zeros(len(gradient), width)
    step[:, columns] = part
    return step, promised
