"""Tables of poses from many files: what pose priors are learned from and measured on.

A table is one array of poses with the take that each row comes from. With a cache folder the array is a file that is read
row by row, so that millions of poses need no memory.
"""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..config import UserError, nearest
from ..models.joints.smpl_family import SMPL_SETS
from .pose_cache import Labels, cached, digest
from .pose_joints import sources, take_joints
from .pose_keys import check_radians, clean, read_take

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

SUFFIXES = (".npz", ".parquet")
_SHAPES_ONLY = ("shape.npz", "stagei.npz")
"""Ends of the names of AMASS files that hold a person's shape and no pose."""
_BLOCK = 8192
"""Rows handled at once."""
_LOOK = 4096
"""Rows of a file that tell degrees from radians."""


@dataclass(frozen=True)
class PoseTable:
    """Poses of N frames from many takes.

    Attributes:
        joint_set: names the joints.
        pose: (N, J, 3) float32 axis-angle, radians, joint 0 the global orientation; an array, or a memmap of the cache.
        take: (N,) int32 index into ``takes``.
        takes: names of the takes: their files' names without suffix.
        subjects: who moves in each take.
        fps: frames a second of each take after resampling, or None where unknown.
        notes: what was changed or left out, a sentence each.
        counts: of files, frames (read), kept_frames, dropped_frames (not finite) and reduced_angles (beyond pi).
    """

    joint_set: str
    pose: NDArray[np.float32]
    take: NDArray[np.int32]
    takes: tuple[str, ...]
    subjects: tuple[str, ...]
    fps: tuple[float | None, ...]
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pose)


def gather(
    paths: str | Path | Iterable[str | Path],
    joint_set: str = "smplx55",
    fps: float | None = None,
    cache: str | Path | None = None,
) -> PoseTable:
    """Read poses of files, folders (all of them beneath) and patterns like ``motion/02_*.npz`` into one table.

    Args:
        paths: one or several; the same file twice counts once.
        joint_set: of the table; files of other sets are matched by joint names, joints that they lack are at rest.
        fps: keep every k-th frame of takes whose rate is known, such that about this many a second are left.
        cache: folder in which the table is written once for these files and arguments, and read from as a memmap.

    Raises:
        UserError: if there is no pose, or a file is refused (see :func:`.pose_keys.read_take` and ``clean``); names it.
    """
    files, notes = find_files(paths)
    if joint_set not in SMPL_SETS:
        raise UserError(f"unknown joint set '{joint_set}': {nearest(joint_set, SMPL_SETS)}")
    if fps is not None and not fps > 0:
        raise UserError(f"fps is {fps}; give a positive number of frames a second")
    if cache is None:
        parts: list[Floats] = []
        labels = _read(files, joint_set, fps, notes, parts.append)
        pose = np.concatenate(parts)
    else:
        folder = Path(cache) / digest(files, joint_set, fps)
        joints = SMPL_SETS[joint_set].count
        pose, labels = cached(folder, joints, lambda keep: _read(files, joint_set, fps, notes, keep))
    take = np.repeat(np.arange(len(labels.lengths), dtype=np.int32), labels.lengths)
    names = tuple(labels.takes), tuple(labels.subjects)
    return PoseTable(joint_set, pose, take, *names, tuple(labels.fps), tuple(labels.notes), labels.counts)


def rows(table: PoseTable, index: NDArray[np.integer] | Sequence[int], joints: Sequence[int] | None = None) -> Floats:
    """Poses (n, len(joints), 3) of rows ``index``; memory for the answer only, however long the table.

    Args:
        joints: indices into the table's joint set; all without.
    """
    wanted: Rows = np.asarray(index, np.int64)
    columns = np.arange(table.pose.shape[1]) if joints is None else np.asarray(joints, np.int64)
    if not isinstance(table.pose, np.memmap):
        return np.asarray(table.pose[wanted[:, None], columns], np.float32)
    result = np.empty((len(wanted), len(columns), 3), np.float32)
    for start in range(0, len(wanted), _BLOCK):
        part = slice(start, start + _BLOCK)
        result[part] = _read_rows(table.pose, wanted[part])[:, columns]
    return result


def _read_rows(pose: np.memmap, index: Rows) -> Floats:
    """Rows of a mapped array (N, J, 3) read from its file: pages of the map that are touched would stay in memory."""
    if len(index) and not (index.min() >= 0 and index.max() < len(pose)):
        raise IndexError(f"rows {index.min()} to {index.max()} of a table of {len(pose)}")
    size, width = pose.itemsize * pose.shape[1] * pose.shape[2], pose.shape[1:]
    assert pose.filename is not None
    with open(pose.filename, "rb", buffering=0) as file:
        places = (index * size + pose.offset).tolist()
        data = b"".join(os.pread(file.fileno(), size, place) for place in places)
    return np.frombuffer(data, np.float32).reshape(len(index), *width)


def split(
    table: PoseTable,
    by: Literal["subject", "take"] = "subject",
    val: Sequence[str] | float = ("11",),
    seed: int = 0,
) -> tuple[Rows, Rows]:
    """Row indices (n,), (m,) for training and validation; no subject, or no take, is in both.

    Args:
        val: names of the subjects (or takes) to validate on, or about which share of all rows, drawn at random.
        seed: of the draw.

    Raises:
        UserError: for names that are not there, or where one of the sets would be empty; says what there is.
    """
    if by not in ("subject", "take"):
        raise UserError(f"a split by '{by}': {nearest(by, ('subject', 'take'))}")
    groups = table.subjects if by == "subject" else table.takes
    lengths = np.bincount(table.take, minlength=len(table.takes))
    sizes: Counter[str] = Counter()
    for group, length in zip(groups, lengths, strict=True):
        sizes[group] += int(length)
    there = ", ".join(f"{name} ({size})" for name, size in sorted(sizes.items()))
    chosen = _drawn(sizes, float(val), seed) if isinstance(val, int | float) else {str(name) for name in val}
    unknown = sorted(chosen - set(sizes))
    if unknown:
        raise UserError(f"no {by} '{unknown[0]}' to validate on: {by}s and their frames are {there}")
    held = np.array([group in chosen for group in groups])[table.take]
    if held.all() or not held.any():
        which = "training" if held.all() else "validation"
        raise UserError(f"the split leaves no frame for {which}: {by}s and their frames are {there}")
    return np.flatnonzero(~held), np.flatnonzero(held)


def find_files(paths: str | Path | Iterable[str | Path]) -> tuple[list[Path], list[str]]:
    """Pose files of paths, folders and patterns, each once, in order; and notes on what a folder holds besides.

    Raises:
        UserError: for a path without any.
    """
    found: dict[Path, None] = {}
    notes: list[str] = []
    for given in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(given)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
            twins = {file for file in files if file.suffix == ".parquet" and file.with_suffix(".npz") in files}
            shapes = {file for file in files if file.name.endswith(_SHAPES_ONLY)}
            notes += [f"{len(twins)} .parquet files beside an .npz of the same name"] if twins else []
            notes += [f"{len(shapes)} files of shapes only"] if shapes else []
            files = [file for file in files if file not in twins | shapes]
        else:
            files = [path] if path.is_file() else sorted(map(Path, glob.glob(str(given), recursive=True)))
        if not files:
            raise UserError(f"no {' or '.join(SUFFIXES)} file at {given}")
        found |= dict.fromkeys(file.resolve() for file in files)
    if not found:
        raise UserError("no path of poses was given")
    return list(found), [f"left out: {note}" for note in notes]


def _read(
    files: list[Path], joint_set: str, fps: float | None, notes: list[str], keep: Callable[[Floats], object]
) -> Labels:
    """Hand the poses of each file in turn to ``keep``; what is known about them is returned."""
    counts = Counter(files=len(files), frames=0, kept_frames=0, dropped_frames=0, reduced_angles=0)
    labels = Labels([], _take_names(files), [], [], list(notes), {})
    lacking: Counter[str] = Counter()
    said: Counter[str] = Counter()
    for path in files:
        take = read_take(path)
        found = sources(take.joint_set, joint_set, str(path))
        stride = max(1, round(take.fps / fps)) if fps and take.fps else 1
        thinned, before = take.pose[::stride], counts["kept_frames"]
        check_radians(thinned[:: max(1, len(thinned) // _LOOK)], str(path))
        for start in range(0, len(thinned), _BLOCK):
            pose, changed = clean(thinned[start : start + _BLOCK])
            keep(take_joints(pose, found))
            counts.update(kept_frames=len(pose), **changed)
        counts["frames"] += len(take.pose)
        labels.lengths.append(counts["kept_frames"] - before)
        labels.fps.append(None if take.fps is None else take.fps / stride)
        said.update(take.notes)
        if -1 in found:
            lacking[f"{found.count(-1)} joints that '{take.joint_set}' lacks are at rest"] += 1
        if fps and not take.fps:
            said["rate unknown: every frame kept"] += 1
    labels.subjects = [_subject(path, name) for path, name in zip(files, labels.takes, strict=True)]
    labels.notes += [f"{count} of {len(files)} files: {note}" for note, count in (said + lacking).items()]
    if counts["dropped_frames"]:
        labels.notes.append(f"{counts['dropped_frames']} frames with values that are not finite were dropped")
    if counts["reduced_angles"]:
        labels.notes.append(f"{counts['reduced_angles']} angles beyond pi were replaced by the shorter way round")
    if not counts["kept_frames"]:
        raise UserError(f"{len(files)} pose files, from {files[0]} on, hold no frame that is finite")
    labels.counts = dict(counts)
    return labels


def _take_names(files: list[Path]) -> list[str]:
    """Stems of files; with their folders where a stem occurs twice."""
    common = Counter(path.stem for path in files)
    top = Path(os.path.commonpath([path.parent for path in files]))
    return [path.stem if common[path.stem] == 1 else path.relative_to(top).with_suffix("").as_posix() for path in files]


def _subject(path: Path, take: str) -> str:
    """Digits before the first underscore of a file's name, CMU's way (``01_02`` is take 2 of subject 01); else the take."""
    found = re.match(r"(\d+)_", path.stem)
    return found[1] if found else take


def _drawn(sizes: Counter[str], share: float, seed: int) -> set[str]:
    if not 0 < share < 1:
        raise UserError(f"the share of rows to validate on is {share}; give one between 0 and 1, or names")
    chosen: set[str] = set()
    names = sorted(sizes)
    for place in np.random.default_rng(seed).permutation(len(names)):
        if sum(sizes[name] for name in chosen) >= share * sizes.total() or len(chosen) + 1 == len(names):
            break
        chosen.add(names[place])
    return chosen
