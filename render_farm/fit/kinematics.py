"""Keypoints of a posed body, and their derivatives, without skinning its mesh.

A joint set's points are linear in the vertices and posed joints. Linear blend skinning (Loper et al. 2015) is a sum over
joints, so the sum over vertices can be taken once per body. With world rotation ``G_j``, posed joint ``x_j`` and pose
features ``f`` (entries of ``R - 1``), point k is exactly

    p_k = sum_j [ G_j (A_kj + B_kj betas + C_kj f) + m_kj x_j ] + m_k transl,

a few pairs (k, j) a point in place of thousands of vertices. Turning joint a by a small world rotation w moves it by
``w x r_ka``, where the arm ``r_ka`` gathers what hangs on a. The change of the pose correctives ``C f`` is neglected in
derivatives (it is 0.2 % of them in the open infant). Rotations of joints are axis-angle; their derivative passes through the
right Jacobian of SO(3), so that priors stay linear in the unknowns. The global orientation moves by right-multiplied
rotation vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .folding import PointModel


def exponential(turn: Tensor, derivative: bool = False) -> tuple[Tensor, Tensor]:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3), and right Jacobians (or the matrices again).

    ``exp(v + d) = exp(v) exp(Jr(v) d)`` to first order.
    """
    square = (turn * turn).sum(-1)[..., None, None].clamp_min(1e-16)
    angle = square.sqrt()
    x, y, z = turn.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    twice = turn[..., :, None] * turn[..., None, :] - square * _eye(turn)
    sine = angle.sin() / angle
    versed = 2 * (angle / 2).sin() ** 2 / square
    matrix = _eye(turn) + sine * skew + versed * twice
    if not derivative:
        return matrix, matrix
    third = torch.where(angle < 1e-3, 1 / 6 - square / 120, (1 - sine) / square)
    return matrix, _eye(turn) - versed * skew + third * twice


def _eye(like: Tensor) -> Tensor:
    return torch.eye(3, dtype=like.dtype, device=like.device)


@dataclass(frozen=True)
class Posed:
    """Posed points, in the camera frame, metres, and their derivatives.

    Attributes:
        points: (M, K, 3). joints: (M, J, 3). world: (M, J, 3, 3) rotations.
        turns: (M, K, 3, 3A) by the joints asked for; shapes: (M, K, 3, N) by the betas; empty without derivatives.
    """

    points: Tensor
    joints: Tensor
    world: Tensor
    turns: Tensor
    shapes: Tensor


def pose_points(
    model: PointModel,
    root: Tensor,
    pose: Tensor,
    betas: Tensor,
    transl: Tensor,
    active: Tensor | None = None,
) -> Posed:
    """Points of posed bodies.

    Args:
        root: (M, 3, 3) global orientation. pose: (M, J - 1, 3) axis-angle of the other joints.
        betas: (M, N). transl: (M, 3) metres.
        active: (A,) joints to differentiate by, the root (0) first; None: no derivatives.
    """
    size, joints = len(root), len(model.parents)
    local_turns, jacobians = exponential(pose, derivative=active is not None)
    rest = (model.rest + betas @ model.rest_shape).view(size, joints, 3)
    world, places = _chain(model, root, local_turns, rest)
    features = (local_turns - _eye(pose)).reshape(size, -1)[:, model.features]
    local = torch.addmm(torch.addmm(model.local, betas, model.local_shape), features, model.local_pose).view(
        size, -1, 3
    )
    turned = (world[:, model.pair_joint] * local.unsqueeze(-2)).sum(-1)  # (M, n, 3)
    sums = _mix(torch.cat([turned, places], 1), torch.cat([model.gather, model.mass], 1)).transpose(1, 2)
    points = sums + model.total[:, None] * transl[:, None]
    moved = places + transl[:, None]
    if active is None:
        empty = points.new_zeros(0)
        return Posed(points, moved, world, empty, empty)
    turns = _by_turns(model, world, places, turned, jacobians, active)
    return Posed(points, moved, world, turns, _by_shape(model, world))


def _chain(model: PointModel, root: Tensor, turns: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """World rotations (M, J, 3, 3) and posed joints (M, J, 3), level by level of the tree."""
    world = rest.new_empty(*rest.shape[:2], 3, 3)
    places = torch.empty_like(rest)
    world[:, 0], places[:, 0] = root, rest[:, 0]
    for level, parents in model.levels:
        above = world[:, parents]
        world[:, level] = above @ turns[:, level - 1]
        bones = (rest[:, level] - rest[:, parents]).unsqueeze(-1)
        places[:, level] = places[:, parents] + (above @ bones).squeeze(-1)
    return world, places


def _by_turns(
    model: PointModel, world: Tensor, places: Tensor, turned: Tensor, jacobians: Tensor, active: Tensor
) -> Tensor:
    """Derivative (M, K, 3, 3A) by axis-angles of the active joints: axis x arm."""
    below = model.below[active]  # (A, J)
    count, ways = len(model.mass), len(active)
    reach = below[None] * model.mass[:, None]  # (K, A, J): share of each joint in a point, of those below a
    reach = reach - reach.sum(-1, keepdim=True) * torch.nn.functional.one_hot(active, len(model.parents))
    pairs = model.gather[:, None] * below[:, model.pair_joint][None]  # (K, A, n)
    gathered = torch.cat([reach, pairs], -1).view(count * ways, -1)
    arms = _mix(torch.cat([places, turned], 1), gathered).view(-1, 3, count, ways, 1)
    axes = world[:, active].clone()
    axes[:, 1:] = axes[:, 1:] @ jacobians[:, active[1:] - 1]
    x, y, z = arms.unbind(1)  # (M, K, A, 1)
    u, v, w = axes.unsqueeze(1).unbind(-2)  # rows of the axes: (M, 1, A, 3)
    crossed = torch.stack([v * z - w * y, w * x - u * z, u * y - v * x], 2)  # (M, K, 3, A, 3)
    return crossed.flatten(-2)


def _mix(vectors: Tensor, rows: Tensor) -> Tensor:
    """Sums of vectors (M, n, 3) by rows of weights (k, n), as planes (M, 3, k): one matrix product."""
    return (vectors.transpose(1, 2).reshape(-1, vectors.shape[1]) @ rows.T).view(len(vectors), 3, -1)


def _by_shape(model: PointModel, world: Tensor) -> Tensor:
    """Derivative (M, K, 3, N) by the betas: linear in the world rotations."""
    size, joints, count = len(world), len(model.parents), model.betas
    flat = world.transpose(1, 2).reshape(3 * size, 3 * joints)  # rows (M, i), columns (j, c)
    moved = (flat @ model.shape_fold).view(size, 3, len(model.mass), count) + model.shape_root
    return moved.transpose(1, 2)
