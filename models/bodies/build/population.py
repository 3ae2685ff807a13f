"""The population of infants, newborn to 24 months, from which ``open-infant`` takes its shapes.

Anny's own phenotypes give bodies that are leaner, with smaller heads, than infants from six months on. Local shape
changes correct this: with the means below, length, head circumference and weight follow the medians of the WHO Child
Growth Standards (2006); the builder measures them on the finished file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .anny_source import AnnySource
from .anthropometry import WHO_LENGTH_CM, WHO_MONTHS, body_length

LENGTH_SPREAD = 0.035
"""Standard deviation of length over its median; the WHO tables give 3.4 to 3.8 % in this range."""

_ANNY_AGE = (-1 / 3, 0.0, 0.04, 0.092)  # Anny's age whose own length is the median length of the month
_FAT = (0.0, 1.1, 0.9, 0.55)  # how far limbs and trunk are padded, by age: babies are roundest at six months
_HEAD = (0.03, 0.72, 0.86, 0.84)  # how far the head grows beyond Anny's

# Local changes of the body: region, weights on fat and on head size, and standard deviation of what the region adds. A
# name with a leading "*" is a pair of left and right changes that take the same value.
CHANGES: dict[str, tuple[str, float, float, float]] = {
    "head-scale-vert-incr": ("head", 0.0, 0.6, 0.05),
    "head-scale-depth-incr": ("head", 0.0, 1.0, 0.08),
    "head-scale-horiz-incr": ("skull", 0.0, 1.0, 0.08),
    "head-back-scale-depth-incr": ("skull", 0.0, 0.0, -0.08),
    "head-fat-incr": ("cheeks", 0.5, 0.0, 0.15),
    "*cheek-volume-incr": ("cheeks", 0.6, 0.0, 0.2),
    "neck-double-incr": ("cheeks", 0.5, 0.0, 0.15),
    "neck-scale-vert-incr": ("neck", -0.2, 0.0, 0.08),
    "*upperarm-fat-incr": ("limbs", 0.5, 0.0, 0.12),
    "*lowerarm-fat-incr": ("limbs", 0.45, 0.0, 0.12),
    "*upperleg-fat-incr": ("limbs", 0.2, 0.0, 0.1),
    "*lowerleg-fat-incr": ("limbs", 0.4, 0.0, 0.12),
    "measure-thigh-circ-incr": ("limbs", 0.35, 0.0, 0.1),
    "measure-knee-circ-incr": ("limbs", 0.5, 0.0, 0.1),
    "measure-calf-circ-incr": ("limbs", 0.2, 0.0, 0.1),
    "torso-scale-horiz-incr": ("trunk", 0.25, 0.0, 0.08),
    "torso-scale-depth-incr": ("trunk", 0.3, 0.0, 0.08),
    "stomach-pregnant-incr": ("belly", 0.15, 0.0, 0.08),
    "buttocks-volume-incr": ("belly", 0.4, 0.0, 0.12),
    "hip-scale-depth-incr": ("belly", 0.15, 0.0, 0.08),
    "*foot-scale-incr": ("hands and feet", 0.0, 0.0, 0.06),
    "*hand-scale-incr": ("hands and feet", 0.1, 0.0, 0.06),
    "*ear-scale-incr": ("ears", 0.0, 0.0, 0.15),
    "nose-scale-horiz-incr": ("nose", 0.0, 0.0, 0.15),
    "nose-scale-vert-incr": ("nose", 0.0, 0.0, -0.15),
    "mouth-scale-horiz-incr": ("mouth", 0.0, 0.0, 0.15),
    "chin-width-incr": ("mouth", 0.0, 0.0, 0.15),
}

CENTRE = "head-trans-out"
"""Moves the head sideways: MakeHuman's baby has its head 2 mm to the left, which ``calibrate`` undoes."""


def change_labels() -> list[str]:
    """Names of the local changes as Anny knows them."""
    return [*(label for name in CHANGES for label in _sides(name)), CENTRE]


def _sides(name: str) -> tuple[str, ...]:
    return (f"l-{name[1:]}", f"r-{name[1:]}") if name.startswith("*") else (name,)


def draw(rng: np.random.Generator, months: np.ndarray, spread: float = 1.0) -> dict[str, Any]:
    """Anny's shape parameters for infants of given ages; lengths are not yet calibrated (see :func:`calibrate`).

    Args:
        rng: source of randomness. months: (B,) ages in [0, 24]. spread: 0 gives the mean infant of each age.
    """
    count = len(months)

    def normal(deviation: float) -> np.ndarray:
        return spread * deviation * np.clip(rng.standard_normal(count), -2.5, 2.5)

    def uniform(low: float, high: float) -> np.ndarray:
        return (low + high) / 2 + spread * (rng.random(count) - 0.5) * (high - low)

    fat = np.interp(months, WHO_MONTHS, _FAT) + normal(0.25)
    head = np.interp(months, WHO_MONTHS, _HEAD) + normal(0.1)
    phenotypes = {
        "age": np.interp(months, WHO_MONTHS, _ANNY_AGE),
        "gender": uniform(0, 1),
        "muscle": uniform(0.3, 0.7),
        "weight": uniform(0.3, 1),
        "height": np.full(count, 0.5),
        "proportions": uniform(0, 1),
    }
    regions = {region: normal(1.0) for region in dict.fromkeys(change[0] for change in CHANGES.values())}
    changes: dict[str, np.ndarray] = {}
    for name, (region, on_fat, on_head, deviation) in CHANGES.items():
        value = np.clip(on_fat * fat + on_head * head + deviation * regions[region], -1, 1)
        changes |= dict.fromkeys(_sides(name), value)
    return {"phenotypes": phenotypes, "local_changes": changes}


def calibrate(source: AnnySource, shapes: dict[str, Any], lengths: np.ndarray) -> None:
    """Give bodies ``lengths`` (B,) metres from crown to sole and a head on the midline, in place.

    Both depend nearly linearly on one parameter each (Anny's height, and a sideways shift of the head), so two secant
    steps bring them within 0.1 mm of the wish unless a parameter meets its bounds.
    """
    eyes = source.coco_regressor()[1:3].mean(0)
    shapes["local_changes"][CENTRE] = np.full(len(lengths), -0.1)
    knobs = (
        (shapes["phenotypes"], "height", 0.05, (0.0, 1.0), body_length, lengths),
        (shapes["local_changes"], CENTRE, -0.05, (-1.0, 0.0), lambda v: v[:, :, 0] @ eyes, 0.0),
    )
    for _ in range(2):
        for values, name, step, (low, high), measure, wish in knobs:
            old = values[name]
            now = measure(source(shapes)[0])
            values[name] = old + step
            slope = (measure(source(shapes)[0]) - now) / step
            values[name] = np.clip(old + (wish - now) / slope, low, high)


def sample(source: AnnySource, rng: np.random.Generator, count: int) -> tuple[dict[str, Any], np.ndarray]:
    """Shape parameters of ``count`` infants and their ages (count,), uniform from newborn to 24 months."""
    months = rng.uniform(0, 24, count)
    shapes = draw(rng, months)
    spread = 1 + LENGTH_SPREAD * np.clip(rng.standard_normal(count), -2.5, 2.5)
    calibrate(source, shapes, np.interp(months, WHO_MONTHS, WHO_LENGTH_CM) / 100 * spread)
    return shapes, months


def mean_infants(source: AnnySource) -> np.ndarray:
    """The mean infant at the ages of the WHO table, T-posed, (4, source vertices, 3)."""
    shapes = draw(np.random.default_rng(0), np.array(WHO_MONTHS), spread=0.0)
    calibrate(source, shapes, np.array(WHO_LENGTH_CM) / 100)
    return source(shapes)[0]
