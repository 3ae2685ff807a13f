"""The camera's sensor and its file: from the renderer's clean picture to JPEG bytes.

The order is that of a phone: lens (defocus, motion, vignetting), exposure, white balance, tone curve, noise, JPEG.
Drawn here; what each step does to the pixels is in development.py. The result depends on the picture and the parameters
alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ...config import UserError
from .blur import REFERENCE_SIDE
from .config import SensorConfig
from .development import (
    balance,
    defocused,
    exposed,
    flickered,
    mixed,
    moved,
    noise_table,
    saturation,
    shaded,
    tone_table,
)

_OFFSETS = 1 << 20


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
        infrared: weights of red, green and blue in the grey picture of a night camera, which knows no white balance
            and one noise, or None by day.
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
        noise_offset=int(rng.integers(_OFFSETS)),
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
    scale = max(rgb.shape[:2]) / REFERENCE_SIDE
    picture = defocused(rgb, params.defocus * scale)
    if (length := params.motion * scale) > 1.0:
        picture = moved(picture, length, params.motion_angle)
    peak = max(params.gains)
    if params.infrared is not None:
        picture = mixed(picture, np.array([params.infrared]))
        peak = 1.0
    elif params.saturation != 1.0 or min(params.gains) != peak:
        picture = mixed(picture, balance(np.array(params.gains) / peak) @ saturation(params.saturation))
    picture = shaded(picture, params.vignetting)
    if params.flicker > 0.004:
        picture = flickered(picture, params.flicker, params.flicker_bands, params.flicker_phase)
    tone = tone_table(peak * 2.0**params.exposure, params.haze, params.contrast, params.gamma)
    picture = exposed(
        picture, tone, noise_table(tone, params.read, params.shot), params.chroma_noise, params.noise_offset
    )
    if picture.ndim == 2:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8)
    return _hot_pixels(picture, params) if params.hot > 0 else picture


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
