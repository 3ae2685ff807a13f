"""Checks of labels against each other: what must agree in every frame, counted, with the worst kept to be drawn.

A check gives a number for a person (how far off it is) and a limit; None means that the labels do not hold what it
compares. A *suspect* may be right (a body may twist), so it is shown but is no error.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation

from ...datasets.frames import Frame, Person
from ...datasets.masks import decode_mask, mask_box_area
from ...models.geometry import distort
from ...models.joints import JointSet

KEEP = 6
"""Worst persons that are kept a check."""


@dataclass(frozen=True)
class Context:
    """A person with all that a check may look at."""

    frame: Frame
    person: Person
    joints: JointSet


@dataclass(frozen=True)
class Check:
    """One check: its name, what it compares, the limit and its unit, how to measure, and whether it only raises a suspicion."""

    name: str
    about: str
    limit: float
    unit: str
    measure: Callable[[Context], float | None]
    suspect: bool = False


@dataclass
class Tally:
    """How a check went: persons (or frames) looked at and over the limit; the worst as (value, position, person)."""

    name: str
    about: str
    limit: float
    unit: str
    suspect: bool = False
    checked: int = 0
    failed: int = 0
    largest: float = 0.0
    worst: list[tuple[float, int, int]] = field(default_factory=list)

    def add(self, value: float | None, position: int, number: int) -> None:
        """Count a value; NaN is over any limit."""
        if value is None:
            return
        value = float("inf") if np.isnan(value) else float(value)
        self.checked += 1
        self.largest = max(self.largest, value)
        if value > self.limit:
            self.failed += 1
            item = (value, -position, -number)  # of equals the first stay
            (heapq.heappush if len(self.worst) < KEEP else heapq.heappushpop)(self.worst, item)

    @property
    def verdict(self) -> str:
        """``not applicable``, ``pass``, ``suspects`` or ``FAIL``."""
        if not self.checked:
            return "not applicable"
        return "pass" if not self.failed else "suspects" if self.suspect else "FAIL"

    def examples(self) -> list[tuple[float, int, int]]:
        """The worst as (value, position of the frame, number of the person), worst first."""
        return [(value, -position, -number) for value, position, number in sorted(self.worst, reverse=True)]


def visibility_values(one: Context) -> float:
    """How many keypoints have a v other than 0, 1 and 2, or coordinates that are not finite."""
    points = one.person.keypoints
    return float((~np.isin(points[:, 2], (0, 1, 2)) | ~np.isfinite(points[:, :2]).all(1)).sum())


def inside_picture(one: Context) -> float | None:
    """How far labelled keypoints lie outside of the picture, pixels."""
    points = one.person.keypoints[one.person.keypoints[:, 2] > 0, :2]
    if not len(points):
        return None
    limit = np.array([one.frame.width, one.frame.height]) - 0.5
    return float(np.maximum(-0.5 - points, points - limit).max())


def box_of_mask(one: Context) -> float | None:
    """Largest difference of the box from the mask's extent, and of the area from its pixels."""
    if one.person.mask is None:
        return None
    box, area = mask_box_area(one.person.mask, one.frame.height, one.frame.width)
    return max(float(np.abs(box - one.person.bbox).max()), abs(area - one.person.area))


def in_silhouette(one: Context) -> float | None:
    """How far the farthest visible keypoint lies from the silhouette, pixels."""
    points = one.person.keypoints[one.person.keypoints[:, 2] == 2, :2]
    if one.person.mask is None or not len(points):
        return None
    mask = decode_mask(one.person.mask, one.frame.height, one.frame.width)
    x, y = np.rint(points).astype(int).clip(0, [one.frame.width - 1, one.frame.height - 1]).T
    outside = ~mask[y, x]
    if not outside.any():
        return 0.0
    rows, columns = np.nonzero(mask)
    apart = np.hypot(points[outside, :1] - columns, points[outside, 1:] - rows)
    return float(apart.min(1).max())


def projection(one: Context) -> float | None:
    """How far 3D keypoints, seen through the camera, land from their labelled pixels."""
    points, K = one.person.keypoints_3d, one.frame.camera
    shown = one.person.keypoints[:, 2] > 0
    if points is None or K is None or not shown.any():
        return None
    seen = points[shown].astype(np.float64)
    rays = seen[:, :2] / seen[:, 2:]
    if one.frame.distortion is not None:
        rays = distort(rays, one.frame.distortion.astype(np.float64))
    pixels = rays @ K[:2, :2].T + K[:2, 2]
    behind = (seen[:, 2] <= 0).any()
    return float("inf") if behind else float(np.hypot(*(pixels - one.person.keypoints[shown, :2]).T).max())


def sides_of_body(one: Context) -> float | None:
    """How far the left hip lies on the body's right: cosine of the angle between right-to-left and the body's own left
    axis, turned in sign (below 0 is sound)."""
    across = _across(one, "hip")
    if across is None or one.person.pose is None:
        return None
    left = Rotation.from_rotvec(one.person.pose[:3].astype(np.float64)).as_matrix()[:, 0]
    return float(-(across @ left) / np.linalg.norm(across))


def sides_in_picture(one: Context) -> float | None:
    """How clearly shoulders and hips disagree which side is left: the smaller of their spans across the trunk, in lengths
    of the trunk, if they have opposite signs; else 0. Bodies that twist may do so."""
    names, points = one.joints.joints, one.person.keypoints
    wanted = [f"{side}_{name}" for name in ("shoulder", "hip") for side in ("left", "right")]
    if not set(wanted) <= set(names):
        return None
    four = points[[names.index(name) for name in wanted]]
    if not (four[:, 2] > 0).all():
        return None
    xy = four[:, :2].astype(np.float64)
    trunk = xy[:2].mean(0) - xy[2:].mean(0)
    length = float(trunk @ trunk)
    if length <= 0:
        return None
    spans = [float(a[0] * trunk[1] - a[1] * trunk[0]) / length for a in (xy[0] - xy[1], xy[2] - xy[3])]
    return min(abs(spans[0]), abs(spans[1])) if spans[0] * spans[1] < 0 else 0.0


def limb_symmetry(one: Context) -> float | None:
    """Largest difference of a limb's length between left and right, over their mean (upper and lower arms and legs, 3D)."""
    lengths = limb_lengths(one.person, one.joints)
    if lengths is None:
        return None
    left, right = lengths
    return float((np.abs(left - right) / ((left + right) / 2)).max())


def limb_lengths(person: Person, joints: JointSet) -> tuple[np.ndarray, np.ndarray] | None:
    """Lengths (4,) of upper arm, forearm, thigh and shank of the left and the right side, metres; None without 3D."""
    chains = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
    wanted = [(f"{{}}_{a}", f"{{}}_{b}") for chain in chains for a, b in pairwise(chain)]
    if person.keypoints_3d is None or f"left_{chains[0][0]}" not in joints.joints:
        return None
    points = person.keypoints_3d.astype(np.float64)
    sides = []
    for side in ("left", "right"):
        ends = [[joints.index(name.format(side)) for name in pair] for pair in wanted]
        sides.append(np.array([np.linalg.norm(points[a] - points[b]) for a, b in ends]))
    return sides[0], sides[1]


def _across(one: Context, name: str) -> np.ndarray | None:
    names = (f"left_{name}", f"right_{name}")
    if one.person.keypoints_3d is None or not set(names) <= set(one.joints.joints):
        return None
    left, right = (one.person.keypoints_3d[one.joints.index(each)].astype(np.float64) for each in names)
    return np.asarray(left - right)


LIMBS = 0.25
"""COCO's points are no joints: a shoulder raised as far as it goes shortens its upper arm by 23 % (the most in 404 people)."""

CHECKS = (
    Check("v", "v is 0, 1 or 2 and coordinates are finite", 0, "keypoints", visibility_values),
    Check("in picture", "labelled keypoints lie in the picture", 0.5, "px", inside_picture),
    Check("box and area", "box and area are those of the mask", 0.01, "px", box_of_mask),
    Check("silhouette", "visible keypoints lie on the person's silhouette", 2.5, "px", in_silhouette),
    Check("projection", "3D keypoints through the camera meet the 2D ones", 0.5, "px", projection),
    Check("left and right", "the left hip lies on the body's left", 0, "cos", sides_of_body),
    Check("left and right, 2D", "shoulders and hips agree on left", 0.15, "trunk", sides_in_picture, suspect=True),
    Check("limbs, left = right", "limbs of both sides are equally long", LIMBS, "share", limb_symmetry),
)
"""What is checked of every person."""
