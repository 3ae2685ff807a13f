"""A body's skinning folded into the points of a joint set: sums over vertices taken once. See :mod:`.kinematics`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...models.bodies.body import Body


@dataclass(frozen=True)
class PointModel:
    """The folded body; K points, J joints, n pairs (point, joint), N betas, P pose features.

    Attributes:
        parents: of each joint; above: the same as a tensor, the root's own at the root.
        levels: joints by depth in the tree and their parents, the root's level left out.
        rest: (3J,) joints of the template; rest_shape: (N, 3J); shares of the betas.
        local: (3n,), local_shape: (N, 3n), local_pose: (P, 3n): A, B and C, metres.
        features: (P,) which of the 9 (J - 1) pose features; pair_joint: (n,).
        gather: (K, n) which pairs belong to a point; mass: (K, J) m; total: (K,) its sum.
        below: (J, J) one where the column's joint hangs on the row's (or is it).
        shape_fold: (3J, K N) and shape_root: (3, K, N): the derivative by the betas is the product of the world rotations
            with the one, plus the other.
        present: (K,) bool, points that the body has. names: of the points.
        points: number of keypoints; rows beyond are extra points made of joints, such as spheres.
    """

    parents: tuple[int, ...]
    levels: tuple[tuple[Tensor, Tensor], ...]
    above: Tensor
    rest: Tensor
    rest_shape: Tensor
    local: Tensor
    local_shape: Tensor
    local_pose: Tensor
    features: Tensor
    pair_joint: Tensor
    gather: Tensor
    mass: Tensor
    total: Tensor
    below: Tensor
    shape_fold: Tensor
    shape_root: Tensor
    present: Tensor
    names: tuple[str, ...]
    points: int

    @property
    def betas(self) -> int:
        """Number of betas."""
        return self.rest_shape.shape[0]


def fold(
    body: Body,
    joint_set: str,
    device: torch.device | str,
    dtype: torch.dtype = torch.float64,
    extra: np.ndarray | None = None,
) -> PointModel:
    """Fold a body's skinning into the points of a joint set; points that the body lacks are not ``present``.

    ``extra`` (S, J) are weights of posed joints that make further points.
    """
    weights = body.point_weights(joint_set, allow_missing=True)
    mesh, joints = body.mesh, body.joint_count
    regressor, direct = weights.vertices.double().cpu().numpy(), weights.joints.double().cpu().numpy()
    if extra is not None:
        regressor = np.concatenate([regressor, np.zeros((len(extra), regressor.shape[1]))])
        direct = np.concatenate([direct, extra])
    used = np.flatnonzero(np.abs(regressor).sum(0) > 0)
    count = len(body.template)
    planes = np.concatenate([used, used + count, used + 2 * count])

    def by_vertex(tensor: Tensor) -> np.ndarray:  # (rows, 3V) -> (rows, U, 3)
        return tensor.double().cpu().numpy()[:, planes].reshape(len(tensor), 3, -1).transpose(0, 2, 1)

    template = by_vertex(mesh.template[None])[0]
    shapes, poses = by_vertex(mesh.shapedirs[: body.num_betas]), by_vertex(mesh.posedirs)
    rest = mesh.joints.double().cpu().numpy()
    rest_shape = mesh.joint_shapedirs[: body.num_betas].double().cpu().numpy().reshape(body.num_betas, joints, 3)
    blend = regressor[:, None, used] * mesh.weights.double().cpu().numpy()[None, :, used]  # (K, J, U)
    points, owners = np.nonzero(np.abs(blend).sum(-1) > 0)
    rows = blend[points, owners]  # (n, U)
    share = rows.sum(-1)
    local = rows @ template - share[:, None] * rest[owners]
    local_shape = np.einsum("nu,bux->bnx", rows, shapes, optimize=True) - share[:, None] * rest_shape[:, owners]
    local_pose = np.einsum("nu,pux->pnx", rows, poses, optimize=True)
    mass = blend.sum(-1) + direct
    below = _below(body.parents)

    shape_fold, shape_root = _fold_shape(body.parents, rest_shape, mass @ below.T, local_shape, points, owners)

    def tensor(array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=dtype, device=device)

    depth = [0] * joints
    for joint, parent in enumerate(body.parents[1:], start=1):
        depth[joint] = depth[parent] + 1
    above = torch.tensor([max(parent, 0) for parent in body.parents], device=device)
    by_depth = [
        torch.tensor([j for j in range(joints) if depth[j] == k], device=device) for k in range(1, max(depth) + 1)
    ]
    levels = tuple((level, above[level]) for level in by_depth)
    return PointModel(
        parents=tuple(body.parents),
        levels=levels,
        above=above,
        rest=tensor(rest.reshape(-1)),
        rest_shape=tensor(rest_shape.reshape(body.num_betas, -1)),
        local=tensor(local.reshape(-1)),
        local_shape=tensor(local_shape.reshape(body.num_betas, -1)),
        local_pose=tensor(local_pose.reshape(len(poses), -1)),
        features=mesh.pose_features.to(device),
        pair_joint=torch.as_tensor(owners, device=device),
        gather=tensor((points[None] == np.arange(len(mass))[:, None]).astype(np.float64)),
        mass=tensor(mass),
        total=tensor(mass.sum(1)),
        below=tensor(below),
        shape_fold=tensor(shape_fold),
        shape_root=tensor(shape_root),
        present=torch.tensor([name not in weights.missing for name in weights.names], device=device),
        names=weights.names,
        points=len(weights.names),
    )


def _fold_shape(
    parents: tuple[int, ...],
    rest_shape: np.ndarray,
    along: np.ndarray,
    local_shape: np.ndarray,
    points: np.ndarray,
    owners: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """See :class:`PointModel`. Bones turn with their parent, what is skinned to a joint with the joint, the root not at all.

    Args:
        rest_shape: (N, J, 3). along: (K, J) share of the bone that ends in a joint in a point. local_shape: (N, n, 3).
        points, owners: (n,) of the pairs.
    """
    count, joints, _ = rest_shape.shape
    folded = np.zeros((joints, 3, len(along), count))
    for child, parent in enumerate(parents[1:], start=1):
        bone = (rest_shape[:, child] - rest_shape[:, parent]).T  # (3, N)
        folded[parent] += along[None, :, child, None] * bone[:, None]
    for number, (owner, point) in enumerate(zip(owners.tolist(), points.tolist(), strict=True)):
        folded[owner, :, point] += local_shape[:, number].T
    root = along[None, :, 0, None] * rest_shape[:, 0].T[:, None]
    return folded.reshape(3 * joints, -1), root


def _below(parents: tuple[int, ...]) -> np.ndarray:
    below = np.eye(len(parents))
    for joint in range(len(parents) - 1, 0, -1):
        below[parents[joint]] += below[joint]
    return below
