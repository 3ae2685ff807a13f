"""The window or lamp, and the light the room returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .config import LightsConfig
from .scene import Camera, Lights

WHITE_KELVIN = 5000.0
"""Colour temperature that the camera takes for white."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
FRONT = np.radians(100)
"""A lamp on the camera's side stands within this angle of it, about the vertical."""
_BRIGHTER, _DARKER = 2.3, 0.6
"""A meter for faces changes the exposure by no more than these factors."""
_BURNT = 1.3
"""Nor does it light the ground by more than this: a light pavement behind somebody in the shade would only be white."""
_WAVELENGTHS = np.array([610e-9, 550e-9, 465e-9])  # where red, green and blue respond most (sRGB primaries' dominants)


def black_body_gains(kelvin: float) -> np.ndarray:
    """Linear RGB (3,) of a lamp of that temperature by Planck's law, relative to 5000 K, green 1.

    2856 K (a tungsten bulb) gives about (1.51, 1, 0.53).
    """
    constant = 1.4387769e-2  # second radiation constant, m K (CODATA 2018)

    def radiance(temperature: float) -> np.ndarray:
        return 1 / (np.exp(constant / (_WAVELENGTHS * temperature)) - 1)

    gains = radiance(kelvin) / radiance(WHITE_KELVIN)
    return gains / gains[1]


def sample_lights(rng: np.random.Generator, config: LightsConfig) -> Lights:
    """Draw a light from a window or lamp, and an ambient that takes over half of its colour."""
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(*config.elevation))
    direction = np.array([np.cos(elevation) * np.cos(azimuth), np.sin(elevation), np.cos(elevation) * np.sin(azimuth)])
    colour = black_body_gains(np.exp(rng.uniform(*np.log(config.kelvin))))
    colour = colour / (colour @ LUMINANCE)
    key, ambient = rng.uniform(*config.key), rng.uniform(*config.ambient)
    level = key * direction[1] + ambient  # on a level surface; a camera's meter keeps it within bounds
    metered = np.clip(level, *config.level) / level
    key, ambient = key * metered, ambient * metered
    tint = np.exp(config.tint * rng.standard_normal(3))
    sky = ambient * tint * np.sqrt(colour)
    return Lights(
        direction=direction,
        colour=key * colour,
        sky=sky,
        floor=sky * rng.uniform(0.25, 0.6),
        softness=float(rng.uniform(*config.softness)),
    )


def for_camera(rng: np.random.Generator, lights: Lights, config: LightsConfig, camera: Camera) -> Lights:
    """The light as photographers have it: mostly from their side, and exposed for who faces them."""
    side, turn = rng.random() < config.front, rng.uniform(-FRONT, FRONT)
    towards = -np.asarray(camera.R, np.float64)[2]
    if np.hypot(towards[0], towards[2]) < 0.2:  # from overhead everything faces the camera
        return lights
    if side:
        yaw, flat = np.arctan2(towards[0], towards[2]) + turn, np.hypot(lights.direction[0], lights.direction[2])
        direction = np.array([flat * np.sin(yaw), lights.direction[1], flat * np.cos(yaw)])
        lights = replace(lights, direction=direction)
    level = max(facing_level(lights, camera), 1e-6)
    gain = float(np.clip(np.clip(level, *config.facing) / level, _DARKER, _BRIGHTER))
    gain = min(gain, max(_BURNT / ground_level(lights), 1.0))
    return scaled(lights, np.full(3, gain))


def scaled(lights: Lights, gains: NDArray[np.floating]) -> Lights:
    """The same lights times gains (3,) of red, green and blue; a panorama's light stays."""
    colour, sky, floor = (gains * np.asarray(each) for each in (lights.colour, lights.sky, lights.floor))
    return replace(lights, colour=colour, sky=sky, floor=floor)


def ground_level(lights: Lights) -> float:
    """Luminance of the light on level ground; 1 shows a white one as white."""
    direction = np.asarray(lights.direction, np.float64)
    upwards = max(float(direction[1] / np.linalg.norm(direction)), 0.0)
    return float((upwards * np.asarray(lights.colour) + np.asarray(lights.sky)) @ LUMINANCE)


def facing_level(lights: Lights, camera: Camera) -> float:
    """Luminance of the light on an upright surface that faces the camera; 1 shows a white one as white."""
    towards = -np.asarray(camera.R, np.float64)[2] * (1, 0, 1)
    towards /= max(float(np.linalg.norm(towards)), 1e-6)
    direction = np.asarray(lights.direction, np.float64)
    lamp = max(float(towards @ direction) / float(np.linalg.norm(direction)), 0.0)
    light = lamp * np.asarray(lights.colour) + (np.asarray(lights.sky) + np.asarray(lights.floor)) / 2
    return float(light @ LUMINANCE)


def wall_light(lights: Lights) -> float:
    """How bright walls and skies that are pictures show, as a share of their own, so that they suit what stands before them."""
    wall = 0.5 * np.asarray(lights.sky) + 0.5 * np.asarray(lights.floor) + 0.35 * np.asarray(lights.colour)
    return float(np.clip(wall @ LUMINANCE / 0.62, 0.4, 1.1))


def night_lights(rng: np.random.Generator, camera: Camera, centre: NDArray[np.floating]) -> Lights:
    """The lamp of an infrared camera: beside its lens, grey, with little light from anywhere else.

    Args:
        centre: (3,) what the camera looks at, world.
    """
    towards = np.asarray(camera.position, np.float64) - np.asarray(centre, np.float64)
    towards = towards / np.linalg.norm(towards) + rng.normal(0, 0.06, 3)
    towards[1] = max(towards[1], 0.08)
    key, ambient = rng.uniform(0.6, 1.0), rng.uniform(0.05, 0.2)
    return Lights(
        direction=towards / np.linalg.norm(towards),
        colour=np.full(3, key),
        sky=np.full(3, ambient),
        floor=np.full(3, 0.6 * ambient),
        softness=0.03,
    )
