"""Joint sets of the COCO data sets: 17 body keypoints, and the 133 of COCO-WholeBody."""

from __future__ import annotations

from .base import JointSet, bones, both_sides, left_right_pairs, sided
from .face import FACE68, face_bones, face_pairs
from .hands import HAND20, finger_chains

_COCO17 = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
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

COCO17 = JointSet(
    "coco17",
    _COCO17,
    left_right_pairs(_COCO17),
    _COCO17_SIGMAS,
    _COCO17_SKELETON,
    "COCO: the 17 keypoints of its person annotations",
)
"""The 17 keypoints of COCO's person annotations."""

FEET6 = sided(("big_toe", "small_toe", "heel"))
"""Foot keypoints in the order of COCO-WholeBody and OpenPose."""

_HAND21 = ("hand_root", *HAND20)
_COCO133 = (*_COCO17, *FEET6, *FACE68, *sided(_HAND21))

# Sigmas of COCO-WholeBody's own evaluation (Jin et al. 2020; the same in xtcocotools' demo and in MMPose).
_FOOT_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
_FACE_SIGMAS = (
    *(0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020),
    *(0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041, 0.045),
    *(0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015),
    *(0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010),
    *(0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034),
    *(0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007),
    *(0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008),
)
_HAND_SIGMAS = (
    *(0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035),
    *(0.018, 0.024, 0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.020, 0.019, 0.022, 0.031),
)

_LIMB_ENDS = both_sides(
    (
        *("left_ankle left_big_toe", "left_ankle left_small_toe", "left_ankle left_heel", "left_wrist left_hand_root"),
        *finger_chains("left_hand_root", "left_"),
    )
)

COCO_WHOLEBODY133 = JointSet(
    "coco_wholebody133",
    _COCO133,
    (*left_right_pairs(_COCO133), *face_pairs(_COCO133)),
    (*_COCO17_SIGMAS, *_FOOT_SIGMAS, *_FACE_SIGMAS, *_HAND_SIGMAS, *_HAND_SIGMAS),
    (*_COCO17_SKELETON, *bones(_COCO133, _LIMB_ENDS), *face_bones(_COCO133)),
    "COCO-WholeBody: COCO's 17, 6 of the feet, 68 of the face, 21 of each hand",
)
"""COCO-WholeBody's 133 keypoints: body 0–16, feet 17–22, face 23–90, left hand 91–111, right hand 112–132."""
