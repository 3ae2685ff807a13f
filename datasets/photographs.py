"""Photographs of one's own: the files of a folder, upright as their EXIF data says, and boxes of people for them.

Pictures have ids, as COCO wants them: the numbers that are their names (``000000000139.jpg`` is 139) if all have such
names, else 1, 2, … in the order of their names.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..config import UserError, nearest
from .crops import decode_image
from .detections import PERSON, Detections, choose_boxes

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic")
ORIENTATION = 0x0112  # EXIF tag


@dataclass(frozen=True)
class Photograph:
    """One file: its id, where it lies, and its name (path below the folder that was asked for, with ``/``)."""

    id: int
    path: Path
    name: str


def find_photographs(place: Path) -> list[Photograph]:
    """A picture, or all pictures of a folder and the folders in it, by name. Whether they can be read shows later.

    Raises:
        UserError: if there is none.
    """
    if place.is_file():
        files, root = [place], place.parent
    elif place.is_dir():
        files, root = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES), place
    else:
        raise UserError(f"no picture or folder of pictures at {place}")
    if not files:
        raise UserError(f"{place} has no pictures ({', '.join(SUFFIXES)})")
    names = [path.relative_to(root).as_posix() for path in files]
    numbers = [int(path.stem) if path.stem.isascii() and path.stem.isdigit() else -1 for path in files]
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        numbers = list(range(1, len(files) + 1))
    return [Photograph(i, path, name) for i, path, name in zip(numbers, files, names, strict=True)]


def orientation(data: bytes) -> tuple[int, tuple[int, int]]:
    """EXIF orientation (1 … 8; 1 is upright) and (width, height) as stored.

    Raises:
        UserError: if the bytes are no picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as picture:
            turned = int(picture.getexif().get(ORIENTATION, 1)) if picture.format == "JPEG" else 1
            return (turned if 1 <= turned <= 8 else 1), picture.size
    except UnidentifiedImageError:
        raise UserError(f"no picture (first bytes {bytes(data[:8])!r})") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"broken picture: {error}") from error


def stored_to_upright(turned: int, size: tuple[int, int]) -> np.ndarray:
    """The affine map (2, 3) float32 from stored to upright pixels (centres at integers) of an EXIF orientation."""
    w, h = size[0] - 1.0, size[1] - 1.0
    rows = {
        1: ((1, 0, 0), (0, 1, 0)),
        2: ((-1, 0, w), (0, 1, 0)),
        3: ((-1, 0, w), (0, -1, h)),
        4: ((1, 0, 0), (0, -1, h)),
        5: ((0, 1, 0), (1, 0, 0)),
        6: ((0, -1, h), (1, 0, 0)),
        7: ((0, -1, h), (-1, 0, w)),
        8: ((0, 1, 0), (-1, 0, w)),
    }[turned]
    return np.array(rows, np.float32)


def upright_size(turned: int, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the upright picture."""
    return (size[1], size[0]) if turned >= 5 else size


def decode_upright(data: bytes) -> np.ndarray:
    """The picture as one looks at it: (H, W, 3) uint8 RGB.

    Raises:
        UserError: if the bytes are no readable JPEG or PNG.
    """
    turned, _ = orientation(data)
    image = decode_image(data)
    if turned >= 5:
        image = cv2.transpose(image)  # then as 1, 2, 3, 4 with x and y exchanged
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(turned)
    return image if flip is None else cv2.flip(image, flip)


def read_boxes(
    path: Path,
    pictures: Sequence[Photograph],
    *,
    category: int = PERSON,
    min_score: float = 0.0,
    top: int | None = None,
) -> Detections:
    """A detector's boxes for photographs: a COCO detections file, whose rows name their picture in one of three ways.

    By ``file_name`` (or an ``image_id`` that is text): the picture's name, or the last part of it. By a number where the
    file is an object with ``images`` (``[{id, file_name}]``) and ``annotations``. By a number that is the picture's name.

    Boxes are in pixels of the upright picture. Arguments and errors as of ``detections.read_detections``.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read boxes {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"boxes {path} are not JSON: {error}") from error
    ids = _ids_by_name(pictures)
    listed: dict[Any, Any] = {}
    if isinstance(content, dict):
        entries = [entry for entry in content.get("images") or () if isinstance(entry, dict)]
        listed = {entry.get("id"): ids.get(str(entry.get("file_name"))) for entry in entries}
        content = [{"score": 1.0, **row} for row in content.get("annotations") or () if isinstance(row, dict)]
    if not isinstance(content, list):
        raise UserError(f"boxes {path} must be a list of {{file_name or image_id, category_id, bbox, score}}")
    named = {str(picture.id) for picture in pictures if picture.path.stem.isdigit()}
    rows = [_with_id(row, ids, listed, named) for row in content]
    unknown = [row for row in rows if isinstance(row, dict) and row.get("image_id") == -1]
    if rows and len(unknown) == len(rows):
        raise UserError(f"no box of {path} is of these pictures: {_example(content[0], pictures)}")
    return choose_boxes(rows, path, [p.id for p in pictures], category=category, min_score=min_score, top=top)


def _ids_by_name(pictures: Sequence[Photograph]) -> dict[str, int]:
    """Ids by name, and by the last part of it where that is of one picture only."""
    last: dict[str, list[int]] = {}
    for picture in pictures:
        last.setdefault(picture.path.name, []).append(picture.id)
    short = {name: ids[0] for name, ids in last.items() if len(ids) == 1}
    return short | {picture.name: picture.id for picture in pictures}


def _with_id(row: Any, ids: dict[str, int], listed: dict[Any, Any], named: set[str]) -> Any:
    """The row with our picture's id as ``image_id``; -1 for a picture that is not ours. What is no row stays as it is."""
    if not isinstance(row, dict):
        return row
    given = row.get("file_name", row.get("image_id"))
    if isinstance(given, str):
        found = ids.get(given, ids.get(Path(given).name))
    elif listed:
        found = listed.get(given)
    else:
        found = given if str(given) in named else None
    row = {"category_id": PERSON, **row}
    return {**row, "image_id": -1 if found is None else found}


def _example(row: Any, pictures: Sequence[Photograph]) -> str:
    given = row.get("file_name", row.get("image_id")) if isinstance(row, dict) else row
    if isinstance(given, str):
        return f"it names {given!r}; {nearest(given, [picture.name for picture in pictures])}"
    return (
        f"its first row has image_id {given!r}, which no picture is called: give file_name in each row, or images: "
        "[{id, file_name}] beside annotations"
    )
