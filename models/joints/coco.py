"""Joint sets of the COCO data sets."""

from __future__ import annotations

from .base import JointSet, left_right_pairs

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

COCO17 = JointSet("coco17", _COCO17, left_right_pairs(_COCO17), _COCO17_SIGMAS, _COCO17_SKELETON)
"""The 17 keypoints of COCO's person annotations."""
