"""One panorama as the place of a scene: turned, standing on the ground, and exposed as by a camera's meter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .config import BackgroundConfig, LightsConfig
from .lens import drawn_camera
from .panorama import LUMINANCE, Panorama, Singles, turned
from .scene import Camera, Ground, Lights

BRIGHTEST, DARKEST = 0.85, 0.14
"""Between these mean luminances of the view (1 is white) the meter looks at the light on people alone."""
_KNEE = 0.8  # beyond it light is compressed, as renderers do
_LEVELS = 4096
_MOST = 16.0  # light beyond it is white
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Surroundings:
    """A panorama about a scene.

    Attributes:
        panorama: the picture.
        yaw: its turn about +Y, radians.
        centre: (3,) where its camera stood, world, metres; the floor is y = 0.
        reach: metres of floor about it, see :meth:`.panorama.Panorama.seen`.
        gains: (3,) exposure and white balance, factors on linear light.
    """

    panorama: Panorama
    yaw: float
    centre: tuple[float, float, float]
    reach: float
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def backdrop(self, camera: Camera) -> Bytes:
        """What the camera sees, (h, w, 3) uint8 sRGB at half its resolution, for all that it may draw (see ``lens.py``)."""
        return tone(self._view(camera, 2) * np.array(self.gains, np.float32))

    def lights(self) -> Lights:
        """The panorama's light: its lamp, and all else as harmonics and, for what takes no more, as sky and floor."""
        gains, lamp = np.array(self.gains), self.panorama.lamp
        environment = turned(self.panorama.ambient, self.yaw) * gains
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        x, y, z = lamp.direction
        up, down = (environment[0] * 0.282095 + sign * environment[1] * 0.488603 for sign in (1, -1))
        level = -environment[6] * 0.315392 - environment[8] * 0.546274
        return Lights(
            direction=np.array([x * c + z * s, y, z * c - x * s]),
            colour=lamp.colour * gains,
            sky=np.maximum(up + level, 0),
            floor=np.maximum(down + level, 0),
            softness=lamp.softness,
            environment=environment,
        )

    def ground(self) -> Ground:
        """The panorama's own floor about its middle: it takes the shade that people throw, and fits its surroundings."""
        half = self.panorama.floor_reach * self.centre[1]
        return Ground(
            self.panorama.floor, 2 * half, (half, half), 0.0, (self.centre[0], self.centre[2]), self.yaw
        )  # fmt: skip

    def metered(self, camera: Camera, level: float, balance: float = 0.8) -> Surroundings:
        """The same, exposed for a camera.

        Args:
            camera: whose view must not burn out.
            level: what a level white plate in its midst shall show (1 is white).
            balance: how far the camera takes the surroundings' own colour for white, 0 not at all, 1 wholly.
        """
        gains = level * self.panorama.white**-balance
        gains = gains * level / (gains * self.panorama.above @ LUMINANCE)
        mean = float(np.minimum(self._view(camera, 8) * gains, 4.0).mean((0, 1)) @ LUMINANCE)
        mean = max(mean, 1e-6)
        gains = gains * np.clip(BRIGHTEST / mean, 0.45, 1.0) * np.clip(np.sqrt(DARKEST / mean), 1.0, 1.4)
        return replace(self, gains=(float(gains[0]), float(gains[1]), float(gains[2])))

    def _view(self, camera: Camera, step: int) -> Singles:
        """Linear light of the middles of the picture's blocks of ``step`` x ``step`` pixels."""
        camera = drawn_camera(camera)
        size = [np.arange(max(1, side // step), dtype=np.float32) for side in (camera.width, camera.height)]
        x, y = ((step * n + (step - 1) / 2 - camera.K[k, 2]) / camera.K[k, k] for k, n in enumerate(size))
        turn = np.asarray(camera.R, np.float64).T
        rays = [turn[k, 0] * x[None] + turn[k, 1] * y[:, None] + turn[k, 2] for k in range(3)]
        eye = np.asarray(camera.position, np.float64)
        return self.panorama.seen(np.array(rays, np.float32), eye, self.yaw, np.array(self.centre), self.reach)


def place_panorama(
    rng: np.random.Generator, panorama: Panorama, config: BackgroundConfig, lights: LightsConfig, camera: Camera
) -> Surroundings:
    """Turn a panorama, stand it about the world's origin, and expose it for a camera; all drawn from the ranges."""
    yaw, side = rng.uniform(-np.pi, np.pi), rng.uniform(-1, 1, 2)
    height, reach = rng.uniform(*config.panorama_height), rng.uniform(*config.panorama_reach)
    level, balance = np.exp(rng.uniform(*np.log(lights.level))), rng.uniform(*config.balance)
    centre = (0.6 * height * float(side[0]), height, 0.6 * height * float(side[1]))
    return Surroundings(panorama, yaw, centre, reach).metered(camera, float(level), balance)


def _tone_table() -> NDArray[np.uint8]:
    light = (np.arange(_LEVELS) / (_LEVELS - 1)) ** 2 * _MOST
    over = np.maximum(light - _KNEE, 0) / (1 - _KNEE)
    held = np.minimum(light, _KNEE) + (1 - _KNEE) * over / (1 + over)
    code = np.where(held <= 0.0031308, 12.92 * held, 1.055 * held ** (1 / 2.4) - 0.055)
    return np.round(255 * code).astype(np.uint8)


_TONE = _tone_table()


def tone(light: Singles) -> Bytes:
    """Linear light to sRGB uint8 with the renderers' soft shoulder above 0.8."""
    root = np.sqrt(np.clip(light * np.float32(1 / _MOST), 0, 1))
    return _TONE[(root * np.float32(_LEVELS - 1) + np.float32(0.5)).astype(np.uint16)]
