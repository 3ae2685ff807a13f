"""Shade between fingers, palm and things: the share of the room's light that reaches each vertex.

Fingers count as spheres along their bones (Bunnell 2005 has the idea, with discs): each takes from a point the share of
the hemisphere that it covers, weighted by the cosine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....models.bodies.hand_draws import RADII_MM

Floats = NDArray[np.floating]
STRENGTH, LEAST = 0.85, 0.22


def spheres(joints: Floats, tips: Floats, scale: float) -> tuple[Floats, Floats]:
    """Centres (S, 3) and radii (S,) in metres of spheres that fill a hand: two to a finger bone, nine in the palm."""
    starts = joints[1:].reshape(5, 3, 3)
    ends = np.concatenate([starts[:, 1:], (0.25 * starts[:, 2] + 0.75 * tips)[:, None]], 1)
    radii = RADII_MM / 1000 * scale
    fingers = np.concatenate([starts, (starts + ends) / 2, ends[:, 2:]], 1).reshape(-1, 3)
    sizes = np.concatenate([radii, radii, radii[:, 2:] * 0.85], 1).reshape(-1)
    knuckles = joints[[1, 4, 7, 10]]
    palm = np.concatenate([joints[0] + share * (knuckles - joints[0]) for share in (0.45, 0.75)])
    centres = np.concatenate([fingers, palm, joints[:1]])
    return centres.astype(np.float32), np.concatenate([sizes, np.full(9, 0.0135 * scale)]).astype(np.float32)


def reaching(points: Floats, normals: Floats, centres: Floats, radii: Floats) -> NDArray[np.float32]:
    """Share (V,) float32 of the ambient light that spheres leave to points (V, 3) with unit normals (V, 3)."""
    middle = centres.mean(0)
    p, c, n = (part.astype(np.float32) for part in (points - middle, centres - middle, normals))
    own, one = np.einsum("vi,vi->v", p, p)[:, None], np.ones((len(c), 1), np.float32)
    squared = (
        np.concatenate([-2 * p, own, np.ones_like(own)], 1) @ np.concatenate([c, one, (c * c).sum(1)[:, None]], 1).T
    )
    inverse = np.reciprocal(np.maximum(squared, np.float32(1e-8), out=squared), out=squared)
    facing = np.concatenate([n, -np.einsum("vi,vi->v", n, p)[:, None]], 1) @ np.concatenate([c, one], 1).T
    covered = np.maximum(facing, 0, out=facing)
    covered *= np.sqrt(inverse)
    inverse *= radii.astype(np.float32) ** 2
    covered *= np.minimum(inverse, 1, out=inverse)
    free = 1 - np.float32(STRENGTH) * (covered @ one)[:, 0]
    return np.asarray(np.maximum(free, np.float32(LEAST)), np.float32)
