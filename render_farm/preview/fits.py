"""A contact sheet of fits: photograph, body over it, and the body from the side, which shows what a photograph hides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...models.bodies.body import Body
from .draw import draw_bodies
from .dressing import dress_plainly
from .media import Bytes, captioned, strip, write_picture
from .overlay import FLIP, check_image, draw_residuals, overlay

_PLAIN = 120  # grey of what lies beyond the picture, or of a person without one


@dataclass(frozen=True)
class FitItem:
    """One fitted person.

    Attributes:
        id: to write beneath. caption: errors, to write beneath too.
        image: (H, W, 3) uint8 RGB, or None to show body and keypoints on grey.
        vertices: (V, 3) camera frame (OpenCV), metres. K: (3, 3) intrinsics in pixels of the image.
        keypoints: (J, 3) x, y, confidence; projected: (J, 2); or None.
        joint_set: of the keypoints; None is the body's keypoint set.
    """

    id: str
    image: Bytes | None
    vertices: NDArray[np.floating]
    K: NDArray[np.floating]
    keypoints: NDArray[np.floating] | None = None
    projected: NDArray[np.floating] | None = None
    joint_set: str | None = None
    caption: str = ""


def fit_sheet(
    body: Body,
    items: Sequence[FitItem],
    path: Path | str | None = None,
    *,
    tile: int = 256,
    columns: int = 2,
    renderer_name: str = "auto",
) -> Bytes:
    """Draw people in rows of ``columns``, each as photograph | overlay | side view with a caption.

    Photographs are cut to the person, so that marks are legible on small people in large pictures.

    Args:
        tile: side of each of the three pictures, pixels.

    Returns:
        the sheet (H, W, 3); written to ``path`` (.png, .jpg) if one is given.

    Raises:
        UserError: if there is nobody to show, or arrays do not fit each other.
    """
    if not items:
        raise UserError("a sheet of fits needs a person: none was fitted")
    panels = []
    for number, item in enumerate(items):
        dress = dress_plainly(body, seed=number % 8, size=512)
        photo, K, keypoints, projected = crop_to_person(item, tile)
        drawn = overlay(
            photo,
            body,
            item.vertices,
            K,
            keypoints,
            projected,
            joint_set=item.joint_set,
            dress=dress,
            renderer_name=renderer_name,
        )
        world = np.asarray(item.vertices, np.float32) * np.float32(FLIP)
        side = draw_bodies(
            body, world[None], (tile, tile), (90.0, 0.0), dress=dress, ground=None, renderer_name=renderer_name
        )
        if item.image is None and keypoints is not None:  # without a photograph its keypoints alone
            photo = draw_residuals(photo, keypoints, None, item.joint_set or body.keypoint_set)
        panels.append(strip([photo, drawn, side[0]], gap=2))
    texts = [f"{item.id}   {item.caption}".strip() for item in items]
    drawn_panels = [captioned(panel, text, size=max(11, tile // 18)) for panel, text in zip(panels, texts, strict=True)]
    height = max(len(panel) for panel in drawn_panels)
    same = [np.pad(p, ((0, height - len(p)), (0, 0), (0, 0)), constant_values=250) for p in drawn_panels]
    sheet = strip(same, min(columns, len(same)), gap=10)
    if path is not None:
        write_picture(sheet, path)
    return sheet


def crop_to_person(
    item: FitItem, side: int
) -> tuple[Bytes, NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """A square of the photograph about the person, ``side`` pixels wide, with camera and points moved along.

    Returns:
        picture (side, side, 3), K (3, 3), keypoints and projections in its pixels.
    """
    K = np.asarray(item.K, np.float64)
    vertices = np.asarray(item.vertices, np.float64)
    if not np.isfinite(vertices).all() or (vertices[:, 2] <= 0).any():
        raise UserError(f"person {item.id}: the body does not lie in front of the camera; was it fitted?")
    flat = vertices @ K.T
    points = [flat[:, :2] / flat[:, 2:]]
    if item.keypoints is not None:
        points.append(np.asarray(item.keypoints)[np.asarray(item.keypoints)[:, 2] > 0, :2])
    seen = np.concatenate(points)
    seen = seen[np.isfinite(seen).all(1)]
    low, high = seen.min(0), seen.max(0)
    width = 1.16 * float((high - low).max())
    corner = (low + high) / 2 - width / 2  # of the square, in pixels with centres at integers
    scale = side / width
    # Pixel centre u of the photograph lands at scale * (u - corner) - 0.5.
    shift = -scale * corner - 0.5
    if item.image is None:
        photo = np.full((side, side, 3), _PLAIN, np.uint8)
    else:
        check_image(item.image)
        photo = _cut(item.image, scale, shift, side)
    K = np.array(K)
    K[:2] *= scale
    K[:2, 2] += shift
    keypoints = None if item.keypoints is None else np.array(item.keypoints, np.float64)
    if keypoints is not None:
        keypoints[:, :2] = keypoints[:, :2] * scale + shift
    projected = None if item.projected is None else np.asarray(item.projected, np.float64) * scale + shift
    return photo, K, keypoints, projected


def _cut(image: Bytes, scale: float, shift: NDArray[np.float64], side: int) -> Bytes:
    """The photograph moved and scaled into a square; averaged first where it shrinks."""
    halvings = max(0, int(np.floor(np.log2(max(1 / scale, 1e-9)))))
    small = image
    if halvings:
        size = max(1, image.shape[1] >> halvings), max(1, image.shape[0] >> halvings)
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    ratio = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
    # Pixel u of the small picture has its centre at ratio * (u + 0.5) - 0.5 of the large one.
    offset = scale * (0.5 * ratio - 0.5) + shift
    matrix = np.array([[scale * ratio[0], 0, offset[0]], [0, scale * ratio[1], offset[1]]])
    grey = (_PLAIN, _PLAIN, _PLAIN)
    return np.asarray(
        cv2.warpAffine(
            small, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=grey
        ),
        np.uint8,
    )
