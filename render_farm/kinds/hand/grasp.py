"""Grasps: where a thing lies in the hand, and fingers that close round it until they touch.

All of it happens in the frame of a **right** hand with its wrist at the origin, fingers along -X, palm towards -Y and
thumb towards +Z; left hands are mirrored afterwards. Closing follows GraspIt (Miller and Allen 2004): each joint turns
until its finger meets the thing, joints beyond the touching segment go on. Fingers are capsules about the bones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.gestures import GESTURES, LIMITS, hand_pose
from ....models.bodies.hand_draws import RADII_MM, chain
from ....models.geometry import axis_angle_to_matrix
from ....models.joints import PARENTS
from .objects import Solids, Thing, stack_solids

Floats = NDArray[np.floating]
STEPS = 30
SPEED = 7.0
"""Degrees a step, halved at every touch."""
SINK = 0.0015
"""Depth in metres to which palm and fingers press into the skin's softness."""
_DRIVEN = np.array([[4 * f, 4 * f + 2, 4 * f + 3] for f in range(4)] + [[16, 19, 20]])
"""Angle that turns each segment (5, 3), in MANO's order of fingers."""
_LAST = np.array([3, 6, 9, 12, 15])
_ALONG = np.array([0.15, 0.5, 0.85])


@dataclass(frozen=True)
class Hands:
    """N right hands (or mirrored left ones) at rest.

    Attributes:
        joints: (N, 16, 3) metres, wrist at the origin. tips: (N, 5, 3) of the fingers in MANO's order.
        palms: (N, P, 3) points of the palm's skin.
    """

    joints: Floats
    tips: Floats
    palms: Floats

    @property
    def scale(self) -> Floats:
        """(N,) size relative to an adult's hand."""
        return np.linalg.norm(self.tips[:, 1], axis=1) / 0.2115

    def at(self, rows: NDArray[np.integer] | list[int]) -> Hands:
        """Some of the hands, in the order asked."""
        return Hands(self.joints[rows], self.tips[rows], self.palms[rows])


@dataclass(frozen=True)
class Grasps:
    """N grasps.

    Attributes:
        angles: (N, 21) degrees. turn: (N, 3, 3) and place: (N, 3) of the things in the hand's frame: ``x = turn p + place``.
        solids: of the things.
    """

    angles: Floats
    turn: Floats
    place: Floats
    solids: Solids

    def depth(self, points: Floats) -> Floats:
        """Depth (N, P) in metres of points (N, P, 3) of the hands' frames inside the things; negative outside."""
        return -self.solids.distance((points - self.place[:, None]) @ self.turn)


def posed(hands: Hands, angles: Floats) -> tuple[Floats, Floats]:
    """Joints (N, 16, 3) and tips (N, 5, 3) in poses given by angles (N, 21), degrees."""
    rotations = np.tile(np.eye(3), (len(angles), 16, 1, 1))
    rotations[:, 1:] = axis_angle_to_matrix(torch.from_numpy(hand_pose(angles, "right").reshape(-1, 15, 3))).numpy()
    world, shift = chain(rotations, hands.joints, PARENTS["mano16"])
    joints = (world @ hands.joints[..., None])[..., 0] + shift
    tips = (world[:, _LAST] @ hands.tips[..., None])[..., 0] + shift[:, _LAST]
    return joints, tips


def close(hands: Hands, angles: Floats, still: NDArray[np.bool_], turn: Floats, place: Floats, solids: Solids) -> Floats:
    """Angles (N, 21) of fingers that have closed round things from the angles given.

    Args:
        still: (N, 5) fingers that keep their place.
    """
    angles = np.clip(angles, LIMITS[:, 0], LIMITS[:, 1])
    count = len(angles)
    speed = np.full((count, 5, 3), SPEED) * (1.0, 1.05, 0.7)
    speed[still] = 0
    radii = RADII_MM[None] / 1000 * hands.scale[:, None, None]
    rows = np.arange(count)[:, None, None]
    for _ in range(STEPS):
        wanted = angles.copy()
        wanted[rows, _DRIVEN] += speed
        wanted = np.clip(wanted, LIMITS[:, 0], LIMITS[:, 1])
        joints, tips = posed(hands, wanted)
        starts = joints[:, 1:].reshape(count, 5, 3, 3)
        ends = np.concatenate([starts[:, :, 1:], tips[:, :, None]], 2)
        ends[:, :, 2] -= (tips - starts[:, :, 2]) * 0.25  # the pad, not the nail's edge
        samples = starts[..., None, :] + _ALONG[:, None] * (ends - starts)[..., None, :]
        local = (samples.reshape(count, -1, 3) - place[:, None]) @ turn
        gap = solids.distance(local).reshape(count, 5, 3, 3).min(-1) - radii
        touching = gap < -SINK
        # A segment that has sunk in stops its own joint and those before it; it is put back and tries a smaller step.
        blocked = np.flip(np.maximum.accumulate(np.flip(touching, 2), 2), 2)
        moved = wanted[rows, _DRIVEN]
        angles[rows, _DRIVEN] = np.where(blocked, angles[rows, _DRIVEN], moved)
        speed = np.where(blocked, 0.5 * speed, speed)
        speed[speed < 0.8] = 0
        if not speed.any():
            break
    return angles


def take(rng: np.random.Generator, thing: Thing, hand: Hands) -> tuple[Floats, NDArray[np.bool_], Floats, Floats]:
    """How one hand (N = 1) reaches for a thing: open angles (21,), still fingers (5,), turn (3, 3) and place (3,)."""
    if thing.grip == "power":
        return _against_palm(rng, thing, hand)
    return _between_pads(rng, thing, hand)


def _against_palm(rng: np.random.Generator, thing: Thing, hand: Hands) -> tuple[Floats, NDArray[np.bool_], Floats, Floats]:
    angles = np.array(GESTURES["wide_grasp"])
    angles[[0, 4, 8, 12]] = rng.uniform(0, 12)
    angles[[2, 6, 10, 14]] = angles[[3, 7, 11, 15]] = rng.uniform(2, 10)
    angles[16:] = (rng.uniform(-6, 4), rng.uniform(36, 48), rng.uniform(15, 30), 4, 4)
    knuckle = hand.joints[0, 4]
    lean = np.radians(rng.uniform(2, 22))
    axis = np.array([-np.sin(lean), 0.0, np.cos(lean)]) * (1 if rng.random() < 0.7 or thing.kind in ("mug", "bottle") else -1)
    down = np.array([0.0, -1.0, 0.0])
    across = np.cross(axis, down)
    turn = np.stack([down, axis, across], 1)  # the thing's x faces the palm, its y runs across the hand
    if thing.kind in ("cylinder", "ball", "mug", "bottle", "screwdriver"):
        spin = rng.uniform(-np.pi, np.pi) if thing.kind != "mug" else rng.normal(np.pi / 2, 0.25)
        c, s = np.cos(spin), np.sin(spin)
        turn = turn @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    along = rng.uniform(-0.12, 0.22) * thing.length if thing.length > 0.11 else rng.normal(0, 0.004)
    if thing.kind in ("hammer", "screwdriver"):
        along = rng.uniform(-0.05, 0.08) * thing.length
    reach = rng.uniform(0.78, 0.94) + 0.25 * max(0.0, 0.03 - thing.thickness / 2)
    middle = knuckle * (reach, 0, 0) + (0, 0, 0.1 * knuckle[0] * -1 - 0.012)
    place = middle + axis * along + down * (thing.thickness / 2 + 0.02 * hand.scale[0])
    solids = stack_solids([thing])
    for _ in range(8):  # up or down until the palm feels it
        gap = float(solids.distance((hand.palms[0][None] - place) @ turn).min())
        place = place - down * (gap + SINK)
    return angles, np.zeros(5, bool), turn, place


def _between_pads(rng: np.random.Generator, thing: Thing, hand: Hands) -> tuple[Floats, NDArray[np.bool_], Floats, Floats]:
    pen = thing.grip == "tripod"
    base = np.array(GESTURES["tripod" if pen else "pinch"])
    if not pen and rng.random() < 0.75:  # all four pads against the thumb
        base[:16] = np.array([(48, -3, 34, 16), (50, 0, 34, 16), (46, 5, 36, 18), (50, 3, 34, 16)]).ravel()
        base[16:] = (30, 34, 32, 16, 12)
    base = base + rng.normal(0, 2.5, 21)
    joints, tips = posed(hand, base[None])
    fingers = [0, 1] if pen or base[4] < 40 else [0, 1, 3]
    pads, thumb = tips[0, fingers].mean(0), tips[0, 4]
    normal = pads - thumb
    normal = normal / np.linalg.norm(normal) if np.linalg.norm(normal) > 0.004 else np.array([-0.5, 0.8, -0.3])
    middle = (pads + thumb) / 2
    still = np.array([f not in (*fingers, 4) for f in range(5)])
    angles = base.copy()
    opening = 12.0 + 600 * thing.thickness
    for f in fingers:
        angles[4 * f] -= opening
        angles[4 * f + 2] -= 0.5 * opening
    angles[16] -= 0.8 * opening
    if pen:
        web = joints[0, 1] + np.array([0.012, 0.004, 0.016]) * hand.scale[0]
        axis = (web - middle) / np.linalg.norm(web - middle)
        place = middle + axis * (thing.length / 2 - rng.uniform(0.024, 0.036))
        across = np.cross(axis, normal)
        across /= np.linalg.norm(across)
        return angles, still, np.stack([np.cross(axis, across), axis, across], 1), place
    away = middle - normal * (middle @ normal)  # from the wrist, in the thing's plane
    away /= np.linalg.norm(away)
    sideways = np.cross(normal, away)
    lean = np.radians(rng.uniform(-35, 35) if thing.kind == "phone" else rng.uniform(-90, 90))
    flip = thing.kind == "phone" and rng.random() < 0.5
    y = np.cos(lean) * sideways + np.sin(lean) * away
    z = np.cross(normal, y) if not flip else -np.cross(normal, y)
    turn = np.stack([normal if not flip else -normal, y, z], 1)
    return angles, still, turn, middle + away * (_reach(thing, turn, away) - rng.uniform(0.012, 0.02))


def _reach(thing: Thing, turn: Floats, direction: Floats) -> float:
    """How far a box reaches from its middle along a direction."""
    return float(np.abs(turn.T @ direction) @ np.array(thing.solids[0].half))
