"""What lies beneath and behind the body: bedding, floors and rooms drawn from noise, or a folder of pictures.

Surfaces and rooms are pools of a job: entry j is a pure function of (seed, j), so any worker draws the same one. They
are drawn at first use and kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes
from ..poses.angles import choose
from .config import BackgroundConfig, LightsConfig
from .lights import sample_lights
from .pictures import Pictures
from .rooms import draw_room
from .scene import Camera, Ground, Lights
from .surfaces import BEDDING, DRAW, SurfaceLook
from .surroundings import Surroundings, place_panorama

_SURFACE_STREAM, _ROOM_STREAM, _CLOTH_STREAM = 101, 102, 103
_DOWN = -0.82  # of the optical axis along the vertical: photographs lie beneath people seen from above alone
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Setting:
    """What surrounds people in one frame: the ground or None, the backdrop (h, w, 3) uint8 sRGB, and the light.

    ``around`` is the panorama it comes from, if it does: the same place for the other frames of a clip. ``bedding``
    says that the ground is cloth, as on mattresses and in cots.
    """

    ground: Ground | None
    backdrop: Bytes
    lights: Lights
    around: Surroundings | None = None
    bedding: bool = False


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

    def surround(
        self,
        rng: np.random.Generator,
        light_rng: np.random.Generator,
        lights: LightsConfig,
        camera: Camera,
        view: str,
        vertices: Floats,
        long: Floats,
        night: bool = False,
    ) -> Setting:
        """Ground, backdrop and light of one frame; under a panorama all three are its own.

        Args:
            rng, light_rng: for what is seen, and for the light of frames without a panorama.
            lights: ranges of that light; its ``level`` is also what a panorama is exposed for.
            view: "above" where only a floor can be behind the body, anything else shows a room.
            vertices: (V, 3) of the bodies, world; a bounded surface reaches beyond them on all sides.
            long: (3,) from the feet to the head; cots and mats are mostly aligned with it.
            night: a dark room, and no picture of the folder, which shows the day.
        """
        config = self.config
        number, margin, shift = int(rng.integers(config.pool)), rng.uniform(0.08, 0.40, 2), rng.uniform(-1, 1, 2)
        bounded, aligned = rng.random() < config.bounded, rng.random() < 0.7
        lean, free = rng.normal(0, np.radians(14)), rng.uniform(-np.pi, np.pi)
        from_folder, with_ground = rng.random() < config.folder_share, rng.random() < config.folder_ground
        light = sample_lights(light_rng, lights)
        if self.pictures is None or night or not from_folder:
            backdrop, around = self.backdrop(rng, camera, view), None
            if night:  # the lamp on the camera does not reach far
                backdrop = np.asarray(cv2.convertScaleAbs(backdrop, alpha=0.5), np.uint8)
        else:
            picture, bounded = self.pictures.choose(rng), True
            panorama = self.pictures.panorama(picture)
            around = None if panorama is None else place_panorama(rng, panorama, config, lights, camera)
            backdrop = self.pictures.photo(rng, picture, camera) if around is None else around.backdrop(camera)
            matched = rng.random() < config.matched
            if around is not None and matched:
                light = around.lights()
            if around is not None and not with_ground:
                return Setting(around.ground() if matched else None, backdrop, light, around)
            if around is None and not with_ground and camera.R[2, 1] < _DOWN:
                return Setting(self.pictures.floor(picture, float(free)), backdrop, light)
        look = self.surface(number)
        ground = self._bed(look, bounded, vertices, long, (lean, free, aligned), margin, shift)
        return Setting(ground, backdrop, light, around, look.kind in BEDDING)

    def distant(
        self, rng: np.random.Generator, light_rng: np.random.Generator, lights: LightsConfig, camera: Camera
    ) -> Setting:
        """A picture of the folder far behind, without a floor, and its light: for hands and others in mid-air.

        The folder must have been given; arguments as of :meth:`surround`.
        """
        assert self.pictures is not None, "distant pictures need a folder"
        picture, light = self.pictures.choose(rng), sample_lights(light_rng, lights)
        panorama = self.pictures.panorama(picture)
        if panorama is None:
            return Setting(None, self.pictures.photo(rng, picture, camera), light)
        around = replace(place_panorama(rng, panorama, self.config, lights, camera), reach=np.inf)
        matched = rng.random() < self.config.matched
        return Setting(None, around.backdrop(camera), around.lights() if matched else light, around)

    def _bed(
        self,
        look: SurfaceLook,
        bounded: bool,
        vertices: Floats,
        long: Floats,
        turn: tuple[float, float, bool],
        margin: Floats,
        shift: Floats,
    ) -> Ground:
        """Bedding or a mat beneath the bodies, endless (as wooden floors are) or reaching a margin beyond them."""
        lean, free, aligned = turn
        yaw = float(np.arctan2(long[0], long[2]) + lean if aligned else free)
        if not bounded or look.kind == "wood":
            return Ground(look.texture, look.tile, None, 0.0, (float(shift[0]), float(shift[1])), yaw)
        c, s = np.cos(yaw), np.sin(yaw)
        across, along = vertices[:, 0] * c - vertices[:, 2] * s, vertices[:, 0] * s + vertices[:, 2] * c
        half = (float(np.abs(across).max() + margin[0]), float(np.abs(along).max() + margin[1]))
        move = 0.6 * margin * shift
        centre = (float(move[0] * c + move[1] * s), float(move[1] * c - move[0] * s))
        return Ground(look.texture, look.tile, half, 0.0, centre, yaw)
