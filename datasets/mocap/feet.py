"""Feet: where they touch the ground, how flat their soles lie, legs that reach the source's ankles, and skating."""

from __future__ import annotations

import numpy as np

from .rotations import angle_between, shortest_rotation, skew, twist_angle, unit
from .target import Target

SIDES = ("left", "right")
CONTACT_HEIGHT = 0.025
"""A foot no higher than this above its low place (5th percentile of the take) is near the ground, metres."""

STILL = 0.3
"""A foot slower than this, near the ground, stands; metres a second."""

CONTACT_SPEED = 0.5
"""A toe slower than this, near the ground, is in contact and should not skate; metres a second."""

SOLE_LIMIT = np.radians(30)
"""Largest correction of a foot's slope by the frames in which it stands."""


def speeds(points: np.ndarray, fps: float, flat: bool = False) -> np.ndarray:
    """Speed (T,) of a point (T, 3), central differences, metres a second; ``flat`` leaves the height out."""
    if len(points) < 2:
        return np.zeros(len(points))
    moved = np.gradient(points, 1 / fps, axis=0)
    return np.linalg.norm(moved[:, [0, 2]] if flat else moved, axis=-1)


def near_ground(toe: np.ndarray) -> np.ndarray:
    """Frames (T,) bool in which a toe joint (T, 3) is near its low place."""
    return toe[:, 1] < np.percentile(toe[:, 1], 5) + CONTACT_HEIGHT


def in_contact(toe: np.ndarray, fps: float) -> np.ndarray:
    """Frames (T,) bool in which a toe joint (T, 3) touches the ground: near its low place, and slow."""
    return near_ground(toe) & (speeds(toe, fps) < CONTACT_SPEED)


def standing(ankle: np.ndarray, toe: np.ndarray, fps: float) -> np.ndarray:
    """Frames (T,) bool in which ankle and toe (T, 3) are both near their low places and slow: the sole lies flat."""
    slow = (speeds(ankle, fps) < STILL) & (speeds(toe, fps) < STILL)
    return near_ground(toe) & near_ground(ankle) & slow


def flatten_soles(
    rotations: np.ndarray, target: Target, stands: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, float]]:
    """Turn each foot by one constant rotation such that its sole is level, on average, while it stands.

    A foot is left as it is where the take shows fewer than five such frames, or soles that differ by more than 15
    degrees (climbing, slopes), or where the correction would exceed 30 degrees.

    Returns:
        global rotations (T, J, 3, 3), and the correction in degrees by side.
    """
    rotations, corrections = rotations.copy(), {}
    up = np.array([0.0, 1.0, 0.0])
    for side in SIDES:
        ankle, foot = target.index(f"{side}_ankle"), target.index(f"{side}_foot")
        normals = rotations[stands[side], ankle][:, 1]  # the world's Y in the foot's frame
        corrections[side] = 0.0
        if len(normals) < 5:
            continue
        middle = unit(np.median(normals, 0))
        spread, angle = np.median(angle_between(normals, middle)), angle_between(up, middle)
        if spread > np.radians(15) or angle > SOLE_LIMIT:
            continue
        turn = shortest_rotation(up, middle)
        rotations[:, [ankle, foot]] = rotations[:, [ankle, foot]] @ turn
        corrections[side] = float(np.degrees(angle))
    return rotations, corrections


def reach(rotations: np.ndarray, pelvis: np.ndarray, ankles: dict[str, np.ndarray], target: Target) -> np.ndarray:
    """Turn thighs and shins such that the ankles come to lie at ``ankles`` (T, 3), or as near as the legs are long.

    The knee keeps the plane it bends in; feet keep their directions. Two bones, in closed form, all frames at once.
    """
    rotations = rotations.copy()
    positions = target.positions(rotations, pelvis)
    for side in SIDES:
        hip, knee, ankle = (target.index(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        thigh, shin = (np.linalg.norm(target.rest[b] - target.rest[a]) for a, b in ((hip, knee), (knee, ankle)))
        way = ankles[side] - positions[:, hip]
        distance = np.clip(np.linalg.norm(way, axis=-1), abs(thigh - shin) + 1e-4, (thigh + shin) * 0.9995)
        toward = unit(way)
        # Where the knee goes: across the way, to where it is now; ahead of the thigh where the leg is nearly straight.
        bend = positions[:, knee] - positions[:, hip] + 0.25 * thigh * rotations[:, hip, :, 2]
        across = unit(bend - toward * (bend * toward).sum(-1, keepdims=True))
        cosine = np.clip((thigh**2 + distance**2 - shin**2) / (2 * thigh * distance), -1, 1)[:, None]
        new_thigh = cosine * toward + np.sqrt(1 - cosine**2) * across
        new_shin = unit(toward * distance[:, None] - new_thigh * thigh)
        for joint, end, wanted in ((hip, knee, new_thigh), (knee, ankle, new_shin)):
            now = rotations[:, joint] @ (target.rest[end] - target.rest[joint])
            rotations[:, joint] = shortest_rotation(now, wanted) @ rotations[:, joint]
    return rotations


def ground_height(soles: np.ndarray, stands: np.ndarray) -> float:
    """Height of the ground: the median of the lowest sole point (T, n, 3) while a foot stands (T,).

    Without a standing frame, the 5th percentile over the take.
    """
    lowest = soles[..., 1].min(-1)
    return float(np.median(lowest[stands]) if stands.any() else np.percentile(lowest, 5))


def skate(toe: np.ndarray, contact: np.ndarray, fps: float) -> float | None:
    """Mean horizontal speed in mm/s of a toe joint (T, 3) over the frames of contact (T,), None without any."""
    return float(1000 * speeds(toe, fps, flat=True)[contact].mean()) if contact.any() else None


def share_twist(rotations: np.ndarray, target: Target, share: float = 0.5) -> np.ndarray:
    """Let forearms take a share of the hands' twist about the forearm, as skin does; positions stay where they are."""
    rotations = rotations.copy()
    for side in SIDES:
        elbow, wrist = target.index(f"{side}_elbow"), target.index(f"{side}_wrist")
        bone = unit(target.rest[wrist] - target.rest[elbow])
        local = np.swapaxes(rotations[:, elbow], -1, -2) @ rotations[:, wrist]
        angle = share * np.unwrap(twist_angle(local, bone))
        cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        k = skew(bone)
        rotations[:, elbow] = rotations[:, elbow] @ (np.eye(3) + sine * k + (1 - cosine) * (k @ k))
    return rotations
