"""Previews: nothing is cropped, nobody is bare, pictures agree with the camera and between renderers."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.render_farm.preview import VIEWS, draw_bodies, dress_plainly, frame_points
from sim2pose.render_farm.preview.draw import PAPER
from sim2pose.render_farm.preview.lineup import betas_at_age, lineup
from sim2pose.render_farm.preview.standing import at_ease, posed, turned
from sim2pose.render_farm.preview.views import finer, moved, scaled_world
from sim2pose.render_farm.scenes.scene import Camera


@pytest.fixture(scope="module")
def infant() -> Body:
    return load_body("open-infant")


@pytest.fixture(scope="module")
def standing(infant: Body) -> np.ndarray:
    return posed(infant, np.zeros(infant.num_betas, np.float32), at_ease(infant))


def _project(camera: Camera, points: np.ndarray) -> np.ndarray:
    seen = points @ np.asarray(camera.R).T + camera.t
    assert (seen[:, 2] > 0).all()
    flat = seen @ camera.K.T
    return flat[:, :2] / flat[:, 2:]


@pytest.mark.parametrize("view", [*VIEWS, (123.0, -40.0)])
@pytest.mark.parametrize("size", [(300, 200), (120, 400)])
def test_framing_is_tight_and_crops_nothing(view: str, size: tuple[int, int]) -> None:
    points = np.random.default_rng(1).normal(size=(500, 3)) * (0.3, 0.9, 0.5) + (4, 1, -7)
    camera = frame_points(points, view, *size, margin=0.1)
    pixels, free = _project(camera, points), 0.1 * min(size)
    low, high = pixels.min(0) + 0.5, np.array(size) - 0.5 - pixels.max(0)
    assert (low > free - 1e-6).all() and (high > free - 1e-6).all()
    assert min(np.abs(low - free).min(), np.abs(high - free).min()) < 1e-6, "no nearer camera sees all"
    np.testing.assert_allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.R) > 0.99


def test_cameras_may_move_grow_finer_and_change_units() -> None:
    points = np.random.default_rng(2).normal(size=(40, 3))
    camera = frame_points(points, "front", 64, 48)
    pixels = _project(camera, points)
    np.testing.assert_allclose(_project(moved(camera, np.array([1.0, 2, 3])), points + np.array([1, 2, 3])), pixels)
    np.testing.assert_allclose(_project(scaled_world(camera, 0.2), 0.2 * points), pixels)
    np.testing.assert_allclose(_project(finer(camera, 3), points), 3 * pixels + 1)


def test_pictures_show_a_dressed_body_on_paper(infant: Body, standing: np.ndarray) -> None:
    sequence = np.stack([standing, standing + np.float32([0.4, 0, 0])])
    images = draw_bodies(infant, sequence, (160, 200), "front", ground=None)
    assert images.shape == (2, 200, 160, 3) and images.dtype == np.uint8
    for image in images:
        shown = (np.abs(image.astype(int) - PAPER) > 2).any(2)
        assert 0.05 < shown.mean() < 0.5
        assert not (shown[[0, -1]].any() or shown[:, [0, -1]].any()), "cropped"
    first, second = ((np.abs(image.astype(int) - PAPER) > 2).any(2).nonzero()[1].mean() for image in images)
    assert second > first + 10, "one camera for all: who steps to the left of their own is seen to the right"
    followed = draw_bodies(infant, sequence, (160, 200), "front", ground=None, follow=sequence[:, 0])
    assert np.abs(followed[0].astype(int) - followed[1]).mean() < 1, "the camera goes along"


def test_renderers_agree(infant: Body, standing: np.ndarray) -> None:
    drawn = [
        draw_bodies(infant, standing, (120, 150), renderer_name=name)[0].astype(int) for name in ("auto", "raycast")
    ]
    assert np.abs(drawn[0] - drawn[1]).mean() < 1.5


def test_left_is_left(infant: Body, standing: np.ndarray) -> None:
    """Seen from the front, who raises the left hand raises it on the right of the picture."""
    pose = at_ease(infant)
    pose[16] = (0, 0, 1.2)
    raised = posed(infant, np.zeros(infant.num_betas, np.float32), pose)
    images = draw_bodies(infant, np.stack([standing, raised]), (160, 200), "front", ground=None)
    upper = (np.abs(images[1, :70].astype(int) - PAPER) > 4).any(2)
    assert upper[:, 110:].sum() > 20 > upper[:, :50].sum()
    np.testing.assert_allclose(turned(np.array([0.0, 2, 1]), 90.0), [1, 2, 0], atol=1e-7)


def test_bad_vertices_and_views_are_refused(infant: Body, standing: np.ndarray) -> None:
    with pytest.raises(UserError, match="need vertices"):
        draw_bodies(infant, standing[:-1])
    broken = np.stack([standing, standing])
    broken[1, 5, 2] = np.nan
    with pytest.raises(UserError, match="body 1 are not finite"):
        draw_bodies(infant, broken)
    with pytest.raises(UserError, match="unknown view 'frnt': did you mean 'front'"):
        draw_bodies(infant, standing, view="frnt")
    with pytest.raises(UserError, match="1 cameras for 2 bodies"):
        draw_bodies(infant, np.stack([standing, standing]), view=[frame_points(standing, "front", 32, 32)])


def test_the_height_chart_is_true(infant: Body) -> None:
    """The soles stand on the chart's base line, and the height over its ten-centimetre lines is the body's."""
    points = posed(infant, betas_at_age(infant, 12), at_ease(infant))
    dress = dress_plainly(infant, seed=13, size=256)
    height = float(np.ptp(points[:, 1]))
    picture = lineup([(dress, points)], ["twelve"], 400, mark=0.10).astype(int)
    column = picture[:, -6]  # right of the person: lines alone
    dark = np.flatnonzero(column.sum(1) < sum(PAPER) - 15)
    rows = np.array([group.mean() for group in np.split(dark, np.flatnonzero(np.diff(dark) > 3) + 1)])
    metre = np.diff(rows).mean() / 0.10
    np.testing.assert_allclose(np.diff(rows), 0.10 * metre, atol=1)
    person = (np.abs(picture - PAPER) > 60).any(2)[: round(rows[-1]) - 2, 80:-20].any(1).nonzero()[0]
    assert abs((rows[-1] - person[0]) / metre - height) < 0.02
    months = infant.population_ages
    assert months is not None and 0.70 < height < 0.80, "a child of a year measures 74 to 76 cm (WHO)"
