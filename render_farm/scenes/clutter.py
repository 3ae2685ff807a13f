"""Cushions and crumpled cloths that lie beside infants; shapes are a pool of the job."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes, Singles, noise
from .cloths import HeightMap
from .meshes import grid_faces, occluder_topology, turned
from .scene import Surface, Topology

_SHAPE_STREAM = 403
_GRID = 31
_SHAPES = 8
Floats = NDArray[np.floating]


@cache
def _cloth_topology() -> Topology:
    axis = np.linspace(0, 1, _GRID)
    uv = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return occluder_topology("heap", grid_faces(_GRID, _GRID)[:, ::-1], 0.6 * uv)


def draw_heap(rng: np.random.Generator, cushion: bool) -> Singles:
    """Vertices (_GRID^2, 3) of a cushion or a crumpled cloth of radius about 1, lying on y = 0."""
    a, b = np.meshgrid(np.linspace(-1, 1, _GRID), np.linspace(-1, 1, _GRID), indexing="ij")
    rim = np.clip((1 - np.abs(a) ** 3) * (1 - np.abs(b) ** 3), 0, 1)
    if cushion:
        pinch = 1 - 0.10 * (1 - np.abs(b)) * np.abs(a) ** 3
        height = 0.42 * rim**0.45 + 0.02 * noise(rng, _GRID, 3.0) * rim
        points = np.stack([a * (1 - 0.08 * (1 - b**2)), height, b * pinch * rng.uniform(0.65, 1.0)], -1)
    else:
        folds = np.sqrt(noise(rng, _GRID, 1.8) ** 2 + 0.05) + 0.5 * np.sqrt(noise(rng, _GRID, 3.2) ** 2 + 0.05)
        height = 0.02 + 0.17 * folds * (0.15 + 0.85 * rim)
        drawn = 1 - 0.14 * np.clip(noise(rng, _GRID, 1.0), -1.5, 1.5)
        moved = 0.09 * np.stack([noise(rng, _GRID, 1.3), noise(rng, _GRID, 1.3)])
        points = np.stack([a * drawn + moved[0], height, b * drawn + moved[1]], -1)
    points[..., 1] *= np.where(np.maximum(np.abs(a), np.abs(b)) >= 1, 0.0, 1.0)
    return np.ascontiguousarray(points.reshape(-1, 3), np.float32)


class Heaps:
    """The cushions and cloths of one job; entry j is a pure function of (seed, j)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._shapes: dict[int, Singles] = {}

    def shape(self, index: int) -> Singles:
        """Entry ``index``; every second one is a cushion."""
        if index not in self._shapes:
            rng = np.random.default_rng([self.seed, _SHAPE_STREAM, index])
            self._shapes[index] = draw_heap(rng, index % 2 == 0)
        return self._shapes[index]

    def beside(self, rng: np.random.Generator, bumps: HeightMap, vertices: Floats, texture: Bytes) -> list[Surface]:
        """One of them beside the bodies, where nothing lies; nothing where no room is found.

        Args:
            vertices: (V, 3) of the bodies, metres.
        """
        shape, yaw = self.shape(int(rng.integers(_SHAPES))), rng.uniform(0, 2 * np.pi)
        size, direction = rng.uniform(0.09, 0.19), rng.uniform(0, 2 * np.pi)
        points = turned(shape, yaw) * np.array([size, min(size, 0.13), size])
        middle = vertices[::50].mean(0)
        away = np.array([np.cos(direction), 0.0, np.sin(direction)])
        for apart in np.arange(0.12, 0.75, 0.05):
            place = middle * (1, 0, 1) + apart * away
            around = points[::5] * 1.08 + place
            if bumps.at(around[:, 0], around[:, 2]).max() < 0.004:
                return [Surface(_cloth_topology(), (points + place).astype(np.float32), texture, specular=0.0)]
        return []
