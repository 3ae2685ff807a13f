"""What a joint set is: names, mirror pairs, OKS sigmas and the skeleton that pictures draw.

Everything is indexed by position, so that order is part of a set's meaning. Left and right are the person's own. Sets share
a name wherever they mean the same point: ``left_knee`` is the same knee in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...config import UserError, nearest

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class JointSet:
    """An ordered set of joints. Its tables are checked when it is made.

    Attributes:
        name: key in :data:`JOINT_SETS`.
        joints: names by index, none twice.
        flip_pairs: (left, right) index pairs that a mirror image exchanges; joints in no pair lie on the midline.
        sigmas: per-joint standard deviations of annotation, as a fraction of object scale (OKS), or None where none
            are published.
        skeleton: (from, to) index pairs to draw.
        about: what the set is and where it comes from, one line.
        one_hand: the points are those of one hand of either side, and the names carry no side. A mirror image then
            exchanges no points: it turns a left hand into a right one.

    Raises:
        UserError: for a name that occurs twice, an index out of range, a joint in two flip pairs (the exchange would
            not undo itself), a bone from a joint to itself, or sigmas that are not one positive number a joint.
    """

    name: str
    joints: tuple[str, ...]
    flip_pairs: Pairs
    sigmas: tuple[float, ...] | None
    skeleton: Pairs
    about: str = ""
    one_hand: bool = False

    def __post_init__(self) -> None:
        for joint in self.joints:
            if self.joints.count(joint) > 1:
                raise self._bad(f"joint '{joint}' occurs twice")
        for kind, pairs in (("flip pair", self.flip_pairs), ("bone", self.skeleton)):
            for pair in pairs:
                if not all(0 <= i < self.count for i in pair):
                    raise self._bad(f"{kind} {pair} has an index outside of 0 … {self.count - 1}")
                if pair[0] == pair[1]:
                    raise self._bad(f"{kind} {pair} joins '{self.joints[pair[0]]}' with itself")
        paired = [i for pair in self.flip_pairs for i in pair]
        for i in paired:
            if paired.count(i) > 1:
                raise self._bad(
                    f"joint '{self.joints[i]}' is in two flip pairs, so flipping twice would not undo itself"
                )
        sigmas = self.sigmas
        if sigmas is not None and (len(sigmas) != self.count or not all(math.isfinite(s) and s > 0 for s in sigmas)):
            raise self._bad(f"sigmas must be {self.count} positive numbers, one a joint")

    def _bad(self, fault: str) -> UserError:
        return UserError(f"joint set '{self.name}': {fault}")

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


def left_right_pairs(joints: tuple[str, ...]) -> Pairs:
    """(left, right) pairs of joints named ``left_*`` and ``right_*``."""
    return tuple(
        (i, joints.index("right_" + name.removeprefix("left_")))
        for i, name in enumerate(joints)
        if name.startswith("left_")
    )


def bones(joints: tuple[str, ...], chains: Iterable[str]) -> Pairs:
    """Index pairs along chains of joint names, each written as one string: ``"nose left_eye left_ear"``."""
    lines = [[joints.index(name) for name in chain.split()] for chain in chains]
    return tuple(pair for line in lines for pair in pairwise(line))


def both_sides(chains: Iterable[str]) -> tuple[str, ...]:
    """Chains of the left side, followed by the same of the right."""
    left = tuple(chains)
    return (*left, *(chain.replace("left_", "right_") for chain in left))


def sided(names: Iterable[str]) -> tuple[str, ...]:
    """Names with ``left_`` before them, then the same with ``right_``."""
    listed = tuple(names)
    return tuple(f"{side}_{name}" for side in ("left", "right") for name in listed)
