"""Rooms behind people, as a lens sees what it does not focus on: walls, floors, furniture, windows and small things."""

from __future__ import annotations

import cv2
import numpy as np

from ..looks.patterns import Bytes, Singles, draw_colour, finish, noise

Rng = np.random.Generator
SIZE = 192
_DIM = 0.55  # factor on the lightness of what lies in furniture's own shade


def _box(picture: Singles, left: float, top: float, right: float, bottom: float, colour: Singles) -> None:
    """Fill a rectangle (pixels, cut at the borders)."""
    corners = (round(left), round(top)), (round(right), round(bottom))
    cv2.rectangle(picture, *corners, [float(c) for c in colour], -1)


def _lighter(colour: Singles, by: float) -> Singles:
    return np.array([np.clip(colour[0] + by, 2, 98), *colour[1:]], np.float32)


def _material(rng: Rng) -> Singles:
    """Lab colour of furniture: wood, white, black, or painted and upholstered in any colour."""
    kind = rng.random()
    if kind < 0.4:
        return np.array([rng.uniform(18, 68), rng.uniform(4, 14), rng.uniform(10, 30)], np.float32)
    if kind < 0.6:
        return np.array([rng.uniform(82, 96), rng.normal(0, 1), rng.normal(2, 2)], np.float32)
    if kind < 0.75:
        return np.array([rng.uniform(5, 22), rng.normal(0, 1), rng.normal(0, 1)], np.float32)
    return draw_colour(rng, (15, 85), (3, 45))


def _wall(picture: Singles, rng: Rng, horizon: int) -> None:
    """A wall with its light, perhaps papered, and a skirting board."""
    size = len(picture)
    colour = np.array([rng.uniform(45, 95), *rng.normal(0, 3, 2)], np.float32)
    if rng.random() < 0.35:
        colour = draw_colour(rng, (25, 90), (4, 28))
    picture[:horizon] = colour
    if rng.random() < 0.2:
        pitch, share = size / rng.integers(8, 24), rng.uniform(0.3, 0.6)
        picture[:horizon, (np.arange(size) / pitch) % 1 < share] = _lighter(colour, rng.uniform(-12, 8))
    left, right = rng.uniform(-12, 8, 2)
    picture[:horizon, :, 0] += np.linspace(left, right, size, dtype=np.float32)
    if rng.random() < 0.6:
        board = _lighter(colour, 20) if rng.random() < 0.7 else _material(rng)
        _box(picture, 0, horizon - size * rng.uniform(0.015, 0.035), size, horizon, board)


def _floor(picture: Singles, rng: Rng, horizon: int) -> None:
    """Boards that run to a vanishing point, or a carpet; darker towards the wall."""
    size = len(picture)
    boards = rng.random() < 0.55
    colour = (
        np.array([rng.uniform(22, 72), rng.uniform(4, 13), rng.uniform(12, 28)], np.float32)
        if boards
        else draw_colour(rng, (18, 80), (0, 22))
    )
    picture[horizon:] = colour
    rows, columns = np.mgrid[horizon:size, 0:size].astype(np.float32)
    depth = 1 / np.maximum(rows - horizon + 6, 1)
    if boards:
        across = (columns - size * rng.uniform(0.2, 0.8)) * depth * rng.uniform(4, 9)
        board = np.floor(across).astype(int)
        picture[horizon:, :, 0] += 3.0 * rng.standard_normal(64)[board % 64]
        picture[horizon:, :, 0] -= 6.0 * (np.abs(across - board) < 0.06)
    picture[horizon:, :, 0] -= 14.0 * np.exp(-(rows - horizon) / (0.06 * size))


def _window(picture: Singles, rng: Rng, horizon: int) -> None:
    """A bright window with its frame, something outside, and perhaps curtains."""
    size = len(picture)
    width, height = size * rng.uniform(0.15, 0.4), size * rng.uniform(0.2, 0.5)
    left, bottom = rng.uniform(-0.1, 0.9) * size, horizon - size * rng.uniform(0.05, 0.25)
    frame, pane = _lighter(_material(rng), 10), size * 0.012
    _box(picture, left, bottom - height, left + width, bottom, frame)
    panes = int(rng.integers(1, 4))
    for k in range(panes):
        start, end = left + width * k / panes + pane, left + width * (k + 1) / panes - pane
        sky = np.array([rng.uniform(90, 99), rng.normal(-1, 1), rng.normal(-4, 3)], np.float32)
        _box(picture, start, bottom - height + pane, end, bottom - pane, sky)
        if rng.random() < 0.6:
            green = np.array([rng.uniform(45, 80), rng.uniform(-22, 0), rng.uniform(4, 24)], np.float32)
            _box(picture, start, bottom - height * rng.uniform(0.2, 0.6), end, bottom - pane, green)
    if rng.random() < 0.5:
        cloth, wide = draw_colour(rng, (20, 92), (0, 30)), width * rng.uniform(0.15, 0.4)
        for start in (left - 0.5 * wide, left + width - 0.5 * wide):
            for k in range(8):
                x, shade = start + wide * k / 8, 9 * np.sin(1.7 * k + rng.uniform(0, 2))
                _box(picture, x, bottom - height - 3, x + wide / 8, bottom + 0.1 * size, _lighter(cloth, shade))


def _pictures(picture: Singles, rng: Rng, horizon: int) -> None:
    """Framed pictures on the wall."""
    size = len(picture)
    for _ in range(int(rng.integers(1, 4))):
        width, height = size * rng.uniform(0.06, 0.2, 2)
        x, y, rim = rng.uniform(0, 0.95) * size, horizon - size * rng.uniform(0.2, 0.5), size * rng.uniform(0.006, 0.02)
        _box(picture, x, y - height, x + width, y, _material(rng))
        _box(picture, x + rim, y - height + rim, x + width - rim, y - rim, draw_colour(rng, (20, 95), (0, 30)))
        middle = round(x + width * rng.uniform(0.3, 0.7)), round(y - height * rng.uniform(0.3, 0.7))
        cv2.circle(picture, middle, round(0.25 * min(width, height)), draw_colour(rng, (10, 90), (5, 45)).tolist(), -1)


def _shade_floor(picture: Singles, left: float, right: float, bottom: float) -> None:
    """The dark beneath and beside a piece of furniture."""
    shade = np.zeros(picture.shape[:2], np.float32)
    half = max(1, round((right - left) / 2))
    cv2.ellipse(
        shade, (round((left + right) / 2), round(bottom)), (round(1.1 * half), max(2, half // 5)), 0, 0, 360, 1, -1
    )
    shade = np.asarray(cv2.GaussianBlur(shade, (0, 0), 3.0), np.float32)
    picture[..., 0] *= 1 - 0.6 * shade


def _cupboard(picture: Singles, rng: Rng, left: float, top: float, right: float, bottom: float) -> None:
    """Doors or drawers with handles, a side in the shade, feet."""
    colour, side = _material(rng), (right - left) * rng.uniform(0.0, 0.2)
    _box(picture, left, top, right, bottom, colour)
    _box(picture, right - side, top, right, bottom, _lighter(colour, -16))
    _box(picture, left, top, right, top + 2, _lighter(colour, 9))
    rows, columns = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    high, wide = (bottom - top) / rows, (right - side - left) / columns
    handle = _material(rng)
    for row in range(rows):
        for column in range(columns):
            x, y = left + wide * column, top + high * row
            _box(picture, x, y + high - 1, x + wide, y + high - 1, _lighter(colour, -22))
            _box(picture, x + wide - 1, y, x + wide - 1, y + high, _lighter(colour, -18))
            _box(picture, x + 0.4 * wide, y + 0.3 * high, x + 0.6 * wide, y + 0.3 * high + 1, handle)


def _shelves(picture: Singles, rng: Rng, left: float, top: float, right: float, bottom: float) -> None:
    """A bookcase: dark compartments with books and boxes."""
    colour, rows = _material(rng), int(rng.integers(2, 6))
    _box(picture, left, top, right, bottom, colour)
    high = (bottom - top) / rows
    for row in range(rows):
        floor, ceiling = top + high * (row + 1) - 2, top + high * row + 2
        _box(picture, left + 2, ceiling, right - 2, floor, _DIM * colour)
        x = left + 2
        while x < right - 3:
            width = float(rng.uniform(1.5, 7.0)) * (2.5 if rng.random() < 0.15 else 1)
            height = high * rng.uniform(0.45, 0.88)
            if rng.random() < 0.85:
                _box(
                    picture,
                    x,
                    floor - height,
                    min(x + width - 1, right - 2),
                    floor,
                    draw_colour(rng, (10, 92), (0, 48)),
                )
            x += width


def _sofa(picture: Singles, rng: Rng, left: float, top: float, right: float, bottom: float) -> None:
    """A seat with a back, arms and cushions."""
    colour, middle = draw_colour(rng, (12, 85), (0, 35)), 0.45 * top + 0.55 * bottom
    top, wide = middle - 0.6 * (bottom - middle), right - left
    _box(picture, left, top, right, bottom, colour)
    _box(picture, left, middle, right, bottom, _lighter(colour, -10))
    _box(picture, left, middle - 2, right, middle + 2, _lighter(colour, 8))
    for x in (left, right - 0.12 * wide):
        _box(picture, x, 0.6 * top + 0.4 * middle, x + 0.12 * wide, bottom, _lighter(colour, -4))
    for _ in range(int(rng.integers(0, 4))):
        x, side = left + wide * rng.uniform(0.1, 0.75), wide * rng.uniform(0.1, 0.18)
        _box(picture, x, middle - side, x + side, middle + 0.1 * side, draw_colour(rng, (20, 95), (0, 48)))


def _plant(picture: Singles, rng: Rng, left: float, top: float, right: float, bottom: float) -> None:
    """Leaves above a pot."""
    middle, wide = (left + right) / 2, (right - left) / 2
    _box(picture, middle - 0.4 * wide, bottom - 0.6 * wide, middle + 0.4 * wide, bottom, _material(rng))
    for _ in range(26):
        place = rng.normal((middle, 0.55 * top + 0.45 * bottom), (0.45 * wide, 0.2 * (bottom - top)))
        leaf = [rng.uniform(18, 62), rng.uniform(-26, -8), rng.uniform(8, 30)]
        size = (max(1, round(wide * rng.uniform(0.1, 0.35))), max(1, round(wide * rng.uniform(0.04, 0.12))))
        cv2.ellipse(picture, (round(place[0]), round(place[1])), size, rng.uniform(0, 180), 0, 360, leaf, -1)


def _toys(picture: Singles, rng: Rng, left: float, top: float, right: float, bottom: float) -> None:
    """Small bright things on the floor."""
    for _ in range(int(rng.integers(3, 9))):
        x, size = rng.uniform(left, right), rng.uniform(2, 8)
        colour = draw_colour(rng, (25, 85), (20, 65))
        if rng.random() < 0.5:
            cv2.circle(picture, (round(x), round(bottom - size)), round(size), colour.tolist(), -1)
        else:
            _box(picture, x, bottom - 1.5 * size, x + 2 * size, bottom, colour)


_PIECES = ((_cupboard, 0.34), (_shelves, 0.24), (_sofa, 0.18), (_plant, 0.12), (_toys, 0.12))


def draw_room(rng: Rng, size: int = SIZE) -> Bytes:
    """A room out of focus, (size, size, 3) uint8 sRGB."""
    picture, horizon = np.empty((size, size, 3), np.float32), int(size * rng.uniform(0.18, 0.72))
    _wall(picture, rng, horizon)
    _floor(picture, rng, horizon)
    if rng.random() < 0.4:
        _window(picture, rng, horizon)
    if rng.random() < 0.5:
        _pictures(picture, rng, horizon)
    draw, shares = [piece for piece, _ in _PIECES], np.array([share for _, share in _PIECES])
    for depth in np.sort(rng.uniform(0, 0.22, int(rng.integers(2, 6)))):  # the far ones first
        width, height = size * rng.uniform((0.15, 0.15), (0.5, 0.6))
        left, bottom = rng.uniform(-0.15, 0.95) * size, horizon + depth * size
        _shade_floor(picture, left, left + width, bottom)
        draw[int(rng.choice(len(draw), p=shares))](picture, rng, left, bottom - height, left + width, bottom)
    picture[..., 0] = np.clip(picture[..., 0], 1, 99)
    blur = np.exp(rng.uniform(np.log(0.9), np.log(4.0))) * size / SIZE
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.float32)
    return finish(soft, 1 + 0.14 * noise(rng, size, 1.6) + 0.02 * noise(rng, size, 40))
