"""What the layouts of keypoint files hold, brought to one form: a list of :class:`Found` persons a file.

Only the layout is checked here; :class:`.person.PersonKeypoints` checks the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np

from ...models.joints import JOINT_SETS, joint_set
from ..coco_fields import Bad, Entry, is_id

OPENPOSE_EXCESS = 1.1
"""OpenPose's confidences are a network's peaks and may pass 1 a little; up to here they count as 1."""

_WHOLEBODY_PARTS = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}


@dataclass(frozen=True)
class Found:
    """A person as the file has it.

    Attributes:
        label: of the person within its file, for its id and for messages; "" if the file is that one person's.
        joint_set: name of the set.
        read: gives (J, 3) x, y, confidence, or raises Bad.
        image: name of the picture in the file, or None: named as the file.
        size: width and height as the file has them, or None.
        bbox: as the file has it, or None.
    """

    label: str
    joint_set: str
    read: Callable[[], np.ndarray]
    image: Any = None
    size: tuple[int, int] | None = None
    bbox: Any = None


def _fault(text: str) -> NoReturn:
    raise Bad(text)


def _triples(values: Any, name: str, key: str) -> np.ndarray:
    """(J, 3) numbers of a flat list."""
    count = joint_set(name).count
    if not isinstance(values, list):
        raise Bad(f"'{key}' must be a list of {3 * count} numbers, found {type(values).__name__}")
    if len(values) != 3 * count:
        raise Bad(
            f"'{key}' has {len(values)} numbers, {3 * count} expected ({count} joints of '{name}' × 3)"
            + ("; OpenPose's COCO model with 18 joints is not supported, use BODY_25" if len(values) == 54 else "")
        )
    for place, value in enumerate(values):
        if not is_number(value):
            shown = repr(value) if len(repr(value)) < 40 else f"{repr(value)[:36]} …"
            raise Bad(f"'{key}' holds {shown} for '{joint_set(name).joints[place // 3]}', which is no finite number")
    return np.array(values, np.float64).reshape(count, 3)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number that a float can hold."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:
        return False


def fidip(data: Entry, occluded: float) -> list[Found]:
    """``{"annotations": [57 numbers]}``: one person, 19 joints, confidence 0, 1 (hidden) or 2."""
    return [Found("", "fidip19", partial(_levels, data, "annotations", "fidip19", occluded))]


def openpose(data: Entry) -> list[Found]:
    """``{"people": [{"pose_keypoints_2d": [75 numbers]}, …]}``: BODY_25 with confidences."""
    return [Found(str(i), "openpose25", partial(_body25, person)) for i, person in enumerate(data["people"])]


def _body25(person: Any) -> np.ndarray:
    if not isinstance(person, dict) or "pose_keypoints_2d" not in person:
        raise Bad("has no 'pose_keypoints_2d'")
    points = _triples(person["pose_keypoints_2d"], "openpose25", "pose_keypoints_2d")
    slightly = (points[:, 2] > 1) & (points[:, 2] <= OPENPOSE_EXCESS)
    points[slightly, 2] = 1
    return points


def coco(data: Entry, occluded: float, wholebody: bool = False) -> tuple[list[Found], int]:
    """COCO's keypoint annotations; with ``wholebody`` those of COCO-WholeBody, whose parts are fields of their own.

    Returns:
        the persons, and how many annotations say themselves that they have no keypoints: crowds, people without
        labels, things.

    Raises:
        Bad: if the file as a whole cannot be read.
    """
    images = data.get("images")
    if not isinstance(images, list) or not all(isinstance(i, dict) and is_id(i.get("id")) for i in images):
        raise Bad("'images' must be a list of objects with an 'id'")
    by_id = {image["id"]: image for image in images}
    sets = _category_sets(data.get("categories"))
    people: list[Found] = []
    labels: set[str] = set()
    skipped = 0
    for row, entry in enumerate(data["annotations"]):
        if not isinstance(entry, dict) or not is_id(entry.get("id")) or entry["id"] < 0:
            people.append(Found(f"number{row}", "coco17", partial(_fault, "its 'id' must be an integer of 0 or more")))
            continue
        category, image = (entry.get(key) if is_id(entry.get(key)) else None for key in ("category_id", "image_id"))
        name = sets.get(category, "") if sets else "coco17"
        if not name or "keypoints" not in entry or entry.get("num_keypoints") == 0 or entry.get("iscrowd") == 1:
            skipped += 1
            continue
        found = _annotation(entry, name, by_id.get(image), occluded, wholebody)
        if found.label in labels:
            found = Found(found.label, name, partial(_fault, "this id occurs twice"))
        labels.add(found.label)
        people.append(found)
    return people, skipped


def _annotation(entry: Entry, name: str, image: Entry | None, occluded: float, wholebody: bool) -> Found:
    label = str(entry["id"])
    if image is None:
        fault = f"belongs to image {entry.get('image_id')!r}, which the file does not list"
        return Found(label, name, partial(_fault, fault))
    read = partial(_whole, entry, occluded) if wholebody else partial(_levels, entry, "keypoints", name, occluded)
    name = "coco_wholebody133" if wholebody else name
    return Found(label, name, read, image.get("file_name"), _size(image), entry.get("bbox"))


def _levels(entry: Entry, key: str, name: str, occluded: float) -> np.ndarray:
    """Keypoints whose third number is COCO's visibility: 0 unlabelled, 1 labelled but hidden, 2 labelled and seen."""
    points = _triples(entry[key], name, key)
    other = ~np.isin(points[:, 2], (0, 1, 2))
    if other.any():
        raise Bad(f"a visibility is {points[other][0, 2]:g}, must be 0, 1 or 2")
    points[:, 2] = np.array([0.0, occluded, 1.0])[points[:, 2].astype(int)]
    return points


def _whole(entry: Entry, occluded: float) -> np.ndarray:
    """The five parts one after another. Parts beside the body may hold a detector's confidence instead of v = 1 or 2."""
    body = _levels(entry, "keypoints", "coco17", occluded)
    rest: list[Any] = []
    for part, count in _WHOLEBODY_PARTS.items():
        if not isinstance(entry.get(part), list) or len(entry[part]) != 3 * count:
            raise Bad(f"'{part}' must be a list of {3 * count} numbers")
        rest += entry[part]
    points = _triples([0] * 51 + rest, "coco_wholebody133", " … ".join((*_WHOLEBODY_PARTS,)[::3]))
    points[:17] = body
    points[17:, 2] = np.where((points[17:, 2] >= 1) & (points[17:, 2] <= 2), 1, points[17:, 2])
    return points


def _category_sets(categories: Any) -> dict[int | None, str]:
    """Joint set by category id, of the categories that have keypoints; empty if the file lists none at all."""
    result: dict[int | None, str] = {}
    for category in categories if isinstance(categories, list) else ():
        if not isinstance(category, dict) or "keypoints" not in category:
            continue
        names, number = category["keypoints"], category.get("id")
        if not is_id(number):
            raise Bad(f"a category's 'id' is {number!r}, must be an integer")
        found = [s.name for s in JOINT_SETS.values() if isinstance(names, list) and list(s.joints) == names]
        if not found:
            shown = f"{len(names)} keypoints {names[:3]} …" if isinstance(names, list) else repr(names)
            raise Bad(f"category {number} has {shown}, which is no known joint set")
        result[number] = found[0]
    return result


def _size(image: Entry) -> tuple[int, int] | None:
    """Width and height; whatever is no positive integer counts as missing."""
    size = image.get("width"), image.get("height")
    if all(is_id(side) and side > 0 for side in size):  # type: ignore[operator]
        return size  # type: ignore[return-value]
    return None


def guess(data: Any) -> str | None:
    """The format that a file's outermost keys speak for, or None."""
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("people"), list):
        return "openpose"
    listed = data.get("annotations")
    if not isinstance(listed, list):
        return None
    return "coco" if "images" in data or any(isinstance(entry, dict) for entry in listed) else "fidip"
