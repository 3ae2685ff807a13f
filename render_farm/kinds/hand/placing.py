"""Where hands are in a picture: orientation and camera, other hands beside or before the first, and the way out for arms.

Everything is drawn in the camera's frame (OpenCV axes) or the world's (Y up) as rotations from the frame of a right hand
(see :mod:`.grasp`); left hands are mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....models.geometry import camera_matrix, focal_from_fov
from ....models.turns import cross
from ...scenes.scene import Camera
from .config import HandCameraConfig

Floats = NDArray[np.floating]
MIRROR = np.array([-1.0, 1.0, 1.0])
TRIES = 24
TOWARDS, AWAY = -0.72, 0.55
"""Cosines between forearm and viewing direction: nearer to the camera's axis, an arm would hide its hand or not leave the
picture."""
DESK = 14.0
"""Least elevation in degrees of cameras over a desk: nearer to its edge, the desk would hide the hand."""
CLEAR = 0.09
"""Distance in metres from the camera that arms keep until they have left the picture."""


@dataclass(frozen=True)
class Aim:
    """How the first hand and the camera are turned.

    Attributes:
        camera: (3, 3) world to camera. hand: (3, 3) from the hand's own frame to the world.
    """

    camera: Floats
    hand: Floats


def random_rotation(rng: np.random.Generator) -> Floats:
    """A rotation (3, 3), uniform (Shoemake 1992)."""
    w, x, y, z = (q := rng.standard_normal(4)) / np.linalg.norm(q)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def world_to_camera(down: float, roll: float) -> Floats:
    """World-to-camera rotation (3, 3) that looks along -Z, ``down`` degrees beneath the horizon, rolled by ``roll``."""
    e, r = np.radians(down), np.radians(roll)
    forward, right = np.array([0, -np.sin(e), -np.cos(e)]), np.array([1.0, 0, 0])
    view = np.stack([right, cross(forward, right), forward])
    return np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]]) @ view


def aim(
    rng: np.random.Generator,
    config: HandCameraConfig,
    view: str,
    left: bool,
    arm: Floats,
    up: Floats | None,
    resting: bool,
    desk: bool = False,
) -> Aim:
    """Turn camera and hand; the first of :data:`TRIES` whose forearm leaves the picture is taken, else the best.

    Args:
        arm: (3,) direction of the forearm in the hand's own frame (mirrored for a left hand).
        up: (3,) direction in that frame that should point up in the world (a mug's axis), or None. resting: the hand lies
            on a table. desk: there is one beneath it, which the camera looks down on.
    """
    roll = config.roll * rng.standard_normal()
    best, least = None, np.inf
    hand: Floats
    for _ in range(TRIES):
        if view == "egocentric":
            camera = world_to_camera(rng.uniform(*config.gaze), roll)
            hand = camera.T @ _own(rng, left, arm)
            if up is not None:
                hand = _upright(rng, hand, up, 14.0)
        else:
            down = rng.uniform(*config.elevation)
            camera = world_to_camera(max(down, DESK) if desk else down, roll)
            hand = _resting(rng, left) if resting else random_rotation(rng)
            if up is not None:
                hand = _upright(rng, hand, up, 12.0)
        ahead = float(camera[2] @ hand @ arm)
        off = max(ahead - AWAY, TOWARDS - ahead, 0.0)
        if view == "egocentric":  # the owner's arms come from beneath
            off += max(0.0, 0.35 - float(camera[1] @ hand @ arm))
        if off < least:
            best, least = Aim(camera, hand), off
        if off == 0:
            break
    assert best is not None
    return best


def _own(rng: np.random.Generator, left: bool, arm: Floats) -> Floats:
    """Rotation from the hand's frame to the camera's for a hand of the one who looks."""
    elbow = np.array([0.35 + 0.3 * rng.standard_normal(), 0.75, -0.40 + 0.22 * rng.standard_normal()])
    elbow /= np.linalg.norm(elbow)
    turn = np.radians(rng.uniform(-50, 200))
    palm = np.cos(turn) * np.array([0, 0.3, 1.0]) + np.sin(turn) * np.array([-1.0, 0, 0])
    palm -= elbow * (palm @ elbow)
    palm /= np.linalg.norm(palm)
    to = np.stack([elbow, palm, cross(elbow, palm)], 1)
    along = arm * (MIRROR if left else 1)
    down = np.array([0.0, -1.0, 0.0])
    down = down - along * (down @ along)
    down /= np.linalg.norm(down)
    turned = to @ np.stack([along, down, cross(along, down)], 1).T
    return turned * np.outer(MIRROR, MIRROR) if left else turned


def _resting(rng: np.random.Generator, left: bool) -> Floats:
    """A hand that lies on a table: palm down mostly, on its edge, or palm up."""
    roll = np.radians(rng.choice([0.0, 90.0, 180.0], p=[0.55, 0.25, 0.2]) + 12 * rng.standard_normal())
    pitch, yaw = np.radians(8 * rng.standard_normal()), rng.uniform(-np.pi, np.pi)
    about_x = np.array([[1, 0, 0], [0, np.cos(roll), -np.sin(roll)], [0, np.sin(roll), np.cos(roll)]])
    about_z = np.array([[np.cos(pitch), -np.sin(pitch), 0], [np.sin(pitch), np.cos(pitch), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turned = about_y @ about_z @ about_x
    return turned * np.outer(MIRROR, MIRROR) if left else turned


def _upright(rng: np.random.Generator, hand: Floats, up: Floats, spread: float) -> Floats:
    """The rotation turned by the least turn that brings ``up`` near the world's vertical."""
    lean = np.radians(spread) * rng.standard_normal(2)
    wanted = np.array([lean[0], 1.0, lean[1]])
    return arc(hand @ up, wanted / np.linalg.norm(wanted)) @ hand


def arc(start: Floats, end: Floats) -> Floats:
    """Smallest rotation (3, 3) from one unit vector to another."""
    axis, cosine = cross(start, end), float(start @ end)
    if cosine < -0.9999:
        axis = cross(start, np.eye(3)[int(np.argmin(np.abs(start)))])
        axis /= np.linalg.norm(axis)
        return 2 * np.outer(axis, axis) - np.eye(3)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def place_camera(
    rng: np.random.Generator, config: HandCameraConfig, turned: Floats, points: Floats, width: int, height: int
) -> Camera:
    """The camera of rotation ``turned`` (world to camera) before world points (P, 3), which fill the wanted share of it."""
    side = min(width, height)
    fov, fill = rng.uniform(*config.fov), rng.uniform(*config.fill)
    shift = np.clip(config.shift * rng.standard_normal(2), -0.12, 0.12)
    focal = float(focal_from_fov(fov, side))
    seen = turned @ points.T  # (3, P)
    middle = (seen.min(1) + seen.max(1)) / 2
    centred = seen - middle[:, None]

    def picture(distance: float) -> tuple[Floats, Floats]:
        flat = centred[:2] / np.maximum(centred[2] + distance, 0.08)
        return flat.min(1), flat.max(1)

    extent = float((centred[:2].max(1) - centred[:2].min(1)).max())
    distance = float(np.clip(focal * extent / (fill * side), *config.distance))
    for _ in range(4):
        low, high = picture(distance)
        spans = float((high - low).max()) * focal / (fill * side)
        distance = float(np.clip(distance * spans, *config.distance))
    low, high = picture(distance)
    focal *= float(np.clip(fill * side / ((high - low).max() * focal), 0.35, 2.5))  # where the distance gave way
    aside = (low + high) / 2 * distance - shift * side * distance / focal
    translation = np.array([-aside[0], -aside[1], distance]) - middle
    return Camera(camera_matrix(focal, width, height), turned, translation, width, height)


def way_out(camera: Camera, start: Floats, direction: Floats, radius: float, longest: float) -> float:
    """Length in metres after which an arm of a radius has left the picture: at most ``longest``, and never so long that it
    comes nearer to the camera than :data:`CLEAR`.

    Args:
        start: (3,) world place where it begins. direction: (3,) unit.
    """
    lengths = np.linspace(0.02, longest, 60)
    seen = (start + lengths[:, None] * direction) @ np.asarray(camera.R).T + np.asarray(camera.t)
    z = np.maximum(seen[:, 2], 1e-3)
    pixels = seen[:, :2] / z[:, None] * (camera.K[0, 0], camera.K[1, 1]) + (camera.K[0, 2], camera.K[1, 2])
    margin = 1.25 * radius / z * camera.K[0, 0]
    out = (pixels[:, 0] < -margin) | (pixels[:, 0] > camera.width + margin)
    out |= (pixels[:, 1] < -margin) | (pixels[:, 1] > camera.height + margin)
    near = np.flatnonzero(seen[:, 2] < CLEAR + radius)
    last = lengths[near[0]] if len(near) else longest
    beyond = np.flatnonzero(out)
    return float(min(lengths[beyond[0]] if len(beyond) else longest, last))


def leaves(camera: Camera, end: Floats) -> bool:
    """Whether none of the points (N, 3) of an arm's end is in the picture."""
    seen = end @ np.asarray(camera.R).T + np.asarray(camera.t)
    z = np.maximum(seen[:, 2], 1e-3)
    pixels = seen[:, :2] / z[:, None] * (camera.K[0, 0], camera.K[1, 1]) + (camera.K[0, 2], camera.K[1, 2])
    inside = (pixels > -0.5).all(1) & (pixels[:, 0] < camera.width - 0.5) & (pixels[:, 1] < camera.height - 0.5)
    return not bool(inside.any())


def apart(first: Floats, second: Floats, radii: tuple[Floats, Floats], push: Floats, gap: float = 0.003) -> Floats:
    """Offset (3,) along ``push`` (unit) after which spheres ``second`` (N, 3) no longer meet ``first`` (M, 3).

    Each pair gives a quadratic in the way along ``push``; the largest root is taken.
    """
    reach = radii[0][:, None] + radii[1][None] + gap
    away = second[None] - first[:, None]
    along = away @ push
    inside = reach**2 - ((away**2).sum(-1) - along**2)
    way = np.where(inside > 0, np.sqrt(np.maximum(inside, 0)) - along, 0)
    return push * max(float(way.max()), 0.0)
