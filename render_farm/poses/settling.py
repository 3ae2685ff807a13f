"""Rigid bodies come to rest on a plane: onto the facet of the convex hull that carries the centre of mass, by rolling.

Of the hull only what is rolled over is ever found, by gift wrapping (Chand and Kapur 1970): turn a plane about an edge until it
meets a point. All bodies of a block roll at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.turns import cross, level_turns

Floats = NDArray[np.floating]
Rows = NDArray[np.intp]
_X = np.array([1.0, 0.0, 0.0])
_ROLLS, _FACETS = 60, 24
"""Facets that a body rolls over, and facets about its lowest point that are looked at, at most."""


@dataclass(frozen=True)
class _Facets:
    """One facet of each body: corners (B, 3), numbers of points, and its outward normal (B, 3)."""

    corners: Rows
    normal: Floats

    def at(self, rows: Rows) -> _Facets:
        """Those of some bodies."""
        return _Facets(self.corners[rows], self.normal[rows])

    def put(self, rows: Rows, other: _Facets) -> None:
        """Replace those of some bodies."""
        self.corners[rows], self.normal[rows] = other.corners, other.normal


def settle(points: Floats, mass: Floats, limit: float | Floats) -> Floats:
    """Rotations by which rigid bodies settle onto the plane beneath them.

    A body lies on the facet of its convex hull beneath it and tips over the edge nearest to the centre of mass until the
    centre of mass is above the facet it lies on; the potential energy falls with each roll.

    Args:
        points: (B, P, 3) world metres, or (P, 3) of one body. mass: (P,) summing to one.
        limit: largest rotation in degrees, of each or of all; a body that needs more stays on its first facet, held.

    Returns:
        (B, 3, 3), or (3, 3).
    """
    if points.ndim == 2:
        return settle(points[None], mass, limit)[0]
    centre = np.einsum("p,bpi->bi", mass, points)
    inside = points.mean(1)
    first = _beneath(points, inside)
    facets = first.at(np.arange(len(points)))
    rolling = np.arange(len(points))
    for _ in range(_ROLLS):
        under = facets.at(rolling)
        shares = _barycentric(points[rolling], under, centre[rolling])
        over = np.flatnonzero(shares.min(1) < -1e-9)
        rolling = rolling[over]
        if not len(rolling):
            break
        facets.put(rolling, _across(points[rolling], inside[rolling], under.at(over), shares[over].argmin(1)))
    rotation, angle = _to_down(facets.normal)
    held, held_angle = _to_down(first.normal)
    rests, stays = angle <= limit, held_angle <= limit
    return np.where(rests[:, None, None], rotation, np.where(stays[:, None, None], held, np.eye(3)))


def _beneath(points: Floats, inside: Floats) -> _Facets:
    """The facet at the lowest point that looks down most."""
    rows = np.arange(len(points))
    low = points[..., 1].argmin(1)
    # A horizontal plane through the lowest point turns about the x axis until it meets a second one: their edge is the hull's.
    gap = points - points[rows, low][:, None]
    second = _first_met(gap[..., 1], gap[..., 2], low[:, None])
    slope = points[rows, second] - points[rows, low]
    normal = _unit(cross(slope, _X) * np.where(slope[:, 2:] > 0, -1.0, 1.0))
    best = _met(points, inside, np.stack([low, second], 1), normal, _unit(cross(_unit(slope), normal)))
    facets, going = best.at(rows), rows
    for _ in range(_FACETS):  # round the lowest point
        facets = _across(points[going], inside[going], facets, np.ones(len(going), np.intp))
        better = np.flatnonzero(facets.normal[:, 1] < best.normal[going, 1])
        best.put(going[better], facets.at(better))
        further = np.flatnonzero(facets.corners[:, 2] != second[going])
        facets, going = facets.at(further), going[further]
        if not len(going):
            break
    return best


def _across(points: Floats, inside: Floats, facets: _Facets, corner: Rows) -> _Facets:
    """The facets beyond the edges that lie opposite of one ``corner`` (B,) of 0, 1, 2: those facets' first two corners."""
    rows = np.arange(len(points))
    ahead, behind = (np.where(corner == 0, k, np.where(corner == 1, m, n)) for k, m, n in ((1, 0, 0), (2, 2, 1)))
    edge = np.stack([facets.corners[rows, ahead], facets.corners[rows, behind]], 1)
    start, end = points[rows, edge[:, 0]], points[rows, edge[:, 1]]
    away = _unit(cross(end - start, facets.normal))
    inner = points[rows, facets.corners[rows, corner]] - start
    away = away * np.where(np.einsum("bi,bi->b", away, inner) > 0, -1.0, 1.0)[:, None]
    return _met(points, inside, edge, facets.normal, away)


def _met(points: Floats, inside: Floats, edge: Rows, normal: Floats, away: Floats) -> _Facets:
    """What planes of an outward ``normal`` meet first as they turn about an edge (B, 2), from the direction ``away`` on."""
    rows = np.arange(len(points))
    start, end = points[rows, edge[:, 0]], points[rows, edge[:, 1]]
    ways = np.stack([-normal, away], 2)
    gap = points @ ways - (start[:, None] @ ways)
    third = _first_met(gap[..., 0], gap[..., 1], edge)
    outward = _unit(cross(end - start, points[rows, third] - start))
    outward = outward * np.where(np.einsum("bi,bi->b", outward, inside - start) > 0, -1.0, 1.0)[:, None]
    return _Facets(np.concatenate([edge, third[:, None]], 1), outward)


def _first_met(height: Floats, ahead: Floats, without: Rows) -> Rows:
    """Points (B,) with the smallest angle over a plane, from heights above it and ways along it (B, P)."""
    score = ahead / np.maximum(height, 1e-12)
    np.put_along_axis(score, without, -np.inf, 1)
    return np.asarray(score.argmax(1))


def _barycentric(points: Floats, facets: _Facets, centre: Floats) -> Floats:
    """Barycentric coordinates (B, 3) of the centre of mass, seen along the facets' normals."""
    corners = np.take_along_axis(points, facets.corners[..., None], 1)
    whole = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    gap = corners - centre[:, None]
    parts = cross(gap[:, [1, 2, 0]], gap[:, [2, 0, 1]])
    area = np.einsum("bi,bi->b", whole, facets.normal)
    return np.asarray(np.einsum("bki,bi->bk", parts, facets.normal) / area[:, None])


def _to_down(normal: Floats) -> tuple[Floats, Floats]:
    """Smallest rotations (B, 3, 3) that take unit vectors (B, 3) to (0, -1, 0), and their angles in degrees."""
    x, y, z = normal.T
    sine, cosine = np.hypot(x, z), -y
    flat = sine < 1e-9
    a, c = z / np.maximum(sine, 1e-9), -x / np.maximum(sine, 1e-9)  # the axis (a, 0, c): normal x down
    turn = level_turns(a, c, cosine, sine)
    turn[flat] = np.where((cosine > 0)[flat, None, None], np.eye(3), np.diag([1.0, -1.0, -1.0]))
    return turn, np.where(flat, np.where(cosine > 0, 0.0, 180.0), np.degrees(np.arctan2(sine, cosine)))


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(-1, keepdims=True)), 1e-300)
