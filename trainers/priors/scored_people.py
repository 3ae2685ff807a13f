"""People whose poses are to be judged: of frames, or of pose files, in the joints of a prior."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.poses import PoseSequence, load_poses
from ...datasets.shards import FramesFolder
from ...models.joints import joint_set
from ...models.joints.smpl_family import SMPL_SETS


@dataclass(frozen=True)
class Person:
    """One pose to be judged.

    Attributes:
        id: frame id and number of the person, or a pose's name in its file.
        frame: position of the frame in its folder, -1 in pose files. number: of the person in the frame, of the pose.
    """

    id: str
    frame: int
    number: int


@dataclass
class People:
    """Poses to be judged.

    Attributes:
        people: N of them. pose: (N, C, 3) of the prior's joints, those in ``lacking`` at its mean.
        lacking: joints of the prior that the data does not have. left_out: reasons, counted.
    """

    people: list[Person]
    pose: NDArray[np.float32]
    lacking: tuple[str, ...]
    left_out: Counter[str] = field(default_factory=Counter)


def read_people(path: Path, joints: Sequence[str], mean: NDArray[np.float32]) -> People:
    """People of a frames folder or a pose file (.npz, .parquet), their poses by joint names.

    Args:
        joints: C that a prior covers. mean: (C, 3) what stands for those that the data lacks.

    Raises:
        UserError: if there is no pose, or none of the prior's joints.
    """
    if path.is_dir():
        return _collect(_of_frames(path), joints, mean, path)
    return _collect(_of_poses(load_poses(path)), joints, mean, path)


Found = Iterator[tuple[Person, str, NDArray[np.float32] | None]]


def _of_poses(poses: PoseSequence) -> Found:
    for k, pose in enumerate(poses.pose):
        yield Person(poses.names[k] if poses.names else str(k), -1, k), poses.joint_set, pose


def _of_frames(path: Path) -> Found:
    """Persons of all frames; the joint set by the length of their pose."""
    sizes = {joints.count: name for name, joints in SMPL_SETS.items() if name in ("smpl24", "smplh52", "smplx55")}
    for position, frame in enumerate(FramesFolder.open(path).iterate(("frame_id", "persons"))):
        for number, person in enumerate(frame.persons):
            who = Person(f"{frame.frame_id}:{number}", position, number)
            pose = None if person.pose is None else np.asarray(person.pose, np.float32).reshape(-1, 3)
            name = "" if pose is None else sizes.get(len(pose), "")
            yield who, name, pose if name else None


def _collect(found: Found, joints: Sequence[str], mean: NDArray[np.float32], path: Path) -> People:
    people, rows = [], []
    left_out: Counter[str] = Counter()
    lacking: set[str] = set()
    for who, name, pose in found:
        if pose is None:
            left_out["people without a body's pose"] += 1
        elif not np.isfinite(pose).all():
            left_out["poses that are not finite"] += 1
        else:
            place = _places(name, joints)
            lacking |= {joint for joint, row in zip(joints, place, strict=True) if row < 0}
            rows.append(np.where(np.array(place)[:, None] >= 0, pose[place], mean))
            people.append(who)
    if not people:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "it is empty"
        raise UserError(f"{path} holds no pose to score: {reasons}")
    if len(lacking) == len(joints):
        raise UserError(f"{path} has none of the prior's joints ({', '.join(joints[:4])}...)")
    ordered = tuple(joint for joint in joints if joint in lacking)
    return People(people, np.asarray(np.stack(rows), np.float32), ordered, left_out)


def _places(name: str, joints: Sequence[str]) -> list[int]:
    names = joint_set(name).joints
    return [names.index(joint) if joint in names else -1 for joint in joints]
