"""Soft shadows without a renderer: where the light and the sky are hidden, from points scattered into small maps.

Two kinds of maps, sampled by every backend alike:

- height fields along the light and from above say which vertices lie behind others (see vertex_kernels.py);
- an occlusion map of the ground around the people: contact shade, which is what makes a body *lie* on a bed, and the
  shadow of the light, the softer the higher the part that throws it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Ground, Lights
from .look import AROUND, FADE_CELLS, LIGHT_CELLS, MIN_CELL

SKY = np.array([0.0, 1.0, 0.0])
MEASURED = 2000  # points that are enough to place the height fields
MAP_SIZE = 96
_SQUARE = np.ones((3, 3), np.uint8)
REACH = 4.0  # metres around the middle of the people beyond which no shadow is drawn
LOWEST_SUN = 0.25  # sine of the light's elevation is clamped here: shadows stay shorter than four times the height
# Contact shade: (fall-off height, blur radius, strength); the first is the dark line of contact, the second the halo.
CONTACT = ((0.035, 0.012, 0.62), (0.16, 0.05, 0.50))
MARGIN = 0.2  # metres of map around the people, for the blur
ENOUGH_POINTS = 6000  # more are thinned out: the map's cells are wider than their distance
ABOVE = 0.0005  # metres: what lies lower, like the sides of a mattress, throws nothing onto the ground
SHADOW_HEIGHTS = (0.05, 0.18)  # layers of the light's shadow: parts up to this height throw equally soft ones


@dataclass
class GroundMap:
    """Occlusion of a region of the ground.

    Attributes:
        values: (S, S, 2) uint8, rows along z, columns along x: ambient light and directional light that arrive
            (255 all). The border is 255, so clamping outside of the region means "nothing hidden".
        origin: (2,) x and z of the corner of element (0, 0), metres, world axes.
        size: (2,) extent along x and z, metres.
    """

    values: NDArray[np.uint8]
    origin: NDArray[np.float64]
    size: NDArray[np.float64]


def light_basis(direction: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows: two axes across the light and its unit direction, (3, 3), from a direction of any length."""
    return _light_basis(*map(float, direction))


@lru_cache(maxsize=16)  # each surface of a frame asks for the same few directions
def _light_basis(x: float, y: float, z: float) -> NDArray[np.float64]:
    length = (x * x + y * y + z * z) ** 0.5
    unit = (x / length, y / length, z / length)
    least = min(range(3), key=lambda axis: abs(unit[axis]))
    i, j = (least + 1) % 3, (least + 2) % 3
    size = (unit[i] ** 2 + unit[j] ** 2) ** 0.5
    across = [0.0, 0.0, 0.0]  # unit x (the axis it is least along)
    across[i], across[j] = unit[j] / size, -unit[i] / size
    up = [unit[k - 2] * across[k - 1] - unit[k - 1] * across[k - 2] for k in range(3)]  # unit x across
    basis = np.array([across, up, unit])
    basis.flags.writeable = False  # it is shared
    return basis


def shadow_grids(points: NDArray[np.float32], people: int, direction: NDArray[np.floating]) -> NDArray[np.float32]:
    """Where the height fields lie along the light and from above, (2, 3): origin along two axes, and cells a metre.

    They hold people and what is near them; whole furniture would make them too coarse for limbs.

    Args:
        points: (N, 3) of all surfaces, metres. people: how many of them, at the beginning, are people's.
        direction: (3,) towards the light.
    """
    axes = np.concatenate([light_basis(direction)[:2], light_basis(SKY)[:2]]).astype(np.float32)
    stride = max(1, len(points) // MEASURED)
    place = axes @ points[::stride].T
    low, high = place.min(1), place.max(1)
    if people:
        own = place[:, : (people - 1) // stride + 1]
        least, most = own.min(1), own.max(1)
        margin = AROUND * (most - least)
        low, high = np.maximum(low, least - margin), np.minimum(high, most + margin)
    beside = FADE_CELLS + 1
    cell = np.maximum((high - low).reshape(2, 2).max(1) / (LIGHT_CELLS - 2 * beside), MIN_CELL)
    return np.column_stack([low.reshape(2, 2) - beside * cell[:, None], 1 / cell]).astype(np.float32)


@dataclass(frozen=True)
class GroundFrame:
    """Where an occlusion map lies and how points are scattered into it.

    Attributes:
        low: (2,) x and z of the map's corner, metres; scale: (2,) cells a metre along x and z.
        slope: (2,) how far the shadow of a point one metre up lies from its foot, x and z.
        falls: heights in metres over which the two kinds of contact shade fall by a factor e.
        layers: heights in metres that part the three layers of the light's shadow.
    """

    low: NDArray[np.float64]
    scale: NDArray[np.float64]
    slope: NDArray[np.float64]
    falls: tuple[float, float]
    layers: tuple[float, float]


Splat = Callable[[GroundFrame], NDArray[np.float32]]
"""Scatters a scene's points: (5, S, S), the largest weight in each cell: two kinds of contact shade, three layers of shadow."""


def ground_map(vertices: NDArray[np.float32], ground: Ground, lights: Lights, splat: Splat) -> GroundMap:
    """Occlusion map of the ground beneath and around people and things.

    Args:
        vertices: (V, 3) some of all surfaces' vertices, metres, world axes; they say how far the map must reach.
        ground: the plane. lights: of the scene.
        splat: scatters the points of the same surfaces.
    """
    unit = light_basis(lights.direction)[2]
    slope = (unit / max(float(unit[1]), LOWEST_SUN))[[0, 2]]
    place = np.ascontiguousarray(vertices.T)
    flat, height = place[::2], np.maximum(place[1] - np.float32(ground.height), 0)
    thrown = flat - height * slope[:, None].astype(np.float32)
    middle = flat.mean(1)
    low = np.maximum(np.minimum(flat.min(1), thrown.min(1)), middle - REACH) - MARGIN
    high = np.minimum(np.maximum(flat.max(1), thrown.max(1)), middle + REACH) + MARGIN
    size = np.maximum(high - low, MIN_CELL * MAP_SIZE)
    falls = CONTACT[0][0], CONTACT[1][0]
    grids = splat(GroundFrame(low, MAP_SIZE / size, slope, falls, SHADOW_HEIGHTS))

    ambient = np.ones((MAP_SIZE, MAP_SIZE), np.float32)
    for grid, (_, radius, strength) in zip(grids, CONTACT, strict=False):
        ambient *= 1 - strength * _blur(_closed(grid), radius, size)
    light = np.zeros((MAP_SIZE, MAP_SIZE), np.float32)
    if unit[1] > 0:
        bounds = (0.0, *SHADOW_HEIGHTS, np.inf)
        for grid, lower, upper in zip(grids[2:], bounds, bounds[1:], strict=False):
            layer = height[(height >= lower) & (height < upper)]
            if len(layer):
                radius = lights.softness * float(layer.mean()) / max(float(unit[1]), LOWEST_SUN)
                blurred = _blur(_closed(grid), max(radius, 0.5 * float(size.max()) / MAP_SIZE), size)
                np.maximum(light, blurred, out=light)
    values = np.empty((MAP_SIZE, MAP_SIZE, 2), np.uint8)
    values[..., 0] = ambient * 255 + 0.5
    values[..., 1] = (1 - light) * 255 + 0.5
    values[[0, -1]] = 255
    values[:, [0, -1]] = 255
    return GroundMap(values, low, size)


def _closed(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Small holes between the points closed."""
    return np.asarray(cv2.morphologyEx(grid, cv2.MORPH_CLOSE, _SQUARE), np.float32)


def _blur(grid: NDArray[np.float32], radius: float, size: NDArray[np.float64]) -> NDArray[np.float32]:
    """Blur with a standard deviation of about ``radius`` metres."""
    # Two box filters, whose cost does not grow with their width w; each has the variance (w^2 - 1) / 12.
    wide = np.clip(np.sqrt(6 * (radius * MAP_SIZE / size) ** 2 + 1), 1, MAP_SIZE // 2)
    box = (int(wide[0]) | 1, int(wide[1]) | 1)
    once = cv2.blur(grid, box, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.blur(once, box, borderType=cv2.BORDER_CONSTANT), np.float32)
