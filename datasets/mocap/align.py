"""Bring a skeleton's rest pose into correspondence with SMPL's T-pose, joint by joint.

For every joint j of the body, ``A_j`` takes directions of the body at rest to those of the skeleton at rest; then
G_body(t) = G_skeleton(t) @ A_j. The torso is matched by a frame of hips and spine, limbs by the shortest turn of their
bones down the chain, and the twist of thighs and upper arms by the axis about which the motion bends knees and elbows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ...config import UserError
from .names import JointMap
from .rotations import angle_between, rotvec_to_matrix, shortest_rotation, unit
from .skeleton import Motion, Skeleton
from .target import Target
from .text import Place

SNAP = np.radians(20)
"""A torso frame this near to the axes is taken to be drawn along them."""

HINGES = {
    # upper joint: (middle, lower, axis of flexion of the body at rest)
    "left_hip": ("left_knee", "left_ankle", (1.0, 0.0, 0.0)),
    "right_hip": ("right_knee", "right_ankle", (1.0, 0.0, 0.0)),
    "left_shoulder": ("left_elbow", "left_wrist", (0.0, -1.0, 0.0)),
    "right_shoulder": ("right_elbow", "right_wrist", (0.0, 1.0, 0.0)),
}

HINGE_LIMIT = {"hip": np.radians(35), "shoulder": np.radians(75)}
"""Largest twist that the bending axis may ask for: more is a sign that the motion does not show the axis."""


@dataclass(frozen=True)
class Alignment:
    """Rest-pose alignment.

    Attributes:
        torso: (3, 3), body's rest directions to the skeleton's.
        joints: (3, 3) by SMPL joint name, limbs and fingers.
        hinge_twist: twist in degrees taken from the bending axis, by upper joint.
        rest: "zero" or "first", the pose of the skeleton that serves as rest.
    """

    torso: np.ndarray
    joints: dict[str, np.ndarray]
    hinge_twist: dict[str, float]
    rest: str


def choose_rest(motion: Motion, joints: JointMap, rest: str) -> tuple[Motion, str]:
    """The motion over the rest pose to use: that of the file ("zero"), of the first frame ("first"), or "auto".

    Auto keeps the file's where the legs hang below the torso, else takes the first frame if they do there.

    Raises:
        UserError: for another word.
    """
    if rest not in ("auto", "zero", "first"):
        raise UserError(f"rest is '{rest}'; known: auto, zero, first")
    first = motion.rest_at(0)
    if rest == "auto":
        rest = "first" if not _stands(motion.skeleton, joints) and _stands(first.skeleton, joints) else "zero"
    return (first if rest == "first" else motion), rest


def check_bones(skeleton: Skeleton, joints: JointMap, source: str) -> None:
    """Refuse bones of length zero where a length is needed.

    Raises:
        UserError: with file and line of the joint at the bone's end.
    """
    rest, place = skeleton.rest(), Place(source)
    pairs = [("left_hip", "right_hip")]
    for side in ("left", "right"):
        for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            names = [f"{side}_{name}" for name in chain]
            pairs += itertools.pairwise(names)
    size = np.ptp(rest, axis=0).max()
    for upper, lower in pairs:
        first, second = joints.joints[upper], joints.joints[lower]
        if np.linalg.norm(rest[first] - rest[second]) <= 1e-4 * size:
            line = skeleton.lines[second] if skeleton.lines else None
            both = f"'{skeleton.names[first]}' and '{skeleton.names[second]}'"
            raise place.error(line, f"{both} ({upper}, {lower}) lie in one place: the bone needs a length")


def align(motion: Motion, joints: JointMap, target: Target, rest: str) -> Alignment:
    """Alignment of a motion's rest pose with the body's."""
    points = motion.skeleton.rest()
    torso = torso_frame(points, joints)  # the body at rest has left, up and forward along x, y and z
    found: dict[str, np.ndarray] = {}
    for side in ("left", "right"):
        for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            names = [f"{side}_{name}" for name in chain]
            above = torso
            for upper, lower in itertools.pairwise(names):
                above = _carried(above, points, joints, target, upper, lower)
                found[upper] = above
        found[f"{side}_wrist"] = _hand(motion.skeleton, joints, target, side, found[f"{side}_elbow"])
        found[f"{side}_ankle"] = found[f"{side}_foot"] = _foot(
            motion.skeleton, joints, target, side, found[f"{side}_knee"]
        )
        _fingers(points, joints, target, side, found)
    twists = _hinges(motion, joints, found)
    return Alignment(torso, found, twists, rest)


def torso_frame(points: np.ndarray, joints: JointMap) -> np.ndarray:
    """Columns left, up and forward (3, 3) of a pose (J, 3): across the hips, and from them up the spine."""
    index = joints.joints
    left = points[index["left_hip"]] - points[index["right_hip"]]
    top = joints.neck[0] if joints.neck else index["head"]
    up = points[top] - (points[index["left_hip"]] + points[index["right_hip"]]) / 2
    left, up = (_snapped(unit(v)) for v in (left, up))
    forward = unit(np.cross(left, up))
    return np.stack([np.cross(up, forward), up, forward], 1)


def _snapped(direction: np.ndarray) -> np.ndarray:
    """The nearest signed axis if it is near, else the direction itself."""
    axis = np.zeros(3)
    largest = int(np.abs(direction).argmax())
    axis[largest] = np.sign(direction[largest])
    return axis if angle_between(direction, axis) < SNAP else direction


def _stands(skeleton: Skeleton, joints: JointMap) -> bool:
    """Whether both legs hang below the torso by less than 60 degrees."""
    points, index = skeleton.rest(), joints.joints
    frame = torso_frame(points, joints)
    legs = [points[index[f"{side}_ankle"]] - points[index[f"{side}_hip"]] for side in ("left", "right")]
    return all(angle_between(leg, -frame[:, 1]) < np.radians(60) for leg in legs)


def _carried(
    above: np.ndarray, points: np.ndarray, joints: JointMap, target: Target, upper: str, lower: str
) -> np.ndarray:
    """The alignment of the joint above, turned the shortest way such that one bone matches."""
    bone = target.rest[target.index(lower)] - target.rest[target.index(upper)]
    wanted = points[joints.joints[lower]] - points[joints.joints[upper]]
    return shortest_rotation(above @ bone, wanted) @ above


def _hand(skeleton: Skeleton, joints: JointMap, target: Target, side: str, above: np.ndarray) -> np.ndarray:
    """Wrist: by the bone to the middle finger, or to whatever hangs on the wrist but the thumb."""
    wrist, points = joints.joints[f"{side}_wrist"], skeleton.rest()
    end = next((name for name in (f"{side}_middle1", f"{side}_hand") if name in target.joint_set.joints), None)
    if f"{side}_middle1" in joints.joints:
        tip = points[joints.joints[f"{side}_middle1"]]
    else:
        below = [c for c in skeleton.children(wrist) if "thumb" not in skeleton.names[c].lower()]
        tip = points[below].mean(0) if below else points[wrist]
    wanted = tip - points[wrist]
    if end is None or np.linalg.norm(wanted) < 1e-6:
        return above
    bone = target.rest[target.index(end)] - target.rest[target.index(f"{side}_wrist")]
    return shortest_rotation(above @ bone, wanted) @ above


def _fingers(points: np.ndarray, joints: JointMap, target: Target, side: str, found: dict[str, np.ndarray]) -> None:
    """Fingers: down their chains from the wrist; the last joint goes as the one before."""
    for name in target.joint_set.joints:
        if not name.startswith(side) or name[-1] not in "123" or name not in joints.joints:
            continue
        parent = f"{side}_wrist" if name[-1] == "1" else f"{name[:-1]}{int(name[-1]) - 1}"
        above = found.get(parent, found[f"{side}_wrist"])
        below = f"{name[:-1]}{int(name[-1]) + 1}"
        chained = below in joints.joints and below in target.joint_set.joints
        found[name] = _carried(above, points, joints, target, name, below) if chained else above


def _foot(skeleton: Skeleton, joints: JointMap, target: Target, side: str, above: np.ndarray) -> np.ndarray:
    """Ankle: by the bone to the ball of the foot, or to whatever hangs on the ankle; soles are levelled later."""
    points, ankle = skeleton.rest(), joints.joints[f"{side}_ankle"]
    if f"{side}_foot" in joints.joints:
        tip = points[joints.joints[f"{side}_foot"]]
    else:
        below = skeleton.children(ankle)
        tip = points[below].mean(0) if below else points[ankle]
    wanted = tip - points[ankle]
    if np.linalg.norm(wanted) < 1e-6:
        return above
    bone = target.rest[target.index(f"{side}_foot")] - target.rest[target.index(f"{side}_ankle")]
    return shortest_rotation(above @ bone, wanted) @ above


def _hinges(motion: Motion, joints: JointMap, found: dict[str, np.ndarray]) -> dict[str, float]:
    """Twist thighs and upper arms (and what they carry) such that knees and elbows bend about the body's own axes."""
    rotations, positions = motion.global_pose()
    twists = {}
    for upper, (middle, lower, axis) in HINGES.items():
        a, b, c = (joints.joints[name] for name in (upper, middle, lower))
        first, second = unit(positions[:, b] - positions[:, a]), unit(positions[:, c] - positions[:, b])
        bends = (np.swapaxes(rotations[:, a], -1, -2) @ np.cross(first, second)[..., None])[..., 0]
        total, size = bends.sum(0), np.linalg.norm(bends, axis=-1)
        if size.max() < np.sin(np.radians(15)) or np.linalg.norm(total) < 0.8 * size.sum():
            continue
        bone = unit(motion.skeleton.rest()[b] - motion.skeleton.rest()[a])
        across = unit(total - bone * (bone @ total))
        now = found[upper] @ np.array(axis)
        now = unit(now - bone * (bone @ now))
        twist = float(np.arctan2(np.cross(now, across) @ bone, now @ across))
        if abs(twist) > HINGE_LIMIT[upper.split("_")[1]]:
            continue
        for name in (upper, middle):
            start, end = (a, b) if name == upper else (b, c)
            along = unit(motion.skeleton.rest()[end] - motion.skeleton.rest()[start])
            found[name] = rotvec_to_matrix(twist * along) @ found[name]
        twists[upper] = float(np.degrees(twist))
    return twists
