"""Constants of the look, and the light of the surroundings as a polynomial of the normal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Lights

NEAR, FAR = 0.05, 200.0  # metres; nothing nearer or farther is drawn
KNEE = 0.8
WRAP_TINT = (1.0, 0.7, 0.6)  # how far red, green and blue wrap round the terminator
LIGHT_BIAS, LIGHT_SPREAD = 0.02, 0.03  # metres: how far a surface must rise above a point to hide it, begin and width
SKY_BIAS, SKY_SPREAD, SKY_STRENGTH = 0.02, 0.20, 0.65
NEAR_GROUND, NEAR_GROUND_STRENGTH = 0.10, 0.45  # metres over which the ground darkens what faces it
LIGHT_CELLS = 96
FADE_CELLS = 3  # over which self-shadow ends at the border of its grid
AROUND = 0.25  # of the people's extent: how far the grid of self-shadow reaches beyond them, if there is anything
MIN_CELL = 0.008  # metres; finer cells than the vertices are dense would leave holes
# Constants of the real spherical harmonics in the order of Lights.environment (Ramamoorthi and Hanrahan 2001, equation 3).
HARMONICS = np.array(
    [0.282095, 0.488603, 0.488603, 0.488603, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274], np.float64
)


def ambient_terms(lights: Lights) -> NDArray[np.float32]:
    """The light of the surroundings on a normal (x, y, z): ``terms.T @ (1, y, z, x, xy, yz, 3z^2-1, xz, x^2-y^2)``, (9, 3).

    Raises:
        UserError: for an environment that is not (9, 3) finite numbers.
    """
    if lights.environment is not None:
        environment = np.asarray(lights.environment, np.float64)
        if environment.shape != (9, 3) or not np.isfinite(environment).all():
            raise UserError(f"lights: environment must be (9, 3) finite numbers, found shape {environment.shape}")
        return (environment * HARMONICS[:, None]).astype(np.float32)
    sky, floor = np.asarray(lights.sky, np.float64), np.asarray(lights.floor, np.float64)
    terms = np.zeros((9, 3), np.float32)
    terms[0], terms[1] = (sky + floor) / 2, (sky - floor) / 2
    return terms


def ambient_from_above(lights: Lights) -> NDArray[np.float64]:
    """(3,) light of the surroundings that arrives on a level surface."""
    if lights.environment is None:
        return np.maximum(np.asarray(lights.sky, np.float64), 0.0)
    terms = ambient_terms(lights).astype(np.float64)
    return np.maximum(terms[0] + terms[1] - terms[6] - terms[8], 0.0)


def lamp_from_above(lights: Lights) -> NDArray[np.float64]:
    """(3,) light of the lamp that arrives on a level surface."""
    direction = np.asarray(lights.direction, np.float64)
    return np.asarray(lights.colour, np.float64) * max(float(direction[1] / np.linalg.norm(direction)), 0.0)
