"""The camera's sensor and its file: from the renderer's clean picture to JPEG bytes.

The order is that of a phone: lens (defocus, motion, vignetting), exposure, white balance, tone curve, noise, JPEG.
Tone work runs through one 256-entry table a channel and the noise comes from a fixed bank, so a 256x256 picture takes
about a millisecond. The result depends on the picture and the parameters alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ...config import UserError
from .blur import REFERENCE_SIDE, smear_kernel
from .config import SensorConfig

_BANK = 1 << 20
_BANK_SEED = 20_240_229


@dataclass(frozen=True)
class SensorParams:
    """One picture's sensor.

    Attributes:
        exposure: stops.
        gains: linear gains of red, green and blue (white balance).
        contrast: slope about mid grey of the encoded values.
        gamma: exponent on the encoded values.
        saturation: 0 grey, 1 unchanged.
        haze: share of white mixed in (linear light).
        shot, read: standard deviations, encoded values in [0, 1]: at white (grows with the root), in the dark.
        chroma_noise: share of the noise that differs between channels.
        defocus: standard deviation of the blur in pixels of a 256-pixel picture.
        motion: length of the smear in the same pixels, 0 for none.
        motion_angle: its direction, radians.
        vignetting: loss of light in the corners.
        jpeg: quality 1..100.
        noise_offset: where in the noise bank this picture reads, and what hot pixels hang on.
        infrared: weights of red, green and blue in the grey picture of a night camera, or None by day.
        flicker: part of the light that comes and goes with the mains while the rows are read; flicker_bands: how often over
            the picture's height; flicker_phase: where it begins, radians.
        hot: number of pixels that are stuck bright.
    """

    exposure: float = 0.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    gamma: float = 1.0
    saturation: float = 1.0
    haze: float = 0.0
    shot: float = 0.0
    read: float = 0.0
    chroma_noise: float = 0.3
    defocus: float = 0.0
    motion: float = 0.0
    motion_angle: float = 0.0
    vignetting: float = 0.0
    jpeg: int = 92
    noise_offset: int = 0
    infrared: tuple[float, float, float] | None = None
    flicker: float = 0.0
    flicker_bands: float = 2.0
    flicker_phase: float = 0.0
    hot: int = 0


def sample_sensor(rng: np.random.Generator, config: SensorConfig, infrared: bool = False) -> SensorParams:
    """Draw one picture's sensor; ``config.severity`` multiplies every departure from the neutral picture.

    Args:
        infrared: a camera that sees by its own invisible light: grey, noisy, dark in the corners.
    """
    severity = config.severity
    uniform = rng.uniform

    def about(neutral: float, bounds: tuple[float, float], least: float = 0.0) -> float:
        return max(least, neutral + severity * (uniform(*bounds) - neutral))

    red, blue = np.exp(severity * (np.array(config.cast_offset) + config.cast * rng.standard_normal(2)))
    low, high = config.jpeg
    quality = 100 - severity * (100 - uniform(low, high))
    params = SensorParams(
        exposure=severity * uniform(*config.exposure),
        gains=(float(red), 1.0, float(blue)),
        contrast=about(1.0, config.contrast, 0.15),
        gamma=about(1.0, config.gamma, 0.3),
        saturation=about(1.0, config.saturation),
        haze=min(0.8, about(0.0, config.haze)),
        shot=about(0.0, config.shot),
        read=about(0.0, config.read),
        chroma_noise=uniform(*config.chroma_noise),
        defocus=about(0.0, config.defocus),
        motion=severity * uniform(*config.motion) if rng.random() < config.motion_share else 0.0,
        motion_angle=uniform(0.0, np.pi),
        vignetting=min(0.9, about(0.0, config.vignetting)),
        jpeg=int(np.clip(round(quality), 5, 100)),
        noise_offset=int(rng.integers(_BANK)),
    )
    flickers, flicker, bands, phase = (
        rng.random(),
        *(uniform(*r) for r in (config.flicker, config.bands, (0, 2 * np.pi))),
    )
    stuck, hot = rng.random() < config.hot_share, int(rng.integers(config.hot[0], config.hot[1] + 1))
    mix = rng.dirichlet((6.0, 3.0, 2.0))  # silicon sees red dyes' and skin's infrared best; fabrics differ at will
    noise, corners = uniform(*config.night_noise), uniform(*config.night_vignetting)
    if severity > 0:
        lit = min(0.9, severity * flicker) if flickers < config.flicker_share and not infrared else 0.0
        params = replace(params, flicker=lit, flicker_bands=bands, flicker_phase=phase, hot=hot if stuck else 0)
    if infrared:
        params = replace(
            params,
            infrared=(float(mix[0]), float(mix[1]), float(mix[2])),
            gains=(1.0, 1.0, 1.0),
            saturation=1.0,
            chroma_noise=0.0,
            read=params.read + severity * noise,
            vignetting=min(0.9, max(params.vignetting, corners)),
        )
    return params


def apply_sensor(rgb: NDArray[np.uint8], params: SensorParams) -> bytes:
    """Take a picture (H, W, 3) uint8 sRGB through the sensor and return it as JPEG bytes (4:2:0).

    Raises:
        UserError: if the picture is not (H, W, 3) uint8.
    """
    pixels = np.ascontiguousarray(develop(rgb, params))
    return simplejpeg.encode_jpeg(pixels, quality=params.jpeg, colorspace="RGB", colorsubsampling="420")


def develop(rgb: NDArray[np.uint8], params: SensorParams) -> NDArray[np.uint8]:
    """All of :func:`apply_sensor` before the JPEG: (H, W, 3) uint8 to the same."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise UserError(f"the sensor takes a (height, width, 3) uint8 picture, found {rgb.shape} {rgb.dtype}")
    picture: cv2.typing.MatLike = _blur(rgb, params)
    if params.infrared is not None:
        picture = cv2.transform(picture, np.array([params.infrared] * 3, np.float32))
    elif params.saturation != 1.0:
        picture = cv2.transform(picture, _saturation(params.saturation))
    if params.vignetting > 0.004:
        picture = cv2.multiply(picture, _vignette(*picture.shape[:2], round(params.vignetting * 50)), scale=1 / 255)
    if params.flicker > 0.004:
        picture = cv2.multiply(picture, _flicker(picture.shape, params), scale=1 / 255)
    picture = cv2.LUT(picture, _tone(params))
    if params.shot > 0 or params.read > 0:
        picture = _noise(picture, params)
    if params.hot > 0:
        picture = _hot_pixels(np.array(picture, np.uint8), params)
    return np.asarray(picture, np.uint8)


def _blur(rgb: NDArray[np.uint8], params: SensorParams) -> cv2.typing.MatLike:
    scale = max(rgb.shape[:2]) / REFERENCE_SIDE
    picture: cv2.typing.MatLike = rgb
    sigma = params.defocus * scale
    if sigma > 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    length = params.motion * scale
    if length > 1.0:
        picture = cv2.filter2D(picture, -1, smear_kernel(length, params.motion_angle), borderType=cv2.BORDER_REPLICATE)
    return picture


def _saturation(amount: float) -> NDArray[np.float32]:
    """Matrix towards luma (Rec. 601 weights, since it acts on encoded values)."""
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    return (amount * np.eye(3) + (1 - amount) * luma[None, :]).astype(np.float32)


@cache
def _vignette(height: int, width: int, fiftieths: int) -> NDArray[np.uint8]:
    """Encoded-value gain (H, W, 3) times 255: falls with the fourth power of the cosine's stand-in, 1 - loss r^2.

    The loss is of linear light; encoded values fall with its power 1/2.2.
    """
    y, x = np.mgrid[-1 : 1 : complex(0, height), -1 : 1 : complex(0, width)]
    linear = 1 - fiftieths / 50 * (x**2 + y**2) / 2
    gain = np.round(255 * np.maximum(linear, 0) ** (1 / 2.2)).astype(np.uint8)
    return np.repeat(gain[..., None], 3, axis=2)


def _flicker(shape: tuple[int, ...], params: SensorParams) -> NDArray[np.uint8]:
    """Encoded-value gain of each row times 255: a rolling shutter reads the rows one after another under mains light."""
    turns = 2 * np.pi * params.flicker_bands * np.arange(shape[0]) / shape[0] + params.flicker_phase
    linear = 1 - params.flicker * (0.5 + 0.5 * np.sin(turns))
    gain = np.round(255 * linear ** (1 / 2.2)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(gain[:, None, None], shape))


def _hot_pixels(picture: NDArray[np.uint8], params: SensorParams) -> NDArray[np.uint8]:
    """Pixels that are stuck bright, coloured as the filter before them, a little spread by the demosaicing."""
    rng = np.random.default_rng([params.noise_offset, params.hot])
    rows, columns = rng.integers(picture.shape[0], size=params.hot), rng.integers(picture.shape[1], size=params.hot)
    channel, level = rng.integers(3, size=params.hot), rng.integers(60, 200, size=params.hot)
    colour = np.where(np.arange(3) == channel[:, None], 1.0, 0.15 if params.infrared is None else 1.0)
    for step, share in ((0, 1.0), (1, 0.35)):
        beside = np.minimum(columns + step, picture.shape[1] - 1)
        value = picture[rows, beside] + share * level[:, None] * colour
        picture[rows, beside] = np.minimum(value, 255).astype(np.uint8)
    return picture


def _tone(params: SensorParams) -> NDArray[np.uint8]:
    """Tables (1, 256, 3): exposure, balance and haze in linear light, then contrast and gamma on encoded values."""
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    scaled = linear[:, None] * 2.0**params.exposure * np.array(params.gains)
    hazy = (1 - params.haze) * scaled + params.haze
    soft = np.where(hazy > 0.8, 0.8 + 0.2 * (1 - np.exp(-(hazy - 0.8) / 0.2)), hazy)  # shoulder: no hard clipping
    code = np.where(soft <= 0.0031308, 12.92 * soft, 1.055 * soft ** (1 / 2.4) - 0.055)
    code = np.clip(_contrast(np.clip(code, 0, 1), params.contrast), 0, 1) ** params.gamma
    return np.round(code * 255).astype(np.uint8)[None]


def _contrast(code: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    """Encoded values with that slope at mid grey: a line if it is flatter, an S that keeps black and white if steeper."""
    if slope <= 1:
        return 0.5 + slope * (code - 0.5)
    toe = 0.5 * (2 * np.minimum(code, 1 - code)) ** slope
    return np.where(code < 0.5, toe, 1 - toe)


@cache
def _noise_bank() -> NDArray[np.float32]:
    """A million unit-variance Gaussian values, slightly correlated as a demosaicing makes them, repeated once."""
    white = np.random.default_rng(_BANK_SEED).standard_normal((1024, 1024)).astype(np.float32)
    soft = cv2.GaussianBlur(white, (0, 0), 0.55, borderType=cv2.BORDER_REFLECT)
    bank = (soft / soft.std()).reshape(-1)
    return np.concatenate([bank, bank])


def _noise(picture: cv2.typing.MatLike, params: SensorParams) -> cv2.typing.MatLike:
    """Add sigma(I) times noise, sigma(I) = sqrt(read^2 + shot^2 I), partly shared by the channels."""
    height, width, _ = picture.shape
    count = height * width
    bank = _noise_bank()
    planes = []
    share = min(1.0, params.chroma_noise)
    for channel in range(4):
        start = (params.noise_offset + channel * 250_007) % _BANK
        take = bank[start : start + count] if count <= _BANK else np.resize(bank[start : start + _BANK], count)
        planes.append(take.reshape(height, width))
    level = np.arange(256, dtype=np.float32) / 255
    sigma = (255 * np.sqrt(params.read**2 + params.shot**2 * level)).astype(np.float32)
    own, common = np.sqrt(share), np.sqrt(1 - share)
    noise = cv2.merge([cv2.addWeighted(planes[c], own, planes[3], common, 0.0) for c in range(3)])
    noise = cv2.multiply(noise, cv2.LUT(picture, sigma))
    return cv2.add(picture, noise, dtype=cv2.CV_8U)
