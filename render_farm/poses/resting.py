"""Bodies at rest on the plane y = 0: limbs that gravity lays down, limbs that stay out of trunk and head, a settled body.

All of this runs on a *proxy*, some 260 vertices skinned as the body is, so a block of frames costs a few milliseconds.
Bedding is soft and bodies are not: the body settles as a rigid thing does (:mod:`.settling`), and then sinks a few
millimetres into the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.bodies.blocks import BlockedMesh, Skeleton, blocked, pose_joints, skin_blocks, some_vertices
from ...models.bodies.body import Body
from ...models.turns import level_turns, quaternions_to_matrices
from .angles import COLUMN, HIGH, LOW, Plan, angles_to_rotations, hip_turn, mirrored, shoulder_turn
from .postures import ARM, LEG

Floats = NDArray[np.float64]
AnyFloats = NDArray[np.floating]

# Mass of the segment that starts at each SMPL joint, share of the body: newborns, rounded, after Schneider and Zernicke
# (J Biomech 25:145, 1992: limbs) with head and neck 0.27 of the body; the rest is trunk.
_MASS = np.array(
    [0.11, 0.055, 0.055, 0.10, 0.031, 0.031, 0.11, 0.012, 0.012, 0.11, 0.004, 0.004, 0.02, 0.015, 0.015, 0.235, 0.024,
     0.024, 0.014, 0.014, 0.004, 0.004, 0.002, 0.002]
)  # fmt: skip
_HEAD, _CHEST, _BELLY = (15,), (6, 9, 13, 14), (0, 3)
# Joints whose depth beneath the skin is that of a COCO keypoint (column of Body.keypoint_depth).
_DEPTH = {18: 7, 19: 8, 20: 9, 21: 10, 4: 13, 5: 14, 7: 15, 8: 16}
_LIMBS = ((18, 20, 22), (19, 21, 23), (4, 7, 10), (5, 8, 11))
_STEPS = np.linspace(-1, 1, 17)
# Angles of arms and of legs that gravity turns, one after the other, and how far in degrees.
_TURNS = ((("shoulder_plane", 55.0), ("shoulder_rot", 60.0)), (("hip_flex", 55.0),))


@dataclass(frozen=True)
class Proxy:
    """A thinned body.

    Attributes:
        mesh: the kept vertices (P of them), skinned as the body.
        owner: (P,) joint that dominates each.
        trunk: (P,) bool, vertices of trunk, neck and head.
        mass: (P,) share of the mass at each vertex, sums to 1.
        radius: (24,) depth of each joint beneath the skin, metres.
        blobs: joint -> (centre offset (3,), half axes (3,)) in the joint's axes: head, chest and belly as ellipsoids.
    """

    mesh: BlockedMesh
    owner: NDArray[np.int64]
    trunk: NDArray[np.bool_]
    mass: Floats
    radius: Floats
    blobs: dict[int, tuple[Floats, Floats]]


def _spread(points: Floats, count: int) -> NDArray[np.int64]:
    """Indices of ``count`` points far from each other, the farthest from the mean first."""
    if len(points) <= count:
        return np.arange(len(points))
    chosen = [int(np.argmax(((points - points.mean(0)) ** 2).sum(1)))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(1)
    for _ in range(count - 1):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
    return np.array(chosen)


def build_proxy(body: Body, per_joint: int = 11) -> Proxy:
    """Thin a body to ``per_joint`` vertices for each joint, chosen far from each other."""
    owner = np.argmax(body.weights, axis=1)
    template = body.template.astype(np.float64)
    kept = np.concatenate(
        [np.flatnonzero(owner == j)[_spread(template[owner == j], per_joint)] for j in range(24) if np.any(owner == j)]
    )
    mesh = body.mesh
    joints = mesh.joints.double().numpy()
    radius = np.full(24, 0.012)
    for joint, column in _DEPTH.items():
        radius[joint] = body.keypoint_depth[column]
    blobs = {}
    for joint, parts in ((15, _HEAD), (9, _CHEST), (3, _BELLY)):
        points = template[np.isin(owner, parts)]
        low, high = np.quantile(points, 0.03, axis=0), np.quantile(points, 0.97, axis=0)
        blobs[joint] = ((low + high) / 2 - joints[joint], (high - low) / 2)
    of_kept = owner[kept]
    mass = _MASS[of_kept] / np.bincount(of_kept, minlength=24)[of_kept]
    return Proxy(
        mesh=blocked(some_vertices(mesh, kept)),
        owner=of_kept,
        trunk=np.isin(of_kept, (0, 3, 6, 9, 12, 13, 14, 15)),
        mass=mass / mass.sum(),
        radius=radius,
        blobs=blobs,
    )


def _depth_in_blobs(proxy: Proxy, world: AnyFloats, joints: AnyFloats, points: AnyFloats, radius: float) -> Floats:
    """How deep points (B, N, 3) lie inside head, chest and belly: (B,), 0 for clear, 1 for a point in a centre."""
    worst = np.zeros(len(points))
    for joint, (offset, axes) in proxy.blobs.items():
        turn = world[:, joint]
        local = np.einsum("bij,bni->bnj", turn, points - joints[:, None, joint]) - offset
        distance = np.sqrt((((local) / (axes + radius)) ** 2).sum(-1)).min(1)
        worst = np.maximum(worst, 1 - distance)
    return np.maximum(worst, 0)


def pick_candidates(proxy: Proxy, betas: torch.Tensor, angles: Floats) -> Floats:
    """Choose for each limb the first of its candidates that stays out of trunk and head, else the least bad one.

    Args:
        betas: (B, N). angles: (B, K, 40) degrees, trunk and head equal over K.

    Returns:
        (B, 40) degrees.
    """
    batch, count, _ = angles.shape
    local = angles_to_rotations(angles).reshape(batch * count, 24, 3, 3)
    posed = pose_joints(proxy.mesh.mesh, betas.repeat_interleave(count, 0), local)
    world, joints = posed.world, posed.joints
    chosen = angles[:, 0].copy()
    frames = np.arange(batch)

    def keep(prefix: str, names: tuple[str, ...], penalty: Floats) -> None:
        penalty = penalty.reshape(batch, count)
        clear = penalty <= 0.02
        best = np.where(clear.any(1), np.argmax(clear, axis=1), np.argmin(penalty, axis=1))
        columns = [COLUMN[prefix + name] for name in names]
        chosen[:, columns] = angles[frames, best][:, columns]

    for prefix, (elbow, wrist, hand) in (("l_", (18, 20, 22)), ("r_", (19, 21, 23))):
        tip = joints[:, hand] + 0.7 * (joints[:, hand] - joints[:, wrist])
        line = [0.5 * (joints[:, elbow] + joints[:, wrist]), joints[:, wrist], joints[:, hand], tip]
        keep(prefix, ARM, _depth_in_blobs(proxy, world, joints, np.stack(line, 1), float(proxy.radius[wrist])))
    legs = np.zeros(batch * count)
    for a in (4, 7, 10):
        for b in (5, 8, 11):
            room = proxy.radius[a] + proxy.radius[b]
            gap = np.linalg.norm(joints[:, a] - joints[:, b], axis=1) - room
            legs = np.maximum(legs, -gap / room)
    shins = np.stack([0.5 * (joints[:, a] + joints[:, b]) for a, b in ((4, 7), (5, 8))], 1)
    room = 2 * proxy.radius[4]
    legs = np.maximum(legs, 1 - np.linalg.norm(shins[:, 0] - shins[:, 1], axis=1) / room)
    knees = _depth_in_blobs(proxy, world, joints, joints[:, (4, 5)], 0.4 * float(proxy.radius[4]))
    for prefix in ("l_", "r_"):
        keep(prefix, LEG, np.maximum(legs, knees))
    return chosen


def lay_down(proxy: Proxy, betas: torch.Tensor, angles: Floats, plans: list[Plan], upright: Floats) -> Floats:
    """Let gravity turn limbs until they meet the bed, within the joint limits.

    Arms turn in the plane of elevation, then about themselves; legs in flexion. Limbs that are not relaxed move only
    if they would reach through the bed. Only postures that lie or sit do anything here.

    Args:
        angles: (B, 40) degrees. upright: (B, 3, 3) nominal orientations, body to world.

    Returns:
        (B, 40) degrees.
    """
    lying = np.array([plan.table.lying or plan.table.seated for plan in plans])
    if not lying.any():
        return angles
    relaxed, up = np.stack([plan.relaxed for plan in plans]), upright[:, 1]
    skeleton = pose_joints(proxy.mesh.mesh, betas, angles_to_rotations(angles))
    height = np.einsum("bi,bvi->bv", up, skin_blocks(proxy.mesh, skeleton, betas).numpy())
    bed = np.where(proxy.trunk, height, np.inf).min(1)
    result = angles.copy()
    for limb, chain in enumerate(_LIMBS):
        for moving, reach in _TURNS[limb // 2]:
            steps, heights = _swept(proxy, skeleton, result, limb, moving, reach, up)
            gap = (heights - proxy.radius[list(chain)]).min(-1) - bed[:, None]
            middle = gap[:, len(_STEPS) // 2]
            effort = np.where(gap < -0.002, -4 * gap, gap) + 0.01 * np.abs(_STEPS)
            turn = lying & (relaxed[:, limb] | (middle < -0.006))
            result[turn, COLUMN["lr"[limb % 2] + "_" + moving]] = steps[turn, effort.argmin(1)[turn]]
    return result


def _swept(
    proxy: Proxy, skeleton: Skeleton, angles: Floats, limb: int, moving: str, reach: float, up: Floats
) -> tuple[Floats, Floats]:
    """One angle ``moving`` of a limb in steps (B, S) of up to ``reach`` degrees, and the heights (B, S, C) of its joints.

    Shoulder or hip turn the rest of the limb as one piece, which alone is looked at.
    """
    side, chain, root = "lr"[limb % 2], list(_LIMBS[limb]), (16, 17, 1, 2)[limb]
    names = ("shoulder_plane", "shoulder_elev", "shoulder_rot") if limb < 2 else ("hip_flex", "hip_abd", "hip_rot")
    columns = {name: COLUMN[f"{side}_{name}"] for name in names}
    angle = {name: angles[:, None, column] for name, column in columns.items()}
    own = columns[moving]
    steps = angle[moving] = np.clip(angle[moving] + reach * _STEPS, LOW[own], HIGH[own])
    turn = (shoulder_turn if limb < 2 else hip_turn)(*np.broadcast_arrays(*angle.values()))
    turns = quaternions_to_matrices(mirrored(turn) if side == "r" else turn)  # (B, S, 3, 3)
    joints, world = skeleton.joints, skeleton.world
    beyond = (joints[:, chain] - joints[:, root, None]) @ world[:, root]  # (B, C, 3) in the axes of shoulder or hip
    above = up[:, None] @ world[:, proxy.mesh.mesh.parents[root]]  # (B, 1, 3)
    base = np.einsum("bi,bi->b", up, joints[:, root])
    rows = (above[:, None] @ turns)[:, :, 0]  # (B, S, 3)
    return steps, base[:, None, None] + rows @ beyond.transpose(0, 2, 1)


def turn_about(axis: Floats, angle: float) -> Floats:
    """Rotation matrix (3, 3) about a unit axis (Rodrigues), radians."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def stand(points: Floats, owner: NDArray[np.int64]) -> Floats:
    """Rotations (B, 3, 3) about the front-back axis that bring the lowest points of both feet to one height.

    Args:
        points: (B, P, 3) world metres. owner: (P,) joint that each rides on.
    """
    rows, lowest = np.arange(len(points)), []
    for foot in ((7, 10), (8, 11)):
        own = points[:, np.isin(owner, foot)]
        lowest.append(own[rows, own[..., 1].argmin(1)])
    x, y, z = (lowest[0] - lowest[1]).T
    flat = np.hypot(x, z)
    angle = np.where(flat < 0.02, 0.0, np.minimum(np.arctan2(np.abs(y), flat), np.radians(20)))
    across = np.where(y < 0, -1.0, 1.0) / np.maximum(flat, 1e-9)
    return np.asarray(level_turns(-z * across, x * across, np.cos(angle), np.sin(angle)), np.float64)
