"""Joints of the SMPL family in the order of their model files, and their kinematic trees."""

from __future__ import annotations

from .base import JointSet, left_right_pairs

_BODY22 = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
_BODY22_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
"""Fingers in MANO's order (Romero et al. 2017), which is that of SMPL-H and SMPL-X too."""

_HAND15 = tuple(f"{finger}{segment}" for finger in FINGERS for segment in (1, 2, 3))


def _hand_parents(wrist: int, first: int) -> tuple[int, ...]:
    """Parents of fifteen finger joints that begin at index ``first`` and hang on joint ``wrist``."""
    return tuple(wrist if segment == 0 else first + 3 * f + segment - 1 for f in range(5) for segment in range(3))


def _sided(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for side in ("left", "right") for name in names)


_NAMES = {
    "smpl24": (*_BODY22, "left_hand", "right_hand"),
    "smplh52": (*_BODY22, *_sided(_HAND15)),
    "smplx55": (*_BODY22, "jaw", "left_eyeball", "right_eyeball", *_sided(_HAND15)),
    "mano16": ("wrist", *_HAND15),
}

PARENTS: dict[str, tuple[int, ...]] = {
    "smpl24": (*_BODY22_PARENTS, 20, 21),
    "smplh52": (*_BODY22_PARENTS, *_hand_parents(20, 22), *_hand_parents(21, 37)),
    "smplx55": (*_BODY22_PARENTS, 15, 15, 15, *_hand_parents(20, 25), *_hand_parents(21, 40)),
    "mano16": (-1, *_hand_parents(0, 1)),
}
"""Parent of each joint by joint set, -1 at the root (Loper et al. 2015; Romero et al. 2017; Pavlakos et al. 2019)."""


def _set(name: str) -> JointSet:
    names, parents = _NAMES[name], PARENTS[name]
    bones = tuple((parent, child) for child, parent in enumerate(parents) if parent >= 0)
    return JointSet(name, names, left_right_pairs(names), None, bones)


SMPL_SETS = {name: _set(name) for name in _NAMES}
"""``smpl24`` (SMPL, SMIL), ``smplh52``, ``smplx55``, and ``mano16`` (one hand, either side)."""
