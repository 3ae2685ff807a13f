"""Symmetric decimation of a closed, mirror-symmetric triangle mesh to a subset of its vertices.

Half-edge collapses in the order of quadric error (Garland and Heckbert 1997): a vertex moves onto a neighbour, so every
vertex that stays is one of the source's, and shapes, weights and errors carry over without interpolation. A collapse is
done together with its mirror image. Texture seams stay whole: a vertex on a seam may only move along it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

EDGE_SHARE = 0.01
"""A collapse counts as if it moved the surface by this share of the edge's length, besides its quadric error."""
WEIGHT_SHARE = 0.06
"""Further share for each unit of difference in skinning weights: keeps vertices where bodies bend."""
MAX_EDGE = 0.022
"""Longest edge that a collapse may make on an infant, metres; longer ones show as corners at elbows, knees and crown."""
MAX_VALENCE = 10
MIN_COSINE = 0.4
"""Cosine of the largest turn of a triangle's normal."""
MIN_SHAPE = 0.12
"""Smallest quality of a triangle a collapse may make: 4 sqrt(3) area / sum of squared edges, 1 if equilateral."""


@dataclass
class Decimation:
    """State of a running decimation. Arrays are indexed by source vertex; dead faces are None."""

    points: np.ndarray
    uv: np.ndarray
    mirror: np.ndarray
    weights: np.ndarray
    faces: list[tuple[int, int, int] | None]
    uv_faces: list[tuple[int, int, int]]
    quadrics: np.ndarray
    areas: np.ndarray
    max_edge: float
    around: list[set[int]] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)

    def neighbours(self, vertex: int) -> set[int]:
        """Vertices that share an edge with ``vertex``."""
        ring: set[int] = set()
        for face in self.around[vertex]:
            ring.update(self._face(face))
        ring.discard(vertex)
        return ring

    def _face(self, face: int) -> tuple[int, int, int]:
        corners = self.faces[face]
        assert corners is not None
        return corners

    def cost(self, a: int, b: int) -> float:
        """Price of moving ``a`` onto ``b``: area times squared displacement, m^4."""
        place = np.append(self.points[b], 1.0)
        error = float(place @ (self.quadrics[a] + self.quadrics[b]) @ place)
        gap = self.points[a] - self.points[b]
        change = float(np.abs(self.weights[a] - self.weights[b]).sum()) / 2
        share = EDGE_SHARE + WEIGHT_SHARE * change
        return max(error, 0.0) + float(self.areas[a]) * share**2 * float(gap @ gap)

    def texture_map(self, a: int, b: int) -> dict[int, int] | None:
        """Which texture coordinate of ``b`` replaces each one of ``a``; None where the seams forbid the collapse."""
        replaced: dict[int, int] = {}
        for face in self.around[a] & self.around[b]:
            corners, texture = self._face(face), self.uv_faces[face]
            old, new = texture[corners.index(a)], texture[corners.index(b)]
            if replaced.setdefault(old, new) != new:
                return None
        mine = {self.uv_faces[face][self._face(face).index(a)] for face in self.around[a]}
        return replaced if mine == set(replaced) else None

    def allowed(self, a: int, b: int) -> bool:
        """Whether moving ``a`` onto ``b`` keeps the surface closed, unfolded in space and texture, and well shaped."""
        if self.mirror[a] == a and self.mirror[b] != b:
            return False
        shared = self.around[a] & self.around[b]
        ring_a, ring_b = self.neighbours(a), self.neighbours(b)
        if len(shared) != 2 or len(ring_a & ring_b) != 2 or self.mirror[a] in ring_a:
            return False
        if len(ring_a | ring_b) - 2 > MAX_VALENCE:
            return False
        replaced = self.texture_map(a, b)
        if replaced is None:
            return False
        faces = sorted(self.around[a] - shared)
        corners = np.array([self._face(f) for f in faces])
        moved = np.where(corners == a, b, corners)
        texture = np.array([self.uv_faces[f] for f in faces])
        new_texture = np.vectorize(lambda t: replaced.get(t, t))(texture)
        return _well_shaped(self.points[corners], self.points[moved], self.max_edge) and _unfolded(
            self.uv[texture], self.uv[new_texture]
        )

    def collapse(self, a: int, b: int) -> None:
        """Move ``a`` onto ``b``."""
        replaced = self.texture_map(a, b)
        assert replaced is not None
        for face in self.around[a] & self.around[b]:
            for corner in self._face(face):
                self.around[corner].discard(face)
            self.faces[face] = None
        for face in self.around[a]:
            x, y, z = (b if corner == a else corner for corner in self._face(face))
            self.faces[face] = (x, y, z)
            s, t, u = (replaced.get(corner, corner) for corner in self.uv_faces[face])
            self.uv_faces[face] = (s, t, u)
            self.around[b].add(face)
        self.around[a] = set()
        self.quadrics[b] += self.quadrics[a]
        self.areas[b] += self.areas[a]

    def best(self, a: int) -> tuple[float, int] | None:
        """Cheapest allowed collapse of ``a``, or None."""
        options = sorted((self.cost(a, b), b) for b in self.neighbours(a))
        return next(((price, b) for price, b in options if self.allowed(a, b)), None)


def _well_shaped(before: np.ndarray, after: np.ndarray, max_edge: float) -> bool:
    """Whether triangles (F, 3, 3) may become ``after``: no fold, no sliver, no long edge."""
    old = np.cross(before[:, 1] - before[:, 0], before[:, 2] - before[:, 0])
    new = np.cross(after[:, 1] - after[:, 0], after[:, 2] - after[:, 0])
    lengths = np.linalg.norm(new, axis=1)
    cosine = (old * new).sum(1) / np.maximum(np.linalg.norm(old, axis=1) * lengths, 1e-30)
    squared = ((after - np.roll(after, 1, axis=1)) ** 2).sum(-1)
    quality = 2 * np.sqrt(3) * lengths / np.maximum(squared.sum(1), 1e-30)
    return bool(cosine.min() > MIN_COSINE and quality.min() > MIN_SHAPE and squared.max() < max_edge**2)


def _unfolded(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether texture triangles (F, 3, 2) keep their orientation and do not vanish."""

    def signed(t: np.ndarray) -> np.ndarray:
        p, q = t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]
        return p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]

    old, new = signed(before), signed(after)
    return bool((old * new > 0).all() and (np.abs(new) > 1e-8).all())


def vertex_quadrics(points: np.ndarray, faces: np.ndarray, importance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quadrics (V, 4, 4) and areas (V,), each a third of the adjoining faces', scaled by ``importance`` (F,)."""
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(normal, axis=1)
    normal /= np.maximum(double, 1e-30)[:, None]
    plane = np.concatenate([normal, -(normal * corners[:, 0]).sum(1, keepdims=True)], 1)
    share = double / 6 * importance
    quadrics, areas = np.zeros((len(points), 4, 4)), np.zeros(len(points))
    for k in range(3):
        np.add.at(quadrics, faces[:, k], share[:, None, None] * plane[:, :, None] * plane[:, None])
        np.add.at(areas, faces[:, k], share)
    return quadrics, areas


def decimate(
    points: np.ndarray,
    faces: np.ndarray,
    uv_faces: np.ndarray,
    uv: np.ndarray,
    mirror: np.ndarray,
    weights: np.ndarray,
    importance: np.ndarray,
    target: int,
    max_edge: float = MAX_EDGE,
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse vertices until about ``target`` are left, or none can go.

    Args:
        points: (V, 3) symmetric positions, metres. faces, uv_faces: (F, 3). uv: (T, 2). mirror: (V,) permutation.
        weights: (V, J) skinning weights. importance: (F,) factor on a face's error; small where nobody looks.
        target: vertices to keep. max_edge: longest edge a collapse may make, metres.

    Returns:
        faces and uv_faces of the decimated mesh, in the source's numbering.
    """
    quadrics, areas = vertex_quadrics(points, faces, importance)
    work = Decimation(
        points, uv, mirror, weights, [tuple(f) for f in faces.tolist()], [tuple(f) for f in uv_faces.tolist()],
        quadrics, areas, max_edge, [set() for _ in points], [0] * len(points),
    )  # fmt: skip
    for number, corners in enumerate(faces.tolist()):
        for corner in corners:
            work.around[corner].add(number)
    alive = len(np.unique(faces))
    heap: list[tuple[float, int, int, int]] = []

    def consider(vertex: int) -> None:
        """Queue the cheapest collapse of a vertex (of the pair's first half: its mirror image follows)."""
        if vertex <= mirror[vertex] and work.around[vertex]:
            found = work.best(vertex)
            if found is not None:
                heapq.heappush(heap, (found[0], vertex, found[1], work.stamps[vertex]))

    for vertex in np.unique(faces).tolist():
        consider(vertex)
    while heap and alive > target:
        _, a, b, stamp = heapq.heappop(heap)
        if stamp != work.stamps[a] or not work.allowed(a, b):
            continue
        pair = [(a, b)] if mirror[a] == a else [(a, b), (int(mirror[a]), int(mirror[b]))]
        if len(pair) == 2 and not _independent(work, pair):
            continue
        touched: set[int] = set()
        for start, end in pair:
            work.collapse(start, end)
            touched |= work.neighbours(end) | {end}
        alive -= len(pair)
        for vertex in {v for t in touched for v in (t, int(mirror[t]))}:
            work.stamps[vertex] += 1
            consider(vertex)
    left = [i for i, face in enumerate(work.faces) if face is not None]
    return np.array([work.faces[i] for i in left]), np.array([work.uv_faces[i] for i in left])


def _independent(work: Decimation, pair: list[tuple[int, int]]) -> bool:
    """Whether two mirror collapses do not disturb each other: their vertices' surroundings share nothing."""
    (a, b), (c, d) = pair
    if not work.allowed(c, d):
        return False
    if b == d:  # both move onto the midline; their rings may meet only there
        return not ((work.neighbours(a) | {a}) & (work.neighbours(c) | {c}) - {b} - set(_midline(work, a)))
    return a != d and c != b and not (work.neighbours(a) & {c, d}) and not (work.neighbours(c) & {a, b})


def _midline(work: Decimation, vertex: int) -> list[int]:
    """Neighbours of a vertex that lie on the midline."""
    return [v for v in work.neighbours(vertex) if work.mirror[v] == v]
