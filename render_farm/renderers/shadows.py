"""Soft shadows without a renderer: where the light and the sky are hidden, from points scattered into small maps.

Two kinds of maps, both computed in numpy in well under a millisecond and sampled by every backend alike:

- a height field seen along a direction says which vertices lie behind others (self-shadow of the light, and, seen from
  straight above, how much of the sky an arm or a rail takes from the chest beneath);
- an occlusion map of the ground around the people: contact shade, which is what makes a body *lie* on a bed, and the
  shadow of the light, the softer the higher the part that throws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Ground, Lights

MAP_SIZE = 96
LIGHT_CELLS = 96
MIN_CELL = 0.008  # metres; finer cells than the vertices are dense would leave holes
REACH = 4.0  # metres around the middle of the people beyond which no shadow is drawn
LOWEST_SUN = 0.25  # sine of the light's elevation is clamped here: shadows stay shorter than four times the height
# Contact shade: (fall-off height, blur radius, strength); the first is the dark line of contact, the second the halo.
CONTACT = ((0.035, 0.012, 0.62), (0.16, 0.05, 0.50))
MARGIN = 0.2  # metres of map around the people, for the blur
ENOUGH_POINTS = 6000  # more are thinned out: the map's cells are wider than their distance
ABOVE = 0.0005  # metres: what lies lower, like the sides of a mattress, throws nothing onto the ground
SHADOW_HEIGHTS = (0.05, 0.18, np.inf)  # layers of the light's shadow: parts up to this height throw equally soft ones


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


@lru_cache(maxsize=16)  # each surface of a frame asks for the same few directions, and small products are slow in numpy
def _light_basis(x: float, y: float, z: float) -> NDArray[np.float64]:
    unit = np.array([x, y, z]) / np.sqrt(x * x + y * y + z * z)
    helper = np.eye(3)[int(np.argmin(np.abs(unit)))]
    across = np.cross(unit, helper)
    across /= np.linalg.norm(across)
    basis = np.stack([across, np.cross(unit, across), unit])
    basis.flags.writeable = False  # it is shared
    return basis


def visibility(
    points: NDArray[np.float32], direction: NDArray[np.floating], bias: float, spread: float
) -> NDArray[np.float32]:
    """How freely each of many points sees along ``direction``, as the others allow.

    The points are scattered into a height field along the direction; a point hides as the field, a little blurred (that
    makes the edges of shadows soft), rises above it.

    Args:
        points: (3, P) metres, one row an axis.
        direction: (3,) towards the light.
        bias: metres the field must rise above a point before it hides.
        spread: metres beyond ``bias`` over which hiding grows from none to full.

    Returns:
        (P,) float32, 1 free, 0 hidden.
    """
    first, second, height = light_basis(direction).astype(np.float32) @ points
    extent = max(float(first.max() - first.min()), float(second.max() - second.min()))
    cell = max(extent / (LIGHT_CELLS - 3), MIN_CELL)
    flat = _cells(first, second, (first.min() - cell, second.min() - cell), (1 / cell, 1 / cell), LIGHT_CELLS)
    top = np.full(LIGHT_CELLS * LIGHT_CELLS, height.min(), np.float32)
    np.maximum.at(top, flat, height)
    field = np.asarray(cv2.GaussianBlur(top.reshape(LIGHT_CELLS, LIGHT_CELLS), (3, 3), 0), np.float32).ravel()
    hidden = field[flat]
    hidden -= height
    hidden -= bias
    hidden *= -1 / spread
    hidden += 1
    return np.clip(hidden, 0, 1, out=hidden)


def ground_map(points: NDArray[np.float32], ground: Ground, lights: Lights) -> GroundMap:
    """Occlusion map of the ground beneath and around ``points`` (3, P), metres, world axes."""
    points = points[:, points[1] > ground.height + ABOVE]
    points = points[:, :: max(1, points.shape[1] // ENOUGH_POINTS)]
    if not points.shape[1]:
        points = np.array([[0.0], [REACH], [0.0]], np.float32)
    unit = light_basis(lights.direction)[2]
    slope = unit / max(float(unit[1]), LOWEST_SUN)
    x, z = points[0], points[2]
    height = np.maximum(points[1] - np.float32(ground.height), 0)
    thrown_x, thrown_z = x - height * np.float32(slope[0]), z - height * np.float32(slope[2])
    low, high = np.empty(2), np.empty(2)
    for axis, (place, thrown) in enumerate(((x, thrown_x), (z, thrown_z))):
        middle = float(place.mean())
        low[axis] = max(min(float(place.min()), float(thrown.min())), middle - REACH) - MARGIN
        high[axis] = min(max(float(place.max()), float(thrown.max())), middle + REACH) + MARGIN
    size = np.maximum(high - low, MIN_CELL * MAP_SIZE)
    scale = MAP_SIZE / size
    under = _cells(x, z, low, scale, MAP_SIZE)
    shaded = _cells(thrown_x, thrown_z, low, scale, MAP_SIZE)

    ambient = np.ones((MAP_SIZE, MAP_SIZE), np.float32)
    for fall, radius, strength in CONTACT:
        ambient *= 1 - strength * _blur(_splat(under, np.exp(height * np.float32(-1 / fall))), radius, size)
    light = np.zeros((MAP_SIZE, MAP_SIZE), np.float32)
    if unit[1] > 0:
        lower = 0.0
        for upper in SHADOW_HEIGHTS:
            layer = np.flatnonzero((height >= lower) & (height < upper))
            if len(layer):
                mean = float(height[layer].mean())
                radius = max(
                    lights.softness * mean / max(float(unit[1]), LOWEST_SUN), 0.5 * float(size.max()) / MAP_SIZE
                )
                light = np.maximum(light, _blur(_splat(shaded[layer], np.ones(len(layer), np.float32)), radius, size))
            lower = upper
    values = np.empty((MAP_SIZE, MAP_SIZE, 2), np.uint8)
    values[..., 0] = ambient * 255 + 0.5
    values[..., 1] = (1 - light) * 255 + 0.5
    values[[0, -1]] = 255
    values[:, [0, -1]] = 255
    return GroundMap(values, low, size)


def _cells(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    low: tuple[float, float] | NDArray[np.floating],
    scale: tuple[float, float] | NDArray[np.floating],
    count: int,
) -> NDArray[np.int32]:
    """Flat index ``row * count + column`` of points in a grid: ``second`` runs along rows, ``first`` along columns."""
    column = ((first - np.float32(low[0])) * np.float32(scale[0])).astype(np.int32)
    row = ((second - np.float32(low[1])) * np.float32(scale[1])).astype(np.int32)
    np.clip(column, 0, count - 1, out=column)
    np.clip(row, 0, count - 1, out=row)
    row *= count
    row += column
    return row


def _splat(cells: NDArray[np.int32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest weight in each cell, small holes closed."""
    grid = np.zeros(MAP_SIZE * MAP_SIZE, np.float32)
    np.maximum.at(grid, cells, weight)
    closed = cv2.morphologyEx(grid.reshape(MAP_SIZE, MAP_SIZE), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return np.asarray(closed, np.float32)


def _blur(grid: NDArray[np.float32], radius: float, size: NDArray[np.float64]) -> NDArray[np.float32]:
    """Blur with a standard deviation of about ``radius`` metres."""
    # Two box filters, whose cost does not grow with their width w; each has the variance (w^2 - 1) / 12.
    wide = np.clip(np.sqrt(6 * (radius * MAP_SIZE / size) ** 2 + 1), 1, MAP_SIZE // 2)
    box = (int(wide[0]) | 1, int(wide[1]) | 1)
    once = cv2.blur(grid, box, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.blur(once, box, borderType=cv2.BORDER_CONSTANT), np.float32)
