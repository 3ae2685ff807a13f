"""The poses of a run: gathered, split by who moves, cut to the prior's joints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...config import UserError, nearest
from ...datasets.pose_tables import PoseTable, gather, rows, split
from ...models.joints import joint_set
from .config import PoseDataConfig
from .hands import FINGERS, hand_poses, moving_hands

SELECT_SEED = 1_000_003


@dataclass(frozen=True)
class PoseSets:
    """Poses by use; nobody, or no take, is in two of them.

    Attributes:
        joint_set: the table's. joints: names of the C covered ones.
        train: (N, C, 3) axis-angle, radians, to learn from. select: to choose a checkpoint by, perhaps empty.
        val: of people that nothing was chosen by. val_takes: (n,) index of the take of each.
        notes: what was changed or left out. counts: of poses by use, and of what was mended.
    """

    joint_set: str
    joints: tuple[str, ...]
    train: NDArray[np.float32]
    select: NDArray[np.float32]
    val: NDArray[np.float32]
    val_takes: NDArray[np.int32]
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


def covered(data: PoseDataConfig) -> tuple[str, ...]:
    """Names of the joints that a prior covers; the global orientation never is one.

    Raises:
        UserError: for a joint that the set has not, or a part without joints.
    """
    names = joint_set(data.joint_set).joints
    fingers = tuple(name for name in FINGERS if name in names)
    if not isinstance(data.joints, str):
        for name in data.joints:
            if name not in names[1:]:
                raise UserError(f"data.joints: '{data.joint_set}' has no joint '{name}': {nearest(name, names[1:])}")
        return data.joints
    parts = {"hands": fingers, "all": names[1:]}
    parts["body"] = tuple(name for name in names[1:22] if name not in fingers)
    if not parts[data.joints]:
        raise UserError(f"data.joints={data.joints}: joint set '{data.joint_set}' has none")
    return parts[data.joints]


def open_poses(data: PoseDataConfig, seed: int, drawn: Path) -> PoseSets:
    """Gather and split the poses of a run; ``drawn`` is the folder in which procedural hands are kept.

    Raises:
        UserError: see ``gather`` and ``split`` of ``datasets/pose_tables.py``.
    """
    joints = covered(data)
    if data.train:
        table = gather(data.train, data.joint_set, data.fps, data.cache)
    elif set(joints) <= set(FINGERS):
        table = hand_poses(data.procedural_hands, seed, data.cache or drawn)
    else:
        raise UserError("data.procedural_hands are hands alone: data.joints=hands, or name files by data.train")
    if data.val:
        other = gather(data.val, data.joint_set, data.fps, data.cache)
        learn, held = np.arange(len(table)), np.arange(len(other))
    else:
        other = table
        learn, held = split(table, data.by, data.held_out)
    if data.train and set(joints) <= set(FINGERS):
        learn, held = np.intersect1d(learn, moving_hands(table)), np.intersect1d(held, moving_hands(other))
        if not len(learn) or not len(held):
            raise UserError(
                "no take to learn from, or none to validate on, in which the fingers of both hands move: leave data.train "
                "out to learn from hands that the farm draws"
            )
    select = np.zeros(0, np.int64)
    if data.select:
        learn, select = apart(table, learn, data.select)
    place = [joint_set(table.joint_set).index(name) for name in joints]
    counts = {**table.counts, "train": len(learn), "select": len(select), "val": len(held)}
    parts = (rows(table, learn, place), rows(table, select, place), rows(other, held, place))
    return PoseSets(table.joint_set, joints, *parts, other.take[held], table.notes, counts)


def apart(table: PoseTable, learn: NDArray[np.int64], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take about ``share`` of the rows ``learn`` away, whole takes."""
    takes, sizes = np.unique(table.take[learn], return_counts=True)
    if len(takes) < 2:
        raise UserError("data.select keeps whole takes apart, and there is one: data.select=0")
    order = np.random.default_rng(SELECT_SEED).permutation(len(takes))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), share * len(learn))) + 1
    kept = np.isin(table.take[learn], takes[order[: min(enough, len(takes) - 1)]])
    return learn[~kept], learn[kept]
