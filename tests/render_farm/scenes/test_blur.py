"""Depth of field and moving parts: blurred where they should be, sharp and untouched elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.models.geometry import camera_matrix
from sim2pose.models.joints import joint_set
from sim2pose.render_farm.renderers.figure import Figure
from sim2pose.render_farm.scenes.blur import (
    LensParams,
    apply_blur,
    circle_of_confusion,
    depth_of_field,
    moving_parts,
    sample_blur,
    smear,
)
from sim2pose.render_farm.scenes.config import LensConfig
from sim2pose.render_farm.scenes.scene import Camera, Rendered


@pytest.fixture
def stripes() -> np.ndarray:
    """One pixel black, one pixel white: what any blur turns grey."""
    return np.broadcast_to(255 * (np.arange(96) % 2)[None, :, None], (96, 96, 3)).astype(np.uint8)


def _contrast(picture: np.ndarray) -> float:
    return float(picture.astype(float).std())


def test_circle_of_confusion_by_the_thin_lens() -> None:
    """f = 50 mm at f/5, focused at 2 m, on 36 mm film of 720 pixels: 0.125 mm = 2.5 pixels at infinity (f << s)."""
    depth = np.array([[2.0, np.inf, 4.0, 1.0]], np.float32)
    pupil = 50e-3 / 36e-3 * 720 * 10e-3  # focal length in pixels times the pupil in metres
    np.testing.assert_allclose(circle_of_confusion(depth, pupil, 2.0), [[0, 5.0, 2.5, -5.0]], rtol=1e-5)


def test_only_what_is_out_of_focus_blurs_and_sharp_things_do_not_bleed(stripes: np.ndarray) -> None:
    depth = np.full((96, 96), 50.0, np.float32)
    depth[30:66, 30:66] = 1.0
    picture = stripes.copy()
    picture[30:66, 30:66] = (255, 0, 0)
    soft = depth_of_field(picture, depth, 8.0, 1.0)
    np.testing.assert_array_equal(soft[30:66, 30:66], picture[30:66, 30:66])
    assert _contrast(soft[:20]) < 0.2 * _contrast(picture[:20])
    near_edge = soft[27:30, 35:60].astype(int)
    assert np.abs(near_edge[..., 0] - near_edge[..., 1]).max() <= 3, "no red halo in the blurred background"


def test_a_near_thing_out_of_focus_covers_softly() -> None:
    depth = np.full((96, 96), 2.0, np.float32)
    depth[:, 44:52] = 0.5
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[:, 44:52] = 240
    profile = depth_of_field(picture, depth, 6.0, 2.0)[48, :, 0].astype(int)
    assert 0 < profile[42] < profile[45] and profile[47] > 100 and profile[30] == 0
    assert abs(int(profile.sum()) - 240 * 8) < 60, "light is neither made nor lost"


@pytest.mark.parametrize("pupil", [1.5, 4.0, 12.0])
def test_a_plain_floor_that_leads_through_the_focus_stays_plain(pupil: float) -> None:
    depth = np.broadcast_to(np.linspace(0.6, 4.0, 96)[:, None], (96, 96)).astype(np.float32)
    depth = np.where(np.arange(96) > 70, np.float32(np.inf), depth)
    plain = np.full((96, 96, 3), (180, 120, 60), np.uint8)
    assert np.abs(depth_of_field(plain, depth, pupil, 1.3).astype(int) - plain).max() <= 3
    mask = np.zeros((96, 96), bool)
    mask[20:50, 30:60] = True
    for length in (3.0, 14.0):
        assert np.abs(smear(plain, mask, length, 0.7).astype(int) - plain).max() <= 3


def test_all_in_focus_returns_the_picture_itself(stripes: np.ndarray) -> None:
    assert depth_of_field(stripes, np.full((96, 96), 1.0, np.float32), 9.0, 1.0) is stripes
    assert depth_of_field(stripes, np.full((96, 96), 1.1, np.float32), 5.0, 1.0) is stripes


def test_a_smear_moves_only_what_is_masked() -> None:
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[..., 1] = 90
    picture[40:56, 40:44] = (250, 250, 250)
    mask = picture[..., 0] > 0
    moved = smear(picture, mask, 12.0, 0.0)
    assert 30 < moved[48, 37, 0] < 200 and 30 < moved[48, 46, 0] < 200 and moved[48, 42, 0] < 200
    np.testing.assert_array_equal(moved[:30], picture[:30])
    assert moved[..., 1].min() >= 88, "what is bared shows the background, not a hole"
    assert smear(picture, mask, 0.5, 0.0) is picture and smear(picture, mask & False, 9.0, 0.0) is picture


@pytest.mark.parametrize("skeleton", ["smpl24", "smplx55", "mano16"])
def test_a_moving_limb_takes_along_what_hangs_on_it(skeleton: str) -> None:
    names = joint_set(skeleton).joints
    for pick in np.linspace(0, 0.99, 12):
        moved = {names[k] for k in np.flatnonzero(moving_parts(skeleton, pick)[1 : 1 + len(names)])}
        assert moved
        if "left_elbow" in moved:
            assert "left_wrist" in moved
        if skeleton != "mano16":
            assert "pelvis" not in moved
    assert moving_parts(skeleton, 1.0)[1 : 1 + len(names)].all() and not moving_parts(skeleton, 1.0)[255]


def test_sampling_switches_and_repeats() -> None:
    person = Figure(6, 8).person(np.zeros(20), np.zeros((24, 3)), np.array([0, 0, 2.0]))
    camera = Camera(camera_matrix(100, 64, 64), np.eye(3), np.zeros(3), 64, 64)
    off = LensConfig(shallow=0, moving=0)
    assert sample_blur(np.random.default_rng(0), off, camera, [person]) is None
    assert sample_blur(np.random.default_rng(0), LensConfig(shallow=1), camera, []) is None
    lens = sample_blur(np.random.default_rng(1), LensConfig(shallow=1, moving=1, aperture=(5, 5)), camera, [person])
    again = sample_blur(np.random.default_rng(1), LensConfig(shallow=1, moving=1, aperture=(5, 5)), camera, [person])
    assert lens is not None and again is not None and lens.focus == again.focus == pytest.approx(2.0, rel=0.2)
    assert lens.aperture == pytest.approx(5e-3) and lens.instance == 1


def test_labels_stay_those_of_the_sharp_picture(stripes: np.ndarray) -> None:
    depth = np.full((96, 96), np.inf, np.float32)
    parts = np.zeros((96, 96), np.uint8)
    parts[40:60, 40:60], depth[40:60, 40:60] = 5, 1.0
    rendered = Rendered(stripes, depth, parts, (parts > 0).astype(np.uint8))
    camera = Camera(camera_matrix(96, 96, 96), np.eye(3), np.zeros(3), 96, 96)
    moved = np.zeros(256, bool)
    moved[5] = True
    lens = LensParams(aperture=0.05, focus=1.0, instance=1, parts=moved, travel=20.0, angle=0.3)
    before = [array.copy() for array in (rendered.rgb, rendered.depth, rendered.parts, rendered.instances)]
    soft = apply_blur(rendered, camera, lens)
    assert not np.array_equal(soft, stripes)
    after = (rendered.rgb, rendered.depth, rendered.parts, rendered.instances)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
