"""The loss of a fit, term by term, with gradients and Gauss-Newton Hessians.

Every term is a sum of squares or a squared Mahalanobis distance. Values are plain, gradients and Hessians halved, so that a
residual r with Jacobian J gives (r'r, J'r, J'J).

==================  ======================================================================================================
``data``            sum over keypoints of (confidence weight)^2 GMoF(reprojection), GMoF(r) = rho^2 r^2 / (r^2 + rho^2)
``pose``            the prior's squared distance; mixtures: of the likeliest component, with its log weight
``shape``           sum of squared betas
``bending``         sum over elbows and knees of exp(+-angle)^2: large where they bend against their hinge
``focal``           squared log of the focal length over its expectation, where it is free
``depth``           squared change of depth from the first guess (camera stage of ``smplify``)
``interpenetration``  sum of squared overlaps of spheres, centimetres
==================  ======================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.priors import PriorEnergy
from .folding import PointModel
from .kinematics import Posed, exponential, pose_points
from .spheres import SphereTerm
from .variables import Evaluation, Targets, Variables, Weights

NEAREST = 0.02
"""Depth in metres at which a point counts as behind the camera: such a trial is refused."""


@dataclass(frozen=True)
class Bends:
    """Hinges: joint (index into the pose), axis, and the sign whose exponential punishes."""

    joints: Tensor
    axes: Tensor
    signs: Tensor


def robust(square: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
    """Geman-McClure (GMoF) of squared residuals: value ``rho^2 s / (s + rho^2)`` and weight ``(rho^2 / (s + rho^2))^2``.

    The weight is the derivative by s, that of iteratively reweighted least squares.
    """
    share = rho**2 / (square + rho**2)
    return share * square, share**2


class Objective:
    """The loss of many people at once.

    Args:
        model: the folded body.
        active: joints that move, root first. prior: over their columns but the root's.
        bends: hinges. spheres: or None.
    """

    def __init__(
        self, model: PointModel, active: Tensor, prior: PriorEnergy, bends: Bends, spheres: SphereTerm | None = None
    ) -> None:
        self.model, self.active, self.prior, self.bends, self.spheres = model, active, prior, bends, spheres
        self.points = model.points
        place = torch.full((len(model.parents),), -1, dtype=torch.long, device=active.device)
        place[active] = torch.arange(len(active), device=active.device)
        self._bend_columns = 3 * place[bends.joints + 1] + bends.axes
        self._bend_moves = place[bends.joints + 1] >= 0
        wide, betas = 3 * len(active), model.betas
        cuts = {"root": (0, 3), "pose": (3, wide), "betas": (wide, wide + betas)}
        cuts |= {"transl": (wide + betas, wide + betas + 3), "focal": (wide + betas + 3, wide + betas + 4)}
        self.cuts, self.width = cuts, wide + betas + 4

    def columns(self, free: tuple[str, ...]) -> Tensor:
        """Columns of the unknowns that are free."""
        return torch.cat([torch.arange(*self.cuts[name]) for name in self.cuts if name in free]).to(self.active.device)

    def move(self, at: Variables, step: Tensor) -> Variables:
        """Variables after a step (M, D) of all unknowns."""
        part = {name: step[:, low:high] for name, (low, high) in self.cuts.items()}
        pose = at.pose.clone()
        pose[:, self.active[1:] - 1] += part["pose"].unflatten(1, (-1, 3))
        return Variables(
            root=at.root @ exponential(part["root"])[0],
            pose=pose,
            betas=at.betas + part["betas"],
            transl=at.transl + part["transl"],
            log_focal=at.log_focal + part["focal"][:, 0],
        )

    def pose(self, at: Variables, derivative: bool) -> Posed:
        """Points of the posed bodies."""
        return pose_points(self.model, at.root, at.pose, at.betas, at.transl, self.active if derivative else None)

    def terms(self, at: Variables, to: Targets, weights: Weights) -> dict[str, Tensor]:
        """Every term of the loss (M,), weighted: their sum is the loss."""
        posed = self.pose(at, False)
        pixels, behind = project(posed.points[:, : self.points], at, to)
        values, _ = _data(pixels - to.pixels, to, weights)
        theta = at.pose[:, self.active[1:] - 1].flatten(1)
        result = {
            "data": torch.where(behind, torch.inf, values.sum((1, 2))),
            "pose": weights.pose * self.prior(theta)[0],
            "shape": weights.shape * at.betas.square().sum(1),
            "bending": weights.bending * (2 * self._bent(at)).exp().sum(1),
            "focal": (to.focal_weight * at.log_focal).square(),
            "depth": weights.depth * (at.transl[:, 2] - to.depth).square(),
        }
        if self.spheres is not None:
            result["interpenetration"] = weights.interpenetration * self.spheres.value(posed.points[:, self.points :])
        return result

    def _bent(self, at: Variables) -> Tensor:
        return at.pose[:, self.bends.joints, self.bends.axes] * self.bends.signs

    def __call__(self, at: Variables, to: Targets, weights: Weights) -> Evaluation:
        """Loss and its derivatives by all unknowns; the loss is infinite where a point lies behind the camera."""
        posed = self.pose(at, True)
        front = self.points
        pixels, flat, scale, behind = _look(posed.points[:, :front], at, to)
        residual = pixels - to.pixels
        values, pulls = _data(residual, to, weights)
        jacobian = residual.new_empty(*residual.shape, self.width)
        for name, moves in (("turns", posed.turns[:, :front]), ("betas", posed.shapes[:, :front])):
            low, high = (0, self.cuts["pose"][1]) if name == "turns" else self.cuts[name]
            ahead = flat.unsqueeze(-1) * moves[:, :, 2:]
            jacobian[..., low:high] = scale.unsqueeze(-1) * (moves[:, :, :2] - ahead)
        low, high = self.cuts["transl"]
        scale = scale * self.model.total[:front, None]
        jacobian[..., low : high - 1] = torch.diag_embed(scale)
        jacobian[..., high - 1] = -scale * flat
        jacobian[..., high] = pixels - to.camera[:, None, 2:]
        root = pulls.sqrt()
        scaled = (jacobian * root.unsqueeze(-1)).flatten(1, 2)  # (M, 2K, D)
        hessian = scaled.transpose(1, 2) @ scaled
        gradient = (scaled.transpose(1, 2) @ (residual * root).flatten(1).unsqueeze(-1)).squeeze(-1)
        loss = torch.where(behind, torch.inf, values.sum((1, 2)))
        loss = loss + self._add_priors(at, to, weights, gradient, hessian)
        if self.spheres is not None and weights.interpenetration:
            moves = torch.cat([posed.turns[:, front:], posed.shapes[:, front:]], -1)
            loss = loss + self.spheres.add(posed.points[:, front:], moves, weights.interpenetration, gradient, hessian)
        return Evaluation(loss, gradient, hessian)

    def _add_priors(self, at: Variables, to: Targets, weights: Weights, gradient: Tensor, hessian: Tensor) -> Tensor:
        """Add the terms that know no pixels to gradient and Hessian, in place; their sum (M,)."""
        low, high = self.cuts["pose"]
        value, slope, curve = self.prior(at.pose[:, self.active[1:] - 1].flatten(1))
        total = weights.pose * value
        gradient[:, low:high] += weights.pose * slope
        hessian[:, low:high, low:high] += weights.pose * curve
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        low, high = self.cuts["betas"]
        total = total + weights.shape * at.betas.square().sum(1)
        gradient[:, low:high] += weights.shape * at.betas
        diagonal[:, low:high] += weights.shape
        place = self.cuts["focal"][0]
        stiff = to.focal_weight**2
        total = total + stiff * at.log_focal**2
        gradient[:, place] += stiff * at.log_focal
        diagonal[:, place] += stiff
        if weights.depth:
            away, place = at.transl[:, 2] - to.depth, self.cuts["transl"][1] - 1
            total = total + weights.depth * away**2
            gradient[:, place] += weights.depth * away
            diagonal[:, place] += weights.depth
        if weights.bending:
            bent = weights.bending * (2 * self._bent(at)).exp()
            total = total + bent.sum(1)
            columns = self._bend_columns[self._bend_moves]
            gradient[:, columns] += (bent * self.bends.signs)[:, self._bend_moves]
            diagonal[:, columns] += bent[:, self._bend_moves]
        return total


def project(points: Tensor, at: Variables, to: Targets) -> tuple[Tensor, Tensor]:
    """Pixels (M, K, 2) of points (M, K, 3), and whether one that counts lies behind the camera (M,)."""
    pixels, _, _, behind = _look(points, at, to)
    return pixels, behind


def _look(points: Tensor, at: Variables, to: Targets) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels (M, K, 2), x / z and y / z, focal length over depth (M, K, 2), and whether a point is behind (M,).

    The derivative of u by (x, y, z) is ``scale (1, 0, -x / z)``, that of v accordingly.
    """
    focal = to.camera[:, None, :2] * at.log_focal.exp()[:, None, None]
    depth = points[..., 2:]
    behind = ((depth[..., 0] < NEAREST) & (to.weight > 0)).any(1)
    inverse = 1 / depth.clamp_min(NEAREST)
    flat = points[..., :2] * inverse
    return focal * flat + to.camera[:, None, 2:], flat, focal * inverse, behind


def _data(residual: Tensor, to: Targets, weights: Weights) -> tuple[Tensor, Tensor]:
    """Weighted robust values (M, K, 2 or 1) and pulls (M, K, 2 or 1) of residuals (M, K, 2) in pixels."""
    square = residual.square()
    if not weights.per_coordinate:
        square = square.sum(-1, keepdim=True)
    value, pull = robust(square, weights.noise * to.rho[:, None, None])
    stiff = (to.weight / weights.noise).square().unsqueeze(-1)
    return stiff * value, stiff * pull
