"""The population of ``open-hand``: right hands of children from two years, women and men to 85."""

from __future__ import annotations

from typing import Any

import numpy as np

from .anny_source import AnnySource
from .population_person import STATURE_CM, by_age

HAND_SHARE = ((0.113, 0.109, 0.1085), (0.113, 0.108, 0.107))
"""Length of the hand over stature at 2, 12 and 19 years, men and women (Snyder et al. 1977; Gordon et al. 1989)."""
LENGTH_SPREAD = 0.05
"""Standard deviation of the hand's length over its median."""
CREASE = 0.05
"""Share of the way from Anny's wrist joint to the tip of the middle finger at which the hand's length begins."""

CHANGES: dict[str, float] = {
    "r-hand-fingers-length-incr": 0.3,
    "r-hand-fingers-diameter-incr": 0.35,
    "r-hand-fingers-distance-incr": 0.25,
    "measure-wrist-circ-incr": 0.3,
}
"""Anny's local changes of the right hand, and how far each spreads (standard deviation)."""

_ANNY_AGE = (
    (2.0, 5.0, 10.0, 13.0, 16.0, 19.0, 40.0, 65.0, 85.0),
    (0.09, 0.235, 0.345, 0.47, 0.62, 0.667, 0.72, 0.87, 1.0),
)


def sample(source: AnnySource, rng: np.random.Generator, count: int) -> tuple[dict[str, Any], np.ndarray]:
    """Shape parameters of ``count`` people and their ages (count,) in years.

    A quarter are children to 12 years, the rest spread evenly over 12 to 85.
    """

    def normal(deviation: float) -> np.ndarray:
        return deviation * np.clip(rng.standard_normal(count), -2.5, 2.5)

    years = np.where(rng.random(count) < 0.25, rng.uniform(2, 12, count), rng.uniform(12, 85, count))
    woman = (rng.random(count) < 0.5).astype(float)
    grown = np.clip((years - 10) / 5, 0, 1)  # the sexes differ little before
    shapes = {
        "phenotypes": {
            "age": np.interp(years, *_ANNY_AGE),
            "gender": np.clip(0.5 + (woman - 0.5) * (0.4 + 0.6 * grown) + normal(0.1), 0, 1),
            "muscle": rng.uniform(0.3, 0.7, count),
            "weight": rng.uniform(0.3, 0.8, count),
            "height": np.full(count, 0.4),
            "proportions": np.full(count, 0.5),
        },
        "local_changes": {label: np.clip(normal(spread), -1, 1) for label, spread in CHANGES.items()},
    }
    man, lady = (np.interp(years, (2, 12, 19), row) for row in HAND_SHARE)
    share = man + (lady - man) * woman
    lengths = by_age(STATURE_CM, years, woman) / 100 * share * (1 + normal(LENGTH_SPREAD))
    calibrate(source, shapes, lengths)
    return shapes, years


def calibrate(source: AnnySource, shapes: dict[str, Any], lengths: np.ndarray) -> None:
    """Give hands ``lengths`` (B,) metres by Anny's height, in place; who meets its bounds keeps the nearest length."""
    values = shapes["phenotypes"]
    for _ in range(2):
        old = values["height"]
        now = hand_length(source, source(shapes)[0])
        values["height"] = old + 0.05
        slope = (hand_length(source, source(shapes)[0]) - now) / 0.05
        values["height"] = np.clip(old + (lengths - now) / slope, 0, 1)


def hand_length(source: AnnySource, vertices: np.ndarray) -> np.ndarray:
    """Length (B,) of flat hands (B, V, 3), wrist joint at the origin: crease of the wrist to tip of the middle finger."""
    tip = source.weights[:, source.joint_set.index("middle3")] > 0.5
    return (1 - CREASE) * np.linalg.norm(vertices[:, tip], axis=-1).max(1)
