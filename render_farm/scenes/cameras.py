"""Cameras: above a cot or in a parent's hand for infants, and around anything that stands, sits or reaches.

A camera is placed on a sphere about its points, its focal length makes them fill the wanted share of the picture
(or, where no lens would, the distance gives way), and it is then aimed so that they sit where they should.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.geometry import camera_matrix, focal_from_fov
from ..poses.angles import choose
from ..poses.resting import turn_about
from .config import AimConfig, CameraConfig
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


def _bounds(planes: Floats, rotation: Floats, eye: Floats) -> tuple[Floats, Floats]:
    """Lower and upper corner (2,) of points, as planes (3, P), in the picture of a lens of unit focal length."""
    seen = rotation @ planes - (rotation @ eye)[:, None]
    flat = seen[:2] / np.maximum(seen[2], 0.05)
    return flat.min(1), flat.max(1)


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
    room = 1 + config.roam * float(np.clip(1.3 - 2 * fill, -0.8, 0.5))  # who fills the picture is near its middle
    upright, lean = rng.random() < config.head_up, rng.standard_normal()
    any_roll, tilt = rng.uniform(-180, 180), rng.standard_normal()
    side, cut, shift = rng.integers(4), rng.uniform(*config.cut), config.shift * room * rng.standard_normal(2)
    truncated, close, from_here = rng.random() < config.truncated, rng.random() < config.close, rng.uniform(0.2, 0.5)
    if close:  # head and trunk alone
        along = points @ head
        points = points[along > np.quantile(along, from_here)]

    roll = config.roll * tilt
    if view == "above":
        flat = _view(-outward(elevation, azimuth), 0.0) @ head
        turn = float(np.degrees(np.arctan2(flat[0], -flat[1])))  # clockwise lean of the head from up
        roll = config.head_up_spread * lean - turn if upright else any_roll
    border = Cut(int(side), float(cut)) if truncated else None
    return aim(
        points, elevation, azimuth, roll, distance, fill, config.fov, width, height, (shift[0], shift[1]), border
    ), view


def sample_aimed(
    rng: np.random.Generator, config: AimConfig, points: Floats, facing: Floats, width: int, height: int
) -> Camera:
    """Draw a camera for people who stand, sit or walk, for a hand, or for anything else that has a front.

    Args:
        config: the ranges.
        points: (P, 3) world points whose bounds should fill the picture, metres: all of the body, or the part to show.
        facing: (3,) world direction that the front looks to; an azimuth of 0 degrees sees it from there.
        width, height: of the picture, pixels.
    """
    elevation, azimuth = np.radians(rng.uniform(*config.elevation)), np.radians(rng.uniform(*config.azimuth))
    roll, shift = config.roll * rng.standard_normal(), config.shift * rng.standard_normal(2)
    distance, fill = rng.uniform(*config.distance), rng.uniform(*config.fill)
    truncated, side, cut = rng.random() < config.truncated, int(rng.integers(4)), float(rng.uniform(*config.cut))
    front = float(np.arctan2(facing[0], facing[2]))
    return aim(
        points, elevation, front + azimuth, roll, distance, fill, config.fov, width, height, (shift[0], shift[1]),
        Cut(side, cut) if truncated else None, config.lowest,
    )  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """A border that cuts the points: 0 left, 1 right, 2 top, 3 bottom, and the share of their extent beyond it."""

    side: int
    share: float


def outward(elevation: float, azimuth: float) -> Floats:
    """Unit vector (3,) from the points to the camera: elevation above the horizon, azimuth about Y from +Z; radians."""
    flat = np.cos(elevation)
    return np.array([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)])


def aim(
    points: Floats,
    elevation: float,
    azimuth: float,
    roll: float,
    distance: float,
    fill: float,
    fov: tuple[float, float],
    width: int,
    height: int,
    shift: tuple[float, float] = (0.0, 0.0),
    cut: Cut | None = None,
    lowest: float = 0.06,
) -> Camera:
    """The camera that sees points from a direction and lets them fill the picture.

    The focal length makes them fill it; where no lens of ``fov`` would, the distance gives way.

    Args:
        points: (P, 3) world, metres.
        elevation, azimuth: of the camera seen from the points, radians, see :func:`outward`.
        roll: clockwise lean of the world in the picture, degrees.
        distance: wanted, from the middle of the points, metres.
        fill: share of the picture that the points span, in whichever direction is tighter.
        fov: admissible fields of view of the picture's longer side, degrees.
        width, height: of the picture, pixels.
        shift: how far right and down of the centre the points' middle lies, in shorter sides of the picture.
        cut: a border that shall cut them, in place of the shift along that axis.
        lowest: the camera stays at least so high, metres.
    """
    away, offset = outward(elevation, azimuth), np.array(shift, np.float64)
    planes = np.ascontiguousarray(points.T, np.float64)
    centre = (planes.min(1) + planes.max(1)) / 2
    side_length = min(width, height)
    shortest, longest = (focal_from_fov(angle, max(width, height)) for angle in (fov[1], fov[0]))
    for _ in range(3):
        eye = centre + distance * away
        eye[1] = max(eye[1], lowest)
        rotation = _view(centre - eye, roll)
        low, high = _bounds(planes, rotation, eye)
        wanted = fill * float(np.min(np.array([width, height]) / (high - low)))
        focal = float(np.clip(wanted, shortest, longest))
        if abs(wanted - focal) < 1e-9:
            break
        distance *= focal / wanted
    middle = (low + high) / 2 * focal / side_length
    if cut is not None:
        half = (high - low) / 2 * focal / side_length
        axis, sign = cut.side // 2, 1 if cut.side % 2 else -1
        border = (width, height)[axis] / side_length / 2
        offset[axis] = sign * (border - half[axis] + 2 * cut.share * half[axis])
    target = np.array([*((middle - offset) * side_length / focal), 1.0])
    rotation = _aimed(rotation, target)
    return Camera(camera_matrix(focal, width, height), rotation, -rotation @ eye, width, height)


def _aimed(rotation: Floats, ray: Floats) -> Floats:
    """Turn a world-to-camera rotation by the smallest turn that brings a camera-frame ray (3,) onto the optical axis."""
    ray = ray / np.linalg.norm(ray)
    sine = float(np.hypot(ray[0], ray[1]))
    if sine < 1e-12:
        return rotation
    axis = np.array([ray[1], -ray[0], 0.0]) / sine  # ray x (0, 0, 1)
    return turn_about(axis, float(np.arctan2(sine, ray[2]))) @ rotation
