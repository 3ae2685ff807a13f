"""Photographs: people take their light, and throw their shade where they stand."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.scenes.lights import facing_level
from sim2pose.render_farm.scenes.photographs import GREY, shaded, suit_photograph
from sim2pose.render_farm.scenes.scene import Camera, Lights


def _camera(distortion: np.ndarray | None = None) -> Camera:
    rotation, move = look_at(np.array([0.0, 1.6, 4.0]), np.array([0.0, 0.8, 0.0]))
    return Camera(camera_matrix(110.0, 128, 96), rotation, move, 128, 96, distortion)


def _foot(camera: Camera, point: tuple[float, float, float]) -> tuple[int, int]:
    seen = camera.K @ (camera.R @ np.array(point) + camera.t)
    return round(seen[1] / seen[2]), round(seen[0] / seen[2])


def _post(x: float, z: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform((x - 0.15, 0.0, z - 0.15), (x + 0.15, 1.6, z + 0.15), (6000, 3))


@pytest.mark.parametrize("grey", [40, 128, 230])
def test_people_are_as_bright_as_the_photograph(grey: int) -> None:
    photo, camera = np.full((96, 128, 3), grey, np.uint8), _camera()
    level = facing_level(suit_photograph(Lights(), photo, camera), camera)
    assert level == pytest.approx(float(np.clip((grey / 255) ** 2.2 / GREY, 0.3, 0.95)), rel=0.02)


def test_the_light_takes_some_of_the_colour() -> None:
    photo = np.zeros((96, 128, 3), np.uint8) + np.array([160, 120, 80], np.uint8)
    red, green, blue = suit_photograph(Lights(), photo, _camera()).sky / Lights().sky
    assert red > green > blue > 0.6 * red


def test_shade_lies_at_the_feet_and_nowhere_else() -> None:
    photo, camera = np.full((96, 128, 3), 200, np.uint8), _camera()
    shade = shaded(photo, camera, Lights(direction=np.array([0.1, 1.0, 0.0])), _post(0.4, 0.5))
    row, column = _foot(camera, (0.4, 0.0, 0.5))
    assert shade[row, column].mean() < 150
    far, aside = _foot(camera, (-1.2, 0.0, 0.5))
    assert shade[far, aside].mean() > 197
    assert np.all(shade[:20] == 200), "nothing above the horizon"
    assert shade.shape == photo.shape and shade.dtype == np.uint8


def test_shade_falls_away_from_the_lamp() -> None:
    photo, camera = np.full((96, 128, 3), 200, np.uint8), _camera()
    lights = Lights(direction=np.array([1.0, 1.0, 0.0]), softness=0.02)
    shade = shaded(photo, camera, lights, _post(0.0, 0.0))
    left, right = _foot(camera, (-0.7, 0.0, 0.0)), _foot(camera, (0.7, 0.0, 0.0))
    assert shade[left].mean() < shade[right].mean() - 15


def test_nobody_before_the_camera_leaves_the_photograph() -> None:
    photo = np.full((96, 128, 3), 200, np.uint8)
    assert shaded(photo, _camera(), Lights(), _post(0.0, 9.0)) is photo
