"""Meshes that things are made of: spheres, rings, boxes, tubes, and how to join them under one topology.

What is drawn often has :data:`ENOUGH` faces: renderers scatter extra points over coarser meshes for the shadows, which
costs more than drawing finer ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .scene import OCCLUDER, Topology

Floats = NDArray[np.floating]
ENOUGH = 1500
"""Faces from which on renderers take a mesh's vertices alone for its shadows."""
Mesh = tuple[Floats, NDArray[np.int64], Floats]
"""Vertices (V, 3), faces (F, 3) outwards, texture coordinates (V, 2)."""


def occluder_topology(name: str, faces: NDArray, uv: NDArray, uv_faces: NDArray | None = None) -> Topology:
    """A topology of things that hide people: all its faces have part id 255."""
    faces = np.ascontiguousarray(faces, np.int32)
    return Topology(
        name=name,
        faces=faces,
        uv=np.ascontiguousarray(uv, np.float32),
        uv_faces=faces if uv_faces is None else np.ascontiguousarray(uv_faces, np.int32),
        part_ids=np.full(len(faces), OCCLUDER, np.uint8),
    )


def grid_faces(rows: int, columns: int) -> NDArray[np.int64]:
    """Triangles (2 (rows-1)(columns-1), 3) of a grid of rows x columns vertices, row-major."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    lower = np.stack([corner, corner + columns, corner + 1], 1)
    upper = np.stack([corner + 1, corner + columns, corner + columns + 1], 1)
    return np.concatenate([lower, upper])


@cache
def sphere(rows: int = 15, columns: int = 25) -> Mesh:
    """Unit sphere with a seam: vertices, outward faces, uv."""
    latitude, longitude = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    points = np.stack(
        [np.sin(latitude) * np.sin(longitude), np.cos(latitude), np.sin(latitude) * np.cos(longitude)], -1
    )
    uv = np.stack([longitude / (2 * np.pi) * 2, latitude / np.pi], -1)
    return points.reshape(-1, 3), grid_faces(rows, columns), uv.reshape(-1, 2)


@cache
def ring(rows: int = 13, columns: int = 33, thick: float = 0.28) -> Mesh:
    """Torus lying in the plane y = 0, outer radius 1."""
    around, tube = np.meshgrid(np.linspace(0, 2 * np.pi, columns), np.linspace(0, 2 * np.pi, rows))
    radius = 1 - thick + thick * np.cos(tube)
    points = np.stack([radius * np.sin(around), thick * np.sin(tube), radius * np.cos(around)], -1)
    uv = np.stack([around / (2 * np.pi) * 4, tube / (2 * np.pi)], -1)
    return points.reshape(-1, 3), grid_faces(rows, columns)[:, ::-1], uv.reshape(-1, 2)


@cache
def box(cells: int = 1) -> Mesh:
    """Cube of half side 1 with own corners for each side, so that edges stay sharp; each side of cells x cells squares."""
    points, faces, uv = list[Floats](), list[NDArray[np.int64]](), list[Floats]()
    way = np.linspace(-1, 1, cells + 1)
    a, b = (each.reshape(-1, 1) for each in np.meshgrid(way, way, indexing="ij"))
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            points.append(sign * np.eye(3)[axis] + a * sign * u + b * v)
            faces.append(grid_faces(cells + 1, cells + 1) + len(faces) * len(a))
            uv.append(np.concatenate([(a + 1) / 2, (b + 1) / 2], 1))
    return np.concatenate(points), np.concatenate(faces), np.concatenate(uv)


@cache
def tapered(top: float, columns: int = 17, rows: int = 4) -> Mesh:
    """Upright cylinder of height 2 about y = 0, radius 1 at its foot and ``top`` at its upper end, closed."""
    levels = np.concatenate([[-1], np.linspace(-1, 1, rows), [1]])
    radius = np.concatenate([[0], np.linspace(1, top, rows), [0]])
    around = np.linspace(0, 2 * np.pi, columns)
    points = np.stack(
        [
            radius[:, None] * np.sin(around),
            np.repeat(levels[:, None], columns, 1),
            radius[:, None] * np.cos(around),
        ],
        -1,
    )
    uv = np.stack(np.broadcast_arrays(around / (2 * np.pi), ((levels + 1) / 2)[:, None]), -1)
    return points.reshape(-1, 3), grid_faces(rows + 2, columns)[:, ::-1], uv.reshape(-1, 2)


@dataclass(frozen=True)
class Part:
    """A primitive in its place: scaled by ``axes``, turned about ``turn`` = (axis, degrees), moved to ``centre``.

    ``patch`` is the quarter of the texture that it wears: 0 and 1 above, 2 and 3 below.
    """

    mesh: Mesh
    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    patch: int = 0
    turn: tuple[int, float] = (0, 0.0)


def refined(mesh: Mesh) -> Mesh:
    """The same surface with each face cut in four, again and again until there are :data:`ENOUGH`."""
    points, faces, uv = mesh
    while len(faces) < ENOUGH:
        ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        edges, middle = np.unique(ends, axis=0, return_inverse=True)
        ab, bc, ca = middle.reshape(3, -1) + len(points)
        a, b, c = faces.T
        points = np.concatenate([points, points[edges].mean(1)])
        uv = np.concatenate([uv, uv[edges].mean(1)])
        corners = ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))
        faces = np.concatenate([np.stack(corner, 1) for corner in corners])
    return points, faces, uv


def join(parts: Sequence[Part]) -> Mesh:
    """One mesh of many parts."""
    points, faces, uv, start = [], [], [], 0
    for part in parts:
        vertices, own, coords = part.mesh
        points.append((vertices * part.axes) @ axis_turn(*part.turn).T + part.centre)
        faces.append(own + start)
        corner = 0.5 * np.array([part.patch % 2, part.patch // 2])
        uv.append(corner + 0.02 + 0.46 * np.clip(coords / max(1.0, float(coords.max())), 0, 1))
        start += len(vertices)
    return np.concatenate(points), np.concatenate(faces), np.concatenate(uv)


def axis_turn(axis: int, degrees: float) -> Floats:
    """Rotation (3, 3) about a coordinate axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[a, a], turn[a, b], turn[b, a], turn[b, b] = c, -s, s, c
    return turn


def turned(points: Floats, yaw: float) -> Floats:
    """Points (N, 3) turned about the vertical axis, radians."""
    c, s = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


def bounds(points: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest coordinates (..., 3) of points (..., N, 3), axis by axis: numpy is slow on short inner axes."""
    axes = [points[..., axis] for axis in range(3)]
    return np.stack([each.min(-1) for each in axes], -1), np.stack([each.max(-1) for each in axes], -1)
