"""Floors and grounds that people walk on: seamless, with enough detail that a camera's motion shows, and no more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...looks.patterns import draw_colour, finish, noise
from ...poses.angles import choose
from ...scenes.config import BackgroundConfig
from ...scenes.surfaces import DRAW, SurfaceLook

POOL, _STREAM = 24, 451
_BEDDING = BackgroundConfig()
PLACES = {
    "hall": {"paving": 0.36, "lino": 0.26, "rug": 0.38},
    "outdoors": {"paving": 0.3, "asphalt": 0.25, "grass": 0.3, "sand": 0.15},
    "nursery": {"sheet": 0.3, "quilt": 0.2, "muslin": 0.15, "rug": 0.2, "wood": 0.15},
}
"""Shares of grounds by place."""


class Grounds:
    """Grounds of a job; entry (place, j) is a pure function of (seed, place, j)."""

    def __init__(self, seed: int, size: int) -> None:
        self.seed, self.size = seed, size
        self._looks: dict[tuple[str, int], SurfaceLook] = {}

    def look(self, index: int, place: str) -> SurfaceLook:
        """A ground that suits one of :data:`PLACES`."""
        key = (place, index % POOL)
        if key not in self._looks:
            rng = np.random.default_rng([self.seed, _STREAM, list(PLACES).index(place), index % POOL])
            kind = choose(rng, PLACES[place])
            made = _GROUNDS[kind](rng, self.size) if kind in _GROUNDS else DRAW[kind](rng, _BEDDING, self.size)
            self._looks[key] = made
        return self._looks[key]


def _paving(rng: np.random.Generator, size: int) -> SurfaceLook:
    """Slabs with joints, each a little lighter or darker than the next."""
    rows, columns = int(rng.integers(3, 6)), int(rng.integers(3, 6))
    shift = 0.5 if rng.random() < 0.4 and rows % 2 == 0 else 0.0
    y, x = np.mgrid[0:size, 0:size] / size
    row = np.floor(y * rows).astype(int)
    along = x * columns + shift * (row % 2)
    column = np.floor(along).astype(int) % columns
    value = rng.normal(0, rng.uniform(1.5, 5), (rows, columns))[row, column]
    lab = np.broadcast_to(draw_colour(rng, (30, 72), (0, 8)), (size, size, 3)).astype(np.float32).copy()
    lab[..., 0] += value
    inside = np.minimum(
        np.minimum(along % 1, 1 - along % 1) / columns, np.minimum(y * rows % 1, 1 - y * rows % 1) / rows
    )
    joint = 1 - 0.4 * np.exp(-((inside / 0.004) ** 2))
    shade = joint * (1 + 0.05 * noise(rng, size, 60) + 0.05 * noise(rng, size, 5))
    return SurfaceLook(
        "paving", finish(lab, shade.astype(np.float32)), float(rng.uniform(0.3, 0.6) * max(rows, columns))
    )


def _asphalt(rng: np.random.Generator, size: int) -> SurfaceLook:
    lab = np.broadcast_to(np.array([rng.uniform(32, 62), 0, rng.uniform(-2, 3)], np.float32), (size, size, 3))
    spots = 0.10 * noise(rng, size, 110) + 0.06 * noise(rng, size, 40) + 0.07 * noise(rng, size, 4)
    cracks = 1 - 0.35 * np.exp(-((noise(rng, size, 3) / 0.012) ** 2)) * (noise(rng, size, 2) > 0.2)
    return SurfaceLook("asphalt", finish(lab, ((1 + spots) * cracks).astype(np.float32)), float(rng.uniform(1.6, 2.8)))


def _grass(rng: np.random.Generator, size: int) -> SurfaceLook:
    base = np.array([rng.uniform(38, 56), rng.uniform(-24, -12), rng.uniform(22, 36)], np.float32)
    patches = noise(rng, size, 4)[..., None] * np.array([2.5, 1.6, 2.0], np.float32)
    blades = 0.26 * noise(rng, size, 90, aspect=2.0) + 0.16 * noise(rng, size, 45)
    return SurfaceLook("grass", finish(base + patches, (1 + blades).astype(np.float32)), float(rng.uniform(1.2, 2.2)))


def _sand(rng: np.random.Generator, size: int) -> SurfaceLook:
    base = np.array([rng.uniform(58, 80), rng.uniform(1, 6), rng.uniform(12, 24)], np.float32)
    lab = np.broadcast_to(base, (size, size, 3)).astype(np.float32)
    grains = 0.07 * noise(rng, size, 110) + 0.06 * noise(rng, size, 12) + 0.05 * noise(rng, size, 4)
    return SurfaceLook("sand", finish(lab, (1 + grains).astype(np.float32)), float(rng.uniform(1.4, 2.4)))


def _lino(rng: np.random.Generator, size: int) -> SurfaceLook:
    lab = np.broadcast_to(draw_colour(rng, (32, 76), (0, 9)), (size, size, 3)).astype(np.float32)
    flecks = np.clip(np.abs(noise(rng, size, 70)) - 1.4, 0, 1) * rng.uniform(-0.4, 0.4)
    shade = 1 + flecks + 0.05 * noise(rng, size, 6)
    return SurfaceLook("lino", finish(lab, shade.astype(np.float32)), float(rng.uniform(1.2, 2.0)))


def _rug(rng: np.random.Generator, size: int) -> SurfaceLook:
    """Carpet of one colour in two tones."""
    one = draw_colour(rng, (22, 68), (0, 16))
    step = rng.uniform(2, 7) * (1 if one[0] < 55 else -1)
    mottle = (0.6 * noise(rng, size, 14) + 0.5 * noise(rng, size, 40))[..., None] * np.array([step, 0, 0], np.float32)
    shade = 1 + 0.13 * noise(rng, size, 100)
    return SurfaceLook(
        "rug", finish((one + mottle).astype(np.float32), shade.astype(np.float32)), float(rng.uniform(1.0, 1.8))
    )


_GROUNDS: dict[str, Callable[[np.random.Generator, int], SurfaceLook]] = {
    "paving": _paving, "asphalt": _asphalt, "grass": _grass, "sand": _sand, "lino": _lino, "rug": _rug,
}  # fmt: skip
