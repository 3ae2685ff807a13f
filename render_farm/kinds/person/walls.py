"""What walls, houses, hedges, trees and skies look like: pictures drawn from noise, uint8 sRGB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...looks.patterns import Bytes, Singles, draw_colour, finish, lab_to_rgb, noise, tile

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
    shade = 1 + 0.04 * noise(rng, COLUMNS, 6)[:ROWS] + 0.16 * noise(rng, COLUMNS, 1.5)[:ROWS]
    shade *= np.linspace(1.1, 0.75, ROWS)[:, None]
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
    green = np.array([rng.uniform(26, 52), rng.uniform(-20, 0), rng.uniform(8, 30)], np.float32)
    if kind in ("hills", "hedge"):
        wave = noise(rng, COLUMNS, {"hills": 3.0}.get(kind, 60.0))[:2].mean(0)
        outline = np.clip({"hills": 0.75 - 0.06 * wave, "hedge": 0.7 - 0.02 * wave}[kind], 0.03, 0.96)
        below = np.arange(ROWS)[:, None] >= outline[None, across] * ROWS
        picture[:] = green + np.array([18, 8, -14]) if kind == "hills" else green
        cover[below] = 255
    else:
        if kind in ("trees", "mixed"):
            _trees(rng, picture, cover, green)
        if kind in ("houses", "mixed"):
            x = 0.0
            while x < 1:
                width, top = rng.uniform(0.06, 0.22), rng.uniform(0.0, 0.6)
                if rng.random() < (0.9 if kind == "houses" else 0.4):
                    _house(rng, picture, cover, x, min(width, 1 - x), top)
                x += width
        if kind == "houses" and rng.random() < 0.5:
            _trees(rng, picture, cover, green, int(rng.integers(3, 12)))
    leaves = noise(rng, COLUMNS, 45)[:ROWS] + 0.8 * noise(rng, COLUMNS, 14)[:ROWS]
    leafy = (picture[..., 1] < 2) & (picture[..., 2] > 6)
    picture += (leafy * leaves)[..., None] * np.array([5.0, 0.6, 1.6], np.float32)
    shade = 1 + 0.06 * noise(rng, COLUMNS, 12)[:ROWS]
    return finish(picture, shade.astype(np.float32)), np.asarray(cv2.GaussianBlur(cover, (0, 0), 0.8), np.uint8)


def _trees(rng: np.random.Generator, picture: Singles, cover: Cover, green: Singles, count: int = 0) -> None:
    """Trees side by side, the far ones first: round crowns lit from above, or the cones of conifers; ``count`` or a wood."""
    wood, conifers, tall = count == 0, rng.random() < 0.3, rng.uniform(0.5, 0.95)
    count = count or int(rng.integers(60, 110))
    if wood:  # what is dark between the trunks
        top = int((1 - 0.55 * tall) * ROWS)
        picture[top:], cover[top:] = green * (0.6, 1, 1), 255
    for k in range(count):
        x, near = int(rng.integers(COLUMNS)), (k + 1) / count
        height, wide = tall * rng.uniform(0.55, 1.0) * ROWS, rng.uniform(0.02, 0.05) * COLUMNS
        colour = green + rng.normal(0, (3, 2, 3)) + (6 * near - 4, 0, 2 * near)
        for shift in (-COLUMNS, 0, COLUMNS):
            middle = x + shift
            trunk = (int(middle - 2), int(ROWS - 0.6 * height)), (int(middle + 1), ROWS)
            for layer, share in ((picture, (0.4 * float(colour[0]), 4.0, 9.0)), (cover, (255.0,))):
                cv2.rectangle(layer, *trunk, share, -1)
            for step in range(5):
                up = height * (0.42 + 0.11 * step)
                half = wide * ((1 - 0.19 * step) if conifers else (0.8, 1.0, 1.0, 0.8, 0.5)[step])
                at = (int(middle + (0 if conifers else rng.normal(0, 0.2 * wide))), int(ROWS - up))
                size = (max(2, int(half)), max(2, int(0.16 * height)))
                light = colour + np.array([2.5 * step - 4, 0, 0])
                cv2.ellipse(picture, at, size, 0, 0, 360, [float(c) for c in light], -1)
                cv2.ellipse(cover, at, size, 0, 0, 360, (255.0,), -1)


def _house(rng: np.random.Generator, picture: Singles, cover: Cover, x: float, width: float, top: float) -> None:
    front = draw_colour(rng, (30, 88), (1, 16))
    if rng.random() < 0.35:  # brick
        front = np.array([rng.uniform(30, 52), rng.uniform(10, 22), rng.uniform(12, 22)], np.float32)
    _box(picture, x, top, width, 1 - top, front, 0.01)
    cover[int(top * ROWS) :, int(x * COLUMNS) : int((x + width) * COLUMNS)] = 255
    pane = np.array([rng.uniform(12, 70), 0, -5], np.float32)
    columns, size = max(1, int(width * rng.uniform(18, 34))), rng.uniform(0.4, 0.7)
    for row in np.arange(top + 0.06, 0.78, rng.uniform(0.13, 0.2)):
        for k in range(columns):
            _box(picture, x + width * (k + 0.2) / columns, row, width * size / columns, 0.08, pane, 0.008)
    if rng.random() < 0.6:  # a shop or a door on the ground
        _box(picture, x + 0.1 * width, 0.82, 0.8 * width, 0.18, draw_colour(rng, (10, 80), (5, 40)), 0.015)
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
