"""Coarser meshes for bodies seen from afar: a triangle smaller than a pixel costs as much as one of twenty.

Vertices are left out, never moved, so that a coarser mesh is a choice of the finer one's vertices: all that is known of
these (positions, texture coordinates, parts, shade) stays valid. Edges collapse onto one of their ends, least error first
(Garland and Heckbert 1997); the error is the largest over some poses of the body (after Mohr and Gleicher 2003), so that
joints which bend keep the vertices they bend with. Seams of the texture and borders of parts stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Singles = NDArray[np.float32]
DEVIATION, EDGE = 0.4, 6.5  # pixels: how far a coarse mesh may leave the fine one, and how long its edges may be
SLIVER = 0.03  # least area of a new face in squares of its longest edge (an equilateral triangle has 0.43)


@dataclass
class Coarsening:
    """A mesh on its way.

    Attributes:
        corners: (F, 3) drawn vertices, that is vertices with their texture coordinates and part.
        source: (N,) vertex of each drawn vertex.
        poses: (S, V, 3) metres.
        planes: (S, V, 10) upper triangle of the sum of ``area * (n, d) (n, d)^T`` over the planes that a vertex stands for.
        area: (S, V) of these.
    """

    corners: Ints
    source: Ints
    poses: Singles
    planes: Singles
    area: Singles


def begin(corners: Ints, source: Ints, poses: Singles) -> Coarsening:
    """The whole mesh; see :class:`Coarsening` for the arguments."""
    faces = source[corners]
    first = poses[:, faces[:, 0]]
    normal = _cross(poses[:, faces[:, 1]] - first, poses[:, faces[:, 2]] - first)
    twice = np.sqrt((normal * normal).sum(-1))
    plane = np.concatenate([normal, -(normal * first).sum(-1, keepdims=True)], -1)
    plane /= np.maximum(twice, np.float32(1e-20))[..., None]
    i, j = np.triu_indices(4)
    products = plane[..., i] * plane[..., j] * (twice / 2)[..., None]
    planes, area = np.zeros((*poses.shape[:2], 10), np.float32), np.zeros(poses.shape[:2], np.float32)
    for corner in range(3):
        np.add.at(planes.swapaxes(0, 1), faces[:, corner], products.swapaxes(0, 1))
        np.add.at(area.T, faces[:, corner], twice.T / 2)
    return Coarsening(corners, source, poses, planes, area)


def coarsen(mesh: Coarsening, pixel: float) -> None:
    """Collapse, in place, what pixels ``pixel`` metres wide do not show."""
    refused = np.zeros(0, np.int64)
    while True:
        done, more = _round(mesh, (DEVIATION * pixel) ** 2, (EDGE * pixel) ** 2, refused)
        refused = np.union1d(refused, more)
        if not done and not len(more):
            return


def _round(mesh: Coarsening, limit: float, longest: float, refused: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """Collapse the best edges of which no two lie near each other; how many, and keys of edges that must not collapse."""
    count = mesh.poses.shape[1]
    faces = mesh.source[mesh.corners]
    start, end = faces.ravel(), np.roll(faces, -1, 1).ravel()
    key = start * count + end
    edges, moves = _movable(mesh, start, end, key)
    edges = edges[~np.isin(key[edges], refused)]
    a, b = start[edges], end[edges]
    length = ((mesh.poses[:, a] - mesh.poses[:, b]) ** 2).sum(-1).max(0)
    total = np.maximum(mesh.area[:, a] + mesh.area[:, b], np.float32(1e-20))
    error = (_distance2(mesh.planes[:, a] + mesh.planes[:, b], mesh.poses[:, b]) / total).max(0)
    good = (error <= limit) & (length <= longest)
    edges, cost = edges[good], error[good] / limit + 0.3 * length[good] / longest
    best = np.lexsort((cost, start[edges]))
    best = best[np.diff(start[edges][best], prepend=-1) > 0]  # of each vertex
    edges, cost = edges[best], cost[best]
    fine = _sound(mesh, faces, start, end, edges, longest)
    bad, edges, cost = key[edges[~fine]], edges[fine], cost[fine]
    edges = edges[_apart(start, end, start[edges], cost, count)]
    _collapse(mesh, edges, moves, start[edges], end[edges])
    return len(edges), bad


def _movable(mesh: Coarsening, start: Ints, end: Ints, key: NDArray[np.int64]) -> tuple[Ints, Ints]:
    """Half edges whose start may move to their end; and for all of them, which drawn vertices become which, (4, E).

    Borders of the mesh and vertices where more than two charts or parts meet stay; one on a seam may move along it.
    """
    count = mesh.poses.shape[1]
    order = np.argsort(key)
    twin = order[np.minimum(np.searchsorted(key[order], end * count + start), len(key) - 1)]
    paired = key[twin] == end * count + start
    own, other = mesh.corners.ravel(), np.roll(mesh.corners, -1, 1).ravel()
    charts = np.bincount(mesh.source[np.unique(own)], minlength=count)
    charts[start[~paired]] = charts[end[~paired]] = 3
    beside, beyond = other[twin], own[twin]  # the same two vertices, as the face on the other side draws them
    along = np.where(charts[start] == 1, other == beyond, own != beside)
    return np.flatnonzero(paired & (charts[start] <= 2) & along), np.stack([own, other, beside, beyond])


def _apart(start: Ints, end: Ints, moved: Ints, cost: Singles, count: int) -> NDArray[np.bool_]:
    """Which of the vertices ``moved`` cost least among all within two edges."""
    rank = np.full(count, count, np.intp)
    rank[moved[np.argsort(cost, kind="stable")]] = np.arange(len(moved))
    least = rank
    for _ in range(2):
        around = least.copy()
        np.minimum.at(around, start, least[end])
        np.minimum.at(around, end, least[start])
        least = around
    return np.asarray(rank[moved] == least[moved])


def _collapse(mesh: Coarsening, edges: Ints, moves: Ints, a: Ints, b: Ints) -> None:
    becomes = np.arange(len(mesh.source))
    becomes[moves[0, edges]] = moves[1, edges]
    becomes[moves[2, edges]] = moves[3, edges]
    mesh.corners = becomes[mesh.corners]
    faces = mesh.source[mesh.corners]
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    mesh.corners = mesh.corners[whole]
    mesh.planes[:, b] += mesh.planes[:, a]
    mesh.area[:, b] += mesh.area[:, a]


def _sound(mesh: Coarsening, faces: Ints, start: Ints, end: Ints, edges: Ints, longest: float) -> NDArray[np.bool_]:
    """Which collapses, each for itself, turn no face over, make no sliver or long edge, and keep the mesh a surface."""
    a, b, count = start[edges], end[edges], mesh.poses.shape[1]
    target = np.full(count, -1, np.intp)
    target[a] = np.arange(len(a))
    which = target[faces].ravel()
    at = np.flatnonzero(which >= 0)
    which, face, corner = which[at], at // 3, at % 3
    one, two = faces[face, (corner + 1) % 3], faces[face, (corner + 2) % 3]
    stays = (one != b[which]) & (two != b[which])
    which, one, two = which[stays], one[stays], two[stays]
    bad = np.zeros(len(a), bool)
    for pose in mesh.poses:
        side, reach = pose[two] - pose[one], pose[b[which]] - pose[one]
        before, after = _cross(side, pose[a[which]] - pose[one]), _cross(side, reach)
        wide = np.max([(v * v).sum(1) for v in (side, reach, pose[b[which]] - pose[two])], axis=0)
        thin = np.sqrt((after * after).sum(1)) < 2 * SLIVER * wide
        bad[which[((before * after).sum(1) <= 0) | thin | (wide > longest)]] = True
    # Link condition: the ends share exactly the two vertices opposite to their edge.
    mine = target[start]
    around = np.flatnonzero(mine >= 0)
    shared = np.isin(b[mine[around]] * count + end[around], start * count + end)
    return ~bad & (np.bincount(mine[around][shared], minlength=len(a)) == 2)


def _cross(u: Singles, v: Singles) -> Singles:
    (ux, uy, uz), (vx, vy, vz) = np.moveaxis(u, -1, 0), np.moveaxis(v, -1, 0)
    return np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], -1)


def _distance2(planes: Singles, point: Singles) -> Singles:
    """``(p, 1)^T Q (p, 1)`` of (..., 10) and (..., 3)."""
    x, y, z = np.moveaxis(point, -1, 0)
    xx, xy, xz, xd, yy, yz, yd, zz, zd, dd = np.moveaxis(planes, -1, 0)
    squares = xx * x * x + yy * y * y + zz * z * z + dd
    mixed = xy * x * y + xz * x * z + yz * y * z + xd * x + yd * y + zd * z
    return np.asarray(np.maximum(squares + 2 * mixed, 0), np.float32)
