"""Frames as COCO: for the world (:func:`export_coco`, without loss) and for evaluation (:func:`frames_to_coco`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..config import UserError
from ..models.joints import joint_set
from .coco_fields import Entry, columns_to_annotation, columns_to_image, exact, restore, row_of
from .crops import is_png
from .frames import DatasetInfo, Frame
from .shards import FramesFolder

MAX_PERSONS = 1000
"""Rendered persons get annotation ids frame_id·1000 + index + 1 (COCO's evaluation treats id 0 as unmatched)."""

_LABELS = ("frame_id", "height", "width", "domain", "persons", "source", "extra")


def person_id(frame: Frame, index: int) -> int:
    """Annotation id of a person: the imported one, or one derived from the frame's id and the index within it."""
    own = frame.persons[index].annotation_id
    return own if own >= 0 else frame.frame_id * MAX_PERSONS + index + 1


def _category(info: DatasetInfo) -> Entry:
    skeleton = joint_set(info.joint_set).skeleton
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(info.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton],
    }


def _imported(info: DatasetInfo) -> Entry | None:
    """Top-level fields of the COCO file that the frames came from, or None for rendered frames."""
    return info.extra.get("coco")


def frames_to_coco(folder: FramesFolder | Path | str, area: str = "annotation") -> dict[str, Any]:
    """Ground truth for COCO's keypoint evaluation; reads labels only.

    All persons get category 1 (as predictions do) and the fields that the evaluation reads; absent ones are filled from
    the columns. Ids are those of :func:`person_id`.

    Args:
        folder: frames.
        area: ``annotation`` takes areas as they are, ``bbox`` width × height (for files whose ``area`` is degenerate,
            see :func:`coco_fields.degenerate_area`).

    Returns:
        ``{"images", "annotations", "categories"}``.

    Raises:
        UserError: for an unknown ``area``, or two persons with one id.
    """
    if area not in ("annotation", "bbox"):
        raise UserError(f"area must be 'annotation' or 'bbox', got '{area}'")
    source = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    images, annotations = [], []
    for frame in source.iterate(fields=_LABELS):
        images.append({"id": frame.frame_id, "width": frame.width, "height": frame.height, "file_name": frame.source})
        for i, value in enumerate(frame.persons):
            entry = exact(columns_to_annotation(value, frame.frame_id), value.extra)
            entry.update(id=person_id(frame, i), image_id=frame.frame_id, category_id=1)
            if area == "bbox":
                entry["area"] = float(entry["bbox"][2] * entry["bbox"][3])
            annotations.append(entry)
    _check_unique(annotations, source.path)
    return {"images": images, "annotations": annotations, "categories": [_category(source.info)]}


def export_coco(
    folder: FramesFolder | Path | str, out: Path | str | None = None, write_images: bool = True
) -> dict[str, Any]:
    """Frames as a COCO data set.

    Imported frames give back the file they came from: every field of every entry, in the file's order. Rendered frames
    get file names from their ids, boxes and areas of the visible silhouette, and one category.

    Args:
        folder: frames.
        out: new folder for ``annotations.json`` and ``images/``; None writes nothing.
        write_images: False leaves the pictures out.

    Returns:
        The COCO object.

    Raises:
        UserError: if ``out`` is not empty, a file name leaves it, or two persons have one id.
    """
    source = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    root = None if out is None else Path(out)
    if root is not None:
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise UserError(f"{root} exists and is not empty: choose another folder or remove it")
        root.mkdir(parents=True, exist_ok=True)
    rest = _imported(source.info)
    images: list[Entry] = []
    annotations: list[tuple[int, Entry]] = []
    pictures = root / "images" if root is not None and write_images else None
    for frame in source.iterate(fields=(*_LABELS, "image")) if pictures or rest is None else _labels(source):
        if rest is None:
            frame.source = f"{frame.frame_id:012d}.{'png' if is_png(frame.image) else 'jpg'}"
        image = columns_to_image(frame)
        images.append(image if rest is None else restore(image, frame.extra))
        for i, value in enumerate(frame.persons):
            entry = restore(columns_to_annotation(value, frame.frame_id), value.extra)
            entry["id"] = person_id(frame, i)
            annotations.append((row_of(value.extra), entry))
        if pictures is not None:
            _write_picture(pictures, frame)
    annotations.sort(key=lambda pair: pair[0])  # stable: rendered persons (-1) keep the frames' order
    listed = [entry for _, entry in annotations]
    _check_unique(listed, source.path)
    top = {"categories": [_category(source.info)], "licenses": [], "info": {"description": source.info.licence}}
    result = {**(top if rest is None else rest), "images": images, "annotations": listed}
    if root is not None:
        (root / "annotations.json").write_text(json.dumps(result), encoding="utf-8")
    return result


def _labels(source: FramesFolder) -> Iterator[Frame]:
    return source.iterate(fields=_LABELS)


def _write_picture(folder: Path, frame: Frame) -> None:
    """Write a frame's bytes under its file name; the name came from a file, so it must not lead out of the folder."""
    pure = PurePosixPath(frame.source)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise UserError(f"frame {frame.frame_id}: file name '{frame.source}' leaves {folder}")
    path = folder / pure
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(frame.image)


def _check_unique(annotations: list[Entry], path: Path) -> None:
    seen: set[int] = set()
    for entry in annotations:
        if entry["id"] in seen:
            raise UserError(f"{path}: two persons share the annotation id {entry['id']}")
        seen.add(entry["id"])
