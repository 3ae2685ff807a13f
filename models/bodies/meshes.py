"""Small helpers on triangle meshes; numpy."""

from __future__ import annotations

import numpy as np


def grid_atlas(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A texture layout for a mesh that has none: each pair of triangles shares a square of a grid.

    Returns:
        uv (3 count, 2) float32 in [0, 1] and uv_faces (count, 3) int32; no two triangles overlap.
    """
    side = int(np.ceil(np.sqrt((count + 1) // 2)))
    pairs = np.arange(count) // 2
    corner = np.stack([pairs % side, pairs // side], 1)[:, None]
    lower = np.array([[0.05, 0.1], [0.9, 0.95], [0.05, 0.95]])
    triangles = np.where((np.arange(count) % 2 == 0)[:, None, None], lower, 1 - lower)
    uv = ((corner + triangles) / side).reshape(-1, 2).astype(np.float32)
    return uv, np.arange(3 * count, dtype=np.int32).reshape(-1, 3)


def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3), means over the faces around each vertex weighted by area."""
    corners = points[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, faces[:, k], flat)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def distance_to_mesh(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Distance (P,) from points (P, 3) to the nearest place on a mesh's surface, in the unit of the vertices."""
    corners = vertices[faces].astype(np.float64)
    return np.array([np.sqrt(_squared_distances(np.asarray(p, np.float64), corners).min()) for p in points])


def _squared_distances(point: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Squared distance (F,) of a point to triangles (F, 3, 3): to the plane if it projects inside, else to an edge."""
    best = np.full(len(corners), np.inf)
    for k in range(3):
        start, side = corners[:, k], corners[:, (k + 1) % 3] - corners[:, k]
        along = ((point - start) * side).sum(1) / np.maximum((side**2).sum(1), 1e-30)
        gap = start + np.clip(along, 0, 1)[:, None] * side - point
        best = np.minimum(best, (gap**2).sum(1))
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inside = np.ones(len(corners), bool)
    for k in range(3):
        side = corners[:, (k + 1) % 3] - corners[:, k]
        inside &= (np.cross(side, point - corners[:, k]) * normal).sum(1) >= 0
    squared = (normal**2).sum(1)
    inside &= squared > 0
    height = ((point - corners[inside, 0]) * normal[inside]).sum(1) ** 2 / squared[inside]
    best[inside] = np.minimum(best[inside], height)
    return best
