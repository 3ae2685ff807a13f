"""Drawing labels over pictures, for contact sheets and reports.

The person's left is orange, the right blue, the midline green, as everywhere in this project's pictures. A filled dot
is a visible keypoint (v = 2), a ring an occluded one (v = 1); v = 0 is not drawn. Coordinates are pixels, centres at
integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ..models.joints import JointSet

Colour = tuple[int, int, int]

LEFT: Colour = (255, 150, 30)
RIGHT: Colour = (60, 150, 255)
MIDDLE: Colour = (90, 230, 120)
BOX: Colour = (240, 240, 240)
INK: Colour = (25, 25, 25)

_SHIFT = 4  # OpenCV draws at 1/16 pixel


def joint_colours(joint_set: JointSet) -> list[Colour]:
    """A colour for each joint by its side."""
    colours = [MIDDLE] * joint_set.count
    for left, right in joint_set.flip_pairs:
        colours[left], colours[right] = LEFT, RIGHT
    return colours


def draw_keypoints(
    image: np.ndarray, keypoints: np.ndarray, joint_set: JointSet, size: float | None = None, skeleton: bool = True
) -> np.ndarray:
    """A copy of the picture with one person's keypoints and skeleton on it.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints: (J, 3) x, y, v in its pixels; points beyond the picture are clipped away.
        joint_set: order, sides and bones.
        size: dot radius in pixels; None: 1/75 of the picture's shorter side, at least 2.
        skeleton: also draw bones whose two ends are labelled.
    """
    canvas = np.ascontiguousarray(image).copy()
    radius = max(2.0, min(canvas.shape[:2]) / 75) if size is None else size
    points, shown = np.asarray(keypoints, np.float64), np.asarray(keypoints)[:, 2] > 0
    shown &= np.isfinite(points[:, :2]).all(axis=1) & (np.abs(points[:, :2]) < 1e5).all(axis=1)
    colours = joint_colours(joint_set)
    thick = max(1, round(radius * 0.6))
    for a, b in joint_set.skeleton if skeleton else ():
        if shown[a] and shown[b]:
            colour = colours[a] if colours[a] == colours[b] else MIDDLE
            cv2.line(canvas, _at(points[a]), _at(points[b]), colour, thick, cv2.LINE_AA, _SHIFT)
    for joint in np.flatnonzero(shown):
        centre = _at(points[joint])
        if points[joint, 2] >= 2:
            cv2.circle(canvas, centre, round((radius + 1) * 16), INK, -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(canvas, centre, round(radius * 16), colours[joint], -1, cv2.LINE_AA, _SHIFT)
        else:
            cv2.circle(canvas, centre, round(radius * 16), INK, thick + 2, cv2.LINE_AA, _SHIFT)
            cv2.circle(canvas, centre, round(radius * 16), colours[joint], thick, cv2.LINE_AA, _SHIFT)
    return canvas


def draw_box(image: np.ndarray, bbox: np.ndarray, colour: Colour = BOX) -> np.ndarray:
    """A copy of the (H, W, 3) picture with the outline of a box xywh (4,)."""
    canvas = np.ascontiguousarray(image).copy()
    x, y, w, h = np.asarray(bbox, np.float64)
    corners = np.array([[x, y], [x + w - 1, y], [x + w - 1, y + h - 1], [x, y + h - 1]])
    outline = np.rint(corners * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [outline], True, colour, 1, cv2.LINE_AA, _SHIFT)
    return canvas


def caption(image: np.ndarray, text: str, height: int = 18) -> np.ndarray:
    """The (H, W, 3) picture with a line of text beneath it: (H + height, W, 3). Text that is too wide is cut."""
    strip = np.full((height, image.shape[1], 3), INK, np.uint8)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, height / 45
    while text and cv2.getTextSize(text, font, scale, 1)[0][0] > image.shape[1] - 6:
        text = text[:-1]
    cv2.putText(strip, text, (3, height - round(height * 0.3)), font, scale, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate([image, strip])


def mosaic(tiles: Sequence[np.ndarray], columns: int, gap: int = 4) -> np.ndarray:
    """Tiles (h, w, 3) of one size in rows; what is left of the last row stays dark."""
    assert tiles, "a mosaic needs a tile"
    height, width = tiles[0].shape[:2]
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 45, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = tile
    return sheet


def _at(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0]) * 16), round(float(point[1]) * 16)
