"""Cameras of people's photographs: framing, height, lens, truncation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...poses.angles import choose
from ...scenes.cameras import Cut, aim
from ...scenes.scene import Camera
from .config import PersonCamera

Floats = NDArray[np.float64]
_UPPER = (0, 3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
_NEAREST = 0.55
"""No camera is nearer to anybody's skin, metres."""


def sample_view(
    rng: np.random.Generator,
    config: PersonCamera,
    bodies: list[NDArray[np.floating]],
    joints: list[NDArray[np.floating]],
    facing: float,
    width: int,
    height: int,
) -> tuple[Camera, str]:
    """Draw a camera for people.

    The lens is drawn first; distance follows from what shall fill the picture, and the camera's elevation from its height
    over the ground at that distance.

    Args:
        bodies: points (P, 3) of each, the first whom the picture is about; joints: (J, 3) of each, SMPL's order.
        facing: yaw of the first, radians about +Y from +Z.

    Returns:
        the camera, and "framing height" for the source.
    """
    framing, held = choose(rng, config.framings), choose(rng, config.heights)
    if (framing == "group" and len(bodies) == 1) or (framing == "legs" and held == "overhead"):
        framing = "full"
    level = rng.uniform(*getattr(config, held))
    fov = np.exp(rng.uniform(*np.log(config.fov)))
    fill = rng.uniform(*(config.far if framing == "far" else config.fill))
    frontal, turn, anywhere = rng.random() < config.front, rng.normal(0, np.radians(38)), rng.uniform(-np.pi, np.pi)
    roll, shift = config.roll * rng.standard_normal(), config.shift * rng.standard_normal(2)
    truncated, side, cut = rng.random() < config.truncated, int(rng.integers(4)), float(rng.uniform(*config.cut))

    points = framed(framing, bodies, joints)
    low, high = points.min(0), points.max(0)
    centre, extent = (low + high) / 2, float(np.linalg.norm(high - low)) * 0.9
    distance = max(extent / (2 * fill * np.tan(np.radians(fov) / 2)), 0.5 * extent + _NEAREST)
    if held == "overhead":
        elevation = np.radians(level)
    else:
        elevation = np.arcsin(np.clip((level - centre[1]) / distance, -0.35, 0.85))
    azimuth = facing + (np.clip(turn, -1.3, 1.3) if frontal else anywhere)
    if framing == "far":  # people far away lie anywhere in the picture
        shift = np.clip(3.5 * shift, -0.33, 0.33)
    camera = aim(
        points, float(elevation), float(azimuth), roll, distance, fill, (0.8 * fov, 1.25 * fov), width, height,
        (float(shift[0]), float(shift[1])), Cut(side, cut) if truncated and framing != "far" else None, 0.15,
    )  # fmt: skip
    return camera, f"{framing} {held}"


def framed(framing: str, bodies: list[NDArray[np.floating]], joints: list[NDArray[np.floating]]) -> Floats:
    """Points (P, 3) that shall fill the picture."""
    if framing == "group":
        return np.asarray(np.concatenate(bodies), np.float64)
    body, skeleton = np.asarray(bodies[0], np.float64), np.asarray(joints[0], np.float64)
    if framing in ("full", "far"):
        return body
    unit = float(np.linalg.norm(skeleton[12] - skeleton[0]))
    if framing == "half":
        return _about(skeleton[list(_UPPER)], 0.22 * unit, skeleton, unit)
    if framing == "bust":
        return _about(skeleton[[12, 15, 16, 17]], 0.2 * unit, skeleton, unit)
    legs = skeleton[[0, 1, 2, 4, 5, 7, 8, 10, 11]]
    return np.concatenate([legs - 0.1 * unit, legs + 0.1 * unit])


def _about(points: Floats, margin: float, skeleton: Floats, unit: float) -> Floats:
    """Joints and the top of the head, with a margin."""
    neck, head = skeleton[12], skeleton[15]
    crown = head + 0.38 * unit * (head - neck) / max(float(np.linalg.norm(head - neck)), 1e-6)
    inner = np.concatenate([points, crown[None]])
    return np.concatenate([inner - margin * np.array([1, 0.3, 1]), inner + margin * np.array([1, 0.3, 1])])


def in_the_way(camera: Camera, body: NDArray[np.floating]) -> bool:
    """Whether somebody's points (P, 3) come so near to the camera that they would fill its view."""
    return float(np.linalg.norm(body - camera.position, axis=1).min()) < _NEAREST
