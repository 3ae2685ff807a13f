"""One file of poses, whatever its keys, as joint rotations: what pose tables are gathered from.

Three kinds are known: pose files of this project (``pose`` and ``joint_set``; mocap import, fits), AMASS archives
(``poses``), and archives with a key a part: ``global_orient`` (N, 3), ``body_pose`` (N, 63), ``jaw_pose`` (N, 3),
``lhand_pose`` and ``rhand_pose`` (N, 45), and ``leye_pose`` and ``reye_pose`` (N, 3), which may be absent; all axis-angle,
radians.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import UserError
from ..models.joints.smpl_family import SMPL_SETS
from .mocap.amass import amass_joints, upright
from .pose_joints import WITHOUT_EYES, with_eyes
from .poses import read_values

Floats = NDArray[np.float32]

PARTS = {"global_orient": 1, "body_pose": 21, "jaw_pose": 1, "leye_pose": 1, "reye_pose": 1, "lhand_pose": 15}
PARTS |= {"rhand_pose": 15}
"""Joints by key, in SMPL-X's order."""
SYNONYMS = {"left_hand_pose": "lhand_pose", "right_hand_pose": "rhand_pose"}
"""Names of the smplx package."""
EYES = ("leye_pose", "reye_pose")
RATES = ("fps", "mocap_framerate", "mocap_frame_rate")
_KEYS = {"pose", "poses", "joint_set", *PARTS, *SYNONYMS, *RATES}

TURN_LIMIT = 2 * np.pi
"""Radians: the largest rotation of a joint in half of all frames stays below, however it was unwound; in degrees never."""
_SLACK = 1e-4


@dataclass(frozen=True)
class Take:
    """Joint rotations of one file.

    Attributes:
        pose: (T, J, 3) axis-angle, radians, as the file holds them: not yet cleaned.
        joint_set: whose joints.
        fps: frames a second, or None.
        notes: what was added to it, a sentence each.
    """

    pose: Floats
    joint_set: str
    fps: float | None
    notes: tuple[str, ...] = ()


def read_take(path: Path) -> Take:
    """Read a pose file of any kind known.

    Raises:
        UserError: for a file that is absent or damaged, unknown keys, or a wrong width; says what was expected and found.
    """
    values = read_values(path, _KEYS)
    values |= {SYNONYMS[key]: values[key] for key in SYNONYMS if key in values}
    if "pose" in values and "joint_set" in values:
        return _own(values, path)
    if "poses" in values:
        return _amass(values, path)
    if any(key in values for key in PARTS):
        return _by_parts(values, path)
    raise UserError(
        f"{path} holds {_names(path)}: a pose file holds pose and joint_set, an AMASS archive poses, others "
        f"{', '.join(key for key in PARTS if key not in EYES)}"
    )


def check_radians(pose: NDArray[np.floating], where: str) -> None:
    """Refuse poses (T, J, 3) whose angles must be degrees: half of all frames have a joint that turns by more than 2 pi.

    Raises:
        UserError: naming ``where``.
    """
    local = np.linalg.norm(pose[:, 1:], axis=-1)
    local = local[np.isfinite(local).all(1)]
    if local.size and float(np.median(local.max(1))) > TURN_LIMIT:
        raise UserError(
            f"{where}: in half of all frames a joint turns by more than {np.median(local.max(1)):.0f}, which must be "
            "degrees: poses are radians, multiply them by pi / 180"
        )


def clean(pose: NDArray[np.floating]) -> tuple[Floats, Counter[str]]:
    """Poses (T, J, 3) without frames that are not finite, every rotation by at most pi; and how many of each.

    A rotation vector longer than pi is replaced by the shorter one of the same rotation.

    Returns:
        poses (T', J, 3) float32, and counts of ``dropped_frames`` and ``reduced_angles``.
    """
    finite = np.isfinite(pose).all((1, 2))
    kept = np.asarray(pose[finite], np.float32)
    angle = np.linalg.norm(kept.astype(np.float64), axis=-1, keepdims=True)
    long = angle > np.pi + _SLACK
    if long.any():
        shorter = angle - 2 * np.pi * np.round(angle / (2 * np.pi))
        kept = np.where(long, kept * (shorter / np.maximum(angle, _SLACK)), kept).astype(np.float32)
    return kept, Counter(dropped_frames=int((~finite).sum()), reduced_angles=int(long.sum()))


def _own(values: Mapping[str, Any], path: Path) -> Take:
    name, pose = str(values["joint_set"]), _numbers(values["pose"], "pose", path)
    if name not in SMPL_SETS:
        raise UserError(f"{path}: unknown joint set '{name}'; known: {', '.join(SMPL_SETS)}")
    notes: tuple[str, ...] = ()
    if name == "smplx55" and pose.ndim == 3 and pose.shape[1:] == (WITHOUT_EYES, 3):
        pose, notes = with_eyes(pose), ("without eyes: they are at rest",)
    wanted = (SMPL_SETS[name].count, 3)
    if pose.ndim != 3 or pose.shape[1:] != wanted:
        raise UserError(f"{path}: expected pose (T, {wanted[0]}, 3) of '{name}', found {pose.shape}")
    return Take(pose, name, _rate(values, path), notes)


def _amass(values: Mapping[str, Any], path: Path) -> Take:
    poses = _numbers(values["poses"], "poses", path)
    notes: tuple[str, ...] = ()
    if poses.size and poses.size == len(poses) * WITHOUT_EYES * 3:
        poses, notes = with_eyes(poses.reshape(len(poses), WITHOUT_EYES, 3)), ("without eyes: they are at rest",)
    pose, name = amass_joints(poses, str(path))
    pose[:, 0] = upright(pose[:, 0])
    return Take(pose.astype(np.float32), name, _rate(values, path), notes)


def _by_parts(values: Mapping[str, Any], path: Path) -> Take:
    missing = [key for key in PARTS if key not in values and key not in EYES]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: expected {', '.join(PARTS)}, found {_names(path)}")
    frames = len(np.atleast_1d(values["body_pose"]))
    parts = []
    for key, joints in PARTS.items():
        part = _numbers(values[key], key, path) if key in values else np.zeros((frames, 3), np.float32)
        if part.shape not in ((frames, 3 * joints), (frames, joints, 3)):
            raise UserError(f"{path}: expected {key} ({frames}, {3 * joints}), found {part.shape}")
        parts.append(part.reshape(frames, joints, 3))
    absent = [key for key in EYES if key not in values]
    notes = (f"without {' and '.join(absent)}: at rest",) if absent else ()
    return Take(np.concatenate(parts, 1), "smplx55", _rate(values, path), notes)


def _names(path: Path) -> str:
    """The keys of a file, for messages."""
    if path.suffix != ".npz":
        return "no poses"
    with np.load(path, allow_pickle=False) as archive:
        return ", ".join(archive.files) or "nothing"


def _rate(values: Mapping[str, Any], path: Path) -> float | None:
    key = next((key for key in RATES if key in values), None)
    if key is None:
        return None
    rate = float(_numbers(values[key], key, path).reshape(-1)[0])
    if not (np.isfinite(rate) and rate > 0):
        raise UserError(f"{path}: {key} is {rate}; expected a positive number of frames a second")
    return rate


def _numbers(value: Any, key: str, path: Path) -> Floats:
    try:
        return np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {key} holds no numbers ({error})") from error
