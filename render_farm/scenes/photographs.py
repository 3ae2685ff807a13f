"""Photographs behind people: the people lit as the photograph is, and their shade on the ground that it shows.

What the photograph's ground is like nobody knows; it is taken for level, at the height on which the people stand. The shade
is the renderers' own (see :mod:`..renderers.shadows`), laid over the picture in perspective.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ..renderers.look import ambient_from_above, lamp_from_above
from ..renderers.shadows import ABOVE, MAP_SIZE, GroundFrame, ground_map
from .lens import drawn_camera
from .lights import LUMINANCE, facing_level, scaled
from .scene import Camera, Ground, Lights

Bytes = NDArray[np.uint8]
GREY = 0.2
"""Mean reflectance of what photographs show: a picture of that mean linear luminance is lit by a light of 1."""
_LEVELS, _TINT = (0.3, 0.95), 0.35
"""Least and most light on what faces the camera; how much of the photograph's mean colour goes into the light."""
_LINEAR = ((np.arange(256) / 255) ** 2.2).astype(np.float32)


def suit_photograph(lights: Lights, photo: Bytes, camera: Camera) -> Lights:
    """The light scaled and tinted such that people look as bright, and about of the colour, as the photograph."""
    mean = _LINEAR[photo[::8, ::8]].reshape(-1, 3).mean(0).astype(np.float64) + 1e-4
    bright = float(mean @ LUMINANCE)
    gain = float(np.clip(bright / GREY, *_LEVELS)) / max(facing_level(lights, camera), 1e-3)
    tint = np.clip((mean / bright) ** _TINT, 0.8, 1.25)
    return scaled(lights, gain * tint)


def shaded(photo: Bytes, camera: Camera, lights: Lights, points: NDArray[np.floating]) -> Bytes:
    """The photograph with the shade of people and things on its ground, y = 0.

    Args:
        photo: (h, w, 3) of the camera's whole picture. points: (P, 3) of all surfaces, world, metres.
    """
    points = np.ascontiguousarray(points, np.float32)
    camera = drawn_camera(camera)
    ahead = points[(points @ np.asarray(camera.R)[2] + camera.t[2]) > 0.3]
    if not len(ahead):
        return photo
    shade = ground_map(ahead, Ground(photo), lights, lambda frame: _scatter(ahead, frame))
    ambient, lamp = (float(light @ LUMINANCE) for light in (ambient_from_above(lights), lamp_from_above(lights)))
    arrives = (shade.values @ np.array([ambient, lamp])) / (255 * max(ambient + lamp, 1e-6))
    height, width = photo.shape[:2]
    ground = np.stack([camera.R[:, 0], camera.R[:, 2], camera.t], 1)  # (x, z, 1) on y = 0 to the camera's axes
    cell = shade.size / MAP_SIZE
    cells = np.array(
        [[cell[0], 0, shade.origin[0] + cell[0] / 2], [0, cell[1], shade.origin[1] + cell[1] / 2], [0, 0, 1]]
    )
    scale = np.diag([width / camera.width, height / camera.height, 1.0])
    onto = scale @ np.asarray(camera.K) @ ground @ cells
    seen = cv2.warpPerspective(
        arrives.astype(np.float32), onto, (width, height), flags=cv2.INTER_LINEAR, borderValue=(1.0,)
    )
    rise = (
        np.linalg.inv(scale @ np.asarray(camera.K)).T @ np.asarray(camera.R)[:, 1]
    )  # of a pixel's ray, times its length
    level = rise[0] * np.arange(width)[None] + rise[1] * np.arange(height)[:, None] + rise[2]
    seen = np.where(level < 0, np.asarray(seen), 1.0) ** np.float32(1 / 2.2)
    return np.asarray(photo * seen[..., None], np.float32).astype(np.uint8)


def _scatter(points: NDArray[np.float32], frame: GroundFrame) -> NDArray[np.float32]:
    """Points in the cells of a ground's map, as :data:`..renderers.shadows.Splat` asks."""
    grids = np.zeros((5, MAP_SIZE, MAP_SIZE), np.float32)
    points = points[points[:, 1] > ABOVE]
    height = points[:, 1]

    def put(layer: int, chosen: NDArray[np.bool_], slope: float, weight: NDArray[np.float32]) -> None:
        index = (points[chosen][:, [0, 2]] - slope * height[chosen, None] * frame.slope - frame.low) * frame.scale
        column, row = np.clip(index.astype(np.int64), 0, MAP_SIZE - 1).T
        np.maximum.at(grids[layer], (row, column), weight[chosen])

    for layer, fall in enumerate(frame.falls):
        put(layer, height < 5 * fall, 0.0, np.exp(-height / np.float32(fall)))
    edges = (0.0, *frame.layers, np.inf)
    for layer, (low, high) in enumerate(pairwise(edges), start=2):
        put(layer, (height >= low) & (height < high), 1.0, np.ones_like(height))
    return grids
