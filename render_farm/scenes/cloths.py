"""Cloth that lies over bodies: the heights of what is beneath, and a blanket that falls over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes, Singles, noise
from .config import OccluderConfig
from .meshes import bounds, grid_faces, occluder_topology
from .scene import Surface, Topology

GRID = 48
_CELL = 0.012
"""Side of a cell of the height map over the body, metres."""
_ROUNDS = 36  # of relaxation; a blanket's shape changes little after that
_WEIGHT = 0.0018  # metres that cloth sags in one round: heavier cloth falls more steeply off what carries it
_THICK = 0.006
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class HeightMap:
    """Heights of the body over the surface: (n, m) metres, cell (i, j) at x = left + j cell, z = near + i cell."""

    heights: Singles
    left: float
    near: float

    def at(self, x: Floats, z: Floats) -> Singles:
        """Heights at places, 0 outside of the map; bilinear."""
        column = ((np.asarray(x) - self.left) / _CELL).astype(np.float32)
        row = ((np.asarray(z) - self.near) / _CELL).astype(np.float32)
        shape = column.shape
        found = cv2.remap(
            self.heights, column.reshape(1, -1), row.reshape(1, -1), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return np.asarray(found, np.float32).reshape(shape)


def height_map(vertices: Singles) -> HeightMap:
    """Highest vertex above each cell; cells that the mesh leaves out are closed by a dilation of one cell."""
    low, high = bounds(vertices)
    columns, rows = (int((high[k] - low[k]) / _CELL) + 3 for k in (0, 2))
    index = ((vertices[:, 2] - low[2]) * np.float32(1 / _CELL)).astype(np.int32) + 1
    index = index * columns + ((vertices[:, 0] - low[0]) * np.float32(1 / _CELL)).astype(np.int32) + 1
    flat = np.zeros(rows * columns, np.float32)
    np.maximum.at(flat, index, vertices[:, 1])
    heights = cv2.dilate(flat.reshape(rows, columns), np.ones((3, 3), np.uint8))
    return HeightMap(np.asarray(heights, np.float32), float(low[0]) - 0.5 * _CELL, float(low[2]) - 0.5 * _CELL)


@cache
def _blanket_topology() -> Topology:
    axis = np.linspace(0, 1, GRID)
    uv = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return occluder_topology("blanket", grid_faces(GRID, GRID)[:, ::-1], uv)


def fall(lying: Singles) -> Singles:
    """Heights (n, n) of cloth that falls onto others (n, n): taut where it spans, never beneath what carries it.

    The obstacle problem of a membrane under its own weight, by relaxation: each cell goes to the mean of its
    neighbours less its weight, but not below the obstacle.
    """
    height = np.asarray(cv2.GaussianBlur(cv2.dilate(lying, np.ones((5, 5), np.uint8)), (0, 0), 2.0), np.float32)
    for _ in range(_ROUNDS):
        height = np.asarray(cv2.blur(height, (3, 3), borderType=cv2.BORDER_REPLICATE), np.float32)
        height -= _WEIGHT
        np.maximum(height, lying, out=height)
    return height


def drape_blanket(
    rng: np.random.Generator, config: OccluderConfig, bumps: HeightMap, feet: Floats, head: Floats, texture: Bytes
) -> Surface:
    """A blanket over the body from beyond the feet up to ``config.blanket_reach`` of the way to the head.

    The cloth falls onto the body, does not stretch (its rim draws in where it has to climb) and carries folds, which
    are deeper where there is cloth to spare.
    """
    along = (head - feet)[[0, 2]]
    length = float(np.linalg.norm(along))
    along = along / max(length, 1e-6)
    across = np.array([-along[1], along[0]])
    skew, turn = np.radians(rng.normal(0, 10)), np.radians(rng.normal(0, 7))
    end = rng.uniform(*config.blanket_reach) * length
    s = np.linspace(-rng.uniform(0.10, 0.25), end, GRID)[:, None] + np.zeros((1, GRID))
    t = np.linspace(-1, 1, GRID)[None] * rng.uniform(0.28, 0.44) + np.zeros((GRID, 1))
    bow = 0.02 * noise(rng, GRID, 1.2) * rng.uniform(0.3, 1.0)  # an edge is never quite straight
    s, t = s + np.tan(skew) * t + bow, t + np.sin(turn) * (s - s.mean())
    place = _unstretched(bumps, feet[[0, 2]], along, across, s, t)
    lying = cv2.dilate(bumps.at(place[..., 0], place[..., 1]), np.ones((3, 3), np.uint8)) + np.float32(_THICK)
    height = fall(np.asarray(lying, np.float32))
    folds = noise(rng, GRID, rng.uniform(1.6, 3.2), rng.uniform(0.4, 2.5)) + 0.5 * noise(rng, GRID, 6.0)
    loose = 0.005 * rng.uniform(0.6, 1.8) * np.clip(folds + 0.8, 0, None)
    rim = np.minimum(np.arange(GRID), np.arange(GRID)[::-1])
    edge = np.minimum.outer(rim, rim)
    heights = height + loose - np.where(edge == 0, 0.006, 0.0)
    vertices = np.stack([place[..., 0], heights, place[..., 1]], -1).reshape(-1, 3).astype(np.float32)
    return Surface(_blanket_topology(), vertices, texture, specular=0.0)


def _unstretched(bumps: HeightMap, origin: Floats, along: Floats, across: Floats, s: Floats, t: Floats) -> Floats:
    """Places (GRID, GRID, 2) (x, z) of a flat cloth's points once it has drawn in over what it climbs.

    Row by row, then column by column, points move towards the middle until their distance along the smoothed ground is
    what it was on the flat cloth.
    """

    def places(s: Floats, t: Floats) -> Floats:
        return np.asarray(origin + s[..., None] * along + t[..., None] * across)

    flat = places(s, t)
    ground = cv2.GaussianBlur(bumps.at(flat[..., 0], flat[..., 1]), (0, 0), 2.5).astype(np.float64)
    for axis in (0, 1):
        coordinate = s if axis == 0 else t
        step = np.diff(coordinate, axis=axis)
        rise = np.diff(ground, axis=axis)
        short = np.sqrt(np.maximum(step**2 - np.minimum(rise**2, 0.7 * step**2), 0)) - step  # what each step loses
        lost = np.cumsum(short, axis)
        lost = np.insert(lost, 0, 0.0, axis=axis)
        lost -= np.take(lost, [GRID // 2], axis=axis)
        lost = np.asarray(cv2.GaussianBlur(lost, (0, 0), 4.0))
        if axis == 0:
            s = s + lost
        else:
            t = t + lost
    return places(s, t)
