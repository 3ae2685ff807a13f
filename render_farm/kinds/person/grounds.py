"""What people stand on, indoors and outdoors: seamless textures drawn from noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...looks.patterns import Singles, draw_colour, finish, noise
from ...scenes.config import BackgroundConfig
from ...scenes.surfaces import DRAW, SurfaceLook


def _ground(
    rng: np.random.Generator,
    size: int,
    base: tuple[float, float, float],
    spread: tuple[float, float, float],
    rough: float,
) -> tuple[Singles, Singles]:
    """Lab picture (size, size, 3) of a rough ground, and its shade."""
    colour = np.array(base, np.float32) + rng.normal(0, 1, 3) * spread
    fine, coarse = noise(rng, size, size / 5), noise(rng, size, rng.uniform(3, 7))
    picture = colour + coarse[..., None] * np.array([2.0, 0.5, 1.2], np.float32)
    return picture.astype(np.float32), (1 + rough * fine + 0.05 * noise(rng, size, 14)).astype(np.float32)


def _grass(rng: np.random.Generator, size: int) -> SurfaceLook:
    picture, shade = _ground(rng, size, (44, -16, 28), (7, 4, 5), 0.26)
    return SurfaceLook("grass", finish(picture, shade), rng.uniform(1.2, 2.4))


def _asphalt(rng: np.random.Generator, size: int) -> SurfaceLook:
    picture, shade = _ground(rng, size, (42, 0, 0), (9, 1, 2), 0.10)
    if rng.random() < 0.4:  # a painted line
        picture[:, : max(2, size // 40)] = (88, 0, 2) if rng.random() < 0.7 else (78, 6, 60)
    return SurfaceLook("asphalt", finish(picture, shade), rng.uniform(3.0, 5.0))


def _paving(rng: np.random.Generator, size: int) -> SurfaceLook:
    picture, shade = _ground(rng, size, (56, 1, 6), (10, 2, 4), 0.06)
    cells = int(rng.choice([4, 6, 8]))
    pitch = size // cells
    for row in range(cells):
        offset = (row % 2) * pitch // 2 if rng.random() < 0.7 else 0
        for column in range(cells):
            left = (column * pitch + offset) % size
            picture[row * pitch : (row + 1) * pitch, left : left + pitch] += rng.normal(0, (4, 1, 1)).astype(np.float32)
            shade[row * pitch : (row + 1) * pitch, left : left + 2] *= 0.7
        shade[row * pitch : row * pitch + 2] *= 0.7
    return SurfaceLook("paving", finish(picture, shade), cells * rng.uniform(0.2, 0.45))


def _plain(
    name: str, base: tuple[float, float, float], rough: float
) -> Callable[[np.random.Generator, int], SurfaceLook]:
    def draw(rng: np.random.Generator, size: int) -> SurfaceLook:
        return SurfaceLook(name, finish(*_ground(rng, size, base, (6, 2, 4), rough)), rng.uniform(1.5, 3.0))

    return draw


def _court(rng: np.random.Generator, size: int) -> SurfaceLook:
    base = ((50, 32, 30), (45, -20, 4), (45, -4, -30), (60, 12, 34))[int(rng.integers(4))]
    picture, shade = _ground(rng, size, base, (5, 4, 4), 0.05)
    width = max(2, size // 60)
    picture[:, :width] = picture[:width] = (92, 0, 2)
    return SurfaceLook("court", finish(picture, shade), rng.uniform(4.0, 7.0))


def _lino(rng: np.random.Generator, size: int) -> SurfaceLook:
    picture, shade = _ground(rng, size, (60, 1, 5), (15, 3, 6), 0.03)
    if rng.random() < 0.5:  # square tiles
        pitch = size // 4
        for line in range(0, size, pitch):
            shade[line : line + 2] *= 0.75
            shade[:, line : line + 2] *= 0.75
    return SurfaceLook("lino", finish(picture, shade), rng.uniform(1.2, 2.4))


def _tiles(rng: np.random.Generator, size: int) -> SurfaceLook:
    """Ceramic tiles with joints: of one colour, or two in turn."""
    cells = int(rng.choice([4, 6, 8]))
    pitch = size // cells
    colours = np.stack([draw_colour(rng, (20, 84), (0, 12)) for _ in range(2)])
    if rng.random() < 0.7:
        colours[1] = colours[0]
    cell = np.arange(size) // pitch
    uneven = rng.normal(0, 1.0, (cells + 1, cells + 1, 1))[cell[:, None], cell[None]]
    picture = colours[(cell[:, None] + cell[None]) % 2] + uneven
    shade = 1 + 0.04 * noise(rng, size, 9)
    joint = np.where(np.arange(size) % pitch < max(1, size // 170), rng.uniform(0.5, 0.8), 1.0)
    shade = shade * np.minimum(joint[:, None], joint[None])
    return SurfaceLook(
        "tiles", finish(picture.astype(np.float32), shade.astype(np.float32)), cells * rng.uniform(0.2, 0.5)
    )


GROUNDS: dict[str, Callable[[np.random.Generator, int], SurfaceLook]] = {
    "grass": _grass, "asphalt": _asphalt, "paving": _paving, "sand": _plain("sand", (66, 4, 17), 0.07),
    "dirt": _plain("dirt", (44, 7, 16), 0.14), "snow": _plain("snow", (93, 0, -2), 0.03), "court": _court, "lino": _lino,
    "tiles": _tiles,
}  # fmt: skip


def draw_ground(rng: np.random.Generator, kind: str, size: int) -> SurfaceLook:
    """A floor or ground of one of the kinds of the config."""
    if kind in GROUNDS:
        return GROUNDS[kind](rng, size)
    return DRAW[kind](rng, BackgroundConfig(lightness=(18.0, 75.0), chroma=(0.0, 18.0)), size)
