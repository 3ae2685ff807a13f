"""The joint sets that a data set labels: the first lies in ``keypoints``, the others one after the other beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..config import UserError, nearest
from ..models.joints import joint_set
from .frames import DatasetInfo, Person


@dataclass(frozen=True)
class SetPlace:
    """Where the points of a joint set lie: rows ``start : start + count`` of ``more_keypoints`` if ``further``, else of
    ``keypoints``."""

    name: str
    further: bool
    start: int
    count: int


def labelled_sets(info: DatasetInfo) -> tuple[str, ...]:
    """Names of all joint sets that a data set labels, the first first."""
    return (info.joint_set, *info.more_joint_sets)


def locate_set(info: DatasetInfo, name: str) -> SetPlace:
    """Where the points of a joint set lie.

    Raises:
        UserError: if the data set does not label it; says what it labels.
    """
    if name == info.joint_set:
        return SetPlace(name, False, 0, info.joint_count)
    start = 0
    for each in info.more_joint_sets:
        count = joint_set(each).count
        if each == name:
            return SetPlace(name, True, start, count)
        start += count
    known = labelled_sets(info)
    raise UserError(
        f"these frames do not label joint set '{name}' but {', '.join(known)} ({nearest(name, known)}); "
        "frames of the farm label what 'joint_sets' names"
    )


def person_keypoints(person: Person, info: DatasetInfo, name: str | None = None) -> np.ndarray:
    """A person's points (J, 3) of a labelled joint set: x, y in pixels, and v. None: the first set.

    Raises:
        UserError: if the data set does not label it, or this person has no points of it.
    """
    return _points(person, info, name, "keypoints")


def person_keypoints_3d(person: Person, info: DatasetInfo, name: str | None = None) -> np.ndarray:
    """A person's points (J, 3) of a labelled joint set, metres in the camera frame. None: the first set.

    Raises:
        UserError: as :func:`person_keypoints`, and if the person has no 3D points.
    """
    return _points(person, info, name, "keypoints_3d")


def _points(person: Person, info: DatasetInfo, name: str | None, column: str) -> np.ndarray:
    place = locate_set(info, name or info.joint_set)
    column = f"more_{column}" if place.further else column
    points: np.ndarray | None = getattr(person, column)
    if points is None:
        raise UserError(f"this person has no '{column}', so no points of joint set '{place.name}'")
    return points[place.start : place.start + place.count]


def with_joint_set(person: Person, info: DatasetInfo, name: str | None) -> Person:
    """The person itself for the first set (or None), else a copy whose ``keypoints`` are those of set ``name``."""
    if name is None or name == info.joint_set:
        return person
    points = person_keypoints_3d(person, info, name) if person.more_keypoints_3d is not None else None
    return replace(person, keypoints=person_keypoints(person, info, name), keypoints_3d=points)
