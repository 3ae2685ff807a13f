"""How well a retargeted take follows its source, in millimetres, degrees and skating feet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..poses import PoseSequence
from .feet import SIDES, in_contact, skate
from .names import LIMBS, JointMap
from .rotations import angle_between, global_rotations
from .skeleton import Motion
from .target import Target

COMPARED = ("head", *(f"{side}_{limb}" for side in SIDES for limb in LIMBS if limb != "collar"))
"""Joints whose positions are compared, where the source has them."""

BONES = tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for side in SIDES
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
)
"""Limbs whose directions are compared."""

WHAT = (
    "positions: the body's joints against the source's, scaled by the ratio of leg lengths, in the world, without any "
    "alignment but the take's constant height; directions: thighs, shins, upper arms and forearms; skate: mean "
    "horizontal speed of the toe joint in contact: the source's toe within 25 mm of its low place (5th percentile of the "
    "take) and slower than 0.5 m/s"
)


@dataclass(frozen=True)
class Report:
    """Figures of one take; see :data:`WHAT` for what is compared.

    Attributes:
        frames: number of frames. seconds: their duration.
        scale: body's metres a metre of the source.
        position_mm: mean error by joint. position_mean_mm, position_max_mm: over joints and frames.
        direction_deg: mean angle by limb ("left_hip" is the thigh). direction_mean_deg: over limbs and frames.
        skate_source_mm_s, skate_mm_s: foot skate of the scaled source and of the result; None without contact.
        sole_correction_deg: constant turn of each foot that levelled its sole.
    """

    frames: int
    seconds: float
    scale: float
    position_mm: dict[str, float]
    position_mean_mm: float
    position_max_mm: float
    direction_deg: dict[str, float]
    direction_mean_deg: float
    skate_source_mm_s: float | None
    skate_mm_s: float | None
    sole_correction_deg: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def measure(
    motion: Motion,
    joints: JointMap,
    target: Target,
    rotations: np.ndarray,
    positions: np.ndarray,
    scale: float,
    sole_correction: dict[str, float],
) -> Report:
    """Compare joints of the body, (T, J, 3) before the shift to the ground, with those of the motion."""
    _, source = motion.global_pose()
    names = [name for name in COMPARED if name in joints.joints]
    theirs = scale * source[:, [joints.joints[name] for name in names]]
    ours = positions[:, [target.index(name) for name in names]]
    errors = 1000 * np.linalg.norm(ours - theirs, axis=-1)
    at = {name: i for i, name in enumerate(names)}
    angles = np.stack(
        [
            np.degrees(angle_between(ours[:, at[b]] - ours[:, at[a]], theirs[:, at[b]] - theirs[:, at[a]]))
            for a, b in BONES
        ],
        1,
    )
    return Report(
        frames=len(motion),
        seconds=len(motion) / motion.fps,
        scale=float(scale),
        position_mm={name: float(errors[:, i].mean()) for name, i in at.items()},
        position_mean_mm=float(errors.mean()),
        position_max_mm=float(errors.max()),
        direction_deg={a: float(angles[:, i].mean()) for i, (a, _) in enumerate(BONES)},
        direction_mean_deg=float(angles.mean()),
        skate_source_mm_s=_skate(theirs, theirs, at, motion.fps),
        skate_mm_s=_skate(ours, theirs, at, motion.fps),
        sole_correction_deg=sole_correction,
    )


def agreement(first: PoseSequence, second: PoseSequence, target: Target) -> dict[str, float]:
    """How two readings of one take agree on a body: frame by frame over the frames both have.

    Returns:
        ``direction_mean_deg`` over thighs, shins, upper arms and forearms, ``position_mean_mm`` over all joints in the
        world, ``position_pelvis_mean_mm`` with the pelvises brought together, and ``frames``.
    """
    count = min(len(first), len(second))
    one, two = (_joints_of(poses, target, count) for poses in (first, second))
    bones = [(target.index(a), target.index(b)) for a, b in BONES]
    angles = [angle_between(one[:, b] - one[:, a], two[:, b] - two[:, a]) for a, b in bones]
    centred = (one - one[:, :1]) - (two - two[:, :1])
    return {
        "frames": float(count),
        "direction_mean_deg": float(np.degrees(np.mean(angles))),
        "position_mean_mm": float(1000 * np.linalg.norm(one - two, axis=-1).mean()),
        "position_pelvis_mean_mm": float(1000 * np.linalg.norm(centred, axis=-1).mean()),
    }


def _joints_of(poses: PoseSequence, target: Target, count: int) -> np.ndarray:
    """Joint positions (count, J, 3) in the world."""
    rotations = global_rotations(poses.pose[:count], target.parents)
    return target.positions(rotations, poses.transl[:count] + target.rest[0])


def _skate(points: np.ndarray, source: np.ndarray, at: dict[str, int], fps: float) -> float | None:
    """Mean over both feet; contact is told by the source, so that both skate over the same frames."""
    found = []
    for side in SIDES:
        toe = at.get(f"{side}_foot", at[f"{side}_ankle"])
        value = skate(points[:, toe], in_contact(source[:, toe], fps), fps)
        if value is not None:
            found.append(value)
    return float(np.mean(found)) if found else None
