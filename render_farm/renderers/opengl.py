"""OpenGL renderer: moderngl on a standalone EGL context, software (llvmpipe) or GPU; needs ``libegl1 libgl1``.

One pass writes colour, camera z as float32 and part and instance ids as integers. The picture is drawn upside down, so
that OpenGL's bottom-up rows come back with row 0 at the top: pixel (u, v) is window coordinate (u + 0.5, v + 0.5).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Camera, Rendered, Scene
from . import look, shading
from .finish import finish
from .mesh import IdentityCache, StaticMesh
from .selfcheck import check_renderer
from .shading import DrawItem, Prepared, halved, prepare
from .shadows import MAP_SIZE, GroundMap
from .vertices import VertexLight, host

SHADERS = Path(__file__).parent / "glsl"
REMEDY = "install libegl1 and libgl1 (Debian: apt install libegl1 libgl1), or use renderer=raycast, which needs neither"
FRAME_FLOATS = 3 * 16 + 8 * 4
ENDLESS = 2 * look.FAR  # metres from the ground's centre to its edges
SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software")


@dataclass
class _Target:
    """Framebuffer of one size and the arrays it is read into."""

    fbo: Any
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass
class _Mesh:
    """Buffers of one topology: the vertex buffers are rewritten for each surface, the rest is static."""

    vertices: Any
    normals: Any
    array: Any


class OpenGLRenderer:
    """Draws scenes with OpenGL.

    Args:
        device: "cpu" takes the EGL device of ``device_index`` (default: the first), "cuda" the first one that is no
            software renderer.
        normals: also return surface normals.
        ambient_shadow: people and things darken each other's share of the surroundings' light.
        device_index: number of the EGL device; the environment variable ``GLCONTEXT_DEVICE_INDEX`` wins.
        antialias: soften silhouettes in the picture (labels stay exact).

    Raises:
        UserError: if no context opens, or what it draws is wrong; says what to install or to use instead.
    """

    name = "opengl"

    def __init__(
        self,
        device: str = "cpu",
        normals: bool = False,
        ambient_shadow: bool = True,
        device_index: int | None = None,
        antialias: bool = True,
    ) -> None:
        self.antialias, self.normals = antialias, normals
        self._light = VertexLight("cpu", ambient_shadow=ambient_shadow)
        self._context = _open_context(device, device_index)
        self.device_name: str = self._context.info["GL_RENDERER"]
        with self._context:
            self._surface = self._program("surface")
            self._ground = self._program("ground")
            for program in (self._surface, self._ground):
                program["Frame"].binding = 0
            self._surface["albedo"] = 0
            self._ground["ground"], self._ground["occlusion"] = 1, 2
            self._ground_array = self._context.vertex_array(self._ground, [])
            self._frame = self._context.buffer(reserve=FRAME_FLOATS * 4)
            self._frame.bind_to_uniform_block(0)
            self._occlusion = self._context.texture((MAP_SIZE, MAP_SIZE), 2)
            self._occlusion.repeat_x = self._occlusion.repeat_y = False
            self._white = self._context.texture((1, 1), 3, b"\xff" * 3)
        self._targets: dict[tuple[int, int], _Target] = {}
        self._meshes: dict[str, _Mesh] = {}
        self._textures: IdentityCache[Any] = IdentityCache(48)
        self._grounds: IdentityCache[Any] = IdentityCache(128)
        check_renderer(self)

    def render(self, scene: Scene) -> Rendered:
        """Draw a scene.

        Raises:
            UserError: if the scene cannot be drawn (wrong shapes, numbers that are not finite).
        """
        prepared = prepare(scene, self._light)
        with self._context:
            target = self._target(scene.camera.width, scene.camera.height)
            self._draw(target, scene, prepared)
            rendered = self._read(target, scene.camera)
        finish(rendered, prepared.backdrop, self.antialias)
        return rendered

    def close(self) -> None:
        """Release the context and all that lives on it."""
        self._context.release()

    def _program(self, name: str) -> Any:
        head = f"#version 330 core\n#define KNEE {look.KNEE}\n" + ("#define NORMALS\n" if self.normals else "")
        frame, colour, vertex, fragment = (
            (SHADERS / f"{part}.glsl").read_text(encoding="utf-8")
            for part in ("frame", "colour", f"{name}_vertex", f"{name}_fragment")
        )
        head += frame
        return self._context.program(vertex_shader=head + vertex, fragment_shader=head + colour + fragment)

    def _target(self, width: int, height: int) -> _Target:
        known = self._targets.get((width, height))
        if known is None:
            size, context = (width, height), self._context
            kinds = [(4, "f1"), (1, "f4"), (2, "u1"), *([(4, "i1")] if self.normals else [])]
            colours = [context.texture(size, components, dtype=dtype) for components, dtype in kinds]
            fbo = context.framebuffer(colours, context.depth_renderbuffer(size))
            known = _Target(fbo, np.empty((height, width, 4), np.uint8), np.empty((height, width, 2), np.uint8))
            self._targets[size] = known
        return known

    def _draw(self, target: _Target, scene: Scene, prepared: Prepared) -> None:
        context = self._context
        target.fbo.use()
        target.fbo.clear()  # depth 0 stands for "nothing was hit" until :func:`.finish.finish`
        context.enable_only(context.DEPTH_TEST)
        context.depth_func = "<"
        context.front_face = "cw"  # the picture is drawn upside down
        self._frame.write(frame_block(scene, prepared.ground))
        for index, item in enumerate(prepared.items):
            self._draw_surface(index, item, prepared)
        if scene.ground is not None:
            context.disable(context.CULL_FACE)
            self._pyramid(scene.ground.texture).use(1)
            if prepared.ground is not None:
                self._occlusion.write(prepared.ground.values)
            (self._white if prepared.ground is None else self._occlusion).use(2)
            self._ground_array.render(context.TRIANGLE_STRIP, vertices=4)

    def _draw_surface(self, index: int, item: DrawItem, prepared: Prepared) -> None:
        mesh = self._mesh(item.mesh)
        self._fill(mesh, index, item.mesh, prepared)
        self._texture(item.surface.texture, item.level).use(0)
        self._surface["instance"] = float(item.instance)
        if item.mesh.two_sided:
            self._context.disable(self._context.CULL_FACE)
        else:
            self._context.enable(self._context.CULL_FACE)
        mesh.array.render()

    def _fill(self, buffers: _Mesh, index: int, mesh: StaticMesh, prepared: Prepared) -> None:
        attributes, normals = self._light.gathered(prepared.lit, index, mesh, self.normals)
        buffers.vertices.orphan()
        buffers.vertices.write(host(attributes, len(mesh.source)))
        if self.normals:
            buffers.normals.orphan()
            buffers.normals.write(host(normals, len(mesh.source)))

    def _mesh(self, mesh: StaticMesh) -> _Mesh:
        known = self._meshes.get(mesh.topology.name)
        if known is None:
            context, count = self._context, max(1, len(mesh.source))
            vertices = context.buffer(reserve=count * 28, dynamic=True)
            normals = context.buffer(reserve=count * 12, dynamic=True) if self.normals else None
            content = [
                (vertices, "3f 3f 1f", "in_position", "in_diffuse", "in_glint"),
                (context.buffer(mesh.uv), "2f", "in_uv"),
                (context.buffer(mesh.part.astype(np.uint32)), "1u4", "in_part"),
                *([(normals, "3f", "in_normal")] if self.normals else []),
            ]
            array = context.vertex_array(self._surface, content, index_buffer=context.buffer(mesh.faces))
            self._meshes[mesh.topology.name] = known = _Mesh(vertices, normals, array)
        return known

    def _texture(self, pixels: NDArray[np.uint8], level: int) -> Any:
        """GPU texture of an image halved ``level`` times."""
        known = self._textures.get(pixels, level)
        if known is None:
            base = halved(pixels, level)
            known = self._context.texture(base.shape[1::-1], 3, base, alignment=1)
            for dropped in self._textures.put(pixels, known, level):
                dropped.release()
        return known

    def _pyramid(self, pixels: NDArray[np.uint8]) -> Any:
        """GPU texture of the ground with all its levels."""
        known = self._grounds.get(pixels)
        if known is None:
            known = self._context.texture(pixels.shape[1::-1], 3, np.ascontiguousarray(pixels), alignment=1)
            known.build_mipmaps()  # allocates the levels; their content is replaced, to equal the other backends'
            for step in range(1, shading.levels(pixels) + 1):
                known.write(halved(pixels, step), level=step, alignment=1)
            known.filter = self._context.LINEAR_MIPMAP_LINEAR, self._context.LINEAR
            for dropped in self._grounds.put(pixels, known):
                dropped.release()
        return known

    def _read(self, target: _Target, camera: Camera) -> Rendered:
        depth = np.empty((camera.height, camera.width), np.float32)
        target.fbo.read_into(target.rgb, components=4, attachment=0, alignment=1)
        target.fbo.read_into(depth, components=1, attachment=1, alignment=1, dtype="f4")
        target.fbo.read_into(target.labels, components=2, attachment=2, alignment=1, dtype="u1")
        rgb = np.asarray(cv2.cvtColor(target.rgb, cv2.COLOR_RGBA2RGB), np.uint8)
        parts, instances = (np.asarray(plane, np.uint8) for plane in cv2.split(target.labels))
        normals = None
        if self.normals:
            raw = np.empty((camera.height, camera.width, 4), np.int8)
            target.fbo.read_into(raw, components=4, attachment=3, alignment=1, dtype="i1")
            normals = np.ascontiguousarray(raw[..., :3])
        return Rendered(rgb, depth, parts, instances, normals)


def clip_matrix(camera: Camera) -> NDArray[np.float64]:
    """World to OpenGL clip space (4, 4), upside down: pixel (u, v) lands at window coordinate (u + 0.5, v + 0.5).

    Window x is ``(x_clip / w + 1) / 2 * W``; solving for pixel centres at integers gives
    ``x_clip = (2 (K X)_x + (1 - W) Z) / W`` with ``w = Z``, and the same for y.
    """
    K = np.asarray(camera.K, np.float64)
    width, height = camera.width, camera.height
    project = np.zeros((4, 4))
    project[0, :3] = 2 * K[0] / width
    project[0, 2] += (1 - width) / width
    project[1, :3] = 2 * K[1] / height
    project[1, 2] += (1 - height) / height
    near, far = look.NEAR, look.FAR
    project[2, 2:] = (far + near) / (far - near), -2 * far * near / (far - near)
    project[3, 2] = 1
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = camera.R, camera.t
    return project @ view


def frame_block(scene: Scene, shade: GroundMap | None) -> NDArray[np.float32]:
    """The uniform block of ``glsl/frame.glsl``: matrices by columns, vectors padded to four."""
    camera, lights, ground = scene.camera, scene.lights, scene.ground
    block = np.zeros((20, 4))
    block[0:4] = clip_matrix(camera).T
    block[4:7, :3] = (np.asarray(camera.R).T @ np.linalg.inv(camera.K)).T
    block[8:11, :3], block[11] = np.asarray(camera.R).T, (*camera.t, 1)
    block[12, :3], block[13, :3] = camera.position, lights.colour
    if ground is not None:
        cos, sin = np.cos(ground.yaw), np.sin(ground.yaw)
        block[14, :3], block[15, :3] = look.ambient_from_above(lights), look.lamp_from_above(lights)
        block[16] = cos, -sin, sin, cos  # undoes a rotation by yaw about +Y
        block[17] = *ground.centre, *(ground.half_size if ground.half_size is not None else (ENDLESS, ENDLESS))
        block[18, :3] = ground.height, 1 / ground.tile, shading.ground_texels(ground, camera)
    block[19] = (*shade.origin, *(1 / shade.size)) if shade is not None else (0, 0, 1, 1)
    return block.astype(np.float32)


def _open_context(device: str, device_index: int | None) -> Any:
    """A standalone EGL context of OpenGL 3.3.

    Raises:
        UserError: if none opens, or ``device="cuda"`` and every EGL device is a software renderer.
    """
    moderngl: Any = import_module("moderngl")
    if device == "cuda" and device_index is None and "GLCONTEXT_DEVICE_INDEX" not in os.environ:
        return _hardware_context(moderngl)
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330, device_index=device_index)
    except Exception as error:  # moderngl and EGL raise bare Exception, ImportError, OSError ...
        raise UserError(f"renderer opengl: no EGL context opens ({error}); {REMEDY}") from error


def _hardware_context(moderngl: Any) -> Any:
    """The context of the first EGL device that is no software renderer."""
    index = 0
    while True:
        try:
            context = moderngl.create_context(standalone=True, backend="egl", require=330, device_index=index)
        except Exception as error:  # beyond the last device, or a device without OpenGL
            raise UserError(
                f"renderer opengl: no CUDA or other hardware EGL device found ({index} tried; {error}); use device=cpu"
            ) from error
        if not any(word in context.info["GL_RENDERER"].lower() for word in SOFTWARE):
            return context
        context.release()
        index += 1
