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


def left_right_pairs(joints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """(left, right) pairs of joints named ``left_*`` and ``right_*``."""
    return tuple(
        (i, joints.index("right_" + name.removeprefix("left_")))
        for i, name in enumerate(joints)
        if name.startswith("left_")
    )
