"""Poses of one body of the SMPL family for the joints of another: maps by joint names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config import UserError
from ..models.joints import joint_set
from .poses import PoseSequence

Floats = NDArray[np.float32]

WITHOUT_EYES = 53
"""Joints of SMPL-X without the eyeballs, which come after the jaw: 22 of the body, the jaw, 15 of each hand."""
_EYES_AT = 23


def sources(source: str, target: str, where: str = "poses") -> tuple[int, ...]:
    """For each joint of set ``target`` the index of the joint of set ``source`` that turns it, -1 where there is none.

    SMPL's hand joints bend the fingers as one: from bodies with fingers they take the rotation of the middle finger's
    first joint, and the other fingers, jaw and eyes are lost. To bodies with fingers SMPL's hand joints give nothing.

    Raises:
        UserError: for poses of a hand alone where a whole body is asked for, or a body where a hand is; names ``where``.
    """
    theirs, ours = joint_set(source), joint_set(target)
    if theirs.joints[0] != ours.joints[0]:
        kind = "whole bodies" if "pelvis" in ours.joints else "one hand"
        raise UserError(f"{where} holds '{source}' poses: poses of {kind} are needed, as '{target}'")
    names = [name if name in theirs.joints else name.replace("_hand", "_middle1") for name in ours.joints]
    return tuple(theirs.index(name) if name in theirs.joints else -1 for name in names)


def to_joints(poses: PoseSequence, joints: str = "smpl24", where: str = "poses") -> Floats:
    """Poses (T, J, 3) of a joint set by joint names from any SMPL-family body; a copy. Joints it lacks are at rest.

    Raises:
        UserError: as :func:`sources`.
    """
    return take_joints(poses.pose, sources(poses.joint_set, joints, where))


def take_joints(pose: NDArray[np.floating], found: tuple[int, ...]) -> Floats:
    """Poses (T, len(found), 3) float32 of the joints at the indices ``found`` of ``pose`` (T, J, 3); -1 gives rest."""
    result = np.zeros((len(pose), len(found), 3), np.float32)
    kept = np.flatnonzero(np.array(found) >= 0)
    result[:, kept] = pose[:, np.array(found)[kept]]
    return result


def with_eyes(pose: NDArray[np.floating]) -> NDArray[np.floating]:
    """Poses (T, 53, 3) of SMPL-X without eyes as (T, 55, 3), the eyes at rest."""
    rest = np.zeros((len(pose), 2, 3), pose.dtype)
    return np.concatenate([pose[:, :_EYES_AT], rest, pose[:, _EYES_AT:]], 1)
