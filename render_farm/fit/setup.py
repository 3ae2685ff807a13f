"""What a fit prepares once for a body and a joint set: folded kinematics, prior, active joints, library of poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...config import UserError
from ...models.bodies.body import Body
from ...models.joints import joint_set
from ...models.joints.hands import FINGERS
from ...models.priors import Part, PosePrior, PriorEnergy, complete
from .config import FitConfig
from .folding import PointModel, fold
from .hypotheses import Library, build_library
from .kinematics import pose_points
from .limbs import Limb, build_limbs
from .priors import mean_pose
from .spheres import SphereTerm, build_spheres
from .terms import Bends, Objective

INFORMED = 0.04
"""A joint moves if it moves a keypoint by more than this share of what the root moves one by."""

_HINGES = (("left_elbow", 1, 1.0), ("right_elbow", 1, -1.0), ("left_knee", 0, -1.0), ("right_knee", 0, -1.0))
_FACE = ("jaw", "left_eyeball", "right_eyeball")


@dataclass(frozen=True)
class Setup:
    """A body made ready for the keypoints of one joint set.

    Attributes:
        model, objective, library, limbs: see there.
        parts, classes: the prior over all 3 (J - 1) columns of the body pose.
        mean: (J - 1, 3) pose at which everything rests. known: (3 (J - 1),) bool, columns that the fit moves.
        usable: (K,) bool, points that the body has and the config keeps.
    """

    model: PointModel
    objective: Objective
    library: Library
    limbs: tuple[Limb, ...]
    parts: tuple[Part, ...]
    classes: np.ndarray
    mean: Tensor
    known: np.ndarray
    usable: np.ndarray

    def fill(self, pose: Tensor) -> Tensor:
        """Poses (M, J - 1, 3) with the joints that no keypoint informs at what the prior expects beside the others."""
        flat = complete(self.parts, self.classes, pose.flatten(1).double().cpu().numpy(), self.known)
        return torch.as_tensor(flat, dtype=pose.dtype, device=pose.device).view_as(pose)


def prepare(body: Body, name: str, prior: PosePrior, config: FitConfig) -> Setup:
    """Prepare a fit of ``body`` to keypoints of joint set ``name``."""
    device = body.mesh.template.device
    dtype = torch.float64 if config.precision == "float64" else torch.float32
    spheres = build_spheres(body) if config.interpenetration.weight else None
    model = fold(body, name, device, dtype, None if spheres is None else spheres.rows)
    usable = model.present.cpu().numpy() & np.array([point not in config.data.drop for point in model.names])
    rest = mean_pose(body)[1:]
    parts = body_parts(body, prior, rest, config.prior.spread)
    poses = _exemplars(body, prior, rest, config)
    columns = torch.as_tensor(poses, dtype=dtype, device=device)
    active = _active(model, columns[:16], usable, _allowed(body, config))
    moving = (active[1:].cpu().numpy() - 1)[:, None] * 3 + np.arange(3)
    energy = PriorEnergy(parts, prior.classes, moving.reshape(-1), device, dtype)
    term = None if spheres is None else SphereTerm(spheres, device, dtype)
    known = np.zeros(3 * (body.joint_count - 1), np.bool_)
    known[moving.reshape(-1)] = True
    library = build_library(model, columns, config.search.directions)
    mean = torch.as_tensor(rest, dtype=dtype, device=device)
    limbs = build_limbs(model, columns, joint_set(body.joint_set).joints, torch.as_tensor(usable, device=device))
    return Setup(
        model,
        Objective(model, active, energy, _bends(body, device), term),
        library,
        limbs,
        parts,
        prior.classes,
        mean,
        known,
        usable,
    )


def check_points(config: FitConfig, names: set[str]) -> None:
    """Refuse names in ``data.drop`` that no joint set at hand has."""
    for point in config.data.drop:
        if point not in names:
            raise UserError(
                f"data.drop names '{point}', which none of the people's joint sets has: {', '.join(sorted(names))}"
            )


def body_parts(body: Body, prior: PosePrior, rest: np.ndarray, spread: float) -> tuple[Part, ...]:
    """The prior in columns of the body's pose; joints it lacks are independent Gaussians about ``rest`` (J - 1, 3)."""
    names = joint_set(body.joint_set).joints[1:]
    place = {
        3 * k + c: 3 * names.index(joint) + c
        for k, joint in enumerate(prior.joints)
        if joint in names
        for c in range(3)
    }
    parts = []
    for part in prior.parts:
        kept = np.array([i for i, column in enumerate(part.columns) if int(column) in place], np.int64)
        if len(kept):
            columns = np.array([place[int(column)] for column in part.columns[kept]])
            parts.append(Part(columns, part.log_weights, part.means[:, kept], part.covariances[:, kept[:, None], kept]))
    for k, joint in enumerate(names):
        if joint not in prior.joints:
            columns = np.arange(3 * k, 3 * k + 3)
            parts.append(Part(columns, np.zeros((1, 1)), rest[k][None], spread**2 * np.eye(3)[None]))
    return tuple(parts)


def _exemplars(body: Body, prior: PosePrior, rest: np.ndarray, config: FitConfig) -> np.ndarray:
    """Poses (E, J - 1, 3) to begin from: the prior's own, or drawn from it; the mean first."""
    names = joint_set(body.joint_set).joints[1:]
    count = config.search.exemplars
    given = prior.exemplars if prior.exemplars is not None else prior.draw(np.random.default_rng(config.seed), count)
    given = np.concatenate([prior.mean[None], given])[:count].reshape(-1, len(prior.joints), 3)
    poses = np.broadcast_to(rest, (len(given), *rest.shape)).copy()
    for k, joint in enumerate(prior.joints):
        if joint in names:
            poses[:, names.index(joint)] = given[:, k]
    return poses


def _allowed(body: Body, config: FitConfig) -> np.ndarray:
    """Joints (J,) bool that the config lets turn; the root always."""
    names = joint_set(body.joint_set).joints
    allowed = np.zeros(len(names), np.bool_)
    for k, joint in enumerate(names):
        finger = joint.removeprefix("left_").removeprefix("right_").rstrip("123") in FINGERS
        group = "face" if joint in _FACE else "hands" if finger and body.format != "mano" else "body"
        allowed[k] = group in config.free
    allowed[0] = True
    return allowed


def _active(model: PointModel, poses: Tensor, usable: np.ndarray, allowed: np.ndarray) -> Tensor:
    """Joints that turn: allowed, and moving at least one usable keypoint."""
    count, joints = len(poses), len(model.parents)
    everything = torch.arange(joints, device=poses.device)
    identity = torch.eye(3, dtype=poses.dtype, device=poses.device).expand(count, 3, 3)
    betas, transl = poses.new_zeros(count, model.betas), poses.new_zeros(count, 3)
    turns = pose_points(model, identity, poses, betas, transl, everything).turns[:, : model.points]
    reach = turns.unflatten(-1, (joints, 3)).norm(dim=2)  # (count, K, J, 3)
    reach = reach[:, torch.as_tensor(usable, device=poses.device)].amax((0, 1, 3)).cpu().numpy()
    return torch.as_tensor(
        np.flatnonzero(allowed & ((reach > INFORMED * reach[0]) | (np.arange(joints) == 0))), device=poses.device
    )


def _bends(body: Body, device: torch.device) -> Bends:
    """Elbows and knees of bodies that have them."""
    names = joint_set(body.joint_set).joints
    rows = [(names.index(joint) - 1, axis, sign) for joint, axis, sign in _HINGES if joint in names]
    joints, axes, signs = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return Bends(
        torch.tensor(joints, dtype=torch.long, device=device),
        torch.tensor(axes, dtype=torch.long, device=device),
        torch.tensor(signs, dtype=body.mesh.template.dtype, device=device),
    )
