"""Rotations as numpy matrices in float64: what the readers and the retargeting need, vectorised over frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...models.geometry import axis_rotation

AXES = "XYZ"


def euler_to_matrix(angles: np.ndarray, order: str) -> np.ndarray:
    """Intrinsic Euler angles (..., n), radians, to matrices: "ZYX" with (a, b, c) gives Rz(a) @ Ry(b) @ Rx(c).

    This is how BVH channels read from left to right. ``order`` has one letter an angle, so any subset works:
    "" gives the identity and "Y" one turn.
    """
    angles = np.asarray(angles, np.float64)
    result = np.broadcast_to(np.eye(3), (*angles.shape[:-1], 3, 3)).copy()
    for place, letter in enumerate(order):
        result = result @ axis_rotation(AXES.index(letter), angles[..., place])
    return result


def matrix_to_euler(matrix: np.ndarray, order: str = "ZYX") -> np.ndarray:
    """Inverse of :func:`euler_to_matrix` for three different letters, (..., 3) radians.

    At the pole (middle angle +-90 degrees) the third angle is taken as zero.
    """
    i, j, k = (AXES.index(letter) for letter in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    middle = np.arctan2(sign * matrix[..., i, k], np.hypot(matrix[..., i, i], matrix[..., i, j]))
    first = np.arctan2(-sign * matrix[..., j, k], matrix[..., k, k])
    third = np.arctan2(-sign * matrix[..., i, j], matrix[..., i, i])
    pole = np.hypot(matrix[..., i, i], matrix[..., i, j]) < 1e-9
    first = np.where(pole, np.arctan2(sign * matrix[..., k, j], matrix[..., j, j]), first)
    third = np.where(pole, 0.0, third)
    return np.stack([first, middle, third], -1)


def rotvec_to_matrix(rotvec: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3), radians, to matrices (..., 3, 3) (Rodrigues' formula)."""
    rotvec = np.asarray(rotvec, np.float64)
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    cross = skew(rotvec)
    # sin(a)/a and (1 - cos(a))/a^2 without division by zero; np.sinc(x) is sin(pi x)/(pi x).
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * (cross @ cross)


def matrix_to_rotvec(matrix: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) to rotation vectors (..., 3) of length at most pi, exact near 0 and near pi.

    Through the unit quaternion whose largest component is found first (Shepperd 1978).
    """
    quaternion = matrix_to_quaternion(matrix)
    vector = quaternion[..., 1:]
    sine = np.linalg.norm(vector, axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., :1])
    return np.where(sine > 1e-12, vector * (angle / np.maximum(sine, 1e-300)), 2 * vector)


def matrix_to_quaternion(matrix: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) to unit quaternions (..., 4), order w, x, y, z, w not negative."""
    m = np.asarray(matrix, np.float64)
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    # Row r of `products` is q_r times (w, x, y, z), up to the factor 4.
    products = np.empty((*m.shape[:-2], 4, 4))
    for r in range(3):
        products[..., r + 1, r + 1] = 1 - trace + 2 * m[..., r, r]
        a, b = (r + 1) % 3, (r + 2) % 3
        products[..., 0, r + 1] = products[..., r + 1, 0] = m[..., b, a] - m[..., a, b]
        products[..., a + 1, b + 1] = products[..., b + 1, a + 1] = m[..., a, b] + m[..., b, a]
    products[..., 0, 0] = 1 + trace
    largest = np.argmax(np.diagonal(products, axis1=-2, axis2=-1), -1)[..., None, None]
    quaternion = np.take_along_axis(products, largest, -2)[..., 0, :]
    quaternion = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return np.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def global_rotations(pose: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """Rotations (T, J, 3, 3) in the world of an axis-angle pose (T, J, 3), parents before children."""
    rotations = rotvec_to_matrix(pose)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            rotations[:, joint] = rotations[:, parent] @ rotations[:, joint]
    return rotations


def skew(vector: np.ndarray) -> np.ndarray:
    """Cross-product matrices (..., 3, 3) of vectors (..., 3)."""
    matrix = np.zeros((*vector.shape[:-1], 3, 3))
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    matrix[..., 0, 1], matrix[..., 0, 2], matrix[..., 1, 2] = -z, y, -x
    matrix[..., 1, 0], matrix[..., 2, 0], matrix[..., 2, 1] = z, -y, x
    return matrix


def shortest_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) by the smallest angle that take directions ``start`` (..., 3) to ``end`` (..., 3).

    Opposite directions turn by pi about some axis across them. Lengths do not matter but must not be zero.
    """
    a, b = unit(start), unit(end)
    cross, cosine = np.cross(a, b), (a * b).sum(-1)[..., None, None]
    k = skew(cross)
    plain = np.eye(3) + k + k @ k / np.maximum(1 + cosine, 1e-12)
    across = unit(np.cross(a, np.eye(3)[np.abs(a).argmin(-1)]))
    half_turn = 2 * across[..., :, None] * across[..., None, :] - np.eye(3)
    return np.where(cosine < -1 + 1e-9, half_turn, plain)


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The rotation a ``share`` (0 to 1) of the way from matrices ``first`` to ``second`` (..., 3, 3), along the geodesic."""
    if share in (0.0, 1.0):
        return second if share else first
    return first @ rotvec_to_matrix(share * matrix_to_rotvec(np.swapaxes(first, -1, -2) @ second))


def twist_angle(matrix: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Angle (...) in (-pi, pi] of the twist about unit ``axis`` (3,) in rotations (..., 3, 3) = swing @ twist."""
    quaternion = matrix_to_quaternion(matrix)
    angle = 2 * np.arctan2((quaternion[..., 1:] * axis).sum(-1), quaternion[..., 0])
    return (angle + np.pi) % (2 * np.pi) - np.pi


def angle_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angle (...) in radians between directions (..., 3)."""
    return np.arctan2(np.linalg.norm(np.cross(first, second), axis=-1), (first * second).sum(-1))


def geodesic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angle (...) in radians of the rotation between matrices (..., 3, 3)."""
    return np.linalg.norm(matrix_to_rotvec(np.swapaxes(first, -1, -2) @ second), axis=-1)


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) at length one; zero stays zero."""
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-300)
