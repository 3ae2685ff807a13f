"""Bedding, floors and rooms, drawn from noise: seamless textures with the folds, grain and joints of the real thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from ..looks.patterns import Bytes, Singles, creases, draw_colour, draw_palette, finish, noise, slope_shade, tile, weave
from .config import BackgroundConfig


@dataclass(frozen=True)
class SurfaceLook:
    """One piece of bedding or floor: seamless texture (s, s, 3) uint8 sRGB, and metres one repetition spans."""

    kind: str
    texture: Bytes
    tile: float


def _cloth_print(rng: np.random.Generator, config: BackgroundConfig, size: int, repeats: int) -> Singles:
    """Lab picture (size, size, 3): a plain or printed cloth, the print repeated over the texture."""
    colours = draw_palette(rng, config.lightness, config.chroma)
    if rng.random() < config.white:
        colours[0] = rng.uniform(88, 98), *rng.normal(0, 1.5, 2)
    kinds = ("stripes", "dots", "checks", "stars", "hearts", "heather")
    kind = kinds[int(rng.integers(len(kinds)))] if rng.random() < config.print_share else "plain"
    colours[1:] = colours[0] + rng.uniform(0.45, 1.0) * (colours[1:] - colours[0])
    small = tile(rng, kind, colours, max(64, size // repeats))
    return np.tile(small, (repeats, repeats, 1))[:size, :size]


def _sheet(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    span = rng.uniform(0.7, 1.3)
    height = creases(rng, size, rng.uniform(1.5, 4.0)) + 0.5 * noise(rng, size, rng.uniform(3, 7))
    shade = slope_shade(height, 0.30 * rng.uniform(*config.folds), rng.uniform(0, 2 * np.pi))
    picture = _cloth_print(rng, config, size, int(rng.choice([4, 8, 8])))
    return SurfaceLook("sheet", finish(picture, shade * weave(rng, size, 0.02)), span)


def _quilt(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    span, cells = rng.uniform(0.7, 1.1), int(rng.integers(4, 9))
    y, x = np.mgrid[0:size, 0:size] / size * cells
    if rng.random() < 0.6:
        x, y = x + y, x - y  # diamonds
    puff = (np.abs(np.sin(np.pi * x)) * np.abs(np.sin(np.pi * y))).astype(np.float32) ** 0.4
    shade = slope_shade(puff + 0.05 * noise(rng, size, 12), 0.25, rng.uniform(0, 2 * np.pi)) * (0.80 + 0.22 * puff)
    if rng.random() < 0.35:  # patchwork
        index = (np.floor(x).astype(int) * 7 + np.floor(y).astype(int) * 3) % 4
        colours = np.stack([draw_colour(rng, config.lightness, config.chroma) for _ in range(4)])
        picture = colours[index]
    else:
        picture = _cloth_print(rng, config, size, 8)
    return SurfaceLook("quilt", finish(picture, shade * weave(rng, size, 0.02)), span)


def _muslin(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    height = noise(rng, size, size / 14) + 0.8 * creases(rng, size, rng.uniform(2, 5)) + 0.7 * noise(rng, size, 9)
    shade = slope_shade(height, 0.11, rng.uniform(0, 2 * np.pi)) * weave(rng, size, 0.03)
    return SurfaceLook("muslin", finish(_cloth_print(rng, config, size, 4), shade), rng.uniform(0.6, 1.0))


def _towel(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    colours = draw_palette(rng, config.lightness, config.chroma)
    kind = "stripes" if rng.random() < 0.3 else "plain"
    picture = tile(rng, kind, colours, size)
    shade = 1 + 0.10 * noise(rng, size, size / 5) + 0.05 * creases(rng, size, 3)
    return SurfaceLook("towel", finish(picture, shade), rng.uniform(0.6, 1.0))


def _carpet(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    """Pile that lies this way and that: plain, flecked, or woven in bands and squares."""
    colours, kind = draw_palette(rng, config.lightness, config.chroma), rng.random()
    if kind < 0.35:
        picture = tile(rng, ("blocks", "checks", "stripes", "dots")[int(rng.integers(4))], colours, size)
    else:
        picture = np.empty((size, size, 3), np.float32)
        picture[:] = colours[0]
        if kind < 0.6:
            fleck = (noise(rng, size, size / 4) > rng.uniform(0.8, 1.6))[..., None]
            picture = np.where(fleck, 0.65 * colours[0] + 0.35 * colours[1], picture)
    shade = 1 + 0.07 * noise(rng, size, 4) + rng.uniform(0.08, 0.2) * noise(rng, size, size / rng.uniform(4, 9))
    return SurfaceLook("carpet", finish(picture.astype(np.float32), shade), rng.uniform(0.6, 1.4))


def _wood(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    planks = int(rng.integers(4, 9))
    base = np.array([rng.uniform(38, 82), rng.uniform(3, 13), rng.uniform(12, 30)], np.float32)
    picture = np.empty((size, size, 3), np.float32)
    edges = np.linspace(0, size, planks + 1).astype(int)
    grain = noise(rng, size, size / 7, aspect=22.0) + 0.7 * noise(rng, size, 12, aspect=10.0)
    shade = 1 + 0.10 * grain
    for left, right in pairwise(edges):
        joint = int(rng.integers(size))
        for part in (slice(0, joint), slice(joint, size)):
            picture[part, left:right] = base + rng.normal(0, (4, 1, 2.0))
        shade[max(0, joint - 1) : joint + 1, left:right] *= 0.6
        shade[:, left : left + 2] *= 0.62
    return SurfaceLook("wood", finish(picture, shade.astype(np.float32)), planks * rng.uniform(0.07, 0.16))


def _tiles(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    """Foam play mat: squares of a few colours with dark joints."""
    cells = 4
    pitch = size // cells
    colours = np.stack(
        [draw_colour(rng, config.lightness, (config.chroma[0], config.chroma[1] * 1.5)) for _ in range(3)]
    )
    picture = np.empty((size, size, 3), np.float32)
    order = rng.permutation(np.arange(cells * cells) % int(rng.integers(2, 4))).reshape(cells, cells)
    if rng.random() < 0.5:
        order = np.add.outer(np.arange(cells), np.arange(cells)) % 2
    for row in range(cells):
        for column in range(cells):
            area = np.s_[row * pitch : (row + 1) * pitch, column * pitch : (column + 1) * pitch]
            picture[area] = colours[order[row, column]]
    shade = 1 + 0.03 * noise(rng, size, size / 6)
    wobble = np.round(2.5 * np.sign(np.sin(np.arange(size) / size * 2 * np.pi * cells * 4))).astype(int)
    for line in range(0, size, pitch):
        shade[np.arange(size), (line + wobble) % size] *= 0.72
        shade[(line + wobble) % size, np.arange(size)] *= 0.72
    return SurfaceLook("tiles", finish(picture, shade), rng.uniform(0.9, 1.6))


def _playmat(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    """Printed play mat: large coloured figures and letters on a bright ground, in a frame."""
    ground = draw_colour(rng, (78, 95), (4, 24))
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = ground
    cells, font = int(rng.integers(4, 7)), cv2.FONT_HERSHEY_DUPLEX
    pitch, turn = size / cells, rng.uniform(0, 2 * np.pi)
    for place in range(cells * cells):
        centre = (np.array(divmod(place, cells))[::-1] + 0.5 + rng.uniform(-0.12, 0.12, 2)) * pitch
        hue = turn + 2.4 * place  # the golden angle: neighbours differ
        colour = (float(rng.uniform(45, 82)), float(46 * np.cos(hue)), float(46 * np.sin(hue)))
        radius, kind, letter = (
            int(pitch * rng.uniform(0.2, 0.36)),
            int(rng.integers(3)),
            chr(65 + int(rng.integers(26))),
        )
        middle = (int(centre[0]), int(centre[1]))
        if kind == 0:
            cv2.circle(picture, middle, radius, colour, -1, cv2.LINE_AA)
        elif kind == 1:
            scale = cv2.getFontScaleFromHeight(font, max(2 * radius, 4), max(1, radius // 5))
            corner = (middle[0] - radius, middle[1] + radius)
            mask = np.zeros((size, size), np.uint8)  # text is drawn on bytes alone
            cv2.putText(mask, letter, corner, font, scale, (255,), max(1, radius // 4), cv2.LINE_AA)
            picture += (mask / np.float32(255))[..., None] * (np.array(colour, np.float32) - picture)
        else:
            cv2.ellipse(
                picture, middle, (radius, int(0.6 * radius)), float(np.degrees(hue)), 0, 360, colour, -1, cv2.LINE_AA
            )
    edge, framed = draw_colour(rng, (40, 80), (20, 50)), rng.random() < 0.35
    if framed:
        cv2.rectangle(picture, (0, 0), (size - 1, size - 1), edge.tolist(), max(2, size // 40))
    shade = 1 + 0.02 * noise(rng, size, size / 8) + 0.03 * creases(rng, size, 2)
    return SurfaceLook("playmat", finish(picture, shade), rng.uniform(0.9, 1.5))


def _tabletop(rng: np.random.Generator, config: BackgroundConfig, size: int) -> SurfaceLook:
    """Laminate, stone or veneer: one sheet without joints."""
    kind = rng.random()
    if kind < 0.4:  # laminate
        base = np.array([rng.uniform(15, 95), *rng.normal(0, 3, 2)], np.float32)
        shade = 1 + 0.02 * noise(rng, size, size / 4) + 0.02 * noise(rng, size, 3)
    elif kind < 0.65:  # stone: clouds and veins
        base = np.array([rng.uniform(20, 90), *rng.normal(0, 4, 2)], np.float32)
        veins = np.exp(-18 * np.abs(noise(rng, size, rng.uniform(2, 4)))) * np.sign(60 - base[0])
        shade = 1 + 0.06 * noise(rng, size, 5) + 0.10 * noise(rng, size, size / 6) + 0.3 * veins
    else:
        base = np.array([rng.uniform(22, 80), rng.uniform(3, 14), rng.uniform(12, 32)], np.float32)
        shade = 1 + 0.09 * noise(rng, size, size / 9, aspect=24.0) + 0.06 * noise(rng, size, 5, aspect=6.0)
    picture = np.broadcast_to(base, (size, size, 3)).astype(np.float32)
    return SurfaceLook("tabletop", finish(picture, shade.astype(np.float32)), rng.uniform(0.7, 1.4))


BEDDING = ("sheet", "quilt", "muslin", "towel")
"""Kinds that lie on mattresses and in cots."""
DRAW: dict[str, Callable[[np.random.Generator, BackgroundConfig, int], SurfaceLook]] = {
    "sheet": _sheet, "quilt": _quilt, "muslin": _muslin, "towel": _towel, "carpet": _carpet, "wood": _wood,
    "tiles": _tiles, "playmat": _playmat, "tabletop": _tabletop,
}  # fmt: skip
