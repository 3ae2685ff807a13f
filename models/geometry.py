"""Rotations, cameras, projection and alignment.

Conventions: world Y up, metres. A camera has OpenCV axes (x right, y down, z forward) and maps
``X_cam = R @ X_world + t``. **Pixel centres lie at integer coordinates**: the top-left pixel covers
[-0.5, 0.5] x [-0.5, 0.5], and a centred principal point is ((W - 1) / 2, (H - 1) / 2). Rotation functions take torch
tensors and are differentiable (through roma); camera functions take numpy arrays and compute in float64 unless their
docstring says otherwise.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import roma
import torch

A = TypeVar("A", np.ndarray, torch.Tensor)


def axis_angle_to_matrix(axis_angle: torch.Tensor) -> torch.Tensor:
    """Rotation vectors (..., 3), radians, to matrices (..., 3, 3) that turn column vectors; safe gradient at zero.

    (0, 0, pi/2) takes +x to +y.
    """
    return roma.rotvec_to_rotmat(axis_angle)


def matrix_to_axis_angle(matrix: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (..., 3, 3) to rotation vectors (..., 3) of length at most pi."""
    return roma.rotmat_to_rotvec(matrix)


def axis_angle_to_quaternion(axis_angle: torch.Tensor) -> torch.Tensor:
    """Rotation vectors (..., 3) to unit quaternions (..., 4), order x, y, z, w."""
    return roma.rotvec_to_unitquat(axis_angle)


def quaternion_to_axis_angle(quaternion: torch.Tensor) -> torch.Tensor:
    """Unit quaternions (..., 4), order x, y, z, w, to rotation vectors (..., 3) of length at most pi."""
    return roma.unitquat_to_rotvec(quaternion)


def matrix_to_6d(matrix: torch.Tensor) -> torch.Tensor:
    """First two columns of rotation matrices (..., 3, 3) as (..., 3, 2) (Zhou et al. 2019, continuous form)."""
    return matrix[..., :2]


def matrix_from_6d(columns: torch.Tensor) -> torch.Tensor:
    """Two columns (..., 3, 2), which need not be orthonormal, to rotation matrices (..., 3, 3) by Gram-Schmidt."""
    return roma.special_gramschmidt(columns)


def axis_rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    """Right-handed rotations (..., 3, 3) about x (0), y (1) or z (2) by ``angle`` (...), radians; numpy."""
    angle = np.asarray(angle, np.float64)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*angle.shape, 3, 3))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., first, first] = matrix[..., second, second] = cosine
    matrix[..., first, second], matrix[..., second, first] = -sine, sine
    return matrix


def compose_axis_angle(second: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """Rotation vector of ``R(second) @ R(first)``, shapes (..., 3)."""
    return matrix_to_axis_angle(axis_angle_to_matrix(second) @ axis_angle_to_matrix(first))


def mirror_axis_angle(axis_angle: A) -> A:
    """Rotation vectors (..., 3) seen in a mirror that negates x; (x, y, z) becomes (x, -y, -z).

    For a whole pose also swap left and right joints (``JointSet.flip_permutation``). numpy or torch.
    """
    mirrored = axis_angle.clone() if isinstance(axis_angle, torch.Tensor) else axis_angle.copy()
    mirrored[..., 1:] = -mirrored[..., 1:]
    return mirrored


def look_at(
    eye: np.ndarray, target: np.ndarray, up: np.ndarray | tuple[float, float, float] = (0.0, 1.0, 0.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Extrinsics of a camera at ``eye`` that sees ``target`` in its centre, ``up`` pointing to the top of the picture.

    Args:
        eye: (3,) camera centre, world, metres.
        target: (3,) point looked at, world, metres.
        up: (3,) world direction, any length, not parallel to the view direction.

    Returns:
        R (3, 3) float64 and t (3,) float64 with ``X_cam = R @ X_world + t``. Eye (0, 0, 2), target the origin:
        R = diag(1, -1, -1), t = (0, 0, 2).

    Raises:
        ValueError: if eye and target coincide, or ``up`` is parallel to the view direction.
    """
    eye = np.asarray(eye, np.float64)
    forward = np.asarray(target, np.float64) - eye
    distance = np.linalg.norm(forward)
    if distance < 1e-12:
        raise ValueError(f"look_at: eye and target coincide at {eye.tolist()}; move one of them")
    forward /= distance
    up = np.asarray(up, np.float64)
    right = np.cross(forward, up)
    length = np.linalg.norm(right)
    if length < 1e-9 * np.linalg.norm(up) or length == 0:
        raise ValueError("look_at: 'up' is parallel to the view direction; give another up vector")
    right /= length
    rotation = np.stack([right, np.cross(forward, right), forward])
    return rotation, -rotation @ eye


def camera_matrix(focal: float | tuple[float, float], width: int, height: int) -> np.ndarray:
    """Intrinsics (3, 3) float64 of a camera with focal length in pixels (one, or fx and fy), principal point centred.

    The centre is ((W - 1) / 2, (H - 1) / 2), since pixel centres lie at integers.
    """
    fx, fy = (focal, focal) if isinstance(focal, int | float) else focal
    return np.array([[fx, 0, (width - 1) / 2], [0, fy, (height - 1) / 2], [0, 0, 1]], np.float64)


def focal_from_fov(fov_degrees: float, pixels: int) -> float:
    """Focal length in pixels of a camera that sees ``fov_degrees`` over ``pixels`` (both along one axis)."""
    return pixels / (2 * np.tan(np.radians(fov_degrees) / 2))


def world_to_camera(points: A, rotation: A, translation: A) -> A:
    """Points (..., 3), world, to the camera frame: ``R @ X + t``. numpy or torch, the dtype of the arguments."""
    return points @ rotation.T + translation


def camera_to_world(points: A, rotation: A, translation: A) -> A:
    """Inverse of :func:`world_to_camera`: ``R.T @ (X - t)``. numpy or torch."""
    return (points - translation) @ rotation


def project(points: A, camera: A) -> A:
    """Pinhole projection of camera-frame points (..., 3), metres, by ``camera`` (3, 3) to pixels (..., 2).

    u = fx X/Z + s Y/Z + cx, v = fy Y/Z + cy; pixel centres at integers. Points at or behind the camera (Z <= 0) give
    values without meaning: mask them by Z. numpy or torch, the dtype of the arguments.
    """
    homogeneous = points @ camera.T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def distort(rays: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Bend ideal image points as OpenCV's five-parameter lens does (Brown 1966; OpenCV's ``projectPoints``).

    With r² = x² + y²: x' = x (1 + k1 r² + k2 r⁴ + k3 r⁶) + 2 p1 x y + p2 (r² + 2 x²), and
    y' = y (1 + k1 r² + k2 r⁴ + k3 r⁶) + p1 (r² + 2 y²) + 2 p2 x y. Pixels are then ``K @ (x', y', 1)``.

    Args:
        rays: (..., 2) X/Z and Y/Z of camera-frame points. distortion: (5,) k1, k2, p1, p2, k3.
    """
    k1, k2, p1, p2, k3 = distortion
    x, y = rays[..., 0], rays[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], -1
    )


def unproject(pixels: A, depth: A, camera: A) -> A:
    """Pixels (..., 2) with camera depth Z (...,), metres, to camera-frame points (..., 3). numpy or torch.

    ``camera`` must have no skew.
    """
    x = (pixels[..., 0] - camera[0, 2]) / camera[0, 0] * depth
    y = (pixels[..., 1] - camera[1, 2]) / camera[1, 1] * depth
    if isinstance(pixels, torch.Tensor):
        return torch.stack([x, y, depth], -1)
    return np.stack([x, y, depth], -1)


def procrustes(source: np.ndarray, target: np.ndarray, scale: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Similarity transform that takes ``source`` nearest to ``target`` in least squares (Umeyama 1991).

    Args:
        source, target: (N, D) or (B, N, D) corresponding points; numpy, computed in float64.
        scale: solve for a scale as well; otherwise it is one.

    Returns:
        s (...), R (..., D, D) with determinant +1, t (..., D) with ``target ~ s * source @ R.T + t``.

    Raises:
        ValueError: for shapes that do not match, or a source whose points all coincide.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim < 2:
        raise ValueError(f"procrustes: shapes {source.shape} and {target.shape} must be equal (N, D) or (B, N, D)")
    mean_source, mean_target = source.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
    centred, wanted = source - mean_source, target - mean_target
    variance = (centred**2).sum((-2, -1))
    if np.any(variance == 0):
        raise ValueError("procrustes: all points of a source coincide; give at least two different points")
    u, singular, vt = np.linalg.svd(np.swapaxes(wanted, -1, -2) @ centred)
    signs = np.ones_like(singular)
    signs[..., -1] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * signs[..., None, :]) @ vt
    factor = (singular * signs).sum(-1) / variance if scale else np.ones_like(variance)
    moved = factor[..., None] * (rotation @ np.swapaxes(mean_source, -1, -2))[..., 0]
    return factor, rotation, mean_target[..., 0, :] - moved


def procrustes_align(source: np.ndarray, target: np.ndarray, scale: bool = True) -> np.ndarray:
    """``source`` (..., N, D) moved onto ``target`` by :func:`procrustes`; float64."""
    factor, rotation, translation = procrustes(source, target, scale)
    turned = np.asarray(source, np.float64) @ np.swapaxes(rotation, -1, -2)
    return factor[..., None, None] * turned + translation[..., None, :]
