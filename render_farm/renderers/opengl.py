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
from ..scenes.scene import Camera, Ground, Rendered, Scene
from . import shading
from .antialias import soften_edges
from .mesh import IdentityCache, StaticMesh
from .selfcheck import check_renderer
from .shading import DrawItem, Prepared, halved, prepare
from .shadows import MAP_SIZE, GroundMap

SHADERS = Path(__file__).parent / "glsl"
REMEDY = "install libegl1 and libgl1 (Debian: apt install libegl1 libgl1), or use renderer=raycast, which needs neither"
FRAME_FLOATS = 2 * 16 + 12 * 4
SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software")


@dataclass
class _Target:
    """Framebuffer of one size and the arrays it is read into."""

    fbo: Any
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass
class _Mesh:
    """Buffers of one topology: the vertex buffer is rewritten for each surface, the rest is static."""

    vertices: Any
    array: Any


class OpenGLRenderer:
    """Draws scenes with OpenGL.

    Args:
        device: "cpu" takes the EGL device of ``device_index`` (default: the first), "cuda" the first one that is no
            software renderer.
        device_index: number of the EGL device; the environment variable ``GLCONTEXT_DEVICE_INDEX`` wins.
        antialias: soften silhouettes in the picture (labels stay exact).

    Raises:
        UserError: if no context opens, or what it draws is wrong; says what to install or to use instead.
    """

    name = "opengl"

    def __init__(self, device: str = "cpu", device_index: int | None = None, antialias: bool = True) -> None:
        self.antialias = antialias
        self._context = _open_context(device, device_index)
        self.device_name: str = self._context.info["GL_RENDERER"]
        with self._context:
            self._surface = self._program("surface")
            self._plane = self._program("plane")
            for program in (self._surface, self._plane):
                program["Frame"].binding = 0
            self._surface["albedo"] = 0
            self._plane["backdrop"], self._plane["ground"], self._plane["occlusion"] = 0, 1, 2
            self._plane_array = self._context.vertex_array(self._plane, [])
            self._frame = self._context.buffer(reserve=FRAME_FLOATS * 4)
            self._occlusion = self._context.texture((MAP_SIZE, MAP_SIZE), 2)
            self._occlusion.repeat_x = self._occlusion.repeat_y = False
            self._white = self._context.texture((1, 1), 3, b"\xff" * 3)
        self._targets: dict[tuple[int, int], _Target] = {}
        self._meshes: dict[str, _Mesh] = {}
        self._textures: IdentityCache[Any] = IdentityCache(64)
        self._backdrops: IdentityCache[Any] = IdentityCache(16)
        check_renderer(self)

    def render(self, scene: Scene) -> Rendered:
        """Draw a scene.

        Raises:
            UserError: if the scene cannot be drawn (wrong shapes, numbers that are not finite).
        """
        prepared = prepare(scene)
        camera = scene.camera
        with self._context as context:
            target = self._target(camera.width, camera.height)
            target.fbo.use()
            context.enable_only(context.DEPTH_TEST)
            context.front_face = "cw"  # the picture is drawn upside down
            self._frame.write(frame_block(scene, prepared.ground))
            self._frame.bind_to_uniform_block(0)
            self._draw_plane(scene.ground, prepared)
            context.depth_func = "<"
            for item in prepared.items:
                self._draw_surface(item)
            rendered = self._read(target, camera)
        if self.antialias:
            soften_edges(rendered)
        return rendered

    def close(self) -> None:
        """Release the context and all that lives on it."""
        self._context.release()

    def _program(self, name: str) -> Any:
        tint = ", ".join(str(float(value)) for value in shading.WRAP_TINT)
        head = (
            f"#version 330 core\n#define KNEE {shading.KNEE}\n#define GLOSS {shading.GLOSS}\n#define NEAR {shading.NEAR}\n"
            f"#define FAR {shading.FAR}\n#define WRAP_TINT vec3({tint})\n"
        )
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
            colour, depth, labels = (
                context.texture(size, 4, dtype="f1"),
                context.texture(size, 1, dtype="f4"),
                context.texture(size, 2, dtype="u1"),
            )
            fbo = context.framebuffer([colour, depth, labels], context.depth_renderbuffer(size))
            known = _Target(fbo, np.empty((height, width, 4), np.uint8), np.empty((height, width, 2), np.uint8))
            self._targets[size] = known
        return known

    def _draw_plane(self, ground: Ground | None, prepared: Prepared) -> None:
        self._backdrop(prepared.backdrop).use(0)
        (self._white if ground is None else self._texture(ground.texture, None)).use(1)
        if prepared.ground is not None:
            self._occlusion.write(prepared.ground.values)
        (self._white if prepared.ground is None else self._occlusion).use(2)
        self._context.depth_func = "1"
        self._plane_array.render(vertices=3)

    def _draw_surface(self, item: DrawItem) -> None:
        mesh = self._mesh(item.mesh)
        mesh.vertices.orphan()
        mesh.vertices.write(item.attributes.take(item.mesh.source, 0))
        self._texture(item.surface.texture, item.level).use(0)
        two_sided = item.mesh.two_sided
        self._surface["look"] = item.surface.specular, item.surface.wrap, float(two_sided), float(item.instance)
        if two_sided:
            self._context.disable(self._context.CULL_FACE)
        else:
            self._context.enable(self._context.CULL_FACE)
        mesh.array.render()

    def _mesh(self, mesh: StaticMesh) -> _Mesh:
        known = self._meshes.get(mesh.topology.name)
        if known is None:
            context = self._context
            vertices = context.buffer(reserve=max(1, len(mesh.source)) * 32, dynamic=True)
            array = context.vertex_array(
                self._surface,
                [
                    (vertices, "3f 3f 2f", "in_position", "in_normal", "in_share"),
                    (context.buffer(mesh.uv), "2f", "in_uv"),
                    (context.buffer(mesh.part.astype(np.uint32)), "1u4", "in_part"),
                ],
                index_buffer=context.buffer(mesh.faces),
            )
            self._meshes[mesh.topology.name] = known = _Mesh(vertices, array)
        return known

    def _texture(self, pixels: NDArray[np.uint8], level: int | None) -> Any:
        """GPU texture of an image at one level, or with all levels (``None``) for the ground."""
        known = self._textures.get(pixels, level)
        if known is not None:
            return known
        base = halved(pixels, level or 0)
        texture = self._context.texture(base.shape[1::-1], 3, base)
        texture.filter = self._context.LINEAR, self._context.LINEAR
        if level is None:
            texture.build_mipmaps()  # allocates the levels; their content is replaced, to equal the other backends'
            for step in range(1, shading.levels(pixels) + 1):
                texture.write(halved(pixels, step), level=step)
            texture.filter = self._context.LINEAR_MIPMAP_LINEAR, self._context.LINEAR
        for dropped in self._textures.put(pixels, texture, level):
            dropped.release()
        return texture

    def _backdrop(self, backdrop: NDArray[np.uint8]) -> Any:
        known = self._backdrops.get(backdrop)
        if known is None:
            known = self._context.texture(backdrop.shape[1::-1], 3, backdrop)
            known.filter = self._context.NEAREST, self._context.NEAREST
            for dropped in self._backdrops.put(backdrop, known):
                dropped.release()
        return known

    def _read(self, target: _Target, camera: Camera) -> Rendered:
        depth = np.empty((camera.height, camera.width), np.float32)
        target.fbo.read_into(target.rgb, components=4, attachment=0, alignment=1)
        target.fbo.read_into(depth, components=1, attachment=1, alignment=1, dtype="f4")
        target.fbo.read_into(target.labels, components=2, attachment=2, alignment=1, dtype="u1")
        rgb = np.asarray(cv2.cvtColor(target.rgb, cv2.COLOR_RGBA2RGB), np.uint8)
        parts, instances = (np.asarray(plane, np.uint8) for plane in cv2.split(target.labels))
        return Rendered(rgb, depth, parts, instances)


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
    near, far = shading.NEAR, shading.FAR
    project[2, 2:] = (far + near) / (far - near), -2 * far * near / (far - near)
    project[3, 2] = 1
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = camera.R, camera.t
    return project @ view


def frame_block(scene: Scene, shade: GroundMap | None) -> NDArray[np.float32]:
    """The uniform block of ``glsl/frame.glsl``: matrices by columns, vectors padded to four."""
    camera, lights, ground = scene.camera, scene.lights, scene.ground
    direction = np.asarray(lights.direction, np.float64)
    direction = direction / np.linalg.norm(direction)
    block = np.zeros((20, 4))
    block[0:4] = clip_matrix(camera).T
    block[4:7, :3] = (np.asarray(camera.R).T @ np.linalg.inv(camera.K)).T
    block[8, :3], block[8, 3] = camera.R[2], camera.t[2]
    block[9, :3] = camera.position
    block[10, :3], block[11, :3] = direction, lights.colour
    block[12, :3], block[13, :3] = lights.sky, lights.floor
    block[14, :3] = np.asarray(lights.colour) * max(direction[1], 0.0)
    if ground is not None:
        cos, sin = np.cos(ground.yaw), np.sin(ground.yaw)
        block[15] = cos, -sin, sin, cos  # undoes a rotation by yaw about +Y
        block[16] = *ground.centre, *(ground.half_size if ground.half_size is not None else (1e9, 1e9))
        block[17] = ground.height, 1 / ground.tile, shading.ground_texels(ground, camera), 1
    block[18] = (*shade.origin, *(1 / shade.size)) if shade is not None else (0, 0, 1, 1)
    block[19, :2] = camera.width, camera.height
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
