"""Another data set to compare with: a folder of frames, or a COCO annotation file without its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...config import UserError
from ...datasets.coco import coco_labels
from ...datasets.shards import FramesFolder
from ...models.joints import JointSet
from .compare import Distance, compare_angles, compare_numbers, compare_poses, compare_shares
from .features import Measured, upright
from .measure import Audit, Pictures, measure
from .pictures import TONES, tone_shares

NUMBERS = {
    "persons a frame": "persons",
    "box height / picture height": "box_height",
    "box width / picture width": "box_width",
    "√ box area, pixels": "box_pixels",
    "log₂ (box width / height)": "aspect",
    "area / box area": "fill",
    "box centre x": "centre_x",
    "box centre y": "centre_y",
    "share of keypoints visible": "visible",
    "share of keypoints occluded": "occluded",
    "difficulty": "difficulty",
}
"""Numbers that are compared, by what the report calls them."""


@dataclass
class Other:
    """The data set compared with: its name, its measured persons, and its pictures if there are any."""

    name: str
    measured: Measured
    pictures: Pictures | None


def read_other(path: Path | str, joints: JointSet, frames: int = 1000) -> Other:
    """Measure a folder of frames, or a ``.json`` file of COCO annotations.

    Raises:
        UserError: if it is neither, or does not label the joint set.
    """
    name = str(path).rstrip("/").rpartition("/")[2]
    if name.lower().endswith(".json"):
        measured = Measured()
        for position, frame in enumerate(coco_labels(path, joints.name)[1]):
            measured.add(frame, joints, position)
        other = Other(name, measured, None)
    else:
        audit = measure(FramesFolder.open(path), joints.name, frames)
        other = Other(name, audit.measured, audit.pictures)
    if not other.measured.persons:
        raise UserError(f"{path} has no person with labelled keypoints: nothing to compare with")
    return other


def distances(audit: Audit, other: Other) -> list[Distance]:
    """All distances that the labels (and, with pictures on both sides, the pictures) allow."""
    ours, real = audit.measured, other.measured
    found: list[Distance | None] = []
    for title, name in NUMBERS.items():
        if name == "persons":
            pair = [_populated(np.asarray(each.frames["persons"], np.float64)) for each in (ours, real)]
        else:
            pair = [ours.person(name), real.person(name)]
        found.append(compare_numbers(title, *pair))
    found.append(
        compare_shares("cut by the picture's border", ours.person("truncated"), real.person("truncated"), (0, 1), 1)
    )
    found.append(compare_angles("turned in the picture (upright)", ours.person("tilt"), real.person("tilt")))
    poses = [np.stack(each.poses) if each.poses else np.zeros((0, 1)) for each in (ours, real)]
    found.append(compare_poses("2D poses", *poses))
    found.append(compare_poses("2D poses, turned upright", *(upright(p, audit.joints) if len(p) else p for p in poses)))
    if audit.pictures is not None and other.pictures is not None:
        for name, values in audit.pictures.columns.items():
            found.append(compare_numbers(name, values, other.pictures.columns[name]))
        angles = [pictures.skin[np.isfinite(pictures.skin)] for pictures in (audit.pictures, other.pictures)]
        found.append(compare_numbers("skin tone (ITA, degrees)", *angles))
    return [each for each in found if each is not None]


def keypoint_distances(audit: Audit, other: Other) -> list[Distance]:
    """Distance of the shares visible, occluded and absent of each keypoint, largest first."""
    ours, real = np.stack(audit.measured.v), np.stack(other.measured.v)
    found = [
        compare_shares(name.replace("_", " "), ours[:, k], real[:, k], (0, 1, 2), 2)
        for k, name in enumerate(audit.joints.joints)
    ]
    return sorted((each for each in found if each is not None), key=lambda each: -each.value)


def describe_tones(angles: np.ndarray) -> str:
    """Shares of skin classes in words."""
    return ", ".join(f"{name} {share:.0%}" for (name, _), share in zip(TONES, tone_shares(angles), strict=True))


def _populated(persons: np.ndarray) -> np.ndarray:
    return persons[persons > 0]
