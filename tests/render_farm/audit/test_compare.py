"""Distances against numbers worked by hand, and look-alikes among made-up hashes."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.render_farm.audit.compare import (
    compare_angles,
    compare_numbers,
    compare_poses,
    compare_shares,
    frechet,
    jensen_shannon,
)
from sim2pose.render_farm.audit.duplicates import nearest_frames


def test_shifted_numbers_are_as_far_as_the_shift() -> None:
    real = np.random.default_rng(0).normal(3, 2, 4000)
    found = compare_numbers("x", real + 1, real)
    assert found is not None
    assert found.value == pytest.approx(1 / real.std(), rel=1e-6)
    assert found.floor < 0.1
    assert found.ours == pytest.approx(found.real + 1)


def test_too_few_or_constant_numbers_have_no_distance() -> None:
    few, many, constant = np.arange(10.0), np.arange(50.0), np.ones(50)
    assert compare_numbers("x", few, many) is None
    assert compare_numbers("x", many, constant) is None
    assert compare_numbers("x", np.full(50, np.nan), many) is None
    assert compare_poses("x", np.zeros((0, 1)), np.random.default_rng(0).normal(size=(100, 4))) is None


def test_jensen_shannon_of_known_shares() -> None:
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(1)
    assert jensen_shannon(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == 0
    p, q, m = np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.array([0.75, 0.25])
    by_hand = 0.5 * (p * np.log2(p / m)).sum() + 0.5 * np.log2(1 / 0.75)
    assert jensen_shannon(p, q) == pytest.approx(np.sqrt(by_hand))
    found = compare_shares("v", np.repeat([2, 0], 50), np.repeat([2, 1], 50), (0, 1, 2), 2)
    assert found is not None
    assert (found.ours, found.real) == (0.5, 0.5)
    assert found.value == pytest.approx(np.sqrt(0.5))


def test_angles_close_round_the_circle() -> None:
    rng = np.random.default_rng(0)
    there, wrapped = rng.normal(0, 10, 4000), rng.normal(360, 10, 4000)
    same = compare_angles("a", wrapped, there)
    turned = compare_angles("a", there + 180, there)
    assert same is not None
    assert turned is not None
    assert same.value < 0.1
    assert turned.value == pytest.approx(1, abs=0.01)
    assert turned.real > 0.99


def test_frechet_of_gaussians() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(20000, 3))
    assert frechet(a, a) == pytest.approx(0, abs=1e-3)
    assert frechet(a, a + np.array([3, 4, 0])) == pytest.approx(5, abs=1e-3)
    assert frechet(a, 2 * (a - a.mean(0)) + a.mean(0)) == pytest.approx(np.sqrt(np.trace(np.cov(a.T))), rel=1e-3)


def test_nearest_frames_by_hash_and_labels() -> None:
    hashes = np.array([0b0, 0b111, 0xFFFF0000, 0xFFFF0000, 0b0], np.uint64)
    points = np.zeros((5, 2, 3))
    points[..., 2] = 2
    points[2, :, :2], points[3, :, :2] = 0.5, 0.3
    points[4, 0, 2] = 0
    found = nearest_frames(hashes, points, np.full(5, -1))
    assert found.bits.tolist() == [0, 3, 0, 0, 0]
    assert found.other.tolist() == [4, 0, 3, 2, 0]
    assert found.alike.all()
    assert found.duplicates.tolist() == [True, True, False, False, True]  # 2 and 3: same picture, people elsewhere
    assert found.labels[2] == pytest.approx(np.hypot(0.2, 0.2))


def test_frames_of_one_clip_are_not_compared() -> None:
    points = np.zeros((4, 1, 3))
    found = nearest_frames(np.zeros(4, np.uint64), points, np.array([7, 7, 8, 8]))
    assert found.other.tolist() == [2, 2, 0, 0]
    alone = nearest_frames(np.zeros(2, np.uint64), points[:2], np.array([7, 7]))
    assert alone.bits.tolist() == [65, 65]
    assert not alone.alike.any()
