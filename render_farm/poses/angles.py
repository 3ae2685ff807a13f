"""Procedural infant poses: posture and modes are chosen, angles drawn within the joint limits, then turned into SMPL's.

The tables are in :mod:`.postures`. Angles are drawn from normal distributions truncated at the joint limits, so no
setting can leave them. :func:`angles_to_pose` is the one place that knows how clinical angles become axis-angle.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ...models.turns import Quaternions, about, quaternions_to_matrices, quaternions_to_vectors, then_about
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
    parts = [_modes(MIDLINE, "trunk", choose(rng, table.trunks))]
    for names, kind, weights in ((ARM, "arm", table.arms), (LEG, "leg", table.legs)):
        left, right = choose(rng, weights), choose(rng, weights)
        parts += [_modes(names, kind, left), _modes(names, kind, right if rng.random() < config.asymmetry else left)]
    mean, sd = np.concatenate(parts, 1)[:, PLACES]
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


@cache
def _modes(names: tuple[str, ...], part: str, mode: str) -> Floats:
    """Mean and deviation (2, n) of the angles ``names`` in a mode of trunk, arm or leg."""
    table = {"trunk": TRUNKS, "arm": ARMS, "leg": LEGS}[part][mode]
    return np.array([table[name] if name in table else DEFAULTS[name] for name in names]).T


_SEQUENCE = [*MIDLINE, *(f"{side}_{name}" for names in (ARM, LEG) for side in "lr" for name in names)]
PLACES = [_SEQUENCE.index(name) for name in NAMES]
"""Where each angle lies in the angles of trunk, left arm, right arm, left leg and right leg, one after the other."""


def draw_angles(uniform: Floats, plans: Sequence[Plan]) -> Floats:
    """Angles (B, K, 40) in degrees from uniform numbers: trunk and head are the same in all K, the limbs differ.

    Truncated normal by inversion of the distribution function; where the mean lies outside of the limits the nearest
    part of the interval is favoured.
    """
    uniform = np.array(uniform)
    uniform[:, :, : len(MIDLINE)] = uniform[:, :1, : len(MIDLINE)]
    mean, sd = (np.stack([getattr(plan, name) for plan in plans])[:, None] for name in ("mean", "sd"))
    return truncated_normal(uniform, mean, sd, LOW, HIGH)


def truncated_normal(uniform: Floats, mean: Floats, sd: Floats, low: Floats, high: Floats) -> Floats:
    """Values in [low, high] from uniform numbers in [0, 1]; ``sd`` 0 gives the mean, moved into the limits."""
    scale = np.maximum(sd, 1e-6)
    first, last = ndtr((low - mean) / scale), ndtr((high - mean) / scale)
    return np.clip(mean + scale * ndtri(np.clip(first + uniform * (last - first), 1e-9, 1 - 1e-9)), low, high)


def _left_limbs(angle: dict[str, Floats]) -> dict[int, Quaternions]:
    """Local turns of the left limbs by joint of the left side.

    In SMPL's T-pose the left arm points to +X and the thigh to -Y. Hip: flexion, abduction, rotation in turn, each about
    the axis that the one before has moved. Shoulder: the arm is let down, then raised in the plane of elevation
    without twist (swing), after its twist about itself.
    """
    half_pronation = angle["forearm"] / 2
    wrist = then_about(about(0, half_pronation), 2, -angle["wrist_flex"])
    return {
        1: hip_turn(angle["hip_flex"], angle["hip_abd"], angle["hip_rot"]),
        4: about(0, angle["knee"]),
        7: then_about(about(0, -angle["ankle"]), 2, -angle["ankle_in"]),
        10: about(0, -angle["toes"]),
        13: then_about(about(2, angle["collar_up"]), 1, -angle["collar_fwd"]),
        16: shoulder_turn(angle["shoulder_plane"], angle["shoulder_elev"], angle["shoulder_rot"]),
        18: then_about(about(1, -angle["elbow"]), 0, half_pronation),
        20: then_about(wrist, 1, angle["wrist_dev"]),
        22: about(2, -angle["fist"]),
    }


def hip_turn(flexion: Floats, abduction: Floats, rotation: Floats) -> Quaternions:
    """Local turns of the left hip, degrees."""
    return then_about(then_about(about(0, -flexion), 2, abduction), 1, rotation)


def shoulder_turn(plane: Floats, elevation: Floats, twist: Floats) -> Quaternions:
    """Local turns of the left shoulder, degrees."""
    raised = then_about(then_about(about(1, -plane), 2, elevation), 1, plane + twist)
    return then_about(raised, 2, np.full_like(plane, -90.0))


def mirrored(turn: Quaternions) -> Quaternions:
    """The turns of the other side: seen in a mirror that negates x."""
    w, x, y, z = turn
    return w, x, -y, -z


def _quaternions(angles: Floats) -> Quaternions:
    """SMPL's local turns, arrays (..., 24), of clinical angles (..., 40) in degrees, the root at rest."""
    shape = (*angles.shape[:-1], 24)
    parts = np.ones(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    mid = {name: angles[..., COLUMN[name]] for name in MIDLINE}
    for joints, part in (((3, 6, 9), "spine"), ((12, 15), "neck")):
        share = len(joints)
        bend = then_about(about(0, mid[f"{part}_flex"] / share), 2, -mid[f"{part}_side"] / share)
        for into, value in zip(parts, then_about(bend, 1, mid[f"{part}_turn"] / share), strict=True):
            into[..., list(joints)] = value[..., None]
    both = {name: angles[..., [COLUMN[f"l_{name}"], COLUMN[f"r_{name}"]]] for name in (*ARM, *LEG)}
    for joint, turn in _left_limbs(both).items():
        for into, value, other in zip(parts, turn, mirrored(turn), strict=True):
            into[..., joint], into[..., joint + 1] = value[..., 0], other[..., 1]
    return parts


def angles_to_rotations(angles: Floats) -> NDArray[np.float32]:
    """Clinical angles (..., 40) in degrees to SMPL's local rotations (..., 24, 3, 3), the root at rest."""
    return quaternions_to_matrices(_quaternions(angles)).astype(np.float32)


def angles_to_pose(angles: Floats) -> torch.Tensor:
    """Clinical angles (..., 40) in degrees to SMPL's pose (..., 24, 3), axis-angle, float32, global orientation zero."""
    return torch.from_numpy(quaternions_to_vectors(_quaternions(angles)).astype(np.float32))


def nominal_orientations(plans: Sequence[Plan]) -> Floats:
    """Rotations (B, 3, 3) body to world before bodies settle: roll about the long axis, pitch, tilts, then yaw."""
    rolled = np.array([plan.table.rolled for plan in plans])
    flat = np.array([plan.table.flat_feet for plan in plans])
    pitch, roll, yaw = (np.array([getattr(plan, name) for plan in plans]) for name in ("pitch", "roll", "yaw"))
    tilt = np.stack([plan.tilt for plan in plans])
    leaning = then_about(about(1, np.degrees(yaw)), 2, tilt[:, 1])
    lying = then_about(then_about(leaning, 0, np.where(flat, 0.0, tilt[:, 0])), 0, np.where(rolled, -90.0, pitch))
    return np.asarray(quaternions_to_matrices(then_about(lying, 1, np.where(rolled, roll, 0.0))), np.float64)
