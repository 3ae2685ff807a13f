"""From Anny's reference pose (arms hanging at 45 degrees) to the T-poses of body files; Anny's axes throughout.

A rest pose is the global rotation of each bone, (bones, 3, 3), from Anny's reference pose.
"""

from __future__ import annotations

import numpy as np
import roma
import torch

Places = dict[str, np.ndarray]
"""Head (3,) of each bone in the reference pose, metres."""

_SIDES = (("L", 1.0), ("R", -1.0))

CURL_DEGREES = {
    "finger1": (18.0, 22.0, 28.0),
    **{f"finger{f}": (38.0, 48.0, 32.0) for f in (2, 3, 4, 5)},
}
"""Flexion of each finger segment (1 is the thumb) in the infant's template: the loosely closed hand of a baby at rest."""

FLAT_SPLAY = 0.6
"""Share of the reference pose's finger splay that flat hands keep."""

LEG_DEGREES = 3.0
"""How far the legs of the flat T-pose stand out from the vertical: about as SMPL's."""

THUMB_DROP = 15.0
"""Degrees by which the thumb of a flat hand points below the plane of the palm; Anny's reference has it at 36."""


def curled_rest(places: Places, bones: list[str], parents: list[int]) -> np.ndarray:
    """The infant's T-pose: arms along +-X, legs in one line, fingers curled."""
    turn: Places = {}
    for side, sign in _SIDES:
        turn |= _straight_limbs(places, side, sign, places[f"foot.{side}"] - places[f"upperleg01.{side}"])
        turn |= _curled_fingers(places, side, sign, turn[f"wrist.{side}"])
    return _inherited(turn, bones, parents)


def flat_rest(places: Places, bones: list[str], parents: list[int]) -> np.ndarray:
    """The T-pose of SMPL-X and MANO: as the infant's, with palms down and straight fingers."""
    turn: Places = {}
    for side, sign in _SIDES:
        leg = places[f"foot.{side}"] - places[f"upperleg01.{side}"]
        outwards = sign * np.tan(np.radians(LEG_DEGREES)) * np.hypot(leg[1], leg[2])
        turn |= _straight_limbs(places, side, sign, np.array([outwards, leg[1], leg[2]]))
        turn |= _flat_hand(places, side, sign, turn)
    return _inherited(turn, bones, parents)


def _inherited(turn: Places, bones: list[str], parents: list[int]) -> np.ndarray:
    """Rotation of every bone: its own where given, else its parent's."""
    rotations: list[np.ndarray] = []
    for bone, parent in zip(bones, parents, strict=True):
        rotations.append(turn.get(bone, rotations[parent] if parent >= 0 else np.eye(3)))
    return np.stack(rotations)


def _straight_limbs(places: Places, side: str, sign: float, leg: np.ndarray) -> Places:
    """Rotations that straighten one arm to +-X and one leg to the direction ``leg``."""
    turn = {}
    arm = np.array([sign, 0.0, 0.0])
    for bone, start, end in (
        ("upperarm01", "upperarm01", "lowerarm01"),
        ("lowerarm01", "lowerarm01", "wrist"),
        ("wrist", "wrist", "finger3-1"),
    ):
        turn[f"{bone}.{side}"] = shortest_arc(places[f"{end}.{side}"] - places[f"{start}.{side}"], arm)
    for bone, end in (("upperleg01", "lowerleg01"), ("lowerleg01", "foot")):
        turn[f"{bone}.{side}"] = shortest_arc(places[f"{end}.{side}"] - places[f"{bone}.{side}"], leg)
    turn[f"foot.{side}"] = np.eye(3)
    return turn


def _curled_fingers(places: Places, side: str, sign: float, hand: np.ndarray) -> Places:
    """Rotations of the finger bones of one hand, each segment flexed further towards the palm.

    Fingers turn about the hand's transverse axis, the thumb about an axis halfway to the hand's length, so that it
    closes across the palm.
    """
    across = hand @ (places[f"finger5-1.{side}"] - places[f"finger2-1.{side}"])
    along = np.array([sign, 0.0, 0.0])
    across -= along * (across @ along)
    across /= np.linalg.norm(across)
    down = np.cross(along, across) * sign  # out of the palm
    flexion = -np.cross(along, down)  # positive turns about it take a finger's direction towards the palm
    turn = {}
    for finger, angles in CURL_DEGREES.items():
        axis = flexion + np.cross(across, down) if finger == "finger1" else flexion
        total = 0.0
        for segment, angle in enumerate(angles, start=1):
            total += angle
            turn[f"{finger}-{segment}.{side}"] = rotation(axis, np.radians(total)) @ hand
    return turn


def _flat_hand(places: Places, side: str, sign: float, turn: Places) -> Places:
    """Rotations of forearm twist, wrist and fingers of one hand: palm down, fingers straight, a little apart.

    The turn that brings the palm down is shared between the forearm's twist bone and the wrist.
    """
    along = np.array([sign, 0.0, 0.0])
    knuckles = turn[f"wrist.{side}"] @ (places[f"finger5-1.{side}"] - places[f"finger2-1.{side}"])
    roll = np.arctan2(knuckles[2], knuckles[1])  # about +X; Anny's Y points backwards, where the little finger goes
    hand = rotation(along * sign, -roll) @ turn[f"wrist.{side}"]
    flat = {
        f"lowerarm02.{side}": rotation(along * sign, -roll / 2) @ turn[f"lowerarm01.{side}"],
        f"wrist.{side}": hand,
    }
    for finger in range(1, 6):
        names = [f"finger{finger}-{segment}.{side}" for segment in (1, 2, 3)]
        ends = [*(places[name] for name in names), places[f"{names[2]} end"]]
        way = hand @ (ends[2] - ends[0])
        if finger > 1:
            straight = np.array([sign * np.hypot(way[0], way[2]), FLAT_SPLAY * way[1], 0.0])
        else:
            straight = np.array([way[0], way[1], -np.hypot(way[0], way[1]) * np.tan(np.radians(THUMB_DROP))])
        for segment, name in enumerate(names):
            if finger == 1 and segment == 0:
                flat[name] = shortest_arc(way, straight) @ hand  # the thumb's base keeps its bend to the next segment
            else:
                flat[name] = shortest_arc(hand @ (ends[segment + 1] - ends[segment]), straight) @ hand
    return flat


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Matrix (3, 3) of a turn by ``angle`` radians about ``axis`` (any length)."""
    return roma.rotvec_to_rotmat(torch.from_numpy(axis / np.linalg.norm(axis) * angle)).numpy()


def shortest_arc(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Smallest rotation (3, 3) that takes direction ``start`` to direction ``end``."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(start, end)
    if np.linalg.norm(axis) < 1e-12:
        return np.eye(3)
    return rotation(axis, float(np.arctan2(np.linalg.norm(axis), start @ end)))
