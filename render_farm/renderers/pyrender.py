"""pyrender as a renderer, with a context that is kept: EGL or OSMesa (PYOPENGL_PLATFORM); extra "pyrender".

Two unlit passes of the same triangles: one whose vertex colours are part and instance ids, one of textures times the
light that :mod:`.vertices` found. pyrender multiplies encoded values, so light enters as its 2.2nd root: pictures are close
to the other backends', labels equal.
"""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Camera, Ground, Rendered, Scene
from . import look
from .finish import finish
from .gl_frame import SOFTWARE
from .pyrender_session import PyrenderContext
from .selfcheck import check_renderer
from .shading import DrawItem, Prepared, halved, prepare
from .vertices import VertexLight, host

GAMMA = 1 / 2.2
MIDDLE_ALBEDO = 0.25  # of which a highlight, which pyrender cannot add, is expressed as light


class PyrenderRenderer:
    """Draws scenes with pyrender.

    Args:
        device: "cpu" takes the EGL device GLCONTEXT_DEVICE_INDEX (default 0), "cuda" the same and refuses software.
        normals: also return surface normals.
        ambient_shadow: people and things darken each other's share of the surroundings' light.
        antialias: soften silhouettes in the picture (labels stay exact).

    Raises:
        UserError: if pyrender or its context cannot be had, or what it draws is wrong.
    """

    name = "pyrender"

    def __init__(
        self, device: str = "cpu", normals: bool = False, ambient_shadow: bool = True, antialias: bool = True
    ) -> None:
        self.antialias, self.normals = antialias, normals
        self._light = VertexLight("cpu", ambient_shadow=ambient_shadow)
        self._session = PyrenderContext(int(os.environ.get("GLCONTEXT_DEVICE_INDEX", "0")))
        self.device_name: str = self._session.device_name
        if device == "cuda" and any(word in self.device_name.lower() for word in SOFTWARE):
            self.close()
            raise UserError(f"renderer pyrender: no hardware EGL device found ({self.device_name}); use device=cpu")
        check_renderer(self)

    def render(self, scene: Scene) -> Rendered:
        """Draw a scene.

        Raises:
            UserError: if the scene cannot be drawn (wrong shapes, numbers that are not finite).
        """
        prepared = prepare(scene, self._light)
        rendered = self._draw(scene, prepared)
        finish(rendered, prepared.backdrop, self.antialias)
        return rendered

    def close(self) -> None:
        """Release the context."""
        self._session.close()

    def _draw(self, scene: Scene, prepared: Prepared) -> Rendered:
        camera = scene.camera
        labels, depth = self._pass(
            camera, [self._labelled(*pair, prepared) for pair in enumerate(prepared.items)], scene
        )
        painted = [self._painted(*pair, scene, prepared) for pair in enumerate(prepared.items)]
        rgb, _ = self._pass(camera, painted, scene, textured=True)
        rgb, depth = np.array(rgb, order="C"), np.array(depth, np.float32, order="C")
        parts, instances = (np.ascontiguousarray(labels[..., channel]) for channel in range(2))
        if scene.ground is not None:
            floor = (parts == 0) & (depth > 0)
            cv2.copyTo(_shaded_ground(rgb, scene, prepared), floor.view(np.uint8), rgb)
            np.copyto(depth, _ground_depth(scene.camera, scene.ground), where=floor)
        return Rendered(rgb, depth, parts, instances, self._normals(scene, prepared) if self.normals else None)

    def _pass(
        self, camera: Camera, primitives: list[Any], scene: Scene, textured: bool = False
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw primitives and the ground unlit."""
        pyrender = self._session.module
        if scene.ground is not None:
            primitives = [*primitives, self._ground(scene, textured)]
        drawn = pyrender.Scene(bg_color=np.zeros(4), ambient_light=np.ones(3))
        for primitive in primitives:
            drawn.add(pyrender.Mesh([primitive]))
        K, pose = camera.K, np.eye(4)  # camera to world, OpenGL axes (y up, z backward)
        pose[:3, :3], pose[:3, 3] = np.asarray(camera.R).T @ np.diag([1.0, -1.0, -1.0]), camera.position
        # pyrender's principal point counts from the corner of the first pixel, ours from its centre.
        centre = K[0, 2] + 0.5, K[1, 2] + 0.5
        lens = pyrender.IntrinsicsCamera(K[0, 0], K[1, 1], *centre, znear=look.NEAR, zfar=look.FAR)
        drawn.add(lens, pose=pose)
        result = self._session.render(drawn, camera.width, camera.height)
        textures = [p.material.baseColorTexture for p in primitives if p.material.baseColorTexture is not None]
        self._session.forget(textures)
        return result

    def _primitive(
        self,
        positions: NDArray[Any],
        faces: NDArray[Any],
        colours: NDArray[Any],
        two_sided: bool,
        uv: NDArray[Any] | None = None,
        texture: NDArray[np.uint8] | None = None,
    ) -> Any:
        pyrender, image = self._session.module, None
        if texture is not None and uv is not None:
            image = pyrender.Texture(source=texture, source_channels="RGB")
            uv = np.column_stack([uv[:, 0], 1 - uv[:, 1]])  # pyrender turns textures upside down
        material = pyrender.MetallicRoughnessMaterial(
            baseColorTexture=image, baseColorFactor=np.ones(4), doubleSided=two_sided, alphaMode="OPAQUE"
        )
        colour = np.ones((len(positions), 4), np.float32)
        colour[:, :3] = colours
        return pyrender.Primitive(positions, indices=faces, texcoord_0=uv, color_0=colour, material=material)

    def _labelled(self, index: int, item: DrawItem, prepared: Prepared) -> Any:
        mesh = item.mesh
        colours = np.zeros((len(mesh.source), 3), np.float32)
        colours[:, 0], colours[:, 1] = mesh.part / np.float32(255), item.instance / 255
        return self._primitive(item.surface.vertices[mesh.source], mesh.faces, colours, mesh.two_sided)

    def _painted(self, index: int, item: DrawItem, scene: Scene, prepared: Prepared) -> Any:
        mesh = item.mesh
        rows = host(self._light.gathered(prepared.lit, index, mesh)[0], len(mesh.source))
        light = rows[:, 3:6] + rows[:, 6:] * np.asarray(scene.lights.colour, np.float32) / MIDDLE_ALBEDO
        texture = halved(item.surface.texture, item.level)
        return self._primitive(rows[:, :3].copy(), mesh.faces, light**GAMMA, mesh.two_sided, mesh.uv, texture)

    def _ground(self, scene: Scene, textured: bool, colour: tuple[float, float, float] | None = None) -> Any:
        """The ground's rectangle, or as much of an endless plane as can be seen; unlit: the map of its light comes after."""
        ground = scene.ground
        assert ground is not None
        half = np.array(ground.half_size if ground.half_size is not None else (2 * look.FAR,) * 2)
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        cos, sin = np.cos(ground.yaw), np.sin(ground.yaw)
        places = np.empty((4, 3), np.float32)
        places[:, 0] = ground.centre[0] + corners @ (cos, sin)
        places[:, 1] = ground.height
        places[:, 2] = ground.centre[1] + corners @ (-sin, cos)
        faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
        colours = np.full((4, 3), 1.0 if textured else 0.0) if colour is None else np.tile(colour, (4, 1))
        if not textured:
            return self._primitive(places, faces, colours, True)
        texture = np.ascontiguousarray(ground.texture)
        return self._primitive(places, faces, colours, True, corners / ground.tile, texture)

    def _normals(self, scene: Scene, prepared: Prepared) -> NDArray[np.int8]:
        """A third pass whose colours are normals."""
        R, items = np.asarray(scene.camera.R), []
        for index, item in enumerate(prepared.items):
            mesh = item.mesh
            turned = host(self._light.gathered(prepared.lit, index, mesh, normals=True)[1], len(mesh.source))
            seen = turned @ R.T.astype(np.float32) * 0.5 + 0.5
            items.append(self._primitive(item.surface.vertices[mesh.source], mesh.faces, seen, mesh.two_sided))
        up = R[:, 1] * (1.0 if scene.ground is None or scene.camera.position[1] > scene.ground.height else -1.0)
        if scene.ground is not None:
            items.append(self._ground(scene, False, tuple(0.5 * up + 0.5)))
        colours, depth = self._pass(scene.camera, items, Scene(scene.camera, [], scene.backdrop))
        normals = colours.astype(np.float32) / 127.5 - 1
        length = np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
        return np.where(depth[..., None] > 0, np.round(127 * normals / length), 0).astype(np.int8)


def _ground_depth(camera: Camera, ground: Ground) -> NDArray[np.float32]:
    """Depth of the plane at each pixel, exact where the depth buffer, far away, is not."""
    rows, columns = np.arange(camera.height)[:, None], np.arange(camera.width)
    slope = (np.linalg.inv(camera.K).T @ np.asarray(camera.R))[
        :, 1
    ]  # the height of a pixel's ray is linear in the pixel
    fall = columns * slope[0] + rows * slope[1] + slope[2]
    return ((ground.height - camera.position[1]) / np.where(fall == 0, np.inf, fall)).astype(np.float32)


def _shaded_ground(rgb: NDArray[np.uint8], scene: Scene, prepared: Prepared) -> NDArray[np.uint8]:
    """The picture times the light that arrives on the ground at each pixel (pixels that show no ground are of no use)."""
    ambient, lamp = look.ambient_from_above(scene.lights), look.lamp_from_above(scene.lights)
    shade = prepared.ground
    if shade is None:
        return cv2.multiply(rgb, np.append((ambient + lamp) ** GAMMA, 0.0))  # type: ignore[return-value]
    arrives = shade.values.astype(np.float32) / 255
    light = (arrives[..., :1] * ambient + arrives[..., 1:] * lamp) ** GAMMA
    camera, ground = scene.camera, scene.ground
    assert ground is not None
    # World (x, z, 1) on the plane to pixels, and cells of the map (centres at integers) to world.
    R = np.asarray(camera.R)
    plane = np.column_stack([R[:, 0], R[:, 2], R[:, 1] * ground.height + camera.t])
    cell = shade.size / len(light)
    place = np.array(
        [[cell[0], 0, shade.origin[0] + cell[0] / 2], [0, cell[1], shade.origin[1] + cell[1] / 2], [0, 0, 1]]
    )
    pixel_to_cell = np.linalg.inv(np.asarray(camera.K) @ plane @ place)
    flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (camera.width, camera.height)
    spread = cv2.warpPerspective(
        light.astype(np.float32), pixel_to_cell, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.clip(rgb * spread + 0.5, 0, 255).astype(np.uint8)
