"""Joints of one hand, either side: MANO's order and FreiHAND's.

The names carry no side. A mirror image exchanges no points, it turns a left hand into a right one; whoever flips a hand
must turn its side, too.
"""

from __future__ import annotations

from .base import JointSet, bones

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
"""Fingers in MANO's order (Romero et al. 2017), which is that of SMPL-H and SMPL-X too."""

HAND15 = tuple(f"{finger}{segment}" for finger in FINGERS for segment in (1, 2, 3))
"""Finger joints in MANO's order. 1 is the knuckle (the thumb's: its base at the wrist), 3 the joint nearest to the tip."""

TIPS5 = tuple(f"{finger}_tip" for finger in ("thumb", "index", "middle", "ring", "pinky"))
"""Fingertips in the order in which the smplx package appends them."""

HAND20 = tuple(
    name
    for finger in ("thumb", "index", "middle", "ring", "pinky")
    for name in (f"{finger}1", f"{finger}2", f"{finger}3", f"{finger}_tip")
)
"""Finger by finger to its tip: the order of FreiHAND, of COCO-WholeBody and of OpenPose's hands, after the wrist."""


def hand_parents(wrist: int, first: int) -> tuple[int, ...]:
    """Parents of fifteen finger joints that begin at index ``first`` and hang on joint ``wrist``."""
    return tuple(wrist if segment == 0 else first + 3 * f + segment - 1 for f in range(5) for segment in range(3))


def finger_chains(root: str, side: str = "", tips: bool = True) -> tuple[str, ...]:
    """Drawing chains from ``root`` along each finger, whose joints' names begin with ``side``."""
    ends = ("1", "2", "3", "_tip") if tips else ("1", "2", "3")
    return tuple(" ".join([root, *(f"{side}{finger}{end}" for end in ends)]) for finger in FINGERS)


def _hand(name: str, joints: tuple[str, ...], about: str) -> JointSet:
    chains = finger_chains("wrist", tips="thumb_tip" in joints)
    return JointSet(name, joints, (), None, bones(joints, chains), about, one_hand=True)


MANO16 = _hand("mano16", ("wrist", *HAND15), "MANO: the wrist and 15 finger joints of one hand")
"""The joints of a MANO file; their tree is ``PARENTS["mano16"]``."""

MANO21 = _hand("mano21", ("wrist", *HAND15, *TIPS5), "MANO with fingertips, in the order of the smplx package")
"""The joints of MANO and the five tips that smplx appends."""

FREIHAND21 = _hand("freihand21", ("wrist", *HAND20), "FreiHAND: wrist, then finger by finger to its tip")
"""The order of FreiHAND (Zimmermann et al. 2019) and of most hand data sets."""
