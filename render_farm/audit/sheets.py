"""Pictures of persons for the report: the easiest, the middle and the hardest, look-alikes, and labels that fail."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ...datasets.crops import decode_image
from ...datasets.draw import caption, mosaic
from ...datasets.frames import Frame
from ...datasets.inspect import person_tile
from ...datasets.labelled import with_joint_set
from ...datasets.shards import FramesFolder
from .checks import Tally
from .duplicates import Nearest
from .measure import Audit, Pictures

COLUMNS, ROWS = 8, 2


def difficulty_sheets(folder: FramesFolder, audit: Audit) -> dict[str, np.ndarray]:
    """Mosaics of 16 persons each by name: ``easiest``, ``median``, ``hardest``; drawn from the sample of pictures."""
    score, position = audit.measured.person("difficulty"), audit.measured.person("position").astype(np.int64)
    number, boxes = audit.measured.person("number").astype(np.int64), audit.measured.person("box_pixels")
    if audit.pictures is None:
        return {}
    usable = np.flatnonzero(np.isin(position, audit.pictures.positions) & (boxes > 0))
    order = usable[np.argsort(score[usable], kind="stable")]
    count = min(COLUMNS * ROWS, len(order))
    if not count:
        return {}
    middle = (len(order) - count) // 2
    chosen = {"easiest": order[:count], "median": order[middle : middle + count], "hardest": order[::-1][:count]}
    return {
        name: persons_sheet(
            folder, audit, [(int(position[i]), int(number[i]), f"{score[i]:.2f}  frame {{id}}") for i in rows]
        )
        for name, rows in chosen.items()
    }


def persons_sheet(folder: FramesFolder, audit: Audit, people: Sequence[tuple[int, int, str]]) -> np.ndarray:
    """Tiles of persons, given as (position of the frame, number in it, caption; ``{id}`` becomes the frame's)."""
    frames = folder.read([position for position, _, _ in people], ["frame_id", "image", "domain", "persons"])
    tiles = []
    for frame, (_, number, text) in zip(frames, people, strict=True):
        frame.persons = [with_joint_set(person, folder.info, audit.joints.name) for person in frame.persons]
        tiles.append(person_tile(frame, number, audit.joints, text.format(id=frame.frame_id)))
    return mosaic(tiles, min(COLUMNS, len(tiles)))


def examples_sheet(folder: FramesFolder, audit: Audit, tally: Tally) -> np.ndarray | None:
    """The worst persons of a check with their values; None if their frames have no picture or no box."""
    worst = tally.examples()
    frames = folder.read([position for _, position, _ in worst], ["frame_id", "image", "persons"])
    people = [
        (position, number, f"{value:.3g} {tally.unit}  {{id}}")
        for (value, position, number), frame in zip(worst, frames, strict=True)
        if frame.image and number < len(frame.persons) and (frame.persons[number].bbox[2:] > 0).all()
    ]
    return persons_sheet(folder, audit, people) if people else None


def twins_sheet(folder: FramesFolder, pictures: Pictures, most: int = 8) -> np.ndarray | None:
    """The nearest pairs of pictures, one above the other; None with fewer than two comparable pictures."""
    pairs = nearest_pairs(pictures.nearest, most)
    if not pairs:
        return None
    tiles = []
    for a, b in pairs:
        frames = folder.read(pictures.positions[[a, b]], ["frame_id", "image"])
        text = f"{int(pictures.nearest.bits[a])} bits"
        tiles.append(
            np.concatenate([_thumbnail(frames[0], f"{frames[0].frame_id}: {text}"), _thumbnail(frames[1], "")])
        )
    return mosaic(tiles, COLUMNS)


def nearest_pairs(nearest: Nearest, most: int) -> list[tuple[int, int]]:
    """Pairs of frames from the nearest on, duplicates first, each once."""
    order = np.lexsort((np.nan_to_num(nearest.labels, posinf=9.0), nearest.bits, ~nearest.duplicates))
    pairs: list[tuple[int, int]] = []
    for a in order.tolist():
        b = int(nearest.other[a])
        if nearest.bits[a] <= 64 and (b, a) not in pairs and len(pairs) < most:
            pairs.append((a, b))
    return pairs


def _thumbnail(frame: Frame, text: str, size: int = 195) -> np.ndarray:
    image = decode_image(frame.image)
    scale = size / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    square = np.full((size, size, 3), 45, np.uint8)
    y, x = (size - small.shape[0]) // 2, (size - small.shape[1]) // 2
    square[y : y + small.shape[0], x : x + small.shape[1]] = small
    return caption(square, text or f"{frame.frame_id}")
