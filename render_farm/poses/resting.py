"""Bodies at rest on the plane y = 0: limbs that gravity lays down, limbs that stay out of trunk and head, a settled body.

All of this runs on a *proxy*, some 260 vertices skinned as the body is, so a block of frames costs a few milliseconds.
Bedding is soft and bodies are not: the body settles as a rigid thing does, onto the facet of its convex hull that carries
the centre of mass, and then sinks a few millimetres into the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from ...models.bodies.blocks import some_vertices
from ...models.bodies.body import Body
from ...models.bodies.skinning import SkinnedMesh, joint_transforms, skin
from .angles import COLUMN, HIGH, LOW, Plan, angles_to_pose, angles_to_rotations
from .postures import ARM, LEG

Floats = NDArray[np.float64]

# Mass of the segment that starts at each SMPL joint, share of the body: newborns, rounded, after Schneider and Zernicke
# (J Biomech 25:145, 1992: limbs) with head and neck 0.27 of the body; the rest is trunk.
_MASS = np.array(
    [0.11, 0.055, 0.055, 0.10, 0.031, 0.031, 0.11, 0.012, 0.012, 0.11, 0.004, 0.004, 0.02, 0.015, 0.015, 0.235, 0.024,
     0.024, 0.014, 0.014, 0.004, 0.004, 0.002, 0.002]
)  # fmt: skip
_HEAD, _CHEST, _BELLY = (15,), (6, 9, 13, 14), (0, 3)
# Joints whose depth beneath the skin is that of a COCO keypoint (column of Body.keypoint_depth).
_DEPTH = {18: 7, 19: 8, 20: 9, 21: 10, 4: 13, 5: 14, 7: 15, 8: 16}
_LIMBS = (("l_", (18, 20, 22)), ("r_", (19, 21, 23)), ("l_", (4, 7, 10)), ("r_", (5, 8, 11)))


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

    mesh: SkinnedMesh
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
        mesh=some_vertices(mesh, kept),
        owner=of_kept,
        trunk=np.isin(of_kept, (0, 3, 6, 9, 12, 13, 14, 15)),
        mass=mass / mass.sum(),
        radius=radius,
        blobs=blobs,
    )


def _kinematics(proxy: Proxy, betas: torch.Tensor, local: torch.Tensor) -> tuple[Floats, Floats]:
    """World rotations (B, 24, 3, 3) and joints (B, 24, 3) of local rotations (B, 24, 3, 3)."""
    rest = proxy.mesh.joints + (betas @ proxy.mesh.joint_shapedirs).view(len(betas), -1, 3)
    world, joints = joint_transforms(local, rest, proxy.mesh.parents)
    return world.double().numpy(), joints.double().numpy()


def _depth_in_blobs(proxy: Proxy, world: Floats, joints: Floats, points: Floats, radius: float) -> Floats:
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
    world, joints = _kinematics(proxy, betas.repeat_interleave(count, 0), local)
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
    relaxed = np.stack([plan.relaxed for plan in plans])
    vertices, _ = skin(proxy.mesh, betas, angles_to_pose(angles))
    height = np.einsum("bi,biv->bv", upright[:, 1], vertices.double().numpy())
    bed = np.where(proxy.trunk, height, np.inf).min(1)
    result = angles.copy()
    steps = np.linspace(-1, 1, 17)
    for stage, reach in (("first", 55.0), ("second", 60.0)):
        moved = np.repeat(result[:, None], len(steps), 1)
        for side in ("l_", "r_"):
            names = ("shoulder_plane", "hip_flex") if stage == "first" else ("shoulder_rot",)
            for name in names:
                column = COLUMN[side + name]
                moved[..., column] = np.clip(result[:, None, column] + reach * steps, LOW[column], HIGH[column])
        local = angles_to_rotations(moved).reshape(-1, 24, 3, 3)
        _, joints = _kinematics(proxy, betas.repeat_interleave(len(steps), 0), local)
        above = np.einsum("bi,bkji->bkj", upright[:, 1], joints.reshape(len(angles), len(steps), 24, 3))
        for limb, (side, chain) in enumerate(_LIMBS):
            if limb >= 2 and stage == "second":
                continue
            gap = (above[..., list(chain)] - proxy.radius[list(chain)]).min(-1) - bed[:, None]
            middle = gap[:, len(steps) // 2]
            effort = np.where(gap < -0.002, -4 * gap, gap) + 0.01 * np.abs(steps)
            best = np.argmin(effort, axis=1)
            turn = lying & (relaxed[:, limb] | (middle < -0.006))
            names = ("shoulder_plane" if stage == "first" else "shoulder_rot",) if limb < 2 else ("hip_flex",)
            for name in names:
                column = COLUMN[side + name]
                result[turn, column] = moved[turn, best[turn], column]
    return result


def settle(points: Floats, mass: Floats, limit: float) -> Floats:
    """Rotation (3, 3) by which a rigid body settles onto the plane beneath it.

    The hull is rolled from the facet that faces down most, over the edge beyond which the centre of mass projects, until
    a facet carries it; the height of the centre of mass falls with each roll.

    Args:
        points: (P, 3) world metres. mass: (P,) summing to one.
        limit: largest rotation in degrees; if settling needs more, the body stays on the first facet, held.
    """
    hull = ConvexHull(points)
    normals = hull.equations[:, :3]
    centre = mass @ points
    facet = first = int(normals[:, 1].argmin())
    for _ in range(60):
        shares = np.linalg.solve(_frame(points[hull.simplices[facet]], normals[facet]), np.append(centre, 1.0))
        if shares[:3].min() >= -1e-9:  # barycentric coordinates of the centre of mass, seen along the normal
            break
        facet = int(hull.neighbors[facet][shares[:3].argmin()])
    for candidate in (facet, first):
        rotation, angle = _to_down(normals[candidate])
        if angle <= limit:
            return rotation
    return np.eye(3)


def _frame(corners: Floats, normal: Floats) -> Floats:
    """(4, 4) matrix that makes a point of three barycentric coordinates (sum 1) and a distance along the normal."""
    frame = np.zeros((4, 4))
    frame[:3, :3], frame[:3, 3], frame[3, :3] = corners.T, normal, 1.0
    return frame


def turn_about(axis: Floats, angle: float) -> Floats:
    """Rotation matrix (3, 3) about a unit axis (Rodrigues), radians."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _to_down(normal: Floats) -> tuple[Floats, float]:
    """Smallest rotation that takes a unit vector to (0, -1, 0), and its angle in degrees."""
    axis = np.array([normal[2], 0.0, -normal[0]])  # normal x down
    sine, cosine = float(np.hypot(normal[0], normal[2])), float(-normal[1])
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0]), 0.0 if cosine > 0 else 180.0
    angle = float(np.arctan2(sine, cosine))
    return turn_about(axis / sine, angle), float(np.degrees(angle))


def stand(points: Floats, owner: NDArray[np.int64]) -> Floats:
    """Rotation (3, 3) about the front-back axis that brings the lowest points of both feet to one height."""
    left, right = points[np.isin(owner, (7, 10))], points[np.isin(owner, (8, 11))]
    a, b = left[np.argmin(left[:, 1])], right[np.argmin(right[:, 1])]
    across = a - b
    level = across * (1, 0, 1)
    if np.linalg.norm(level) < 0.02:
        return np.eye(3)
    axis = np.array([-across[2], 0.0, across[0]]) * np.sign(across[1] + 1e-12)  # across x level
    axis = axis / np.linalg.norm(axis)
    return turn_about(axis, min(np.arctan2(abs(across[1]), np.linalg.norm(level)), np.radians(20)))
