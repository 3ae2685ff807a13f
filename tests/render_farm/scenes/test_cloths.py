"""Cloth falls: it lies on what carries it, spans hollows, does not stretch and does not stand up like a tent."""

from __future__ import annotations

import numpy as np

from sim2pose.render_farm.looks.patterns import Bytes
from sim2pose.render_farm.scenes.cloths import GRID, HeightMap, drape_blanket, fall, height_map
from sim2pose.render_farm.scenes.config import OccluderConfig

TEXTURE: Bytes = np.zeros((8, 8, 3), np.uint8)


def _knee(height: float) -> HeightMap:
    """A bump of radius 4 cm in the middle of a square metre."""
    cells = np.arange(84) * 0.012
    x, z = np.meshgrid(cells, cells)
    bump = np.where(np.hypot(x - 0.5, z - 0.5) < 0.04, height, 0).astype(np.float32)
    return HeightMap(bump, 0.0, 0.0)


def test_heights_are_those_of_the_highest_vertex() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform((0, 0, 0), (0.3, 0.1, 0.2), (4000, 3)).astype(np.float32)
    bumps = height_map(points)
    for point in points[:200]:
        assert bumps.at(point[[0]], point[[2]])[0] > point[1] - 0.05
    assert bumps.at(np.array([5.0]), np.array([5.0]))[0] == 0
    assert bumps.heights.max() == points[:, 1].max()


def test_cloth_spans_hollows_but_lies_down_beyond_a_peak() -> None:
    obstacle = np.zeros((48, 48), np.float32)
    obstacle[10:38, 16] = obstacle[10:38, 22] = 0.08
    height = fall(obstacle)
    assert np.all(height >= obstacle)
    assert height[24, 19] > 0.04, "between two ridges it is carried"
    assert height[24, 40] < 0.012, "away from them it lies on the bed"


def test_blankets_over_raised_knees_are_no_tents() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        feet, head = np.array([0.5, 0.0, 0.25]), np.array([0.5, 0.0, 0.85])
        blanket = drape_blanket(rng, OccluderConfig(blanket_reach=(0.9, 0.9)), _knee(0.16), feet, head, TEXTURE)
        grid = blanket.vertices.reshape(GRID, GRID, 3)
        edge = np.concatenate([grid[0], grid[-1], grid[:, 0], grid[:, -1]])
        assert np.median(edge[:, 1]) < 0.03, "its rim lies on the bed"
        away = np.hypot(grid[..., 0] - 0.5, grid[..., 2] - 0.5)
        assert np.median(grid[..., 1][away > 0.16]) < 0.035
        assert grid[..., 1].max() < 0.16 + 0.05


def test_a_blanket_draws_in_where_it_climbs() -> None:
    def width(height: float) -> float:
        rng = np.random.default_rng(3)
        feet, head = np.array([0.5, 0.0, 0.3]), np.array([0.5, 0.0, 0.9])
        blanket = drape_blanket(rng, OccluderConfig(blanket_reach=(0.6, 0.6)), _knee(height), feet, head, TEXTURE)
        rows = blanket.vertices.reshape(GRID, GRID, 3)
        return float(np.linalg.norm((rows[:, -1] - rows[:, 0])[:, [0, 2]], axis=1).min())

    assert width(0.15) < width(0.0) - 0.008
