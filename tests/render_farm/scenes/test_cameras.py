"""Cameras see what they should, from where they should, as large as they should."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.config import UserError, validate
from sim2pose.models.geometry import project, world_to_camera
from sim2pose.render_farm.scenes.cameras import Cut, aim, outward, sample_aimed, sample_camera
from sim2pose.render_farm.scenes.config import AimConfig, CameraConfig
from sim2pose.render_farm.scenes.scene import Camera

CORNERS = np.stack(np.meshgrid([-0.3, 0.3], [0.0, 1.7], [-0.15, 0.15]), -1).reshape(-1, 3)


def _seen(camera: Camera) -> np.ndarray:
    return project(world_to_camera(CORNERS, camera.R, camera.t), camera.K)


@pytest.mark.parametrize("size", [(256, 256), (640, 480), (120, 200)])
def test_aim_fills_the_picture_from_the_asked_direction(size: tuple[int, int]) -> None:
    width, height = size
    camera = aim(CORNERS, np.radians(20), np.radians(90), 0.0, 3.0, 0.8, (15, 90), width, height)
    uv = _seen(camera)
    extent = np.ptp(uv, axis=0) / size
    assert max(extent) == pytest.approx(0.8, abs=0.02)
    np.testing.assert_allclose(uv.min(0) + uv.max(0), np.array(size) - 1.0, atol=0.02 * max(size))
    np.testing.assert_allclose(camera.position, [0, 0.85, 0] + 3 * outward(np.radians(20), np.radians(90)), atol=1e-9)
    assert camera.position[0] > 2.5, "azimuth 90 degrees lies towards +X"


def test_distance_gives_way_to_the_lens_and_the_floor_to_nothing() -> None:
    near = aim(CORNERS, 0.0, 0.0, 0.0, 1.5, 0.9, (20, 60), 256, 256)
    assert near.K[0, 0] == pytest.approx(128 / np.tan(np.radians(30)), rel=0.02) and near.position[2] > 1.55
    low = aim(CORNERS, np.radians(-60), 0.0, 0.0, 3.0, 0.9, (20, 60), 256, 256, lowest=0.2)
    assert low.position[1] == pytest.approx(0.2)


@pytest.mark.parametrize(("side", "axis", "border"), [(0, 0, -0.5), (1, 0, 255.5), (2, 1, -0.5), (3, 1, 255.5)])
def test_a_cut_border_leaves_the_asked_share_outside(side: int, axis: int, border: float) -> None:
    camera = aim(CORNERS, 0.1, 0.3, 0.0, 4.0, 0.8, (15, 90), 256, 256, cut=Cut(side, 0.25))
    low, high = _seen(camera)[:, axis].min(), _seen(camera)[:, axis].max()
    beyond = (border - low if side % 2 == 0 else high - border) / (high - low)
    assert beyond == pytest.approx(0.25, abs=0.04)


def test_facing_turns_the_azimuth() -> None:
    config = AimConfig(azimuth=(0, 0), elevation=(0, 0), roll=0, shift=0, truncated=0)
    for facing in ([0, 0, 1.0], [1.0, 0, 0], [0.6, 0, -0.8]):
        camera = sample_aimed(np.random.default_rng(0), config, CORNERS, np.array(facing), 256, 256)
        flat = camera.position[[0, 2]]
        np.testing.assert_allclose(flat / np.linalg.norm(flat), np.array(facing)[[0, 2]], atol=1e-6)


def test_sampled_cameras_keep_the_ranges() -> None:
    config = AimConfig(truncated=0.0, shift=0.0)
    for seed in range(40):
        camera = sample_aimed(np.random.default_rng(seed), config, CORNERS, np.array([0, 0, 1.0]), 192, 256)
        field = np.degrees(2 * np.arctan(128 / camera.K[0, 0]))
        assert 20 - 1e-6 <= field <= 80 + 1e-6 and camera.position[1] >= 0.15 - 1e-9
        extent = np.ptp(_seen(camera), axis=0) / (192, 256)
        assert 0.40 < max(extent) < 1.02


def test_close_pictures_show_the_upper_body_alone() -> None:
    points, head = (
        np.random.default_rng(0).uniform((-0.1, 0.0, -0.4), (0.1, 0.1, 0.4), (4000, 3)),
        np.array([0, 0, 0.3]),
    )
    config = CameraConfig(views={"above": 1.0}, truncated=0.0, shift=0.0, close=1.0)
    for seed in range(10):
        camera, _ = sample_camera(np.random.default_rng(seed), config, points, head, 128, 128)
        uv = project(world_to_camera(points, camera.R, camera.t), camera.K)
        shown = np.all((uv > -0.5) & (uv < 127.5), axis=1)
        assert shown[points[:, 2] > 0.05].mean() > 0.97 and shown.mean() < 0.95


def test_small_bodies_roam_and_large_ones_do_not() -> None:
    def spread(fill: float, roam: float) -> float:
        config = CameraConfig(fill=(fill, fill), truncated=0.0, shift=0.1, roam=roam)
        cameras = [
            sample_camera(np.random.default_rng(k), config, CORNERS, np.array([0, 1.0, 0]), 128, 128)[0]
            for k in range(30)
        ]
        return float(np.std([(_seen(camera).min(0) + _seen(camera).max(0)) / 2 for camera in cameras], axis=0).mean())

    assert spread(0.4, 1.0) > 1.35 * spread(0.4, 0.0) and spread(0.95, 1.0) < 0.5 * spread(0.95, 0.0)


def test_infants_cameras_are_those_of_always() -> None:
    """Golden numbers from before the general camera: frames of earlier jobs come back."""
    head = np.array([0.1, 0.5, 0.2])
    drawn = [sample_camera(np.random.default_rng(k), CameraConfig(), CORNERS, head, 256, 192)[0] for k in range(24)]
    numbers = np.array([[*c.K.ravel(), *c.R.ravel(), *c.t] for c in drawn])
    golden = [[185.120223, -0.969036939, -0.100720716], [345.287786, -0.910172157, 0.00723317305]]
    np.testing.assert_allclose(numbers[:2][:, [0, 9, 10]], golden, rtol=1e-6)
    assert np.abs(numbers).sum() == pytest.approx(22934.988859374273, rel=1e-7)


def test_impossible_ranges_name_their_key() -> None:
    for key, pair in {"fill": (0.9, 0.4), "elevation": (0, 120), "cut": (0.2, 1.5), "distance": (-1, 2)}.items():
        with pytest.raises(UserError, match=key):
            validate(AimConfig, {key: pair})
