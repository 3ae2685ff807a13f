"""Draw dressed bodies in a plain studio: pale floor with a grid, soft shadow, no horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...models.bodies.body import Body
from ..renderers import Renderer, make_renderer
from ..scenes.scene import Camera, Ground, Lights, PersonInScene, Scene, Surface
from .dressing import Dress, dress_plainly
from .views import View, finer, frame_points, moved, scaled_world

Bytes = NDArray[np.uint8]
PAPER = (227, 228, 230)
"""sRGB of the studio: what floor and backdrop fade into."""
_LINE, _FLOOR_TEXELS, _FLOOR_HEIGHTS = (186, 189, 194), 2048, 9.0
_SCENE_HEIGHT = 0.25  # bodies are drawn this small: lengths in the shadows are fixed, and so grow soft on the body
_SKY = 0.54
_LONG = 24  # pictures
_NOTHING = np.zeros(3)


@dataclass(frozen=True)
class Floor:
    """The studio's floor.

    Attributes:
        height: y in metres. grid: distance of its lines in metres, 0 for none.
    """

    height: float
    grid: float


@lru_cache(maxsize=2)
def renderer(name: str = "auto", device: str = "cpu") -> Renderer:
    """The renderer of this process's previews, opened at first use and kept."""
    return make_renderer(name, device)


def draw_bodies(
    body: Body,
    vertices: NDArray[np.floating],
    size: tuple[int, int] = (480, 640),
    view: View | Sequence[Camera] = "three-quarter",
    *,
    dress: Dress | None = None,
    ground: float | str | None = "lowest",
    follow: NDArray[np.floating] | None = None,
    margin: float = 0.06,
    supersample: int | None = None,
    renderer_name: str = "auto",
) -> Bytes:
    """One picture a body; the camera's distance suits all of them, so that nothing is cropped and sizes compare.

    Args:
        vertices: (N, V, 3) bare posed bodies, world, Y up, metres.
        size: width and height of a picture, pixels.
        view: a name of ``VIEWS``, (azimuth, elevation) in degrees, a camera, or one camera a picture.
        dress: clothes; None draws ``dress_plainly(body)``.
        ground: height of the floor in metres, "lowest" for that of the lowest vertices, None for no floor.
        follow: (N, 3) world points that the camera goes along with, instead of seeing the whole path.
        supersample: samples a pixel and side; None is 2, or 1 for long sequences where rays are cast, which takes longer.

    Returns:
        (N, height, width, 3) uint8 RGB.

    Raises:
        UserError: if the vertices are not the body's or not finite, or no renderer works.
    """
    vertices = checked_vertices(body, vertices)
    dress = dress_plainly(body) if dress is None else dress
    cameras = _cameras(vertices, size, view, dress, follow, margin)
    floor = None
    if ground is not None:
        low = float(np.percentile(vertices[..., 1].min(1), 5)) if isinstance(ground, str) else float(ground)
        floor = Floor(low - 0.5 * float(dress.bulge.max()), grid_step(dress.height))
    if supersample is None:
        supersample = 1 if len(vertices) > _LONG and renderer(renderer_name).name == "raycast" else 2
    pictures = [
        draw_people([(dress, points)], camera, floor, supersample=supersample, renderer_name=renderer_name)
        for points, camera in zip(vertices, cameras, strict=True)
    ]
    return np.stack(pictures)


def checked_vertices(body: Body, vertices: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vertices as (N, V, 3) float32.

    Raises:
        UserError: for another shape, or numbers that are not finite (the first body's index is named).
    """
    points = np.asarray(vertices, np.float32)
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[1:] != body.template.shape or not len(points):
        raise UserError(f"pictures of '{body.name}' need vertices (N, {len(body.template)}, 3), got {points.shape}")
    bad = np.flatnonzero(~np.isfinite(points).all((1, 2)))
    if len(bad):
        raise UserError(f"vertices of body {bad[0]} are not finite; check its pose, betas and transl")
    return points


def grid_step(height: float) -> float:
    """Distance of the floor's lines for a body of that height: 0.5 m for adults, 0.2 m for children and infants."""
    return 0.5 if height > 1.0 else 0.2 if height > 0.4 else 0.05


def _cameras(
    vertices: NDArray[np.float32],
    size: tuple[int, int],
    view: View | Sequence[Camera],
    dress: Dress,
    follow: NDArray[np.floating] | None,
    margin: float,
) -> list[Camera]:
    if isinstance(view, Camera):
        return [view] * len(vertices)
    if not isinstance(view, str) and isinstance(view[0], Camera):
        if len(view) != len(vertices):
            raise UserError(f"{len(view)} cameras for {len(vertices)} bodies; give one a body, or one for all")
        return list(view)  # type: ignore[arg-type]
    place = np.zeros((len(vertices), 3)) if follow is None else np.asarray(follow, np.float64) - follow[0]
    relative = (vertices - place[:, None]).reshape(-1, 3)
    thickness = float(dress.bulge.max())
    relative = np.concatenate([relative - thickness, relative + thickness])
    camera = frame_points(relative, view, *size, margin)  # type: ignore[arg-type]
    return [moved(camera, offset) for offset in place]


def draw_people(
    people: Sequence[tuple[Dress, NDArray[np.floating]]],
    camera: Camera,
    floor: Floor | None,
    *,
    backdrop: Bytes | None = None,
    supersample: int = 2,
    renderer_name: str = "auto",
) -> Bytes:
    """One picture (H, W, 3) of people, each a dress and bare posed vertices (V, 3) in metres, world, Y up.

    Args:
        floor: None draws none. backdrop: (H, W, 3) what lies behind; None is the studio's paper.
    """
    scale = _SCENE_HEIGHT / max(dress.height for dress, _ in people)
    surfaces = [dress.surface(points, scale) for dress, points in people]
    scene = studio(surfaces, scaled_world(finer(camera, supersample), scale), backdrop)
    if floor is not None:
        scene = replace(scene, ground=_ground(floor, surfaces, scale))
    drawn = renderer(renderer_name).render(scene).rgb
    if supersample == 1:
        return drawn
    return np.asarray(cv2.resize(drawn, (camera.width, camera.height), interpolation=cv2.INTER_AREA), np.uint8)


def studio(surfaces: Sequence[Surface], camera: Camera, backdrop: Bytes | None = None) -> Scene:
    """Surfaces under a soft light from above and beside the camera; a level plate shows its own colour."""
    forward, right = np.asarray(camera.R)[2], np.asarray(camera.R)[0]
    flat = forward * (1, 0, 1)
    flat = flat / np.linalg.norm(flat) if np.linalg.norm(flat) > 0.05 else -np.asarray(camera.R)[1] * (1, 0, 1)
    towards = -0.80 * flat - 0.40 * right + np.array([0, 0.80, 0])
    towards /= np.linalg.norm(towards)
    key = (1 - _SKY) / towards[1]
    lights = Lights(
        towards, key * np.array([1.0, 0.985, 0.96]), _SKY * np.array([1.0, 1.01, 1.03]), np.full(3, 0.30), 0.25
    )
    paper = np.full((8, 8, 3), PAPER, np.uint8) if backdrop is None else backdrop
    people = [PersonInScene(surface, _NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING) for surface in surfaces]
    return Scene(camera, people, paper, lights)


def _ground(floor: Floor, surfaces: Sequence[Surface], scale: float) -> Ground:
    """A square of floor round the people, its lines at fixed places of the world, fading into the paper at its rim."""
    middle = np.mean([s.vertices[:, [0, 2]].mean(0) for s in surfaces], axis=0)
    step = floor.grid * scale
    centre = np.round(middle / step) * step if step else middle
    side = _FLOOR_HEIGHTS * _SCENE_HEIGHT
    lines = max(2, 2 * round(side / step / 2)) if step else 0
    side = lines * step if step else side
    return Ground(
        _floor_texture(lines), side, (side / 2, side / 2), floor.height * scale, (float(centre[0]), float(centre[1]))
    )


@lru_cache(maxsize=8)
def _floor_texture(lines: int) -> Bytes:
    """Paper with an even number of grid lines across, which fade out towards the rim, (s, s, 3), middle at the corner."""
    size = _FLOOR_TEXELS
    axis = (np.arange(size) + 0.5) / size
    shade = np.zeros((size, size), np.float32)
    if lines:
        pitch = size / lines
        away = np.abs((axis * size + pitch / 2) % pitch - pitch / 2)  # texels to the nearest line
        line = np.clip(1.6 - away, 0, 1).astype(np.float32)
        shade = np.maximum(line[:, None], line[None])
    radius = np.hypot(axis[:, None] - 0.5, axis[None] - 0.5) * 2
    shade *= np.clip((0.85 - radius) / 0.6, 0, 1)
    picture = np.array(PAPER) + shade[..., None] * (np.array(_LINE) - PAPER)
    return np.ascontiguousarray(np.roll(np.round(picture).astype(np.uint8), (size // 2, size // 2), (0, 1)))
