"""Ray-casting renderer: Warp on the CPU or CUDA; needs no system library, so it works wherever pip does.

What each pixel's centre sees, and which of it the lamp reaches, is found by rays on a GPU (cast_kernels.py, shadow_kernels.py)
and by trying triangles on a CPU (triangle_kernels.py); paint_kernels.py makes a picture of it. The first use compiles the
kernels (about 7 s on one CPU core, then cached by Warp).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Camera, Rendered, Scene
from .device_scenes import DeviceScenes
from .finish import finish
from .ground_picture import GroundView, paint_ground, view_ground
from .selfcheck import check_renderer
from .shading import Prepared, prepare
from .vertices import EMPTY, VertexLight
from .warp_session import start_warp

SHADOWS = ("soft", "hard")
CHANNELS = ("red", "green", "blue")


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
        from . import cast_kernels, colour_kernels, paint_kernels, shadow_kernels, triangle_kernels

        self._casting, self._triangles, self._shadows = cast_kernels, triangle_kernels, shadow_kernels
        self._painting, self._colours = paint_kernels, colour_kernels
        self._device = wp.get_device(device)
        self.device_name = f"{self._device.name or self._device} (Warp {wp.config.version})"
        self.shadow, self.antialias, self.normals = shadow, antialias, normals
        self._rays = not self._device.is_cpu if rays is None else rays
        self._light = VertexLight(device, soft_shadow=shadow == "soft", ambient_shadow=ambient_shadow)
        self._scenes = DeviceScenes(wp, self._device, self._rays)
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
        self._scenes = DeviceScenes(self._wp, self._device, self._rays)
        self._buffers.clear()

    def _cast(self, scene: Scene, prepared: Prepared) -> Rendered:
        lit, hard = prepared.lit, self.shadow == "hard" and prepared.lit.total > 0
        frame, surfaces = self._scenes.frame(scene, prepared, hard), self._scenes.surfaces(prepared)
        ground = view_ground(scene.camera, scene.ground) if scene.ground is not None and not self._rays else None
        hits = self._find(scene, prepared, frame, surfaces, ground)
        shaded = self._painting.Shaded()
        shaded.direct, shaded.ambient, shaded.glint, shaded.normals = lit.direct, lit.ambient, lit.glint, lit.normals
        shaded.arrives = self._hard_shadow(prepared, frame, surfaces, hits) if hard else self._buffer("none", 0, float)
        inputs = [frame, surfaces, shaded]
        if self._rays:
            return self._paint([*inputs, self._scenes.behind(scene, prepared), hits], scene.camera)
        return self._paint_apart([*inputs, hits], scene, prepared, ground)

    def _find(self, scene: Scene, prepared: Prepared, frame: Any, surfaces: Any, ground: GroundView | None) -> Any:
        """What each pixel sees."""
        wp, lit, pixels = self._wp, prepared.lit, frame.height * frame.width
        hits = self._casting.Hits()
        hits.depth = self._buffer("depth", pixels, float)
        hits.surface, hits.face = (self._buffer(name, pixels, int) for name in ("surface", "face"))
        hits.weights = self._buffer("weights", pixels, wp.vec2)
        if self._rays:
            self._launch(self._casting.hit_by_rays, pixels, [frame, surfaces, hits])
            return hits
        hits.depth.numpy()[:] = 0 if ground is None else ground.depth.ravel()
        hits.surface.fill_(-1)
        if lit.total:
            kernels = self._triangles
            seen, shown = self._buffer("seen", lit.total, wp.vec3), self._buffer("shown", lit.total, wp.vec2)
            K = wp.mat33(*np.asarray(scene.camera.K, np.float64).ravel().tolist())
            self._launch(kernels.see_points, lit.total, [frame, K, lit.points, seen, shown])
            self._launch(kernels.hit_by_triangles, len(surfaces.corners), [frame, surfaces, seen, shown, hits])
        return hits

    def _paint(self, inputs: list[Any], camera: Camera) -> Rendered:
        """The picture of a kernel that paints all pixels, and its labels."""
        pixels = camera.height * camera.width
        arrays = self._painted(self._painting.paint, inputs, pixels)
        return _rendered(camera, *self._to_host([inputs[-1].depth, *arrays]))

    def _paint_apart(self, inputs: list[Any], scene: Scene, prepared: Prepared, ground: GroundView | None) -> Rendered:
        """The picture and its labels, the ground painted by OpenCV and only the surfaces' pixels by a kernel."""
        camera, hits, lights = scene.camera, inputs[-1], inputs[-2]
        size = camera.height, camera.width
        surface, depth = hits.surface.numpy() >= 0, hits.depth.numpy()
        seen = np.flatnonzero(surface)
        colours, labels = np.zeros(surface.size, np.int32), np.zeros(surface.size, np.uint16)
        if ground is not None:
            shown = (~surface & (depth > 0)).reshape(size)
            hidden = None
            if inputs[0].hard_shadow:
                hidden = (shown & (lights.arrives.numpy() == 0).reshape(size)).view(np.uint8)
            picture = paint_ground(ground, scene, prepared.ground, shown.view(np.uint8), hidden)
            colours = picture.view(np.int32).ravel()
        order = self._wp.array(seen.astype(np.int32), dtype=int, device=self._device, copy=False)
        painted = self._to_host(self._painted(self._painting.paint_surfaces, [*inputs, order], len(seen)))
        colours[seen], labels[seen] = painted[0], painted[1]
        normals = []
        if self.normals:
            normals = [np.zeros(surface.size, np.int32)]
            if ground is not None:
                normals[0][shown.ravel()] = _packed_normal(ground)
            normals[0][seen] = painted[2]
        return _rendered(camera, depth, colours, labels, *normals)

    def _painted(self, kernel: Any, inputs: list[Any], count: int) -> list[Any]:
        """Packed colours, labels and, if asked for, normals of ``count`` pixels."""
        picture = self._painting.Picture()
        picture.red, picture.green, picture.blue = (self._buffer(name, count, float) for name in CHANNELS)
        picture.labels = self._buffer("labels", count, self._wp.uint16)
        picture.normals = self._buffer("normals", count if self.normals else 0, int)
        self._launch(kernel, count, [*inputs, picture])
        colours = self._buffer("colours", count, int)
        self._launch(self._colours.show, count, [picture.red, picture.green, picture.blue, colours])
        return [colours, picture.labels, *([picture.normals] if self.normals else [])]

    def _hard_shadow(self, prepared: Prepared, frame: Any, surfaces: Any, hits: Any) -> Any:
        """(H * W,) share of the lamp's light that reaches what each pixel sees, 0 or 1."""
        wp, kernels, lit = self._wp, self._shadows, prepared.lit
        pixels, faces, cells = frame.height * frame.width, len(surfaces.corners), kernels.CELLS**2
        shadows = kernels.Shadows()
        shadows.points = self._buffer("lightward", lit.total, wp.vec3)
        shadows.bounds, shadows.grid = self._buffer("bounds", 4, float), self._buffer("grid", 4, float)
        shadows.tops = self._buffer("tops", cells, float)
        shadows.first = self._buffer("first", cells, int)
        shadows.following = self._buffer("following", pixels, int)
        shadows.places = self._buffer("places", pixels, wp.vec3)
        shadows.arrives = self._buffer("arrives", pixels, float)
        shadows.bounds.fill_(-EMPTY)
        shadows.tops.fill_(EMPTY)
        shadows.first.fill_(-1)
        self._launch(kernels.turn_points, lit.total, [frame, lit.points, shadows])
        self._launch(kernels.fit_cells, 2, [shadows])
        self._launch(kernels.raise_tops, faces, [frame, surfaces, shadows])
        if self._rays:
            self._launch(kernels.find_shadow, pixels, [frame, surfaces, hits, lit.direct, shadows])
        else:
            self._launch(kernels.find_shadow_in_row, frame.height, [frame, surfaces, hits, lit.direct, shadows])
            self._launch(kernels.shadow_by_triangles, faces, [frame, surfaces, shadows])
        return shadows.arrives

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


def _rendered(
    camera: Camera,
    depth: NDArray[np.float32],
    colours: NDArray[np.int32],
    labels: NDArray[np.uint16],
    *normals: NDArray[np.int32],
) -> Rendered:
    """The picture from depth, packed colours, labels and, if there, normals, each (H * W,); none of it is kept."""
    size = camera.height, camera.width
    rgb = np.asarray(cv2.cvtColor(colours.view(np.uint8).reshape(*size, 4), cv2.COLOR_RGBA2RGB), np.uint8)
    parts, instances = (np.asarray(each, np.uint8) for each in cv2.split(labels.view(np.uint8).reshape(*size, 2)))
    turned = [np.ascontiguousarray(each.view(np.int8).reshape(*size, 4)[..., :3]) for each in normals]
    return Rendered(rgb, depth.reshape(size).copy(), parts, instances, *turned)


def _packed_normal(ground: GroundView) -> int:
    """The ground's normal in the camera frame, packed as ``paint_kernels.Picture`` says."""
    turned = np.zeros(4, np.int8)
    turned[:3] = np.round(-np.sign(ground.drop) * 127 * np.asarray(ground.camera.R)[:, 1])
    return int(turned.view(np.int32)[0])
