"""Shoes over bare feet: each foot swells to its convex hull, so that no toes show, and goes along with the posed foot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from .bodymap import BodyMap

Singles = NDArray[np.float32]
_FEET = ((7, 10), (8, 11))  # SMPL's ankle and foot joint, left and right
_LEATHER = 0.004
"""Thickness of a shoe as a share of the body's height."""


@dataclass(frozen=True)
class Shoe:
    """A shoe's back or front, which move rigidly.

    Attributes:
        vertices: (n,) of the body, in the shoe. rest: (n, 3) their places on the template, metres.
        offset: (n, 3) from there to the shoe, metres, in the template's axes.
    """

    vertices: NDArray[np.intp]
    rest: Singles
    offset: Singles


def make_shoes(body: BodyMap, amount: Singles) -> tuple[Shoe, ...]:
    """Shoes for both feet of the template; ``amount`` (V,) fades from 0 at the ankle to 1, and is 0 all over bare feet."""
    made: list[Shoe] = []
    if not np.any(amount > 0):
        return ()
    for joints in _FEET:
        rows = np.flatnonzero(np.isin(body.vertices.joint, joints) & (amount > 0))
        rest = body.vertices.position[rows]
        offset = (_to_hull(rest, _LEATHER * body.height) * amount[rows, None]).astype(np.float32)
        for joint in joints:  # the toes bend
            part = body.vertices.joint[rows] == joint
            made.append(Shoe(rows[part], rest[part], offset[part]))
    return tuple(made)


def _to_hull(points: Singles, beyond: float) -> NDArray[np.float64]:
    """Offsets (n, 3) of a foot's points, away from a line along the foot (z), to ``beyond`` metres outside its convex hull."""
    low, high = points.min(0), points.max(0)
    half = 0.5 * (high[0] - low[0])
    along = np.clip(points[:, 2], low[2] + half, high[2] - 2.5 * half)  # well behind the toes
    axis = np.column_stack([np.full(len(points), (low[0] + high[0]) / 2), np.zeros(len(points)), along])
    axis[:, 1] = low[1] + 0.5 * half
    outward = points - axis
    length = np.maximum(np.linalg.norm(outward, axis=1), 1e-9)
    planes = ConvexHull(points.astype(np.float64)).equations
    rate = (outward / length[:, None]) @ planes[:, :3].T
    room = -(axis @ planes[:, :3].T + planes[:, 3])
    reach = np.where(rate > 1e-9, room / np.maximum(rate, 1e-9), np.inf).min(1)
    return outward * np.maximum((reach + beyond) / length - 1, 0)[:, None]


def put_on(points: Singles, shoes: tuple[Shoe, ...]) -> Singles:
    """Posed vertices (V, 3) with the feet in their shoes, which turn and grow with them (Umeyama 1991)."""
    worn = points.copy()
    for shoe in shoes:
        posed = points[shoe.vertices].astype(np.float64)
        a, b = shoe.rest - shoe.rest.mean(0), posed - posed.mean(0)
        u, s, vt = np.linalg.svd(b.T @ a)
        s[2] *= np.sign(np.linalg.det(u @ vt))
        u[:, 2] *= np.sign(np.linalg.det(u @ vt))
        scale = s.sum() / (a**2).sum()
        worn[shoe.vertices] += (scale * shoe.offset @ (u @ vt).T).astype(np.float32)
    return worn
