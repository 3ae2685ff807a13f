"""Frames as COCO: for the world (:func:`export_coco`, without loss) and for evaluation (:func:`frames_to_coco`)."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from ..config import UserError
from ..models.joints import joint_set as find_joint_set
from .coco_fields import Entry, columns_to_annotation, columns_to_image, exact, restore, row_of
from .crops import is_png
from .frames import DatasetInfo, Frame, Person
from .labelled import locate_set, with_joint_set
from .masks import as_rle
from .shards import FramesFolder

MAX_PERSONS = 1000
"""Rendered persons get annotation ids frame_id·1000 + index + 1 (COCO's evaluation treats id 0 as unmatched)."""

_LABELS = ("frame_id", "height", "width", "domain", "persons", "source", "extra")


def person_id(frame: Frame, index: int) -> int:
    """Annotation id of a person: the imported one, or one derived from the frame's id and the index within it."""
    own = frame.persons[index].annotation_id
    return own if own >= 0 else frame.frame_id * MAX_PERSONS + index + 1


def _category(name: str) -> Entry:
    joints = find_joint_set(name)
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(joints.joints),
        "skeleton": [[a + 1, b + 1] for a, b in joints.skeleton],
    }


def _imported(info: DatasetInfo) -> Entry | None:
    """Top-level fields of the COCO file that the frames came from, or None for rendered frames."""
    return info.extra.get("coco")


def frames_to_coco(
    folder: FramesFolder | Path | str, area: str = "annotation", joint_set: str | None = None
) -> dict[str, Any]:
    """Ground truth for COCO's keypoint evaluation; reads labels only.

    All persons get category 1 (as predictions do) and the fields that the evaluation reads; absent ones are filled from
    the columns. Ids are those of :func:`person_id`.

    Args:
        folder: frames.
        area: ``annotation`` takes areas as they are, ``bbox`` width × height (for files whose ``area`` is degenerate,
            see :func:`coco_fields.degenerate_area`).
        joint_set: which labelled joint set; None: the first.

    Returns:
        ``{"images", "annotations", "categories"}``.

    Raises:
        UserError: for an unknown ``area``, a set that is not labelled, or two persons with one id.
    """
    if area not in ("annotation", "bbox"):
        raise UserError(f"area must be 'annotation' or 'bbox', got '{area}'")
    source = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    name = locate_set(source.info, joint_set or source.info.joint_set).name
    images, annotations = [], []
    for frame in source.iterate(fields=_LABELS):
        images.append({"id": frame.frame_id, "width": frame.width, "height": frame.height, "file_name": frame.source})
        for i, value in enumerate(frame.persons):
            labelled = with_joint_set(value, source.info, name)
            entry = exact(columns_to_annotation(labelled, frame.frame_id), value.extra)
            entry.update(id=person_id(frame, i), image_id=frame.frame_id, category_id=1)
            if area == "bbox":
                entry["area"] = float(entry["bbox"][2] * entry["bbox"][3])
            annotations.append(entry)
    _check_unique(annotations, source.path)
    return {"images": images, "annotations": annotations, "categories": [_category(name)]}


def export_coco(
    folder: FramesFolder | Path | str,
    out: Path | str | None = None,
    write_images: bool = True,
    joint_set: str | None = None,
    depth: bool = False,
    parts: bool = False,
) -> dict[str, Any]:
    """Frames as a COCO data set.

    Imported frames give back the file they came from: every field of every entry, in the file's order. Rendered frames
    get file names from their ids, boxes, areas and masks (RLE) of the visible silhouette, and one category.

    Args:
        folder: frames.
        out: new folder for ``annotations.json`` and ``images/``; None writes nothing.
        write_images: False leaves the pictures out.
        joint_set: which labelled joint set; None: the first.
        depth, parts: also write those pictures, as PNG into ``depth/`` (16 bits, millimetres) and ``parts/`` (part ids).

    Returns:
        The COCO object.

    Raises:
        UserError: if ``out`` is not empty, a file name leaves it, two persons have one id, the joint set is not labelled,
            or a frame lacks a picture that was asked for.
    """
    source = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    name = locate_set(source.info, joint_set or source.info.joint_set).name
    root = None if out is None else Path(out)
    if root is not None:
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise UserError(f"{root} exists and is not empty: choose another folder or remove it")
        root.mkdir(parents=True, exist_ok=True)
    rest = _imported(source.info)
    images: list[Entry] = []
    annotations: list[tuple[int, Entry]] = []
    wanted = {"image": write_images, "depth": depth, "parts": parts}
    pictures = tuple(column for column, wish in wanted.items() if wish and root is not None)
    named = () if rest is not None else ("image",)  # the file's suffix is that of its picture
    for frame in source.iterate(fields=tuple(dict.fromkeys((*_LABELS, *pictures, *named)))):
        if rest is None:
            frame.source = f"{frame.frame_id:012d}.{'png' if is_png(frame.image) else 'jpg'}"
        image = columns_to_image(frame)
        images.append(image if rest is None else restore(image, frame.extra))
        for i, value in enumerate(frame.persons):
            annotations.append((row_of(value.extra), _annotation(frame, i, with_joint_set(value, source.info, name))))
        for column in pictures:
            assert root is not None
            _write_picture(root, frame, column)
    annotations.sort(key=lambda pair: pair[0])  # stable: rendered persons (-1) keep the frames' order
    listed = [entry for _, entry in annotations]
    _check_unique(listed, source.path)
    top = {"categories": [_category(name)], "licenses": [], "info": {"description": source.info.licence}}
    result = {**(top if rest is None else rest), "images": images, "annotations": listed}
    if root is not None:
        (root / "annotations.json").write_text(json.dumps(result), encoding="utf-8")
    return result


def _annotation(frame: Frame, index: int, person: Person) -> Entry:
    """A whole annotation: as it was imported, or of a rendered person with its mask as RLE."""
    entry = restore(columns_to_annotation(person, frame.frame_id), person.extra)
    entry["id"] = person_id(frame, index)
    if person.mask is not None:
        entry["segmentation"] = as_rle(person.mask, frame.height, frame.width)
        entry["segmentation"]["counts"] = person.mask.decode("ascii")
    return entry


def _write_picture(root: Path, frame: Frame, column: str) -> None:
    """Write a frame's picture under its file name; the name came from a file, so it must not lead out of the folder."""
    folder = root / ("images" if column == "image" else column)
    pure = PurePosixPath(frame.source)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise UserError(f"frame {frame.frame_id}: file name '{frame.source}' leaves {folder}")
    data: bytes | None = getattr(frame, column)
    if data is None:
        raise UserError(f"frame {frame.frame_id} has no {column} picture: render with {column}=true, or leave it out")
    path = folder / (pure if column == "image" else pure.with_suffix(".png"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)


def _check_unique(annotations: list[Entry], path: Path) -> None:
    seen: set[int] = set()
    for entry in annotations:
        if entry["id"] in seen:
            raise UserError(f"{path}: two persons share the annotation id {entry['id']}")
        seen.add(entry["id"])
