"""Joint sets in OpenPose's order: BODY_25, and the 19 that FiDIP's fitting reads."""

from __future__ import annotations

from .base import JointSet, bones, both_sides, left_right_pairs
from .coco import FEET6

_FIDIP19 = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("right_eye", "left_eye", "right_ear", "left_ear"),
)
_OPENPOSE25 = (*_FIDIP19, *FEET6)

_BODY = (
    "nose neck mid_hip",
    *both_sides(
        (
            "neck left_shoulder left_elbow left_wrist",
            "mid_hip left_hip left_knee left_ankle",
            "nose left_eye left_ear",
        )
    ),
)
_FEET = both_sides(("left_ankle left_big_toe left_small_toe", "left_ankle left_heel"))


def _set(name: str, joints: tuple[str, ...], chains: tuple[str, ...], about: str) -> JointSet:
    return JointSet(name, joints, left_right_pairs(joints), None, bones(joints, chains), about)


FIDIP19 = _set("fidip19", _FIDIP19, _BODY, "FiDIP's fitting input: OpenPose's BODY_25 without its feet")
"""The first 19 of BODY_25."""

OPENPOSE25 = _set("openpose25", _OPENPOSE25, (*_BODY, *_FEET), "OpenPose: its BODY_25 model")
"""OpenPose's BODY_25. ``neck`` is the middle between the shoulders, ``mid_hip`` that between the hips."""
