"""Grasps: where a thing lies in the hand, and fingers that close round it until they touch.

All of it happens in the frame of a **right** hand with its wrist at the origin, fingers along -X, palm towards -Y and
thumb towards +Z; left hands are mirrored afterwards. Closing follows GraspIt (Miller and Allen 2004): each joint turns
until its finger meets the thing, joints beyond the touching segment go on. Fingers are capsules about the bones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....models.bodies.gestures import GESTURES, LIMITS, hand_pose
from ....models.bodies.hand_draws import chain
from ....models.joints import PARENTS
from ....models.turns import cross, vectors_to_matrices
from .objects import Solids, Thing, stack_solids

Floats = NDArray[np.floating]
STEPS = 22
SPEED = 9.0
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
        palms: (N, P, 3) points of the palm's skin. radii: (N, 5, 3) of the fingers' segments, from bone to pad.
    """

    joints: Floats
    tips: Floats
    palms: Floats
    radii: Floats

    @property
    def scale(self) -> Floats:
        """(N,) size relative to an adult's hand."""
        return np.linalg.norm(self.tips[:, 1], axis=1) / 0.2115

    def at(self, rows: NDArray[np.integer] | list[int]) -> Hands:
        """Some of the hands, in the order asked."""
        return Hands(self.joints[rows], self.tips[rows], self.palms[rows], self.radii[rows])


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
    rotations[:, 1:] = vectors_to_matrices(hand_pose(angles, "right").reshape(-1, 15, 3))
    world, shift = chain(rotations, hands.joints, PARENTS["mano16"])
    joints = (world @ hands.joints[..., None])[..., 0] + shift
    tips = (world[:, _LAST] @ hands.tips[..., None])[..., 0] + shift[:, _LAST]
    return joints, tips


@dataclass(frozen=True)
class Reach:
    """How a hand reaches for a thing.

    Attributes:
        angles: (21,) open hand, degrees. stop: (21,) where fingers that meet nothing stop. still: (5,) fingers that keep
            their place. turn: (3, 3) and place: (3,) of the thing. pressed: whether the palm presses on it.
    """

    angles: Floats
    stop: Floats
    still: NDArray[np.bool_]
    turn: Floats
    place: Floats
    pressed: bool


def grasp(things: list[Thing], reaches: list[Reach], hands: Hands) -> Grasps:
    """Press things against palms and close the fingers round them, all in one go."""
    solids = stack_solids(things)
    turn, place = (np.stack([getattr(r, name) for r in reaches]) for name in ("turn", "place"))
    pressed = np.array([r.pressed for r in reaches])
    for _ in range(8):  # up or down until the palm feels it
        gap = solids.distance((hands.palms - place[:, None]) @ turn).min(1)
        place[:, 1] += np.where(pressed, gap + SINK, 0)
    return Grasps(close(hands, reaches, turn, place, solids), turn, place, solids)


def close(hands: Hands, reaches: list[Reach], turn: Floats, place: Floats, solids: Solids) -> Floats:
    """Angles (N, 21) of fingers that have closed round things; those that meet nothing stop where ``stop`` says."""
    low, high = LIMITS.T
    angles = np.clip([r.angles for r in reaches], low, high)
    stop = np.maximum(np.clip([r.stop for r in reaches], low, high), angles)
    count = len(angles)
    speed = np.full((count, 5, 3), SPEED) * (1.0, 1.05, 0.7)
    speed[np.array([r.still for r in reaches])] = 0
    rows = np.arange(count)[:, None, None]
    for _ in range(STEPS):
        wanted = angles.copy()
        wanted[rows, _DRIVEN] += speed
        wanted = np.minimum(wanted, stop)
        joints, tips = posed(hands, wanted)
        starts = joints[:, 1:].reshape(count, 5, 3, 3)
        ends = np.concatenate([starts[:, :, 1:], tips[:, :, None]], 2)
        ends[:, :, 2] -= (tips - starts[:, :, 2]) * 0.25  # the pad, not the nail's edge
        samples = starts[..., None, :] + _ALONG[:, None] * (ends - starts)[..., None, :]
        local = (samples.reshape(count, -1, 3) - place[:, None]) @ turn
        gap = solids.distance(local).reshape(count, 5, 3, 3).min(-1) - hands.radii
        touching = gap < -SINK
        # A segment that has sunk in stops its own joint and those before it; it is put back and tries a smaller step.
        blocked = np.flip(np.maximum.accumulate(np.flip(touching, 2), 2), 2)
        angles[rows, _DRIVEN] = np.where(blocked, angles[rows, _DRIVEN], wanted[rows, _DRIVEN])
        speed = np.where(blocked, 0.5 * speed, speed)
        speed[speed < 1.0] = 0
        if not (speed * (angles[rows, _DRIVEN] < stop[rows, _DRIVEN])).any():
            break
    return angles


def reach(rng: np.random.Generator, thing: Thing, hand: Hands) -> Reach:
    """How one hand (N = 1) reaches for a thing."""
    if thing.grip == "power":
        return _against_palm(rng, thing, hand)
    return _with_pen(rng, thing, hand) if thing.grip == "tripod" else _between_pads(rng, thing, hand)


def _against_palm(rng: np.random.Generator, thing: Thing, hand: Hands) -> Reach:
    angles = np.array(GESTURES["wide_grasp"])
    angles[[0, 4, 8, 12]] = rng.uniform(0, 12)
    angles[[2, 6, 10, 14]] = angles[[3, 7, 11, 15]] = rng.uniform(2, 10)
    angles[16:] = (rng.uniform(-6, 4), rng.uniform(36, 48), rng.uniform(15, 30), 4, 4)
    stop = np.array(GESTURES["power_grasp"]) + 12
    lean = np.radians(rng.uniform(2, 22))
    flipped = rng.random() < 0.3 and not thing.upright
    axis = np.array([-np.sin(lean), 0.0, np.cos(lean)]) * (-1 if flipped else 1)
    down = np.array([0.0, -1.0, 0.0])
    turn = np.stack([down, axis, cross(down, axis)], 1)  # the thing's x faces the palm, its y runs across the hand
    spin = rng.uniform(-np.pi, np.pi)
    if thing.kind == "mug":
        spin = rng.normal(np.pi / 2, 0.3)  # the handle away from the palm
    if thing.kind != "box":
        c, s = np.cos(spin), np.sin(spin)
        turn = turn @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    along = rng.uniform(-0.05, 0.08) if thing.kind in ("hammer", "screwdriver") else rng.uniform(-0.12, 0.2)
    share = rng.uniform(0.78, 0.94) + 2.5 * max(0.0, 0.02 - thing.thickness / 2)
    size, width = hand.scale[0], thing.thickness / 2
    middle = hand.joints[0, 4] * (share, 0, 0) - (0, width + 0.02 * size, 0.004 * size)
    return Reach(angles, stop, np.zeros(5, bool), turn, middle + axis * along * thing.length, True)


def _opened(base: Floats, fingers: list[int], opening: float) -> Floats:
    """Angles of a precision grip, opened by some degrees."""
    angles = base.copy()
    for f in fingers:
        angles[4 * f] -= opening
        angles[4 * f + 2] -= 0.5 * opening
    angles[16] -= 0.8 * opening
    angles[19] -= 0.3 * opening
    return angles


def _pads(hand: Hands, angles: Floats, fingers: list[int]) -> tuple[Floats, Floats, Floats]:
    """Between the pads of thumb and fingers: middle (3,), unit normal (3,) from the thumb on; and all joints (16, 3)."""
    joints, tips = posed(hand, angles[None])
    pads, thumb = (0.8 * tips[0] + 0.2 * joints[0, _LAST])[[fingers, [4] * len(fingers)]].reshape(2, -1, 3).mean(1)
    normal = pads - thumb
    return (pads + thumb) / 2, normal / max(float(np.linalg.norm(normal)), 1e-6), joints[0]


def _with_pen(rng: np.random.Generator, thing: Thing, hand: Hands) -> Reach:
    base = np.array(GESTURES["tripod"]) + rng.normal(0, 2, 21)
    middle, normal, joints = _pads(hand, base, [0])
    web = joints[1] + np.array([0.010, 0.006, 0.017]) * hand.scale[0]  # beside the index's knuckle
    axis = (web - middle) / np.linalg.norm(web - middle)
    across = cross(axis, normal)
    across /= np.linalg.norm(across)
    place = middle + axis * (thing.length / 2 - rng.uniform(0.024, 0.036))
    turn = np.stack([cross(axis, across), axis, across], 1)
    still = np.array([False, True, True, True, False])
    return Reach(_opened(base, [0], 14.0), base + 14, still, turn, place, False)


def _between_pads(rng: np.random.Generator, thing: Thing, hand: Hands) -> Reach:
    fingers = [0, 1, 3] if rng.random() < 0.7 else [0]
    base = np.array(GESTURES["tripod" if len(fingers) > 1 else "pinch"])
    if len(fingers) > 1:
        base[8:16] = (52, 8, 46, 24, 58, 4, 48, 25)
    base = base + rng.normal(0, 2, 21)
    middle, normal, _ = _pads(hand, base, fingers[:2])
    away = middle - normal * (middle @ normal)  # from the wrist, in the thing's plane
    away /= np.linalg.norm(away)
    sideways = cross(normal, away)
    lean = np.radians(rng.uniform(-35, 35) if thing.kind == "phone" else rng.uniform(-90, 90))
    sign = -1.0 if rng.random() < 0.5 else 1.0
    y = np.cos(lean) * sideways + np.sin(lean) * away
    turn = np.stack([sign * normal, y, cross(sign * normal, y)], 1)
    place = middle + away * (_reach(thing, turn, away) - rng.uniform(0.010, 0.018) * hand.scale[0])
    opening = 10.0 + 650 * thing.thickness
    still = np.array([f not in (*fingers, 4) for f in range(5)])
    return Reach(_opened(base, fingers, opening), base + 16, still, turn, place, False)


def _reach(thing: Thing, turn: Floats, direction: Floats) -> float:
    """How far a box reaches from its middle along a direction."""
    return float(np.abs(turn.T @ direction) @ np.array(thing.solids[0].half))
