"""What all backends share: constants of the look, and the preparation of a scene on the CPU.

Shading is done in linear light with smooth normals, at the vertices, interpolated, and written as sRGB:

- directional light: Lambert's cosine, wrapped round the terminator by ``Surface.wrap`` (red wraps farthest, which is how
  light scattered in skin looks), times the vertex's visibility of the light;
- ambient light: between ``floor`` and ``sky`` by the normal's height, times the vertex's share of the sky;
- a Blinn-Phong highlight of ``Surface.specular``; a soft shoulder above ``KNEE`` instead of clipping.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Camera, Ground, Scene, Surface
from .mesh import StaticMesh, check_surface, static_mesh, surface_points, texel_level, vertex_normals
from .shadows import GroundMap, ground_map, visibility

NEAR, FAR = 0.05, 200.0  # metres; nothing nearer or farther is drawn
GLOSS = 28.0
KNEE = 0.8
WRAP_TINT = (1.0, 0.7, 0.6)  # how far red, green and blue wrap
LIGHT_BIAS, LIGHT_SPREAD = 0.02, 0.03  # metres, see shadows.visibility
SKY_BIAS, SKY_SPREAD, SKY_STRENGTH = 0.02, 0.20, 0.65
NEAR_GROUND, NEAR_GROUND_STRENGTH = 0.10, 0.45  # metres over which the ground darkens what faces it


@dataclass
class DrawItem:
    """One surface, ready to draw.

    Attributes:
        attributes: (V, 8) float32: position, normal, share of the directional light, share of the ambient light.
        level: how often to halve its texture.
    """

    surface: Surface
    instance: int
    mesh: StaticMesh
    attributes: NDArray[np.float32]
    level: int


@dataclass
class Prepared:
    """A scene, ready to draw: surfaces with shading, the ground's occlusion (None without a ground or people)."""

    items: list[DrawItem]
    ground: GroundMap | None
    backdrop: NDArray[np.uint8]


def prepare(scene: Scene) -> Prepared:
    """Check a scene and compute normals, shadows and texture levels.

    Raises:
        UserError: if the camera or a surface cannot be drawn.
    """
    check_camera(scene.camera)
    surfaces = scene.surfaces()
    for surface, _ in surfaces:
        check_surface(surface)
    vertices = [np.asarray(s.vertices, np.float32) for s, _ in surfaces]
    clouds = [surface_points(s) for s, _ in surfaces]
    points = np.concatenate([cloud.T for cloud in clouds], 1) if clouds else np.empty((3, 0), np.float32)
    points = np.ascontiguousarray(points)
    light = sky = np.empty(0, np.float32)
    if clouds:
        light = visibility(points, scene.lights.direction, LIGHT_BIAS, LIGHT_SPREAD)
        sky = visibility(points, np.array([0.0, 1.0, 0.0]), SKY_BIAS, SKY_SPREAD)
    starts = np.cumsum([0] + [len(cloud) for cloud in clouds])
    items = []
    for index, (surface, instance) in enumerate(surfaces):
        normals = surface.normals if surface.normals is not None else vertex_normals(surface.topology, vertices[index])
        attributes = np.empty((len(normals), 8), np.float32)
        attributes[:, :3] = vertices[index]
        attributes[:, 3:6] = normals
        own = slice(starts[index], starts[index] + len(normals))  # a surface's points begin with its vertices
        attributes[:, 6] = light[own]
        attributes[:, 7] = 1 - SKY_STRENGTH * (1 - sky[own])
        if scene.ground is not None:
            near = np.clip(1 - (vertices[index][:, 1] - scene.ground.height) / NEAR_GROUND, 0, 1)
            attributes[:, 7] *= 1 - NEAR_GROUND_STRENGTH * near * (0.5 - 0.5 * normals[:, 1])
        if surface.shade is not None:
            attributes[:, 7] *= surface.shade
        level = texel_level(surface, _pixel_metres(surface, scene.camera))
        items.append(DrawItem(surface, instance, static_mesh(surface.topology), attributes, level))
    shade = ground_map(points, scene.ground, scene.lights) if scene.ground is not None and clouds else None
    return Prepared(items, shade, _fit_backdrop(scene))


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


def _pixel_metres(surface: Surface, camera: Camera) -> float:
    """Width in metres of a pixel at the middle of a surface."""
    middle = np.asarray(camera.R) @ surface.vertices[::16].mean(0) + np.asarray(camera.t)
    return max(float(middle[2]), NEAR) / float(camera.K[0, 0])


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
