"""Colours, seamless noise and seamless printed tiles, shared by clothes, bedding and toys."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Singles = NDArray[np.float32]
Point = tuple[float, float]


def lab_to_rgb(lab: NDArray[np.floating]) -> Singles:
    """CIE Lab (D65; L 0..100) of any shape (..., 3) to sRGB values 0..255, clipped to the gamut, float32."""
    flat = np.asarray(lab, np.float32).reshape(1, -1, 3)
    return np.asarray(np.clip(cv2.cvtColor(flat, cv2.COLOR_Lab2RGB), 0, 1) * 255, np.float32).reshape(np.shape(lab))


def rgb_to_lab(rgb: NDArray[np.floating]) -> Singles:
    """sRGB values 0..255 of any shape (..., 3) to CIE Lab (D65), float32."""
    flat = np.asarray(rgb, np.float32).reshape(1, -1, 3) / 255
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2Lab), np.float32).reshape(np.shape(rgb))


def draw_colour(rng: np.random.Generator, lightness: tuple[float, float], chroma: tuple[float, float]) -> Singles:
    """A Lab colour (3,) of dyed things: any hue; pale more often than dark, and dull more often than bright."""
    hue = rng.uniform(0, 2 * np.pi)
    saturation = chroma[0] + (chroma[1] - chroma[0]) * rng.random() ** 1.4
    depth = lightness[0] + (lightness[1] - lightness[0]) * rng.random() ** 0.7
    return np.array([depth, saturation * np.cos(hue), saturation * np.sin(hue)], np.float32)


def draw_palette(rng: np.random.Generator, lightness: tuple[float, float], chroma: tuple[float, float]) -> Singles:
    """Three colours (3, 3) in Lab that go together: a ground, a motif that stands out from it, an accent."""
    ground = draw_colour(rng, lightness, chroma)
    palette = [ground]
    for share in (1.0, 0.8):
        other = draw_colour(rng, lightness, (chroma[0], max(chroma[1], chroma[0]) * 1.25))
        if rng.random() < 0.45:  # tone in tone
            other[1:] = ground[1:] * rng.uniform(0.3, 1.4)
        if abs(other[0] - ground[0]) < 18 * share:
            other[0] = ground[0] + (22 * share if ground[0] < 60 else -22 * share)
        palette.append(other)
    return np.stack(palette)


def noise(rng: np.random.Generator, size: int, cycles: float, aspect: float = 1.0) -> Singles:
    """Seamless smooth noise (size, size), mean 0 and unit variance, about ``cycles`` waves a side.

    Args:
        aspect: above 1 the waves are that much longer along the columns' direction (vertical streaks).
    """
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)).astype(np.float32))
    y = np.fft.fftfreq(size, 1 / size)[:, None] * aspect
    x = np.fft.rfftfreq(size, 1 / size)[None]
    field = np.fft.irfft2(spectrum * np.exp(-(x**2 + y**2) / (2 * cycles**2)), s=(size, size))
    field -= field.mean()
    return (field / max(field.std(), 1e-9)).astype(np.float32)


def creases(rng: np.random.Generator, size: int, cycles: float, aspect: float = 1.0) -> Singles:
    """Seamless height field of folded cloth (size, size), about -1..1: rounded ridges along wandering lines."""
    first, second = noise(rng, size, cycles, aspect), noise(rng, size, 2.1 * cycles, aspect)
    ridge = np.exp(-np.abs(first) * 3.0) + 0.45 * np.exp(-np.abs(second) * 3.0)
    sigma = size / cycles / 40 + 0.6
    rim = int(4 * sigma) + 1  # blurred round the border, or the seam would show as a line
    soft = cv2.GaussianBlur(cv2.copyMakeBorder(ridge, rim, rim, rim, rim, cv2.BORDER_WRAP), (0, 0), sigma)
    soft = np.asarray(soft[rim:-rim, rim:-rim], np.float32)
    return (soft - soft.mean()) / 0.6


def slope_shade(height: Singles, strength: float, angle: float) -> Singles:
    """Brightness factor (h, w) about 1 of a seamless height field lit from the direction ``angle`` (radians)."""
    dx = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    dy = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    slope = np.cos(angle) * dx + np.sin(angle) * dy
    slope /= max(float(slope.std()), 1e-9)
    return 1 + strength * np.tanh(slope * 0.7)


def weave(rng: np.random.Generator, size: int, strength: float) -> Singles:
    """Fine grain of threads (size, size), factor about 1."""
    threads = rng.standard_normal((size, 1)) + rng.standard_normal((1, size)) + rng.standard_normal((size, size))
    return (1 + strength * 0.58 * threads).astype(np.float32)


def _star(centre: Point, radius: float, turn: float, points: int = 5) -> NDArray[np.float64]:
    angle = turn + np.pi * np.arange(2 * points) / points
    length = radius * np.where(np.arange(2 * points) % 2 == 0, 1.0, 0.42)
    return np.stack([centre[0] + length * np.sin(angle), centre[1] - length * np.cos(angle)], 1)


def _heart(centre: Point, radius: float, turn: float) -> NDArray[np.float64]:
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    x, y = 16 * np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    x, y = x * radius / 16, y * radius / 16
    return np.stack(
        [centre[0] + x * np.cos(turn) - y * np.sin(turn), centre[1] + x * np.sin(turn) + y * np.cos(turn)], 1
    )


def _disc(centre: Point, radius: float, turn: float) -> NDArray[np.float64]:
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False) + turn
    return np.stack([centre[0] + radius * np.cos(t), centre[1] + radius * np.sin(t)], 1)


_MOTIFS = {"dots": _disc, "stars": _star, "hearts": _heart}


def _scatter(rng: np.random.Generator, kind: str, colours: Singles, size: int) -> Singles:
    """Motifs on a staggered lattice, wrapped over the borders so that the tile has no seam."""
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = colours[0]
    rows = int(rng.choice([2, 4, 4, 6]))
    pitch = size / rows
    radius, jitter = pitch * rng.uniform(0.16, 0.36), rng.uniform(0, 0.14)
    two, spin = rng.random() < 0.4, rng.uniform(0, 0.6)
    for row in range(rows):
        for column in range(rows):
            x, y = (column + 0.5 + 0.5 * (row % 2) + jitter * rng.normal()), (row + 0.5 + jitter * rng.normal())
            shape = _MOTIFS[kind]((x * pitch, y * pitch), radius * rng.uniform(0.85, 1.15), spin * rng.normal())
            colour = colours[2 if two and (row + column) % 2 else 1].tolist()
            for across in (-size, 0, size):
                for down in (-size, 0, size):
                    outline = np.round((shape + np.array([across, down])) * 16).astype(np.int32)
                    cv2.fillPoly(picture, [outline], colour, cv2.LINE_AA, 4)
    return picture


def _bands(rng: np.random.Generator, colours: Singles, size: int) -> Singles:
    """Stripes across the tile (constant along columns' direction is up to the user: bands run horizontally)."""
    rows = np.empty((size, 3), np.float32)
    rows[:] = colours[0]
    repeats = int(rng.choice([2, 3, 4, 6]))
    share = rng.uniform(0.2, 0.55)
    phase = (np.arange(size) * repeats / size) % 1.0
    rows[phase < share] = colours[1]
    if rng.random() < 0.4:
        rows[(phase > share + 0.1) & (phase < share + 0.2)] = colours[2]
    soft = cv2.GaussianBlur(np.tile(rows[:, None], (3, 3, 1)), (0, 0), 0.8)[size : 2 * size, 1:2]
    return np.repeat(np.asarray(soft, np.float32), size, axis=1)


def tile(rng: np.random.Generator, kind: str, colours: Singles, size: int = 256) -> Singles:
    """A seamless printed tile (size, size, 3) in Lab.

    Args:
        kind: plain, stripes, dots, checks, stars, hearts, heather or blocks.
        colours: (3, 3) Lab, see :func:`draw_palette`.

    Raises:
        KeyError: for another kind (the configs allow none).
    """
    if kind in _MOTIFS:
        return _scatter(rng, kind, colours, size)
    if kind == "stripes":
        return _bands(rng, colours, size)
    if kind == "checks":
        across, down = _bands(rng, colours, size), _bands(rng, colours, size).transpose(1, 0, 2)
        return 0.5 * (across + down)
    if kind == "heather":
        speckle = noise(rng, size, size / 5) * 0.7 + noise(rng, size, size / 14, aspect=0.25) * 0.7
        return colours[0] + speckle[..., None] * (np.clip(colours[1] - colours[0], -30, 30) * 0.14)
    if kind == "blocks":
        edges = np.sort(rng.choice(np.arange(1, 8), 2, replace=False)) * size // 8
        picture = np.empty((size, size, 3), np.float32)
        for k, (top, bottom) in enumerate(zip((0, *edges), (*edges, size), strict=True)):
            picture[top:bottom] = colours[k]
        return picture
    if kind != "plain":
        raise KeyError(kind)
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = colours[0]
    return picture


def finish(lab: Singles, shade: Singles) -> Bytes:
    """Lab picture (h, w, 3) times a brightness factor (h, w) on linear light, as sRGB bytes."""
    shaded = lab.copy()
    shaded[..., 0] = np.clip((shaded[..., 0] + 16) * np.cbrt(np.clip(shade, 0.02, 4)) - 16, 0, 100)
    return lab_to_rgb(shaded).astype(np.uint8)
