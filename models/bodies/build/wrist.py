"""Cut the hand from Anny's mesh along an edge loop around the wrist, so that its border is one clean ring."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from .anny_source import AnnySource

CUT = 0.11
"""How far up the arm from the wrist joint the ring should lie, as a share of the distance from wrist to middle fingertip."""


@dataclass(frozen=True)
class HandMesh:
    """``kept`` (V,) source vertices; ``faces`` (F, 3); ``uv_faces`` (F, 3) into ``uv`` (T, 2), v growing downwards;
    ``ring`` (R,) the vertices of the border in their order around the wrist."""

    kept: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    ring: np.ndarray


def cut_hand(source: AnnySource, points: np.ndarray) -> HandMesh:
    """The source's right or left hand beyond the ring of edges nearest to :data:`CUT`.

    Args:
        points: (source vertices, 3) a typical flat hand, wrist at the origin, arm along -X or +X, metres.
    """
    hand = np.flatnonzero(source.weights[:, 1:].sum(1) > 0.5)
    reach = np.abs(points[hand, 0]).max()
    outward = np.sign(points[hand, 0].mean())
    quads = quads_of(source.faces)
    ring = nearest_ring(quads, points, np.array([-outward * CUT * reach, 0.0, 0.0]), reach / 2)
    start = int(np.flatnonzero((source.faces == hand[0]).any(1))[0])
    inside = flood(source.faces, start, ring)
    kept, faces = np.unique(source.faces[inside], return_inverse=True)
    used, uv_faces = np.unique(source.uv_faces[inside], return_inverse=True)
    return HandMesh(
        kept=kept,
        faces=faces.reshape(-1, 3),
        uv=pack(source.uv[used] * (1, -1) + (0, 1), uv_faces.reshape(-1, 3)),
        uv_faces=uv_faces.reshape(-1, 3),
        ring=np.searchsorted(kept, ring),
    )


def quads_of(faces: np.ndarray) -> np.ndarray:
    """The quadrangles (F / 2, 4) from which consecutive pairs of triangles (F, 3) were made, corners in order."""
    first, second = faces[0::2], faces[1::2]
    shared = (first[:, :, None] == second[:, None, :]).any(2)
    assert (shared.sum(1) == 2).all(), "the triangles are not pairs"
    lone = (~shared).argmax(1)
    rolled = np.take_along_axis(first, (lone[:, None] + np.arange(3)) % 3, 1)  # lone corner, then the diagonal
    other = second[~(second[:, :, None] == first[:, None, :]).any(2)]
    return np.stack([rolled[:, 0], rolled[:, 1], other, rolled[:, 2]], 1)


def nearest_ring(quads: np.ndarray, points: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """The closed edge loop (R,) around the arm whose centre lies nearest to ``centre`` along the arm's axis, X.

    Args:
        quads: (Q, 4). points: (V, 3). radius: only loops that stay this near to the centre are taken.
    """
    near = np.linalg.norm(points - centre, axis=1) < radius
    around = _edges_around(quads[near[quads].all(1)])
    found: list[tuple[float, list[int]]] = []
    done: set[tuple[int, int]] = set()
    for start, ends in around.items():
        for end in ends:
            if (start, end) in done:
                continue
            ring = _walk(around, start, end)
            done |= set(zip(ring, ring[1:] + ring[:1], strict=True)) if ring else {(start, end)}
            if ring and _encircles(points[ring], centre):
                found.append((abs(float(points[ring, 0].mean() - centre[0])), ring))
    assert found, "no closed edge loop runs around the wrist"
    return np.array(min(found)[1])


def _edges_around(quads: np.ndarray) -> dict[int, dict[int, set[int]]]:
    """For each vertex, its neighbours along edges, each with the quadrangles on both sides of that edge."""
    around: dict[int, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for number, corners in enumerate(quads.tolist()):
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            around[a][b].add(number)
            around[b][a].add(number)
    return {vertex: dict(ends) for vertex, ends in around.items()}


def _walk(around: dict[int, dict[int, set[int]]], start: int, end: int) -> list[int]:
    """Follow an edge straight on through vertices of four edges; empty unless it comes back to where it began."""
    ring = [start]
    before, here = start, end
    while here != start:
        ends = around[here]
        if len(ends) != 4 or len(ring) > 200:
            return []
        ring.append(here)
        ahead = [vertex for vertex, quads in ends.items() if not quads & ends[before]]
        if len(ahead) != 1:
            return []
        before, here = here, ahead[0]
    return ring if len(set(ring)) == len(ring) else []


def _encircles(ring: np.ndarray, centre: np.ndarray) -> bool:
    """Whether points (R, 3) run once around the line through ``centre`` along X."""
    y, z = (ring - centre)[:, 1:].T
    turns = np.diff(np.unwrap(np.append(np.arctan2(y, z), np.arctan2(y[0], z[0])))).sum() / (2 * np.pi)
    return abs(abs(turns) - 1) < 1e-6


def flood(faces: np.ndarray, start: int, ring: np.ndarray) -> np.ndarray:
    """Mask (F,) of the triangles reached from triangle ``start`` across edges that are not on the closed loop ``ring``."""
    wall = {frozenset(edge) for edge in zip(ring.tolist(), np.roll(ring, -1).tolist(), strict=True)}
    sides: dict[frozenset[int], list[int]] = defaultdict(list)
    for number, (a, b, c) in enumerate(faces.tolist()):
        for edge in (frozenset((a, b)), frozenset((b, c)), frozenset((c, a))):
            sides[edge].append(number)
    reached = np.zeros(len(faces), bool)
    queue = [start]
    reached[start] = True
    while queue:
        a, b, c = faces[queue.pop()].tolist()
        for edge in (frozenset((a, b)), frozenset((b, c)), frozenset((c, a))):
            for number in sides[edge] if edge not in wall else ():
                if not reached[number]:
                    reached[number] = True
                    queue.append(number)
    return reached


def pack(uv: np.ndarray, uv_faces: np.ndarray, margin: float = 0.01) -> np.ndarray:
    """Texture coordinates (T, 2) in the unit square: the hand's island as large as fits; what lies
    elsewhere, a strip on the forearm's island, goes to the free corner.

    Args:
        uv: (T, 2) of the whole body's layout, v growing downwards. uv_faces: (F, 3).
    """
    island = np.arange(len(uv))
    while True:  # spread the smallest number over each island
        lowest = np.full(len(uv), len(uv))
        np.minimum.at(lowest, uv_faces.ravel(), np.repeat(island[uv_faces].min(1), 3))
        if (lowest == island).all():
            break
        island = lowest
    large = island == np.bincount(island).argmax()
    low, size = uv[large].min(0), np.ptp(uv[large], axis=0).max()
    packed = (uv - low) / size
    if not large.all():
        rest = np.stack([-packed[~large, 1], packed[~large, 0]], 1)  # a quarter turn: the strip lies down
        corner = np.array([packed[large, 0].max(), 0.0])
        packed[~large] = rest - (rest[:, 0].max(), rest[:, 1].min()) + corner
    return margin + (1 - 2 * margin) * packed
