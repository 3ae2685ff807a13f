"""What lies far away in a clip: a panorama that turns with the camera, drawn from noise or read from a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ....config import UserError
from ...looks.patterns import Singles, draw_colour, lab_to_rgb, noise
from ...scenes.config import LightsConfig
from ...scenes.panorama import Panorama
from ...scenes.pictures import Pictures
from ...scenes.scene import Camera
from ...scenes.surroundings import Surroundings
from .config import PanoramaConfig

POOL, _STREAM = 24, 441
ROWS = 512
_EYE = 1.6  # metres above the floor at which panoramas are taken
_REACH = 20.0  # metres of floor about it


@dataclass(frozen=True)
class Place:
    """Where a clip is taken.

    Attributes:
        around: the panorama about it. indoors: whether it is a hall.
        real: whether it is a panorama of the folder, which then gives light and floor, too.
    """

    around: Surroundings
    indoors: bool
    real: bool

    def lit(self, share: float) -> Place:
        """The same under so much of its light."""
        red, green, blue = self.around.gains
        return replace(self, around=replace(self.around, gains=(share * red, share * green, share * blue)))


class Panoramas:
    """The panoramas of a job; entry j of the drawn ones is a pure function of (seed, j).

    Raises:
        UserError: for a folder without a panorama (.hdr): photographs cannot turn with a camera.
    """

    def __init__(self, config: PanoramaConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self._drawn: dict[int, tuple[Panorama, float]] = {}
        self._pictures: Pictures | None = None
        if config.folder is not None:
            self._pictures = Pictures(config.folder, seed)
            self._files = [k for k in range(len(self._pictures.files)) if self._pictures.panorama(k) is not None]
            if not self._files:
                raise UserError(f"scene.panoramas: clips need panoramas (.hdr), none lies in {config.folder}")

    def draw(self, rng: np.random.Generator, lights: LightsConfig, camera: Camera) -> Place:
        """What one clip sees; a panorama of the folder is exposed for ``camera``, the clip's first."""
        from_folder, share, yaw, level = rng.random() < self.config.folder_share, *rng.random(3)
        if self._pictures is not None and from_folder:
            panorama = self._pictures.panorama(self._files[int(share * len(self._files))])
            assert panorama is not None
            low, high = np.log(lights.level)
            around = Surroundings(panorama, 2 * np.pi * yaw, (0.0, _EYE, 0.0), _REACH)
            return Place(around.metered(camera, float(np.exp(low + level * (high - low)))), False, True)
        index = int(share * POOL)
        indoors = index < round(self.config.halls * POOL)
        if index not in self._drawn:
            light = draw_panorama(np.random.default_rng([self.seed, _STREAM, index]), indoors)
            panorama = Panorama(light)
            self._drawn[index] = panorama, float(light.max() / panorama.light.max())
        panorama, gain = self._drawn[index]
        around = Surroundings(panorama, 2 * np.pi * yaw, (0.0, _EYE, 0.0), np.inf, (gain, gain, gain))
        return Place(around, indoors, False)


def draw_panorama(rng: np.random.Generator, indoors: bool) -> Singles:
    """A panorama (512, 1024, 3) float32 linear light: a hall, or a skyline under the sky."""
    lab = _hall(rng) if indoors else _outdoors(rng)
    return np.asarray(np.clip(lab_to_rgb(lab) / 255.0, 0.004, 0.985) ** 2.2, np.float32)


def _rows(degrees: float) -> int:
    """Row at an elevation."""
    return round((0.5 - degrees / 180) * ROWS)


def _hall(rng: np.random.Generator) -> Singles:
    """Walls with doors, windows, pictures and furniture, a ceiling, and a floor that the ground will hide."""
    columns = 2 * ROWS
    wall, ceiling = draw_colour(rng, (32, 86), (0, 18)), draw_colour(rng, (55, 92), (0, 6))
    lab = np.empty((ROWS, columns, 3), np.float32)
    top = rng.uniform(16, 28)
    lab[:] = wall
    # The upper edge of straight walls around a rectangular room rises and falls as 1 / distance.
    angle = (np.arange(columns) + 0.5) / columns * 2 * np.pi
    long = rng.uniform(1.0, 2.0)
    distance = 1 / np.maximum(np.abs(np.cos(angle)), np.abs(np.sin(angle)) / long)
    edge = np.degrees(np.arctan(np.tan(np.radians(top)) / distance * 1.2))
    elevation = 90 - (np.arange(ROWS) + 0.5) / ROWS * 180
    side = np.abs(np.cos(angle)) > np.abs(np.sin(angle)) / long
    lab[:, side] -= np.array([rng.uniform(2, 8), 0, 0], np.float32)
    for _ in range(int(rng.integers(10, 22))):
        _thing(rng, lab, top)
    above = elevation[:, None] > edge[None]
    lab[above] = ceiling
    lab[elevation < 0] = draw_colour(rng, (30, 60), (0, 12))
    skirting = (elevation[:, None] < 0.9) & (elevation[:, None] > 0)
    lab[np.broadcast_to(skirting, lab.shape[:2])] = wall * np.array([0.55, 1, 1], np.float32)
    lab[..., 0] *= 1 + 0.05 * _wide_noise(rng, 4) + 0.015 * _wide_noise(rng, 60)
    return np.asarray(cv2.GaussianBlur(lab, (0, 0), 0.8), np.float32)


def _thing(rng: np.random.Generator, lab: Singles, top: float) -> None:
    """A door, window, picture or cupboard on the walls."""
    columns = lab.shape[1]
    kind = rng.integers(4)
    x, colour = int(rng.integers(columns)), draw_colour(rng, (15, 88), (0, 40))
    if kind == 0:  # a door
        wide, low, high = rng.uniform(5, 9), 0.0, rng.uniform(0.6, 0.8) * top
    elif kind == 1:  # a window
        wide, low, high, colour = (
            rng.uniform(8, 20),
            0.25 * top,
            rng.uniform(0.65, 0.85) * top,
            np.array([97.0, -1, -4]),
        )
    elif kind == 2:  # a picture
        wide, low = rng.uniform(3, 9), rng.uniform(0.3, 0.5) * top
        high = low + rng.uniform(2, 6)
    else:  # a cupboard
        wide, low, high = rng.uniform(6, 22), 0.0, rng.uniform(0.2, 0.6) * top
    half, first, last = int(wide / 360 * columns / 2), _rows(high), _rows(low)
    frame = max(1, half // 8)
    reach = np.arange(x - half, x + half) % columns
    lab[first:last, reach] = colour * np.array([0.6, 1, 1])
    inner = np.arange(x - half + frame, x + half - frame) % columns
    lab[first + frame : last - (frame if low > 0 else 0), inner] = colour


def _outdoors(rng: np.random.Generator) -> Singles:
    """A sky with clouds above trees or houses on the horizon."""
    columns = 2 * ROWS
    elevation = np.clip(90 - (np.arange(ROWS) + 0.5) / ROWS * 180, 0, 90)[:, None, None].astype(np.float32)
    zenith = np.array([rng.uniform(50, 68), rng.uniform(-6, 0), rng.uniform(-40, -22)], np.float32)
    haze = np.array([rng.uniform(84, 94), -1, rng.uniform(-8, 2)], np.float32)
    lab = haze + (zenith - haze) * (1 - np.exp(-elevation / 22)) * np.ones((1, columns, 1), np.float32)
    clouds = np.clip(_wide_noise(rng, 7) + 0.5 * _wide_noise(rng, 18) - rng.uniform(-0.3, 1.2), 0, 1)[..., None]
    lab = lab + (np.array([95, 0, -1], np.float32) - lab) * 0.8 * clouds
    outline = 0.8 * _wide_noise(rng, 26)[0] + 1.6 * _wide_noise(rng, 6)[1] + rng.uniform(3, 7)
    green = np.array([rng.uniform(28, 46), rng.uniform(-22, -9), rng.uniform(12, 26)], np.float32)
    trees = (elevation[..., 0] < np.maximum(outline, 1.0)) & (elevation[..., 0] >= 0)
    leaves = (1 + 0.10 * _wide_noise(rng, 110) + 0.08 * _wide_noise(rng, 30))[..., None] * np.array(
        [1, 0, 0]
    ) + np.array([0, 1, 1])
    lab = np.where(trees[..., None], green * leaves, lab).astype(np.float32)
    for _ in range(int(rng.integers(0, 9))):
        colour, x = draw_colour(rng, (35, 85), (0, 20)), int(rng.integers(columns))
        half, high = int(rng.uniform(4, 26) / 360 * columns / 2), rng.uniform(4, 15)
        reach = np.arange(x - half, x + half) % columns
        lab[_rows(high) : _rows(0), reach] = colour
        for row in range(_rows(high) + 4, _rows(1.5), 7):
            for column in range(4, 2 * half - 5, 8):
                lab[row : row + 4, (x - half + np.arange(column, column + 4)) % columns] = colour * (0.5, 1, 1)
    return np.asarray(cv2.GaussianBlur(lab, (0, 0), 0.7), np.float32)


def _wide_noise(rng: np.random.Generator, cycles: float) -> Singles:
    """Seamless noise (512, 1024) of unit variance, ``cycles`` over its height."""
    square = noise(rng, ROWS, cycles)
    other = noise(rng, ROWS, cycles)
    blend = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, 2 * ROWS, endpoint=False))[None]
    twice = np.concatenate([square, square], 1), np.concatenate([other, other], 1)
    mixed = twice[0] * np.sqrt(blend) + twice[1] * np.sqrt(1 - blend)
    return np.asarray(mixed, np.float32)
