"""Motion of any skeleton to poses of an SMPL-family body.

Directions first: every limb of the body points where the skeleton's limb points (``align``). Then places: the path is
scaled by the ratio of leg lengths, hips follow hips, legs are bent such that ankles reach the scaled ankles, soles are
levelled, and the take is set on the ground (y = 0).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ..poses import PoseSequence, checked
from .align import Alignment, align, check_bones, choose_rest
from .axes import Axes, to_our_world
from .feet import SIDES, flatten_soles, ground_height, reach, share_twist, standing
from .floor import level_floor
from .names import LIMBS, JointMap, find_joints
from .report import Report, measure
from .rotations import between, matrix_to_rotvec, rotvec_to_matrix
from .skeleton import Motion, starts_apart
from .target import Target


@dataclass(frozen=True)
class RetargetOptions:
    """How to read a skeleton and what to do with its feet.

    Attributes:
        up, forward, unit: axes and unit of the file, or "auto"; see ``axes``.
        names: YAML file with a joint map, or None for the known conventions.
        rest: "zero", "first" or "auto"; see ``align.choose_rest``.
        calibration: "auto" drops a first frame that is a pose put before the motion (``skeleton.starts_apart``), after
            it has served as rest pose if it is to; "keep" keeps it.
        feet: "reach" bends legs to the source's ankles (no skating, limb directions off by a few degrees where
            proportions differ); "direction" keeps the directions.
        ground: level the floor under the standing feet (``floor``) and shift the take such that they stand at y = 0.
    """

    up: str = "auto"
    forward: str = "auto"
    unit: str = "auto"
    names: Path | None = None
    rest: str = "auto"
    calibration: Literal["auto", "keep"] = "auto"
    feet: Literal["reach", "direction"] = "reach"
    ground: bool = True


@dataclass(frozen=True)
class Retargeted:
    """Poses with the account of how they came about.

    ``dropped`` counts calibration frames before the motion; ``tilt`` is that of the floor, degrees, taken out.
    """

    poses: PoseSequence
    report: Report
    axes: Axes
    joints: JointMap
    alignment: Alignment | None
    dropped: int = 0
    tilt: float = 0.0


def retarget(motion: Motion, target: Target, options: RetargetOptions | None = None) -> Retargeted:
    """Poses of a body that move as a skeleton does.

    Raises:
        UserError: for an unknown skeleton, bones without length, or axes and units that cannot be found.
    """
    options = options or RetargetOptions()
    joints = find_joints(motion.skeleton, motion.source, options.names)
    check_bones(motion.skeleton, joints, motion.source)
    direct = _own_tree(motion, target)
    if direct:  # written from this body: nothing to find out
        told = ("y" if options.up == "auto" else options.up, "m" if options.unit == "auto" else options.unit)
        options = replace(options, up=told[0], unit=told[1], rest="zero", calibration="keep")
    moved, axes = to_our_world(motion, joints, options.up, options.forward, options.unit)
    moved, rest = choose_rest(moved, joints, options.rest)
    dropped = options.calibration == "auto" and starts_apart(moved)
    if dropped:
        moved = moved.frames(slice(1, None))
    tilt = 0.0
    if options.ground and not direct:
        moved, tilt = _levelled(moved, joints)
    if direct:
        rotations, alignment = _copied(moved, target), None
    else:
        alignment = align(moved, joints, target, rest)
        rotations = _rotations(moved, joints, alignment, target)
    return replace(_placed(moved, rotations, joints, target, axes, alignment, options), dropped=int(dropped), tilt=tilt)


def _levelled(motion: Motion, joints: JointMap) -> tuple[Motion, float]:
    _, points = motion.global_pose()
    ankles = [points[:, joints.joints[f"{side}_ankle"]] for side in SIDES]
    toes = [points[:, joints.joints.get(f"{side}_foot", joints.joints[f"{side}_ankle"])] for side in SIDES]
    return level_floor(motion, toes, ankles)


def _own_tree(motion: Motion, target: Target) -> bool:
    """Whether the skeleton bears the body's own joints in the body's own tree: then poses are taken as they are."""
    own = {name: i for i, name in enumerate(motion.skeleton.names)}
    names = target.joint_set.joints
    return all(
        name in own and (parent < 0 or motion.skeleton.names[motion.skeleton.parents[own[name]]] == names[parent])
        for name, parent in zip(names, target.parents, strict=True)
    )


def _copied(motion: Motion, target: Target) -> np.ndarray:
    turned, _ = motion.global_pose()
    return turned[:, [motion.skeleton.index(name) for name in target.joint_set.joints]]


def _rotations(motion: Motion, joints: JointMap, alignment: Alignment, target: Target) -> np.ndarray:
    """Global rotations (T, J, 3, 3) of the body's joints."""
    turned, _ = motion.global_pose()
    torso = turned @ alignment.torso
    spine, neck = (joints.joints["pelvis"], *joints.spine), (*joints.spine[-1:], *joints.neck)
    if not joints.spine:
        neck = (joints.joints["pelvis"], *joints.neck)
    given = {
        "pelvis": torso[:, joints.joints["pelvis"]],
        **{f"spine{k}": _along(torso, spine, k / 3) for k in (1, 2, 3)},
        "neck": _along(torso, neck, 0.5) if len(joints.neck) != 2 else torso[:, joints.neck[0]],
        "head": torso[:, joints.joints["head"]],
    }
    for name, turn in alignment.joints.items():
        if name in joints.joints:
            given[name] = turned[:, joints.joints[name]] @ turn
    for side in SIDES:
        if f"{side}_collar" in joints.joints:
            given[f"{side}_collar"] = torso[:, joints.joints[f"{side}_collar"]]
    base = rotvec_to_matrix(target.base_pose)
    rotations = np.empty((len(motion), target.joint_set.count, 3, 3))
    for joint, (name, parent) in enumerate(zip(target.joint_set.joints, target.parents, strict=True)):
        rotations[:, joint] = given[name] if name in given else rotations[:, parent] @ base[joint]
    return share_twist(rotations, target)


def _along(rotations: np.ndarray, chain: tuple[int, ...], share: float) -> np.ndarray:
    """Rotation (T, 3, 3) a share of the way along a chain of joints, between the two that lie around that place."""
    at = share * (len(chain) - 1)
    low = min(int(at + 1e-9), len(chain) - 1)
    rest = at - low
    if rest < 1e-6:
        return rotations[:, chain[low]]
    return between(rotations[:, chain[low]], rotations[:, chain[low + 1]], rest)


def _placed(
    motion: Motion,
    rotations: np.ndarray,
    joints: JointMap,
    target: Target,
    axes: Axes,
    alignment: Alignment | None,
    options: RetargetOptions,
) -> Retargeted:
    """Path, feet and ground; then the pose sequence and its report."""
    _, source = motion.global_pose()
    scale = target.leg_length() / _leg_length(motion, joints)
    if alignment is None:
        scale = 1.0
    wanted = {name: scale * source[:, index] for name, index in joints.joints.items()}
    toes = {side: wanted.get(f"{side}_foot", wanted[f"{side}_ankle"]) for side in SIDES}
    stands = {side: standing(wanted[f"{side}_ankle"], toes[side], motion.fps) for side in SIDES}
    corrections = dict.fromkeys(SIDES, 0.0)
    if alignment is None:
        pelvis = wanted["pelvis"]
    else:
        pelvis = _hips_on_hips(rotations, wanted, target)
        rotations, corrections = flatten_soles(rotations, target, stands)
        if options.feet == "reach":
            ankles = {side: wanted[f"{side}_ankle"] for side in SIDES}
            rotations = reach(rotations, pelvis, ankles, target)
    positions = target.positions(rotations, pelvis)
    shift = np.zeros(3)
    if options.ground and alignment is not None:
        soles = np.concatenate([target.sole_points(rotations, positions, side) for side in SIDES], 1)
        shift[1] = -ground_height(soles, stands["left"] | stands["right"])
    local = rotations.copy()
    for joint, parent in enumerate(target.parents):
        if parent >= 0:
            local[:, joint] = np.swapaxes(rotations[:, parent], -1, -2) @ rotations[:, joint]
    poses = PoseSequence(
        matrix_to_rotvec(local).astype(np.float32),
        (pelvis + shift - target.rest[0]).astype(np.float32),
        target.body,
        target.joint_set.name,
        betas=target.betas,
        fps=motion.fps,
        source=motion.source,
        up=(0.0, 1.0, 0.0),
    )
    report = measure(motion, joints, target, rotations, positions, scale, corrections)
    return Retargeted(checked(poses, motion.source), report, axes, joints, alignment)


def _leg_length(motion: Motion, joints: JointMap) -> float:
    points = motion.skeleton.rest()
    legs = [points[[joints.joints[f"{side}_{name}"] for name in LIMBS[:3]]] for side in SIDES]
    return float(np.mean([np.linalg.norm(np.diff(leg, axis=0), axis=1).sum() for leg in legs]))


def _hips_on_hips(rotations: np.ndarray, wanted: dict[str, np.ndarray], target: Target) -> np.ndarray:
    """Path (T, 3) of the pelvis that brings the middle of the hips onto that of the scaled source."""
    middle = target.place(["left_hip", "right_hip"]).mean(0) - target.rest[0]
    return (wanted["left_hip"] + wanted["right_hip"]) / 2 - rotations[:, 0] @ middle
