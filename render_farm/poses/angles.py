"""Procedural infant poses: posture and modes are chosen, angles drawn within the joint limits, then turned into SMPL's.

The tables are in :mod:`.postures`. Angles are drawn from normal distributions truncated at the joint limits, so no
setting can leave them. :func:`angles_to_pose` is the one place that knows how clinical angles become axis-angle.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ...models.geometry import axis_rotation, matrix_to_axis_angle
from .config import PoseConfig
from .postures import (
    ARM,
    ARMS,
    DEFAULTS,
    LEG,
    LEGS,
    LIMITS,
    MIDLINE,
    NAMES,
    POSTURE_TABLE,
    PRONE_UP_SHARE,
    TRUNKS,
    Posture,
)

Floats = NDArray[np.float64]


def _limit(name: str) -> tuple[float, float]:
    return LIMITS[name[2:] if name[:2] in ("l_", "r_") else name]


LOW = np.array([_limit(name)[0] for name in NAMES], np.float64)
HIGH = np.array([_limit(name)[1] for name in NAMES], np.float64)
"""Joint limits in degrees, in the order of :data:`.postures.NAMES`."""
COLUMN = {name: i for i, name in enumerate(NAMES)}
"""Column of each angle."""
_MIRROR = np.array([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
"""A rotation times this, element by element, is its mirror image across the plane x = 0."""


@dataclass(frozen=True)
class Plan:
    """What one frame's infant is about to do.

    Attributes:
        posture: key of the posture table.
        table: its entry.
        mean, sd: (40,) degrees, of the normal distributions before truncation.
        pitch: tilt of the trunk about its left-right axis, degrees (-90 supine, 90 prone).
        roll: degrees about the long axis (side-lying: about +-90).
        relaxed: (4,) bool: left arm, right arm, left leg, right leg are laid down by gravity.
        tilt: (2,) degrees, small further tilts about the left-right and the front-back axis.
        yaw: radians about world Y.
    """

    posture: str
    table: Posture
    mean: Floats
    sd: Floats
    pitch: float
    roll: float
    relaxed: NDArray[np.bool_]
    tilt: Floats
    yaw: float


def choose(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """A key of ``weights``, drawn in proportion; always one draw, so that weights never shift later draws."""
    names = list(weights)
    edges = list(accumulate(weights.values()))
    return names[min(bisect_right(edges, rng.random() * edges[-1]), len(names) - 1)]


def draw_plan(rng: np.random.Generator, config: PoseConfig, fixed: str | None = None) -> Plan:
    """Choose posture and modes of one frame; ``fixed`` names the posture instead of chance."""
    posture = choose(rng, config.postures)
    if posture == "prone" and rng.random() < PRONE_UP_SHARE:
        posture = "prone_up"
    posture = fixed or posture
    table = POSTURE_TABLE[posture]
    mean, sd = np.zeros(len(NAMES)), np.zeros(len(NAMES))

    def put(prefix: str, names: tuple[str, ...], mode: dict[str, tuple[float, float]]) -> None:
        for name in names:
            column = COLUMN[prefix + name]
            mean[column], sd[column] = mode[name] if name in mode else DEFAULTS[name]

    put("", MIDLINE, TRUNKS[choose(rng, table.trunks)])
    for names, modes, weights in ((ARM, ARMS, table.arms), (LEG, LEGS, table.legs)):
        left, right = choose(rng, weights), choose(rng, weights)
        put("l_", names, modes[left])
        put("r_", names, modes[right if rng.random() < config.asymmetry else left])
    pitch = rng.normal(*table.pitch)
    roll = (90.0 if rng.random() < 0.5 else -90.0) + rng.normal(0, 8) if table.rolled else 0.0
    return Plan(
        posture=posture,
        table=table,
        mean=mean,
        sd=sd * config.spread,
        pitch=float(pitch),
        roll=float(roll),
        relaxed=(rng.random(4) < config.relax) & table.lying | (np.arange(4) >= 2) & table.seated,
        tilt=table.tilt * rng.standard_normal(2),
        yaw=float(rng.uniform(-np.pi, np.pi)),
    )


def draw_angles(rng: np.random.Generator, plan: Plan, candidates: int) -> Floats:
    """Angles (candidates, 40) in degrees: trunk and head are the same in all, the limbs differ.

    Truncated normal by inversion of the distribution function; where the mean lies outside of the limits the nearest
    part of the interval is favoured.
    """
    uniform = rng.random((candidates, len(NAMES)))
    uniform[:, : len(MIDLINE)] = uniform[0, : len(MIDLINE)]
    return truncated_normal(uniform, plan.mean, plan.sd, LOW, HIGH)


def truncated_normal(uniform: Floats, mean: Floats, sd: Floats, low: Floats, high: Floats) -> Floats:
    """Values in [low, high] from uniform numbers in [0, 1]; ``sd`` 0 gives the mean, moved into the limits."""
    scale = np.maximum(sd, 1e-6)
    first, last = ndtr((low - mean) / scale), ndtr((high - mean) / scale)
    return np.clip(mean + scale * ndtri(np.clip(first + uniform * (last - first), 1e-9, 1 - 1e-9)), low, high)


def _turn(axis: int, degrees: Floats | float) -> Floats:
    """Rotation matrices (..., 3, 3) about a coordinate axis (0 x, 1 y, 2 z), right-handed."""
    return axis_rotation(axis, np.radians(np.asarray(degrees, np.float64)))


def _left_limbs(angle: dict[str, Floats]) -> dict[int, Floats]:
    """Local rotations of the left limbs: joint of the left side -> (..., 3, 3).

    In SMPL's T-pose the left arm points to +X and the thigh to -Y. Hip: flexion, abduction, rotation in turn, each about
    the axis that the one before has moved. Shoulder: the arm is let down, then raised in the plane of elevation
    without twist (swing), after its twist about itself.
    """
    plane, elevation, twist = angle["shoulder_plane"], angle["shoulder_elev"], angle["shoulder_rot"]
    raised = _turn(1, -plane) @ _turn(2, elevation) @ _turn(1, plane + twist)
    quarter = np.broadcast_to(np.float64(-90.0), plane.shape)
    half_pronation = _turn(0, angle["forearm"] / 2)
    return {
        1: _turn(0, -angle["hip_flex"]) @ _turn(2, angle["hip_abd"]) @ _turn(1, angle["hip_rot"]),
        4: _turn(0, angle["knee"]),
        7: _turn(0, -angle["ankle"]) @ _turn(2, -angle["ankle_in"]),
        10: _turn(0, -angle["toes"]),
        13: _turn(2, angle["collar_up"]) @ _turn(1, -angle["collar_fwd"]),
        16: raised @ _turn(2, quarter),
        18: _turn(1, -angle["elbow"]) @ half_pronation,
        20: half_pronation @ _turn(2, -angle["wrist_flex"]) @ _turn(1, angle["wrist_dev"]),
        22: _turn(2, -angle["fist"]),
    }


def angles_to_rotations(angles: Floats) -> torch.Tensor:
    """Clinical angles (..., 40) in degrees to SMPL's local rotations (..., 24, 3, 3), float32, the root at rest."""
    rotations = np.empty((*angles.shape[:-1], 24, 3, 3), np.float32)
    rotations[..., 0, :, :] = np.eye(3)
    mid = {name: angles[..., COLUMN[name]] for name in MIDLINE}
    for joints, part in (((3, 6, 9), "spine"), ((12, 15), "neck")):
        share = len(joints)
        bend = _turn(0, mid[f"{part}_flex"] / share) @ _turn(2, -mid[f"{part}_side"] / share)
        rotations[..., list(joints), :, :] = (bend @ _turn(1, mid[f"{part}_turn"] / share))[..., None, :, :]
    for side, name in enumerate("lr"):
        limbs = _left_limbs({each: angles[..., COLUMN[f"{name}_{each}"]] for each in (*ARM, *LEG)})
        for joint, turn in limbs.items():
            rotations[..., joint + side, :, :] = turn * _MIRROR if side else turn
    return torch.from_numpy(rotations)


def angles_to_pose(angles: Floats) -> torch.Tensor:
    """Clinical angles (..., 40) in degrees to SMPL's pose (..., 24, 3), axis-angle, float32, global orientation zero."""
    return matrix_to_axis_angle(angles_to_rotations(angles))


def nominal_orientation(plan: Plan) -> Floats:
    """Rotation (3, 3) body to world before the body settles: roll about the long axis, pitch, tilts, then yaw."""
    if plan.table.rolled:
        lie = _turn(0, -90.0) @ _turn(1, plan.roll)
    else:
        lie = _turn(0, plan.pitch)
    nod = 0.0 if plan.table.flat_feet else float(plan.tilt[0])
    return _turn(1, float(np.degrees(plan.yaw))) @ _turn(2, float(plan.tilt[1])) @ _turn(0, nod) @ lie
