"""Frames to Arrow tables and back, by columns: no Python loop over numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..config import UserError
from .frames import (
    COLUMNS,
    FLOATS,
    FRAME_SHAPES,
    METADATA_KEY,
    PERSON_FIELDS,
    PERSON_TYPE,
    DatasetInfo,
    Frame,
    Person,
    check_fields,
    check_frame,
    schema,
)


def _list_array(rows: Sequence[np.ndarray | None]) -> pa.ListArray:
    """Ragged float32 column with nulls from one flat buffer."""
    flat = [np.empty(0, np.float32) if row is None else np.asarray(row, np.float32).reshape(-1) for row in rows]
    offsets = np.zeros(len(flat) + 1, np.int32)
    np.cumsum([len(row) for row in flat], out=offsets[1:])
    values = np.concatenate(flat) if flat else np.empty(0, np.float32)
    mask = pa.array([row is None for row in rows], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), mask=mask)


def _persons_array(frames: Sequence[Frame]) -> pa.ListArray:
    persons = [person for frame in frames for person in frame.persons]
    columns: list[pa.Array] = []
    for name, kind in PERSON_FIELDS.items():
        if name == "labelled":
            columns.append(pa.array([int((p.keypoints[:, 2] > 0).sum()) for p in persons], kind))
        elif kind == FLOATS:
            columns.append(_list_array([getattr(p, name) for p in persons]))
        else:
            columns.append(pa.array([getattr(p, name) for p in persons], kind))
    offsets = np.zeros(len(frames) + 1, np.int32)
    np.cumsum([len(frame.persons) for frame in frames], out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(columns, fields=list(PERSON_TYPE)))


def frames_to_table(frames: Sequence[Frame], info: DatasetInfo) -> pa.Table:
    """Frames as an Arrow table of :func:`schema`.

    Raises:
        UserError: for a frame that :func:`check_frame` refuses.
    """
    for frame in frames:
        check_frame(frame, info)
    columns = []
    for name, kind in COLUMNS.items():
        if name == "persons":
            columns.append(_persons_array(frames))
        elif kind == FLOATS:
            columns.append(_list_array([getattr(frame, name) for frame in frames]))
        else:
            columns.append(pa.array([getattr(frame, name) for frame in frames], kind))
    return pa.Table.from_arrays(columns, schema=schema(info))


def table_info(table_schema: pa.Schema, where: str) -> DatasetInfo:
    """The :class:`DatasetInfo` in a schema's metadata.

    Raises:
        UserError: if there is none (a foreign Parquet file), or of another version.
    """
    metadata = table_schema.metadata or {}
    if METADATA_KEY not in metadata:
        raise UserError(f"{where} is no frame file of sim2pose: it carries no '{METADATA_KEY.decode()}' metadata")
    return DatasetInfo.from_json(metadata[METADATA_KEY], where)


def _rows(column: pa.ListArray) -> list[np.ndarray | None]:
    """A float column as one writable array a row, None where null."""
    values = column.values.to_numpy(zero_copy_only=False).copy()
    offsets = column.offsets.to_numpy()
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return [values[offsets[i] : offsets[i + 1]] if valid[i] else None for i in range(len(column))]


def _persons(column: pa.ListArray) -> list[list[Person]]:
    struct = column.values
    fields: dict[str, list[Any]] = {}
    for name, kind in PERSON_FIELDS.items():
        if name == "labelled":
            continue
        values = struct.field(name)
        fields[name] = _rows(values) if kind == FLOATS else values.to_pylist()
    for name in ("keypoints", "keypoints_3d", "more_keypoints", "more_keypoints_3d"):
        fields[name] = [None if v is None else v.reshape(-1, 3) for v in fields[name]]
    persons = [Person(**dict(zip(fields, row, strict=True))) for row in zip(*fields.values(), strict=True)]
    offsets = column.offsets.to_numpy()
    return [persons[offsets[i] : offsets[i + 1]] for i in range(len(column))]


def table_to_frames(table: pa.Table, info: DatasetInfo | None = None) -> list[Frame]:
    """Frames of a table; columns that were not read stay at their defaults (image ``b""``, height and width 0).

    Args:
        table: whole or with only some of the columns of :data:`COLUMNS`.
        info: taken from the table's metadata if None.

    Raises:
        UserError: if the table is none of frames.
    """
    info = info or table_info(table.schema, "table")
    check_fields(table.column_names)
    columns: dict[str, list[Any]] = {
        "frame_id": [-1] * len(table),
        "image": [b""] * len(table),
        "height": [0] * len(table),
        "width": [0] * len(table),
        "domain": [""] * len(table),
    }
    for name in table.column_names:
        chunks = table.column(name)
        array = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()
        if name == "persons":
            columns[name] = _persons(array)
        elif name in FRAME_SHAPES:
            columns[name] = [None if v is None else v.reshape(FRAME_SHAPES[name]) for v in _rows(array)]
        else:
            columns[name] = array.to_pylist()
    return [Frame(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
