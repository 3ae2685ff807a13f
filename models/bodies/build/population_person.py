"""The population of ``open-person``: children from two years, women and men to 85.

Anny's adults are too tall, its heads too small and its young children too lean; stature, head circumference and body
mass index follow medians here: WHO 2006 and 2007 to 19 years (heads to five years); beyond, round figures near the
means of Europe and North America, with 4 cm of stature lost by old age.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .anny_source import AnnySource
from .anthropometry import body_length, body_mass, head_circumference
from .population import CENTRE, calibrate

# By age in years, men and women: stature in cm, head circumference in cm, body mass index in kg/m^2.
YEARS = (2.0, 5.0, 10.0, 13.0, 16.0, 19.0, 40.0, 65.0, 85.0)
STATURE_CM = (
    (87.8, 110.0, 137.8, 156.0, 172.9, 177.5, 178.0, 176.5, 173.5),
    (86.4, 109.4, 138.6, 156.4, 162.5, 164.0, 165.0, 163.0, 160.0),
)
HEAD_CM = (
    (48.3, 50.7, 53.2, 54.7, 56.2, 57.0, 57.3, 57.3, 57.3),
    (47.2, 49.9, 52.5, 54.0, 54.8, 55.0, 55.3, 55.3, 55.3),
)
BMI = (
    (15.9, 15.3, 16.4, 18.2, 20.5, 22.2, 24.5, 25.5, 24.0),
    (15.5, 15.2, 16.6, 18.8, 20.7, 21.8, 24.0, 25.0, 23.5),
)
DENSITY = 985.0
"""Of people with air in their lungs, kg/m^3: they just float in fresh water."""
STATURE_SPREAD = 0.037
"""Standard deviation of stature over its median."""

_ANNY_AGE = (0.092, 0.235, 0.345, 0.47, 0.62, 0.667, 0.72, 0.87, 1.0)
_WEIGHT = (
    (0.5, 0.25, 0.2, 0.2, 0.25, 0.4, 0.6, 0.65, 0.6),
    (0.5, 0.5, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.75),
)
# How far trunk and limbs are padded and the head grows beyond Anny's, for BMI and HEAD_CM of the mean person.
_FAT = ((0.9, 0.14, -0.15, -0.22, -0.3, -0.04, 0.5, 0.83, 0.42), (0.87, 0.15, 0.03, 0.23, 0.38, 0.52, 1.21, 1.5, 1.36))
_HEAD = ((0.9, 0.65, 0.3, 0.13, 0.03, 0.06, 0.07, 0.08, 0.12), (0.83, 0.61, 0.26, 0.19, 0.34, 0.38, 0.4, 0.45, 0.55))

# Local changes: the region that varies together, weights on fat and on head size, standard deviation. A name with a leading "*"
# is a pair of left and right changes that take the same value.
CHANGES: dict[str, tuple[str, float, float, float]] = {
    "head-scale-vert-incr": ("head", 0.0, 0.7, 0.036),
    "head-scale-depth-incr": ("head", 0.0, 1.0, 0.048),
    "head-scale-horiz-incr": ("head", 0.0, 1.0, 0.048),
    "head-fat-incr": ("fat", 0.5, 0.0, 0.072),
    "neck-double-incr": ("fat", 0.4, 0.0, 0.048),
    "*upperarm-fat-incr": ("fat", 0.5, 0.0, 0.06),
    "*lowerarm-fat-incr": ("fat", 0.45, 0.0, 0.048),
    "*upperleg-fat-incr": ("fat", 0.3, 0.0, 0.048),
    "*lowerleg-fat-incr": ("fat", 0.4, 0.0, 0.048),
    "torso-scale-depth-incr": ("fat", 0.3, 0.0, 0.048),
    "stomach-pregnant-incr": ("fat", 0.15, 0.0, 0.06),
    "measure-waist-circ-incr": ("fat", 0.25, 0.0, 0.06),
    "measure-thigh-circ-incr": ("fat", 0.2, 0.0, 0.048),
    "measure-hips-circ-incr": ("build", 0.2, 0.0, 0.042),
    "buttocks-volume-incr": ("build", 0.2, 0.0, 0.063),
    "hip-scale-horiz-incr": ("build", 0.0, 0.0, 0.042),
    "torso-scale-horiz-incr": ("build", 0.25, 0.0, 0.05),
    "measure-shoulder-dist-incr": ("build", 0.0, 0.0, 0.063),
    "torso-scale-vert-incr": ("legs", 0.0, 0.0, -0.05),
    "upperlegs-height-incr": ("legs", 0.0, 0.0, 0.05),
    "lowerlegs-height-incr": ("legs", 0.0, 0.0, 0.05),
    "*foot-scale-incr": ("hands and feet", 0.0, 0.0, 0.024),
    "*hand-scale-incr": ("hands and feet", 0.0, 0.0, 0.024),
    "nose-scale-horiz-incr": ("face", 0.0, 0.0, 0.12),
    "nose-scale-vert-incr": ("face", 0.0, 0.0, -0.09),
    "nose-scale-depth-incr": ("face", 0.0, 0.0, 0.09),
    "mouth-scale-horiz-incr": ("face", 0.0, 0.0, 0.12),
    "chin-width-incr": ("face", 0.0, 0.0, 0.15),
    "chin-height-incr": ("face", 0.0, 0.0, 0.12),
    "*ear-scale-incr": ("face", 0.0, 0.0, 0.09),
}


def change_labels() -> list[str]:
    """Names of the local changes as Anny knows them."""
    return [*(label for name in CHANGES for label in _sides(name)), CENTRE]


def _sides(name: str) -> tuple[str, ...]:
    return (f"l-{name[1:]}", f"r-{name[1:]}") if name.startswith("*") else (name,)


def by_age(table: tuple[tuple[float, ...], tuple[float, ...]], years: np.ndarray, gender: np.ndarray) -> np.ndarray:
    """A table of men's and women's values at ages (B,) and for genders (B,), 0 man, 1 woman, in between interpolated."""
    man, woman = (np.interp(years, YEARS, row) for row in table)
    return man + (woman - man) * gender


def draw(rng: np.random.Generator, years: np.ndarray, gender: np.ndarray, spread: float = 1.0) -> dict[str, Any]:
    """Anny's shape parameters for people; stature is not yet calibrated (see :func:`.population.calibrate`).

    Args:
        years: (B,) ages in [2, 85]. gender: (B,) 0 man to 1 woman. spread: 0 gives the mean person.
    """
    count = len(years)

    def normal(deviation: float) -> np.ndarray:
        return spread * deviation * np.clip(rng.standard_normal(count), -2.5, 2.5)

    def uniform(low: float, high: float) -> np.ndarray:
        return (low + high) / 2 + spread * (rng.random(count) - 0.5) * (high - low)

    fat = by_age(_FAT, years, gender) + normal(0.1)
    grown = np.clip((years - 10) / 5, 0, 1)  # the sexes differ little before
    mix = 0.55 / 3 + 0.45 * (rng.dirichlet((1, 1, 1), count) if spread else np.full((count, 3), 1 / 3))
    phenotypes = {
        "age": np.interp(years, YEARS, _ANNY_AGE),
        "gender": 0.5 + (gender - 0.5) * (0.4 + 0.6 * grown),
        "muscle": np.clip(0.5 + normal(0.075), 0, 1),
        "weight": np.clip(by_age(_WEIGHT, years, gender) + normal(0.12), 0.05, 1),
        "height": np.full(count, 0.4),
        "proportions": uniform(0.25, 0.75),
        "cupsize": 0.5 * grown,
        **dict(zip(("african", "asian", "caucasian"), mix.T, strict=True)),
    }
    head = by_age(_HEAD, years, gender)
    regions = {region: normal(1.0) for region in dict.fromkeys(change[0] for change in CHANGES.values())}
    changes: dict[str, np.ndarray] = {}
    for name, (region, on_fat, on_head, deviation) in CHANGES.items():
        value = np.clip(on_fat * fat + on_head * head + deviation * regions[region], -1, 1)
        changes |= dict.fromkeys(_sides(name), value)
    return {"phenotypes": phenotypes, "local_changes": changes}


def sample(source: AnnySource, rng: np.random.Generator, count: int) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Shape parameters of ``count`` people, their ages (count,) in years and genders (count,), 0 man to 1 woman.

    A third are children to 12 years, the rest spread evenly over 12 to 85.
    """
    child = rng.random(count) < 1 / 3
    years = np.where(child, rng.uniform(2, 12, count), rng.uniform(12, 85, count))
    gender = np.clip((rng.random(count) < 0.5) + 0.08 * rng.standard_normal(count), 0, 1)
    shapes = draw(rng, years, gender)
    spread = 1 + STATURE_SPREAD * np.clip(rng.standard_normal(count), -2.5, 2.5)
    calibrate(source, shapes, by_age(STATURE_CM, years, gender) / 100 * spread)
    return shapes, years, gender


def people_table(source: AnnySource) -> list[dict[str, float | str]]:
    """Stature, weight and head circumference of the mean man and woman by age, beside the figures they should have."""
    years = np.array(YEARS)
    rows: list[dict[str, float | str]] = []
    for gender, name in enumerate(("male", "female")):
        shapes = draw(np.random.default_rng(0), years, np.full(len(years), float(gender)), spread=0.0)
        calibrate(source, shapes, np.array(STATURE_CM[gender]) / 100)
        vertices, _ = source(shapes)
        eyes = np.einsum("v,bv->b", source.coco_regressor()[1:3].mean(0), vertices[:, :, 1])
        masses, statures = body_mass(vertices, source.faces, DENSITY), body_length(vertices)
        for i, age in enumerate(YEARS):
            head = head_circumference(vertices[i], source.faces, float(eyes[i]))
            rows.append(
                {
                    "years": age,
                    "gender": name,
                    "stature_cm": round(100 * float(statures[i]), 1),
                    "stature_wanted": STATURE_CM[gender][i],
                    "bmi": round(float(masses[i] / statures[i] ** 2), 1),
                    "bmi_wanted": BMI[gender][i],
                    "head_cm": round(100 * head, 1),
                    "head_wanted": HEAD_CM[gender][i],
                }
            )
    return rows
