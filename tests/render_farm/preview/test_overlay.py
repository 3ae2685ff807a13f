"""Overlays lie where the camera sees the body; crops move picture, camera and points together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.render_farm.preview import FitItem, fit_sheet, overlay
from sim2pose.render_farm.preview.fits import crop_to_person
from sim2pose.render_farm.preview.overlay import FLIP, draw_residuals
from sim2pose.render_farm.preview.standing import at_ease, posed

K = np.array([[420.0, 0, 170.0], [0, 420.0, 100.0], [0, 0, 1]])


@pytest.fixture(scope="module")
def infant() -> Body:
    return load_body("open-infant")


@pytest.fixture(scope="module")
def fitted(infant: Body) -> np.ndarray:
    """A standing infant 2.4 m before the camera, upright in the picture and facing it."""
    bare = posed(infant, np.zeros(infant.num_betas, np.float32), at_ease(infant))
    return bare * np.float32(FLIP) + np.float32([0.12, 0.1, 2.4])


def _project(points: np.ndarray) -> np.ndarray:
    flat = points @ K.T
    return flat[:, :2] / flat[:, 2:]


def test_the_body_lies_where_the_camera_sees_it(infant: Body, fitted: np.ndarray) -> None:
    photo = np.full((220, 320, 3), 90, np.uint8)
    drawn = overlay(photo, infant, fitted, K, opacity=1.0)
    rows, columns = (np.abs(drawn.astype(int) - 90) > 8).any(2).nonzero()
    pixels = _project(fitted)
    clothes = 3  # pixels
    assert abs(columns.min() - pixels[:, 0].min()) < clothes and abs(columns.max() - pixels[:, 0].max()) < clothes
    assert abs(rows.min() - pixels[:, 1].min()) < clothes and abs(rows.max() - pixels[:, 1].max()) < clothes
    half = overlay(photo, infant, fitted, K, opacity=0.5).astype(float)
    np.testing.assert_allclose(half, (photo.astype(float) + drawn) / 2, atol=1.5)
    far = overlay(photo, infant, np.stack([fitted, fitted + np.float32([-0.5, 0, 0.5])]), K)
    assert (np.abs(far.astype(int) - 90) > 8).any(2).sum() > 1.3 * (np.abs(drawn.astype(int) - 90) > 8).any(2).sum()


def test_residuals_mark_targets_and_projections() -> None:
    photo = np.full((200, 200, 3), 128, np.uint8)
    target, found = np.full((17, 3), 100.0), np.full((17, 2), 100.0)
    target[:, 2] = 0
    target[9], found[9] = (50, 60, 0.9), (90, 60)
    target[10] = (np.nan, 40, 1)
    drawn = draw_residuals(photo, target, found, "coco17")
    changed = (drawn != photo).any(2)
    rows, columns = changed.nonzero()
    assert changed.any() and rows.min() > 45 and rows.max() < 75 and columns.min() > 35 and columns.max() < 105
    red = drawn[60, 70].astype(int)
    assert red[0] > 150 and red[0] > red[1] + 60, "joined by a red line"
    assert (photo == 128).all(), "the picture given stays as it is"
    with pytest.raises(UserError, match="5 keypoints do not fit the joint set coco17 of 17"):
        draw_residuals(photo, target[:5], None, "coco17")


def test_crops_move_picture_camera_and_points_together(fitted: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 60, (220, 320, 3), np.uint8)
    marks = np.array([[140.0, 90.0], [200.0, 130.0], [230.0, 40.0]])
    for x, y in marks.astype(int):
        photo[y - 1 : y + 2, x - 1 : x + 2] = 255
    keypoints = np.column_stack([marks, np.ones(3)])
    item = FitItem("a", photo, fitted, K, keypoints, marks)
    for side in (96, 256, 600):
        cut, camera, moved, projected = crop_to_person(item, side)
        assert cut.shape == (side, side, 3) and moved is not None and projected is not None
        np.testing.assert_allclose(moved[:, :2], projected)
        flat = fitted @ camera.T
        inside = flat[:, :2] / flat[:, 2:]
        assert inside.min() > 0 and inside.max() < side - 1, "all of the person"
        scale = camera[0, 0] / K[0, 0]
        np.testing.assert_allclose(inside, _project(fitted) * scale + (projected[0] - marks[0] * scale), atol=1e-3)
        for x, y in projected:
            window = cut[round(y) - 4 : round(y) + 5, round(x) - 4 : round(x) + 5].astype(float).mean(2)
            weight = np.clip(window - 100, 0, None)
            grid = np.mgrid[-4:5, -4:5]
            place = (grid * weight).sum((1, 2)) / weight.sum() + (round(y), round(x))
            if scale < 2.5:  # the mark fits into the window
                np.testing.assert_allclose(place, (y, x), atol=0.5)


def test_sheet_of_fits(tmp_path: Path, infant: Body, fitted: np.ndarray) -> None:
    photo = np.full((220, 320, 3), 90, np.uint8)
    points = np.column_stack([_project(fitted[:17]), np.ones(17)])
    items = [FitItem("one", photo, fitted, K, points, points[:, :2], caption="2.1 px"), FitItem("two", None, fitted, K)]
    sheet = fit_sheet(infant, items, tmp_path / "fits.png", tile=96)
    assert sheet.shape[1] == 2 * (3 * 96 + 4) + 10 and (tmp_path / "fits.png").is_file()
    with pytest.raises(UserError, match="needs a person"):
        fit_sheet(infant, [])
    with pytest.raises(UserError, match="person two: the body does not lie in front"):
        fit_sheet(infant, [FitItem("two", photo, -fitted, K)])
    with pytest.raises(UserError, match="uint8 RGB"):
        overlay(photo.astype(float), infant, fitted, K)
