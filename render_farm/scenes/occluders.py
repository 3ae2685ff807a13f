"""Things on and around the body: a blanket that drapes over it, toys, the bars of a cot, a table to stand at.

All are surfaces with part id 255. Meshes are static but for the blanket's heights; looks come from pools.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes, Singles, draw_palette, finish, noise, tile
from ..poses.angles import choose
from .config import OccluderConfig
from .scene import OCCLUDER, Camera, Surface, Topology

_TOY_STREAM = 401
_GRID = 48
_CELL = 0.012
"""Side of a cell of the height map over the body, metres."""
Floats = NDArray[np.floating]


def _topology(name: str, faces: NDArray, uv: NDArray, uv_faces: NDArray | None = None) -> Topology:
    faces = np.ascontiguousarray(faces, np.int32)
    return Topology(
        name=name,
        faces=faces,
        uv=np.ascontiguousarray(uv, np.float32),
        uv_faces=faces if uv_faces is None else np.ascontiguousarray(uv_faces, np.int32),
        part_ids=np.full(len(faces), OCCLUDER, np.uint8),
    )


def _grid_faces(rows: int, columns: int) -> NDArray[np.int64]:
    """Triangles (2 (rows-1)(columns-1), 3) of a grid of rows x columns vertices, row-major."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    lower = np.stack([corner, corner + columns, corner + 1], 1)
    upper = np.stack([corner + 1, corner + columns, corner + columns + 1], 1)
    return np.concatenate([lower, upper])


@cache
def _sphere(rows: int = 15, columns: int = 25) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Unit sphere with a seam: vertices, outward faces, uv."""
    latitude, longitude = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    points = np.stack(
        [np.sin(latitude) * np.sin(longitude), np.cos(latitude), np.sin(latitude) * np.cos(longitude)], -1
    )
    uv = np.stack([longitude / (2 * np.pi) * 2, latitude / np.pi], -1)
    return points.reshape(-1, 3), _grid_faces(rows, columns), uv.reshape(-1, 2)


@cache
def _ring(rows: int = 13, columns: int = 33, thick: float = 0.28) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Torus lying in the plane y = 0, outer radius 1."""
    around, tube = np.meshgrid(np.linspace(0, 2 * np.pi, columns), np.linspace(0, 2 * np.pi, rows))
    radius = 1 - thick + thick * np.cos(tube)
    points = np.stack([radius * np.sin(around), thick * np.sin(tube), radius * np.cos(around)], -1)
    uv = np.stack([around / (2 * np.pi) * 4, tube / (2 * np.pi)], -1)
    return points.reshape(-1, 3), _grid_faces(rows, columns)[:, ::-1], uv.reshape(-1, 2)


@cache
def _box() -> tuple[Floats, NDArray[np.int64], Floats]:
    """Cube of half side 1 with own corners for each side, so that edges stay sharp."""
    points: list[Floats] = []
    faces: list[tuple[int, int, int]] = []
    uv: list[tuple[float, float]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            start = len(points)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                points.append(sign * np.eye(3)[axis] + a * sign * u + b * v)
                uv.append(((a + 1) / 2, (b + 1) / 2))
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    return np.array(points), np.array(faces), np.array(uv)


@cache
def _bear() -> tuple[Floats, NDArray[np.int64], Floats]:
    """A sitting bear of ellipsoids, height 2, standing on y = -1."""
    parts = [  # centre, half axes
        ((0, -0.35, 0), (0.52, 0.62, 0.45)), ((0, 0.48, 0.05), (0.44, 0.42, 0.40)), ((0, 0.38, 0.40), (0.19, 0.15, 0.16)),
        ((0.33, 0.84, 0), (0.16, 0.16, 0.09)), ((-0.33, 0.84, 0), (0.16, 0.16, 0.09)),
        ((0.52, -0.1, 0.2), (0.17, 0.38, 0.17)), ((-0.52, -0.1, 0.2), (0.17, 0.38, 0.17)),
        ((0.34, -0.82, 0.42), (0.20, 0.18, 0.44)), ((-0.34, -0.82, 0.42), (0.20, 0.18, 0.44)),
    ]  # fmt: skip
    ball, faces, uv = _sphere(9, 15)
    points = [ball * axes + centre for centre, axes in parts]
    stacked = [faces + k * len(ball) for k in range(len(parts))]
    return np.concatenate(points), np.concatenate(stacked), np.tile(uv * 0.5, (len(parts), 1))


_SHAPES = {"ball": _sphere, "block": _box, "ring": _ring, "bear": _bear}


@cache
def _toy_topology(kind: str) -> Topology:
    _, faces, uv = _SHAPES[kind]()
    return _topology(f"toy-{kind}", faces, uv)


@cache
def _blanket_topology() -> Topology:
    axis = np.linspace(0, 1, _GRID)
    uv = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return _topology("blanket", _grid_faces(_GRID, _GRID)[:, ::-1], uv)


@dataclass(frozen=True)
class HeightMap:
    """Heights of the body over the surface: (n, m) metres, cell (i, j) at x = left + j cell, z = near + i cell."""

    heights: Singles
    left: float
    near: float

    def at(self, x: Floats, z: Floats) -> Singles:
        """Heights at places, 0 outside of the map; bilinear."""
        column = ((np.asarray(x) - self.left) / _CELL).astype(np.float32)
        row = ((np.asarray(z) - self.near) / _CELL).astype(np.float32)
        shape = column.shape
        found = cv2.remap(
            self.heights, column.reshape(1, -1), row.reshape(1, -1), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return np.asarray(found, np.float32).reshape(shape)


def height_map(vertices: Singles) -> HeightMap:
    """Highest vertex above each cell; cells that the mesh leaves out are closed by a dilation of one cell."""
    low, high = vertices.min(0), vertices.max(0)
    columns, rows = (int((high[k] - low[k]) / _CELL) + 3 for k in (0, 2))
    index = ((vertices[:, 2] - low[2]) / _CELL).astype(np.int64) + 1
    index = index * columns + ((vertices[:, 0] - low[0]) / _CELL).astype(np.int64) + 1
    order = np.argsort(vertices[:, 1], kind="stable")
    flat = np.zeros(rows * columns, np.float32)
    flat[index[order]] = np.maximum(vertices[order, 1], 0)  # the last, highest, write stays
    heights = cv2.dilate(flat.reshape(rows, columns), np.ones((3, 3), np.uint8))
    return HeightMap(np.asarray(heights, np.float32), float(low[0]) - 0.5 * _CELL, float(low[2]) - 0.5 * _CELL)


def drape_blanket(
    rng: np.random.Generator, config: OccluderConfig, bumps: HeightMap, feet: Floats, head: Floats, texture: Bytes
) -> Surface:
    """A blanket over the body from beyond the feet up to ``config.blanket_reach`` of the way to the head.

    The cloth lies on the highest thing beneath it, bridges hollows as cloth under its own weight does (a blurred
    dilation, never below what it covers), and carries shallow folds of its own.
    """
    along = (head - feet)[[0, 2]]
    length = float(np.linalg.norm(along))
    along = along / max(length, 1e-6)
    across = np.array([-along[1], along[0]])
    skew = np.radians(rng.normal(0, 12))
    end = rng.uniform(*config.blanket_reach) * length
    s = np.linspace(-rng.uniform(0.10, 0.25), end, _GRID)[:, None]
    t = np.linspace(-1, 1, _GRID)[None] * rng.uniform(0.24, 0.40)
    s = s + np.tan(skew) * t
    base = feet[[0, 2]] + s[..., None] * along + t[..., None] * across
    lying = bumps.at(base[..., 0], base[..., 1])
    reach = max(3, int(0.035 * _GRID / 0.5)) | 1
    bridged = cv2.GaussianBlur(cv2.dilate(lying, np.ones((reach, reach), np.uint8)), (0, 0), 2.2)
    folds = noise(rng, _GRID, rng.uniform(1.5, 3.0), rng.uniform(0.4, 2.5))
    loose = 0.006 * rng.uniform(0.5, 1.6) * (folds - folds.min())
    heights = np.maximum(bridged + loose, cv2.dilate(lying, np.ones((3, 3), np.uint8)) + 0.006) + 0.004
    rim = np.minimum(np.arange(_GRID), np.arange(_GRID)[::-1])
    edge = np.minimum.outer(rim, rim).astype(np.float32)
    heights -= np.where(edge == 0, 0.010, 0.0)
    vertices = np.stack([base[..., 0], heights, base[..., 1]], -1).reshape(-1, 3).astype(np.float32)
    return Surface(_blanket_topology(), vertices, texture, specular=0.0)


def _turned(points: Floats, yaw: float) -> Floats:
    c, s = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


def place_toy(
    rng: np.random.Generator, config: OccluderConfig, bumps: HeightMap, joints: Floats, texture: Bytes, lying: bool
) -> Surface:
    """A toy beside a hand, foot or the head, or on a body that lies; it rests on what is beneath it."""
    kind, radius, yaw = choose(rng, config.toys), rng.uniform(*config.toy_size) / 2, rng.uniform(0, 2 * np.pi)
    on_body, direction, apart = rng.random() < config.on_body, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 2.2)
    on_body = on_body and lying
    anchors = (0, 3, 9, 4, 5) if on_body else (20, 21, 7, 8, 15, 4, 5)
    anchor = joints[anchors[int(rng.integers(len(anchors)))]]
    offset = 0.4 * radius if on_body else radius * apart + 0.03
    ring = 0.8 * radius * np.exp(1j * np.linspace(0, 2 * np.pi, 8, endpoint=False))
    for _ in range(8):  # beside the body: outwards until nothing lies beneath
        x, z = anchor[0] + offset * np.cos(direction), anchor[2] + offset * np.sin(direction)
        beneath = bumps.at(x + ring.real, z + ring.imag)
        if on_body or beneath.max() < 0.01:
            break
        offset += 0.04
    floor = float(np.median(beneath) if on_body else beneath.max())
    points = _turned(_SHAPES[kind]()[0], yaw) * (radius * (0.8 if kind == "block" else 1.0))
    lift = -points[:, 1].min() - (0.004 if floor > 0.01 else 0.001)
    vertices = (points + np.array([x, floor + lift, z])).astype(np.float32)
    return Surface(_toy_topology(kind), vertices, texture, specular=0.0 if kind == "bear" else 0.12)


def cot_rail(rng: np.random.Generator, camera: Camera, target: Floats, texture: Bytes) -> list[Surface]:
    """One to three upright bars between the camera and the body."""
    eye = camera.position
    share, spacing, half = rng.uniform(0.5, 0.8), rng.uniform(0.06, 0.09), rng.uniform(0.004, 0.009)
    middle = eye + share * (target - eye)
    away = np.array([target[0] - eye[0], 0, target[2] - eye[2]])
    across = np.cross((0, 1, 0), away / max(float(np.linalg.norm(away)), 1e-6))
    shift, bars = rng.uniform(-0.5, 0.5) * spacing, int(rng.integers(1, 4))
    points = _box()[0] * (half, 0.40, half)
    surfaces = []
    for k in range(bars):
        centre = middle + across * (shift + (k - (bars - 1) / 2) * spacing)
        vertices = (points + np.array([centre[0], 0.40, centre[2]])).astype(np.float32)
        surfaces.append(Surface(_toy_topology("block"), vertices, texture, specular=0.08))
    return surfaces


def table(rng: np.random.Generator, joints: Floats, texture: Bytes) -> Surface:
    """A low table that a standing infant holds on to: beneath the hands, in front of the body."""
    hands = joints[[20, 21, 22, 23]]
    facing = np.cross(joints[1] - joints[2], (0, 1, 0)) * (1, 0, 1)
    facing = facing / max(float(np.linalg.norm(facing)), 1e-6)
    height = float(hands[:, 1].min()) - 0.018
    hips = (joints[1] + joints[2]) / 2
    knees = joints[[4, 5, 10, 11]]
    near = max(float(((hands - hips) @ facing).min()) - 0.02, float(((knees - hips) @ facing).max()) + 0.05)
    half = np.array([rng.uniform(0.20, 0.40), max(height, 0.04) / 2, rng.uniform(0.12, 0.22)])
    centre = hips + facing * (near + half[2])
    points = _turned(_box()[0] * half, float(np.arctan2(facing[0], facing[2])))
    vertices = (points + np.array([centre[0], half[1], centre[2]])).astype(np.float32)
    return Surface(_toy_topology("block"), vertices, texture, specular=0.06)


class Toys:
    """The surfaces of one job's toys; entry j is a pure function of (seed, j)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._textures: dict[int, Bytes] = {}

    def texture(self, index: int) -> Bytes:
        """Entry ``index``: (64, 64, 3) uint8 sRGB."""
        if index not in self._textures:
            rng = np.random.default_rng([self.seed, _TOY_STREAM, index])
            kind = choose(rng, {"plain": 3, "stripes": 2, "dots": 1, "stars": 1, "blocks": 1})
            picture = tile(rng, kind, draw_palette(rng, (30, 92), (8, 70)), 64)
            self._textures[index] = finish(picture, 1 + 0.02 * noise(rng, 64, 10))
        return self._textures[index]
