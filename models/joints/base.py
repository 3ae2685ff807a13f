"""Joint sets: names, mirror pairs, OKS sigmas and the skeleton that pictures draw.

Everything is indexed by position, so that order is part of a set's meaning. Left and right are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...config import UserError, nearest


@dataclass(frozen=True)
class JointSet:
    """An ordered set of joints.

    Attributes:
        name: key in :data:`JOINT_SETS`.
        joints: names by index.
        flip_pairs: (left, right) index pairs that a mirror image exchanges; joints in no pair lie on the midline.
        sigmas: per-joint standard deviations of annotation, as a fraction of object scale (OKS), or None.
        skeleton: (from, to) index pairs to draw.
    """

    name: str
    joints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...] | None
    skeleton: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """Number of joints."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint by name.

        Raises:
            UserError: if the set has no such joint; names the nearest.
        """
        if joint not in self.joints:
            raise UserError(f"joint set '{self.name}' has no joint '{joint}': {nearest(joint, self.joints)}")
        return self.joints.index(joint)

    def flip_permutation(self) -> np.ndarray:
        """Indices (J,) int64 such that ``keypoints[perm]`` swaps left and right; its own inverse."""
        permutation = np.arange(self.count)
        for left, right in self.flip_pairs:
            permutation[left], permutation[right] = right, left
        return permutation


def _pairs(joints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """(left, right) pairs of joints named ``left_*`` and ``right_*``."""
    return tuple(
        (i, joints.index("right_" + name.removeprefix("left_")))
        for i, name in enumerate(joints)
        if name.startswith("left_")
    )


_COCO17 = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

# Sigmas of the COCO keypoint task (pycocotools.cocoeval.Params.kpt_oks_sigmas).
_COCO17_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035),
    *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
    *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)

# COCO's person skeleton, counted from zero.
_COCO17_SKELETON = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10)),
    *((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)

_SMPL24 = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)

SMPL24_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
"""Parent of each SMPL joint (Loper et al. 2015); -1 at the root."""

JOINT_SETS: dict[str, JointSet] = {
    "coco17": JointSet("coco17", _COCO17, _pairs(_COCO17), _COCO17_SIGMAS, _COCO17_SKELETON),
    "smpl24": JointSet(
        "smpl24",
        _SMPL24,
        _pairs(_SMPL24),
        None,
        tuple((parent, child) for child, parent in enumerate(SMPL24_PARENTS) if parent >= 0),
    ),
}


def joint_set(name: str) -> JointSet:
    """Look a joint set up by name.

    Raises:
        UserError: for an unknown name; names the nearest.
    """
    if name not in JOINT_SETS:
        raise UserError(f"unknown joint set '{name}': {nearest(name, JOINT_SETS)}")
    return JOINT_SETS[name]
