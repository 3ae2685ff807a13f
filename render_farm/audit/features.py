"""What is measured of a person from labels alone, so that rendered and real frames can be compared.

Each is a number; NaN where the labels do not say. Columns are held for at most some thousand frames, see :mod:`.measure`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from ...datasets.frames import Frame, Person
from ...models.joints import JointSet

BORDER = 1.0
"""A box that comes this near to the picture's border, in pixels, counts as cut by it."""
_BODY12 = tuple(
    f"{side}_{point}" for point in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
)


@dataclass
class Measured:
    """Persons and frames as columns.

    Attributes:
        persons: column → one number a person; among them ``position`` (of its frame in the folder) and ``number``.
        frames: column → one number a frame.
        v: one row (J,) a person. poses: normalised 2D poses, see :func:`pose_vector`; rotations: (P, joints) degrees by
        which each joint of the body model is turned, by number of joints.
    """

    persons: dict[str, list[float]] = field(default_factory=dict)
    frames: dict[str, list[float]] = field(default_factory=dict)
    v: list[np.ndarray] = field(default_factory=list)
    poses: list[np.ndarray] = field(default_factory=list)
    rotations: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def add(self, frame: Frame, joints: JointSet, position: int) -> None:
        """Measure the persons of a frame that have keypoints and are no crowd."""
        usable = [(i, p) for i, p in enumerate(frame.persons) if not p.iscrowd and (p.keypoints[:, 2] > 0).any()]
        self._append(self.frames, {"persons": float(len(usable))})
        for number, person in usable:
            row = person_features(person, frame, joints)
            self._append(self.persons, {"position": float(position), "number": float(number), **row})
            self.v.append(person.keypoints[:, 2].astype(np.int8))
            pose = pose_vector(person.keypoints, joints)
            if pose is not None:
                self.poses.append(pose)
            if person.pose is not None:
                turned = np.degrees(np.linalg.norm(person.pose.reshape(-1, 3), axis=1)).astype(np.float32)
                self.rotations.setdefault(len(turned), []).append(turned[1:])

    def person(self, name: str) -> np.ndarray:
        """A column of the persons, (P,) float64."""
        return np.asarray(self.persons.get(name, []), np.float64)

    @staticmethod
    def _append(columns: dict[str, list[float]], row: dict[str, float]) -> None:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)


def person_features(person: Person, frame: Frame, joints: JointSet) -> dict[str, float]:
    """All numbers of one person, by name; see the report for what each means."""
    x, y, w, h = (float(value) for value in person.bbox)
    v = person.keypoints[:, 2]
    sides = (x <= BORDER, y <= BORDER, x + w >= frame.width - BORDER, y + h >= frame.height - BORDER)
    azimuth, elevation = view_angles(person)
    row = {
        "visible": float((v == 2).mean()),
        "occluded": float((v == 1).mean()),
        "absent": float((v == 0).mean()),
        "truncated": float(any(sides)),
        "box_pixels": math.sqrt(max(w * h, 0.0)),
        "box_height": h / frame.height,
        "box_width": w / frame.width,
        "box_area": w * h / (frame.width * frame.height),
        "aspect": math.log2(w / h) if w > 0 and h > 0 else math.nan,
        "fill": person.area / (w * h) if w * h > 0 else math.nan,
        "centre_x": (x + w / 2) / frame.width,
        "centre_y": (y + h / 2) / frame.height,
        "tilt": tilt(person.keypoints, joints),
        "azimuth": azimuth,
        "elevation": elevation,
    }
    row["difficulty"] = difficulty(row)
    return row


def difficulty(row: dict[str, float]) -> float:
    """How hard a person is to read, 0 (easy) to 1: ``0.4 (1 - visible) + 0.2 occluded + 0.2 cut + 0.2 small``.

    visible and occluded are shares of the keypoints; cut is the share of keypoints outside of the picture, at least 0.5 if
    the box touches its border; small falls from 1 at a box of 32 pixels to 0 at 256 (the root of its area, by logarithm).
    """
    small = float(np.clip(math.log2(256 / max(row["box_pixels"], 1.0)) / 3, 0, 1))
    cut = max(row["absent"], 0.5 * row["truncated"])
    return 0.4 * (1 - row["visible"]) + 0.2 * row["occluded"] + 0.2 * cut + 0.2 * small


def view_angles(person: Person) -> tuple[float, float]:
    """Where the camera stands as the body sees it: azimuth and elevation in degrees, NaN without parameters.

    In the axes of the model's root: azimuth 0 in front, 90 on its left, elevation 90 above its head. (Of a hand: MANO's axes.)
    """
    if person.pose is None or person.keypoints_3d is None:
        return math.nan, math.nan
    towards = -person.keypoints_3d.mean(0, dtype=np.float64)
    x, y, z = Rotation.from_rotvec(person.pose[:3].astype(np.float64)).inv().apply(towards / np.linalg.norm(towards))
    return math.degrees(math.atan2(x, z)), math.degrees(math.asin(np.clip(y, -1, 1)))


def tilt(keypoints: np.ndarray, joints: JointSet) -> float:
    """How far the body is turned in the picture: angle in degrees from hips to shoulders (of a hand from wrist to middle
    knuckle), 0 upright, 90 with the head to the right; NaN where these points are not labelled."""
    ends = _ends(joints)
    if ends is None:
        return math.nan
    low, high = (keypoints[list(each)] for each in ends)
    if not ((low[:, 2] > 0).all() and (high[:, 2] > 0).all()):
        return math.nan
    dx, dy = (high[:, :2].mean(0) - low[:, :2].mean(0)).tolist()
    return math.degrees(math.atan2(dx, -dy))


def pose_vector(keypoints: np.ndarray, joints: JointSet) -> np.ndarray | None:
    """A 2D pose without place and size: limb points (of a hand: all) less their mean, over their root mean square distance
    from it; (2K,), or None unless all are labelled."""
    names = _BODY12 if set(_BODY12) <= set(joints.joints) else joints.joints
    points = keypoints[[joints.index(name) for name in names]]
    if not (points[:, 2] > 0).all():
        return None
    centred = points[:, :2].astype(np.float64) - points[:, :2].mean(0, dtype=np.float64)
    size = math.sqrt(float((centred**2).sum(1).mean()))
    return (centred / size).ravel() if size > 0 else None


def upright(poses: np.ndarray, joints: JointSet) -> np.ndarray:
    """Pose vectors (P, 2K) turned in the picture so that the shoulders lie straight above the hips (hands: by the wrist)."""
    points = poses.reshape(len(poses), -1, 2)
    if set(_BODY12) <= set(joints.joints):
        axis = points[:, :2].mean(1) - points[:, 6:8].mean(1)
    else:
        ends = _ends(joints)
        if ends is None:
            return poses
        axis = points[:, list(ends[1])].mean(1) - points[:, list(ends[0])].mean(1)
    turn = np.arctan2(axis[:, 0], -axis[:, 1])
    c, s = np.cos(turn), np.sin(turn)
    x, y = points[..., 0], points[..., 1]
    return np.stack([c[:, None] * x + s[:, None] * y, c[:, None] * y - s[:, None] * x], -1).reshape(len(poses), -1)


def _ends(joints: JointSet) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Positions of the points at the lower and the upper end of the trunk, or of the palm."""
    for low, high in (
        (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")),
        (("wrist",), ("middle1",)),
    ):
        if {*low, *high} <= set(joints.joints):
            return tuple(map(joints.index, low)), tuple(map(joints.index, high))
    return None
