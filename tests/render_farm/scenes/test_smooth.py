"""Blends, band-limited noise and pursuit."""

from __future__ import annotations

import numpy as np

from sim2pose.render_farm.scenes.smooth import band_noise, ease, follow, window


def test_blends_rest_at_both_ends() -> None:
    u = np.linspace(-0.5, 1.5, 2001)
    blend = ease(u)
    assert blend.min() == 0 and blend.max() == 1 and (np.diff(blend) >= 0).all()
    assert np.abs(np.diff(blend)[(u[1:] < 0.01) | (u[1:] > 0.99)]).max() < 1e-5
    up = window(u, 0.0, 0.3, 0.4, 0.3)
    assert up[0] == 0 and up[-1] == 0 and np.isclose(up[u.searchsorted(0.5)], 1)


def test_noise_has_unit_variance_and_stays_in_its_band() -> None:
    times = np.arange(0, 400, 1 / 20)
    noise = band_noise(np.random.default_rng(0), times, (0.5, 2.0), 8)
    assert noise.shape == (8000, 8) and np.abs(noise.std(0) - 1).max() < 0.05
    power = np.abs(np.fft.rfft(noise[:, 0] * np.hanning(len(times)))) ** 2
    frequency = np.fft.rfftfreq(len(times), 1 / 20)
    outside = (frequency < 0.45) | (frequency > 2.1)
    assert power[outside].sum() < 1e-4 * power.sum()


def test_pursuit_trails_by_its_lag_without_a_start() -> None:
    fps, lag = 30.0, 0.5
    path = np.arange(90)[:, None] / fps * np.array([1.2, 0.0, -0.4])
    trailing = follow(path, lag, fps)
    wanted = path - lag * np.array([1.2, 0.0, -0.4])
    assert np.abs(trailing - wanted).max() < 0.03
    assert np.array_equal(follow(path, 0.0, fps), path)
    step = np.where(np.arange(90)[:, None] > 30, 1.0, 0.0)
    assert follow(step, lag, fps).max() <= 1.0 + 1e-6, "critically damped: no overshoot"
