"""Heatmap coding: targets point by point, the round trip, DARK against a plain reference, flips."""

import cv2
import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.joints import joint_set
from sim2pose.models.keypoints.heatmaps import decode, encode, flip_heatmaps


def test_encode_is_a_gaussian_at_the_unquantised_centre():
    points = torch.tensor([[[40.3, 21.7], [10.0, 5.0]]])
    maps = encode(points, torch.tensor([[1.0, 0.0]]), (96, 64), (24, 16), sigma=1.5)
    assert maps.shape == (1, 2, 16, 24)
    cx, cy = 40.3 * 23 / 95, 21.7 * 15 / 63
    x, y = np.meshgrid(np.arange(24), np.arange(16))
    np.testing.assert_allclose(maps[0, 0], np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.5**2)), atol=1e-6)
    assert not maps[0, 1].any()


def test_unlabelled_keypoints_may_be_nan():
    points = torch.tensor([[[float("nan"), 3.0]]])
    assert not encode(points, torch.zeros(1, 1), (96, 96), (24, 24), 1.5).any()


@pytest.mark.parametrize(
    ("input_wh", "heatmap_wh", "sigma"),
    [((288, 384), (72, 96), 3.0), ((192, 256), (48, 64), 2.0), ((96, 96), (24, 24), 1.5)],
)
def test_round_trip_error_of_interior_points(input_wh, heatmap_wh, sigma):
    rng = np.random.default_rng(0)
    margin = 8  # heatmap cells: clear of the blur (5) and of the Gaussian's tail
    low, high = np.array([margin, margin]), np.array(heatmap_wh) - 1 - margin
    cells = rng.uniform(low, high, (50, 17, 2))
    scale = torch.tensor([(i - 1) / (h - 1) for i, h in zip(input_wh, heatmap_wh, strict=True)])
    points = torch.from_numpy(cells).float() * scale
    maps = encode(points, torch.ones(50, 17), input_wh, heatmap_wh, sigma)
    found, scores = decode(maps, input_wh)
    error = ((found - points) / scale).norm(dim=-1)
    assert error.max() < 0.02
    assert 0.7 < scores.min() <= scores.max() <= 1
    coarse, _ = decode(maps, input_wh, "argmax")
    assert 0.3 < ((coarse - points) / scale).norm(dim=-1).mean() < 0.5  # what DARK gains


def _dark_reference(heatmap, kernel=11):
    """One heatmap at a time, in float64, by OpenCV's blur on a zero-padded copy; (x, y) in heatmap cells."""
    h, w = heatmap.shape
    pad = kernel // 2
    padded = np.zeros((h + 2 * pad, w + 2 * pad))
    padded[pad:-pad, pad:-pad] = heatmap
    blurred = cv2.GaussianBlur(padded, (kernel, kernel), 0)[pad:-pad, pad:-pad]
    log = np.log(np.maximum(blurred * heatmap.max() / blurred.max(), 1e-10))
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    if not (1 < x < w - 2 and 1 < y < h - 2):
        return np.array([x, y], float)
    gradient = 0.5 * np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]])
    xx = 0.25 * (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2])
    yy = 0.25 * (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x])
    xy = 0.25 * (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1])
    return np.array([x, y]) - np.linalg.solve(np.array([[xx, xy], [xy, yy]]), gradient)


def test_dark_equals_a_plain_reference_on_noisy_maps():
    rng = np.random.default_rng(1)
    points = torch.from_numpy(rng.uniform(0, 1, (8, 17, 2)) * (95, 63)).float()
    maps = encode(points, torch.ones(8, 17), (96, 64), (48, 32), 2.0)
    maps = maps * torch.from_numpy(rng.uniform(0.1, 1, (8, 17, 1, 1))).float()
    maps = maps + torch.from_numpy(rng.normal(0, 0.02, maps.shape)).float()
    found, scores = decode(maps, (96, 64))
    expected = np.stack([_dark_reference(m.double().numpy()) for m in maps.flatten(0, 1)]).reshape(8, 17, 2)
    np.testing.assert_allclose(found * torch.tensor([47 / 95, 31 / 63]), expected, atol=2e-3)
    assert torch.equal(scores, maps.amax((-2, -1)))


def test_peaks_at_the_border_and_empty_maps():
    maps = torch.zeros(1, 3, 16, 24)
    maps[0, 0, 15, 23] = 1.0
    maps[0, 1, 1, 1] = 0.5
    found, scores = decode(maps, (96, 64))
    torch.testing.assert_close(found[0], torch.tensor([[95.0, 63.0], [95 / 23, 63 / 15], [0, 0]]))
    assert scores[0].tolist() == [1.0, 0.5, 0.0]


def test_decode_takes_half_precision_and_refuses_unknown_methods():
    maps = encode(torch.tensor([[[48.0, 40.0]]]), torch.ones(1, 1), (96, 96), (24, 24), 1.5)
    found, _ = decode(maps.bfloat16(), (96, 96))
    assert (found - torch.tensor([48.0, 40.0])).abs().max() < 0.2
    with pytest.raises(UserError, match="unknown decoding 'drak'"):
        decode(maps, (96, 96), "drak")  # type: ignore[arg-type]


def test_flip_brings_mirrored_heatmaps_back():
    joints = joint_set("coco17")
    permutation = joints.flip_permutation()
    rng = np.random.default_rng(2)
    points = torch.from_numpy(rng.uniform(20, 70, (4, 17, 2))).float()
    mirrored = points.clone()
    mirrored[..., 0] = 95 - mirrored[..., 0]
    mirrored = mirrored[:, permutation]
    weight = torch.ones(4, 17)
    there = encode(mirrored, weight, (96, 96), (24, 24), 1.5)
    back = flip_heatmaps(there, permutation)
    torch.testing.assert_close(back, encode(points, weight, (96, 96), (24, 24), 1.5), atol=1e-5, rtol=0)


def test_dark_never_leaves_the_peak_by_more_than_three_pixels() -> None:
    """Noise has nearly singular Hessians; unbounded, the step ended hundreds of pixels outside of the picture."""
    noise = torch.rand(50, 17, 24, 24, generator=torch.Generator().manual_seed(0))
    refined, _ = decode(noise, (24, 24), "dark")
    peaks, _ = decode(noise, (24, 24), "argmax")
    assert (refined - peaks).abs().max() <= 3.0001
    assert not torch.equal(refined, peaks)
