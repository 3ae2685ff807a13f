"""The sensor: neutral leaves the picture, each effect does what it says, all of it repeatable."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sim2pose.config import UserError, validate
from sim2pose.render_farm.scenes.config import SensorConfig
from sim2pose.render_farm.scenes.lights import night_lights
from sim2pose.render_farm.scenes.scene import Camera
from sim2pose.render_farm.scenes.sensor import SensorParams, apply_sensor, develop, sample_sensor


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    y, x = np.mgrid[0:96, 0:128]
    return np.stack([60 + x, 90 + y // 2, 120 + (x + y) // 4], -1).astype(np.uint8)


def test_neutral_leaves_the_picture(picture: np.ndarray) -> None:
    assert np.abs(develop(picture, SensorParams()).astype(int) - picture).max() <= 8, (
        "only the shoulder near white acts"
    )
    assert np.abs(develop(picture // 2, SensorParams()).astype(int) - picture // 2).max() <= 1
    decoded = np.asarray(Image.open(io.BytesIO(apply_sensor(picture, SensorParams(jpeg=98)))))
    assert decoded.shape == picture.shape and np.abs(decoded.astype(int) - picture).mean() < 4


def test_same_parameters_same_bytes(picture: np.ndarray) -> None:
    params = sample_sensor(np.random.default_rng(5), SensorConfig(severity=2.0))
    assert apply_sensor(picture, params) == apply_sensor(picture.copy(), params)
    assert apply_sensor(picture, params) != apply_sensor(
        picture, replace(params, noise_offset=params.noise_offset + 999)
    )


def test_each_effect(picture: np.ndarray) -> None:
    def mean(**change: object) -> np.ndarray:
        return develop(picture, SensorParams(**change)).astype(float)  # type: ignore[arg-type]

    plain = mean()
    assert mean(exposure=-1.0).mean() < plain.mean() - 25
    assert (mean(gains=(1.3, 1, 0.7)).mean((0, 1)) - plain.mean((0, 1)))[[0, 2]] @ (1, -1) > 20
    assert mean(contrast=0.5).std() < 0.65 * plain.std()
    assert mean(haze=0.3).min() > plain.min() + 20
    grey = mean(saturation=0.0)
    assert np.abs(grey[..., 0] - grey[..., 2]).max() <= 2
    dark = mean(vignetting=0.5)
    assert dark[0, 0].sum() < 0.85 * plain[0, 0].sum() and np.abs(dark[48, 64] - plain[48, 64]).max() < 4


def test_noise_has_the_asked_for_strength() -> None:
    flat = np.full((256, 256, 3), 128, np.uint8)
    noisy = develop(flat, SensorParams(read=0.02, shot=0.03, noise_offset=1_000_000)).astype(float)
    clean = develop(flat, SensorParams()).astype(float)
    assert (noisy - clean).std() == pytest.approx(255 * np.sqrt(0.02**2 + 0.03**2 * 0.5), rel=0.06)
    assert abs((noisy - clean).mean()) < 0.3
    black = develop(np.zeros((256, 256, 3), np.uint8), SensorParams(read=0.0, shot=0.03))
    assert black.max() == 0, "shot noise needs light"


def test_blur_keeps_the_light_and_spreads_along_its_direction() -> None:
    point = np.zeros((256, 256, 3), np.uint8)
    point[128, 128] = 255
    blurred = develop(point, SensorParams(motion=9.0, motion_angle=0.0)).astype(float)[..., 0]
    assert np.count_nonzero(blurred[128]) >= 7 and np.count_nonzero(blurred[:, 128]) <= 3
    soft = develop(point, SensorParams(defocus=1.5)).astype(float)[..., 0]
    assert soft[128, 126] == soft[126, 128] > 0


def test_severity_scales_the_departure(picture: np.ndarray) -> None:
    def departure(severity: float) -> float:
        picks = [sample_sensor(np.random.default_rng(k), SensorConfig(severity=severity)) for k in range(24)]
        return float(np.mean([np.abs(develop(picture, p).astype(float) - picture).mean() for p in picks]))

    none, one, three = departure(0.0), departure(1.0), departure(3.0)
    assert none < 1.5 < one < three
    params = sample_sensor(np.random.default_rng(0), SensorConfig(severity=0.0))
    assert params.jpeg == 100 and params.contrast == 1 and params.shot == 0 and params.gains == (1, 1, 1)


def test_refuses_other_pictures() -> None:
    with pytest.raises(UserError, match="uint8"):
        apply_sensor(np.zeros((8, 8), np.uint8), SensorParams())


def test_a_night_camera_sees_grey_by_its_own_lamp(picture: np.ndarray) -> None:
    drawn = [sample_sensor(np.random.default_rng(k), SensorConfig(), infrared=True) for k in range(8)]
    for params in drawn:
        dark = develop(picture, replace(params, hot=5)).astype(int)
        assert np.abs(dark[..., 0] - dark[..., 2]).max() == 0 and params.flicker == 0
        assert params.vignetting >= 0.35 and params.read >= 0.008
    day = sample_sensor(np.random.default_rng(0), SensorConfig())
    assert day.infrared is None
    camera = Camera(np.eye(3), np.eye(3), np.array([0, -1.0, 2.0]), 8, 8)
    lights = night_lights(np.random.default_rng(0), camera, np.zeros(3))
    towards = camera.position / np.linalg.norm(camera.position)
    assert lights.direction @ towards > 0.9 and lights.direction[1] > 0 and lights.colour[0] > 3 * lights.sky[0]


def test_flicker_darkens_rows_in_bands(picture: np.ndarray) -> None:
    flat = np.full_like(picture, 128)
    bands = develop(flat, SensorParams(flicker=0.4, flicker_bands=3.0)).astype(int)
    assert np.ptp(bands, axis=1).max() == 0, "a row is read at once"
    rows = bands[:, 0, 0] - bands[:, 0, 0].mean()
    assert np.ptp(rows) > 15 and np.count_nonzero(np.diff(np.sign(rows))) in (5, 6)


def test_hot_pixels_are_few_bright_and_repeatable(picture: np.ndarray) -> None:
    flat = np.full_like(picture, 20)
    params = SensorParams(hot=6, noise_offset=77)
    found = develop(flat, params)
    changed = (found != develop(flat, SensorParams())).any(2)
    assert 6 <= changed.sum() <= 12 and found.max() > 80
    np.testing.assert_array_equal(found, develop(flat, params))


def test_switches_are_shares() -> None:
    always = SensorConfig(flicker_share=1, hot_share=1, hot=(3, 3), flicker=(0.2, 0.2))
    never = SensorConfig(flicker_share=0, hot_share=0)
    on, off = (sample_sensor(np.random.default_rng(3), config) for config in (always, never))
    assert (on.flicker, on.hot, off.flicker, off.hot) == (0.2, 3, 0.0, 0)
    assert on == replace(off, flicker=on.flicker, hot=3), "switching one item on moves no other"


@pytest.mark.parametrize(("key", "value"), [("hot", (4, 1)), ("flicker", (0.4, 0.1)), ("jpeg", (90, 40))])
def test_impossible_ranges_name_their_key(key: str, value: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=key):
        validate(SensorConfig, {key: value})
