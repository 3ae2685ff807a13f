"""Joints of the SMPL family in the order of their model files, and their kinematic trees."""

from __future__ import annotations

from .base import JointSet, bones, both_sides, left_right_pairs, sided
from .coco import FEET6
from .face import FACE68, face_bones, face_pairs
from .hands import HAND15, MANO16, MANO21, TIPS5, hand_parents

_BODY22 = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
_BODY22_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)

_SMPL24 = (*_BODY22, "left_hand", "right_hand")
_SMPLH52 = (*_BODY22, *sided(HAND15))
_SMPLX55 = (*_BODY22, "jaw", "left_eyeball", "right_eyeball", *sided(HAND15))

PARENTS: dict[str, tuple[int, ...]] = {
    "smpl24": (*_BODY22_PARENTS, 20, 21),
    "smplh52": (*_BODY22_PARENTS, *hand_parents(20, 22), *hand_parents(21, 37)),
    "smplx55": (*_BODY22_PARENTS, 15, 15, 15, *hand_parents(20, 25), *hand_parents(21, 40)),
    "mano16": (-1, *hand_parents(0, 1)),
}
"""Parent of each joint by joint set, -1 at the root (Loper et al. 2015; Romero et al. 2017; Pavlakos et al. 2019)."""


def _tree(name: str) -> tuple[tuple[int, int], ...]:
    return tuple((parent, child) for child, parent in enumerate(PARENTS[name]) if parent >= 0)


def _set(name: str, joints: tuple[str, ...], about: str) -> JointSet:
    return JointSet(name, joints, left_right_pairs(joints), None, _tree(name), about)


# What the smplx package appends to the 55 joints: surface points of the head, the feet and the fingertips, then the face
# without its jaw line.
_HEAD5 = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
_SMPLX127 = (*_SMPLX55, *_HEAD5, *FEET6, *sided(TIPS5), *FACE68[17:])
_SURFACE = (
    "left_eye nose right_eye",
    *both_sides(
        (
            *("left_eye left_ear", "left_foot left_big_toe", "left_foot left_small_toe", "left_ankle left_heel"),
            *(f"left_{tip.removesuffix('_tip')}3 left_{tip}" for tip in TIPS5),
        )
    ),
)

SMPLX127 = JointSet(
    "smplx127",
    _SMPLX127,
    (*left_right_pairs(_SMPLX127), *face_pairs(_SMPLX127)),
    None,
    (*_tree("smplx55"), *bones(_SMPLX127, _SURFACE), *face_bones(_SMPLX127)),
    "SMPL-X with the surface points that the smplx package appends: head, toes, heels, fingertips, face17–67",
)
"""smplx's output without the moving jaw line: 0–54 joints, 55–75 surface points, 76–126 ``face17`` … ``face67``."""

SMPL_SETS: dict[str, JointSet] = {
    "smpl24": _set("smpl24", _SMPL24, "SMPL and SMIL: 24 joints, the hands as one each"),
    "smplh52": _set("smplh52", _SMPLH52, "SMPL-H: 22 joints of the body, 15 of each hand"),
    "smplx55": _set("smplx55", _SMPLX55, "SMPL-X: 22 joints of the body, jaw, eyeballs, 15 of each hand"),
    "smplx127": SMPLX127,
    "mano16": MANO16,
    "mano21": MANO21,
}
"""The sets of the SMPL family by name."""
