"""Masks of persons as COCO's compressed run-length codes (RLE): a few hundred bytes instead of a picture.

A code counts runs of 0 and 1 down the columns; pycocotools reads and writes it. Only its ``counts`` are kept, the size is
the picture's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """The counts of a mask (H, W) bool."""
    from pycocotools import mask as coco

    counts: bytes = coco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"]
    return counts


def decode_mask(counts: bytes, height: int, width: int) -> NDArray[np.bool_]:
    """The mask (height, width) bool of some counts."""
    from pycocotools import mask as coco

    decoded: NDArray[np.uint8] = coco.decode(as_rle(counts, height, width))
    return decoded.view(np.bool_)


def as_rle(counts: bytes, height: int, width: int) -> dict[str, Any]:
    """The RLE object of pycocotools; with ``counts`` decoded to a string it is what COCO's JSON holds."""
    return {"size": [height, width], "counts": counts}


def mask_box_area(counts: bytes, height: int, width: int) -> tuple[NDArray[np.float32], int]:
    """Tight box (4,) xywh and number of pixels of a mask, from its code alone."""
    from pycocotools import mask as coco

    rle = as_rle(counts, height, width)
    return np.asarray(coco.toBbox(rle), np.float32), int(coco.area(rle))
