"""Sequences of SMPL-family poses on disk: what mocap import and fitting write, and what the farm and previews read.

One file, ``.npz`` (plain arrays) or ``.parquet`` (one row a frame), holds axis-angle poses, translations in metres and,
where known, shape and expression. Files appear whole or not at all.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import UserError, nearest
from ..models.joints.smpl_family import SMPL_SETS
from .publish import replace_file

SCHEMA = "sim2pose.poses/1"
FRAMES = ("world", "camera")
_ARRAYS = ("pose", "transl", "betas", "expression")
_LABELS = ("body", "joint_set", "frame", "fps", "source", "up")
_AMASS_KEYS = ("poses", "trans")


@dataclass(frozen=True)
class PoseSequence:
    """Poses of one body over T frames, or of T people.

    Attributes:
        pose: (T, J, 3) float32 axis-angle, radians, joint 0 the global orientation.
        transl: (T, 3) float32, metres, added after the body has turned about its pelvis.
        body: name of the body the poses are for, "open-person".
        joint_set: "smpl24", "smplh52", "smplx55" or "mano16"; J is its count.
        betas: (N,) one shape, (T, N) one a frame, or None.
        expression: (E,) or (T, E) expression coefficients, or None.
        frame: "world" (Y up) or "camera" (OpenCV: x right, y down, z forward).
        fps: frames a second; None where frames are no motion.
        names: T ids of frames or people, or empty.
        source: where the poses come from, a file or a method.
        up: (3,) direction against gravity in ``frame`` where known; None is +Y for "world", unknown for "camera".
    """

    pose: np.ndarray
    transl: np.ndarray
    body: str
    joint_set: str
    betas: np.ndarray | None = None
    expression: np.ndarray | None = None
    frame: str = "world"
    fps: float | None = None
    names: tuple[str, ...] = ()
    source: str = ""
    up: tuple[float, float, float] | None = None

    def __len__(self) -> int:
        return len(self.pose)


def checked(poses: PoseSequence, where: str = "poses") -> PoseSequence:
    """The same poses as float32, after checking shapes, names and finiteness.

    Raises:
        UserError: naming ``where``, the array, the frame, and what is asked.
    """
    joints = _joint_count(poses.joint_set, where)
    frames = len(np.asarray(poses.pose))
    if frames == 0:
        raise UserError(f"{where} holds no frame: give at least one pose")
    shapes = {"pose": (frames, joints, 3), "transl": (frames, 3)}
    arrays: dict[str, np.ndarray | None] = {}
    for key in _ARRAYS:
        value = getattr(poses, key)
        arrays[key] = None if value is None else _array(value, key, shapes.get(key), frames, where)
    if poses.frame not in FRAMES:
        raise UserError(f"{where}: unknown frame '{poses.frame}': {nearest(str(poses.frame), FRAMES)}")
    if poses.fps is not None and not (np.isfinite(poses.fps) and poses.fps > 0):
        raise UserError(f"{where}: fps is {poses.fps}; give a positive number, or None for single poses")
    if poses.names and len(poses.names) != frames:
        raise UserError(f"{where}: {len(poses.names)} names for {frames} frames; give one a frame or none")
    if poses.up is not None and (np.shape(poses.up) != (3,) or not np.linalg.norm(poses.up) > 0):
        raise UserError(f"{where}: up is {poses.up}; give a direction of three numbers, or None")
    pose, transl = arrays["pose"], arrays["transl"]
    assert pose is not None and transl is not None
    return PoseSequence(
        pose,
        transl,
        str(poses.body),
        poses.joint_set,
        betas=arrays["betas"],
        expression=arrays["expression"],
        frame=poses.frame,
        fps=None if poses.fps is None else float(poses.fps),
        names=tuple(map(str, poses.names)),
        source=str(poses.source),
        up=None if poses.up is None else (float(poses.up[0]), float(poses.up[1]), float(poses.up[2])),
    )


def save_poses(path: Path | str, poses: PoseSequence) -> Path:
    """Write poses to ``.npz`` or ``.parquet`` by a temporary file and a rename; an older file of the name is replaced.

    Raises:
        UserError: for poses that are not valid, another suffix, or a folder that cannot be written.
    """
    path = Path(path)
    poses = checked(poses, str(path))
    writer = _by_suffix(path, {".npz": _write_npz, ".parquet": _write_parquet})
    return replace_file(path, lambda temp: writer(temp, poses))


def load_poses(path: Path | str) -> PoseSequence:
    """Read poses that ``save_poses`` wrote, or an AMASS file (turned to Y up, see ``mocap.amass``).

    Raises:
        UserError: if the file is absent, damaged, foreign, or holds values that are not valid; says which.
    """
    path = Path(path)
    values = read_values(path)
    if "poses" in values:
        from .mocap.amass import poses_from_amass

        return poses_from_amass(values, str(path))
    missing = [key for key in ("pose", "transl", "body", "joint_set") if key not in values]
    if missing:
        wanted = f"a pose file holds pose, transl, body, joint_set; an AMASS file holds {', '.join(_AMASS_KEYS)}"
        raise UserError(f"{path} lacks {', '.join(missing)}: {wanted}")
    return checked(_from_values(values), str(path))


def read_values(path: Path, only: Collection[str] | None = None) -> dict[str, Any]:
    """Arrays and labels of a pose file by name as they lie there, unchecked; of an ``.npz`` those named in ``only``.

    Raises:
        UserError: if the file is absent, damaged, or has another suffix.
    """
    reader = _by_suffix(path, {".npz": lambda file: dict(read_arrays(file, only)), ".parquet": _read_parquet})
    if not path.is_file():
        raise UserError(f"no pose file at {path}")
    values: dict[str, Any] = reader(path)
    return values


def read_arrays(path: Path, only: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file by name; object arrays, which could run code, are refused.

    Args:
        only: names to read, as far as they are there; all without. What is not read may be anything.

    Raises:
        UserError: if the file is no npz archive, is damaged, or holds pickled objects.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no .npz archive, or a truncated one: write it again with save_poses or numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if only is None or key in only}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path} is damaged or holds pickled objects, which are not read ({error})") from error


def _joint_count(joint_set: str, where: str) -> int:
    if joint_set not in SMPL_SETS:
        raise UserError(f"{where}: unknown joint set '{joint_set}': {nearest(str(joint_set), SMPL_SETS)}")
    return SMPL_SETS[joint_set].count


def _array(value: Any, key: str, shape: tuple[int, ...] | None, frames: int, where: str) -> np.ndarray:
    """One array as float32, of the given shape, or of (N,) or (frames, N); finite."""
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {key} holds no numbers ({error})") from error
    fits = array.shape == shape if shape else array.ndim == 1 or (array.ndim == 2 and len(array) == frames)
    if not fits:
        raise UserError(f"{where}: {key} is {array.shape}, need {shape or f'(N,) or ({frames}, N)'}")
    bad = ~np.isfinite(array)
    if bad.any():
        place = np.argwhere(bad)[0]
        at = f"frame {place[0]}" if shape or array.ndim == 2 else f"coefficient {place[0]}"
        raise UserError(f"{where}: {key} is not finite at {at}; remove that frame or mend it")
    return array


def _by_suffix(path: Path, table: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    if path.suffix not in table:
        raise UserError(f"{path}: poses are kept as {' or '.join(table)}; name the file so")
    return table[path.suffix]


def _labels(poses: PoseSequence) -> dict[str, Any]:
    return {key: getattr(poses, key) for key in _LABELS if getattr(poses, key) is not None}


def _from_values(values: Mapping[str, Any]) -> PoseSequence:
    """Poses from arrays and labels as either file holds them."""
    return PoseSequence(
        values["pose"],
        values["transl"],
        str(values["body"]),
        str(values["joint_set"]),
        betas=values.get("betas"),
        expression=values.get("expression"),
        frame=str(values.get("frame", "world")),
        fps=float(values["fps"]) if "fps" in values else None,
        names=tuple(str(name) for name in values.get("names", ())),
        source=str(values.get("source", "")),
        up=tuple(np.asarray(values["up"], float).tolist()) if "up" in values else None,  # type: ignore[arg-type]
    )


def _write_npz(path: Path, poses: PoseSequence) -> None:
    arrays = {key: getattr(poses, key) for key in _ARRAYS if getattr(poses, key) is not None}
    labels = {key: np.array(value) for key, value in _labels(poses).items()}
    if poses.names:
        labels["names"] = np.array(poses.names)
    everything: dict[str, Any] = {"schema": np.array(SCHEMA), **arrays, **labels}
    np.savez_compressed(path, **everything)


def _write_parquet(path: Path, poses: PoseSequence) -> None:
    """One row a frame; shape or expression common to all frames goes into the file's metadata with the labels."""
    columns: dict[str, pa.Array] = {"name": pa.array(poses.names or [str(i) for i in range(len(poses))])}
    constant: dict[str, Any] = {"named": bool(poses.names)}
    for key in _ARRAYS:
        value = getattr(poses, key)
        if value is None:
            continue
        if value.ndim == 1:
            constant[key] = value.tolist()
        else:
            flat = value.reshape(len(value), -1)
            columns[key] = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    labels = json.dumps({"schema": SCHEMA, **_labels(poses), **constant})
    pq.write_table(pa.table(columns).replace_schema_metadata({"sim2pose": labels}), path)


def _read_parquet(path: Path) -> dict[str, Any]:
    try:
        table = pq.read_table(path)
        labels = json.loads((table.schema.metadata or {})[b"sim2pose"])
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is no pose file of sim2pose, or a damaged one: write it with save_poses") from error
    values: dict[str, Any] = dict(labels)
    for key in _ARRAYS:
        if key in table.column_names:
            rows = table.column(key).combine_chunks()
            if rows.null_count or not pa.types.is_fixed_size_list(rows.type):
                raise UserError(f"{path}: column {key} has empty rows or lists of different lengths")
            flat = np.asarray(rows.flatten(), np.float32).reshape(table.num_rows, -1)
            values[key] = flat.reshape(len(flat), -1, 3) if key == "pose" else flat
    if values.pop("named", False):
        values["names"] = table.column("name").to_pylist()
    return values
