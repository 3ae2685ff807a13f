"""Light of panoramas: golden irradiance, rotation, the lamp, the view, the floor and the meter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim2pose.models.geometry import axis_rotation, camera_matrix, look_at
from sim2pose.render_farm.scenes.config import BackgroundConfig, LightsConfig
from sim2pose.render_farm.scenes.panorama import LUMINANCE, Panorama, grid, harmonics, irradiance, split_lamp, turned
from sim2pose.render_farm.scenes.pictures import Pictures
from sim2pose.render_farm.scenes.scene import Camera
from sim2pose.render_farm.scenes.surroundings import Surroundings, place_panorama, tone

NORMALS = np.array([[0, 1.0, 0], [0, -1, 0], [1, 0, 0], [0, 0, -1], [0.6, 0.8, 0], [-0.48, 0.6, 0.64]])


def _camera(eye: tuple[float, float, float], target: tuple[float, float, float], width: int = 64) -> Camera:
    rotation, translation = look_at(np.array(eye, float), np.array(target, float))
    return Camera(camera_matrix(50.0, width, 48), rotation, translation, width, 48)


def _sky_and_lamp() -> np.ndarray:
    """Blue above, green below, a red lamp low in the middle column (towards -Z)."""
    light = np.zeros((64, 128, 3), np.float32)
    light[:32, :, 2] = 5.0
    light[32:, :, 1] = 5.0
    light[24:30, 60:68, 0] = 900.0
    return light


def test_pixels_cover_the_sphere() -> None:
    directions, angles = grid(32, 64)
    assert angles.sum() == pytest.approx(4 * np.pi)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    assert directions[0, 1] > 0.99 and directions[-1, 1] < -0.99
    np.testing.assert_allclose(directions[16 * 64 + 32], [0, 0, -1], atol=0.06)
    gram = harmonics(directions).T @ (harmonics(directions) * angles[:, None])
    np.testing.assert_allclose(gram, np.eye(9), atol=4e-3)


def test_constant_light_shows_constant_white() -> None:
    constant = np.broadcast_to(np.float32([1.0, 0.5, 2.0]), (16, 32, 3))
    shown = harmonics(NORMALS) @ irradiance(constant)
    np.testing.assert_allclose(shown, np.broadcast_to([1.0, 0.5, 2.0], (6, 3)), atol=0.005)


def test_a_single_bright_pixel_gives_the_cosine_lobe_of_degree_two() -> None:
    light = np.zeros((64, 128, 3), np.float32)
    light[20, 70] = 1000.0
    directions, angles = grid(64, 128)
    towards, power = directions[20 * 128 + 70], 1000.0 * angles[20 * 128 + 70] / np.pi
    cosine = NORMALS @ towards
    expected = power * (1 / 4 + cosine / 2 + 5 / 32 * (3 * cosine**2 - 1))
    np.testing.assert_allclose(harmonics(NORMALS) @ irradiance(light), np.repeat(expected[:, None], 3, 1), rtol=1e-4)


def test_golden_irradiance_of_a_sky() -> None:
    """White above, black below: (1 + cos) / 2 of the zenith angle for true plates, exact up to degree 2."""
    light = np.zeros((128, 256, 3), np.float32)
    light[:64] = 1.0
    coefficients = irradiance(light)
    tilt = np.radians([0, 45, 90, 135, 180])
    normals = np.stack([np.sin(tilt), np.cos(tilt), 0 * tilt], -1)
    np.testing.assert_allclose((harmonics(normals) @ coefficients)[:, 0], (1 + np.cos(tilt)) / 2, atol=1e-3)
    np.testing.assert_allclose(coefficients[:3, 0], [1.772454, 1.023327, 0], atol=1e-3)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.0, np.pi])
def test_turning_the_harmonics_turns_the_light(yaw: float) -> None:
    coefficients = irradiance(np.random.default_rng(0).random((32, 64, 3)).astype(np.float32) ** 4)
    R = axis_rotation(1, np.array(yaw))
    expected = harmonics(NORMALS) @ coefficients
    np.testing.assert_allclose(harmonics(NORMALS @ R.T) @ turned(coefficients, yaw), expected, atol=1e-9)


def test_the_lamp_is_found_and_nothing_is_lost() -> None:
    light = _sky_and_lamp()
    lamp, rest = split_lamp(light)
    np.testing.assert_allclose(lamp.direction, [0, np.sin(np.radians(14)), -np.cos(np.radians(14))], atol=0.04)
    assert lamp.colour[0] > 5 > lamp.colour[1] + lamp.colour[2] and 0.05 < lamp.softness < 0.25
    towards = lamp.direction[None]
    whole = (harmonics(towards) @ irradiance(light))[0]
    split = (harmonics(towards) @ irradiance(rest))[0]
    np.testing.assert_allclose(split[0] + 17 / 16 * lamp.colour[0], whole[0], rtol=0.05)
    assert rest.max() < 40, "what remains is dim"
    even, same = split_lamp(np.ones((16, 32, 3), np.float32))
    assert not even.colour.any() and np.array_equal(same, np.ones((16, 32, 3)))


@pytest.mark.parametrize("yaw", [0.0, 1.0])
def test_light_and_view_turn_together(yaw: float) -> None:
    """The world direction of the lamp, looked along, shows the lamp in the middle of the backdrop."""
    around = Surroundings(Panorama(_sky_and_lamp()), yaw, (0.0, 1.5, 0.0), np.inf, (0.2, 0.2, 0.2))
    lights = around.lights()
    ahead = around.backdrop(_camera((0, 0.5, 0), tuple(np.array([0, 0.5, 0]) + lights.direction)))
    assert ahead.shape == (24, 32, 3) and ahead[11:13, 15:17, 0].min() > 200
    behind = around.backdrop(_camera((0, 0.5, 0), tuple(np.array([0, 0.5, 0]) - lights.direction)))
    assert behind[..., 0].max() < 20
    assert lights.environment is not None
    shown = harmonics(np.array([[0, 1.0, 0], [0, -1.0, 0]])) @ lights.environment
    np.testing.assert_allclose(np.maximum(shown, 0), [lights.sky, lights.floor], atol=1e-9)
    assert lights.sky[2] > lights.sky[1] and lights.floor[1] > lights.floor[2]


def test_the_floor_stays_where_it_is_when_the_camera_moves() -> None:
    """A mark on the floor below the panorama's camera is seen where it projects, from anywhere."""
    light = np.full((256, 512, 3), 0.2, np.float32)
    light[128:] = 0.02
    mark = np.array([0.8, 0.0, -0.5])
    directions, _ = grid(256, 512)
    near = directions @ ((mark - [0, 1.5, 0]) / np.linalg.norm(mark - [0, 1.5, 0])) > np.cos(0.05)
    light.reshape(-1, 3)[near] = 20.0
    around = Surroundings(Panorama(light), 0.0, (0.0, 1.5, 0.0), 8.0, (0.2, 0.2, 0.2))
    for eye in ((0.0, 1.5, 0.0), (1.2, 0.8, 0.6), (-0.5, 2.0, -1.5)):
        camera = _camera(eye, (0.7, 0.1, -0.4), 128)
        rows, columns = np.nonzero(around.backdrop(camera)[..., 0] > 150)
        seen = camera.K @ (camera.R @ mark + camera.t)
        assert (
            abs(2 * columns.mean() + 0.5 - seen[0] / seen[2]) < 2 and abs(2 * rows.mean() + 0.5 - seen[1] / seen[2]) < 2
        )
    ground = around.ground()
    x, z = mark[[0, 2]] / ground.tile % 1.0 * 512
    assert ground.texture[int(z), int(x)].min() == 255 > ground.texture[100, 400].max()


def test_the_meter_shows_white_as_asked_and_holds_back_before_a_bright_view() -> None:
    panorama = Panorama(np.full((32, 64, 3), (0.5, 1.0, 2.0), np.float32))
    camera = _camera((0, 1, 2), (0, 0, 0))
    around = Surroundings(panorama, 0.0, (0.0, 1.5, 0.0), 8.0)
    even = around.metered(camera, 0.6, 1.0)
    np.testing.assert_allclose(even.lights().sky, [0.6, 0.6, 0.6], rtol=0.02)
    tinted = around.metered(camera, 0.6, 0.0).lights().sky
    assert tinted @ LUMINANCE == pytest.approx(0.6, rel=0.02) and tinted[2] / tinted[0] == pytest.approx(4, rel=0.02)
    glare = np.full((32, 64, 3), 1.0, np.float32)
    glare[12:16, 24:40] = 40.0  # low, before the camera; little of it falls on level things
    bright = Surroundings(Panorama(glare), 0.0, (0.0, 1.5, 0.0), 8.0).metered(_camera((0, 1, 2), (0, 1.6, 0)), 0.8)
    assert max(bright.gains) < 0.7


def test_tone_is_srgb_with_a_shoulder() -> None:
    light = np.array([[[0.0, 0.18, 0.5]], [[0.8, 1.5, 100.0]]], np.float32)
    np.testing.assert_allclose(tone(light).ravel(), [0, 118, 188, 231, 248, 255], atol=2)


def test_real_panoramas_are_neither_black_nor_burnt(shared_data: Path) -> None:
    pictures = Pictures(shared_data / "backgrounds", 0)
    for index, path in enumerate(pictures.files):
        panorama = pictures.panorama(index)
        assert panorama is not None
        for seed in range(4):
            rng = np.random.default_rng(seed)
            camera = _camera((1.0, 0.8, 1.2), (0, 0.3 + 0.3 * seed, 0))
            around = place_panorama(rng, panorama, BackgroundConfig(), LightsConfig(), camera)
            backdrop, lights = around.backdrop(camera), around.lights()
            assert 25 < backdrop.mean() < 235 and backdrop.std() > 5, path.name
            white = lights.sky + lights.colour * lights.direction[1]
            assert 0.15 < white @ LUMINANCE < 1.5 and lights.direction[1] > 0
            assert (lights.sky > 0).all() and 0.01 <= lights.softness <= 0.6
            assert around.ground().texture.mean() > 15
