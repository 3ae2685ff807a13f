"""Boxes of people from a detector: files of COCO detection results (``[{image_id, category_id, bbox, score}, …]``).

Rows that do not have that form are refused with file, row and key; rows that are well formed but of no use here (other
categories, pictures that are not evaluated, low scores) are left out and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import UserError
from .coco_fields import is_id

PERSON = 1
"""``category_id`` of people in COCO."""


@dataclass(frozen=True)
class Detections:
    """Boxes by picture.

    Attributes:
        name: the file's.
        boxes: frame id (COCO's ``image_id``) → (n, 5) float64: x, y, width, height in pixels and score, best first. Every
            frame asked for is a key; n is 0 where nothing was found.
        counts: rows used and left out, by reason.
    """

    name: str
    boxes: Mapping[int, np.ndarray]
    counts: Mapping[str, int]

    def describe(self) -> str:
        """The counts in one line."""
        empty = sum(not len(boxes) for boxes in self.boxes.values())
        parts = [f"{count} {reason}" for reason, count in self.counts.items() if count or reason == "used"]
        pictures = f"{empty} of {len(self.boxes)} frames have none"
        return f"boxes of {self.name}: {', '.join(parts)}; {pictures}"


def read_detections(
    path: str | Path,
    frames: Collection[int],
    *,
    category: int = PERSON,
    min_score: float = 0.0,
    top: int | None = None,
) -> Detections:
    """Read a detections file for some pictures.

    Args:
        path: JSON list of COCO detection results; boxes are xywh in pixels.
        frames: ids of the pictures that boxes are wanted for.
        category: ``category_id`` of people in the file.
        min_score: leave out boxes below it.
        top: use at most this many boxes of a picture, the best ones. None: all.

    Raises:
        UserError: for a file that is no such list, a row that lacks a key or holds something else than finite numbers
            (file, row, key), or a file without a single box to use.
    """
    path = Path(path)
    return choose_boxes(_rows(path), path, frames, category=category, min_score=min_score, top=top)


def choose_boxes(
    rows: Iterable[Any],
    path: Path,
    frames: Collection[int],
    *,
    category: int = PERSON,
    min_score: float = 0.0,
    top: int | None = None,
) -> Detections:
    """Check and choose the rows of a detections file; arguments and errors as of :func:`read_detections`."""
    found: dict[int, list[list[float]]] = {frame: [] for frame in frames}
    counts = dict.fromkeys(
        ("used", "of other categories", "of pictures not in the data", "below min_score", "without area", "beyond top"),
        0,
    )
    for number, row in enumerate(rows):
        frame, box = _checked(row, f"{path}, row {number}")
        reason = None
        if row["category_id"] != category:
            reason = "of other categories"
        elif frame not in found:
            reason = "of pictures not in the data"
        elif box[4] < min_score:
            reason = "below min_score"
        elif min(box[2:4]) <= 0:
            reason = "without area"
        if reason is None:
            found[frame].append(box)
        else:
            counts[reason] += 1
    boxes = {}
    for frame, listed in found.items():
        ordered = np.array(sorted(listed, key=lambda box: -box[4]), np.float64).reshape(-1, 5)
        boxes[frame] = ordered[:top]
        counts["beyond top"] += len(ordered) - len(boxes[frame])
        counts["used"] += len(boxes[frame])
    result = Detections(path.name, boxes, counts)
    if not counts["used"]:
        raise UserError(
            f"{path} has no box to use: {result.describe()}; is it of these pictures, and is category_id {category} people?"
        )
    return result


def _rows(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read detections {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"detections {path} are not JSON: {error}") from error
    if not isinstance(content, list):
        hint = "; this is a file of annotations" if isinstance(content, dict) and "annotations" in content else ""
        raise UserError(f"detections {path} must be a JSON list of {{image_id, category_id, bbox, score}}{hint}")
    return content


def _checked(row: Any, where: str) -> tuple[int, list[float]]:
    """Frame id and [x, y, w, h, score] of one row."""
    if not isinstance(row, dict):
        raise UserError(
            f"{where} is a {type(row).__name__}, expected an object with image_id, category_id, bbox, score"
        )
    for key in ("image_id", "category_id", "bbox", "score"):
        if key not in row:
            raise UserError(f"{where} has no '{key}'")
    if not is_id(row["image_id"]):
        raise UserError(f"{where}: 'image_id' must be an integer, is {row['image_id']!r}")
    box = row["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(_finite(value) for value in box):
        raise UserError(f"{where}: 'bbox' must be four finite numbers (x, y, width, height), is {box!r}")
    if not _finite(row["score"]):
        raise UserError(f"{where}: 'score' must be a finite number, is {row['score']!r}")
    return row["image_id"], [*box, row["score"]]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
