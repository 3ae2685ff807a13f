"""The front of a face as an image: which triangle shows at each pixel, and where in it. Used to place landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FaceView:
    """A mesh seen along -Z (from the front), orthographic.

    Attributes:
        left, top: x and y of the centre of pixel (0, 0), metres; x grows to the right, y shrinks downwards.
        step: size of a pixel, metres.
        triangle: (H, W) int, index of the triangle in front, -1 where there is none.
        bary: (H, W, 3) barycentric coordinates in it. depth: (H, W) its z, metres, -inf where there is none.
    """

    left: float
    top: float
    step: float
    triangle: np.ndarray
    bary: np.ndarray
    depth: np.ndarray

    def column(self, x: float) -> int:
        """Nearest column to a place, metres."""
        return round((x - self.left) / self.step)

    def row(self, y: float) -> int:
        """Nearest row to a height, metres."""
        return round((self.top - y) / self.step)

    def sample(self, values: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """Values (T, ...) given at triangle corners (F, 3), blended for each pixel; undefined where nothing shows."""
        return np.einsum("hwk,hwk...->hw...", self.bary, values[corners[self.triangle]])


def front_view(points: np.ndarray, faces: np.ndarray, low: np.ndarray, high: np.ndarray, step: float) -> FaceView:
    """Rasterise the triangles that face +Z within the box ``low`` to ``high`` (x, y), metres."""
    width, height = (np.ceil((high - low) / step).astype(int) + 1).tolist()
    corners = points[faces]
    pixels = np.stack([(corners[:, :, 0] - low[0]) / step, (high[1] - corners[:, :, 1]) / step], -1)
    area = _cross(pixels[:, 1] - pixels[:, 0], pixels[:, 2] - pixels[:, 0])
    inside = (pixels.min(1) <= (width - 1, height - 1)).all(1) & (pixels.max(1) >= 0).all(1)
    triangle = np.full((height, width), -1)
    bary, depth = np.zeros((height, width, 3)), np.full((height, width), -np.inf)
    for face in np.flatnonzero(inside & (area < -1e-12)):  # rows grow downwards: facing the viewer is negative
        corner = pixels[face]
        x0, y0 = np.maximum(np.ceil(corner.min(0)).astype(int), 0)
        x1, y1 = np.minimum(np.floor(corner.max(0)).astype(int), (width - 1, height - 1))
        if x1 < x0 or y1 < y0:
            continue
        grid = np.stack(np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1)), -1)
        share = np.stack(
            [_cross(corner[(k + 1) % 3] - grid, corner[(k + 2) % 3] - grid) / area[face] for k in range(3)], -1
        )
        z = share @ corners[face, :, 2]
        window = (slice(y0, y1 + 1), slice(x0, x1 + 1))
        front = (share >= -1e-9).all(-1) & (z > depth[window])
        depth[window] = np.where(front, z, depth[window])
        triangle[window] = np.where(front, face, triangle[window])
        bary[window] = np.where(front[..., None], share, bary[window])
    return FaceView(float(low[0]), float(high[1]), step, triangle, bary, depth)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
