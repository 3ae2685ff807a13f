"""Light for a camera: lamps on its side, faces neither too dark nor too bright."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.scenes.config import LightsConfig
from sim2pose.render_farm.scenes.lights import facing_level, for_camera, ground_level, sample_lights, wall_light
from sim2pose.render_farm.scenes.scene import Camera, Lights


def _camera(eye: tuple[float, float, float] = (1.0, 1.6, 4.0)) -> Camera:
    rotation, move = look_at(np.array(eye), np.array([0.0, 1.0, 0.0]))
    return Camera(camera_matrix(100.0, 64, 64), rotation, move, 64, 64)


def _drawn(config: LightsConfig, seed: int) -> Lights:
    return sample_lights(np.random.default_rng(seed), config)


def test_lamps_stand_on_the_cameras_side() -> None:
    camera = _camera()
    towards = np.array([1.0, 0.0, 4.0]) / np.hypot(1, 4)
    for front, least, most in ((1.0, 1.0, 1.0), (0.0, 0.3, 0.7)):
        config = LightsConfig(front=front)
        lights = [for_camera(np.random.default_rng([k, 1]), _drawn(config, k), config, camera) for k in range(60)]
        side = [float(towards @ each.direction) > np.cos(np.radians(101)) for each in lights]
        assert least <= np.mean(side) <= most
        for k, each in enumerate(lights):
            assert each.direction[1] == pytest.approx(_drawn(config, k).direction[1]), "its height stays"


def test_faces_are_exposed_for() -> None:
    config, camera = LightsConfig(facing=(0.5, 0.7)), _camera()
    for k in range(40):
        drawn = _drawn(config, k)
        exposed = for_camera(np.random.default_rng(k), drawn, config, camera)
        before, after = facing_level(drawn, camera), facing_level(exposed, camera)
        at_its_end = np.isclose(after / before, (0.6, 2.3)).any() or np.isclose(ground_level(exposed), 1.3)
        assert 0.49 < after < 0.71 or at_its_end


def test_ground_behind_people_in_the_shade_does_not_burn_out() -> None:
    config, camera = LightsConfig(facing=(0.8, 0.9), level=(1.0, 1.2), ambient=(0.1, 0.15)), _camera()
    exposed = [for_camera(np.random.default_rng(k), _drawn(config, k), config, camera) for k in range(40)]
    assert max(map(ground_level, exposed)) == pytest.approx(1.3)
    assert ground_level(
        Lights(np.array([0.0, 2.0, 0.0]), np.full(3, 0.5), np.full(3, 0.3), np.ones(3))
    ) == pytest.approx(0.8)


def test_the_defaults_change_nothing() -> None:
    drawn = _drawn(LightsConfig(), 3)
    kept = for_camera(np.random.default_rng(0), drawn, LightsConfig(), _camera())
    for name in ("direction", "colour", "sky", "floor"):
        np.testing.assert_allclose(getattr(kept, name), getattr(drawn, name))


def test_a_white_plate_that_faces_lamp_and_camera() -> None:
    lights = Lights(np.array([0.0, 0.0, 2.0]), np.full(3, 0.5), np.full(3, 0.3), np.full(3, 0.1))
    assert facing_level(lights, _camera((0.0, 1.0, 3.0))) == pytest.approx(0.7)
    assert facing_level(lights, _camera((0.0, 1.0, -3.0))) == pytest.approx(0.2)
    assert wall_light(lights) == pytest.approx((0.2 + 0.175) / 0.62)
