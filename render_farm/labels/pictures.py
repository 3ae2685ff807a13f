"""Pictures of part ids, depth and normals as PNG bytes, and back."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError

MAX_DEPTH_MM = 65535


def encode_parts(parts: NDArray[np.uint8]) -> bytes:
    """Part ids (H, W) uint8 as a greyscale PNG, the values unchanged."""
    # Runs of equal ids: run-length coding of unfiltered rows is both the fastest and the smallest.
    return _png(parts, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER_NONE)


def encode_depth(depth: NDArray[np.float32]) -> bytes:
    """Depth (H, W) metres as a 16-bit PNG in whole millimetres: 0 where nothing was hit, or beyond 65.535 m."""
    scaled = depth * np.float32(1000) + np.float32(0.5)
    millimetres = np.where(scaled < MAX_DEPTH_MM, scaled, 0).astype(np.uint16)
    return _png(millimetres, cv2.IMWRITE_PNG_STRATEGY_FILTERED, cv2.IMWRITE_PNG_FILTER_UP)


def encode_normals(normals: NDArray[np.int8]) -> bytes:
    """Normals (H, W, 3) as 127 times unit vectors, to a PNG of ``n * 127.5 + 127.5``; 0 where nothing was hit."""
    hit = normals.any(2, keepdims=True)
    levels = np.where(hit, np.round(normals.astype(np.float32) * (127.5 / 127) + 127.5), 0).astype(np.uint8)
    return _png(np.ascontiguousarray(levels[..., ::-1]), cv2.IMWRITE_PNG_STRATEGY_FILTERED, cv2.IMWRITE_PNG_FILTER_SUB)


def decode_png(png: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Part ids or millimetres (H, W) from :func:`encode_parts` or :func:`encode_depth`.

    Raises:
        UserError: if the bytes are no picture.
    """
    image: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise UserError("these bytes are not a PNG picture")
    return image


def _png(image: NDArray[np.uint8] | NDArray[np.uint16], strategy: int, row_filter: int) -> bytes:
    options = [
        *(cv2.IMWRITE_PNG_COMPRESSION, 1),
        *(cv2.IMWRITE_PNG_STRATEGY, strategy),
        *(cv2.IMWRITE_PNG_FILTER, row_filter),  # one filter; the default tries all of them on every row
    ]
    ok, buffer = cv2.imencode(".png", image, options)
    if not ok:
        raise UserError(f"cannot encode an array of shape {image.shape} and type {image.dtype} as PNG")
    return buffer.tobytes()
