"""Ray-casting renderer: Warp on the CPU or CUDA; needs no system library, so it works wherever pip does.

One ray through each pixel centre against the meshes' bounding-volume trees, which are kept for each topology and refitted
to the pose. The first use compiles the kernels (about 15 s on one CPU core, then cached by Warp).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Rendered, Scene
from .antialias import soften_edges
from .mesh import IdentityCache, StaticMesh
from .selfcheck import check_renderer
from .shading import DrawItem, Prepared, ground_texels, halved, levels, prepare

SHADOWS = ("soft", "hard")


@dataclass
class _Static:
    """Device arrays of one topology."""

    indices: Any
    corners: NDArray[np.int32]
    corner_uv: NDArray[np.float32]
    parts: NDArray[np.uint8]
    pool: list[Any]  # Warp meshes: one for each surface of the topology in a scene


class RaycastRenderer:
    """Draws scenes by casting rays.

    Args:
        device: "cpu" or "cuda".
        shadow: "soft" shades as the opengl renderer does; "hard" traces a ray to the light from every pixel, with sharp
            shadows of people on themselves, on each other and on the ground.
        antialias: soften silhouettes in the picture (labels stay exact).

    Raises:
        UserError: for device "cuda" without a usable CUDA device, or if what is drawn is wrong.
    """

    name = "raycast"

    def __init__(self, device: str = "cpu", shadow: str = "soft", antialias: bool = True) -> None:
        import warp as wp

        if shadow not in SHADOWS:
            raise UserError(f"renderer raycast: unknown shadow '{shadow}'; known: {', '.join(SHADOWS)}")
        if hasattr(wp.config, "log_level"):  # Warp greets on stdout and names each module it loads
            wp.config.log_level = wp.LOG_WARNING
        else:
            wp.config.quiet = True  # type: ignore[attr-defined]
        wp.init()
        if device == "cuda" and not wp.is_cuda_available():
            raise UserError("renderer raycast: no CUDA device is available here; use device=cpu")
        from . import raycast_kernels

        self._wp, self._kernels = wp, raycast_kernels
        self._device = wp.get_device(device)
        self.device_name = f"{self._device.name or self._device} (Warp {wp.config.version})"
        self.shadow, self.antialias = shadow, antialias
        self._static: dict[str, _Static] = {}
        self._grounds: IdentityCache[tuple[Any, Any]] = IdentityCache(32)
        self._textures: IdentityCache[NDArray[np.uint32]] = IdentityCache(64)
        check_renderer(self)

    def render(self, scene: Scene) -> Rendered:
        """Draw a scene.

        Raises:
            UserError: if the scene cannot be drawn (wrong shapes, numbers that are not finite).
        """
        wp, kernels, device = self._wp, self._kernels, self._device
        prepared = prepare(scene)
        height, width = scene.camera.height, scene.camera.width
        frame = self._frame(scene, prepared)
        surfaces, attributes, owner = self._surfaces(prepared)
        shaded = kernels.Shaded()
        shaded.direct, shaded.ambient, shaded.glint = (
            wp.empty(max(len(owner), 1), dtype=wp.vec3, device=device) for _ in range(3)
        )
        if len(owner):
            wp.launch(
                kernels.shade_vertices,
                dim=len(owner),
                inputs=[frame, self._array(attributes, wp.float32), self._array(owner, wp.int32), surfaces, shaded],
                device=device,
            )
        rgb = wp.empty((height, width, 3), dtype=wp.uint8, device=device)
        depth = wp.empty((height, width), dtype=float, device=device)
        parts, instances = (wp.empty((height, width), dtype=wp.uint8, device=device) for _ in range(2))
        wp.launch(
            kernels.cast,
            dim=(height, width),
            inputs=[frame, surfaces, shaded, self._behind(scene, prepared), rgb, depth, parts, instances],
            device=device,
        )
        # On the CPU .numpy() is a view of Warp's memory, on CUDA a copy; the copy below makes the arrays ours in both.
        rendered = Rendered(*(np.array(array.numpy()) for array in (rgb, depth, parts, instances)))
        if self.antialias:
            soften_edges(rendered)
        return rendered

    def close(self) -> None:
        """Release meshes and textures."""
        self._static.clear()
        self._grounds, self._textures = IdentityCache(32), IdentityCache(64)

    def _array(self, values: NDArray[Any], dtype: Any = None) -> Any:
        """A Warp array of a numpy array: on the CPU without a copy."""
        values = np.ascontiguousarray(values)
        return self._wp.from_numpy(values, dtype=dtype, device=self._device)

    def _frame(self, scene: Scene, prepared: Prepared) -> Any:
        wp, camera, lights, ground = self._wp, scene.camera, scene.lights, scene.ground
        frame = self._kernels.Frame()
        direction = np.asarray(lights.direction, np.float64)
        direction = direction / np.linalg.norm(direction)
        frame.pixel_to_ray = wp.mat33((np.asarray(camera.R).T @ np.linalg.inv(camera.K)).astype(np.float32))
        frame.eye = wp.vec3(*map(float, camera.position))
        frame.light_direction = wp.vec3(*map(float, direction))
        frame.light_colour = wp.vec3(*map(float, lights.colour))
        frame.sky = wp.vec3(*map(float, lights.sky))
        frame.floor_light = wp.vec3(*map(float, lights.floor))
        frame.plane_light = wp.vec3(*(float(c) * max(float(direction[1]), 0.0) for c in lights.colour))
        if ground is not None:
            cos, sin = float(np.cos(ground.yaw)), float(np.sin(ground.yaw))
            frame.ground_turn = wp.vec4(cos, -sin, sin, cos)  # undoes a rotation by yaw about +Y
            half = ground.half_size if ground.half_size is not None else (1e9, 1e9)
            frame.ground_place = wp.vec4(*map(float, (*ground.centre, *half)))
            frame.ground_look = wp.vec4(float(ground.height), 1 / ground.tile, ground_texels(ground, camera), 1.0)
        frame.occlusion_region = wp.vec4(0.0, 0.0, 1.0, 1.0)
        if prepared.ground is not None:
            frame.occlusion_region = wp.vec4(*map(float, (*prepared.ground.origin, *(1 / prepared.ground.size))))
        frame.surfaces = len(prepared.items)
        frame.hard_shadow = int(self.shadow == "hard")
        return frame

    def _surfaces(self, prepared: Prepared) -> tuple[Any, NDArray[np.float32], NDArray[np.int32]]:
        """Meshes refitted to the frame and everything concatenated; vertex attributes (N, 8) and owners (N,)."""
        wp = self._wp
        used: dict[str, int] = {}
        meshes, offsets, sizes, texels, statics, first = [], [], [], [], [], [0, 0, 0]
        for item in prepared.items:
            static = self._topology(item.mesh)
            name = item.surface.topology.name
            slot = used[name] = used.get(name, -1) + 1
            meshes.append(self._refit(static, slot, item.attributes[:, :3]).id)
            texture = self._texels(item)
            offsets.append((*first, int(item.mesh.two_sided)))
            sizes.append(texture.shape)
            texels.append(texture.ravel())
            statics.append(static)
            first = [first[0] + len(item.attributes), first[1] + len(static.parts), first[2] + texture.size]
        surfaces = self._kernels.Surfaces()
        look = [(item.surface.specular, item.surface.wrap, float(item.instance)) for item in prepared.items]
        surfaces.meshes = self._array(np.array(meshes, np.uint64).reshape(-1), wp.uint64)
        surfaces.offsets = self._array(np.array(offsets, np.int32).reshape(-1, 4), wp.vec4i)
        surfaces.sizes = self._array(np.array(sizes, np.int32).reshape(-1, 2), wp.vec2i)
        surfaces.look = self._array(np.array(look, np.float32).reshape(-1, 3), wp.vec3)
        surfaces.corners = self._array(_join([s.corners for s in statics], np.zeros((0, 3), np.int32)), wp.vec3i)
        surfaces.corner_uv = self._array(
            _join([s.corner_uv for s in statics], np.zeros((0, 3, 2), np.float32)), wp.vec2
        )
        surfaces.parts = self._array(_join([s.parts for s in statics], np.zeros(0, np.uint8)), wp.uint8)
        surfaces.texels = self._array(_join(texels, np.zeros(0, np.uint32)), wp.uint32)
        counts = [len(item.attributes) for item in prepared.items]
        attributes = _join([item.attributes for item in prepared.items], np.zeros((0, 8), np.float32))
        return surfaces, attributes, np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    def _texels(self, item: DrawItem) -> NDArray[np.uint32]:
        """The item's texture at its level, packed; kept for when it comes again."""
        known = self._textures.get(item.surface.texture, item.level)
        if known is None:
            known = _packed(halved(item.surface.texture, item.level))
            self._textures.put(item.surface.texture, known, item.level)
        return known

    def _topology(self, mesh: StaticMesh) -> _Static:
        wp, topology = self._wp, mesh.topology
        known = self._static.get(topology.name)
        if known is None:
            known = _Static(
                indices=self._array(topology.faces.astype(np.int32).ravel(), wp.int32),
                corners=np.ascontiguousarray(topology.faces, np.int32),
                corner_uv=np.ascontiguousarray(topology.uv[topology.uv_faces], np.float32),
                parts=np.ascontiguousarray(topology.part_ids, np.uint8),
                pool=[],
            )
            self._static[topology.name] = known
        return known

    def _refit(self, static: _Static, slot: int, vertices: NDArray[np.float32]) -> Any:
        """The ``slot``-th mesh of a topology, moved to ``vertices``."""
        wp = self._wp
        vertices = np.array(vertices, np.float32)  # our own: Warp keeps the memory
        if slot == len(static.pool) or len(static.pool[slot].points) != len(vertices):
            mesh = wp.Mesh(wp.array(vertices, dtype=wp.vec3, device=self._device), static.indices)
            static.pool[slot:] = [mesh]
            return mesh
        static.pool[slot].points.assign(vertices)
        static.pool[slot].refit()
        return static.pool[slot]

    def _behind(self, scene: Scene, prepared: Prepared) -> Any:
        wp, behind = self._wp, self._kernels.Backdrops()
        texture = scene.ground.texture if scene.ground is not None else np.zeros((1, 1, 3), np.uint8)
        known = self._grounds.get(texture)
        if known is None:
            pyramid = [_packed(halved(texture, step)) for step in range(levels(texture) + 1)]
            starts = np.cumsum([0] + [level.size for level in pyramid[:-1]])
            table = [(start, *level.shape) for start, level in zip(starts, pyramid, strict=True)]
            known = (
                self._array(np.concatenate([level.ravel() for level in pyramid]), wp.uint32),
                self._array(np.array(table, np.int32), wp.vec3i),
            )
            self._grounds.put(texture, known)
        behind.ground, behind.ground_levels = known
        free = np.full((2, 2, 2), 255, np.uint8)
        behind.occlusion = self._array(prepared.ground.values if prepared.ground is not None else free, wp.uint8)
        behind.backdrop = self._array(prepared.backdrop, wp.uint8)
        return behind


def _join(arrays: list[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    """The arrays one after another; ``empty`` where there is none. A single array is not copied."""
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([empty, *arrays])


def _packed(texture: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Texels (h, w) as red + 256 green + 65536 blue."""
    return cv2.cvtColor(texture, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0]
