"""COCO entries to frames' fields and back without loss.

A :class:`Person` holds what training needs as float32 columns. An annotation may hold more: further fields, numbers
that float32 cannot carry, or less (no ``area``). Whatever the columns alone would not give back goes as JSON into
``extra``, so :func:`restore` gives back every valid entry.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..config import UserError
from .crops import decode_image, is_jpeg, is_png, jpeg_size
from .frames import Frame, Person

Entry = dict[str, Any]

OWN = "sim2pose"
"""Key inside ``extra`` for our own bookkeeping: ``row`` in the list of annotations, ``absent`` fields."""

_INT64 = 2**63


class Bad(Exception):
    """A defect of one entry; becomes a UserError or a count, as the policy says."""


def plain(values: np.ndarray) -> list[Any]:
    """Float32 numbers as a person would write them: integers without a point, others with the fewest digits."""
    return [int(v) if v == int(v) else float(str(v)) for v in np.asarray(values, np.float32).reshape(-1)]


def is_id(value: Any) -> bool:
    """Whether a JSON value can be an id: an integer of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64


def _numbers(entry: Entry, key: str, count: int) -> list[float]:
    """A list of finite numbers of the given length."""
    values = entry.get(key)
    if values is None:
        raise Bad(f"has no '{key}'")
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)} numbers" if isinstance(values, list) else type(values).__name__
        raise Bad(f"'{key}' must be a list of {count} numbers, found {found}")
    for value in values:
        _finite(value, key)
    return values


def _finite(value: Any, key: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise Bad(f"'{key}' holds {value!r}, which is no finite number")
    return value


def person(entry: Entry, row: int, joints: int, need_keypoints: bool = True) -> Person:
    """A person from a COCO annotation.

    Args:
        entry: the annotation.
        row: its place in the file's list, kept for the export.
        joints: J of the joint set.
        need_keypoints: False accepts annotations that only have a box; their keypoints are all unlabelled.

    Raises:
        Bad: naming the field.
    """
    bbox = _numbers(entry, "bbox", 4)
    if need_keypoints and "keypoints" not in entry:
        raise Bad("has no 'keypoints' (need_keypoints=false takes people who only have a box)")
    if "keypoints" in entry:
        keypoints = np.asarray(_numbers(entry, "keypoints", 3 * joints), np.float32).reshape(joints, 3)
        if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
            raise Bad(f"'keypoints' has a visibility other than 0, 1, 2: {sorted(set(keypoints[:, 2].tolist()))}")
    else:
        keypoints = np.zeros((joints, 3), np.float32)
    area = _finite(entry["area"], "area") if entry.get("area") is not None else bbox[2] * bbox[3]
    if entry.get("iscrowd", 0) not in (0, 1):
        raise Bad(f"'iscrowd' is {entry['iscrowd']!r}, must be 0 or 1")
    result = Person(
        bbox=np.asarray(bbox, np.float32),
        keypoints=keypoints,
        area=float(area),
        iscrowd=bool(entry.get("iscrowd", 0)),
        annotation_id=entry["id"],
    )
    result.extra = _rest(entry, columns_to_annotation(result, entry["image_id"]), {"row": row})
    return result


def columns_to_annotation(value: Person, image_id: int) -> Entry:
    """An annotation from the columns alone; category 1."""
    area = value.area
    return {
        "id": value.annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "bbox": plain(value.bbox),
        "keypoints": plain(value.keypoints),
        "num_keypoints": int((value.keypoints[:, 2] > 0).sum()),
        "area": int(area) if area == int(area) else area,
        "iscrowd": int(value.iscrowd),
    }


def columns_to_image(frame: Frame) -> Entry:
    """An image entry from the columns alone."""
    return {"id": frame.frame_id, "file_name": frame.source, "height": frame.height, "width": frame.width}


def image_extra(entry: Entry, frame: Frame) -> str:
    """What :func:`columns_to_image` would not give back of an image entry, as JSON."""
    return _rest(entry, columns_to_image(frame), {})


def restore(base: Entry, extra: str) -> Entry:
    """The original entry: columns overlaid with ``extra``, absent fields removed."""
    rest = json.loads(extra) if extra else {}
    own = rest.pop(OWN, {})
    absent = own.get("absent", ())
    return {key: value for key, value in {**base, **rest}.items() if key not in absent}


def exact(base: Entry, extra: str) -> Entry:
    """The columns' fields with the exact numbers of ``extra``; absent fields keep the columns' values."""
    rest = json.loads(extra) if extra else {}
    return {key: rest.get(key, value) if rest.get(key) is not None else value for key, value in base.items()}


def row_of(extra: str) -> int:
    """The annotation's place in the file it came from; -1 if it came from none."""
    return json.loads(extra).get(OWN, {}).get("row", -1) if extra else -1


def _rest(entry: Entry, base: Entry, own: Entry) -> str:
    """JSON of the fields that ``base`` does not hold exactly as written (1 and 1.0 differ)."""
    rest = {k: v for k, v in entry.items() if k not in base or json.dumps(base[k]) != json.dumps(v)}
    absent = [key for key in base if key not in entry]
    if absent:
        own = {**own, "absent": absent}
    if own:
        rest[OWN] = own
    return json.dumps(rest, separators=(",", ":")) if rest else ""


def image_path(root: Path, name: str) -> Path:
    """The file of an image entry, certain to lie beneath ``root`` (symbolic links followed).

    Raises:
        Bad: for an absolute path, one that leaves the root, or a missing file.
    """
    path = beneath(root, name)
    if not path.is_file():
        raise Bad(f"there is no file {path}")
    return path


def beneath(root: Path, name: str) -> Path:
    """A path certain to lie beneath ``root`` (symbolic links followed), whether there is a file or not.

    Raises:
        Bad: for an absolute path, or one that leaves the root.
    """
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or ":" in pure.parts[0]:
        raise Bad(f"file_name '{name}' leaves the folder of images")
    path = root / pure
    if not path.resolve().is_relative_to(root.resolve()):
        raise Bad(f"file_name '{name}' is a link that leaves the folder of images")
    return path


def picture_size(data: bytes) -> tuple[int, int]:
    """Check that bytes are a whole JPEG or PNG picture; returns (width, height) as stored, before any EXIF rotation.

    A JPEG is decoded at an eighth of its size, which reads the whole entropy-coded stream.

    Raises:
        Bad: if they are not.
    """
    try:
        if is_jpeg(data):
            size = jpeg_size(data)
            decode_image(data, 8 if min(size) >= 64 else 1)
            return size
        image = decode_image(data)
    except UserError as error:
        raise Bad(str(error)) from None
    if is_png(data) and b"IEND" not in data[-64:]:
        raise Bad("PNG is cut short")
    return image.shape[1], image.shape[0]


def degenerate_area(area: np.ndarray, bbox: np.ndarray) -> str | None:
    """Why the areas cannot serve as object scale of OKS, or None if they look sound.

    OKS divides by the area. Some published files hold one constant for everyone, which changes AP by tens of points.

    Args:
        area: (P,) pixels. bbox: (P, 4) xywh.
    """
    area, bbox = np.asarray(area, np.float64), np.asarray(bbox, np.float64).reshape(-1, 4)
    if not len(area):
        return None
    zero = int((area <= 0).sum())
    if zero:
        return f"area is zero or negative for {zero} of {len(area)} persons"
    box = bbox[:, 2] * bbox[:, 3]
    values, where, times = np.unique(area, return_inverse=True, return_counts=True)
    same = where == times.argmax()
    if same.sum() > 1 and 2 * same.sum() > len(area) and np.ptp(box[same]) > 0.01 * box.max():
        count = f"all {len(area)}" if same.all() else f"{same.sum()} of {len(area)}"
        return f"area is {values[times.argmax()]:g} for {count} persons although their boxes differ"
    large = int((area > 1.5 * np.maximum(box, 1)).sum())
    if large > 0.1 * len(area):
        return f"area is larger than 1.5 times the box for {large} of {len(area)} persons"
    return None


def duplicates(entries: Iterable[Entry]) -> set[int]:
    """Ids that occur more than once."""
    seen: set[int] = set()
    return {e["id"] for e in entries if e["id"] in seen or seen.add(e["id"])}  # type: ignore[func-returns-value]
