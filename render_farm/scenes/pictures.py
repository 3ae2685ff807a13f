"""A folder of pictures that scenes may stand before: photographs and panoramas."""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from .panorama import Panorama
from .scene import Camera, Ground

PHOTO_SIDE, PANORAMA_SIDE = 512, 2048
"""Pictures of a folder are kept at these widths at most."""
FLOOR_SIDE, FLOOR_METRES = 512, 2.2
"""Texels and metres of a photograph that lies beneath somebody."""
POOL = 256
"""Of larger folders a job uses this many pictures, chosen by its seed."""
_STREAM = 102
_PHOTOS, _PANORAMAS = (".jpg", ".jpeg", ".png"), (".hdr",)
_LOG = logging.getLogger(__name__)


class Pictures:
    """Photographs, cropped at random, and panoramas of a folder.

    Files that cannot be read are named in ``skipped``, logged and left out, alike on every machine.

    Args:
        folder: holds .jpg, .jpeg, .png or .hdr files (not searched further down).
        seed: chooses which pictures a job uses where there are more than :data:`POOL`.

    Raises:
        UserError: if the folder is missing, holds no such file, or none that can be read.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        files, self.skipped = readable(folder, *_listed(folder))
        if len(files) > POOL:
            kept = np.random.default_rng([seed, _STREAM]).permutation(len(files))[:POOL]
            files = [files[i] for i in np.sort(kept)]
        self.files = files
        self._photos: dict[int, NDArray[np.uint8]] = {}
        self._floors: dict[int, NDArray[np.uint8]] = {}
        self._panoramas: dict[int, Panorama] = {}

    def choose(self, rng: np.random.Generator) -> int:
        """Number of a picture."""
        return int(rng.integers(len(self.files)))

    def panorama(self, index: int) -> Panorama | None:
        """A picture's panorama; None if it is a photograph."""
        path = self.files[index]
        if path.suffix.lower() not in _PANORAMAS:
            return None
        if index not in self._panoramas:
            light = np.nan_to_num(_load(path, PANORAMA_SIDE), nan=0.0, posinf=65504.0, neginf=0.0)
            self._panoramas[index] = Panorama(np.maximum(light, 0).astype(np.float32))
        return self._panoramas[index]

    def photo(self, rng: np.random.Generator, index: int, camera: Camera) -> NDArray[np.uint8]:
        """A random crop of a photograph, or its mirror image, in the camera's size: (h, w, 3) uint8 sRGB."""
        turn, x, y, zoom = rng.random(4)
        picture = self._photo(index)
        aspect = camera.width / camera.height
        rows, columns = picture.shape[:2]
        height = min(rows, columns / aspect) * (0.55 + 0.45 * zoom)
        width = height * aspect
        top, left = int(y * (rows - height)), int(x * (columns - width))
        crop = picture[top : top + max(1, int(height)), left : left + max(1, int(width))]
        if turn < 0.5:
            crop = crop[:, ::-1]
        return np.asarray(cv2.resize(crop, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def floor(self, index: int, yaw: float) -> Ground:
        """A photograph laid flat, its middle at the origin: what is seen of it from above takes shade as any floor does."""
        if index not in self._floors:
            picture, side = self._photo(index), min(self._photo(index).shape[:2])
            top, left = ((length - side) // 2 for length in picture.shape[:2])
            square = cv2.resize(picture[top : top + side, left : left + side], (FLOOR_SIDE, FLOOR_SIDE))
            self._floors[index] = np.roll(np.asarray(square, np.uint8), FLOOR_SIDE // 2, (0, 1))
        return Ground(self._floors[index], FLOOR_METRES, yaw=yaw)

    def _photo(self, index: int) -> NDArray[np.uint8]:
        if index not in self._photos:
            self._photos[index] = np.asarray(_load(self.files[index], PHOTO_SIDE), np.uint8)
        return self._photos[index]


def pictures_digest(folder: Path) -> str:
    """16 hex digits of the names and contents of a folder's pictures.

    Raises:
        UserError: as :class:`Pictures`.
    """
    paths, stamps = _listed(folder)
    readable(folder, paths, stamps)
    return _digest(paths, stamps)


@lru_cache(maxsize=4)
def _digest(paths: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _listed(folder: Path) -> tuple[tuple[Path, ...], tuple[tuple[int, int], ...]]:
    """The pictures of a folder, sorted, with their sizes and times."""
    if not folder.is_dir():
        raise UserError(f"backgrounds: there is no folder {folder}; give one with .jpg, .png or .hdr files")
    kinds = (*_PHOTOS, *_PANORAMAS)
    files = tuple(sorted(p for p in folder.iterdir() if p.suffix.lower() in kinds and p.is_file()))
    if not files:
        raise UserError(f"backgrounds: no .jpg, .png or .hdr file lies in {folder}")
    return files, tuple((s.st_size, s.st_mtime_ns) for s in (path.stat() for path in files))


def readable(
    folder: Path, paths: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]
) -> tuple[list[Path], dict[str, str]]:
    """Which files can be read, and why each of the others cannot, by name.

    Args:
        folder: named in messages. paths: files. stamps: their sizes and times; files are tried once for each.

    Raises:
        UserError: if none can.
    """
    good, bad = _tried(paths, stamps)
    if not good:
        raise UserError(f"backgrounds: none of the {len(paths)} pictures in {folder} can be read ({_names(bad)})")
    return list(good), dict(bad)


@lru_cache(maxsize=4)
def _tried(paths: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> tuple[tuple[Path, ...], dict[str, str]]:
    bad: dict[str, str] = {}
    for path in paths:
        try:
            _load(path, 64, quick=True)
        except UserError as error:
            bad[path.name] = str(error)
    if bad:
        _LOG.warning("backgrounds: %d of %d pictures are left out: %s", len(bad), len(paths), _names(bad))
    return tuple(path for path in paths if path.name not in bad), bad


def _names(bad: dict[str, str], most: int = 5) -> str:
    shown = "; ".join(bad[name] for name in sorted(bad)[:most])
    return shown + (f"; and {len(bad) - most} more" if len(bad) > most else "")


def _load(path: Path, limit: int, quick: bool = False) -> NDArray:
    """A picture, RGB, at most ``limit`` wide or high: uint8 of photographs, float32 linear light of panoramas.

    Args:
        quick: photographs may come smaller than their size.

    Raises:
        UserError: naming a file that cannot be read, or is no panorama.
    """
    panorama = path.suffix.lower() in _PANORAMAS
    colour = cv2.IMREAD_REDUCED_COLOR_8 if quick else cv2.IMREAD_COLOR
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR if panorama else colour) if len(data) else None
    if picture is None or min(picture.shape[:2]) < (1 if quick and not panorama else 8):
        raise UserError(f"{path.name} cannot be read as a picture")
    if panorama and not 1.8 < picture.shape[1] / picture.shape[0] < 2.2:
        raise UserError(f"{path.name} is {picture.shape[1]} x {picture.shape[0]}, a panorama is twice as wide as high")
    if panorama and not np.nan_to_num(picture).max() > 0:
        raise UserError(f"{path.name} is black")
    scale = limit / max(picture.shape[:2])
    if scale < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return np.ascontiguousarray(picture[..., ::-1])
