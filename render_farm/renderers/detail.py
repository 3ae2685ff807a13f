"""How finely a surface is drawn: no finer than the picture shows it.

A topology that knows the body at rest (``Topology.poses``) is drawn by fewer of its vertices where pixels are wide. All
backends draw the same mesh, so their pictures and labels agree; keypoints, joints and poses are those of the whole body.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Camera, Surface, Topology
from .coarse import Coarsening, begin, coarsen
from .look import NEAR
from .mesh import IdentityCache, static_mesh

FINEST, STEP, STEPS = 2e-3, 1.5, 8  # metres: pixels below FINEST show every vertex; levels lie STEP apart


@dataclass(frozen=True)
class Coarse:
    """A topology with fewer vertices, and which of the whole one's they are."""

    topology: Topology
    kept: NDArray[np.intp]


@dataclass
class _Levels:
    """The levels of a topology built so far, each from the one before."""

    state: Coarsening
    built: list[Coarse] = field(default_factory=list)


_LEVELS: IdentityCache[_Levels] = IdentityCache(16)


def drawn(surface: Surface, pixel: float) -> Surface:
    """The surface as it is drawn: itself, or with fewer vertices if its pixels are ``pixel`` metres wide and show no more."""
    if surface.topology.poses is None:
        return surface
    level = math.floor(math.log(pixel / FINEST, STEP))
    if level < 0:
        return surface
    coarse = coarser(surface.topology, min(level, STEPS - 1))
    normals, shade = surface.normals, surface.shade
    return replace(
        surface,
        topology=coarse.topology,
        vertices=surface.vertices.take(coarse.kept, 0),
        normals=None if normals is None else normals[coarse.kept],
        shade=None if shade is None else shade[coarse.kept],
    )


def coarser(topology: Topology, level: int) -> Coarse:
    """The topology for pixels ``FINEST * STEP**level`` metres wide, built at first use (about a second) and kept."""
    known = _LEVELS.get(topology)
    if known is None:
        assert topology.poses is not None
        mesh = static_mesh(topology)
        poses = np.ascontiguousarray(topology.poses, np.float32)
        known = _Levels(begin(mesh.faces.astype(np.intp), mesh.source, poses))
        _LEVELS.put(topology, known)
    while len(known.built) <= level:
        step = len(known.built)
        coarsen(known.state, FINEST * STEP**step)
        known.built.append(_topology(topology, step, known.state.corners))
    return known.built[level]


def _topology(topology: Topology, level: int, corners: NDArray[np.intp]) -> Coarse:
    mesh = static_mesh(topology)
    kept, faces = np.unique(mesh.source[corners], return_inverse=True)
    used, uv_faces = np.unique(corners, return_inverse=True)
    coarse = Topology(
        name=f"{topology.name}@{level}",
        faces=faces.reshape(-1, 3).astype(np.int32),
        uv=mesh.uv[used],
        uv_faces=uv_faces.reshape(-1, 3).astype(np.int32),
        part_ids=mesh.part[corners[:, 0]],
        two_sided=mesh.two_sided,
    )
    return Coarse(coarse, kept)


def pixel_metres(surface: Surface, camera: Camera) -> float:
    """Width in metres of a pixel at the middle of a surface."""
    depth = surface.vertices[::16] @ np.asarray(camera.R[2], np.float32)
    return max(float(depth.sum()) / len(depth) + float(camera.t[2]), NEAR) / float(camera.K[0, 0])
