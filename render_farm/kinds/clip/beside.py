"""Where a second person of a clip moves: near the first, clear of it and of the camera."""

from __future__ import annotations

import numpy as np

from ...scenes.smooth import Floats
from .motion import Motion, placed
from .props import sight

APART = 0.55
"""Two people never come nearer than this, in heights, pelvis to pelvis on the ground."""
OFF_CAMERA = 2.4
"""Nor nearer than this times that distance to the camera, whose view they would fill."""
PLACES = 24
"""Places tried for a second person before the clip does without."""


def beside(rng: np.random.Generator, motion: Motion, first: Motion, apart: float, eyes: Floats) -> Motion | None:
    """A second motion placed near the first, the two never nearer than ``apart`` metres; None if no place is found.

    Nor does it come nearer than :data:`OFF_CAMERA` times that to the camera's places ``eyes`` (T, 3), or stand before the
    first for more than a quarter of the time.
    """
    for _ in range(PLACES):
        heading, angle, far = rng.uniform(-np.pi, np.pi), rng.uniform(-np.pi, np.pi), rng.uniform(1.0, 3.0)
        spot = far * apart * np.array([np.sin(angle), np.cos(angle)])
        tried = placed(motion, heading, (float(spot[0]), float(spot[1])))
        gap = (tried.joints[:, None, :22] - first.joints[:, :22, None])[..., [0, 2]]
        if (gap[:, 0, 0] ** 2).sum(-1).min() <= apart**2 or (gap**2).sum(-1).min() <= (0.25 * apart) ** 2:
            continue
        seen, flat = tried.joints[:, :22, [0, 2]], eyes[:, [0, 2]]
        if ((seen - flat[:, None]) ** 2).sum(-1).min() < (OFF_CAMERA * apart) ** 2:
            continue
        before = sight(seen[:, 0], first.joints[:, 0, [0, 2]], flat) < 0.5 * apart
        if before.mean() <= 0.25:
            return tried
    return None
