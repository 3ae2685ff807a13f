"""The manifest of a folder of shards, and what a shard says of itself.

Layout of a small folder: ``shard-00000.parquet``, ``shard-00001.parquet``, ... and ``_manifest.json``, which lists them.
Layout of a large one: the shards lie in ``part-00000/``, ``part-00001/``, ..., each with a ``_part.json`` that lists its
own, and ``_manifest.json`` holds one line a part, so that it stays small at any number of frames. ``_manifest.json`` is
written last: a folder without it is half written and is never read. Writing: :mod:`datasets.publish`; reading:
:mod:`datasets.shards`; places may be remote, see :mod:`datasets.storage`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from ..config import UserError
from . import storage
from .frames import SCHEMA_VERSION, DatasetInfo
from .parquet import open_shard, read_columns
from .records import Part, ShardEntry, ShardNotes, Totals, add_totals, shard_totals
from .tables import table_info

MANIFEST = "_manifest.json"
PART = "_part.json"
NOTES_KEY = b"sim2pose.shard"
_PART_NAME = re.compile(r"part-\d{5,}")


@dataclass(frozen=True)
class Manifest:
    """What a whole folder holds.

    Attributes:
        info: what holds for all frames.
        shards: entries in order; those of a part are read when one of them is first asked for.
        parts: () in a small folder.
    """

    info: DatasetInfo
    shards: Sequence[ShardEntry]
    parts: tuple[Part, ...] = ()

    @property
    def totals(self) -> Totals:
        """Sums over all shards; reads no part."""
        return add_totals(part.totals for part in self.parts) if self.parts else shard_totals(self.shards)

    @property
    def num_frames(self) -> int:
        """Frames in all shards."""
        return self.totals.rows

    @property
    def num_empty(self) -> int:
        """Frames in which no person is visible."""
        return self.totals.empty

    @property
    def domains(self) -> tuple[str, ...]:
        """Sorted names of the domains that occur."""
        return self.totals.domains


class PartedShards(Sequence[ShardEntry]):
    """The shards of a large folder as one sequence; a part's manifest is read, and checked, when it is first needed."""

    def __init__(self, folder: Path, parts: tuple[Part, ...]) -> None:
        self.folder, self.parts = folder, parts
        self.first = np.concatenate([[0], np.cumsum([part.totals.shards for part in parts])]).astype(np.int64)
        self._loaded: dict[int, tuple[ShardEntry, ...]] = {}

    def __len__(self) -> int:
        return int(self.first[-1])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartedShards) and (self.folder, self.parts) == (other.folder, other.parts)

    def __hash__(self) -> int:
        return hash((self.folder, self.parts))

    @overload
    def __getitem__(self, index: int) -> ShardEntry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ShardEntry, ...]: ...
    def __getitem__(self, index: int | slice) -> ShardEntry | tuple[ShardEntry, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"shard {index} outside 0..{len(self) - 1}")
        part = int(np.searchsorted(self.first, index, side="right")) - 1
        return self.part(part)[index - int(self.first[part])]

    def part(self, number: int) -> tuple[ShardEntry, ...]:
        """Entries of one part.

        Raises:
            UserError: if its manifest is missing or not the one that was written.
        """
        if number not in self._loaded:
            part = self.parts[number]
            entries, sha256 = read_part(self.folder, part.folder)
            if sha256 != part.sha256:
                raise UserError(
                    f"{storage.show(self.folder / part.folder / PART)} is damaged: its SHA-256 is not that in {MANIFEST}; "
                    "delete both and run the command that wrote the folder again"
                )
            self._loaded[number] = entries
        return self._loaded[number]


def shard_name(shard_id: int) -> str:
    """``shard-00007.parquet``."""
    return f"shard-{shard_id:05d}.parquet"


def part_name(number: int) -> str:
    """``part-00007``."""
    return f"part-{number:05d}"


def shard_file(shard_id: int, part_shards: int) -> str:
    """File of a shard relative to its folder, which has ``part_shards`` shards a part (0: no parts)."""
    name = shard_name(shard_id)
    return f"{part_name(shard_id // part_shards)}/{name}" if part_shards else name


def shard_entry(path: Path, hashed: bool = True) -> tuple[ShardEntry, DatasetInfo]:
    """Describe a shard from what lies in the file (reads the light columns and hashes the file).

    Args:
        path: the file.
        hashed: False leaves ``sha256`` empty, and reads the light columns only.

    Raises:
        UserError: if the file is missing, damaged or foreign.
    """
    with open_shard(path) as file:
        info = table_info(file.schema_arrow, storage.show(path))
        table = read_columns(file, path, None, ["domain", "persons.list.element.labelled"])
        notes = json.loads((file.metadata.metadata or {}).get(NOTES_KEY, b"{}"))
    offsets = table.column("persons").combine_chunks().offsets.to_numpy()
    entry = ShardEntry(
        file=path.name,
        rows=len(table),
        sha256=storage.sha256(path) if hashed else "",
        bytes=storage.size(path) or 0,
        empty=int((np.diff(offsets) == 0).sum()),
        domains=tuple(sorted(table.column("domain").unique().to_pylist())),
        notes=ShardNotes.from_values(notes),
    )
    return entry, info


def list_shards(folder: Path) -> list[str]:
    """Names of all Parquet files that lie directly in the folder, sorted."""
    return sorted(name for name in storage.sizes(folder) if name.endswith(".parquet"))


def manifest_json(manifest: Manifest) -> str:
    """The manifest as JSON text."""
    totals = manifest.totals
    values: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "frames": totals.rows,
        "frames_without_person": totals.empty,
        "frames_quarantined": totals.quarantined,
        "counts": dict(totals.counts),
        "domains": totals.domains,
        "info": json.loads(manifest.info.to_json()),
    }
    if manifest.parts:
        values["parts"] = [
            {"folder": p.folder, "sha256": p.sha256, **vars(p.totals), "counts": dict(p.totals.counts)}
            for p in manifest.parts
        ]
    else:
        values["shards"] = [_entry_values(entry) for entry in manifest.shards]
    return json.dumps(values, indent=1)


def part_json(entries: Sequence[ShardEntry]) -> str:
    """``_part.json`` of a part's entries, whose files are named relative to it."""
    return json.dumps({"shards": [_entry_values(entry) for entry in entries]}, indent=1)


def read_part(folder: Path, part: str) -> tuple[tuple[ShardEntry, ...], str]:
    """Entries of a part (files relative to ``folder``), and the SHA-256 of its manifest.

    Raises:
        UserError: if it is missing or unreadable.
    """
    path = folder / part / PART
    try:
        data = storage.read_bytes(path)
        entries = tuple(_entry(values, part, storage.show(path)) for values in json.loads(data)["shards"])
    except FileNotFoundError:
        raise UserError(f"{storage.show(path)} is missing: run the command that wrote the folder again") from None
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{storage.show(path)} is no readable manifest of a part ({error!r}); delete it") from None
    return entries, hashlib.sha256(data).hexdigest()


def read_manifest(folder: Path | str) -> Manifest:
    """Read ``_manifest.json``.

    Raises:
        UserError: if there is none (says whether the folder is half written), it is no manifest, or it has another
            schema version.
    """
    folder = storage.place(folder)
    where = storage.show(folder / MANIFEST)
    if not storage.is_remote(folder) and not folder.is_dir():
        raise UserError(f"no folder of frames at {folder}")
    try:
        text = storage.read_bytes(folder / MANIFEST)
    except FileNotFoundError:
        raise _not_whole(folder) from None
    try:
        values = json.loads(text)
        info = DatasetInfo.from_json(json.dumps(values["info"]), where)
        parts = tuple(_part(dict(part), where) for part in values.get("parts", ()))
        if parts:
            return Manifest(info, PartedShards(folder, parts), parts)
        return Manifest(info, tuple(_entry(entry, "", where) for entry in values["shards"]))
    except UserError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{where} is no readable manifest ({error!r}); delete it and write the folder again") from None


def _not_whole(folder: Path) -> UserError:
    names = storage.sizes(folder)
    shards = sum(name.startswith("shard-") and name.endswith(".parquet") for name in names)
    parts = sum(_PART_NAME.fullmatch(name) is not None for name in names)
    if shards or parts:
        found = f"{shards} shards" if shards else f"{parts} parts"
        return UserError(
            f"{storage.show(folder)} is half written: {found} but no {MANIFEST}; "
            "run the command that writes it again, it keeps the finished shards"
        )
    return UserError(f"{storage.show(folder)} is no folder of frames: it holds no {MANIFEST}")


def _entry_values(entry: ShardEntry) -> dict[str, Any]:
    values = {name: value for name, value in vars(entry).items() if name != "notes"}
    values["file"] = Path(entry.file).name
    if entry.notes != ShardNotes():
        values["notes"] = json.loads(entry.notes.to_json())
    return values


def _entry(values: dict[str, Any], part: str, where: str) -> ShardEntry:
    name = values["file"]
    if Path(name).name != name:
        raise UserError(f"{where} names the file '{name}', which lies outside of the folder")
    notes = ShardNotes.from_values(values.get("notes", {}))
    file = f"{part}/{name}" if part else name
    return ShardEntry(**{**values, "file": file, "domains": tuple(values["domains"]), "notes": notes})


def _part(values: dict[str, Any], where: str) -> Part:
    folder, sha256 = values.pop("folder"), values.pop("sha256")
    if not _PART_NAME.fullmatch(folder):
        raise UserError(f"{where} names the part '{folder}', which lies outside of the folder")
    counts = tuple(sorted(values["counts"].items()))
    return Part(folder, sha256, Totals(**{**values, "domains": tuple(values["domains"]), "counts": counts}))
