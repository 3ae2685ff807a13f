"""What walls, houses, hedges, skies and grounds look like: textures drawn from noise, uint8 sRGB."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ...looks.patterns import Bytes, Singles, draw_colour, finish, lab_to_rgb, noise, tile
from ...scenes.config import BackgroundConfig
from ...scenes.surfaces import DRAW, SurfaceLook

Cover = NDArray[np.uint8]
ROWS, COLUMNS = 128, 512
Painted = tuple[Bytes, Cover]


def _box(picture: Singles, x: float, y: float, w: float, h: float, colour: Singles, line: float = 0.0) -> None:
    """A rectangle of shares of the picture, with a darker rim of ``line``."""
    rows, columns = picture.shape[:2]
    corner = [(int(x * columns), int(y * rows)), (int((x + w) * columns), int((y + h) * rows))]
    cv2.rectangle(picture, corner[0], corner[1], [float(c) for c in colour], -1)
    if line > 0:
        rim = [float(0.6 * colour[0]), float(colour[1]), float(colour[2])]
        cv2.rectangle(picture, corner[0], corner[1], rim, max(1, int(line * rows)))


def draw_inside(rng: np.random.Generator) -> Painted:
    """A room's wall (ROWS, COLUMNS, 3) over about 12 m: windows, doors, shelves, pictures, curtains; covers all."""
    wall = draw_colour(rng, (48, 94), (0, 22))
    picture = np.empty((ROWS, COLUMNS, 3), np.float32)
    picture[:] = wall
    if rng.random() < 0.3:
        print_ = tile(rng, "stripes" if rng.random() < 0.5 else "dots", np.stack([wall, wall - (7, 0, 0), wall]), 32)
        picture[:] = np.tile(print_, (ROWS // 32, COLUMNS // 32, 1))
    if rng.random() < 0.3:  # panelling or tiles below
        _box(picture, 0, 0.62, 1, 0.38, draw_colour(rng, (25, 85), (0, 26)), 0.01)
    x = rng.uniform(0, 0.05)
    while x < 0.97:
        width = rng.uniform(0.04, 0.16)
        thing = rng.choice(["none", "window", "door", "shelf", "picture", "curtain", "cupboard", "screen"])
        _wall_thing(rng, picture, str(thing), x, width)
        x += width + rng.uniform(0.01, 0.10)
    _box(picture, 0, 0.965, 1, 0.035, draw_colour(rng, (20, 95), (0, 8)))
    shade = 1 + 0.04 * noise(rng, COLUMNS, 6)[:ROWS]
    shade *= np.linspace(1.05, 0.85, ROWS)[:, None]
    return finish(picture, shade.astype(np.float32)), np.full((ROWS, COLUMNS), 255, np.uint8)


def _wall_thing(rng: np.random.Generator, picture: Singles, thing: str, x: float, width: float) -> None:
    if thing == "window":
        top, height = rng.uniform(0.12, 0.25), rng.uniform(0.35, 0.5)
        frame, light = draw_colour(rng, (60, 97), (0, 6)), np.array([rng.uniform(75, 99), -2, -6], np.float32)
        _box(picture, x, top, width, height, light, 0.02)
        _box(picture, x, top + 0.6 * height, width, 0.4 * height, draw_colour(rng, (40, 80), (5, 30)), 0.02)
        _box(picture, x + 0.48 * width, top, 0.03 * width, height, frame)
    elif thing == "door":
        _box(picture, x, 0.22, min(width, 0.085), 0.78, draw_colour(rng, (25, 92), (0, 30)), 0.015)
    elif thing in ("shelf", "cupboard"):
        top = rng.uniform(0.2, 0.6)
        _box(picture, x, top, width, 1 - top, draw_colour(rng, (18, 85), (2, 26)), 0.01)
        for row in np.arange(top + 0.02, 0.95, 0.13):
            if thing == "cupboard":
                _box(picture, x + 0.01, row, width - 0.02, 0.11, draw_colour(rng, (30, 90), (2, 20)), 0.008)
                continue
            column = x + 0.004
            while column < x + width - 0.01:
                book = rng.uniform(0.003, 0.012)
                _box(picture, column, row + rng.uniform(0, 0.04), book, 0.10, draw_colour(rng, (15, 88), (5, 50)))
                column += book + 0.001
    elif thing in ("picture", "screen"):
        top, height = rng.uniform(0.2, 0.4), rng.uniform(0.12, 0.28)
        _box(picture, x, top, width * 0.7, height, draw_colour(rng, (8, 90), (0, 40)), 0.02)
        if thing == "picture":
            _box(
                picture,
                x + 0.1 * width,
                top + 0.2 * height,
                width * 0.4,
                0.5 * height,
                draw_colour(rng, (20, 90), (5, 50)),
            )
    elif thing == "curtain":
        rows, left, right = slice(int(0.1 * ROWS), int(0.97 * ROWS)), int(x * COLUMNS), int((x + width) * COLUMNS)
        colour, folds = draw_colour(rng, (25, 90), (2, 40)), np.arange(right - left)
        picture[rows, left:right] = colour
        picture[rows, left:right, 0] *= (1 + 0.12 * np.sin(folds / 2.3 + rng.uniform(0, 6)))[
            : picture[:, left:right].shape[1]
        ]


def draw_outside(rng: np.random.Generator) -> Painted:
    """What stands round an open place: houses, hedges, trees, hills or a fence; covers what lies below its outline."""
    picture = np.zeros((ROWS, COLUMNS, 3), np.float32)
    cover = np.zeros((ROWS, COLUMNS), np.uint8)
    kind = str(rng.choice(["houses", "houses", "trees", "trees", "hills", "hedge", "mixed"]))
    across = np.arange(COLUMNS)
    wave = noise(rng, COLUMNS, {"hills": 3.0, "hedge": 60.0}.get(kind, 22.0))[:2].mean(0)
    if kind in ("trees", "hills", "hedge", "mixed"):
        base = {"trees": 0.35, "hills": 0.75, "hedge": 0.7, "mixed": 0.5}[kind]
        outline = np.clip(base - {"hills": 0.06, "hedge": 0.02}.get(kind, 0.10) * wave, 0.03, 0.96)
        below = np.arange(ROWS)[:, None] >= outline[None, across] * ROWS
        green = np.array([rng.uniform(20, 52), rng.uniform(-22, 4), rng.uniform(8, 34)], np.float32)
        if kind == "hills":
            green += (18, 8, -14)
        leaves = noise(rng, COLUMNS, 45)[:ROWS] + 0.8 * noise(rng, COLUMNS, 14)[:ROWS]
        picture[:] = green + leaves[..., None] * np.array([5.0, 0.6, 1.6], np.float32)
        cover[below] = 255
    if kind in ("houses", "mixed"):
        x = 0.0
        while x < 1:
            width, top = rng.uniform(0.06, 0.22), rng.uniform(0.0, 0.6)
            if rng.random() < (0.9 if kind == "houses" else 0.4):
                _house(rng, picture, cover, x, min(width, 1 - x), top)
            x += width
    if kind in ("trees", "mixed") and rng.random() < 0.6:  # trunks
        for _ in range(int(rng.integers(2, 9))):
            x = rng.uniform(0, 0.98)
            _box(picture, x, 0.5, rng.uniform(0.003, 0.01), 0.5, np.array([25, 4, 10], np.float32))
            cover[ROWS // 2 :, int(x * COLUMNS) : int(x * COLUMNS) + 3] = 255
    shade = 1 + 0.06 * noise(rng, COLUMNS, 12)[:ROWS]
    return finish(picture, shade.astype(np.float32)), cover


def _house(rng: np.random.Generator, picture: Singles, cover: Cover, x: float, width: float, top: float) -> None:
    front = draw_colour(rng, (30, 90), (2, 34))
    _box(picture, x, top, width, 1 - top, front, 0.01)
    cover[int(top * ROWS) :, int(x * COLUMNS) : int((x + width) * COLUMNS)] = 255
    pane = np.array([rng.uniform(12, 70), 0, -5], np.float32)
    columns, size = max(1, int(width * rng.uniform(18, 34))), rng.uniform(0.4, 0.7)
    for row in np.arange(top + 0.06, 0.78, rng.uniform(0.13, 0.2)):
        for k in range(columns):
            _box(picture, x + width * (k + 0.2) / columns, row, width * size / columns, 0.08, pane, 0.008)
    if rng.random() < 0.6:  # a shop or a door on the ground
        _box(picture, x + 0.1 * width, 0.82, 0.8 * width, 0.18, draw_colour(rng, (10, 80), (5, 60)), 0.015)
        _box(picture, x + 0.15 * width, 0.87, 0.5 * width, 0.13, pane, 0.01)


def draw_sky(rng: np.random.Generator) -> Bytes:
    """A sky (64, 256, 3) by elevation (zenith first) and azimuth: clear, cloudy, overcast or evening."""
    kind = str(rng.choice(["clear", "cloudy", "cloudy", "overcast", "evening"]))
    zenith = np.array([rng.uniform(50, 70), 0, -36], np.float32)
    horizon = np.array([rng.uniform(82, 93), -2, -10], np.float32)
    if kind == "overcast":
        zenith, horizon = np.array([rng.uniform(70, 88), 0, -3]), np.array([rng.uniform(80, 95), 0, -2])
    if kind == "evening":
        zenith, horizon = np.array([rng.uniform(35, 55), 4, -26]), np.array([rng.uniform(70, 86), 12, 26])
    down = (np.linspace(0, 1, 64) ** 1.6)[:, None, None]
    picture = np.repeat(zenith * (1 - down) + horizon * down, 256, 1).astype(np.float32)
    if kind in ("cloudy", "evening"):
        field = noise(rng, 256, 7)[:64] + 0.5 * noise(rng, 256, 20)[:64]
        amount = np.clip((field - rng.uniform(-0.6, 0.9)) / 1.2, 0, 0.9)[..., None]
        picture += amount * (np.array([95, 0, 1]) - picture)
    return np.round(lab_to_rgb(picture)).astype(np.uint8)


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
    picture, shade = _ground(rng, size, (62, 3, 7), (9, 4, 6), 0.06)
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
    picture, shade = _ground(rng, size, (68, 1, 5), (14, 4, 7), 0.03)
    if rng.random() < 0.5:  # square tiles
        pitch = size // 4
        for line in range(0, size, pitch):
            shade[line : line + 2] *= 0.75
            shade[:, line : line + 2] *= 0.75
    return SurfaceLook("lino", finish(picture, shade), rng.uniform(1.2, 2.4))


GROUNDS: dict[str, Callable[[np.random.Generator, int], SurfaceLook]] = {
    "grass": _grass, "asphalt": _asphalt, "paving": _paving, "sand": _plain("sand", (74, 4, 18), 0.07),
    "dirt": _plain("dirt", (44, 7, 16), 0.14), "snow": _plain("snow", (93, 0, -2), 0.03), "court": _court, "lino": _lino,
}  # fmt: skip


def draw_ground(rng: np.random.Generator, kind: str, size: int) -> SurfaceLook:
    """A floor or ground of one of the kinds of the config."""
    if kind in GROUNDS:
        return GROUNDS[kind](rng, size)
    return DRAW[kind](rng, BackgroundConfig(lightness=(25.0, 85.0)), size)
