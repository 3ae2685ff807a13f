"""The keypoints of one person in one picture, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...config import UserError
from ...models.joints import joint_set

_SPREAD = 2.0
"""Pixels; two or more keypoints that lie closer together than this say nothing about a pose."""


@dataclass(frozen=True, eq=False)
class PersonKeypoints:
    """One person's keypoints in one picture.

    Attributes:
        id: unique in its batch and fit for a file name.
        joint_set: name of the set that the rows belong to.
        keypoints: (J, 3) float64: x right, y down in picture pixels with pixel centres at integers, confidence 0 to 1.
            A confidence of 0 means: not seen; x and y are then without meaning, but finite.
        width, height: the picture's size in pixels.
        image: the picture, where there is one.
        bbox: (4,) float64 x, y, width, height in pixels, where the file has one.
        source: the file that the keypoints came from.

    Raises:
        UserError: for another number of keypoints than the set has, numbers that are not finite, confidences beyond
            0 … 1 or all 0, keypoints in one spot, a size or a box without extent. Names the person.
    """

    id: str
    joint_set: str
    keypoints: np.ndarray
    width: int
    height: int
    image: Path | None = None
    bbox: np.ndarray | None = None
    source: str = ""

    def __post_init__(self) -> None:
        names = joint_set(self.joint_set).joints
        points = np.asarray(self.keypoints, np.float64)
        if points.shape != (len(names), 3):
            shape = "×".join(map(str, points.shape))
            raise self._bad(
                f"keypoints are {shape} numbers, '{self.joint_set}' needs {len(names)}×3 (x, y, confidence)"
            )
        broken = [names[row] for row in np.flatnonzero(~np.isfinite(points).all(axis=1))]
        if broken:
            raise self._bad(f"keypoint '{broken[0]}' holds NaN or infinity ({len(broken)} such keypoints)")
        confidence = points[:, 2]
        beyond = np.flatnonzero((confidence < 0) | (confidence > 1))
        if len(beyond):
            raise self._bad(f"confidence of '{names[beyond[0]]}' is {confidence[beyond[0]]:g}, must be 0 to 1")
        seen = points[confidence > 0, :2]
        if not len(seen):
            raise self._bad("all confidences are zero")
        if len(seen) > 1 and np.ptp(seen, axis=0).max() < _SPREAD:
            raise self._bad(
                f"all {len(seen)} keypoints lie within {_SPREAD:g} pixels (in OpenPose, write pixels: keypoint_scale 0)"
            )
        if self.width < 1 or self.height < 1:
            raise self._bad(f"the picture's size is {self.width}×{self.height}, must be positive")
        box = None if self.bbox is None else np.asarray(self.bbox, np.float64)
        if box is not None and (box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= 0).any()):
            raise self._bad(f"'bbox' must be x, y, width, height with an extent, is {box.tolist()}")
        object.__setattr__(self, "keypoints", points)
        object.__setattr__(self, "bbox", box)

    def _bad(self, fault: str) -> UserError:
        return UserError(f"person '{self.id}': {fault}")
