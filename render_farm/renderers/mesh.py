"""Static preparation of meshes, kept for each topology, and the per-frame numbers every renderer needs."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Surface, Topology

T = TypeVar("T")
SAMPLED_BELOW = 1500  # meshes with fewer faces than this (boxes, sheets) get extra points for the shadows
SAMPLES = 6000


class IdentityCache(Generic[T]):
    """Values made from objects, found again by the object's identity; the oldest are dropped beyond ``size``.

    Holds the object itself, so its id cannot be reused while the entry lives.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._entries: OrderedDict[tuple[int, Any], tuple[object, T]] = OrderedDict()

    def get(self, owner: object, extra: Any = None) -> T | None:
        """The value kept for ``owner`` (and ``extra``), or None."""
        key = (id(owner), extra)
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, owner: object, value: T, extra: Any = None) -> list[T]:
        """Keep ``value``; returns the values dropped to make room, which the caller releases."""
        self._entries[(id(owner), extra)] = (owner, value)
        dropped = []
        while len(self._entries) > self.size:
            dropped.append(self._entries.popitem(last=False)[1][1])
        return dropped

    def values(self) -> list[T]:
        """All values kept."""
        return [value for _, value in self._entries.values()]


@dataclass(frozen=True)
class StaticMesh:
    """What can be said about a topology once and for all.

    Attributes:
        topology: whose mesh this is.
        source: (N,) vertex index of each drawn vertex. Vertices are split where texture coordinates or part ids differ.
        uv: (N, 2) float32 and part: (N,) uint8 of the drawn vertices.
        faces: (F, 3) int32 indices of drawn vertices.
        incidence: (V, F) sparse matrix of ones that sums the normals of faces at their vertices.
        samples: (K, 3) barycentric weights of extra points on each face, empty for dense meshes.
        two_sided: whether faces are seen from behind, too.
        some: (M, 3) vertices of some 150 of the faces, and uv_area: share of the texture that these cover, for
            :func:`texel_level`.
    """

    topology: Topology
    source: NDArray[np.intp]
    uv: NDArray[np.float32]
    part: NDArray[np.uint8]
    faces: NDArray[np.int32]
    incidence: scipy.sparse.csr_matrix
    corners: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
    samples: NDArray[np.float32]
    two_sided: bool
    some: NDArray[np.intp]
    uv_area: float


_STATIC: dict[str, StaticMesh] = {}


def static_mesh(topology: Topology) -> StaticMesh:
    """The prepared mesh of a topology, built at first use and kept under its name for the life of the process.

    Raises:
        UserError: if two different topologies carry one name.
    """
    known = _STATIC.get(topology.name)
    if known is not None:
        same = known.topology is topology or (
            np.array_equal(known.topology.faces, topology.faces)
            and np.array_equal(known.topology.uv, topology.uv)
            and np.array_equal(known.topology.uv_faces, topology.uv_faces)
            and np.array_equal(known.topology.part_ids, topology.part_ids)
            and known.topology.two_sided == topology.two_sided
        )
        if not same:
            raise UserError(f"two different meshes are called '{topology.name}'; give each topology its own name")
        return known
    _STATIC[topology.name] = mesh = _build(topology)
    return mesh


def _build(topology: Topology) -> StaticMesh:
    faces = topology.faces.astype(np.int64)
    count = len(faces)
    rows = np.stack(
        [faces.ravel(), topology.uv_faces.astype(np.int64).ravel(), np.repeat(topology.part_ids.astype(np.int64), 3)], 1
    )
    unique, index = np.unique(rows, axis=0, return_inverse=True)
    incidence = scipy.sparse.csr_matrix(
        (np.ones(3 * count, np.float32), (faces.ravel(), np.repeat(np.arange(count), 3))),
        shape=(topology.vertex_count, count),
    )
    return StaticMesh(
        topology=topology,
        source=unique[:, 0].astype(np.intp),
        uv=np.ascontiguousarray(topology.uv[unique[:, 1]], np.float32),
        part=unique[:, 2].astype(np.uint8),
        faces=np.ascontiguousarray(index.reshape(-1, 3), np.int32),
        incidence=incidence,
        corners=tuple(np.ascontiguousarray(faces[:, i], np.intp) for i in range(3)),  # type: ignore[arg-type]
        samples=_barycentric_grid(count),
        two_sided=not _is_closed(faces) if topology.two_sided is None else topology.two_sided,
        some=np.ascontiguousarray(faces[_some_faces(topology)], np.intp),
        uv_area=_uv_area(topology),
    )


def _some_faces(topology: Topology) -> slice:
    return slice(None, None, max(1, len(topology.faces) // 150))


def _uv_area(topology: Topology) -> float:
    coords = topology.uv[topology.uv_faces[_some_faces(topology)]]
    edge1, edge2 = coords[:, 1] - coords[:, 0], coords[:, 2] - coords[:, 0]
    return float(np.abs(edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]).sum())


def _is_closed(faces: NDArray[np.int64]) -> bool:
    """Whether every edge is run through once in each direction: a mesh without holes, whose inside is never seen."""
    if not len(faces):
        return True
    start, end = faces.ravel(), np.roll(faces, -1, 1).ravel()
    count = int(faces.max()) + 1
    return np.array_equal(np.sort(start * count + end), np.sort(end * count + start))


def _barycentric_grid(faces: int) -> NDArray[np.float32]:
    """Barycentric weights (K, 3) of a triangular grid inside a face, so that ``faces * K`` is about ``SAMPLES``."""
    if not 0 < faces < SAMPLED_BELOW:
        return np.empty((0, 3), np.float32)
    steps = max(2, int(np.sqrt(2 * SAMPLES / faces)))
    i, j = np.nonzero(np.tri(steps, dtype=bool)[::-1])
    weights = np.stack([(i + 1 / 3) / steps, (j + 1 / 3) / steps], 1)
    return np.column_stack([weights, 1 - weights.sum(1)]).astype(np.float32)


def check_surface(surface: Surface) -> None:
    """Refuse a surface that cannot be drawn.

    Raises:
        UserError: if vertices are too few, of the wrong shape or not finite, or the texture is not (h, w, 3) uint8.
    """
    name, vertices, texture = surface.topology.name, surface.vertices, surface.texture
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < surface.topology.vertex_count:
        raise UserError(
            f"surface '{name}': vertices have shape {vertices.shape}, the topology needs ({surface.topology.vertex_count}, 3)"
        )
    if not np.isfinite(vertices.sum()):
        raise UserError(f"surface '{name}': some vertices are not finite; check pose, betas and transl")
    if texture.dtype != np.uint8 or texture.ndim != 3 or texture.shape[2] != 3 or texture.size == 0:
        raise UserError(f"surface '{name}': the texture is {texture.dtype} {texture.shape}, needed uint8 (h, w, 3)")


def vertex_normals(topology: Topology, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth unit normals at the vertices: face normals weighted by area, summed and normalised.

    Args:
        topology: the mesh.
        vertices: (V, 3) or (B, V, 3) float32, metres.

    Returns:
        Array of the shape of ``vertices``; zero for vertices in no face.
    """
    if vertices.ndim == 3:
        return np.stack([vertex_normals(topology, each) for each in vertices])
    mesh = static_mesh(topology)
    used = np.asarray(vertices[: mesh.incidence.shape[0]], np.float32)
    origin = used.take(mesh.corners[0], 0)
    crossed = cross(used.take(mesh.corners[1], 0) - origin, used.take(mesh.corners[2], 0) - origin)
    summed = mesh.incidence @ crossed
    length = np.sqrt(np.einsum("ij,ij->i", summed, summed))
    normals = np.zeros(vertices.shape, np.float32)
    np.multiply(summed, (1 / np.maximum(length, 1e-20))[:, None], out=normals[: len(summed)])
    return normals


def cross(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cross products of rows, (N, 3) and (N, 3); several times as fast as ``np.cross``, which shuffles axes."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    product = np.empty_like(a)
    product[:, 0] = ay * bz - az * by
    product[:, 1] = az * bx - ax * bz
    product[:, 2] = ax * by - ay * bx
    return product


def texel_level(surface: Surface, pixel_metres: float) -> int:
    """How often a texture may be halved before its texels grow wider than the picture's pixels.

    Args:
        surface: the surface; its texels are compared with its size in metres on some 150 of its faces.
        pixel_metres: width in metres of a pixel at the distance of the surface.
    """
    mesh, texture = static_mesh(surface.topology), surface.texture
    first, second, third = (surface.vertices.take(mesh.some[:, k], 0) for k in range(3))
    crossed = cross(second - first, third - first)
    area = float(np.sqrt(np.einsum("ij,ij->i", crossed, crossed)).sum())
    height, width = texture.shape[:2]
    texels_per_metre = (max(mesh.uv_area, 1e-12) * height * width / max(area, 1e-12)) ** 0.5
    limit = int(math.log2(max(1, min(height, width) // 8)))
    return min(max(math.floor(math.log2(max(texels_per_metre * pixel_metres, 1e-6)) + 0.5), 0), limit)
