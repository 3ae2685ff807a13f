"""What lies beneath and behind the body: bedding, floors and rooms drawn from noise, or a folder of pictures.

Surfaces and rooms are pools of a job: entry j is a pure function of (seed, j), so any worker draws the same one. They
are drawn at first use and kept.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..looks.patterns import Bytes, Singles
from ..poses.angles import choose
from .config import BackgroundConfig
from .scene import Camera, Ground
from .surfaces import DRAW, SurfaceLook, draw_room

_SURFACE_STREAM, _ROOM_STREAM, _CLOTH_STREAM = 101, 102, 103
PHOTO_SIDE = 512
"""Pictures of a folder are kept at this size at most."""
PHOTO_POOL = 256
"""Of larger folders a job uses this many pictures, chosen by its seed."""
_PICTURES = (".jpg", ".jpeg", ".png")
Floats = NDArray[np.floating]


class Pictures:
    """A folder of backdrops: photographs, cropped at random, and panoramas, seen through the scene's camera.

    Args:
        folder: holds .jpg, .jpeg, .png or .hdr files (not searched further down).
        seed: chooses which pictures a job uses where there are more than :data:`PHOTO_POOL`.

    Raises:
        UserError: if the folder is missing or holds no such file.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        if not folder.is_dir():
            raise UserError(f"backgrounds: there is no folder {folder}; give one with .jpg, .png or .hdr files")
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (*_PICTURES, ".hdr") and p.is_file())
        if not files:
            raise UserError(f"backgrounds: no .jpg, .png or .hdr file lies in {folder}")
        if len(files) > PHOTO_POOL:
            kept = np.random.default_rng([seed, _ROOM_STREAM]).permutation(len(files))[:PHOTO_POOL]
            files = [files[i] for i in np.sort(kept)]
        self.files = files
        self._read: dict[int, NDArray] = {}

    def picture(self, index: int) -> NDArray:
        """The picture, RGB: uint8 for photographs, float32 linear light with median 1 for panoramas.

        Raises:
            UserError: naming a file that cannot be read.
        """
        if index not in self._read:
            path = self.files[index]
            panorama = path.suffix.lower() == ".hdr"
            picture = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR if panorama else cv2.IMREAD_COLOR)
            if picture is None or min(picture.shape[:2]) < 8:
                raise UserError(f"backgrounds: {path} cannot be read as a picture; mend or remove it")
            limit = 2048 if panorama else PHOTO_SIDE
            scale = limit / max(picture.shape[:2])
            if scale < 1:
                picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            picture = np.ascontiguousarray(picture[..., ::-1])
            if panorama:
                luminance = picture @ np.array([0.2126, 0.7152, 0.0722], np.float32)
                picture = (picture / max(float(np.median(luminance)), 1e-6)).astype(np.float32)
            self._read[index] = picture
        return self._read[index]

    def backdrop(self, rng: np.random.Generator, camera: Camera) -> Bytes:
        """A backdrop (h, w, 3) uint8 sRGB for this camera."""
        index, turn, x, y, zoom = int(rng.integers(len(self.files))), *rng.random(4)
        picture = self.picture(index)
        if picture.dtype == np.float32:
            return look_into(picture, camera, 2 * np.pi * turn, 0.10 * 2.0 ** (1.5 * zoom))
        aspect = camera.width / camera.height
        rows, columns = picture.shape[:2]
        height = min(rows, columns / aspect) * (0.55 + 0.45 * zoom)
        width = height * aspect
        top, left = int(y * (rows - height)), int(x * (columns - width))
        crop = picture[top : top + max(1, int(height)), left : left + max(1, int(width))]
        if turn < 0.5:
            crop = crop[:, ::-1]
        return np.asarray(cv2.resize(crop, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR), np.uint8)


def look_into(panorama: Singles, camera: Camera, yaw: float, exposure: float) -> Bytes:
    """What a camera sees of an equirectangular panorama, turned by ``yaw`` (radians) about Y, half its resolution.

    Args:
        panorama: (h, 2h, 3) float32 linear light, top row = zenith, the middle column faces -Z.
        exposure: factor before the tone curve x / (1 + x) (Reinhard 2002), which 1/(1+x) keeps below white.

    Returns:
        (height // 2, width // 2, 3) uint8 sRGB.
    """
    width, height = max(1, camera.width // 2), max(1, camera.height // 2)
    x = (2 * np.arange(width) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
    y = (2 * np.arange(height) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
    turn = camera.R.T
    rays = [(turn[k, 0] * x[None] + turn[k, 1] * y[:, None] + turn[k, 2]).astype(np.float32) for k in range(3)]
    rows, columns = panorama.shape[:2]
    longitude = np.arctan2(rays[0], -rays[2]) + np.float32(yaw)
    latitude = np.arctan2(rays[1], np.hypot(rays[0], rays[2]))
    across = ((longitude / (2 * np.pi) + 0.5) % 1.0 * columns - 0.5).astype(np.float32)
    down = ((0.5 - latitude / np.pi) * rows - 0.5).astype(np.float32)
    light = cv2.remap(panorama, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP) * exposure * 2.2
    return np.round(255 * (light / (1 + light)) ** (1 / 2.2)).astype(np.uint8)


class Backgrounds:
    """Pools of surfaces and rooms of one job, and the folder's pictures where one is given."""

    def __init__(self, config: BackgroundConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.pictures = Pictures(config.folder, seed) if config.folder is not None else None
        self._surfaces: dict[int, SurfaceLook] = {}
        self._cloths: dict[int, SurfaceLook] = {}
        self._rooms: dict[int, Bytes] = {}

    def surface(self, index: int) -> SurfaceLook:
        """Entry ``index`` of the pool of bedding and floors."""
        if index not in self._surfaces:
            rng = np.random.default_rng([self.seed, _SURFACE_STREAM, index])
            kind = choose(rng, self.config.surfaces)
            self._surfaces[index] = DRAW[kind](rng, self.config, self.config.texture or 512)
        return self._surfaces[index]

    def cloth(self, index: int) -> SurfaceLook:
        """Entry ``index`` of the pool of blankets: cloth whatever the floors are made of."""
        if index not in self._cloths:
            rng = np.random.default_rng([self.seed, _CLOTH_STREAM, index])
            kind = choose(rng, {"sheet": 1, "quilt": 1, "muslin": 1.5, "towel": 0.5})
            self._cloths[index] = DRAW[kind](rng, self.config, self.config.texture or 512)
        return self._cloths[index]

    def room(self, index: int) -> Bytes:
        """Entry ``index`` of the pool of rooms."""
        if index not in self._rooms:
            self._rooms[index] = draw_room(np.random.default_rng([self.seed, _ROOM_STREAM, index]))
        return self._rooms[index]

    def backdrop(self, rng: np.random.Generator, camera: Camera, view: str) -> Bytes:
        """What fills the picture where nothing is hit: a floor seen from above, else a room. (h, w, 3) uint8 sRGB."""
        behind, room = (int(rng.integers(self.config.pool)) for _ in range(2))
        zoom, flip = rng.uniform(0.3, 0.8), -1 if rng.random() < 0.5 else 1
        size = (camera.width, camera.height)
        if view != "above":
            return np.asarray(cv2.resize(self.room(room)[:, ::flip], size, interpolation=cv2.INTER_CUBIC), np.uint8)
        texture = self.surface(behind).texture
        side = int(zoom * len(texture))
        crop = cv2.resize(texture[:side, :side][:, ::flip], size)
        return np.asarray(cv2.convertScaleAbs(crop, alpha=0.72), np.uint8)  # the floor around a cot lies in its shade

    def place(
        self, rng: np.random.Generator, camera: Camera, view: str, vertices: Floats, long: Floats
    ) -> tuple[Ground | None, Bytes]:
        """Ground and backdrop of one frame.

        Args:
            vertices: (V, 3) of the body, world; a bounded surface reaches beyond them on all sides.
            long: (3,) from the feet to the head; cots and mats are mostly aligned with it.

        Returns:
            the ground, or None where a picture of the folder is all there is; and the backdrop.
        """
        config = self.config
        number, margin, shift = int(rng.integers(config.pool)), rng.uniform(0.08, 0.40, 2), rng.uniform(-1, 1, 2)
        bounded, aligned = rng.random() < config.bounded, rng.random() < 0.7
        lean, free = rng.normal(0, np.radians(14)), rng.uniform(-np.pi, np.pi)
        from_folder, with_ground = rng.random() < config.folder_share, rng.random() < config.folder_ground
        if self.pictures is not None and from_folder:
            backdrop, bounded = self.pictures.backdrop(rng, camera), True
            if not with_ground:
                return None, backdrop
        else:
            backdrop = self.backdrop(rng, camera, view)
        look, yaw = self.surface(number), float(np.arctan2(long[0], long[2]) + lean if aligned else free)
        if not bounded:
            return Ground(look.texture, look.tile, None, 0.0, (float(shift[0]), float(shift[1])), yaw), backdrop
        c, s = np.cos(yaw), np.sin(yaw)
        across, along = vertices[:, 0] * c - vertices[:, 2] * s, vertices[:, 0] * s + vertices[:, 2] * c
        half = (float(np.abs(across).max() + margin[0]), float(np.abs(along).max() + margin[1]))
        move = 0.6 * margin * shift
        centre = (float(move[0] * c + move[1] * s), float(move[1] * c - move[0] * s))
        return Ground(look.texture, look.tile, half, 0.0, centre, yaw), backdrop
