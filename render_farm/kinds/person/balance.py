"""People who stand on their feet: soles flat, both feet bearing, the centre of mass above them; and how the others lie."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.blocks import pose_joints
from ....models.bodies.skinning import SkinnedMesh
from ....models.turns import about, quaternions_to_matrices
from ...poses.angles import COLUMN, angles_to_rotations
from ...poses.resting import turn_about
from .activities import HIGH, LOW, Activity

Floats = NDArray[np.float64]
# Mass of the segment that starts at each SMPL joint, share of an adult (Winter 2009, Biomechanics, table 4.1; the trunk's
# 0.497 shared among its joints).
MASS = np.array(
    [0.142, 0.100, 0.100, 0.139, 0.0465, 0.0465, 0.108, 0.0145, 0.0145, 0.108, 0.0, 0.0, 0.02, 0.0, 0.0, 0.061, 0.028,
     0.028, 0.016, 0.016, 0.006, 0.006, 0.0, 0.0]
)  # fmt: skip
_X, _Y, _Z = np.eye(3)


def balanced(
    mesh: SkinnedMesh, tables: list[Activity], angles: Floats, pitch: Floats, columns: torch.Tensor
) -> tuple[Floats, Floats]:
    """Angles and pitch with soles turned flat, and with the centre of mass over the feet of who stands on them.

    The lean is the angle at the feet by which the centre of mass is ahead of them; three rounds, since soles follow.
    """
    soles = np.array([table.soles for table in tables])
    stands = np.array([table.support == "feet" for table in tables])
    for _ in range(3):
        for side in ("l_", "r_"):
            hip, knee, ankle = (COLUMN[side + name] for name in ("hip_flex", "knee", "ankle"))
            wanted = np.clip(pitch - angles[:, hip] + angles[:, knee], LOW[ankle], HIGH[ankle])
            angles[soles, ankle] = wanted[soles]
        turns = angles_to_rotations(angles)
        turns[:, 0] = quaternions_to_matrices(about(0, pitch))
        joints = pose_joints(mesh, columns, turns).joints.astype(np.float64)
        centre = np.einsum("j,bjk->bk", MASS, _segments(joints)) / MASS.sum()
        feet = 0.5 * (joints[:, [7, 8]] + joints[:, [10, 11]])
        low = np.minimum(feet[:, 0, 1], feet[:, 1, 1])
        carries = np.exp(-np.abs(feet[..., 1] - low[:, None]) / 0.05)  # the lower foot carries more
        base = (carries[..., None] * feet).sum(1) / carries.sum(1)[:, None]
        lean = np.degrees(np.arctan2(centre[:, 2] - base[:, 2], centre[:, 1] - low))
        pitch = pitch - np.where(stands, np.clip(lean, -25, 25), 0.0)
        _shorten(angles, stands & soles, joints)
    for side in ("l_", "r_"):
        hip, knee, abduction = (COLUMN[side + name] for name in ("hip_flex", "knee", "hip_abd"))
        flat = np.array([table.heels for table in tables]) & (angles[:, abduction] < 30)
        angles[flat, hip] = np.clip(93 + angles[flat, knee] / 2 + pitch[flat], LOW[hip], HIGH[hip])
    return angles, pitch


def _segments(joints: Floats) -> Floats:
    """Centres (B, 24, 3) of the segments that start at each joint: half way to the next joint outwards."""
    ends = {
        1: 4,
        2: 5,
        4: 7,
        5: 8,
        7: 10,
        8: 11,
        16: 18,
        17: 19,
        18: 20,
        19: 21,
        20: 22,
        21: 23,
        0: 3,
        3: 6,
        6: 9,
        9: 12,
    }
    centres = joints.copy()
    for start, end in ends.items():
        centres[:, start] = 0.5 * (joints[:, start] + joints[:, end])
    centres[:, 15] = joints[:, 15] + 0.6 * (joints[:, 15] - joints[:, 12])
    return centres


def _shorten(angles: Floats, stands: NDArray[np.bool_], joints: Floats) -> None:
    """Bend the leg that reaches lower, in place, so that both feet bear: a leg of length L bent by a, 2a at the knee, is
    L (1 - cos a) shorter. Legs that are lifted by more than a sixth of their length stay so."""
    gap = joints[:, 7, 1] - joints[:, 8, 1]  # above 0: the right foot is lower
    length = np.linalg.norm(joints[:, [4, 5]] - joints[:, [1, 2]], axis=2) + np.linalg.norm(
        joints[:, [7, 8]] - joints[:, [4, 5]], axis=2
    )
    for side, low in (("l_", gap < 0), ("r_", gap > 0)):
        row = stands & low & (np.abs(gap) < length.mean(1) / 6)
        bend = np.degrees(np.arccos(1 - np.abs(gap) / length.mean(1)))[row]
        hip, knee = COLUMN[side + "hip_flex"], COLUMN[side + "knee"]
        angles[row, hip] = np.minimum(angles[row, hip] + 0.6 * bend, HIGH[hip])
        angles[row, knee] = np.minimum(angles[row, knee] + 1.2 * bend, HIGH[knee])


def lie(activity: Activity, pitch: float, tilt: float, left: bool) -> Floats:
    """Rotation (3, 3) body to world before the body settles, facing +Z or lying along it."""
    lean = turn_about(_Z, np.radians(tilt))
    if activity.rolled:
        side = turn_about(_Y, np.radians(90.0 if left else -90.0))
        return np.asarray(lean @ turn_about(_X, np.radians(-90.0)) @ side)
    return np.asarray(lean @ turn_about(_X, np.radians(pitch)))
