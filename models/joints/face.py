"""The 68 landmarks of a face in iBUG's order (300-W, Sagonas et al. 2013), named ``face0`` … ``face67``.

0–16 jaw line, 17–21 and 22–26 eyebrows, 27–30 bridge of the nose, 31–35 nostrils, 36–41 and 42–47 eyes, 48–59 outer and
60–67 inner lips. Jaw line and eyebrows run from the person's right to their left; 36–41 is the person's right eye.
"""

from __future__ import annotations

from itertools import pairwise

from .base import Pairs

FACE68 = tuple(f"face{i}" for i in range(68))

FACE_LINES = (
    *(range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36)),
    *((*range(36, 42), 36), (*range(42, 48), 42), (*range(48, 60), 48), (*range(60, 68), 60)),
)
"""Landmarks in the order in which a pen would draw them; eyes and lips close."""

# In each row the mirror image of landmark i is (sum − i).
_MIRROR_SUMS = (
    *((range(8), 16), (range(17, 22), 43), (range(31, 33), 66)),
    *((range(36, 40), 81), (range(40, 42), 87)),
    *((range(48, 51), 102), (range(58, 60), 114), (range(60, 62), 124), (range(67, 68), 132)),
)

FACE_PAIRS: Pairs = tuple((total - i, i) for row, total in _MIRROR_SUMS for i in row)
"""(left, right) landmark numbers; 8, 27–30, 33, 51, 57, 62 and 66 lie on the midline."""


def face_pairs(joints: tuple[str, ...]) -> Pairs:
    """(left, right) index pairs of the landmarks that a joint set has."""
    return tuple(
        (joints.index(FACE68[left]), joints.index(FACE68[right]))
        for left, right in FACE_PAIRS
        if FACE68[left] in joints and FACE68[right] in joints
    )


def face_bones(joints: tuple[str, ...]) -> Pairs:
    """Lines to draw between the landmarks that a joint set has."""
    steps = [step for line in FACE_LINES for step in pairwise(line)]
    named = [(FACE68[a], FACE68[b]) for a, b in steps]
    return tuple((joints.index(a), joints.index(b)) for a, b in named if a in joints and b in joints)
