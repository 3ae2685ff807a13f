"""Panoramas as light: irradiance of the surroundings, the lamp or sun among it, the floor beneath, the view behind.

A panorama is an equirectangular picture of linear light, top row the zenith, middle column towards -Z, columns running
towards +X. Turned by ``yaw`` about +Y it surrounds a scene: the world direction of a panorama's direction p is
``Ry(yaw) @ p``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.geometry import axis_rotation

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB (IEC 61966-2-1)
_LAMP_CONE = np.radians(30.0)  # about the brightest spot, what counts to the lamp
_LAMP_ABOVE = 3.0  # times the mean light elsewhere, above which light in the cone is the lamp's
_LOWEST_LAMP = np.radians(6.0)
_FLOOR_REACH = 2.0  # half the side of the floor's picture, in heights of the panorama's camera
Singles = NDArray[np.float32]
Floats = NDArray[np.float64]


def harmonics(directions: Floats) -> Floats:
    """Real spherical harmonics (N, 9) of unit directions (N, 3): 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2.

    With the constants of Ramamoorthi and Hanrahan 2001, equation 3.
    """
    x, y, z = directions.T
    one = np.ones_like(x)
    first, second = 0.488603, 1.092548
    return np.stack(
        [
            0.282095 * one, first * y, first * z, first * x, second * x * y, second * y * z,
            0.315392 * (3 * z * z - 1), second * x * z, 0.546274 * (x * x - y * y),
        ], -1,
    )  # fmt: skip


_LOBE = np.array([1.0, *3 * [2 / 3], *5 * [1 / 4]])  # the clamped cosine's harmonics over pi (the same, equation 8)


def irradiance(light: Singles) -> Floats:
    """Irradiance over pi of a panorama (h, 2h, 3) as harmonics (9, 3): a white plate with normal n shows ``Y(n) @ it``.

    A constant panorama of 1 gives 1 for every n; light that is one distant lamp of irradiance E from d gives
    E / pi * (1/4 + cos/2 + 5/32 (3 cos^2 - 1)), cos = n . d, where the true plate shows E / pi * max(cos, 0).
    """
    directions, angles = grid(*light.shape[:2])
    weighted = light.reshape(-1, 3).astype(np.float64) * angles[:, None]
    return np.asarray(_LOBE[:, None] * (harmonics(directions).T @ weighted))


def grid(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Directions (rows * columns, 3) of a panorama's pixels and the solid angles (rows * columns,) they cover."""
    latitude = (0.5 - (np.arange(rows) + 0.5) / rows) * np.pi
    longitude = ((np.arange(columns) + 0.5) / columns - 0.5) * 2 * np.pi
    flat, around = np.cos(latitude)[:, None], np.broadcast_to(longitude, (rows, columns))
    up = np.broadcast_to(np.sin(latitude)[:, None], (rows, columns))
    directions = np.stack([flat * np.sin(around), up, -flat * np.cos(around)], -1).reshape(-1, 3)
    edges = np.sin((0.5 - np.arange(rows + 1) / rows) * np.pi)
    angles = np.repeat((edges[:-1] - edges[1:]) * 2 * np.pi / columns, columns)
    return directions, angles


_FROM = grid(4, 8)[0]
_BACK = np.linalg.pinv(harmonics(_FROM))


def turned(coefficients: Floats, yaw: float) -> Floats:
    """Harmonics (9, 3) of a panorama after it has been turned by ``yaw`` radians about +Y."""
    return np.asarray(_BACK @ (harmonics(_FROM @ axis_rotation(1, np.array(yaw))) @ coefficients))


@dataclass(frozen=True)
class Lamp:
    """The dominant light: unit direction towards it (3,), what a facing white plate shows of it (3,), angular radius."""

    direction: Floats
    colour: Floats
    softness: float


def split_lamp(light: Singles) -> tuple[Lamp, Singles]:
    """The lamp of a panorama (h, 2h, 3), and the panorama without it.

    The lamp is what within 30 degrees of the brightest spot above the horizon exceeds three times the mean elsewhere; a
    panorama without such a spot has a lamp of no light.
    """
    rows, columns, _ = light.shape
    directions, angles = grid(rows, columns)
    luminance = (light.reshape(-1, 3) @ LUMINANCE).astype(np.float64)
    wide = np.concatenate([luminance.reshape(rows, columns)] * 3, 1)  # so that the blur goes round
    soft = cv2.GaussianBlur(wide, (0, 0), rows / 60)[:, columns : 2 * columns].ravel()
    peak = directions[int(np.argmax(np.where(directions[:, 1] > np.sin(_LOWEST_LAMP), soft, -1)))]
    near = directions @ peak > np.cos(_LAMP_CONE)
    limit = _LAMP_ABOVE * np.average(luminance[~near], weights=angles[~near])
    share = np.where(near, np.maximum(1 - limit / np.maximum(luminance, 1e-9), 0), 0)
    taken = light.reshape(-1, 3) * share[:, None]
    power = luminance * share * angles
    if power.sum() <= 0:
        return Lamp(np.array([0.0, 1.0, 0.0]), np.zeros(3), 0.3), light
    direction = power @ directions
    direction /= np.linalg.norm(direction)
    cosine = np.clip(directions @ direction, 0, 1)
    colour = (angles * cosine) @ taken / np.pi
    spread = np.sqrt(power @ np.arccos(cosine) ** 2 / power.sum())
    # A disc's root mean square radius is its radius over root 2.
    lamp = Lamp(direction, colour, float(np.clip(np.sqrt(2) * spread, 0.01, 0.6)))
    return lamp, (light - taken.reshape(light.shape)).astype(np.float32)


class Panorama:
    """A panorama and what is computed of it once.

    Args:
        light: (h, 2h, 3) float32 linear RGB, any scale.
    """

    def __init__(self, light: Singles) -> None:
        size = (256, 128) if light.shape[0] > 128 else light.shape[1::-1]
        lamp, rest = split_lamp(np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32))
        ambient = irradiance(rest)
        above = harmonics(np.array([[0.0, 1.0, 0.0]]))[0] @ ambient + lamp.colour * max(lamp.direction[1], 0.0)
        scale = 1 / max(float(above @ LUMINANCE), 1e-9)
        self.light: Singles = light * np.float32(scale)
        self.lamp = Lamp(lamp.direction, lamp.colour * scale, lamp.softness)
        self.ambient = ambient * scale
        self.above: Floats = np.maximum(above * scale, 1e-3)
        """(3,) what a level white plate shows, its luminance scaled to 1."""
        white = self.above + ambient[0] * 0.282095 * scale + 0.25 * self.lamp.colour
        self.white: Floats = np.maximum(white, 1e-3) / (np.maximum(white, 1e-3) @ LUMINANCE)
        """(3,) colour of the light, half that from above, half that from all around; luminance 1."""

    @cached_property
    def floor(self) -> NDArray[np.uint8]:
        """The floor seen from above (512, 512, 3) uint8 sRGB, as reflectance, its middle at the picture's corners.

        It spans four heights of the panorama's camera and is not turned; laid out as :class:`.scene.Ground` repeats it.
        """
        side = 512
        offsets = (np.arange(side) + 0.5) / side
        offsets = (offsets - np.round(offsets)) * 2 * _FLOOR_REACH
        x, z = np.meshgrid(offsets, offsets)
        light = self._towards(x.astype(np.float32), np.full((side, side), -1, np.float32), z.astype(np.float32), 0.0)
        white = np.clip(light / self.above.astype(np.float32), 0, 1)
        code = np.where(white <= 0.0031308, 12.92 * white, 1.055 * white ** (1 / 2.4) - 0.055)
        return np.round(255 * code).astype(np.uint8)

    @property
    def floor_reach(self) -> float:
        """Half the side of :attr:`floor` in heights of the camera."""
        return _FLOOR_REACH

    def _towards(self, x: Singles, y: Singles, z: Singles, yaw: float) -> Singles:
        """Light (h, w, 3) from world directions, each (h, w), any length, of the panorama turned by ``yaw``."""
        rows, columns = self.light.shape[:2]
        longitude = np.arctan2(x, -z)
        latitude = np.arctan2(y, np.sqrt(x * x + z * z))
        turn = yaw / (2 * np.pi) + 0.5
        across = (longitude * np.float32(1 / (2 * np.pi)) + np.float32(turn)) % np.float32(1)
        down = np.float32(rows / 2 - 0.5) - latitude * np.float32(rows / np.pi)
        across = across * np.float32(columns) - np.float32(0.5)
        seen = cv2.remap(self.light, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return np.asarray(seen, np.float32)

    def seen(self, rays: Singles, eye: Floats, yaw: float, centre: Floats, reach: float) -> Singles:
        """Light (h, w, 3) along rays (3, h, w) from ``eye`` (3,), world.

        The panorama stands on the ground: what its camera saw below the horizon lies on the plane y = 0 as far as ``reach``
        metres, the rest on a dome of that radius, so that floor and people stay together wherever the camera is.

        Args:
            centre: (3,) where the panorama's camera stood; y is its height above the floor.
            reach: radius in metres of the floor; inf puts everything infinitely far away.
        """
        if not np.isfinite(reach):
            return self._towards(rays[0], rays[1], rays[2], yaw)
        start = np.asarray(eye, np.float32) - np.array([centre[0], 0, centre[2]], np.float32)
        length = 1 / np.sqrt(rays[0] ** 2 + rays[1] ** 2 + rays[2] ** 2)
        x, y, z = rays * length
        along = x * start[0] + y * start[1] + z * start[2]
        inside = np.float32(reach**2) - start @ start
        far = np.sqrt(np.maximum(along * along + inside, 0)) - along
        floor = start[1] / np.maximum(-y, np.float32(1e-6))
        travel = np.where(y < 0, np.minimum(far, floor), far)
        return self._towards(
            start[0] + travel * x, start[1] + travel * y - np.float32(centre[1]), start[2] + travel * z, yaw
        )
