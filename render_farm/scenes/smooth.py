"""Smooth functions of time: what motions and camera trajectories are made of. Times in seconds, numpy float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ease(u: Floats | float) -> Floats:
    """Minimum-jerk blend from 0 to 1 for u in [0, 1], constant outside (Flash and Hogan 1985); at rest at both ends."""
    x = np.clip(np.asarray(u, np.float64), 0.0, 1.0)
    return np.asarray(x**3 * (10 + x * (6 * x - 15)), np.float64)


def window(times: Floats, start: float, rise: float, stay: float, fall: float) -> Floats:
    """0, then up to 1 within ``rise`` seconds from ``start``, there for ``stay``, and back within ``fall``."""
    return np.asarray(ease((times - start) / rise) * (1 - ease((times - start - rise - stay) / fall)), np.float64)


def band_noise(
    rng: np.random.Generator, times: Floats, band: tuple[float, float], channels: int = 1, waves: int = 6
) -> Floats:
    """Band-limited noise (T, channels) of unit variance: sinusoids of random phase, power falling with frequency.

    Amplitudes go as 1 / f between the band's ends, in Hz, as hand tremor and postural sway do; the result is analytic,
    so its speed and acceleration are bounded by the band.
    """
    low, high = band
    frequency = low * (high / low) ** ((np.arange(waves) + rng.random((channels, waves))) / waves)
    phase = rng.uniform(0, 2 * np.pi, (channels, waves))
    amplitude = 1 / frequency
    amplitude = amplitude * np.sqrt(2 / (amplitude**2).sum(1, keepdims=True))
    angle = 2 * np.pi * frequency[:, :, None] * np.asarray(times, np.float64) + phase[:, :, None]
    return np.asarray((amplitude[:, :, None] * np.sin(angle)).sum(1).T, np.float64)


def follow(path: Floats, lag: float, fps: float) -> Floats:
    """A path (T, n) pursued by a critically damped second-order system that trails a steady motion by ``lag`` seconds.

    It starts in step with the path (as if that had always moved at its first velocity), so that there is no jerk at the
    beginning.
    """
    if lag <= 0 or len(path) < 2:
        return np.array(path, np.float64)
    omega, steps = 2.0 / lag, 4
    h = 1 / (fps * steps)
    velocity = (path[min(3, len(path) - 1)] - path[0]) * fps / min(3, len(path) - 1)
    place = path[0] - lag * velocity
    result = np.empty(path.shape, np.float64)
    result[0] = place
    for k in range(1, len(path)):
        for step in range(1, steps + 1):  # implicit in the velocity, so that it is stable for any lag
            wanted = path[k - 1] + (path[k] - path[k - 1]) * (step / steps)
            velocity = (velocity + h * omega**2 * (wanted - place)) / (1 + 2 * h * omega + (h * omega) ** 2)
            place = place + h * velocity
        result[k] = place
    return result
