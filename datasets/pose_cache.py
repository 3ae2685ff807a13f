"""A pose table on disk: one array that is mapped, and what is known of its takes. A cache appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..config import UserError

FORMAT = "sim2pose.pose_table/1"
_POSE, _LABELS = "pose.npy", "labels.json"

Keep = Callable[[NDArray[np.float32]], object]
"""Takes the next poses (T, J, 3) of a table."""


@dataclass
class Labels:
    """What is known of a table's takes, a list entry each: see :class:`.pose_tables.PoseTable`; ``lengths`` in rows."""

    lengths: list[int]
    takes: list[str]
    subjects: list[str]
    fps: list[float | None]
    notes: list[str]
    counts: dict[str, int]


def digest(files: list[Path], joint_set: str, fps: float | None) -> str:
    """16 hex digits of what a table is made from; files count by place, size and time of change."""
    known = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return sha256(json.dumps([FORMAT, joint_set, fps, known]).encode()).hexdigest()[:16]


def cached(folder: Path, joints: int, read: Callable[[Keep], Labels]) -> tuple[NDArray[np.float32], Labels]:
    """The table in ``folder``, written first if it is not there.

    Args:
        joints: J. read: hands over all poses in turn, and returns what is known about them.

    Returns:
        poses (N, J, 3), a read-only memmap, and labels.

    Raises:
        UserError: if the folder cannot be written, or holds a damaged table.
    """
    if not folder.is_dir():
        _write(folder, joints, read)
    try:
        labels = Labels(**json.loads((folder / _LABELS).read_text(encoding="utf-8")))
        return np.load(folder / _POSE, mmap_mode="r"), labels
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"the pose cache {folder} is damaged ({error}): remove it") from error


def _write(folder: Path, joints: int, read: Callable[[Keep], Labels]) -> None:
    temp = folder.with_name(f".{folder.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        temp.mkdir(parents=True)
        with (temp / _POSE).open("wb") as file:
            _write_header(file, (0, joints, 3))
            labels = read(lambda pose: file.write(pose.tobytes()))
            file.seek(0)
            _write_header(file, (sum(labels.lengths), joints, 3))  # of the same length: numpy leaves room for growth
            file.flush()
            os.fsync(file.fileno())
        (temp / _LABELS).write_text(json.dumps(asdict(labels)), encoding="utf-8")
        _publish(temp, folder)
    except OSError as error:
        raise UserError(f"cannot write the pose cache {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _publish(temp: Path, folder: Path) -> None:
    """Rename a whole folder into its place; one that a twin was faster to put there is as good."""
    try:
        os.rename(temp, folder)
    except OSError:
        if not folder.is_dir():
            raise


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
