"""How loose cloth hangs: how far it stands off a body at rest, so that clothes hide the figure as clothes do.

A part of the body (trunk, a leg, an arm) is a tube about an axis. Cloth that falls along it is at every place at least as
wide as what it passed further up, less a little taper: hollows of the waist, the knee and the calf are spanned.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse

from ..scenes.scene import Topology
from .bodymap import BodyMap, Singles

STROKES = 14
"""Of the smoothing that lets cloth span hollows."""
_ROUND, _TAPER = 24, 0.10
_LEGS, _ARMS = ((1, 4, 7), (2, 5, 8)), ((16, 18, 20), (17, 19, 21))
_TRUNK = (0, 1, 2, 3, 6, 9, 13, 14)


@dataclass(frozen=True)
class Hang:
    """Metres (V,) by which cloth that falls freely would stand off trunk, legs and arms; 0 elsewhere."""

    trunk: Singles
    legs: Singles
    arms: Singles


def measure_hang(body: BodyMap) -> Hang:
    """The gaps of one body at rest; computed once."""
    p, joints, metre = body.vertices, body.joints, body.height / 1.7
    x, y, z = p.position.T
    count = len(p.joint)
    trunk, legs, arms = (np.zeros(count, np.float32) for _ in range(3))
    on = np.flatnonzero(np.isin(p.joint, _TRUNK) & (y < joints[12, 1] - 0.10 * metre))
    middle = float(joints[[0, 3, 6], 2].mean())
    trunk[on] = _gap(joints[12, 1] - y[on], x[on], z[on] - middle, 0.5 * metre)
    for hip, knee, ankle in _LEGS:
        on = np.flatnonzero(np.isin(p.joint, (hip, knee, ankle)) & (p.leg > 0.12) & (p.leg < 1.02))
        a, b = joints[hip], joints[ankle]
        share = ((a[1] - y[on]) / (a[1] - b[1]))[:, None]
        centre = a + share * (b - a)
        legs[on] = _gap(a[1] - y[on], x[on] - centre[:, 0], z[on] - centre[:, 2], 0.45 * metre)
    for shoulder, elbow, wrist in _ARMS:
        on = np.flatnonzero(np.isin(p.joint, (shoulder, elbow, wrist)) & (p.arm > 0.12))
        height, depth = joints[[shoulder, elbow, wrist], 1].mean(), joints[[shoulder, elbow, wrist], 2].mean()
        arms[on] = _gap(np.abs(x[on]), y[on] - height, z[on] - depth, 0.30 * metre)
    return Hang(trunk, legs, arms)


def _gap(along: Singles, across: Singles, forward: Singles, reach: float) -> Singles:
    """Distances (n,) from a tube's points to cloth that falls along it, ``reach`` metres at most from what holds it out."""
    step = reach / 20
    row = ((along - along.min()) / step).astype(int)
    column = np.floor((np.arctan2(across, forward) / (2 * np.pi) + 0.5) * _ROUND).astype(int) % _ROUND
    radius = np.hypot(across, forward).astype(np.float32)
    grid = np.zeros((row.max() + 1, _ROUND), np.float32)
    np.maximum.at(grid, (row, column), radius)
    grid = np.maximum(grid, np.stack([np.roll(grid, k, 1) for k in (-1, 1)]).min(0))  # cells that hold no vertex
    hung = grid.copy()
    for rows in range(1, 21):
        hung[rows:] = np.maximum(hung[rows:], grid[:-rows] - _TAPER * step * rows)
    wide = np.concatenate([hung[:, -3:], hung, hung[:, :3]], 1)
    soft = np.asarray(cv2.GaussianBlur(wide, (0, 0), 1.1, borderType=cv2.BORDER_REPLICATE), np.float32)[:, 3:-3]
    return (0.04 * np.tanh(np.maximum(soft[row, column] - radius, 0) / 0.04)).astype(np.float32)


def neighbour_mean(topology: Topology) -> scipy.sparse.csr_matrix:
    """Matrix (V, V) that gives each vertex the mean of its neighbours."""
    faces, count = topology.faces.astype(np.int64), topology.vertex_count
    edges = np.concatenate([faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2))])
    near = scipy.sparse.csr_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    near.data[:] = 1.0
    return scipy.sparse.csr_matrix(scipy.sparse.diags(1 / np.maximum(np.asarray(near.sum(1)).ravel(), 1)) @ near)


def smoothed(mean: scipy.sparse.csr_matrix, amount: Singles, points: Singles, strokes: int = STROKES) -> Singles:
    """Points (V, 3) moved again and again by ``amount`` (V,) 0..1 towards the mean of their neighbours."""
    share = amount[:, None]
    for _ in range(strokes):
        points = points + share * (mean @ points - points)
    return points.astype(np.float32)


def smoothing(mean: scipy.sparse.csr_matrix, amount: Singles, strokes: int = STROKES) -> scipy.sparse.csr_matrix:
    """:func:`smoothed` as a matrix (V, V), for bodies that are smoothed in their pose."""
    weight = scipy.sparse.diags(amount.astype(np.float64))
    step = scipy.sparse.identity(len(amount)) - weight + weight @ mean
    whole = scipy.sparse.identity(len(amount), format="csr")
    for _ in range(strokes):
        whole = step @ whole
    return scipy.sparse.csr_matrix(whole, dtype=np.float32)
