"""Poses of an SMPL-family body as a skeleton that moves, for writing them as BVH."""

from __future__ import annotations

import numpy as np

from ...config import UserError
from ..poses import PoseSequence
from .rotations import rotvec_to_matrix
from .skeleton import Motion, Skeleton
from .target import Target


def motion_from_poses(poses: PoseSequence, target: Target) -> Motion:
    """The body's joints at rest as a skeleton with SMPL's names, and the poses as its motion; metres, Y up.

    Written by ``write_bvh`` and imported again, it gives the same poses.

    Raises:
        UserError: if the poses are for another joint set, in a camera's frame, or without fps.
    """
    if poses.joint_set != target.joint_set.name:
        raise UserError(f"poses are {poses.joint_set}, body '{target.body}' is {target.joint_set.name}")
    if poses.frame != "world" or poses.fps is None:
        raise UserError(f"{poses.source or 'poses'}: a motion needs poses in the world frame, with fps")
    parents = target.parents
    offsets = target.rest.copy()
    offsets[1:] -= target.rest[list(parents[1:])]
    names = target.joint_set.joints
    order = _depth_first(parents)
    place = {joint: i for i, joint in enumerate(order)}
    skeleton = Skeleton(
        tuple(names[joint] for joint in order),
        tuple(-1 if parents[joint] < 0 else place[parents[joint]] for joint in order),
        offsets[order],
    )
    rotations = rotvec_to_matrix(poses.pose[:, order])
    pelvis = np.asarray(poses.transl, np.float64) + target.rest[0]
    return Motion(skeleton, rotations, pelvis, poses.fps, poses.source)


def _depth_first(parents: tuple[int, ...]) -> list[int]:
    """Joints in the order in which BVH declares them."""
    order, stack = [], [0]
    while stack:
        joint = stack.pop()
        order.append(joint)
        stack.extend(child for child in reversed(range(len(parents))) if parents[child] == joint)
    return order
