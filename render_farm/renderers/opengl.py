"""OpenGL renderer: moderngl on a standalone EGL context, software (llvmpipe) or GPU; needs ``libegl1 libgl1``.

One pass writes colour, camera z as float32 and part and instance ids as integers. The picture is drawn upside down, so
that OpenGL's bottom-up rows come back with row 0 at the top: pixel (u, v) is window coordinate (u + 0.5, v + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Camera, Rendered, Scene
from . import look, shading
from .finish import finish
from .gl_frame import ROWS, frame_block, open_context
from .mesh import IdentityCache, StaticMesh
from .selfcheck import check_renderer
from .shading import DrawItem, Prepared, halved, prepare
from .shadows import MAP_SIZE
from .vertices import VertexLight, host

SHADERS = Path(__file__).parent / "glsl"


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
        self._context = open_context(device, device_index)
        self.device_name: str = self._context.info["GL_RENDERER"]
        with self._context:
            self._surface = self._program("surface")
            self._ground = self._program("ground")
            for program in (self._surface, self._ground):
                program["Frame"].binding = 0
            self._surface["albedo"] = 0
            self._ground["ground"], self._ground["occlusion"] = 1, 2
            self._ground_array = self._context.vertex_array(self._ground, [])
            self._frame = self._context.buffer(reserve=16 * ROWS)
            self._frame.bind_to_uniform_block(0)
            self._occlusion = self._context.texture((MAP_SIZE, MAP_SIZE), 2)
            self._occlusion.repeat_x = self._occlusion.repeat_y = False
            self._white = self._context.texture((1, 1), 3, b"\xff" * 3)
        self._targets: dict[tuple[int, int], _Target] = {}
        self._meshes: dict[str, _Mesh] = {}
        self._textures: IdentityCache[Any] = IdentityCache(128)
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
            known = self._context.texture(base.shape[1::-1], 4, padded(base))
            for dropped in self._textures.put(pixels, known, level):
                dropped.release()
        return known

    def _pyramid(self, pixels: NDArray[np.uint8]) -> Any:
        """GPU texture of the ground with all its levels."""
        known = self._grounds.get(pixels)
        if known is None:
            known = self._context.texture(pixels.shape[1::-1], 4, padded(pixels))
            known.build_mipmaps()  # allocates the levels; their content is replaced, to equal the other backends'
            for step in range(1, shading.levels(pixels) + 1):
                known.write(padded(halved(pixels, step)), level=step)
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


def padded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Texels with an unused fourth byte, which software OpenGL reads far faster: (h, w, 4)."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)
