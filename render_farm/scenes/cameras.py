"""Cameras of a nursery: fixed above a cot, or a phone in a parent's hand.

The camera is placed on a sphere about the body, its focal length makes the body fill the wanted share of the picture
(or, where no lens would, the distance gives way), and it is then aimed so that the body sits where it should.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...models.geometry import camera_matrix, focal_from_fov
from ..poses.angles import choose
from ..poses.resting import turn_about
from .config import CameraConfig
from .scene import Camera

Floats = NDArray[np.float64]


def _roll(rotation: Floats, degrees: float) -> Floats:
    """Turn a world-to-camera rotation about the optical axis: what was up leans clockwise in the picture."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ rotation


def _view(forward: Floats, roll: float) -> Floats:
    """World-to-camera rotation that looks along ``forward``, world up (or -Z, looking straight down) turned by ``roll``.

    ``look_at`` of :mod:`models.geometry` in closed form for this up vector; it runs several times a frame.
    """
    x, y, z = forward / np.linalg.norm(forward)
    flat = float(np.hypot(x, z))
    if flat < 1e-3:
        x, z, flat = 0.0, -1e-3, 1e-3
    right = np.array([-z, 0.0, x]) / flat
    down = np.array([y * right[2], z * right[0] - x * right[2], -y * right[0]])  # forward x right
    return _roll(np.stack([right, down, np.array([x, y, z])]), roll)


def _bounds(points: Floats, rotation: Floats, eye: Floats) -> tuple[Floats, Floats]:
    """Lower and upper corner (2,) of points in the picture of a lens of unit focal length."""
    seen = (points - eye) @ rotation.T
    flat = seen[:, :2] / np.maximum(seen[:, 2:], 0.05)
    return flat.min(0), flat.max(0)


def _azimuth(rng: np.random.Generator, view: str, head: Floats, config: CameraConfig) -> float:
    """Direction of the camera about Y, radians: obliquely, mostly from the feet's side, so that the head is up."""
    anywhere, spread, at_feet = rng.uniform(-np.pi, np.pi), rng.standard_normal(), rng.random() < config.head_up
    if view == "oblique" and at_feet and np.hypot(head[0], head[2]) > 0.06:
        return float(np.arctan2(-head[0], -head[2]) + np.radians(1.4 * config.head_up_spread) * spread)
    return float(anywhere)


def sample_camera(
    rng: np.random.Generator, config: CameraConfig, points: Floats, head: Floats, width: int, height: int
) -> tuple[Camera, str]:
    """Draw a camera for one body.

    Args:
        points: (P, 3) world points whose bounds stand for the body, metres.
        head: (3,) world vector from the pelvis to the head.
        width, height: of the picture, pixels.

    Returns:
        the camera, and the name of its view.
    """
    view = choose(rng, config.views)
    elevation = np.radians(rng.uniform(*getattr(config, view)))
    if view == "above" and head[1] > 0.6 * np.linalg.norm(head):
        elevation = (elevation + np.radians(45)) / 2  # who sits or stands is seen at a slant, not as the top of a head
    azimuth = _azimuth(rng, view, head, config)
    distance, fill = rng.uniform(*config.distance), rng.uniform(*config.fill)
    upright, lean = rng.random() < config.head_up, rng.standard_normal()
    any_roll, tilt = rng.uniform(-180, 180), rng.standard_normal()
    side, cut, shift = rng.integers(4), rng.uniform(0.08, 0.28), config.shift * rng.standard_normal(2)
    truncated = rng.random() < config.truncated

    centre = (points.min(0) + points.max(0)) / 2
    outward = np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    roll = config.roll * tilt
    if view == "above":
        flat = _view(-outward, 0.0) @ head
        turn = float(np.degrees(np.arctan2(flat[0], -flat[1])))  # clockwise lean of the head from up
        roll = config.head_up_spread * lean - turn if upright else any_roll

    side_length = min(width, height)
    shortest, longest = (focal_from_fov(fov, max(width, height)) for fov in (config.fov[1], config.fov[0]))
    for _ in range(3):
        eye = centre + distance * outward
        eye[1] = max(eye[1], 0.06)
        rotation = _view(centre - eye, roll)
        low, high = _bounds(points, rotation, eye)
        wanted = fill * float(np.min(np.array([width, height]) / (high - low)))
        focal = float(np.clip(wanted, shortest, longest))
        if abs(wanted - focal) < 1e-9:
            break
        distance *= focal / wanted
    middle = (low + high) / 2 * focal / side_length
    if truncated:
        half = (high - low) / 2 * focal / side_length
        axis, sign = side // 2, 1 if side % 2 else -1
        border = (width, height)[axis] / side_length / 2
        shift[axis] = sign * (border - half[axis] + 2 * cut * half[axis])
    aim = np.array([*((middle - shift) * side_length / focal), 1.0])
    rotation = _aimed(rotation, aim)
    return Camera(camera_matrix(focal, width, height), rotation, -rotation @ eye, width, height), view


def _aimed(rotation: Floats, ray: Floats) -> Floats:
    """Turn a world-to-camera rotation by the smallest turn that brings a camera-frame ray (3,) onto the optical axis."""
    ray = ray / np.linalg.norm(ray)
    sine = float(np.hypot(ray[0], ray[1]))
    if sine < 1e-12:
        return rotation
    axis = np.array([ray[1], -ray[0], 0.0]) / sine  # ray x (0, 0, 1)
    return turn_about(axis, float(np.arctan2(sine, ray[2]))) @ rotation
