"""What the kernels of the ray-casting renderer read: a scene as Warp arrays on the device, with what can be kept kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Camera, Ground, Scene
from . import look
from .mesh import IdentityCache, StaticMesh
from .shading import DrawItem, Prepared, ground_texels, halved, levels
from .shadows import light_basis

KEPT_SETS = 32  # sets of surfaces whose faces are kept together


@dataclass
class _Static:
    """Arrays of one topology; ``indices`` is on the device."""

    indices: Any
    corners: NDArray[np.int32]
    corner_uv: NDArray[np.float32]
    parts: NDArray[np.uint8]
    pool: list[Any]  # Warp meshes: one for each surface of the topology in a scene


class DeviceScenes:
    """Scenes for the kernels.

    Args:
        wp: the ``warp`` module.
        device: of Warp.
        rays: also keep trees to follow rays through, refitted to each scene.
    """

    def __init__(self, wp: Any, device: Any, rays: bool) -> None:
        from . import cast_kernels, paint_kernels

        self._wp, self._device, self._rays = wp, device, rays
        self._casting, self._painting = cast_kernels, paint_kernels
        self._static: dict[str, _Static] = {}
        self._faces: dict[tuple[int, ...], tuple[Any, Any, Any]] = {}
        self._grounds: IdentityCache[tuple[Any, Any]] = IdentityCache(128)
        self._textures: IdentityCache[NDArray[np.uint32]] = IdentityCache(64)

    def frame(self, scene: Scene, prepared: Prepared, hard_shadow: bool) -> Any:
        """Camera, lights and ground."""
        wp, camera, lights = self._wp, scene.camera, scene.lights
        frame, inverse = self._casting.Frame(), np.linalg.inv(camera.K)
        frame.width, frame.height = camera.width, camera.height
        basis, away = light_basis(lights.direction), np.asarray(camera.R).T @ inverse
        frame.pixel_to_ray = wp.mat33(*away.ravel().tolist())
        frame.pixel_to_camera = wp.mat33(*inverse.ravel().tolist())
        frame.rotation = wp.mat33(*np.asarray(camera.R, np.float64).ravel().tolist())
        frame.translation = wp.vec3(*map(float, camera.t))
        frame.eye = wp.vec3(*map(float, camera.position))
        frame.light_basis = wp.mat33(*basis.ravel().tolist())
        frame.pixel_to_light = wp.mat33(*(basis @ away).ravel().tolist())
        frame.eye_to_light = wp.vec3(*(basis @ camera.position).tolist())
        frame.lamp = wp.vec3(*map(float, lights.colour))
        frame.plane_ambient = wp.vec3(*look.ambient_from_above(lights).tolist())
        frame.plane_light = wp.vec3(*look.lamp_from_above(lights).tolist())
        if scene.ground is not None:
            self._lay_ground(frame, scene.ground, camera)
        frame.occlusion_region = wp.vec4(0.0, 0.0, 1.0, 1.0)
        if prepared.ground is not None:
            low, size = prepared.ground.origin, prepared.ground.size
            frame.occlusion_region = wp.vec4(*map(float, (*low, *(1 / size))))
        frame.surfaces = len(prepared.items)
        frame.hard_shadow = int(hard_shadow)
        frame.traced = int(self._rays)
        return frame

    def _lay_ground(self, frame: Any, ground: Ground, camera: Camera) -> None:
        vec4, cos, sin = self._wp.vec4, float(np.cos(ground.yaw)), float(np.sin(ground.yaw))
        frame.ground_turn = vec4(cos, -sin, sin, cos)  # undoes a rotation by yaw about +Y
        half = ground.half_size if ground.half_size is not None else (1e9, 1e9)
        frame.ground_place = vec4(*map(float, (*ground.centre, *half)))
        frame.ground_look = vec4(float(ground.height), 1 / ground.tile, ground_texels(ground, camera), 1.0)

    def surfaces(self, prepared: Prepared) -> Any:
        """Everything concatenated, and where rays are followed, trees refitted to the frame."""
        wp = self._wp
        used: dict[str, int] = {}
        meshes, offsets, sizes, texels, statics, first = [], [], [], [], [], [0, 0, 0]
        for item, begin in zip(prepared.items, prepared.lit.firsts, strict=True):
            static = self._topology(item.mesh)
            name = item.surface.topology.name
            slot = used[name] = used.get(name, -1) + 1
            meshes.append(self._refit(static, slot, item.surface.vertices).id if self._rays else 0)
            texture = self._texels(item)
            offsets.append((begin, *first[1:], int(item.mesh.two_sided)))
            sizes.append(texture.shape)
            texels.append(texture.ravel())
            statics.append(static)
            first = [0, first[1] + len(static.parts), first[2] + texture.size]
        surfaces = self._casting.Surfaces()
        surfaces.meshes = self._array(np.array(meshes, np.uint64).reshape(-1), wp.uint64)
        surfaces.offsets = self._array(np.array(offsets, np.int32).reshape(-1, 4), wp.vec4i)
        surfaces.sizes = self._array(np.array(sizes, np.int32).reshape(-1, 2), wp.vec2i)
        surfaces.instances = self._array(np.array([item.instance for item in prepared.items], np.uint8), wp.uint8)
        surfaces.corners, surfaces.corner_uv, surfaces.parts = self._joined(statics)
        surfaces.texels = self._array(np.concatenate([np.zeros(0, np.uint32), *texels]), wp.uint32)
        return surfaces

    def _joined(self, statics: list[_Static]) -> tuple[Any, Any, Any]:
        """Faces of all surfaces: corners, their texture coordinates, parts; kept for scenes of the same surfaces."""
        key = tuple(id(static) for static in statics)  # they live as long as the renderer is open
        known = self._faces.get(key)
        if known is None:
            wp = self._wp
            known = (
                self._array(np.concatenate([np.zeros((0, 3), np.int32), *(s.corners for s in statics)]), wp.vec3i),
                self._array(
                    np.concatenate([np.zeros((0, 3, 2), np.float32), *(s.corner_uv for s in statics)]), wp.vec2
                ),
                self._array(np.concatenate([np.zeros(0, np.uint8), *(s.parts for s in statics)]), wp.uint8),
            )
            if len(self._faces) == KEPT_SETS:
                del self._faces[next(iter(self._faces))]
            self._faces[key] = known
        return known

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

    def behind(self, scene: Scene, prepared: Prepared) -> Any:
        """The ground's texture and occlusion."""
        wp, behind = self._wp, self._painting.Behind()
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
        shares = prepared.ground.values if prepared.ground is not None else np.full((2, 2, 2), 255, np.uint8)
        behind.occlusion = self._array(np.ascontiguousarray(shares).view("<u2").astype(np.int32).ravel(), wp.int32)
        behind.side = len(shares)
        return behind

    def _array(self, values: NDArray[Any], dtype: Any = None) -> Any:
        """A Warp array of a numpy array: on the CPU without a copy."""
        return self._wp.array(np.ascontiguousarray(values), dtype=dtype, device=self._device, copy=False)


def _packed(texture: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Texels (h, w) as red + 256 green + 65536 blue."""
    return cv2.cvtColor(texture, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0]
