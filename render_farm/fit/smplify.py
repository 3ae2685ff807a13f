"""The recipe ``smplify``: the stages, priors and weights of SMPLify-X as used for infants (Huang et al. 2021, FiDIP).

What differs from the public code: the torso's turn in the picture and the depth begin at the closed-form solution for the
prior's mean pose, seen from wherever fits best, where that begins upright; and Levenberg-Marquardt takes LBFGS's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .choice import Fitted, begin, keep_best, take_rows
from .config import FitConfig
from .setup import Setup
from .solver import minimise
from .variables import Targets, Variables, Weights

STAGES = ((404.0, 200.0), (404.0, 30.0), (57.4, 50.0), (4.78, 35.0))
"""Weights of pose prior and shape in the four stages; both enter squared."""
BENDING, DEPTH = 3.17, 100.0
"""Bending in weights of the pose prior, plain; depth of the camera, squared."""
SIDE_VIEW = 25.0
"""Shoulders nearer than this in the picture, in pixels: the body may face either way."""
TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


def fit_smplify(setup: Setup, to: Targets, config: FitConfig) -> Fitted:
    """SMPLify-X's stages: camera on the torso first, then four with the camera held; both ways round from the side."""
    at, _ = begin(setup, to, 1, mean_only=True)
    to = replace(to, depth=at.transl[:, 2].clone())
    names = setup.model.names[: setup.model.points]
    torso = torch.tensor([name in TORSO for name in names], device=to.weight.device)
    some = (to.weight * torso > 0).sum(1, keepdim=True) >= 2
    first = replace(to, weight=torch.where(some, to.weight * torso, to.weight))
    camera = Weights(0.0, 0.0, depth=DEPTH**2, per_coordinate=True, free=("root", "transl"))
    solution = minimise(setup.objective, at, first, camera, config.iterations, config.tolerance)
    spent = solution.iterations
    at, owner = _turned(solution.at, to, names)
    spent, wide = spent[owner], to.take(owner)
    for pose, shape in STAGES:
        weights = Weights(
            pose=pose**2,
            shape=shape**2,
            bending=BENDING * pose,
            interpenetration=config.interpenetration.weight,
            per_coordinate=True,
            free=("root", "pose", "betas"),
        )
        at = replace(at, pose=setup.fill(at.pose))
        solution = minimise(setup.objective, at, wide, weights, config.iterations, config.tolerance)
        at, spent = solution.at, spent + solution.iterations
    people = len(to.rho)
    order = torch.arange(len(owner), device=owner.device)
    second = torch.full((people,), -1, device=owner.device)
    second[owner[people:]] = order[people:]
    again = torch.where(second >= 0, second, order[:people])  # who has no second solution meets the first again
    rows = torch.stack([order[:people], again], 1)
    solution = take_rows(replace(solution, iterations=spent), rows.flatten())
    rank = torch.tensor([0, 1], device=owner.device).expand(people, 2)
    return keep_best(setup, solution, to, weights, rank)


def _turned(at: Variables, to: Targets, names: Sequence[str]) -> tuple[Variables, Tensor]:
    """All rows, then those seen from the side again, turned by 180 degrees about the body's own upright axis."""
    order = torch.arange(len(at.betas), device=at.betas.device)
    if not {"left_shoulder", "right_shoulder"} <= set(names):
        return at, order
    left, right = names.index("left_shoulder"), names.index("right_shoulder")
    gap = (to.pixels[:, left] - to.pixels[:, right]).norm(dim=1)
    side = (gap < SIDE_VIEW) & (to.weight[:, left] > 0) & (to.weight[:, right] > 0)
    owner = torch.cat([order, order[side]])
    both = at.take(owner)
    back = torch.diag(at.root.new_tensor([-1.0, 1.0, -1.0]))
    both.root[len(order) :] = both.root[len(order) :] @ back
    return both, owner
