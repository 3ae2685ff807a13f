"""A sensor's steps one by one: kernels of the asked-for variance, exact balance, noise as strong and as coloured as said."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.render_farm.scenes.development import (
    balance,
    chain,
    defocused,
    exposed,
    mixed,
    noise_table,
    saturation,
    tone_table,
)

IDENTITY = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("sigma", [0.25, 0.5, 0.65, 0.9, 1.1, 1.2, 1.5, 2.0, 2.49])
def test_chains_have_the_variance_of_their_gaussian(sigma: float) -> None:
    boxes, taps = chain(sigma)
    kernel = np.asarray(taps, float)
    for side in boxes:
        kernel = np.convolve(kernel, np.full(side, 1 / side))
    x = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.min() >= 0 and kernel.sum() == pytest.approx(1)
    assert kernel @ x**2 == pytest.approx(sigma**2, rel=1e-5)
    gauss = np.exp(-(x**2) / 2 / sigma**2)
    assert np.abs(np.cumsum(kernel) - np.cumsum(gauss / gauss.sum())).max() < 0.06


@pytest.mark.parametrize("sigma", [0.1, 0.6, 1.0, 1.8, 2.4, 2.6])
def test_defocus_keeps_the_light_and_spreads_alike_both_ways(sigma: float) -> None:
    disc = np.zeros((96, 96, 3), np.uint8)
    disc[40:56, 40:56] = 240
    soft = defocused(disc, sigma)
    assert abs(float(soft.mean()) - disc.mean()) < 0.1
    np.testing.assert_array_equal(soft, soft.transpose(1, 0, 2))
    edge = np.diff(soft[48, 20:48, 0].astype(float)) / 240
    middle = edge @ np.arange(len(edge))
    assert edge @ (np.arange(len(edge)) - middle) ** 2 == pytest.approx(
        sigma**2 if sigma > 0.2 else 0, rel=0.06, abs=0.02
    )


def test_balance_scales_linear_light() -> None:
    """Against sRGB's formula, level by level; only its straight toe is a little off."""
    gains = np.array([0.7, 1.0, 0.9])
    levels = np.arange(12, 256, dtype=np.uint8)
    found = mixed(np.repeat(levels[None, :, None], 3, 2), balance(gains) @ saturation(1.0))[0].astype(float)
    linear = ((levels / 255 + 0.055) / 1.055) ** 2.4
    exact = 255 * (1.055 * (linear[:, None] * gains) ** (1 / 2.4) - 0.055)
    assert np.abs(found - exact).max() <= 1


@pytest.mark.parametrize("slope", [1.2, 1.4])
def test_steep_contrast_keeps_blacks_and_whites_apart(slope: float) -> None:
    """An S about mid grey: as steep there as asked for, and no code that was dark or light is clipped."""
    plain, steep = (tone_table(1.0, 0.0, each, 1.0).astype(int) for each in (1.0, slope))
    dark, middle = np.searchsorted(plain, 20), np.searchsorted(plain, 128)
    assert steep[dark] >= 4, "a line would cut it to 0"
    assert len(np.unique(steep[:middle])) > 0.7 * len(np.unique(plain[:middle]))
    assert (np.diff(steep) >= 0).all()
    measured = (steep[middle + 8] - steep[middle - 8]) / (plain[middle + 8] - plain[middle - 8])
    assert measured == pytest.approx(slope, abs=0.08)


def test_a_neutral_tone_leaves_all_but_the_shoulder() -> None:
    table = tone_table(1.0, 0.0, 1.0, 1.0).astype(int)
    assert np.abs(table - np.arange(256))[:228].max() == 0 and (np.diff(table) >= 0).all()
    for change in ({"exposure": 2.0}, {"contrast": 1.4}, {"gamma": 1.3}, {"haze": 0.3}):
        other = tone_table(**({"exposure": 1.0, "haze": 0.0, "contrast": 1.0, "gamma": 1.0} | change))
        assert (np.diff(other.astype(int)) >= 0).all() and (other != table).sum() > 100


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("level", [40, 128, 210])
def test_noise_grows_with_the_level_and_is_shared_by_channels(level: int, share: float) -> None:
    flat = np.full((240, 320, 3), level, np.uint8)
    noisy = exposed(flat, IDENTITY, noise_table(IDENTITY, 0.012, 0.03), share, 77).reshape(-1, 3).astype(float)
    expected = 255 * np.sqrt(0.012**2 + 0.03**2 * level / 255)
    np.testing.assert_allclose(noisy.std(0), np.sqrt(expected**2 + 1 / 12), rtol=0.02)
    np.testing.assert_allclose(noisy.mean(0), level, atol=0.1)
    np.testing.assert_allclose(np.corrcoef(noisy.T)[np.triu_indices(3, 1)], 1 - share, atol=0.03)


@pytest.mark.parametrize("size", [(96, 128), (640, 720), (900, 1100)])
def test_pictures_of_any_size_get_noise_of_their_own(size: tuple[int, int]) -> None:
    for shape in (size, (*size, 3)):
        flat = np.full(shape, 128, np.uint8)
        one, two, again = (exposed(flat, IDENTITY, noise_table(IDENTITY, 0.02, 0.0), 0.3, n) for n in (5, 99_991, 5))
        assert one.shape == shape and one.std() == pytest.approx(5.1, rel=0.08)
        np.testing.assert_array_equal(one, again)
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.1


def test_noise_too_weak_to_move_a_level_costs_nothing() -> None:
    assert noise_table(IDENTITY, 0.0001, 0.0002) is None
    assert noise_table(IDENTITY, 0.0, 0.002) is not None
