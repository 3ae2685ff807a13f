"""Cameras of previews: a direction, framed so that nothing is ever cropped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...config import UserError, nearest
from ...models.geometry import camera_matrix
from ..scenes.scene import Camera

Floats = NDArray[np.float64]
View = str | tuple[float, float] | Camera
"""A name of :data:`VIEWS`, (azimuth, elevation) in degrees, or a camera."""

VIEWS: dict[str, tuple[float, float]] = {
    "front": (0.0, 6.0),
    "three-quarter": (35.0, 10.0),
    "side": (90.0, 6.0),
    "back": (180.0, 6.0),
    "above": (0.0, 60.0),
}
"""Azimuth about +Y (0 faces the body's front, 90 its left side) and elevation of the camera, degrees."""
FOV = 18.0
"""Of the longer side, degrees: a long lens, which distorts proportions little."""


def direction(view: str | tuple[float, float]) -> tuple[float, float]:
    """Azimuth and elevation in degrees of a view.

    Raises:
        UserError: for an unknown name.
    """
    if isinstance(view, str):
        if view not in VIEWS:
            raise UserError(f"unknown view '{view}': {nearest(view, VIEWS)} (or give azimuth and elevation)")
        return VIEWS[view]
    return float(view[0]), float(view[1])


def rotation_from(azimuth: float, elevation: float) -> Floats:
    """World-to-camera rotation (3, 3), OpenCV axes, of a camera that looks back along a direction; degrees."""
    a, e = np.radians([azimuth, elevation])
    forward = -np.array([np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)])
    right = np.array([np.cos(a), 0.0, -np.sin(a)])
    return np.stack([right, np.cross(forward, right), forward])


def frame_points(
    points: NDArray[np.floating],
    view: str | tuple[float, float],
    width: int,
    height: int,
    margin: float = 0.06,
    fov: float = FOV,
) -> Camera:
    """The nearest camera that sees all points within the picture less a margin; exact, in closed form.

    With half angles a, b of the picture and q = R x, all points are inside where ``|q_x + t_x| <= a (q_z + t_z)`` and the
    same for y: four linear bounds whose tightest points give t.

    Args:
        points: (P, 3) metres, world. margin: share of the shorter side left free on every side.
        fov: of the longer side, degrees.
    """
    rotation = rotation_from(*direction(view))
    focal = 0.5 * max(width, height) / np.tan(np.radians(fov) / 2)
    free = margin * min(width, height)
    q = np.asarray(points, np.float64).reshape(-1, 3) @ rotation.T
    depth, shift = 0.0, np.zeros(2)
    for axis, side in enumerate((width, height)):
        slope = (side / 2 - free) / focal
        high, low = float((q[:, axis] - slope * q[:, 2]).max()), float((-q[:, axis] - slope * q[:, 2]).max())
        depth = max(depth, (high + low) / (2 * slope))
        shift[axis] = (low - high) / 2
    depth = max(depth, 1e-3 - float(q[:, 2].min()))
    return Camera(camera_matrix(focal, width, height), rotation, np.array([*shift, depth]), width, height)


def moved(camera: Camera, offset: NDArray[np.floating]) -> Camera:
    """The camera carried along by a world offset (3,), metres."""
    return Camera(camera.K, camera.R, camera.t - camera.R @ np.asarray(offset), camera.width, camera.height)


def scaled_world(camera: Camera, scale: float) -> Camera:
    """The camera of a world whose lengths are multiplied by ``scale``: the picture stays the same."""
    return Camera(camera.K, camera.R, np.asarray(camera.t) * scale, camera.width, camera.height)


def finer(camera: Camera, factor: int) -> Camera:
    """The camera with ``factor`` times as many pixels a side; centres of pixels stay at integers."""
    K = np.array(camera.K, np.float64)
    K[:2] *= factor
    K[:2, 2] += (factor - 1) / 2
    return Camera(K, camera.R, camera.t, camera.width * factor, camera.height * factor)
