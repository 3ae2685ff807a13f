"""What is in a folder of frames: counts, statistics, and a contact sheet to look at before any training."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..config import UserError
from ..models.joints import JointSet
from ..models.joints import joint_set as find_joint_set
from . import storage
from .coco_fields import degenerate_area
from .crops import apply_affine, crop_affine, decode_image, warp_image
from .draw import caption, draw_box, draw_keypoints, mosaic
from .frames import Frame
from .labelled import labelled_sets, locate_set, with_joint_set
from .persons import all_keypoints
from .shards import FrameIndex, FramesFolder

SHEET_WIDTH = 1600
_COLUMNS, _TILE = 8, (195, 244)  # eight tiles and nine gaps of four pixels: 1596 pixels


def inspect(
    folder: FramesFolder | Path | str,
    out_png: Path | str | None = None,
    tiles: int = 40,
    seed: int = 0,
    joint_set: str | None = None,
) -> dict[str, Any]:
    """Count and measure; optionally draw a contact sheet.

    Args:
        folder: frames.
        out_png: where to write the sheet, 1596 pixels wide: persons drawn at random (by ``seed``), cropped with their
            boxes, keypoints and skeleton; their left orange, right blue, occluded keypoints hollow.
        tiles: persons on the sheet.
        seed: which ones.
        joint_set: which labelled joint set to look at; None: the first.

    Returns:
        Plain JSON values. ``box`` and ``area`` hold percentiles (5, 25, 50, 75, 95) over persons that are no crowds, in
        pixels; ``keypoints`` the share of such persons by joint that are ``visible``, ``occluded`` or ``unlabelled``;
        ``warnings`` sentences about what training or evaluation would stumble over.

    Raises:
        UserError: if the folder is not whole, does not label the joint set, or a picture for the sheet cannot be decoded.
    """
    source = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    joints = find_joint_set(locate_set(source.info, joint_set or source.info.joint_set, source.path).name)
    index = source.index()
    keypoints = all_keypoints(source, joints.name)
    single = ~index.iscrowd
    sizes = Counter(f"{w}x{h}" for w, h in index.size.tolist())
    report: dict[str, Any] = {
        "folder": storage.show(source.path),
        "joint_set": joints.name,
        "labelled_sets": list(labelled_sets(source.info)),
        "licence": source.info.licence,
        "config_hash": source.info.config_hash,
        "shards": len(source.shards),
        "megabytes": round(sum(entry.bytes for entry in source.shards) / 2**20, 1),
        "frames": len(index),
        "frames_without_person": int((np.diff(index.first_person) == 0).sum()),
        "persons": len(index.frame),
        "crowds": int(index.iscrowd.sum()),
        "persons_with_keypoints": int(((index.labelled > 0) & single).sum()),
        "domains": {name: int((index.domain == i).sum()) for i, name in enumerate(source.domains)},
        "image_sizes": dict(sizes.most_common(10)),
        "box": {
            "width": _percentiles(index.bbox[single, 2]),
            "height": _percentiles(index.bbox[single, 3]),
            "share_of_picture_height": _percentiles(index.bbox[single, 3] / index.size[index.frame[single], 1]),
        },
        "area": _percentiles(index.area[single]),
        "keypoints": _visibility(keypoints[single], joints),
        "warnings": _warnings(index, keypoints, joints),
    }
    if out_png is not None:
        path = Path(out_png)
        sheet = contact_sheet(source, index, joints, tiles, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
            raise UserError(f"cannot write {path}")
    return report


def summary_lines(report: dict[str, Any]) -> list[str]:
    """The report of :func:`inspect` for people: a few lines, then its warnings."""

    def spread(values: dict[str, float]) -> str:
        return f"{values['p50']:g} ({values['p5']:g} … {values['p95']:g})" if values else "none"

    box, joints = report["box"], report["keypoints"]
    sizes = ", ".join(f"{size} ({count})" for size, count in report["image_sizes"].items())
    rarest = sorted(joints, key=lambda name: joints[name]["visible"])[:3]
    shards, sets = report["shards"], report["labelled_sets"]
    among = f" of {', '.join(sets)}" if len(sets) > 1 else ""
    lines = [
        f"{report['folder']}: {report['frames']} frames in {shards} shard{'s' * (shards > 1)}, {report['megabytes']} MB, "
        f"joint set {report['joint_set']}{among}",
        "domains: " + ", ".join(f"{name} {count}" for name, count in report["domains"].items()),
        f"pictures: {sizes}",
        f"persons: {report['persons']}, {report['persons_with_keypoints']} with keypoints, {report['crowds']} crowds; "
        f"{report['frames_without_person']} frames without a person",
        f"boxes, median (5 … 95 %): width {spread(box['width'])}, height {spread(box['height'])} px, "
        f"{spread(box['share_of_picture_height'])} of the picture; area {spread(report['area'])} px",
        "least visible: " + ", ".join(f"{name} {joints[name]['visible']:.0%}" for name in rarest),
    ]
    return lines + [f"warning: {text}" for text in report["warnings"]]


def contact_sheet(
    folder: FramesFolder, index: FrameIndex, joints: JointSet, tiles: int = 40, seed: int = 0
) -> np.ndarray:
    """(H, 1596, 3) uint8 RGB mosaic of persons; those without keypoints come last.

    Raises:
        UserError: if there is no person with a box, or a picture cannot be decoded.
    """
    usable = ~index.iscrowd & (index.bbox[:, 2:] > 0).all(axis=1)
    order = np.random.default_rng(seed).permutation(len(usable))
    order = np.concatenate([order[index.labelled[order] > 0], order[index.labelled[order] == 0]])
    chosen = np.sort(order[usable[order]][:tiles])
    if not len(chosen):
        raise UserError(f"{storage.show(folder.path)} has no person to draw: no box has an area")
    frames = folder.read(index.frame[chosen], fields=["frame_id", "image", "domain", "persons"])
    for frame in frames:
        frame.persons = [with_joint_set(person, folder.info, joints.name) for person in frame.persons]
    numbers = chosen - index.first_person[index.frame[chosen]]
    return mosaic([person_tile(f, int(n), joints) for f, n in zip(frames, numbers, strict=True)], _COLUMNS)


def person_tile(frame: Frame, number: int, joints: JointSet, text: str | None = None) -> np.ndarray:
    """One person's crop (244, 195, 3) with box and keypoints (of ``joints``), and a caption; None: frame and domain.

    Raises:
        UserError: if the picture cannot be decoded.
    """
    person = frame.persons[number]
    scale = 2  # drawn at twice the size and reduced: thin lines stay clean
    wh = (_TILE[0] * scale, (_TILE[1] - 18) * scale)
    affine = crop_affine(person.bbox, wh, padding=1.3)
    try:
        picture = warp_image(decode_image(frame.image), affine, wh)
    except UserError as error:
        raise UserError(f"frame {frame.frame_id}: {error}") from error
    corner = apply_affine(person.bbox[None, :2], affine)[0]
    zoom = float(affine[0, 0])
    picture = draw_box(picture, np.array([*corner, *(person.bbox[2:] * zoom)]))
    points = np.concatenate([apply_affine(person.keypoints[:, :2], affine), person.keypoints[:, 2:]], axis=1)
    picture = draw_keypoints(picture, points, joints, size=2.6 * scale)
    small = cv2.resize(picture, (wh[0] // scale, wh[1] // scale), interpolation=cv2.INTER_AREA)
    return caption(small, f"{frame.frame_id} #{number} {frame.domain}" if text is None else text)


def _percentiles(values: np.ndarray) -> dict[str, float]:
    """5th to 95th percentile, four significant digits; empty without values."""
    if not len(values):
        return {}
    levels = (5, 25, 50, 75, 95)
    found = np.percentile(np.asarray(values, np.float64), levels)
    return {f"p{level}": float(f"{value:.4g}") for level, value in zip(levels, found, strict=True)}


def _visibility(keypoints: np.ndarray, joints: JointSet) -> dict[str, dict[str, float]]:
    v = keypoints[:, :, 2]
    total = max(1, len(v))
    return {
        name: {
            "visible": round(float((v[:, j] == 2).sum() / total), 4),
            "occluded": round(float((v[:, j] == 1).sum() / total), 4),
            "unlabelled": round(float((v[:, j] == 0).sum() / total), 4),
        }
        for j, name in enumerate(joints.joints)
    }


def _warnings(index: FrameIndex, keypoints: np.ndarray, joints: JointSet) -> list[str]:
    single = ~index.iscrowd
    flat = int((~(index.bbox[single, 2:] > 0).all(axis=1)).sum())
    size = index.size[index.frame][:, None, :]
    beyond = ((keypoints[:, :, :2] < -0.5) | (keypoints[:, :, :2] > size + 0.5)).any(axis=2) & (keypoints[:, :, 2] > 0)
    degenerate = degenerate_area(index.area[single], index.bbox[single])
    labelled = keypoints[single & (index.labelled > 0), :, 2] > 0
    never = [name for j, name in enumerate(joints.joints) if len(labelled) and not labelled[:, j].any()]
    found = [
        degenerate and f"degenerate area: {degenerate}; evaluate with the boxes' area",
        flat and f"{flat} boxes have no width or height; training leaves these persons out",
        beyond.any() and f"{int(beyond.sum())} labelled keypoints lie outside of their picture",
        never and f"never labelled: {', '.join(never)}",
    ]
    return [str(text) for text in found if text]
