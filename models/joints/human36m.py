"""The 17 joints of Human3.6M that 3D pose estimation uses."""

from __future__ import annotations

from .base import JointSet, bones, both_sides, left_right_pairs

_H36M17 = (
    *("root", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("spine", "thorax", "neck_nose", "head_top"),
    *("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
)
_CHAINS = (
    "root spine thorax neck_nose head_top",
    *both_sides(("root left_hip left_knee left_ankle", "thorax left_shoulder left_elbow left_wrist")),
)

H36M17 = JointSet(
    "h36m17",
    _H36M17,
    left_right_pairs(_H36M17),
    None,
    bones(_H36M17, _CHAINS),
    "Human3.6M: the 17 mocap joints that 3D pose estimation uses",
)
"""Human3.6M (Ionescu et al. 2014) in the order of Martinez et al. 2017: right leg before left, left arm before right.

Its "foot" is the ankle; ``thorax`` lies between the shoulders; ``neck_nose`` is what it calls "Neck/Nose".
"""
