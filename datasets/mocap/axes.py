"""Which way is up, how long a unit is, and where zero lies: declared by the user or found out, and always reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...config import UserError, nearest
from .names import JointMap
from .rotations import unit
from .skeleton import Motion

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.0254 / 0.45}
"""Metres a unit; "cmu" is the unit of CMU's files, 0.45 of which make an inch."""

# Heights (metres) between the ground and the head joint that a unit may lead to, from the most to the least likely.
_LIKELY = ((1.2, 2.0), (0.8, 2.3), (0.35, 2.5))
_SIGNED = {
    f"{sign}{axis}": factor * np.eye(3)[i] for sign, factor in (("", 1), ("-", -1)) for i, axis in enumerate("xyz")
}


@dataclass(frozen=True)
class Axes:
    """How a file's world became ours, for the summary.

    Attributes:
        up, forward: axis of the file that points up, and the one that the rest pose faces or None if not used.
        unit: name of the unit, or "" for a scale of its own. metre: metres a unit.
        found: how up and unit are known, in words.
    """

    up: str
    forward: str | None
    unit: str
    metre: float
    found: str


def axis_vector(name: str) -> np.ndarray:
    """The direction of "x", "-x" … "-z".

    Raises:
        UserError: for another word.
    """
    key = name.lower().replace("+", "")
    if key not in _SIGNED:
        raise UserError(f"unknown axis '{name}': {nearest(key, _SIGNED)}")
    return _SIGNED[key]


def to_our_world(
    motion: Motion, joints: JointMap, up: str = "auto", forward: str = "auto", unit_name: str = "auto"
) -> tuple[Motion, Axes]:
    """The motion in metres, Y up.

    Args:
        up: "auto" or the axis of the file that points up. Found by where the head is above the ankles.
        forward: "auto" leaves the take's heading, turning only up to Y the shortest way; an axis becomes +Z.
        unit_name: "auto" or a key of :data:`UNITS`. Found by the height of the person.

    Raises:
        UserError: for words that are not known, up along forward, or a person whose size fits no unit.
    """
    measured, strength = _upward(motion, joints)
    if up == "auto":
        up = max(_SIGNED, key=lambda name: float(measured @ _SIGNED[name]))
        how_up = f"up found ({strength})"
    else:
        axis_vector(up)
        how_up = "up declared"
    turn = turn_upright(up, forward)
    height = _height(motion, joints)
    if unit_name == "auto":
        name = _likely_unit(height, motion.source)
        how_unit = f"unit found by a head {height * UNITS[name]:.2f} m above the soles"
    elif unit_name in UNITS:
        name, how_unit = unit_name, "unit declared"
    else:
        raise UserError(f"unknown unit '{unit_name}': {nearest(unit_name, [*UNITS, 'auto'])}")
    axes = Axes(up, None if forward == "auto" else forward, name, UNITS[name], f"{how_up}, {how_unit}")
    return motion.moved(turn, UNITS[name]), axes


def turn_upright(up: str, forward: str = "auto") -> np.ndarray:
    """Rotation that takes the up axis to +Y, and the forward axis to +Z if one is given."""
    above = axis_vector(up)
    if forward != "auto":
        ahead = axis_vector(forward)
        if abs(above @ ahead) > 0.5:
            raise UserError(f"up={up} and forward={forward} lie along the same axis; give two different ones")
        return np.stack([np.cross(above, ahead), above, ahead])
    # A quarter or half turn about one axis: z up becomes (x, z, -y), as every exporter does it; where x is up, z stays.
    right, back = np.eye(3)[0], np.eye(3)[2]
    if abs(above[0]) > 0.5:
        return np.stack([np.cross(above, back), above, back])
    return np.stack([right, above, np.cross(right, above)])


def _upward(motion: Motion, joints: JointMap) -> tuple[np.ndarray, str]:
    """Direction from the ankles to the head: over the frames if they agree, else in the rest pose."""
    _, positions = motion.global_pose()
    rest = motion.skeleton.rest()
    means = []
    for points in (positions, rest[None]):
        feet = (points[:, joints.joints["left_ankle"]] + points[:, joints.joints["right_ankle"]]) / 2
        means.append(unit(points[:, joints.joints["head"]] - feet).mean(0))
    over_frames, at_rest = means
    if np.abs(over_frames).max() > 0.75:
        return over_frames, "head above feet in the motion"
    return at_rest, "head above feet in the rest pose; the motion lies"


def _height(motion: Motion, joints: JointMap) -> float:
    """Length from the sole to the head joint along the bones, file units: legs, spine and neck, and a foot's height."""
    rest, index = motion.skeleton.rest(), joints.joints

    def length(*chain: int) -> float:
        return float(np.linalg.norm(np.diff(rest[list(chain)], axis=0), axis=1).sum())

    leg = (
        length(*(index[f"left_{name}"] for name in ("hip", "knee", "ankle")))
        + length(*(index[f"right_{name}"] for name in ("hip", "knee", "ankle")))
    ) / 2
    hips = (rest[index["left_hip"]] + rest[index["right_hip"]]) / 2
    chain = rest[[*joints.spine, *joints.neck]]
    torso = float(np.linalg.norm(np.diff(np.concatenate([hips[None], chain]), axis=0), axis=1).sum())
    return 1.1 * leg + torso


def _likely_unit(height: float, source: str) -> str:
    """The unit that makes a person of a height in file units; adults first."""
    for low, high in _LIKELY:
        for name, metre in UNITS.items():
            if low <= height * metre <= high:
                return name
    options = ", ".join(UNITS)
    raise UserError(
        f"{source}: a head {height:.3g} units above the soles fits no unit ({options}): "
        f"declare unit=, or mend the bone lengths"
    )
