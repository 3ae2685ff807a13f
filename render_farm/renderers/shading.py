"""What all backends share: the preparation of a scene.

Shading is done in linear light with smooth normals, at the vertices, interpolated, and written as sRGB:

- directional light: Lambert's cosine, wrapped round the terminator by ``Surface.wrap`` (red wraps farthest, which is how
  light scattered in skin looks), times the vertex's visibility of the light;
- ambient light: between ``floor`` and ``sky`` by the normal's height, or a panorama's irradiance, times the vertex's share
  of the sky;
- a Blinn-Phong highlight of ``Surface.specular``; a soft shoulder above ``KNEE`` instead of clipping.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Camera, Ground, Scene, Surface
from .detail import drawn, pixel_metres
from .mesh import StaticMesh, check_surface, static_mesh, texel_level
from .shadows import ENOUGH_POINTS, GroundMap, ground_map
from .vertices import Lit, VertexLight


@dataclass
class DrawItem:
    """One surface, ready to draw; ``level`` says how often to halve its texture."""

    surface: Surface
    instance: int
    mesh: StaticMesh
    level: int


@dataclass
class Prepared:
    """A scene, ready to draw: surfaces with their light, the ground's occlusion (None without a ground or surfaces)."""

    items: list[DrawItem]
    lit: Lit
    ground: GroundMap | None
    backdrop: NDArray[np.uint8]


def prepare(scene: Scene, light: VertexLight) -> Prepared:
    """Check a scene and compute normals, shadows, light and texture levels; valid until the next with the same ``light``.

    Raises:
        UserError: if the camera, a surface or the lights cannot be drawn.
    """
    check_camera(scene.camera)
    items, throwing = [], []
    for whole, instance in scene.surfaces():
        check_surface(whole)
        pixel = pixel_metres(whole, scene.camera)
        surface = drawn(whole, pixel)
        if surface is not whole:
            throwing.append(whole.vertices)
        items.append(DrawItem(surface, instance, static_mesh(surface.topology), texel_level(surface, pixel)))
    lit = light.light(scene, [item.surface for item in items], throwing)
    return Prepared(items, lit, _ground_map(scene, items, lit, light), _fit_backdrop(scene))


def _ground_map(scene: Scene, items: list[DrawItem], lit: Lit, light: VertexLight) -> GroundMap | None:
    ground = scene.ground
    if ground is None or not lit.total:
        return None
    stride = max(1, lit.total // ENOUGH_POINTS)
    some = np.concatenate([item.surface.vertices[::stride] for item in items])
    return ground_map(some, ground, scene.lights, lambda frame: light.splat(lit, float(ground.height), frame))


def check_camera(camera: Camera) -> None:
    """Refuse a camera that is no pinhole camera.

    Raises:
        UserError: naming what is wrong.
    """
    numbers = np.concatenate([np.ravel(camera.K), np.ravel(camera.R), np.ravel(camera.t)])
    if numbers.shape != (21,) or not np.isfinite(numbers).all():
        raise UserError("camera: K (3, 3), R (3, 3) and t (3,) must hold finite numbers")
    if camera.width < 1 or camera.height < 1 or camera.K[0, 0] <= 0 or camera.K[1, 1] <= 0:
        raise UserError("camera: width, height and focal lengths must be positive")


def halved(texture: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """The texture with both sides divided by ``2**level``, by area averaging (at least one texel)."""
    if level == 0:
        return np.ascontiguousarray(texture)
    height, width = texture.shape[:2]
    size = max(1, width >> level), max(1, height >> level)
    return np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _fit_backdrop(scene: Scene) -> NDArray[np.uint8]:
    backdrop, size = scene.backdrop, (scene.camera.width, scene.camera.height)
    if backdrop.dtype != np.uint8 or backdrop.ndim != 3 or backdrop.shape[2] != 3 or backdrop.size == 0:
        raise UserError(f"backdrop is {backdrop.dtype} {backdrop.shape}, needed uint8 (h, w, 3)")
    if backdrop.shape[:2] == size[::-1]:
        return np.ascontiguousarray(backdrop)
    smaller = backdrop.shape[0] >= size[1] and backdrop.shape[1] >= size[0]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(backdrop, size, interpolation=kind), np.uint8)


def levels(texture: NDArray[np.uint8]) -> int:
    """Number of halvings until the longer side of a texture is one texel."""
    return int(np.log2(max(texture.shape[:2])))


def ground_texels(ground: Ground, camera: Camera) -> float:
    """Texels of the ground in a pixel's width at z = 1 m; times z, it sets the level of detail."""
    return float(np.sqrt(ground.texture.shape[0] * ground.texture.shape[1]) / ground.tile / camera.K[0, 0])
