"""Taut cloth: where cloth would lie if it bridged the hollows of a body instead of lining them."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from .points import Points, Singles

_STROKES = 14
_DEEPEST = 0.010  # share of the body's height that cloth bridges at most
# Joints of an extremity, the measure along it, and where taut cloth begins and has left the skin for good.
_EXTREMITIES = (
    ((7, 10), "leg", 0.93, 0.99),
    ((8, 11), "leg", 0.93, 0.99),
    ((20, 22), "arm", 1.0, 1.12),
    ((21, 23), "arm", 1.0, 1.12),
)


def taut_cloth(template: Singles, faces: NDArray[np.integer], p: Points) -> Singles:
    """Way of each vertex (V, 3), metres, from the skin to taut cloth, in the rest pose.

    Trunk and limbs: outwards to a smoothed body, where that lies outside. Feet and hands: onto the convex hull of all
    toes and of all fingers, as in a sock and a mitten.
    """
    height = float(np.ptp(template[:, 1]))
    smooth = _relaxed(template.astype(np.float64), faces)
    outwards = np.clip(((smooth - template) * p.normal).sum(1), 0, _DEEPEST * height)
    way = outwards[:, None] * p.normal
    for joints, measure, start, whole in _EXTREMITIES:
        along = getattr(p, measure)
        rows = np.flatnonzero(np.isin(p.joint, joints) & (along > start))
        if len(rows) < 8:
            continue
        share = np.clip((along[rows] - start) / (whole - start), 0, 1)
        wrapped = _wrap(template[rows].astype(np.float64))
        way[rows] = share[:, None] * (wrapped - template[rows]) + (1 - share[:, None]) * way[rows]
    return np.asarray(way, np.float32)


def _relaxed(points: NDArray[np.float64], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """Vertices moved again and again halfway to the mean of their neighbours."""
    count = len(points)
    edges = np.concatenate([faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2))])
    near = scipy.sparse.csr_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    near.data[:] = 1.0
    mean = scipy.sparse.diags(1 / np.maximum(np.asarray(near.sum(1)).ravel(), 1)) @ near
    for _ in range(_STROKES):
        points = 0.5 * points + 0.5 * (mean @ points)
    return points


def _wrap(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 3) sent away from their middle onto their convex hull."""
    hull = ConvexHull(points)
    centre = points[hull.vertices].mean(0)
    rays = points - centre
    along = rays @ hull.equations[:, :3].T  # (N, planes)
    room = -(hull.equations[:, 3] + hull.equations[:, :3] @ centre)  # distance of the centre to each plane
    reach = np.where(along > 1e-9, room / np.maximum(along, 1e-9), np.inf).min(1)
    return centre + rays * np.minimum(np.maximum(reach, 1.0), 6.0)[:, None]
