"""Rotations of many joints in numpy, without gradients, in the precision of what is given: what drawing scenes needs.

:mod:`.geometry` has the same for torch, differentiable; a test holds them together. Products of quaternions about
coordinate axes cost a third of those of matrices.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def vectors_to_matrices(vectors: Floats) -> Floats:
    """Rotation vectors (..., 3), radians, to matrices (..., 3, 3) that turn column vectors (Rodrigues)."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    angle = np.sqrt(x * x + y * y + z * z)
    half = np.sin(0.5 * angle) / np.maximum(angle, 1e-12)
    return quaternions_to_matrices((np.cos(0.5 * angle), x * half, y * half, z * half))


Quaternions = tuple[Floats, Floats, Floats, Floats]
"""Unit quaternions as arrays w, x, y, z of one shape."""


def about(axis: int, degrees: Floats) -> Quaternions:
    """Quaternions of right-handed turns about x (0), y (1) or z (2)."""
    half = np.radians(0.5) * degrees
    parts = [np.zeros_like(half)] * 3
    parts[axis] = np.sin(half)
    return (np.cos(half), *parts)  # type: ignore[return-value]


def then_about(first: Quaternions, axis: int, degrees: Floats) -> Quaternions:
    """``R(first) @ R(axis, degrees)``."""
    half = np.radians(0.5) * degrees
    c, s = np.cos(half), np.sin(half)
    w, *xyz = first
    a, b, d = xyz[axis], xyz[(axis + 1) % 3], xyz[(axis + 2) % 3]
    turned = [w, w, w]
    turned[axis] = a * c + w * s
    turned[(axis + 1) % 3] = b * c + d * s
    turned[(axis + 2) % 3] = d * c - b * s
    return (w * c - a * s, *turned)  # type: ignore[return-value]


def quaternions_to_matrices(quaternions: Quaternions) -> Floats:
    """Matrices (..., 3, 3) of unit quaternions."""
    w, x, y, z = quaternions
    result = np.empty((*w.shape, 3, 3), w.dtype)
    xx, yy, zz, xy, xz, yz = 2 * x * x, 2 * y * y, 2 * z * z, 2 * x * y, 2 * x * z, 2 * y * z
    wx, wy, wz = 2 * w * x, 2 * w * y, 2 * w * z
    result[..., 0, 0], result[..., 1, 1], result[..., 2, 2] = 1 - yy - zz, 1 - xx - zz, 1 - xx - yy
    result[..., 0, 1], result[..., 0, 2], result[..., 1, 2] = xy - wz, xz + wy, yz - wx
    result[..., 1, 0], result[..., 2, 0], result[..., 2, 1] = xy + wz, xz - wy, yz + wx
    return result


def quaternions_to_vectors(quaternions: Quaternions) -> Floats:
    """Rotation vectors (..., 3), of length at most pi, of unit quaternions."""
    w, x, y, z = quaternions
    sine = np.sqrt(x * x + y * y + z * z)
    angle = 2 * np.arctan2(sine, np.abs(w))
    scale = np.where(sine < 1e-8, 2.0, angle / np.maximum(sine, 1e-12)) * np.where(w < 0, -1.0, 1.0)
    return np.stack([x * scale, y * scale, z * scale], -1)


def level_turns(x: Floats, z: Floats, cosine: Floats, sine: Floats) -> Floats:
    """Matrices (..., 3, 3) of turns about level unit axes (x, 0, z)."""
    rest, turn = 1 - cosine, np.empty((*x.shape, 3, 3), np.result_type(x, cosine))
    turn[..., 0, 0], turn[..., 1, 1], turn[..., 2, 2] = cosine + x * x * rest, cosine, cosine + z * z * rest
    turn[..., 0, 2] = turn[..., 2, 0] = x * z * rest
    turn[..., 0, 1], turn[..., 1, 0] = -z * sine, z * sine
    turn[..., 1, 2], turn[..., 2, 1] = -x * sine, x * sine
    return turn


def chain(local: Floats, rest: Floats, parents: tuple[int, ...]) -> tuple[Floats, Floats]:
    """World rotations (B, J, 3, 3) and posed joints (B, J, 3), as :func:`.bodies.skinning.joint_transforms`.

    Args:
        local: (B, J, 3, 3) relative to the parent. rest: (B, J, 3) joints of the T-pose.
    """
    turns = np.ascontiguousarray(local.transpose(2, 3, 1, 0))  # (3, 3, J, B): whole arrays of one entry are contiguous
    bones = np.ascontiguousarray(rest.transpose(2, 1, 0))
    world, places = np.empty_like(turns), np.empty_like(bones)
    world[:, :, 0], places[:, 0] = turns[:, :, 0], bones[:, 0]
    for children, above in _levels(parents):
        over, own, bone = world[:, :, above], turns[:, :, children], bones[:, children] - bones[:, above]
        first, second, third = over[:, 0], over[:, 1], over[:, 2]
        world[:, :, children] = first[:, None] * own[0] + second[:, None] * own[1] + third[:, None] * own[2]
        places[:, children] = first * bone[0] + second * bone[1] + third * bone[2] + places[:, above]
    return world.transpose(3, 2, 0, 1), places.transpose(2, 1, 0)


@cache
def _levels(parents: tuple[int, ...]) -> tuple[tuple[list[int], list[int]], ...]:
    """Joints of each depth of the tree below the root, and their parents."""
    levels: list[tuple[list[int], list[int]]] = []
    above = [0]
    while children := [joint for joint, parent in enumerate(parents) if joint and parent in above]:
        levels.append((children, [parents[joint] for joint in children]))
        above = children
    return tuple(levels)


def cross(a: Floats, b: Floats) -> Floats:
    """Cross products of vectors (..., 3); numpy's own takes several times as long for few of them."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], -1)
