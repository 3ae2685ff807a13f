"""Top-down crops: one affine map takes box, aspect, padding, scale, rotation, shift and mirror together.

Frames: picture and crop coordinates are (x right, y down) in pixels with **pixel centres at integers**, so a picture W
wide spans [-0.5, W - 0.5]. A COCO box (x, y, w, h) counts whole pixels from column x on: it covers columns
x .. x + w - 1 and its centre is x + (w - 1) / 2. With padding 1 and a box as large as the crop, the map is a pure
translation.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import simplejpeg

from ..config import UserError

PADDING = 1.25
"""Box enlargement of HRNet's top-down data (Sun et al. 2019, `lib/dataset/coco.py`)."""

_DCT_DIVISORS = (8, 4, 2)  # libjpeg-turbo has fast inverse DCTs for exactly these reductions


def crop_affine(
    bbox_xywh: np.ndarray,
    input_wh: tuple[int, int],
    padding: float = PADDING,
    rotation_deg: float = 0.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    flip: bool = False,
) -> np.ndarray:
    """The map from picture to crop for one box.

    The box is widened or heightened to the crop's aspect ratio, enlarged by ``padding * scale``, and mapped on the
    whole crop about its centre.

    Args:
        bbox_xywh: (4,) box in picture pixels, width and height above zero.
        input_wh: crop (width, height) in pixels.
        padding: enlargement of the box on every side together (1.25: an eighth of the box is added at each side).
        rotation_deg: turns the picture's content clockwise as seen on the screen.
        scale: further enlargement of the region; above 1 the person becomes smaller.
        shift: moves the region's centre, as a fraction of the region's width and height.
        flip: mirror the crop left to right; the caller swaps left and right joints.

    Returns:
        (2, 3) float32 matrix A with ``crop = A[:, :2] @ picture + A[:, 2]``.
    """
    x, y, w, h = (float(v) for v in bbox_xywh)
    assert min(w, h) > 0, "boxes without area never reach a crop"
    width, height = input_wh
    region_w = max(w, h * width / height) * padding * scale
    region_h = region_w * height / width
    centre_x = x + (w - 1) / 2 + shift[0] * region_w
    centre_y = y + (h - 1) / 2 + shift[1] * region_h
    zoom = width / region_w
    angle = math.radians(rotation_deg)
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    mirror = -1.0 if flip else 1.0
    rows = np.array([[mirror * cos, -mirror * sin, 0.0], [sin, cos, 0.0]])
    rows[0, 2] = (width - 1) / 2 - rows[0, 0] * centre_x - rows[0, 1] * centre_y
    rows[1, 2] = (height - 1) / 2 - rows[1, 0] * centre_x - rows[1, 1] * centre_y
    return rows.astype(np.float32)


def apply_affine(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Map points (..., 2) by a (2, 3) matrix; float32."""
    return (np.asarray(points, np.float32) @ affine[:, :2].T + affine[:, 2]).astype(np.float32)


def invert_affine(affine: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) float32 map, crop to picture; computed in float64."""
    matrix = np.asarray(affine, np.float64)
    inverse = np.linalg.inv(matrix[:, :2])
    return np.concatenate([inverse, -(inverse @ matrix[:, 2:])], axis=1).astype(np.float32)


def warp_image(image: np.ndarray, affine: np.ndarray, input_wh: tuple[int, int]) -> np.ndarray:
    """Resample (H, W, 3) or (H, W, 4) uint8 to the crop (h, w, 3), bilinear, black beyond the picture.

    A fourth channel is dropped; OpenCV's SIMD path takes four channels in half the time of three.

    Bilinear sampling reads four neighbours, so a reduction below one half would alias: decode with
    :func:`decode_for_crop` first, which hands out a picture already reduced.
    """
    crop = cv2.warpAffine(image, affine, input_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB) if crop.shape[2] == 4 else crop


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes start as a JPEG file does."""
    return bytes(data[:3]) == b"\xff\xd8\xff"


def is_png(data: bytes) -> bool:
    """Whether the bytes start as a PNG file does."""
    return bytes(data[:8]) == b"\x89PNG\r\n\x1a\n"


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a JPEG as stored, before any EXIF rotation.

    Raises:
        UserError: if its header cannot be read.
    """
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise UserError(f"broken JPEG: {error}") from error
    return width, height


def decode_image(data: bytes, divisor: int = 1, fourth_channel: bool = False) -> np.ndarray:
    """Decode JPEG or PNG bytes to (H, W, 3) uint8 RGB, ignoring any EXIF rotation (as COCO's annotations do).

    Args:
        data: the encoded picture.
        divisor: 1, 2, 4 or 8; a JPEG is reduced by this in its DCT (its size is rounded up), a PNG is not.
        fourth_channel: return (H, W, 4), the last channel being padding.

    Raises:
        UserError: if the bytes are neither JPEG nor PNG, or are broken or cut short.
    """
    if is_jpeg(data):
        try:
            if divisor == 1:
                return simplejpeg.decode_jpeg(data, "RGBX" if fourth_channel else "RGB", fastdct=True)
            small = tuple(-(-side // divisor) for side in reversed(jpeg_size(data)))
            image = simplejpeg.decode_jpeg(
                data, "RGBX" if fourth_channel else "RGB", fastdct=True, min_height=small[0], min_width=small[1]
            )
        except ValueError as error:
            raise UserError(f"broken JPEG: {error}") from error
        assert image.shape[:2] == small, "simplejpeg picks the smallest size that is large enough"
        return image
    if not is_png(data):
        raise UserError(f"neither JPEG nor PNG (first bytes {bytes(data[:8])!r})")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise UserError("broken PNG")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGBA if fourth_channel else cv2.COLOR_BGR2RGB)


def decode_for_crop(data: bytes, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decode no more of a picture than a crop needs.

    A crop that reduces the picture by two or more is cut from a JPEG reduced by 2, 4 or 8 in the DCT, which both saves
    time and averages the pixels that bilinear sampling would skip. Pixel i of the reduced picture covers pixels
    i·d .. i·d + d - 1, so its centre lies at d·i + (d - 1) / 2; the returned map accounts for that exactly.

    Returns:
        (H', W', 4) uint8 RGB and padding, for :func:`warp_image`, and the (2, 3) float32 map from it to the crop.

    Raises:
        UserError: if the bytes are no readable picture.
    """
    zoom = math.sqrt(abs(float(affine[0, 0] * affine[1, 1] - affine[0, 1] * affine[1, 0])))
    divisor = next((d for d in _DCT_DIVISORS if zoom * d <= 1.0), 1) if is_jpeg(data) else 1
    # Below 64 pixels two reductions can round to one size, and nothing is gained.
    if divisor > 1 and min(jpeg_size(data)) < 64:
        divisor = 1
    image = decode_image(data, divisor, fourth_channel=True)
    if divisor == 1:
        return image, affine
    matrix = np.asarray(affine, np.float64)
    offset = matrix[:, 2] + matrix[:, :2] @ np.full(2, (divisor - 1) / 2)
    return image, np.concatenate([matrix[:, :2] * divisor, offset[:, None]], axis=1).astype(np.float32)


def inside(points: np.ndarray, wh: tuple[int, int]) -> np.ndarray:
    """Which points (..., 2) lie on a picture of (width, height): (...) bool."""
    x, y = points[..., 0], points[..., 1]
    return (x >= -0.5) & (x < wh[0] - 0.5) & (y >= -0.5) & (y < wh[1] - 0.5)
