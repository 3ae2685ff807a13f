"""Second thoughts about limbs: each arm and leg of a solution tried in other poses that the picture would also explain.

A limb bent towards the camera and one bent away project alike. Limbs of all poses of the library are hung on the trunk that
was found and compared with the limb's keypoints; the best that differ from the found one in depth are fitted in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...models.geometry import mirror_axis_angle
from .folding import PointModel
from .kinematics import Posed, pose_points
from .terms import Objective, project, robust
from .variables import Targets, Variables

LIMBS = (
    ("spine3", ("left_collar", "left_shoulder", "left_elbow", "left_wrist", "left_hand")),
    ("spine3", ("right_collar", "right_shoulder", "right_elbow", "right_wrist", "right_hand")),
    ("pelvis", ("left_hip", "left_knee", "left_ankle", "left_foot")),
    ("pelvis", ("right_hip", "right_knee", "right_ankle", "right_foot")),
)
"""The joint that a limb hangs on, and its own joints."""

MOVED = 0.06
"""Share of the reach of the root that a keypoint must be moved by a limb's second joint, to belong to the limb."""
APART = 0.12
"""Alternatives differ from the limb found by this much on average, in heights of the trunk (pelvis to neck) times two."""
NOISE = 6.0
"""Factor on the noise of keypoints when limbs are compared."""


@dataclass(frozen=True)
class Limb:
    """A limb in every pose of the library.

    Attributes:
        rows: (r,) its rows in the pose. anchor: joint it hangs on. points: (k,) its keypoints.
        poses: (E, r, 3) axis-angle. places: (E, k, 3) its keypoints in the anchor's frame, metres, mean shape.
    """

    rows: Tensor
    anchor: int
    points: Tensor
    poses: Tensor
    places: Tensor


def build_limbs(model: PointModel, poses: Tensor, joints: Sequence[str], usable: Tensor) -> tuple[Limb, ...]:
    """Limbs of poses (E, J - 1, 3) and of their mirror images; ``joints`` are the body's, ``usable`` (K,) its keypoints."""
    if not {"pelvis", "spine3", "neck"} <= set(joints):
        return ()
    swap = {"left": "right", "right": "left"}
    sides = [name.partition("_") for name in joints]
    order = [joints.index(f"{swap[side]}_{rest}") if side in swap else k for k, (side, _, rest) in enumerate(sides)]
    mirrored = mirror_axis_angle(poses)[:, torch.tensor(order[1:], device=poses.device) - 1]
    poses = torch.cat([poses, mirrored])
    posed = _at_rest(model, poses)
    limbs = []
    for anchor_name, names in LIMBS:
        own = [joints.index(name) for name in names if name in joints]
        swing = own[1] if anchor_name == "spine3" else own[0]
        hung = model.mass[: model.points] @ model.below[swing] > 0.5
        points = torch.nonzero(hung & usable & (_reach(model, posed, swing) > MOVED))[:, 0]
        if not len(points):
            continue
        anchor = joints.index(anchor_name)
        apart = posed.points[:, points] - posed.joints[:, None, anchor]
        rows = torch.tensor(own, device=poses.device) - 1
        limbs.append(Limb(rows, anchor, points, poses[:, rows], apart @ posed.world[:, anchor]))
    return tuple(limbs)


def _at_rest(model: PointModel, poses: Tensor) -> Posed:
    count = len(poses)
    identity = torch.eye(3, dtype=poses.dtype, device=poses.device).expand(count, 3, 3)
    return pose_points(model, identity, poses, poses.new_zeros(count, model.betas), poses.new_zeros(count, 3))


def _reach(model: PointModel, posed: Posed, joint: int) -> Tensor:
    """Mean distance (K,) of keypoints from a joint, as a share of the largest distance from the root."""
    points = posed.points[:, : model.points]
    away = (points - posed.joints[:, None, joint]).norm(dim=-1).mean(0)
    share: Tensor = away / (points - posed.joints[:, None, 0]).norm(dim=-1).max()
    return share


def alternatives(
    objective: Objective, limbs: Sequence[Limb], at: Variables, to: Targets, count: int
) -> tuple[Variables, Tensor]:
    """Solutions (N rows) with one limb replaced: variables of N L count rows, and the limb (L count,) replaced in each."""
    posed = objective.pose(at, False)
    model = objective.model
    rest = (model.rest + at.betas @ model.rest_shape).unflatten(1, (-1, 3))
    template = model.rest.unflatten(0, (-1, 3))
    size = (rest - rest[:, :1]).norm(dim=(1, 2)) / (template - template[:1]).norm()  # (N,) of the mean shape's
    poses, which = [], []
    for number, limb in enumerate(limbs):
        world = posed.world[:, None, limb.anchor]  # (N, 1, 3, 3)
        hung = (limb.places * size[:, None, None, None]) @ world.transpose(-1, -2) + posed.joints[
            :, None, None, limb.anchor
        ]
        moved = (hung - posed.points[:, None, limb.points]).norm(dim=-1).mean(-1) / size[:, None]  # (N, E)
        error = _mismatch(hung, at, to, limb.points)
        extent = limb.places.norm(dim=-1).max()
        chosen: list[Tensor] = []
        for _ in range(count):
            index = torch.where(moved < APART * extent, error + 1e9, error).argmin(1)
            chosen.append(index)
            between = (limb.places[index][:, None] - limb.places).norm(dim=-1).mean(-1)
            moved = torch.minimum(moved, between)
        for index in chosen:
            pose = at.pose.clone()
            pose[:, limb.rows] = limb.poses[index]
            poses.append(pose)
            which.append(number)
    rows = torch.arange(len(at.betas), device=at.betas.device).repeat_interleave(len(poses))
    wide = at.take(rows)
    return replace(wide, pose=torch.stack(poses, 1).flatten(0, 1)), torch.tensor(which, device=at.betas.device)


def _mismatch(hung: Tensor, at: Variables, to: Targets, points: Tensor) -> Tensor:
    """Robust, weighted, squared distance (N, E) of hung keypoints (N, E, k, 3) to the given ones."""
    people, count = hung.shape[:2]
    rows = torch.arange(people, device=hung.device).repeat_interleave(count)
    some = replace(to, pixels=to.pixels[:, points], weight=to.weight[:, points]).take(rows)
    pixels, _ = project(hung.flatten(0, 1), at.take(rows), some)
    value, _ = robust((pixels - some.pixels).square().sum(-1), NOISE * some.rho[:, None])
    return ((some.weight / NOISE).square() * value).sum(-1).view(people, count)


def merge(at: Variables, limbs: Sequence[Limb], options: Tensor, better: Tensor) -> Variables:
    """Variables with every limb that found better taken over: ``options`` (N, L, J - 1, 3), ``better`` (N, L) bool."""
    pose = at.pose.clone()
    for number, limb in enumerate(limbs):
        pose[:, limb.rows] = torch.where(
            better[:, number, None, None], options[:, number][:, limb.rows], pose[:, limb.rows]
        )
    return replace(at, pose=pose)
