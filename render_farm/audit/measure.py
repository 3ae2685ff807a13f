"""Two sweeps over the frames: all labels for the checks, and a sample of frames with their pictures.

Memory stays flat: one row group of frames at a time, columns of at most :data:`MOST_MEASURED` frames, eight bytes a frame
for its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...config import UserError
from ...datasets.crops import decode_image
from ...datasets.frames import COLUMNS, IMAGE_COLUMNS, Frame
from ...datasets.labelled import locate_set, with_joint_set
from ...datasets.masks import decode_mask
from ...datasets.shards import FramesFolder
from ...models.joints import PARENTS, JointSet, joint_set
from ..labels import decode_png, own_parts
from .bodies import Parameters, SameShape
from .checks import CHECKS, Context, Tally
from .duplicates import Nearest, nearest_frames
from .features import Measured
from .pictures import picture_features, picture_hash, skin_angle

MOST_MEASURED = 20_000
"""Frames whose persons go into the distributions, evenly spread; the checks see all."""
NEAR_FLESH = 3.6
"""Within so many pixels (of a picture of 256 or less; more in larger ones) a visible keypoint must have flesh that may surround
it: the corner of the window of 2.5 pixels to all sides in which the labels look for it."""

_LABELS = tuple(name for name in COLUMNS if name not in IMAGE_COLUMNS)


@dataclass
class Pictures:
    """What the sample of pictures gave: columns by name, and the nearest other frame of each.

    Attributes:
        positions: (N,) of the frames in the folder. columns: brightness, contrast, saturation (N,).
        skin: angles in degrees of the persons whose skin is seen.
        nearest: see :class:`Nearest`.
    """

    positions: np.ndarray
    columns: dict[str, np.ndarray]
    skin: np.ndarray
    nearest: Nearest


@dataclass
class Audit:
    """All that was found in a folder of frames.

    Attributes:
        joints: the joint set looked at. frames, persons: how many were checked. measured: persons of the sample.
        pictures: None where the frames hold none. tallies: the checks, in the order of the report.
        unknown_bodies: models that were not found here, so that parameters were not checked.
    """

    joints: JointSet
    frames: int
    persons: int
    measured: Measured
    pictures: Pictures | None
    tallies: list[Tally]
    unknown_bodies: list[str] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """Labels over a limit, suspects apart."""
        return sum(tally.failed for tally in self.tallies if not tally.suspect)


def measure(folder: FramesFolder, name: str | None = None, frames: int = 1000) -> Audit:
    """Sweep a folder.

    Args:
        folder: frames.
        name: labelled joint set to look at; None: the first.
        frames: pictures to look at, evenly spread.

    Raises:
        UserError: if the joint set is not labelled, or a shard or picture is damaged.
    """
    joints = joint_set(locate_set(folder.info, name or folder.info.joint_set, folder.path).name)
    wanted = set(_spread(len(folder), MOST_MEASURED).tolist())
    measured, shapes = Measured(), SameShape()
    tallies = [Tally(check.name, check.about, check.limit, check.unit, check.suspect) for check in CHECKS]
    ids, persons = np.zeros(len(folder), np.int64), 0
    for position, frame in enumerate(folder.iterate(_LABELS)):
        _choose(frame, folder, name)
        ids[position] = frame.frame_id
        for number, person in enumerate(frame.persons):
            persons += 1
            for check, tally in zip(CHECKS, tallies, strict=True):
                tally.add(check.measure(Context(frame, person, joints)), position, number)
            shapes.add(person, joints, position, number)
        if position in wanted:
            measured.add(frame, joints, position)
    more = _sample(folder, joints, name, frames)
    return Audit(
        joints,
        len(folder),
        persons,
        measured,
        more.pictures,
        [_unique(ids), *tallies, shapes.tally, more.parameters.tally, more.parts, more.flesh],
        more.parameters.unknown,
    )


def _choose(frame: Frame, folder: FramesFolder, name: str | None) -> None:
    frame.persons = [with_joint_set(person, folder.info, name) for person in frame.persons]


def _unique(ids: np.ndarray) -> Tally:
    tally = Tally("frame ids", "each frame_id occurs once", 0, "twins")
    order = np.argsort(ids, kind="stable")
    again = np.zeros(len(ids), bool)
    again[order[1:]] = ids[order[1:]] == ids[order[:-1]]
    for position in range(len(ids)) if again.any() else ():
        tally.add(float(again[position]), position, 0)
    if not again.any():
        tally.checked = len(ids)
    return tally


def _spread(total: int, count: int) -> np.ndarray:
    """Positions spread evenly, each at random within its stretch, so that they keep no step with clips."""
    if count >= total:
        return np.arange(total)
    edges = np.linspace(0, total, count + 1)
    return np.unique((edges[:-1] + np.random.default_rng(0).random(count) * np.diff(edges)).astype(np.int64))


@dataclass
class _Sample:
    """The second sweep."""

    parameters: Parameters
    parts: Tally
    flesh: Tally
    pictures: Pictures | None = None


def _sample(folder: FramesFolder, joints: JointSet, name: str | None, frames: int) -> _Sample:
    found = _Sample(
        Parameters(joints.name),
        Tally("parts", "masks cover the part picture's bodies", 0, "px"),
        Tally("flesh", "visible keypoints lie at their own body part", NEAR_FLESH, "px at 256"),
    )
    rows: list[dict[str, float]] = []
    positions: list[int] = []
    skin: list[float] = []
    hashes, points, clips = [], [], []
    for group in _groups(folder, _spread(len(folder), frames)):
        for _, frame in group:
            _choose(frame, folder, name)
        found.parameters.add(group)
        for position, frame in group:
            _check_parts(frame, joints, position, found)
            if not frame.image:
                continue
            try:
                rgb = decode_image(frame.image)
            except UserError as error:
                raise UserError(f"{folder.path}, frame {frame.frame_id}: {error}") from error
            positions.append(position)
            rows.append(picture_features(rgb))
            for person in frame.persons:
                mask = None if person.mask is None else decode_mask(person.mask, frame.height, frame.width)
                skin.append(skin_angle(rgb, person, joints, mask))
            hashes.append(picture_hash(rgb))
            points.append(_largest(frame, joints))
            clips.append(-1 if frame.clip is None else frame.clip)
    if rows:
        columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        nearest = nearest_frames(np.array(hashes, np.uint64), np.stack(points), np.array(clips, np.int64))
        found.pictures = Pictures(np.array(positions), columns, np.array(skin), nearest)
    return found


def _groups(folder: FramesFolder, positions: np.ndarray) -> Iterator[list[tuple[int, Frame]]]:
    """Frames at positions, a row group at a time."""
    where = [folder.locate(int(position))[:2] for position in positions]
    changes = [i for i in range(len(where)) if i == 0 or where[i] != where[i - 1]]
    for start, stop in zip(changes, [*changes[1:], len(where)], strict=True):
        chosen = positions[start:stop]
        yield list(zip(chosen.tolist(), folder.read(chosen), strict=True))


def _largest(frame: Frame, joints: JointSet) -> np.ndarray:
    """(J, 3) keypoints of the largest person over the picture's longer side, and v; zeros without a person."""
    people = [person for person in frame.persons if not person.iscrowd]
    if not people:
        return np.zeros((joints.count, 3), np.float32)
    points = max(people, key=lambda person: person.area).keypoints.copy()
    points[:, :2] /= max(frame.width, frame.height)
    return points


def _check_parts(frame: Frame, joints: JointSet, position: int, found: _Sample) -> None:
    """Compare masks and visible keypoints with the picture of part ids."""
    if frame.parts is None or any(person.mask is None for person in frame.persons):
        return
    parts = np.asarray(decode_png(frame.parts), np.uint8)
    masks = [decode_mask(person.mask or b"", frame.height, frame.width) for person in frame.persons]
    covered = np.sum(masks, axis=0) if masks else np.zeros(parts.shape, int)
    bodies = (parts > 0) & (parts < 255)
    found.parts.add(float((covered != bodies).sum()), position, 0)
    for number, (person, mask) in enumerate(zip(frame.persons, masks, strict=True)):
        skeleton = _skeleton(0 if person.pose is None else person.pose.size // 3)
        shown = np.flatnonzero(person.keypoints[:, 2] == 2)
        if skeleton is None or not len(shown):
            continue
        own = own_parts((joints.name,), skeleton)
        apart = [_nearest_flesh(person.keypoints[k, :2], mask & own[k][parts]) for k in shown]
        found.flesh.add(max(apart) / max(1.0, max(frame.width, frame.height) / 256), position, number)


def _nearest_flesh(point: np.ndarray, flesh: np.ndarray) -> float:
    rows, columns = np.nonzero(flesh)
    return float(np.hypot(columns - point[0], rows - point[1]).min()) if len(rows) else float("inf")


def _skeleton(count: int) -> str | None:
    """The model whose poses have this many joints."""
    return next((name for name, parents in PARENTS.items() if len(parents) == count), None)
