"""What lies behind and beneath hands: a picture, a blurred room, a desk, a plain wall, a green screen."""

from __future__ import annotations

import cv2
import numpy as np

from ...looks.patterns import Bytes, draw_colour, lab_to_rgb, noise
from ...poses.angles import choose
from ...scenes.backgrounds import Backgrounds, Setting
from ...scenes.config import LightsConfig
from ...scenes.lights import for_camera, sample_lights
from ...scenes.scene import Camera, Ground
from .config import HandBackgroundConfig

_GREEN = np.array([58.0, -46.0, 36.0], np.float32)  # Lab of a lit green screen


def draw_place(rng: np.random.Generator, config: HandBackgroundConfig) -> str:
    """Where a frame is taken: an entry of ``config.places``; pictures only where a folder of them is given.

    Without a folder, rooms take the pictures' share.
    """
    place = choose(rng, config.places)
    return "room" if place == "pictures" and config.folder is None else place


def draw_setting(
    rng: np.random.Generator,
    light_rng: np.random.Generator,
    pools: Backgrounds,
    place: str,
    camera: Camera,
    lights: LightsConfig,
) -> Setting:
    """Ground (of desks), backdrop and light of a place; a panorama lights the hands it surrounds.

    A desk's middle lies beneath the origin, at y = 0.
    """
    if place != "pictures":
        ground, backdrop = _draw(rng, pools, place, camera)
        return Setting(ground, backdrop, for_camera(light_rng, sample_lights(light_rng, lights), lights, camera))
    return pools.distant(rng, light_rng, lights, camera)


def _draw(rng: np.random.Generator, pools: Backgrounds, place: str, camera: Camera) -> tuple[Ground | None, Bytes]:
    config, size = pools.config, (camera.width, camera.height)
    number, room, flip = int(rng.integers(config.pool)), int(rng.integers(config.pool)), -1 if rng.random() < 0.5 else 1
    yaw, half, shift = rng.uniform(-np.pi, np.pi), rng.uniform((0.35, 0.3), (0.9, 0.6)), rng.uniform(-0.15, 0.15, 2)
    if place in ("plain", "green"):
        base = _GREEN + rng.normal(0, (6, 5, 5)) if place == "green" else draw_colour(rng, (8, 95), (0, 22))
        slope = rng.uniform(-9, 9, 2)
        y, x = np.mgrid[-1:1:32j, -1:1:32j].astype(np.float32)
        light = slope[0] * x + slope[1] * y + rng.uniform(0, 2.5) * noise(rng, 32, 3)
        lab = np.repeat(np.repeat(base[None, None].astype(np.float32), 32, 0), 32, 1)
        lab[..., 0] = np.clip(lab[..., 0] + light, 0, 100)
        picture = np.round(lab_to_rgb(lab)).astype(np.uint8)
        return None, np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    picture = np.ascontiguousarray(pools.room(room)[:, ::flip])
    zoom = int(rng.uniform(0.45, 1.0) * len(picture))
    top, left = (int(rng.integers(len(picture) - zoom + 1)) for _ in range(2))
    backdrop = np.asarray(
        cv2.resize(picture[top : top + zoom, left : left + zoom], size, interpolation=cv2.INTER_CUBIC), np.uint8
    )
    if place != "desk":
        return None, backdrop
    look = pools.surface(number)
    sides = (float(half[0]), float(half[1]))
    return Ground(look.texture, look.tile, sides, 0.0, (float(shift[0]), float(shift[1])), float(yaw)), backdrop
