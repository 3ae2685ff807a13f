"""Distances between two data sets' distributions, each beside what chance alone would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance

LEAST = 20
"""Fewer persons than this on either side give no distance."""


@dataclass(frozen=True)
class Distance:
    """One row of the comparison.

    Attributes:
        name: what is compared. ours, real: medians (numbers) or the share that is named (shares); None for vectors.
        kind: ``W1/sd``, ``JS`` or ``Fréchet``. value: the distance. floor: the same between random halves of the real set:
        a value near it is no difference.
    """

    name: str
    ours: float | None
    real: float | None
    kind: str
    value: float
    floor: float


def compare_numbers(name: str, ours: np.ndarray, real: np.ndarray) -> Distance | None:
    """Wasserstein-1 distance in standard deviations of the real numbers; None where either side has too few."""
    ours, real = ours[np.isfinite(ours)], real[np.isfinite(real)]
    spread = float(real.std()) if len(real) else 0.0
    if min(len(ours), len(real)) < LEAST or spread <= 0:
        return None
    first, second = _halves(real)
    value, floor = (float(wasserstein_distance(a, b)) / spread for a, b in ((ours, real), (first, second)))
    return Distance(name, float(np.median(ours)), float(np.median(real)), "W1/sd", value, floor)


def compare_angles(name: str, ours: np.ndarray, real: np.ndarray) -> Distance | None:
    """Jensen-Shannon distance of angles in degrees, in 24 bins round the circle; the figures are shares within 30 of zero."""
    ours, real = ours[np.isfinite(ours)], real[np.isfinite(real)]
    if min(len(ours), len(real)) < LEAST:
        return None

    def shares(angles: np.ndarray) -> np.ndarray:
        return np.histogram((angles + 187.5) % 360, bins=24, range=(0, 360))[0] / len(angles)

    first, second = _halves(real)
    here, there = (float((np.abs(angles) < 30).mean()) for angles in (ours, real))
    value, floor = (jensen_shannon(shares(a), shares(b)) for a, b in ((ours, real), (first, second)))
    return Distance(name, here, there, "JS", value, floor)


def compare_shares(
    name: str, ours: np.ndarray, real: np.ndarray, values: tuple[int, ...], shown: int
) -> Distance | None:
    """Jensen-Shannon distance of how often each of some values occurs; the figures are shares of the value ``shown``."""
    if min(len(ours), len(real)) < LEAST:
        return None

    def shares(numbers: np.ndarray) -> np.ndarray:
        return np.array([(numbers == value).mean() for value in values])

    first, second = _halves(real)
    value, floor = (jensen_shannon(shares(a), shares(b)) for a, b in ((ours, real), (first, second)))
    return Distance(name, float((ours == shown).mean()), float((real == shown).mean()), "JS", value, floor)


def compare_poses(name: str, ours: np.ndarray, real: np.ndarray) -> Distance | None:
    """Fréchet distance of normalised 2D poses (N, K); None where either side has too few for a covariance."""
    least = max(LEAST, 2 * ours.shape[1] if ours.ndim == 2 and len(ours) else LEAST)
    if min(len(ours), len(real)) < least:
        return None
    first, second = _halves(real)
    return Distance(name, None, None, "Fréchet", frechet(ours, real), frechet(first, second))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Root of the Jensen-Shannon divergence (base 2) of two distributions over the same values: 0 equal, 1 disjoint."""
    middle = (p + q) / 2

    def relative(a: np.ndarray) -> float:
        some = a > 0
        return float((a[some] * np.log2(a[some] / middle[some])).sum())

    return float(np.sqrt(max(0.0, (relative(p) + relative(q)) / 2)))


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of vectors as Gaussians: ``|m - n|² + tr(A + B - 2 (AB)^½)``, its root (Dowson and
    Landau 1982), in the vectors' unit."""
    shift = a.mean(0) - b.mean(0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    ridge = 1e-9 * np.eye(len(first))
    root = np.real(sqrtm((first + ridge) @ (second + ridge)))
    square = float(shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(root))
    return float(np.sqrt(max(0.0, square)))


def _halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(len(values))
    return values[order[: len(values) // 2]], values[order[len(values) // 2 :]]
