"""Ray-casting renderer: Warp on the CPU or CUDA; needs no system library, so it works wherever pip does.

What each pixel's centre sees is found by rays on a GPU and by trying triangles on a CPU (cast_kernels.py); so are hard shadows
(shadow_kernels.py). The first use compiles the kernels (about 20 s on one CPU core, then cached by Warp).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Camera, Ground, Rendered, Scene
from . import look
from .finish import finish
from .mesh import IdentityCache, StaticMesh
from .selfcheck import check_renderer
from .shading import DrawItem, Prepared, ground_texels, halved, levels, prepare
from .shadows import light_basis
from .vertices import VertexLight
from .warp_session import start_warp

SHADOWS = ("soft", "hard")
CHANNELS = ("red", "green", "blue")
EMPTY = -1e30
KEPT_SETS = 32  # sets of surfaces whose faces are kept together


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
        shadow: "soft" shades as the opengl renderer does; "hard" looks from every pixel to the light, with sharp
            shadows of people on themselves, on each other and on the ground.
        normals: also return surface normals.
        ambient_shadow: people and things darken each other's share of the surroundings' light.
        antialias: soften silhouettes in the picture (labels stay exact).
        rays: find what pixels see, and shadows, by rays; None does so on a GPU only. Both ways give the same labels.

    Raises:
        UserError: for device "cuda" without a usable CUDA device, or if what is drawn is wrong.
    """

    name = "raycast"

    def __init__(
        self,
        device: str = "cpu",
        shadow: str = "soft",
        normals: bool = False,
        ambient_shadow: bool = True,
        antialias: bool = True,
        rays: bool | None = None,
    ) -> None:
        if shadow not in SHADOWS:
            raise UserError(f"renderer raycast: unknown shadow '{shadow}'; known: {', '.join(SHADOWS)}")
        self._wp = wp = start_warp()
        if device == "cuda" and not wp.is_cuda_available():
            raise UserError("renderer raycast: no CUDA device is available here; use device=cpu")
        from . import cast_kernels, colour_kernels, paint_kernels, shadow_kernels

        self._casting, self._shadows = cast_kernels, shadow_kernels
        self._painting, self._colours = paint_kernels, colour_kernels
        self._device = wp.get_device(device)
        self.device_name = f"{self._device.name or self._device} (Warp {wp.config.version})"
        self.shadow, self.antialias, self.normals = shadow, antialias, normals
        self._rays = not self._device.is_cpu if rays is None else rays
        self._light = VertexLight(device, soft_shadow=shadow == "soft", ambient_shadow=ambient_shadow)
        self._static: dict[str, _Static] = {}
        self._grounds: IdentityCache[tuple[Any, Any]] = IdentityCache(128)
        self._textures: IdentityCache[NDArray[np.uint32]] = IdentityCache(64)
        self._faces: dict[tuple[int, ...], tuple[Any, Any, Any]] = {}
        self._buffers: dict[tuple[str, bool], Any] = {}
        check_renderer(self)

    def render(self, scene: Scene) -> Rendered:
        """Draw a scene.

        Raises:
            UserError: if the scene cannot be drawn (wrong shapes, numbers that are not finite).
        """
        prepared = prepare(scene, self._light)
        rendered = self._cast(scene, prepared)
        finish(rendered, prepared.backdrop, self.antialias)
        return rendered

    def close(self) -> None:
        """Release meshes, textures and buffers."""
        self._static.clear()
        self._faces.clear()
        self._buffers.clear()
        self._grounds, self._textures = IdentityCache(128), IdentityCache(64)

    def _cast(self, scene: Scene, prepared: Prepared) -> Rendered:
        lit, camera = prepared.lit, scene.camera
        pixels = camera.height * camera.width
        frame, surfaces = self._frame(scene, prepared), self._surfaces(prepared)
        hits = self._find(scene, prepared, frame, surfaces)
        shaded, picture = self._painting.Shaded(), self._painting.Picture()
        shaded.direct, shaded.ambient, shaded.glint, shaded.normals = lit.direct, lit.ambient, lit.glint, lit.normals
        shaded.arrives = hits.depth  # not read
        if frame.hard_shadow:
            shaded.arrives = self._hard_shadow(prepared, frame, surfaces, hits)
        picture.red, picture.green, picture.blue = (self._buffer(name, pixels, float) for name in CHANNELS)
        picture.labels = self._buffer("labels", pixels, self._wp.uint16)
        picture.normals = self._buffer("normals", pixels if self.normals else 0, int)
        behind = self._behind(scene, prepared)
        self._launch(self._painting.paint, pixels, [frame, surfaces, shaded, behind, hits, picture])
        colours = self._buffer("colours", pixels, int)
        self._launch(self._colours.show, pixels, [picture.red, picture.green, picture.blue, colours])
        return self._fetch(camera, [colours, hits.depth, picture.labels, *([picture.normals] if self.normals else [])])

    def _find(self, scene: Scene, prepared: Prepared, frame: Any, surfaces: Any) -> Any:
        """What each pixel sees."""
        wp, kernels, lit = self._wp, self._casting, prepared.lit
        pixels = frame.height * frame.width
        hits = kernels.Hits()
        hits.depth = self._buffer("depth", pixels, float)
        hits.surface, hits.face = (self._buffer(name, pixels, int) for name in ("surface", "face"))
        hits.weights = self._buffer("weights", pixels, wp.vec2)
        if self._rays:
            self._launch(kernels.hit_by_rays, pixels, [frame, surfaces, hits])
            return hits
        self._launch(kernels.hit_ground, pixels, [frame, hits])
        if lit.total:
            seen, shown = self._buffer("seen", lit.total, wp.vec3), self._buffer("shown", lit.total, wp.vec2)
            K = wp.mat33(*np.asarray(scene.camera.K, np.float64).ravel().tolist())
            self._launch(kernels.see_points, lit.total, [frame, K, lit.points, seen, shown])
            self._launch(kernels.hit_by_triangles, len(surfaces.corners), [frame, surfaces, seen, shown, hits])
        return hits

    def _hard_shadow(self, prepared: Prepared, frame: Any, surfaces: Any, hits: Any) -> Any:
        """(H * W,) share of the lamp's light that reaches what each pixel sees, 0 or 1."""
        wp, kernels, lit = self._wp, self._shadows, prepared.lit
        pixels, faces, cells = frame.height * frame.width, len(surfaces.corners), kernels.CELLS**2
        shadows = kernels.Shadows()
        shadows.points = self._buffer("lightward", lit.total, wp.vec3)
        shadows.bounds = self._buffer("bounds", 4, float)
        shadows.tops = self._buffer("tops", cells, float)
        shadows.first = self._buffer("first", cells, int)
        shadows.following = self._buffer("following", pixels, int)
        shadows.places = self._buffer("places", pixels, wp.vec3)
        shadows.arrives = self._buffer("arrives", pixels, float)
        shadows.bounds.fill_(-EMPTY)
        shadows.tops.fill_(EMPTY)
        shadows.first.fill_(-1)
        self._launch(kernels.turn_points, lit.total, [frame, lit.points, shadows])
        self._launch(kernels.raise_tops, faces, [frame, surfaces, shadows])
        self._launch(kernels.find_shadow, pixels, [frame, surfaces, hits, lit.direct, shadows])
        if not self._rays:
            self._launch(kernels.shadow_by_triangles, faces, [frame, surfaces, shadows])
        return shadows.arrives

    def _fetch(self, camera: Camera, arrays: list[Any]) -> Rendered:
        """The picture from colours, depth, labels and, if there, normals."""
        size = camera.height, camera.width
        colours, depth, labels, *normals = (array.reshape(size) for array in self._to_host(arrays))
        rgb = cv2.cvtColor(colours.view(np.uint8).reshape(*size, 4), cv2.COLOR_RGBA2RGB)
        parts, instances = cv2.split(labels.view(np.uint8).reshape(*size, 2))
        turned = [np.ascontiguousarray(each.view(np.int8).reshape(*size, 4)[..., :3]) for each in normals]
        return Rendered(rgb, depth.copy(), parts, instances, *turned)

    def _launch(self, kernel: Any, dim: int, inputs: list[Any]) -> None:
        self._wp.launch(kernel, dim=dim, inputs=inputs, device=self._device)

    def _buffer(self, name: str, count: int, dtype: Any, pinned: bool = False) -> Any:
        """The first ``count`` elements of a buffer that grows as needed and keeps its memory."""
        known = self._buffers.get((name, pinned))
        if known is None or known.shape[0] < count:
            device = "cpu" if pinned else self._device
            known = self._wp.empty(count, dtype=dtype, device=device, pinned=pinned)
            self._buffers[name, pinned] = known
        return known if known.shape[0] == count else known[:count]

    def _to_host(self, arrays: list[Any]) -> list[NDArray[Any]]:
        """Arrays as numpy, valid until the next frame: all copies from a GPU are under way at once, into pinned memory."""
        if self._device.is_cpu:
            return [array.numpy() for array in arrays]
        pinned = [self._buffer(f"host {i}", len(a), a.dtype, pinned=True) for i, a in enumerate(arrays)]
        for target, array in zip(pinned, arrays, strict=True):
            self._wp.copy(target, array)
        self._wp.synchronize_stream(self._device)
        return [target.numpy() for target in pinned]

    def _array(self, values: NDArray[Any], dtype: Any = None) -> Any:
        """A Warp array of a numpy array: on the CPU without a copy."""
        values = np.ascontiguousarray(values)
        return self._wp.from_numpy(values, dtype=dtype, device=self._device)

    def _frame(self, scene: Scene, prepared: Prepared) -> Any:
        wp, camera, lights = self._wp, scene.camera, scene.lights
        frame, inverse = self._casting.Frame(), np.linalg.inv(camera.K)
        frame.width, frame.height = camera.width, camera.height
        frame.pixel_to_ray = wp.mat33(*(np.asarray(camera.R).T @ inverse).ravel().tolist())
        frame.pixel_to_camera = wp.mat33(*inverse.ravel().tolist())
        frame.rotation = wp.mat33(*np.asarray(camera.R, np.float64).ravel().tolist())
        frame.translation = wp.vec3(*map(float, camera.t))
        frame.eye = wp.vec3(*map(float, camera.position))
        frame.light_basis = wp.mat33(*light_basis(lights.direction).ravel().tolist())
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
        frame.hard_shadow = int(self.shadow == "hard" and prepared.lit.total > 0)
        frame.traced = int(self._rays)
        return frame

    def _lay_ground(self, frame: Any, ground: Ground, camera: Camera) -> None:
        vec4, cos, sin = self._wp.vec4, float(np.cos(ground.yaw)), float(np.sin(ground.yaw))
        frame.ground_turn = vec4(cos, -sin, sin, cos)  # undoes a rotation by yaw about +Y
        half = ground.half_size if ground.half_size is not None else (1e9, 1e9)
        frame.ground_place = vec4(*map(float, (*ground.centre, *half)))
        frame.ground_look = vec4(float(ground.height), 1 / ground.tile, ground_texels(ground, camera), 1.0)

    def _surfaces(self, prepared: Prepared) -> Any:
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

    def _behind(self, scene: Scene, prepared: Prepared) -> Any:
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


def _packed(texture: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Texels (h, w) as red + 256 green + 65536 blue."""
    return cv2.cvtColor(texture, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0]
