"""Motion of one body: legs that reach planted feet, and from global rotations to the parameters of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ....datasets.mocap.feet import ground_height, reach, standing
from ....datasets.mocap.rotations import global_rotations, matrix_to_rotvec, rotvec_to_matrix, shortest_rotation
from ....datasets.mocap.target import Target
from ....models.geometry import axis_rotation
from ...scenes.smooth import Floats
from .steps import SIDES, Feet, ankle_height

STRETCH = 0.992
"""A standing leg is never longer than this share of thigh and shin: knees that lock snap."""
SMOOTH = 0.05
"""Standard deviation in seconds of the filter that rounds the heights that legs allow."""


@dataclass(frozen=True)
class Motion:
    """A body over T frames, world, Y up, the floor at y = 0.

    Attributes:
        name: what it does. pose: (T, J, 3) axis-angle, global orientation first. transl: (T, 3) metres.
        joints: (T, J, 3) posed joints, metres. lying: whether the body lies.
        seat: (3,) x and z of a seat's middle and the height of its top, and yaw: of the seat; None without one.
    """

    name: str
    pose: Floats
    transl: Floats
    joints: Floats
    lying: bool = False
    seat: tuple[float, float, float, float] | None = None

    def __len__(self) -> int:
        return len(self.pose)


def to_motion(
    name: str,
    rotations: Floats,
    pelvis: Floats,
    target: Target,
    lying: bool = False,
    seat: tuple[float, float, float, float] | None = None,
) -> Motion:
    """Motion of global rotations (T, J, 3, 3) with the pelvis at (T, 3) on the body that ``target`` describes."""
    local = rotations.copy()
    for joint, parent in enumerate(target.parents):
        if parent >= 0:
            local[:, joint] = np.swapaxes(rotations[:, parent], -1, -2) @ rotations[:, joint]
    joints = target.positions(rotations, pelvis)
    return Motion(name, matrix_to_rotvec(local), pelvis - target.rest[0], joints, lying, seat)


def on_feet(
    local: Floats, orientation: Floats, pelvis: Floats, feet: Feet, target: Target, fps: float
) -> tuple[Floats, Floats]:
    """Bend the legs such that both ankles lie where the feet are; the pelvis sinks where a leg would be too short.

    Args:
        local: (T, J, 3) axis-angle of all joints but the legs, joint 0 ignored.
        orientation: (T, 3, 3) of the pelvis. pelvis: (T, 3) wanted places, world.

    Returns:
        global rotations (T, J, 3, 3), and the pelvis (T, 3).
    """
    pelvis = lowered(orientation, pelvis, feet, target, fps)
    pose = local.copy()
    pose[:, 0] = matrix_to_rotvec(orientation)
    rotations = global_rotations(pose, target.parents)
    _point_knees(rotations, pelvis, feet, target)
    rotations = reach(rotations, pelvis, feet.ankle, target)
    for side in SIDES:
        rotations[:, target.index(f"{side}_ankle")] = feet.foot[side]
        rotations[:, target.index(f"{side}_foot")] = feet.toes[side]
    return rotations, pelvis


def lowered(orientation: Floats, pelvis: Floats, feet: Feet, target: Target, fps: float) -> Floats:
    """The pelvis' path with heights at which both legs reach their feet, made smooth over time."""
    leg = STRETCH * target.leg_length()
    most = pelvis[:, 1].copy()
    for side in SIDES:
        hip = orientation @ (target.rest[target.index(f"{side}_hip")] - target.rest[0])
        away = (pelvis + hip - feet.ankle[side])[:, [0, 2]]
        room = np.sqrt(np.maximum(leg**2 - (away**2).sum(1), (0.3 * leg) ** 2))
        most = np.minimum(most, feet.ankle[side][:, 1] + room - hip[:, 1])
    smooth = gaussian_filter1d(most, SMOOTH * fps, mode="nearest")
    smooth -= max(0.0, float((smooth - most).max()))
    return np.stack([pelvis[:, 0], smooth, pelvis[:, 2]], 1)


def _point_knees(rotations: Floats, pelvis: Floats, feet: Feet, target: Target) -> None:
    """Turn thighs (in place) to where knees should go: between pelvis' and feet's headings, half way down the leg."""
    positions = target.positions(rotations, pelvis)
    for side in SIDES:
        hip, knee = (target.index(f"{side}_{name}") for name in ("hip", "knee"))
        ahead = rotations[:, 0, :, 2] + feet.foot[side][:, :, 2]
        ahead[:, 1] = 0.0
        ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-6)
        way = feet.ankle[side] - positions[:, hip]
        wanted = 0.5 * way + 0.5 * target.leg_length() * ahead
        now = rotations[:, hip] @ (target.rest[knee] - target.rest[hip])
        rotations[:, hip] = shortest_rotation(now, wanted) @ rotations[:, hip]
        rotations[:, knee] = rotations[:, hip]


def retargeted(name: str, pose: Floats, pelvis: Floats, origin: Target, target: Target, fps: float) -> Motion:
    """The same motion on another shape of the body: directions kept, paths scaled, feet where they belong.

    The path of the pelvis and those of the ankles are scaled by the ratio of leg lengths about the floor and raised by the
    difference of ankle heights; legs bend to reach the ankles, and last the whole take is shifted such that the lowest
    points of the soles lie at y = 0 in the median over the frames in which a foot stands.

    Args:
        pose: (T, J, 3) axis-angle on the body of ``origin``. pelvis: (T, 3) of its pelvis, world.
    """
    rotations = global_rotations(pose, target.parents)
    scale = target.leg_length() / origin.leg_length()
    places = scale * origin.positions(rotations, pelvis)
    raised = np.array([0.0, ankle_height(target) - scale * ankle_height(origin), 0.0])
    ankles = {side: places[:, target.index(f"{side}_ankle")] + raised for side in SIDES}
    hips = target.place(["left_hip", "right_hip"]).mean(0) - target.rest[0]
    middle = places[:, [target.index("left_hip"), target.index("right_hip")]].mean(1)
    moved = middle + raised - rotations[:, 0] @ hips
    rotations = reach(rotations, moved, ankles, target)
    joints = target.positions(rotations, moved)
    soles = np.concatenate([target.sole_points(rotations, joints, side) for side in SIDES], 1)
    moved = moved - np.array([0.0, ground_height(soles, _stands(joints, target, fps)), 0.0])
    return to_motion(name, rotations, moved, target)


def _stands(joints: Floats, target: Target, fps: float) -> NDArray[np.bool_]:
    found = [
        standing(joints[:, target.index(f"{side}_ankle")], joints[:, target.index(f"{side}_foot")], fps)
        for side in SIDES
    ]
    return np.asarray(found[0] | found[1])


def placed(motion: Motion, heading: float, spot: tuple[float, float]) -> Motion:
    """A motion turned about +Y by ``heading`` (radians), the middle of its path brought to ``spot`` (x, z)."""
    turn = axis_rotation(1, np.array(heading))
    pelvis = motion.joints[:, 0]
    rest = pelvis - motion.transl
    joints = motion.joints @ turn.T
    low, high = joints[:, 0].min(0), joints[:, 0].max(0)
    shift = np.array([spot[0], 0.0, spot[1]]) - (low + high) / 2 * (1, 0, 1)
    pose = motion.pose.copy()
    pose[:, 0] = matrix_to_rotvec(turn @ rotvec_to_matrix(pose[:, 0]))
    seat = motion.seat
    if seat is not None:
        x, y, z = turn @ np.array([seat[0], seat[1], seat[2]]) + shift
        seat = (float(x), float(y), float(z), seat[3] + heading)
    moved = joints + shift
    return Motion(motion.name, pose, moved[:, 0] - rest, moved, motion.lying, seat)
