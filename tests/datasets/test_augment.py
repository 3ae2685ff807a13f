"""Augmentation: identity where it should be, true probabilities, mirrored labels, determinism."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.augment import (
    LEVELS,
    Geometry,
    augmentation,
    half_body_box,
    lower_body,
    sample_affine,
)
from sim2pose.datasets.crops import apply_affine, crop_affine
from sim2pose.datasets.photometry import Photometry, colour_matrix, photometric
from sim2pose.models.joints import joint_set

COCO = joint_set("coco17")
BOX = np.array([20.0, 30.0, 60.0, 120.0], np.float32)


def _standing() -> np.ndarray:
    """A person whose upper joints lie above y = 90 and lower ones below."""
    keypoints = np.zeros((17, 3), np.float32)
    lower = lower_body(COCO)
    rng = np.random.default_rng(1)
    keypoints[:, 0] = rng.uniform(25, 75, 17)
    keypoints[~lower, 1] = rng.uniform(35, 85, (~lower).sum())
    keypoints[lower, 1] = rng.uniform(95, 145, lower.sum())
    keypoints[:, 2] = 2
    return keypoints


def test_level_none_is_the_plain_crop() -> None:
    keypoints = _standing()
    affine, flip = sample_affine(
        np.random.default_rng(0), BOX, keypoints, keypoints[:, 2] > 0, COCO, (192, 256), LEVELS["none"].geometry
    )
    assert not flip
    np.testing.assert_array_equal(affine, crop_affine(BOX, (192, 256)))


def test_unknown_level_names_the_nearest() -> None:
    assert augmentation("strong") is LEVELS["strong"]
    with pytest.raises(UserError, match="plain"):
        augmentation("plian")


def _draw(config: Geometry, count: int = 4000, visible: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Zoom factors, rotations and centres' preimages of many draws: (N, 3) scale, degrees, centre y; (N,) flips."""
    keypoints = _standing()
    shown = keypoints[:, 2] > 0 if visible is None else visible
    rows, flips = [], []
    for i in range(count):
        affine, flip = sample_affine(np.random.default_rng(i), BOX, keypoints, shown, COCO, (192, 256), config)
        zoom = np.sqrt(abs(np.linalg.det(affine[:, :2])))
        matrix = affine[:, :2] * [[-1 if flip else 1], [1]]
        centre = np.linalg.solve(affine[:, :2].astype(float), np.array([95.5, 127.5]) - affine[:, 2])
        rows.append([1 / zoom, np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])), centre[1]])
        flips.append(flip)
    found = np.array(rows)
    found[:, 0] *= np.sqrt(np.linalg.det(crop_affine(BOX, (192, 256))[:, :2]))
    return found, np.array(flips)


def test_geometry_follows_its_ranges() -> None:
    found, flips = _draw(Geometry(scale=0.35, rotation_deg=45, rotation_prob=0.6, flip_prob=0.5))
    scale, rotation = found[:, 0], found[:, 1]
    assert scale.min() >= 0.65 - 1e-4
    assert scale.max() <= 1.35 + 1e-4
    assert scale.std() > 0.15
    assert abs((np.abs(rotation) > 1e-3).mean() - 0.6) < 0.03
    assert np.abs(rotation).max() <= 90 + 1e-3
    assert 38 < rotation[np.abs(rotation) > 1e-3].std() < 46
    assert abs(flips.mean() - 0.5) < 0.03


def test_half_body_needs_more_than_eight_joints_and_never_looks_at_hidden_labels() -> None:
    eight = np.arange(17) < 8
    for visible in (eight, np.zeros(17, bool)):
        found, _ = _draw(Geometry(half_body_prob=1.0), 50, visible)
        np.testing.assert_allclose(found[:, 2], BOX[1] + (BOX[3] - 1) / 2, atol=1e-2)


def test_half_body_box_holds_its_joints() -> None:
    keypoints = _standing()
    upper = ~lower_body(COCO)
    box = half_body_box(keypoints, upper)
    assert box is not None
    points = apply_affine(keypoints[upper, :2], crop_affine(box, (192, 256)))
    assert (points > 0).all()
    assert (points < [191, 255]).all()
    assert half_body_box(keypoints, np.arange(17) < 2) is None


def _image() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.repeat(np.repeat(rng.integers(30, 220, (32, 24, 3), dtype=np.uint8), 8, 0), 8, 1)


def test_photometry_is_a_pure_function_of_its_generator() -> None:
    image, config = _image(), LEVELS["strong"].photometry
    assert config is not None
    before = image.copy()
    for seed in range(30):
        one = photometric(image, np.random.default_rng(seed), config)
        photometric(image, np.random.default_rng(999), config)  # something in between
        two = photometric(image, np.random.default_rng(seed), config)
        np.testing.assert_array_equal(one, two)
        assert one.shape == image.shape
        assert one.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_strong_photometry_changes_much_but_keeps_the_picture() -> None:
    image, config = _image(), LEVELS["strong"].photometry
    assert config is not None
    change, correlation = [], []
    for seed in range(200):
        out = photometric(image, np.random.default_rng(seed), config)
        change.append(np.abs(out.astype(int) - image).mean())
        correlation.append(np.corrcoef(out.mean(axis=2).ravel(), image.mean(axis=2).ravel())[0, 1])
    assert np.median(change) > 15
    assert np.median(correlation) > 0.7
    assert np.mean(np.array(correlation) < 0.2) < 0.05


@pytest.mark.parametrize("name", [f.name.removesuffix("_prob") for f in fields(Photometry) if f.name.endswith("_prob")])
def test_each_change_does_something_alone_and_nothing_at_probability_zero(name: str) -> None:
    strong = LEVELS["strong"].photometry
    assert strong is not None
    image = _image()
    off = {f.name: 0.0 for f in fields(Photometry) if f.name.endswith("_prob")}
    quiet = photometric(image, np.random.default_rng(0), replace(strong, **off))
    np.testing.assert_array_equal(quiet, image)
    on = {f"{name}_prob": 1.0} | ({"colour_prob": 1.0} if name == "grey" else {})
    changed = photometric(image, np.random.default_rng(0), replace(strong, **(off | on)))
    assert changed.shape == image.shape
    assert (changed != image).any()


def test_grey_is_grey_and_hue_keeps_grey_pictures() -> None:
    config = LEVELS["strong"].photometry
    assert config is not None
    grey = colour_matrix(np.random.default_rng(3), config, (128, 128, 128), grey=True)
    out = grey[:, :3] @ np.array([10.0, 200.0, 60.0]) + grey[:, 3]
    np.testing.assert_allclose(out, out[0], atol=1e-3)
    hue_only = Photometry(hue_deg=60)
    turn = colour_matrix(np.random.default_rng(3), hue_only, (0, 0, 0))
    np.testing.assert_allclose(turn[:, :3] @ np.full(3, 77.0), 77, atol=1e-3)
    assert np.abs(turn[:, :3] @ np.array([200.0, 20, 20]) - [200, 20, 20]).max() > 5


def test_lower_body_by_name() -> None:
    assert [COCO.joints[i] for i in np.flatnonzero(lower_body(COCO))] == [
        *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")
    ]
    assert lower_body(joint_set("smpl24")).sum() == 9
