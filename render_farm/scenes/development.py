"""What a sensor does to pixels, each step in as few passes over the picture as it takes.

Pictures are (H, W, 3) or grey (H, W), uint8 sRGB. Colour is a matrix, tone one table of 256 entries for all channels, noise
is read from banks of 16-bit integers that are drawn once.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .blur import smear_kernel

Bytes = NDArray[np.uint8]
Shorts = NDArray[np.int16]
Floats = NDArray[np.floating]

_BANK_ROWS, _BANK_COLUMNS, _BANK_SEED = 512, 1024, 20_240_229
_BANK_UNIT, _SIGMA_UNIT = 4096, 256  # of one standard deviation in the banks; of one grey level in the tables
_SHARES = 8  # banks are kept for this many shares of noise between 0 and 1
_TAPS = 0.65, 1.1  # standard deviations up to which 3 and 5 taps do for a Gaussian
_WIDEST = 2.5  # standard deviation up to which boxes stand in for most of it
_ENCODED = np.arange(256) / 255
_LINEAR = np.where(_ENCODED <= 0.04045, _ENCODED / 12.92, ((_ENCODED + 0.055) / 1.055) ** 2.4).astype(np.float32)
_LUMA = np.array([0.299, 0.587, 0.114])


def defocused(picture: Bytes, sigma: float) -> Bytes:
    """Blurred with a kernel of standard deviation ``sigma`` pixels: bell-shaped, of a Gaussian's variance; below 0.2 as is.

    Wide ones are a chain of boxes of 3 and 5 pixels, which cost next to nothing, and five taps for the rest.
    """
    if sigma <= 0.2:
        return picture
    if sigma > _WIDEST:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    boxes, taps = chain(sigma)
    for side in boxes:
        picture = np.asarray(cv2.blur(picture, (side, side)), np.uint8)
    return np.asarray(cv2.sepFilter2D(picture, -1, taps, taps), np.uint8)


def chain(sigma: float) -> tuple[list[int], NDArray[np.float32]]:
    """Sides of boxes and taps of a symmetric kernel that one after the other have the variance ``sigma ** 2``."""
    variance, boxes = sigma**2, []
    while variance > _TAPS[1] ** 2:
        boxes.append(5 if variance >= 2.2 else 3)
        variance -= (boxes[-1] ** 2 - 1) / 12
    passes = 1 if variance <= _TAPS[0] ** 2 else 2
    beside = variance / 2 / passes
    taps = three = np.array([beside, 1 - 2 * beside, beside], np.float32)
    return boxes, three if passes == 1 else np.convolve(taps, three)


def moved(picture: Bytes, length: float, angle: float) -> Bytes:
    """Smeared by ``length`` pixels in a direction, radians."""
    kernel = smear_kernel(length, angle)
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.uint8)


def mixed(picture: Bytes, matrix: NDArray[np.floating]) -> Bytes:
    """Colours through a matrix of (3 or 1, 3 or 4); one row makes a grey picture (H, W)."""
    return np.asarray(cv2.transform(picture, matrix.astype(np.float32)), np.uint8)


def saturation(amount: float) -> NDArray[np.float64]:
    """Affine map (4, 4) of colours towards luma (Rec. 601 weights, since it acts on encoded values)."""
    towards = np.eye(4)
    towards[:3, :3] = amount * np.eye(3) + (1 - amount) * _LUMA
    return towards


def balance(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Affine map (3, 4) of encoded values that multiplies linear light by ``gains`` (3,), at most 1.

    sRGB's curve is 1.055 l^(1/2.4) - 0.055, so a gain stretches code + 0.055; in its straight toe, below level 11, this is
    wrong by less than a level.
    """
    slopes = gains ** (1 / 2.4)
    return np.column_stack([np.diag(slopes), 255 * 0.055 * (slopes - 1)])


def shaded(picture: Bytes, loss: float) -> Bytes:
    """Darker towards the corners, where ``loss`` of the linear light is missing; as is below 0.4 percent."""
    if loss <= 0.004:
        return picture
    return np.asarray(cv2.multiply(picture, _vignette(picture.shape, round(loss * 50)), scale=1 / 255), np.uint8)


@lru_cache(maxsize=64)
def _vignette(shape: tuple[int, ...], fiftieths: int) -> Bytes:
    """Encoded-value gain times 255 of a picture's shape: linear light falls as 1 - loss r^2, codes with its power 1/2.2."""
    y, x = np.mgrid[-1 : 1 : complex(0, shape[0]), -1 : 1 : complex(0, shape[1])]
    linear = 1 - fiftieths / 50 * (x**2 + y**2) / 2
    gain = np.round(255 * np.maximum(linear, 0) ** (1 / 2.2)).astype(np.uint8)
    return gain if len(shape) == 2 else np.repeat(gain[..., None], shape[2], axis=2)


def flickered(picture: Bytes, depth: float, bands: float, phase: float) -> Bytes:
    """Rows dimmed by up to ``depth`` of their linear light: a rolling shutter reads them one by one under mains light."""
    turns = 2 * np.pi * bands * np.arange(len(picture)) / len(picture) + phase
    linear = 1 - depth * (0.5 + 0.5 * np.sin(turns))
    gain = np.round(255 * linear ** (1 / 2.2)).astype(np.uint8).reshape(-1, *[1] * (picture.ndim - 1))
    rows = np.ascontiguousarray(np.broadcast_to(gain, picture.shape))
    return np.asarray(cv2.multiply(picture, rows, scale=1 / 255), np.uint8)


def tone_table(exposure: float, haze: float, contrast: float, gamma: float) -> Bytes:
    """Levels (256,) after exposure and haze in linear light, then contrast and gamma on encoded values."""
    hazy = np.float32((1 - haze) * exposure) * _LINEAR + np.float32(haze)
    beyond = np.maximum(hazy - np.float32(0.8), 0)  # shoulder: no hard clipping
    soft = np.minimum(hazy, np.float32(0.8)) + np.float32(0.2) * (1 - np.exp(beyond * np.float32(-5)))
    root = np.float32(1.055) * np.maximum(soft, np.float32(0.0031308)) ** np.float32(1 / 2.4) - np.float32(0.055)
    code = np.minimum(root, np.float32(12.92) * soft)  # the toe is the lower of both up to where they meet
    code = np.clip(_contrast(np.clip(code, 0, 1), contrast), 0, 1) ** np.float32(gamma)
    return np.asarray(code * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _contrast(code: NDArray[np.float32], slope: float) -> NDArray[np.float32]:
    """Encoded values with that slope at mid grey: a line if it is flatter, an S that keeps black and white if steeper."""
    if slope <= 1:
        return np.float32(0.5) + np.float32(slope) * (code - np.float32(0.5))
    toe = np.float32(0.5) * (2 * np.minimum(code, 1 - code)) ** np.float32(slope)
    return np.where(code < 0.5, toe, 1 - toe)


def noise_table(tone: Bytes, read: float, shot: float) -> Shorts | None:
    """Standard deviations (256,) of what a tone table's levels get, 255 sqrt(read^2 + shot^2 level), in 1/256 of a level.

    None if none of them ever moves a level.
    """
    sigma = 255 * np.sqrt(read**2 + shot**2 * _ENCODED)
    if sigma[-1] < 0.1:
        return None
    return np.round(np.minimum(sigma * _SIGMA_UNIT, 32767)).astype(np.int16)[tone]


def exposed(picture: Bytes, tone: Bytes, noise: Shorts | None, share: float, offset: int) -> Bytes:
    """Levels through the tone table, with noise of each level's strength.

    Args:
        tone: (256,). noise: see :func:`noise_table`.
        share: part of the noise's variance that differs between the channels.
        offset: where in the bank this picture reads.
    """
    if noise is None:
        return np.asarray(cv2.LUT(picture, tone), np.uint8)
    grain = _grain(picture.shape, round(_SHARES * min(1.0, share)), offset)
    strength = cv2.LUT(picture, noise)
    moves = cv2.multiply(strength, grain, dst=strength, scale=1 / (_BANK_UNIT * _SIGMA_UNIT))
    levels = np.asarray(cv2.add(cv2.LUT(picture, tone.astype(np.int16)), moves, dst=moves))
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def _grain(shape: tuple[int, ...], share: int, offset: int) -> Shorts:
    """Noise of a picture's shape from where ``offset`` falls in its bank, which goes round in large ones."""
    channels = 1 if len(shape) == 2 else shape[2]
    bank, count = _bank(channels, share), shape[0] * shape[1]
    spare = len(bank) - count
    if spare < len(bank) // 8:  # too few places to begin at
        return np.resize(np.roll(bank, offset % len(bank), axis=0), shape)
    start = offset % (spare + 1)
    return bank[start : start + count].reshape(shape)


@lru_cache(maxsize=_SHARES + 1)
def _bank(channels: int, share: int) -> Shorts:
    """Half a million Gaussian pixels (N, channels) of unit variance, slightly correlated as a demosaicing makes them."""
    rng, planes = np.random.default_rng(_BANK_SEED), []
    for _ in range(1 if channels == 1 else channels + 1):
        white = rng.standard_normal((_BANK_ROWS, _BANK_COLUMNS), np.float32)
        soft = cv2.GaussianBlur(white, (0, 0), 0.55, borderType=cv2.BORDER_REFLECT)
        planes.append(soft / soft.std())
    common, own = planes[0], planes[1:]
    mixture = [np.sqrt(1 - share / _SHARES) * common + np.sqrt(share / _SHARES) * plane for plane in own] or [common]
    return np.round(np.stack([plane.ravel() for plane in mixture], -1) * _BANK_UNIT).astype(np.int16)
