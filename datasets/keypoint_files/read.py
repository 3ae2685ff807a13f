"""Read keypoint files for fitting, one or many at once; what is bad is left out and listed."""

from __future__ import annotations

import glob
import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...config import UserError, nearest
from ..coco_fields import Bad, beneath, picture_size
from . import layouts
from .person import PersonKeypoints

FORMATS = ("fidip", "openpose", "coco", "coco_wholebody")
"""Layouts that are read. COCO-WholeBody is never guessed: without it, its files are read as COCO's 17 joints."""

_PICTURES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_SUFFIX = "_keypoints"


@dataclass(frozen=True)
class KeypointFiles:
    """What was read.

    Attributes:
        people: the good ones, in the order of files and of persons in them.
        problems: a sentence for each person or file that was left out, with file and person.
        unlabelled: annotations that say themselves that they have no keypoints (COCO's crowds and boxes); no fault.
    """

    people: list[PersonKeypoints]
    problems: list[str]
    unlabelled: int = 0


@dataclass(frozen=True)
class _Pictures:
    """Where pictures are looked for, and how large they are where nothing else says so."""

    folder: Path | None
    default: tuple[int, int] | None
    sizes: dict[Path, tuple[int, int]]


def read_keypoints(
    pattern: Path | str,
    format: str | None = None,
    width: int | None = None,
    height: int | None = None,
    images: Path | str | None = None,
    occluded: float = 1.0,
) -> KeypointFiles:
    """Read the persons of one or many keypoint files.

    ========== ========================================== ============================ ==========================
    format     layout                                     joint set                    confidence
    ========== ========================================== ============================ ==========================
    fidip      ``{"annotations": [57 numbers]}``          fidip19                      0, 1, 2 → 0, occluded, 1
    openpose   ``{"people": [{"pose_keypoints_2d":        openpose25                   as it is; up to 1.1 → 1
               [75 numbers]}, …]}``
    coco       ``images``, ``annotations``,               the category's names, or     v 0, 1, 2 → 0, occluded, 1
               ``categories``                             coco17
    ========== ========================================== ============================ ==========================

    ``coco_wholebody`` reads COCO-WholeBody's further fields into coco_wholebody133. A person's id is the file's name
    without ``_keypoints``, followed by COCO's annotation id or OpenPose's place in the list.

    The picture's size is the file's own (COCO), else the picture's, else ``width`` and ``height``. Pictures are looked
    for in ``images``; without that, beside the file and in a folder ``images`` beside it. A picture is the one that COCO
    names, or the one with the file's name. No name in a file leads out of these folders.

    Args:
        pattern: a file, a folder (all its ``.json``), or a glob (``**`` crosses folders).
        format: one of :data:`FORMATS`; None guesses, file by file.
        width, height: pixels, where nothing else says how large the pictures are.
        images: folder that must hold the pictures.
        occluded: confidence (0 to 1) of a keypoint that is labelled but hidden (v = 1).

    Raises:
        UserError: for bad arguments, no file, or, where there is one file only, a file that is no JSON or of no known
            layout. Of several files the bad ones are listed in ``problems``.
    """
    if format is not None and format not in FORMATS:
        raise UserError(f"unknown keypoint format '{format}': {nearest(format, FORMATS)}")
    if not 0 <= occluded <= 1:
        raise UserError(f"occluded must be a confidence from 0 to 1, is {occluded}")
    folder = None if images is None else Path(images)
    if folder is not None and not folder.is_dir():
        raise UserError(f"no folder of images at {folder}")
    pictures = _Pictures(folder, _default_size(width, height), {})
    files = _files(str(pattern))
    names = _names(files)
    people: dict[str, PersonKeypoints] = {}
    problems: list[str] = []
    unlabelled = 0
    for file in files:
        try:
            found, skipped = _read(file, format, occluded)
        except Bad as bad:
            if len(files) == 1:
                raise UserError(f"{file}: {bad}") from None
            problems.append(f"{file}: {bad}")
            continue
        unlabelled += skipped
        for person in found:
            name = "_".join(filter(None, (names[file], person.label)))
            try:
                if name in people:
                    raise Bad(f"person '{name}': this id occurs twice")
                people[name] = _person(name, person, file, pictures)
            except (Bad, UserError) as bad:
                problems.append(f"{file}: {bad}")
    return KeypointFiles(list(people.values()), problems, unlabelled)


def _default_size(width: int | None, height: int | None) -> tuple[int, int] | None:
    if width is None and height is None:
        return None
    if width is None or height is None or width < 1 or height < 1:
        raise UserError(f"width and height are positive and go together, got width={width} height={height}")
    return width, height


def _files(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(p for p in path.glob("*.json") if p.is_file())
        if not files:
            raise UserError(f"no .json file in {path}")
        return files
    files = [Path(p) for p in sorted(glob.glob(pattern, recursive=True)) if Path(p).is_file()]
    if not files:
        raise UserError(f"no keypoint file matches {pattern}")
    return files


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """What persons of each file are called: its stem, after its folder's where files of several have the same."""
    stems = {file: file.stem.removesuffix(_SUFFIX) or file.stem for file in files}
    often = Counter(stems.values())
    return {file: stem if often[stem] == 1 else f"{file.resolve().parent.name}_{stem}" for file, stem in stems.items()}


def _read(file: Path, format: str | None, occluded: float) -> tuple[list[layouts.Found], int]:
    """Persons of one file, and how many annotations are unlabelled."""
    try:
        data: Any = json.loads(file.read_bytes())
    except OSError as error:
        raise Bad(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Bad(f"is not valid JSON: {error}") from None
    guessed = layouts.guess(data)
    if guessed is None:
        results = isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "image_id" in data[0]
        hint = " (COCO results name no pictures' sizes; give an annotation file)" if results else ""
        raise Bad(f"is of no known layout: no list 'people' or 'annotations'{hint}")
    wanted = format or guessed
    if wanted.removesuffix("_wholebody") != guessed:
        raise Bad(f"looks like format={guessed}, not {wanted}")
    if guessed == "coco":
        return layouts.coco(data, occluded, wholebody=wanted == "coco_wholebody")
    return (layouts.openpose(data) if guessed == "openpose" else layouts.fidip(data, occluded)), 0


def _person(name: str, found: layouts.Found, file: Path, pictures: _Pictures) -> PersonKeypoints:
    try:
        points = found.read()
        image = _image(found.image, file, pictures.folder)
        width, height = _size(found.size, image, pictures)
        box = _box(found.bbox)
    except Bad as bad:
        raise Bad(f"person '{name}': {bad}") from None
    return PersonKeypoints(name, found.joint_set, points, width, height, image, box, str(file))


def _box(box: Any) -> np.ndarray | None:
    if box is None:
        return None
    if not isinstance(box, list) or not all(layouts.is_number(number) for number in box):
        raise Bad(f"'bbox' must be a list of 4 finite numbers, is {box!r}")
    return np.array(box, np.float64)


def _image(listed: Any, file: Path, folder: Path | None) -> Path | None:
    """The picture; None if there is none and none was asked for."""
    if listed is None:
        stems = dict.fromkeys((file.stem.removesuffix(_SUFFIX), file.stem))
        names = [f"{stem}{ending}" for stem in stems for ending in _PICTURES]
    elif isinstance(listed, str):
        names = [listed]
    else:
        raise Bad(f"'file_name' of its image is {listed!r}, must be text")
    roots = [file.parent, file.parent / "images"] if folder is None else [folder]
    for root, name in itertools.product(roots, names):
        if listed is None and not (root / name).is_file():  # only a listed name could lead elsewhere
            continue
        path = beneath(root, name)
        if path.is_file():
            return path
    if folder is not None:
        raise Bad(f"there is no picture {folder / names[0]}")
    return None


def _size(listed: tuple[int, int] | None, image: Path | None, pictures: _Pictures) -> tuple[int, int]:
    """Width and height of the picture, which must be those that the file lists, if it does."""
    if image is None:
        known = listed or pictures.default
        if known is None:
            raise Bad("image size missing: give width= and height=, or images= with the folder of pictures")
        return known
    if image not in pictures.sizes:
        try:
            pictures.sizes[image] = picture_size(image.read_bytes())
        except (Bad, OSError) as fault:
            raise Bad(f"{image}: {fault}") from None
    size = pictures.sizes[image]
    if listed not in (None, size):
        raise Bad(f"{image} is {size[0]}×{size[1]}, the file says {listed[0]}×{listed[1]}")  # type: ignore[index]
    return size
