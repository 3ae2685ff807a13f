"""COCO keypoint files in, and out again without loss.

Pictures are stored as the bytes they are; annotations refer to the stored pixels, so EXIF rotation is ignored, as COCO
does. Nothing is invented for what is missing or broken: it is refused, or counted and named, as ``on_bad`` says. An
import appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..config import UserError
from ..models.joints import JointSet
from ..models.joints import joint_set as find_joint_set
from .coco_export import export_coco, frames_to_coco, person_id
from .coco_fields import Bad, Entry, degenerate_area, image_extra, image_path, is_id, person, picture_size
from .frames import DatasetInfo, Frame, Person, dataset_info
from .manifest import Manifest
from .publish import publish_shard, write_manifest
from .records import ShardEntry

__all__ = [
    "ImportReport",
    "coco_labels",
    "degenerate_area",
    "export_coco",
    "frames_to_coco",
    "import_coco",
    "person_id",
    "refuse_existing",
]


@dataclass
class ImportReport:
    """What came in. ``skipped`` lists, by reason, what was left out (``on_bad="skip"``); ``warnings`` are sentences."""

    manifest: Manifest
    frames: int
    persons: int
    labelled: int
    crowds: int
    skipped: dict[str, list[str]]
    warnings: list[str]

    def summary(self) -> str:
        """The report in a few lines."""
        lines = [f"{self.frames} frames, {self.persons} persons ({self.labelled} with keypoints, {self.crowds} crowds)"]
        for reason, names in self.skipped.items():
            shown = "; ".join(names[:3]) + ("; ..." if len(names) > 3 else "")
            lines.append(f"skipped {len(names)} {reason}: {shown}")
        return "\n".join(lines + [f"warning: {text}" for text in self.warnings])


@dataclass
class _Checked:
    """A file that was read and sorted: images in their order, persons by image id, the defects found on the way."""

    path: Path
    images: list[Entry]
    persons: dict[int, list[Person]]
    rest: Entry
    sha256: str
    skipped: dict[str, list[str]] = field(default_factory=dict)


def import_coco(
    annotations: Path | str,
    images: Path | str,
    out: Path | str,
    *,
    domain: str = "real",
    joint_set: str = "coco17",
    on_bad: str = "refuse",
    need_keypoints: bool = True,
    licence: str = "",
    shard_frames: int = 256,
    part: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> ImportReport:
    """Import a COCO keypoint file and its pictures as a folder of frames.

    Args:
        annotations: the JSON file.
        images: folder that ``file_name`` entries are relative to; nothing outside of it is read.
        out: new folder to write.
        domain: name of the domain column.
        joint_set: joints the annotations have; their names and order are compared with the file's category.
        on_bad: ``refuse`` stops at the first defect; ``skip`` leaves out the image or annotation, counts and names it.
        need_keypoints: False also takes annotations that only have a box (unlabelled target data).
        licence: note on what may be done with the pictures.
        shard_frames: frames a shard.
        part: from where to where of the file's images, in an order that ``seed`` draws: (0, 0.75) and (0.75, 1) share no
            image and hold all of them.
        seed: of that order.

    Raises:
        UserError: for a file that is no COCO file, an ``out`` that is not empty, a part without an image, or
            (``refuse``) a defect: missing keys, wrong number of keypoints, non-finite numbers, duplicate ids, an
            annotation of an unknown image, a path that leaves its root, a missing or broken picture. Names file, id
            and field.
    """
    if on_bad not in ("refuse", "skip"):
        raise UserError(f"on_bad must be 'refuse' or 'skip', got '{on_bad}'")
    path, root, target = Path(annotations), Path(images), Path(out)
    if not root.is_dir():
        raise UserError(f"no folder of images at {root}")
    refuse_existing(target)
    joints = find_joint_set(joint_set)
    checked = _check(path, joints, on_bad, need_keypoints)
    checked.images = _part(checked, part, seed)
    settings: dict[str, Any] = {"importer": "coco", "file": path.name, "sha256": checked.sha256}
    settings |= {"domain": domain, "on_bad": on_bad}
    if part != (0.0, 1.0):
        settings |= {"part": list(part), "seed": seed}
    info = dataset_info(joint_set, settings, licence, {"coco": checked.rest})
    counts = _Counts()
    frames = _frames(checked, root, domain, on_bad, counts)
    manifest = _write(frames, info, target, shard_frames)
    return ImportReport(
        manifest, counts.frames, len(counts.area), counts.labelled, counts.crowds, checked.skipped, counts.warnings()
    )


def refuse_existing(target: Path | str) -> None:
    """An import goes to a new folder.

    Raises:
        UserError: where there is something already.
    """
    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and is not empty: choose another folder or remove it")


@dataclass
class _Counts:
    """Sums over the frames that were taken."""

    frames: int = 0
    empty: int = 0
    labelled: int = 0
    crowds: int = 0
    outside: int = 0
    area: list[float] = field(default_factory=list)
    bbox: list[np.ndarray] = field(default_factory=list)

    def add(self, frame: Frame) -> None:
        self.frames += 1
        self.empty += not frame.persons
        for p in frame.persons:
            points = p.keypoints[p.keypoints[:, 2] > 0]
            beyond = (points[:, :2] < -0.5) | (points[:, :2] > [frame.width + 0.5, frame.height + 0.5])
            self.outside += int(beyond.any(axis=1).sum())
            self.labelled += bool(len(points))
            self.crowds += p.iscrowd
            self.area.append(p.area)
            self.bbox.append(p.bbox)

    def warnings(self) -> list[str]:
        boxes = np.asarray(self.bbox, np.float32).reshape(-1, 4)
        flat = int((boxes[:, 2:] <= 0).any(axis=1).sum())
        found = [
            (degenerate := degenerate_area(np.asarray(self.area), boxes))
            and f"degenerate area: {degenerate}; AP against it means little, evaluate with the boxes' area",
            flat and f"{flat} boxes have no width or height; training leaves these persons out",
            self.outside and f"{self.outside} labelled keypoints lie outside of their picture",
            self.empty and f"{self.empty} of {self.frames} images have no annotation",
        ]
        return [text for text in found if text]


def coco_labels(annotations: Path | str, joint_set: str = "coco17") -> tuple[DatasetInfo, list[Frame]]:
    """The labels of a COCO keypoint file as frames without pictures; images without a size and broken entries are left out.

    Raises:
        UserError: for a file that is no COCO file, or has other keypoints.
    """
    checked = _check(Path(annotations), find_joint_set(joint_set), "skip", True)
    frames = [
        Frame(entry["id"], b"", entry["height"], entry["width"], "real", persons=checked.persons[entry["id"]])
        for entry in checked.images
        if "height" in entry and "width" in entry
    ]
    return dataset_info(joint_set, {"importer": "coco", "file": checked.path.name, "sha256": checked.sha256}), frames


def _check(path: Path, joints: JointSet, on_bad: str, need_keypoints: bool) -> _Checked:
    """Read the JSON and check all of it before any picture is opened."""
    data, digest = _read_json(path)
    for key in ("images", "annotations"):
        if not isinstance(data.get(key), list) or not all(isinstance(e, dict) for e in data[key]):
            raise UserError(f"{path}: '{key}' must be a list of objects; is this a COCO annotation file?")
    _check_categories(path, data.get("categories", []), joints)
    rest = {key: value for key, value in data.items() if key not in ("images", "annotations")}
    checked = _Checked(path, [], {}, rest, digest)
    for row, entry in enumerate(data["images"]):
        name = f"image {entry.get('id', f'number {row}')}"
        try:
            _check_image(entry, checked.persons)
        except Bad as bad:
            _defect(checked, "images", f"{name}: {bad}", on_bad)
            continue
        checked.images.append(entry)
        checked.persons[entry["id"]] = []
    seen: set[int] = set()
    listed = {entry.get("id") for entry in data["images"] if is_id(entry.get("id"))}
    for row, entry in enumerate(data["annotations"]):
        name = f"annotation {entry.get('id', f'number {row}')}"
        try:
            _check_ids(entry, seen, listed)
            result = person(entry, row, joints.count, need_keypoints)
        except Bad as bad:
            _defect(checked, "annotations", f"{name}: {bad}", on_bad)
            continue
        seen.add(entry["id"])
        if entry["image_id"] in checked.persons:  # else its image was skipped and named
            checked.persons[entry["image_id"]].append(result)
    return checked


def _part(checked: _Checked, part: tuple[float, float], seed: int) -> list[Entry]:
    """The images of a part of the file, in the file's order."""
    if part == (0.0, 1.0):
        return checked.images
    count = len(checked.images)
    first, last = (round(count * share) for share in part)
    if first >= last:
        raise UserError(f"{checked.path} has {count} images: too few to part at {part[0]:g} and {part[1]:g}")
    order = np.random.default_rng([seed, 1]).permutation(count)
    return [checked.images[i] for i in np.sort(order[first:last])]


def _read_json(path: Path) -> tuple[dict[str, Any], str]:
    try:
        text = path.read_bytes()
        data = json.loads(text)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} holds a {type(data).__name__}, not a COCO object (is it a file of results?)")
    return data, hashlib.sha256(text).hexdigest()


def _check_categories(path: Path, categories: Any, joints: JointSet) -> None:
    """The file's own keypoint names must be the joint set's, in its order."""
    for category in categories if isinstance(categories, list) else []:
        names = category.get("keypoints") if isinstance(category, dict) else None
        if names is None or tuple(names) == joints.joints:
            continue
        if len(names) != joints.count:
            raise UserError(f"{path}: category has {len(names)} keypoints, joint set '{joints.name}' {joints.count}")
        i = next(i for i, name in enumerate(names) if name != joints.joints[i])
        raise UserError(f"{path}: keypoint {i} is '{names[i]}', joint set '{joints.name}' has '{joints.joints[i]}'")


def _check_image(entry: Entry, known: dict[int, list[Person]]) -> None:
    if not is_id(entry.get("id")):
        raise Bad(f"'id' must be an integer, is {entry.get('id')!r}" if "id" in entry else "has no 'id'")
    if entry["id"] in known:
        raise Bad("this id occurs twice")
    if not isinstance(entry.get("file_name"), str):
        raise Bad("has no 'file_name'")
    for key in ("height", "width"):
        if key in entry and not (is_id(entry[key]) and entry[key] > 0):
            raise Bad(f"'{key}' must be a positive integer, is {entry[key]!r}")


def _check_ids(entry: Entry, seen: set[int], images: set[int]) -> None:
    for key in ("id", "image_id"):
        if not is_id(entry.get(key)):
            raise Bad(f"'{key}' must be an integer, is {entry[key]!r}" if key in entry else f"has no '{key}'")
    if entry["id"] < 0:
        raise Bad("'id' must not be negative")
    if entry["id"] in seen:
        raise Bad("this id occurs twice")
    if entry["image_id"] not in images:
        raise Bad(f"belongs to image {entry['image_id']}, which the file does not list")


def _defect(checked: _Checked, kind: str, text: str, on_bad: str) -> None:
    if on_bad == "refuse":
        raise UserError(f"{checked.path}, {text}; mend the file, or import with on_bad=skip to leave such {kind} out")
    checked.skipped.setdefault(kind, []).append(text)


def _frames(checked: _Checked, root: Path, domain: str, on_bad: str, counts: _Counts) -> Iterator[Frame]:
    for entry in checked.images:
        try:
            path = image_path(root, entry["file_name"])
            data = path.read_bytes()
            width, height = picture_size(data)
            if (entry.get("width", width), entry.get("height", height)) != (width, height):
                raise Bad(f"{path} is {width}×{height}, the file says {entry['width']}×{entry['height']}")
        except (Bad, OSError) as bad:
            _defect(checked, "images", f"image {entry['id']} ({entry['file_name']}): {bad}", on_bad)
            continue
        persons = checked.persons[entry["id"]]
        frame = Frame(entry["id"], data, height, width, domain, persons=persons, source=entry["file_name"])
        frame.extra = image_extra(entry, frame)
        counts.add(frame)
        yield frame


def _write(frames: Iterator[Frame], info: DatasetInfo, target: Path, shard_frames: int) -> Manifest:
    """Write shards to a folder beside the target and rename it, so that a failed import leaves nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f".{target.name}.{os.getpid()}.tmp"
    aside.mkdir()
    try:
        entries: list[ShardEntry] = []
        while chunk := list(itertools.islice(frames, shard_frames)):
            entries.append(publish_shard(aside, len(entries), chunk, info))
        manifest = write_manifest(aside, entries, info)
        os.rename(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest
