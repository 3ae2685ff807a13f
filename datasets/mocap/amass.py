"""AMASS and other SMPL-family archives: poses that need no retargeting, only other axes and another body.

AMASS keeps ``poses`` (T, 3J) axis-angle, ``trans`` (T, 3) metres, ``betas``, ``gender`` and ``mocap_framerate`` (or
``mocap_frame_rate``), Z up. Its betas belong to licensed bodies and are not carried over to other ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...config import UserError
from ...models.joints import joint_set
from ..poses import PoseSequence, checked
from .axes import turn_upright
from .feet import SIDES, ground_height, standing
from .rotations import global_rotations, matrix_to_rotvec, rotvec_to_matrix
from .target import Target

FORMATS = {72: "smpl24", 156: "smplh52", 165: "smplx55"}
"""Joint set by width of ``poses``; 66 is the body of SMPL-H without hands."""

SMPL_PELVIS = np.array([-0.002, -0.223, 0.028])
"""The pelvis of SMPL-H's mean body at rest, metres, about which AMASS bodies turn (neutral SMPL-H, to a millimetre)."""

SMPL_LEG = 0.818
"""Thigh and shin of SMPL's mean body, metres: |(-0.044, -0.387, 0.008)| + |(-0.015, -0.427, -0.037)|."""

_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")


def poses_from_amass(values: Mapping[str, Any], source: str, up: str = "z") -> PoseSequence:
    """Poses of an AMASS archive in our world (Y up), for the body they were recorded with.

    Args:
        values: arrays by AMASS's names.
        up: axis of the file that points up.

    Raises:
        UserError: for keys that are missing, a width that is no SMPL body, or values that are not finite.
    """
    missing = [key for key in ("poses", "trans") if key not in values]
    rate = next((key for key in _RATES if key in values), None)
    if missing or rate is None:
        lacking = ", ".join([*missing, *([] if rate else ["mocap_framerate"])])
        raise UserError(f"{source} lacks {lacking}: an AMASS archive holds poses, trans, betas and mocap_framerate")
    pose, name = amass_joints(values["poses"], source)
    trans = _numbers(values["trans"], "trans", source)
    if trans.shape != (len(pose), 3):
        raise UserError(f"{source}: trans is {trans.shape}, need ({len(pose)}, 3)")
    turn = turn_upright(up)
    pose[:, 0] = upright(pose[:, 0], up)
    trans = (trans + SMPL_PELVIS) @ turn.T - SMPL_PELVIS
    gender = str(np.asarray(values.get("gender", "neutral")).astype(str))
    fps = float(_numbers(values[rate], rate, source).reshape(-1)[0])
    betas = None if "betas" not in values else _numbers(values["betas"], "betas", source)
    body = f"{name.rstrip('0123456789')}-{gender}"
    return checked(
        PoseSequence(pose, trans, body, name, betas=betas, fps=fps, source=source, up=(0.0, 1.0, 0.0)), source
    )


def amass_joints(poses: Any, source: str) -> tuple[np.ndarray, str]:
    """An AMASS archive's ``poses`` as (T, J, 3) float64 in its own axes, a copy, and their joint set.

    Raises:
        UserError: for a width that is no SMPL body.
    """
    poses = _numbers(poses, "poses", source)
    poses = poses.reshape(len(poses), -1) if poses.ndim in (2, 3) else poses
    if poses.ndim != 2 or poses.shape[1] not in (66, *FORMATS):
        raise UserError(f"{source}: poses are {poses.shape}, need (T, {' or '.join(map(str, (66, *FORMATS)))})")
    if poses.shape[1] == 66:
        poses = np.concatenate([poses, np.zeros((len(poses), 90))], 1)
    return poses.reshape(len(poses), -1, 3).copy(), FORMATS[poses.shape[1]]


def upright(orientation: np.ndarray, up: str = "z") -> np.ndarray:
    """Global orientations (T, 3), axis-angle, of a world whose axis ``up`` points up, in our world (Y up)."""
    return matrix_to_rotvec(turn_upright(up) @ rotvec_to_matrix(orientation))


def _numbers(value: Any, key: str, source: str) -> np.ndarray:
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{source}: {key} holds no numbers ({error})") from error


def repose(
    poses: PoseSequence, target: Target, ground: bool = True, origin: Target | None = None
) -> tuple[PoseSequence, str]:
    """The same rotations on another body of the family, joints matched by name.

    The pelvis' path is scaled by the ratio of leg lengths, and the take set on the ground as in ``retarget``. Betas and
    expression stay behind unless the poses are for this very body.

    Args:
        poses: in the world frame.
        origin: the body the poses were for; SMPL's mean body without.

    Returns:
        poses for ``target``, and a sentence on what was dropped or added, "" if nothing.
    """
    if poses.body == target.body and poses.joint_set == target.joint_set.name:
        return poses, ""
    if poses.frame != "world" or poses.joint_set == "mano16":
        raise UserError(
            f"{poses.source}: {poses.joint_set} poses in the {poses.frame} frame cannot move to another body"
        )
    theirs, ours = joint_set(poses.joint_set).joints, target.joint_set.joints
    pose = np.broadcast_to(target.base_pose, (len(poses), *target.base_pose.shape)).copy()
    for joint, name in enumerate(ours):
        if name in theirs:
            pose[:, joint] = poses.pose[:, theirs.index(name)]
    pelvis_at, leg = (SMPL_PELVIS, SMPL_LEG) if origin is None else (origin.rest[0], origin.leg_length())
    pelvis = target.leg_length() / leg * (poses.transl + pelvis_at)
    rotations = global_rotations(pose, target.parents)
    if ground:
        pelvis = pelvis - np.array([0.0, _ground(rotations, pelvis, target, poses.fps or 30.0), 0.0])
    moved = replace(
        poses,
        pose=pose.astype(np.float32),
        transl=(pelvis - target.rest[0]).astype(np.float32),
        body=target.body,
        joint_set=target.joint_set.name,
        betas=target.betas,
        expression=None,
    )
    return moved, _lost(poses, theirs, ours, target)


def _ground(rotations: np.ndarray, pelvis: np.ndarray, target: Target, fps: float) -> float:
    positions = target.positions(rotations, pelvis)
    stands = [
        standing(positions[:, target.index(f"{side}_ankle")], positions[:, target.index(f"{side}_foot")], fps)
        for side in SIDES
    ]
    soles = np.concatenate([target.sole_points(rotations, positions, side) for side in SIDES], 1)
    return ground_height(soles, stands[0] | stands[1])


def _lost(poses: PoseSequence, theirs: tuple[str, ...], ours: tuple[str, ...], target: Target) -> str:
    """What does not come along, in words; joints that never turn are no loss."""
    turning = [name for i, name in enumerate(theirs) if name not in ours and np.abs(poses.pose[:, i]).max() > 1e-6]
    fingers = [name for name in turning if name[-1] in "123"]
    words = [name for name in turning if name not in fingers]
    if fingers:
        words.append(f"{len(fingers)} finger joints")
    if poses.betas is not None and np.abs(poses.betas).max() > 0:
        words.append(f"betas of {poses.body}")
    if poses.expression is not None:
        words.append("expression")
    added = [name for name in ours if name not in theirs]
    parts = [f"dropped {', '.join(words)}"] if words else []
    if added:
        parts.append(f"{len(added)} joints of {target.body} without data stay at rest")
    return "; ".join(parts)
