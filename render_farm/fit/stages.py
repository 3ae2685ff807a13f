"""The recipe ``sim2pose``: search, fit coarsely, fit the best to the end, think again about limbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import torch

from .choice import Fitted, begin, best_other, keep_best, take_rows
from .config import FitConfig
from .limbs import alternatives, merge
from .setup import Setup
from .smplify import fit_smplify
from .solver import Solution, minimise
from .variables import Targets, Variables, Weights

SLACK = 6.0
"""A limb's alternative is taken over for the last fit if its loss, after its few iterations, is at most this much above."""


def fit_batch(setup: Setup, to: Targets, config: FitConfig, known_camera: bool) -> Fitted:
    """Fit a batch of people by the config's recipe."""
    if config.recipe == "smplify":
        return fit_smplify(setup, to, config)
    return _sim2pose(setup, to, config, known_camera)


def _sim2pose(setup: Setup, to: Targets, config: FitConfig, known_camera: bool) -> Fitted:
    """Search, fit coarsely, keep the best few, fit to the end, keep the best."""
    search, people = config.search, len(to.rho)
    free: tuple[str, ...] = ("root", "pose", "betas", "transl")
    if not known_camera and config.camera.focal_spread > 0:
        free = (*free, "focal")
    fine = Weights(
        pose=config.prior.weight,
        shape=config.prior.shape,
        bending=config.prior.bending,
        interpenetration=config.interpenetration.weight,
        evidence=search.evidence,
        free=free,
    )
    at, rank = begin(setup, to, search.starts)
    each = rank.shape[1]
    owner = torch.arange(people, device=rank.device).repeat_interleave(each)
    coarse = replace(fine, noise=search.coarse_sigma)
    wide = to.take(owner)
    solution = minimise(setup.objective, at, wide, coarse, search.coarse_iterations, config.tolerance)
    kept = solution.loss.view(people, each).argsort(1)[:, : search.finalists]
    rows = (kept + each * torch.arange(people, device=kept.device)[:, None]).flatten()
    at = solution.at.take(rows)
    at = replace(at, pose=setup.fill(at.pose))
    owner = torch.arange(people, device=rank.device).repeat_interleave(kept.shape[1])
    final = minimise(setup.objective, at, to.take(owner), fine, config.iterations, config.tolerance)
    final = replace(final, iterations=final.iterations + solution.iterations[rows])
    fitted = keep_best(setup, final, to, fine, kept)
    coarse_loss = sum(setup.objective.terms(solution.at, wide, fine).values(), start=torch.zeros_like(solution.loss))
    other = best_other(coarse_loss.view(people, each), solution.at.root, fitted.solution.at.root)
    fitted = replace(fitted, margin=torch.minimum(fitted.margin, other - fitted.solution.loss))
    if search.limbs and setup.limbs:
        return replace(fitted, solution=_reconsider(setup, fitted.solution, to, fine, config))
    return fitted


def _reconsider(setup: Setup, found: Solution, to: Targets, weights: Weights, config: FitConfig) -> Solution:
    """Try other poses for each limb; the best of the solution found, its best replacement, and all good ones together."""
    people, limbs = len(to.rho), setup.limbs
    at, which = alternatives(setup.objective, limbs, found.at, to, config.search.limbs)
    each = len(which)
    people_rows = torch.arange(people, device=which.device)
    owner = people_rows.repeat_interleave(each)
    tried = minimise(setup.objective, at, to.take(owner), weights, config.search.limb_iterations, config.tolerance)
    loss = tried.loss.view(people, each)
    by_limb = [loss[:, which == number].min(1) for number in range(len(limbs))]
    best = torch.stack([values for values, _ in by_limb], 1)  # (N, L)
    position = torch.stack([torch.nonzero(which == k)[:, 0][index] for k, (_, index) in enumerate(by_limb)], 1)
    options = tried.at.pose.view(people, each, -1, 3)[people_rows[:, None], position]
    better = best < found.loss[:, None] + SLACK
    single = tried.at.take(people_rows * each + position[people_rows, best.argmin(1)])
    both = _stack([found.at, single, merge(found.at, limbs, options, better)])
    both = replace(both, pose=setup.fill(both.pose))
    owner = people_rows.repeat(3)
    last = minimise(setup.objective, both, to.take(owner), weights, config.iterations, config.tolerance)
    order = torch.arange(3, device=which.device) * people + people_rows[:, None]  # (N, 3)
    last = take_rows(last, order.flatten())
    chosen = keep_best(setup, last, to, weights, torch.zeros_like(order)).solution
    return replace(chosen, iterations=chosen.iterations + found.iterations)


def _stack(parts: Sequence[Variables]) -> Variables:
    return Variables(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Variables)))
