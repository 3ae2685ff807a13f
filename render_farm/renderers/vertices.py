"""Light at the vertices of a scene, computed by Warp on the CPU or a GPU and interpolated by every backend.

Surfaces lie one after the other in buffers that are kept from frame to frame; behind them lie further points, which only
throw shadows: all vertices of bodies that are drawn by some of them, and points on the faces of coarse meshes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Scene, Surface
from . import look
from .buffers import Buffers
from .mesh import StaticMesh, static_mesh
from .shadows import ENOUGH_POINTS, MAP_SIZE, SKY, GroundFrame, light_basis, shadow_grids

EMPTY = -1e30


@dataclass
class Lit:
    """What a scene's vertices show, as arrays of Warp on the worker's device; valid until the next scene.

    Attributes:
        firsts, counts: where each surface's vertices lie.
        total, everything: number of vertices, and of vertices and samples.
        owner: (N,) int32 surface of each vertex.
        points, normals: (N,) vec3 in the world, metres; behind the vertices ``points`` holds what only throws shadows.
        direct, ambient: (N,) vec3 linear light of the lamp and of the surroundings.
        glint: (N,) float32 highlight as a share of the lamp's colour.
        grid, field: (2, 3) and (2, cells) height fields along the lamp's direction and from above.
    """

    firsts: list[int]
    counts: list[int]
    total: int
    everything: int
    owner: Any
    points: Any
    normals: Any
    direct: Any
    ambient: Any
    glint: Any
    grid: Any
    field: Any


@dataclass
class _Static:
    """Device arrays of one topology."""

    faces: Any
    starts: Any
    incident: Any
    samples: Any
    source: Any


class VertexLight:
    """Lights the vertices of scenes.

    Args:
        device: "cpu" or "cuda".
        soft_shadow: False leaves the lamp's shadow to the renderer (which traces it).
        ambient_shadow: False leaves out how people and things darken each other's share of the sky.
    """

    def __init__(self, device: str = "cpu", soft_shadow: bool = True, ambient_shadow: bool = True) -> None:
        from . import vertex_kernels
        from .warp_session import start_warp

        self._wp: Any = start_warp()
        self._kernels = vertex_kernels
        self.device = self._wp.get_device(device)
        self.soft_shadow, self.ambient_shadow = soft_shadow, ambient_shadow
        self._static: dict[str, _Static] = {}
        self._buffers = Buffers(self._wp, self.device)
        cells, wp = look.LIGHT_CELLS**2, self._wp
        self._field = wp.empty((2, cells), dtype=float, device=self.device)
        self._grids = wp.empty((5, MAP_SIZE, MAP_SIZE), dtype=float, device=self.device)
        self._nowhere = wp.zeros((2, 3), dtype=float, device=self.device)
        self._sky = wp.mat33(*light_basis(SKY).ravel().tolist())

    def light(self, scene: Scene, surfaces: Sequence[Surface], throwing: Sequence[NDArray[np.float32]] = ()) -> Lit:
        """Light the vertices of ``surfaces`` of a scene.

        Args:
            throwing: (N, 3) further points that only throw shadows: of bodies that are drawn coarsely, all vertices.
        """
        meshes = [static_mesh(surface.topology) for surface in surfaces]
        counts = [len(surface.vertices) for surface in surfaces]
        firsts = np.cumsum([0, *counts]).tolist()
        extra = [len(mesh.samples) * len(mesh.topology.faces) for mesh in meshes]
        total = firsts[-1]
        begin = total + sum(map(len, throwing))
        everything = begin + sum(extra)
        lit = self._lit(firsts[:-1], counts, everything)
        if total == 0:
            return lit
        points = self._upload(lit, [*(surface.vertices for surface in surfaces), *throwing])
        for surface, mesh, first, more in zip(surfaces, meshes, firsts, extra, strict=False):
            self._shape(lit, surface, mesh, first, begin)
            begin += more
        people = firsts[sum(1 + len(person.layers) for person in scene.persons)]
        lit.grid = self._buffers.put("grid", shadow_grids(points, people, scene.lights.direction), float)
        self._shade(lit, scene, surfaces, meshes)
        return lit

    def gathered(self, lit: Lit, index: int, mesh: StaticMesh, normals: bool = False) -> tuple[Any, Any]:
        """Vertex buffers of surface ``index``, a row for each drawn vertex.

        Returns:
            (N, 7) float32 position, diffuse light, highlight; and vec3 normals if asked for, else None.
        """
        source, count, first = self._topology(mesh).source, len(mesh.source), lit.firsts[index]
        out = self._buffers.grown("gathered", count, (7,), float)
        inputs = [source, first, lit.points, lit.direct, lit.ambient, lit.glint, out]
        self._buffers.launch(self._kernels.gather, count, inputs)
        if not normals:
            return out, None
        turned = self._buffers.grown("gathered normals", count, (), self._wp.vec3)
        self._buffers.launch(self._kernels.gather_normals, count, [source, first, lit.normals, turned])
        return out, turned

    def splat(self, lit: Lit, ground: float, frame: GroundFrame) -> NDArray[np.float32]:
        """Points scattered over the ground, (5, S, S), see :func:`.shadows.ground_map`.

        Args:
            lit: what :meth:`light` returned.
            ground: height of the ground, metres.
            frame: where the map lies.
        """
        wp = self._wp
        grids = self._grids
        grids.fill_(0.0)
        stride = max(1, lit.everything // ENOUGH_POINTS)
        pairs = (frame.low, frame.scale, frame.slope, frame.falls, frame.layers)
        low, scale, slope, falls, layers = (wp.vec2(float(a), float(b)) for a, b in pairs)
        inputs = [lit.points, stride, low, scale, slope, ground, falls, layers, grids]
        self._buffers.launch(self._kernels.splat, lit.everything // stride, inputs)
        return host(grids, 5)

    def _lit(self, firsts: list[int], counts: list[int], everything: int) -> Lit:
        vec3, total = self._wp.vec3, sum(counts)
        points = self._buffers.grown("points", everything, (), vec3)
        normals, direct, ambient = (
            self._buffers.grown(name, total, (), vec3) for name in ("normals", "direct", "ambient")
        )
        glint = self._buffers.grown("glint", total, (), float)
        owner = self._buffers.put("owner", np.repeat(np.arange(len(counts), dtype=np.int32), counts), int)
        return Lit(
            firsts,
            counts,
            total,
            everything,
            owner,
            points,
            normals,
            direct,
            ambient,
            glint,
            self._nowhere,
            self._field,
        )

    def _upload(self, lit: Lit, arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Points to the device, one array after the other: written in place on the CPU, one copy from pinned memory to a GPU.

        Returns those that are vertices, (N, 3).
        """
        cpu, end = self.device.is_cpu, sum(map(len, arrays))
        stage = lit.points if cpu else self._buffers.grown("stage", end, (), self._wp.vec3, pinned=True)
        host: NDArray[np.float32] = stage.numpy()
        np.concatenate(arrays, out=host[:end], casting="same_kind")
        if not cpu:
            self._wp.copy(lit.points, stage, count=end)
        return host[: lit.total]

    def _shape(self, lit: Lit, surface: Surface, mesh: StaticMesh, first: int, begin: int) -> None:
        """Normals of a surface, and extra points if its mesh is coarse."""
        static, kernels, faces = self._topology(mesh), self._kernels, len(mesh.topology.faces)
        if surface.normals is not None:
            given = self._wp.from_numpy(
                np.ascontiguousarray(surface.normals, np.float32), self._wp.vec3, device=self.device
            )
            self._wp.copy(lit.normals, given, dest_offset=first, count=len(surface.vertices))
        else:
            crossed = self._buffers.grown("crossed", faces, (), self._wp.vec3)
            self._buffers.launch(kernels.cross_faces, faces, [lit.points, first, static.faces, crossed])
            vertices = static.starts.shape[0] - 1
            self._buffers.launch(
                kernels.unite_normals, vertices, [crossed, static.starts, static.incident, first, lit.normals]
            )
        if len(mesh.samples):
            inputs = [lit.points, first, static.faces, static.samples, begin]
            self._buffers.launch(kernels.place_samples, (faces, len(mesh.samples)), inputs)

    def _shade(self, lit: Lit, scene: Scene, surfaces: Sequence[Surface], meshes: list[StaticMesh]) -> None:
        wp, kernels, lights = self._wp, self._kernels, scene.lights
        lamp = kernels.Lamp()
        lamp.light_basis, lamp.sky_basis = wp.mat33(*light_basis(lights.direction).ravel().tolist()), self._sky
        lamp.colour, lamp.eye = wp.vec3(*map(float, lights.colour)), wp.vec3(*map(float, scene.camera.position))
        lamp.ground = EMPTY if scene.ground is None else float(scene.ground.height)
        lamp.soft_shadow, lamp.sky_shadow = int(self.soft_shadow), int(self.ambient_shadow)
        lamp.shaded = int(any(surface.shade is not None for surface in surfaces))
        self._field.fill_(EMPTY)
        self._buffers.launch(kernels.scatter, (2, lit.everything), [lit.points, lamp, lit.grid, self._field])
        looks = [(s.specular, s.wrap, float(mesh.two_sided)) for s, mesh in zip(surfaces, meshes, strict=True)]
        own = self._buffers.put("looks", np.array(looks, np.float32), wp.vec3)
        around = self._buffers.put("ambient light", look.ambient_terms(lights), wp.vec3)
        shade = self._own_shade(lit, surfaces) if lamp.shaded else lit.glint
        inputs = [lit.points, lit.normals, lit.owner, own, lamp, around, lit.grid, self._field, shade]
        inputs += [lit.direct, lit.ambient, lit.glint]
        self._buffers.launch(kernels.light, lit.total, inputs)

    def _own_shade(self, lit: Lit, surfaces: Sequence[Surface]) -> Any:
        """(N,) float32 share of the surroundings' light at each vertex that surfaces bring along, 1 where they do not."""
        shade = np.ones(lit.total, np.float32)
        for surface, first, count in zip(surfaces, lit.firsts, lit.counts, strict=True):
            if surface.shade is not None:
                shade[first : first + count] = surface.shade
        return self._buffers.put("shade", shade, float)

    def _topology(self, mesh: StaticMesh) -> _Static:
        name = mesh.topology.name
        known = self._static.get(name)
        if known is None:
            known = _Static(
                faces=self._buffers.array(mesh.topology.faces, np.int32, self._wp.vec3i),
                starts=self._buffers.array(mesh.incidence.indptr, np.int32, int),
                incident=self._buffers.array(mesh.incidence.indices, np.int32, int),
                samples=self._buffers.array(mesh.samples, np.float32, self._wp.vec3),
                source=self._buffers.array(mesh.source, np.int32, int),
            )
            self._static[name] = known
        return known


def host(array: Any, count: int) -> NDArray[Any]:
    """The first ``count`` rows as numpy: a view on the CPU, a copy from a GPU."""
    return np.asarray(array.numpy()[:count])
