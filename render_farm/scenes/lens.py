"""Glass that bends: from the pinhole picture that renderers draw to the one a real lens would take.

A camera with ``distortion`` (OpenCV's k1, k2, p1, p2, k3), or with a skew in K (the shear of a rolling shutter while the
camera pans), is drawn by a straight camera that sees a little more (:func:`drawn_camera`), and what comes back is warped
(:func:`bend`): colour between pixels, labels by the nearest pixel. Cameras without either pass untouched, at no cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...models.geometry import distort
from .blur import apply_blur
from .config import LensConfig
from .scene import Camera, Rendered, Scene

_NODES = 32  # spans between the points of the longer side at which the lens is inverted; linear between them
_NEWTON = 12  # steps at most; lenses of the default ranges need four
_GRAIN = 8  # pixels: drawn pictures grow in such steps, so that renderers meet few sizes
Floats = NDArray[np.float64]


def photograph(render: Callable[[Scene], Rendered], scene: Scene) -> Rendered:
    """Draw a scene and take it through its lens: distortion and shear of its camera, depth of field, moving parts.

    Args:
        render: draws a scene whose camera is straight.
        scene: its camera may bend; its ``lens`` is :class:`.blur.LensParams` or None.

    Returns:
        pictures of the size that ``scene.camera`` asks for; labels and depth are bent with the colours, and only those
        are blurred.
    """
    drawn = drawn_camera(scene.camera)
    if drawn is scene.camera:
        rendered = render(scene)
    else:
        rendered = bend(render(replace(scene, camera=drawn)), scene.camera)
    if scene.lens is not None:
        rendered.rgb = apply_blur(rendered, scene.camera, scene.lens)
    return rendered


def sample_bend(rng: np.random.Generator, config: LensConfig, camera: Camera) -> Camera:
    """The camera with a lens drawn from the ranges; itself where this picture's lens is straight."""
    bent, moving = rng.random() < config.distorted, rng.random() < config.panned
    corner, second, third = rng.uniform(*config.distortion), rng.uniform(-0.3, 0.1), rng.uniform(-0.03, 0.03)
    tangential, pan = config.decentring * rng.standard_normal(2), rng.uniform(*config.pan)
    sign = 1 if rng.random() < 0.5 else -1
    if bent:
        r2 = (camera.width**2 + camera.height**2) / 4 / float(camera.K[0, 0]) ** 2  # of the corner
        first = corner * (1 - second - third)
        values = [first / r2, corner * second / r2**2, *tangential, corner * third / r2**3]
        camera = replace(camera, distortion=np.array(values))
    if moving:  # x moves on while the rows are read: a skew of K
        K = np.array(camera.K, np.float64)
        travel = sign * pan * camera.width / camera.height * float(K[1, 1])
        K[0, 1] = travel
        camera = replace(camera, K=K)
    return camera


def drawn_camera(camera: Camera) -> Camera:
    """The straight camera whose picture holds all that a bending one sees; the camera itself if it does not bend.

    Raises:
        UserError: for a distortion that is not (5,) finite numbers, or that folds the picture onto itself.
    """
    if not bends(camera):
        return camera
    lens = _lens_of(camera)
    return replace(camera, K=lens.K, width=lens.width, height=lens.height, distortion=None)


def bends(camera: Camera) -> bool:
    """Whether the camera has a distortion or a shear."""
    return camera.distortion is not None or camera.K[0, 1] != 0


def in_sight(rays: Floats, camera: Camera) -> NDArray[np.bool_]:
    """Which rays (..., 2), X/Z and Y/Z, a bending camera can have in its picture at all: (...,) bool.

    Far outside of the picture the lens polynomial turns back and would bring points in again that no lens shows.
    """
    lens = _lens_of(camera)
    u, v = rays[..., 0] * lens.K[0, 0] + lens.K[0, 2], rays[..., 1] * lens.K[1, 1] + lens.K[1, 2]
    return np.asarray((u > -1) & (u < lens.width) & (v > -1) & (v < lens.height))


def project(points: Floats, camera: Camera) -> Floats:
    """Camera-frame points (N, 3), metres, to pixels (N, 2) through the lens; NaN behind the camera or out of its sight."""
    z = points[:, 2]
    rays = points[:, :2] / np.where(z > 1e-6, z, 1.0)[:, None]
    ahead = z > 1e-6
    if bends(camera):
        ahead &= in_sight(rays, camera)
    if camera.distortion is not None:
        rays = distort(rays, np.asarray(camera.distortion, np.float64))
    K = np.asarray(camera.K, np.float64)
    return np.where(ahead[:, None], rays @ K[:2, :2].T + K[:2, 2], np.nan)


def bend(rendered: Rendered, camera: Camera) -> Rendered:
    """Warp what :func:`drawn_camera` of ``camera`` saw to what ``camera`` sees, in its size."""
    lens = _lens_of(camera)

    def nearest(plane: NDArray) -> NDArray:
        return np.asarray(cv2.remap(plane, lens.x, lens.y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE))

    whole, part = cv2.convertMaps(lens.x, lens.y, cv2.CV_16SC2)  # 1/32 of a pixel, as OpenCV interpolates in any case
    rgb = cv2.remap(rendered.rgb, whole, part, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Rendered(
        rgb=np.asarray(rgb, np.uint8),
        depth=nearest(rendered.depth),
        parts=nearest(rendered.parts),
        instances=nearest(rendered.instances),
        normals=None if rendered.normals is None else nearest(rendered.normals),
    )


@dataclass(frozen=True)
class _Lens:
    """A lens ready for use: K (3, 3), width and height of the drawn camera, and x and y (H, W) float32, the pixel
    of its picture that each pixel of the bent one shows.
    """

    K: Floats
    width: int
    height: int
    x: NDArray[np.float32]
    y: NDArray[np.float32]


def _lens_of(camera: Camera) -> _Lens:
    bent = np.zeros(5) if camera.distortion is None else np.asarray(camera.distortion, np.float64)
    if bent.shape != (5,) or not np.isfinite(bent).all():
        raise UserError(f"camera: distortion must be five finite numbers k1, k2, p1, p2, k3, found shape {bent.shape}")
    return _lens(np.asarray(camera.K, np.float64).tobytes(), bent.tobytes(), camera.width, camera.height)


@lru_cache(maxsize=8)  # sampler, renderer and labels of a frame ask for the same one
def _lens(intrinsics: bytes, bent: bytes, width: int, height: int) -> _Lens:
    K, distortion = np.frombuffer(intrinsics).reshape(3, 3), np.frombuffer(bent)
    step = max(8, 8 * round(max(width, height) / 8 / _NODES))
    columns, rows = (np.arange(0, side - 1 + step, step) for side in (width, height))
    ends = (
        np.minimum(columns, width - 1),
        np.minimum(rows, height - 1),
    )  # nothing beyond the border is asked of the lens
    u, v = np.meshgrid(*ends)
    y = (v - K[1, 2]) / K[1, 1]
    x = (u - K[0, 2] - K[0, 1] * y) / K[0, 0]
    rays = _straighten(np.stack([x, y], -1), distortion)
    nodes = rays * (K[0, 0], K[1, 1]) + (K[0, 2], K[1, 2])
    before = np.maximum(0, np.ceil(-nodes.min((0, 1)))).astype(int)
    after = np.maximum(0, np.ceil(nodes.max((0, 1)) - (width - 1, height - 1))).astype(int)
    size = -(-(before + after) // _GRAIN) * _GRAIN + (width, height)
    nodes[:, -1] += (nodes[:, -1] - nodes[:, -2]) * (step / (ends[0][-1] - columns[-2]) - 1)
    nodes[-1] += (nodes[-1] - nodes[-2]) * (step / (ends[1][-1] - rows[-2]) - 1)
    drawn = np.array(K)
    drawn[0, 1] = 0.0
    drawn[:2, 2] += before
    down, across = _between(height, step, len(rows)), _between(width, step, len(columns)).T
    x, y = (down @ (nodes + before)[..., axis].astype(np.float32) @ across for axis in (0, 1))
    return _Lens(drawn, int(size[0]), int(size[1]), x, y)


@lru_cache(maxsize=8)
def _between(pixels: int, step: int, nodes: int) -> NDArray[np.float32]:
    """Weights (pixels, nodes) that interpolate linearly between nodes ``step`` pixels apart."""
    away = np.arange(pixels)[:, None] / step - np.arange(nodes)
    return np.maximum(1 - np.abs(away), 0).astype(np.float32)


def _straighten(bent: Floats, distortion: Floats) -> Floats:
    """Rays (..., 2) whose images through the lens are ``bent`` (..., 2), by Newton's method.

    Raises:
        UserError: if there are none: the lens turns back before it reaches them.
    """
    k1, k2, p1, p2, k3 = distortion
    rays, error = bent.copy(), np.inf
    for _ in range(_NEWTON):
        missing = bent - distort(rays, distortion)
        error = float(np.abs(missing).max())
        if error < 1e-6 or not np.isfinite(error):
            break
        x, y = rays[..., 0], rays[..., 1]
        r2 = x * x + y * y
        radial, slope = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
        xx, xy = radial + x * x * slope + 2 * p1 * y + 6 * p2 * x, x * y * slope + 2 * (p1 * x + p2 * y)
        yy = radial + y * y * slope + 6 * p1 * y + 2 * p2 * x
        area = np.maximum(xx * yy - xy * xy, 1e-3)
        across, down = missing[..., 0], missing[..., 1]
        rays = rays + np.stack([yy * across - xy * down, xx * down - xy * across], -1) / area[..., None]
    radius = np.linspace(0, float((rays**2).sum(-1).max()), 24)
    rising = 1 + radius * (3 * k1 + radius * (5 * k2 + radius * 7 * k3)) > 0.02
    if error >= 1e-6 or not rising.all():
        numbers = ", ".join(f"{value:.3g}" for value in distortion)
        raise UserError(
            f"camera: distortion ({numbers}) folds this picture onto itself; take a weaker one, or a longer focal length"
        )
    return rays
