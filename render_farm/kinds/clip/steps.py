"""Feet that step and stay: from a path and a rhythm to the places of both ankles, planted while they stand.

A foot stands for a share ``duty`` of its cycle. While it stands nothing moves but what rolls: it lands on the heel, lies
flat, and leaves over the ball, the toes flat on the ground. Between two stances it swings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from ....datasets.mocap.target import Target
from ....models.geometry import axis_rotation
from ...scenes.smooth import Floats

SIDES = ("left", "right")
Path = Callable[[Floats], tuple[Floats, Floats]]
"""From times (n,) to places (n, 2) on the ground (x, z) in metres, and headings (n,) about +Y in radians."""

ABEAM = 0.4
"""Share of the stance after which the body is above the foot: the heel's roll lengthens the leg that is behind."""

LIFTING = 0.045
"""Share of the swing at its beginning and end in which a foot only rises or sinks."""


@dataclass(frozen=True)
class Gait:
    """A rhythm.

    Attributes:
        frequency: cycles (two steps) a second. duty: share of the cycle in which a foot stands.
        lift: height of a swinging ankle over a standing one, metres.
        heel, toe: degrees by which the foot lands toe-up and leaves toe-down.
        half_width: distance of a foot from the path, metres. toe_out: degrees. phase: of the left foot at time 0.
    """

    frequency: float
    duty: float
    lift: float
    heel: float
    toe: float
    half_width: float
    toe_out: float
    phase: float


@dataclass(frozen=True)
class Feet:
    """Places of feet over T frames, by side.

    Attributes:
        ankle: (T, 3) of the ankle joint, world. foot: (T, 3, 3) of the foot, toes: (T, 3, 3) of its front; global rotations.
        stands: (T,) bool, on the ground.
    """

    ankle: dict[str, Floats]
    foot: dict[str, Floats]
    toes: dict[str, Floats]
    stands: dict[str, np.ndarray]


def ankle_height(target: Target) -> float:
    """Height of the ankle joints over the soles of a foot that lies flat, metres."""
    soles = min(float(np.vstack([heel, front])[:, 1].min()) for heel, front in target.soles.values())
    return float(target.place(["left_ankle", "right_ankle"])[:, 1].mean() - soles)


def planted(target: Target, count: int, spots: dict[str, Floats], headings: dict[str, float]) -> Feet:
    """Feet that stay where they are: ``spots`` (2,) x and z of each ankle, ``headings`` radians about +Y."""
    ankle, foot = {}, {}
    for side in SIDES:
        x, z = spots[side]
        ankle[side] = np.tile([x, ankle_height(target), z], (count, 1))
        foot[side] = np.tile(axis_rotation(1, np.array(headings[side])), (count, 1, 1))
    return Feet(ankle, foot, dict(foot), {side: np.ones(count, bool) for side in SIDES})


def stepping(target: Target, times: Floats, path: Path, gait: Gait) -> Feet:
    """Feet that step along a path, each planted beside the place that the path passes at :data:`ABEAM` of its stance."""
    ankle, foot, toes, stands = {}, {}, {}, {}
    for side in SIDES:
        sign = 1.0 if side == "left" else -1.0
        turn = gait.frequency * times + gait.phase + (0.0 if side == "left" else 0.5)
        cycle = np.floor(turn)
        share = turn - cycle
        swing = np.clip((share - gait.duty) / (1 - gait.duty), 0, 1)
        spots, headings = [], []
        for k in (0, 1):
            middle = (cycle + k + ABEAM * gait.duty - (turn - gait.frequency * times)) / gait.frequency
            place, heading = path(middle)
            left = np.stack([np.cos(heading), -np.sin(heading)], 1)
            spots.append(place + sign * gait.half_width * left)
            headings.append(heading + sign * np.radians(gait.toe_out))
        way = np.clip((swing - LIFTING) / (1 - 2 * LIFTING), 0, 1)  # up before it goes forward
        way = way**2 * (3 - 2 * way)
        spot = spots[0] + way[:, None] * (spots[1] - spots[0])
        yaw = axis_rotation(1, headings[0] + way * (headings[1] - headings[0]))
        lift = gait.lift * np.sin(np.pi * swing) ** 2
        ankle[side], foot[side], toes[side] = _roll(target, side, gait, share, spot, yaw, lift)
        stands[side] = share < gait.duty
    return Feet(ankle, foot, toes, stands)


def _roll(
    target: Target, side: str, gait: Gait, share: Floats, spot: Floats, yaw: Floats, lift: Floats
) -> tuple[Floats, Floats, Floats]:
    """Roll a flat foot over heel and ball: ankle (T, 3), rotations of foot and toes (T, 3, 3)."""
    d = gait.duty
    pitch = np.radians(_cyclic(share, [(0, gait.heel), (0.16 * d, 0), (0.52 * d, 0), (d, -gait.toe),
                                       (d + 0.12 * (1 - d), -1.15 * gait.toe), (d + 0.75 * (1 - d), gait.heel)]))  # fmt: skip
    on_heel = _cyclic(
        share, [(0, 1), (0.16 * d, 1), (0.45 * d, 0), (d, 0), (d + 0.2 * (1 - d), 0), (d + 0.9 * (1 - d), 1)]
    )
    with_foot = _cyclic(
        share, [(0, 1), (0.16 * d, 1), (0.45 * d, 0), (d, 0), (d + 0.6 * (1 - d), 1), (d + 0.9 * (1 - d), 1)]
    )
    joint = target.rest[target.index(f"{side}_ankle")]
    heel, ball = target.soles[side][0] - joint, target.rest[target.index(f"{side}_foot")] - joint
    pivot = on_heel[:, None] * heel + (1 - on_heel)[:, None] * ball
    foot = yaw @ axis_rotation(0, -pitch)
    toes = yaw @ axis_rotation(0, -pitch * with_foot)
    flat = np.stack([spot[:, 0], ankle_height(target) + lift, spot[:, 1]], 1)
    return flat + _applied(yaw, pivot) - _applied(foot, pivot), foot, toes


def _cyclic(share: Floats, knots: list[tuple[float, float]]) -> Floats:
    """A monotone spline through knots (share of the cycle, value), repeated; flat between equal values."""
    at = np.array([x + turn for turn in (-1, 0, 1) for x, _ in knots])
    values = np.array([y for _ in range(3) for _, y in knots])
    return np.asarray(PchipInterpolator(at, values)(share), np.float64)


def _applied(rotations: Floats, vectors: Floats) -> Floats:
    return np.asarray(np.einsum("tij,tj->ti", rotations, vectors), np.float64)
