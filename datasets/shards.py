"""Reading a folder of frames: random and sequential access that refuses what is not whole."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import UserError
from . import storage
from .frames import Frame, check_fields
from .manifest import Manifest, PartedShards, list_shards, read_manifest
from .parquet import ROW_GROUP, group_rows, open_shard, read_columns
from .tables import table_info, table_to_frames

LIGHT_COLUMNS = (
    "frame_id",
    "height",
    "width",
    "domain",
    *(f"persons.list.element.{name}" for name in ("bbox", "area", "iscrowd", "labelled")),
)


@dataclass(frozen=True)
class FrameIndex:
    """Light columns of all N frames and their P persons, in the folder's order; persons of frame i are
    ``first_person[i]:first_person[i + 1]``.

    Attributes:
        frame_id (N,) int64; shard, row_group, row (N,) int32: where a frame lies; domain (N,) int16: index into
        ``FramesFolder.domains``; size (N, 2) int32 width, height; first_person (N+1,) int64.
        frame (P,) int64: position of the person's frame; bbox (P, 4) float32 xywh; area (P,) float64;
        iscrowd (P,) bool; labelled (P,) int16: keypoints with v > 0.
    """

    frame_id: np.ndarray
    shard: np.ndarray
    row_group: np.ndarray
    row: np.ndarray
    domain: np.ndarray
    size: np.ndarray
    first_person: np.ndarray
    frame: np.ndarray
    bbox: np.ndarray
    area: np.ndarray
    iscrowd: np.ndarray
    labelled: np.ndarray

    def __len__(self) -> int:
        return len(self.frame_id)


class FramesFolder:
    """Random and sequential access to a whole folder of frames, local or remote, small or in parts.

    Cheap to open and to pickle: the manifests of parts, and Parquet files, are opened lazily, the files once a process
    and thread, so one object may be shared by threads and sent to (or inherited by) worker processes.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.info = manifest.info
        self.shards = manifest.shards
        totals = manifest.totals
        self.domains = totals.domains
        self.num_frames = totals.rows
        rows = [part.totals.rows for part in manifest.parts] or [totals.rows]
        self._part_starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        self._shard_starts: dict[int, np.ndarray] = {}
        self._checked: set[int] = set()
        self._local = threading.local()

    @classmethod
    def open(cls, path: Path | str, joint_set: str | None = None, verify: bool = False) -> FramesFolder:
        """Open and check a folder: manifest, schema version, and of each shard presence, size, rows and metadata.

        A remote folder, or one in parts, is opened at once whatever its size: there a shard is checked when it is first
        read.

        Args:
            path: the folder, or a URI such as ``s3://bucket/prefix``.
            joint_set: refuse frames of any other joint set.
            verify: check all shards now, and compare the SHA-256 of every file (reads everything).

        Raises:
            UserError: saying what is wrong with which file and what to do.
        """
        place = storage.place(path)
        folder = cls(place, read_manifest(place))
        if joint_set is not None and folder.info.joint_set != joint_set:
            raise UserError(f"{storage.show(place)} has joint set '{folder.info.joint_set}', '{joint_set}' is needed")
        listed = set() if folder.manifest.parts else {entry.file for entry in folder.shards}
        foreign = sorted(set(list_shards(place)) - listed)
        if foreign:
            raise UserError(
                f"{storage.show(place / foreign[0])} is not in the manifest: move foreign Parquet files elsewhere"
            )
        if verify or not (folder.manifest.parts or storage.is_remote(place)):
            for shard in range(len(folder.shards)):
                folder._check(shard, verify)
        return folder

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def __len__(self) -> int:
        return self.num_frames

    def row_groups(self) -> list[tuple[int, int, int]]:
        """All row groups in order as (shard, row group, rows)."""
        return [(s, g, n) for s, entry in enumerate(self.shards) for g, n in enumerate(group_rows(entry.rows))]

    def row_group(self, shard: int, group: int, fields: Sequence[str] | None = None) -> list[Frame]:
        """Frames of one row group; only the columns named in ``fields`` (all if None), others stay at defaults.

        Raises:
            UserError: for a damaged file or an unknown column.
        """
        if fields is not None:
            check_fields(fields)
        path = self.path / self.shards[shard].file
        return table_to_frames(read_columns(self._file(shard), path, group, fields), self.info)

    def read(self, positions: Sequence[int] | np.ndarray, fields: Sequence[str] | None = None) -> list[Frame]:
        """Frames at positions 0..num_frames-1 of the folder, in the order asked; each row group is read once."""
        where = [self.locate(int(position)) for position in positions]
        groups = {key: self.row_group(*key, fields=fields) for key in sorted({(s, g) for s, g, _ in where})}
        return [groups[s, g][row] for s, g, row in where]

    def locate(self, position: int) -> tuple[int, int, int]:
        """(shard, row group, row in the group) of a frame position."""
        if not 0 <= position < self.num_frames:
            raise IndexError(f"frame position {position} outside 0..{self.num_frames - 1}")
        part = int(np.searchsorted(self._part_starts, position, side="right")) - 1
        row = position - int(self._part_starts[part])
        starts = self._starts(part)
        shard = int(np.searchsorted(starts, row, side="right")) - 1
        group, row = divmod(row - int(starts[shard]), ROW_GROUP)
        first = int(self.shards.first[part]) if isinstance(self.shards, PartedShards) else 0
        return first + shard, group, row

    def _starts(self, part: int) -> np.ndarray:
        """First frame of each shard of a part, counted within the part."""
        if part not in self._shard_starts:
            entries = self.shards.part(part) if isinstance(self.shards, PartedShards) else self.shards
            rows = [entry.rows for entry in entries]
            self._shard_starts[part] = np.concatenate([[0], np.cumsum(rows[:-1])]).astype(np.int64)
        return self._shard_starts[part]

    def iterate(self, fields: Sequence[str] | None = None) -> Iterator[Frame]:
        """All frames in order, one row group in memory at a time."""
        for shard, group, _ in self.row_groups():
            yield from self.row_group(shard, group, fields)

    def index(self) -> FrameIndex:
        """Light columns of all frames and persons; no picture is read.

        Raises:
            UserError: if two frames share an id, or a file is damaged.
        """
        tables = [
            read_columns(self._file(s), self.path / entry.file, None, LIGHT_COLUMNS)
            for s, entry in enumerate(self.shards)
        ]
        table = pa.concat_tables([t.replace_schema_metadata(None) for t in tables]).combine_chunks()
        frame_id = table.column("frame_id").to_numpy()
        unique, counts = np.unique(frame_id, return_counts=True)
        if len(unique) != len(frame_id):
            twice = unique[counts > 1][0]
            raise UserError(f"{storage.show(self.path)}: frame_id {twice} occurs twice; frame ids must be unique")
        persons = table.column("persons").combine_chunks()
        first = persons.offsets.to_numpy().astype(np.int64)
        fields = persons.values
        groups = self.row_groups()
        rows = np.array([n for _, _, n in groups], np.int64)
        domain_code = {name: code for code, name in enumerate(self.domains)}
        column = table.column("domain").combine_chunks().dictionary_encode()
        codes = np.array([domain_code[name] for name in column.dictionary.to_pylist()], np.int16)
        return FrameIndex(
            frame_id=frame_id,
            shard=np.repeat(np.array([s for s, _, _ in groups], np.int32), rows),
            row_group=np.repeat(np.array([g for _, g, _ in groups], np.int32), rows),
            row=np.concatenate([np.arange(n, dtype=np.int32) for n in rows]),
            domain=codes[column.indices.to_numpy()],
            size=np.stack([table.column("width").to_numpy(), table.column("height").to_numpy()], axis=1),
            first_person=first,
            frame=np.repeat(np.arange(len(frame_id)), np.diff(first)),
            bbox=fields.field("bbox").flatten().to_numpy().reshape(-1, 4),
            area=fields.field("area").to_numpy(),
            iscrowd=fields.field("iscrowd").to_numpy(zero_copy_only=False),
            labelled=fields.field("labelled").to_numpy(),
        )

    def _file(self, shard: int) -> pq.ParquetFile:
        if getattr(self._local, "pid", None) != os.getpid():  # after a fork the inherited files share a file offset
            self._local.pid, self._local.files = os.getpid(), {}
        files: dict[int, pq.ParquetFile] = self._local.files
        if shard not in files:
            if shard not in self._checked:
                self._check(shard)
            if len(files) >= 32:  # keep few descriptors open; the oldest goes
                files.pop(next(iter(files))).close()
            files[shard] = open_shard(self.path / self.shards[shard].file)
        return files[shard]

    def _check(self, shard: int, verify: bool = False) -> None:
        """Compare a file with its manifest entry."""
        entry = self.shards[shard]
        path = self.path / entry.file
        where = storage.show(path)
        remedy = "delete it and the manifest, then run the command that wrote the folder again"
        size = storage.size(path)
        if size is None:
            raise UserError(
                f"{where} is missing although the manifest lists it: restore it, or {remedy.partition(', ')[2]}"
            )
        if size != entry.bytes:
            raise UserError(f"{where} is damaged: {size} bytes, the manifest says {entry.bytes}; {remedy}")
        with open_shard(path) as file:
            rows = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
            found = table_info(file.schema_arrow, where)
        if rows != group_rows(entry.rows):
            raise UserError(f"{where} is damaged: {sum(rows)} rows, the manifest says {entry.rows}; {remedy}")
        if found != self.info:
            raise UserError(f"{where} does not belong here: its metadata differs from the manifest's; {remedy}")
        if verify and storage.sha256(path) != entry.sha256:
            raise UserError(f"{where} is damaged: its SHA-256 is not the manifest's; {remedy}")
        self._checked.add(shard)
