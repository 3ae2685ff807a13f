"""Places: a box of walls round people and camera, indoors a room, outdoors a square or street under a sky.

The box is drawn by casting the picture's rays at its walls, at half the picture's resolution, so walls, corners and horizon
agree with the floor that the renderer draws. Walls, skies and floors are pools: entry j is a function of (seed, j).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...looks.patterns import Bytes
from ...poses.angles import choose
from ...scenes.lens import drawn_camera
from ...scenes.scene import Camera, Ground
from ...scenes.surfaces import SurfaceLook
from .config import PlacesConfig
from .grounds import draw_ground
from .walls import Painted, draw_inside, draw_outside, draw_sky

Floats = NDArray[np.floating]
_STREAM = {"inside": 111, "outside": 112, "sky": 113, "floor": 114, "ground": 115}
_SKIES = 16


@dataclass(frozen=True)
class Place:
    """A box in the world, turned by ``yaw`` about +Y.

    Attributes:
        indoor: whether it has a ceiling. low, high: (2,) x and z of its walls, in its own axes. height: of the walls.
        ground: what people stand on.
    """

    indoor: bool
    yaw: float
    low: Floats
    high: Floats
    height: float
    ground: Ground


class Places:
    """The walls, skies and floors of one job."""

    def __init__(self, config: PlacesConfig, seed: int, texture: int) -> None:
        self.config, self.seed, self.texture = config, seed, texture
        self._kept: dict[tuple[str, int], object] = {}

    def _rng(self, kind: str, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, _STREAM[kind], index])

    def wall(self, indoor: bool, index: int) -> Painted:
        """Entry of the pool of walls: colours (ROWS, COLUMNS, 3) and cover (ROWS, COLUMNS)."""
        kind = "inside" if indoor else "outside"
        if (kind, index) not in self._kept:
            self._kept[kind, index] = (draw_inside if indoor else draw_outside)(self._rng(kind, index))
        return self._kept[kind, index]  # type: ignore[return-value]

    def sky(self, index: int) -> Bytes:
        """Entry of the pool of skies."""
        if ("sky", index) not in self._kept:
            self._kept["sky", index] = draw_sky(self._rng("sky", index))
        return self._kept["sky", index]  # type: ignore[return-value]

    def floor(self, indoor: bool, index: int) -> SurfaceLook:
        """Entry of the pool of floors, or of grounds outdoors."""
        kind = "floor" if indoor else "ground"
        if (kind, index) not in self._kept:
            rng = self._rng(kind, index)
            name = choose(rng, self.config.floors if indoor else self.config.grounds)
            self._kept[kind, index] = draw_ground(rng, name, self.texture)
        return self._kept[kind, index]  # type: ignore[return-value]

    def place(self, rng: np.random.Generator, indoor: bool, inside: Floats) -> Place:
        """Draw a place round points (P, 3): people and the camera."""
        config, yaw = self.config, float(rng.uniform(-np.pi, np.pi))
        margin = rng.uniform(*(config.room if indoor else config.street), 4)
        look = self.floor(indoor, int(rng.integers(config.pool)))
        c, s = np.cos(yaw), np.sin(yaw)
        flat = np.stack([inside[:, 0] * c - inside[:, 2] * s, inside[:, 0] * s + inside[:, 2] * c], 1)
        low, high = flat.min(0) - margin[:2], flat.max(0) + margin[2:]
        middle, half = (low + high) / 2, (high - low) / 2
        centre = (float(middle[0] * c + middle[1] * s), float(middle[1] * c - middle[0] * s))
        ground = Ground(look.texture, look.tile, (float(half[0]), float(half[1])), 0.0, centre, yaw)
        height = max(2.5, float(inside[:, 1].max()) + 0.3) if indoor else float(rng.uniform(3.0, 12.0))
        return Place(indoor, yaw, low, high, height, ground)

    def backdrop(self, rng: np.random.Generator, place: Place, camera: Camera) -> Bytes:
        """What a camera sees of a place's walls and sky, (height // 2, width // 2, 3) uint8 sRGB."""
        config = self.config
        painted, cover = self.wall(place.indoor, int(rng.integers(config.pool)))
        span, shift = rng.uniform(9.0, 14.0) * (1.0 if place.indoor else place.height / 3), rng.random(4)
        sky, sides, blur = int(rng.integers(_SKIES)), rng.uniform(0.6, 1.0, 4), rng.uniform(*config.blur)
        lamp, dim, side = rng.uniform(0.6, 0.95), rng.uniform(0.6, 1.0), -1 if rng.random() < 0.5 else 1
        camera = drawn_camera(camera)
        height, width = camera.height // 2, camera.width // 2
        x = (2 * np.arange(width) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
        y = (2 * np.arange(height) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
        c, s = np.cos(place.yaw), np.sin(place.yaw)
        turn = camera.R @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])  # place to camera
        eye = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) @ camera.position
        rays = [(turn[0, k] * x[None] + turn[1, k] * y[:, None] + turn[2, k]).astype(np.float32) for k in range(3)]
        ways = []
        for axis, ray in ((0, rays[0]), (1, rays[2])):
            safe = np.where(np.abs(ray) < 1e-6, np.float32(1e-6), ray)
            wall = np.where(safe > 0, np.float32(place.high[axis]), np.float32(place.low[axis]))
            ways.append((wall - np.float32(eye[2 * axis])) / safe)
        along_x = ways[0] < ways[1]
        way = np.where(along_x, ways[0], ways[1])
        up = np.float32(eye[1]) + way * rays[1]
        beside = np.where(along_x, np.float32(eye[2]) + way * rays[2], np.float32(eye[0]) + way * rays[0])
        number = np.where(along_x, rays[0] > 0, 2 + (rays[2] > 0))

        rows, columns = painted.shape[:2]
        turns = beside * np.float32(1 / span) + shift.astype(np.float32)[number]
        across = (turns - np.floor(turns)) * np.float32(columns)
        down = np.clip((1 - up * np.float32(1 / place.height)) * np.float32(rows), 0, rows - 1)
        seen = cv2.remap(painted, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        covered = cv2.remap(cover, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        open_ = np.where(up > place.height, np.float32(1), 1 - covered * np.float32(1 / 255))[..., None]
        if place.indoor:
            glow = 255 * lamp * np.linspace(1, dim, width, dtype=np.float32)
            above = np.repeat(glow[::side, None], 3, 1)
        else:
            rise = np.arctan2(rays[1], np.hypot(rays[0], rays[2]))
            turned = np.arctan2(rays[0], rays[2]) * np.float32(128 / np.pi) + 128
            upwards = np.clip((1 - rise * np.float32(2 / np.pi)) * 63, 0, 63)
            seen_sky = cv2.remap(self.sky(sky), turned, upwards, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            above = np.asarray(seen_sky, np.float32)
        lit = seen * (sides.astype(np.float32)[number][..., None] * (1 - open_))
        lit += above * open_
        picture = np.clip(lit, 0, 255, out=lit).astype(np.uint8)
        sigma = blur * max(width, height) / 256
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0.3 else picture, np.uint8)
