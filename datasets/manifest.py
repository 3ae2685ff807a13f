"""The manifest of a folder of shards, and what a shard says of itself.

Layout: ``shard-00000.parquet``, ``shard-00001.parquet``, ... and ``_manifest.json``, which is written last. A folder
without a manifest is half written and is never read. Writing: :mod:`datasets.publish`; reading: :mod:`datasets.shards`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import UserError
from .frames import SCHEMA_VERSION, DatasetInfo
from .tables import table_info

MANIFEST = "_manifest.json"


@dataclass(frozen=True)
class ShardEntry:
    """A shard in the manifest: file name, frames, SHA-256 and size of the file, frames without a person, domains."""

    file: str
    rows: int
    sha256: str
    bytes: int
    empty: int
    domains: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """What a whole folder holds."""

    info: DatasetInfo
    shards: tuple[ShardEntry, ...]

    @property
    def num_frames(self) -> int:
        """Frames in all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def num_empty(self) -> int:
        """Frames in which no person is visible."""
        return sum(shard.empty for shard in self.shards)

    @property
    def domains(self) -> tuple[str, ...]:
        """Sorted names of the domains that occur."""
        return tuple(sorted({name for shard in self.shards for name in shard.domains}))


def shard_name(shard_id: int) -> str:
    """``shard-00007.parquet``."""
    return f"shard-{shard_id:05d}.parquet"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_shard(path: Path) -> pq.ParquetFile:
    """Open a shard; pages are read with their checksums verified.

    Raises:
        UserError: if the file is missing or no whole Parquet file.
    """
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is damaged or no Parquet file: {str(error).splitlines()[0]}") from None


def shard_entry(path: Path) -> tuple[ShardEntry, DatasetInfo]:
    """Describe a shard from what lies in the file (reads the light columns and hashes the file).

    Raises:
        UserError: if the file is missing, damaged or foreign.
    """
    with open_shard(path) as file:
        info = table_info(file.schema_arrow, str(path))
        table = read_columns(file, path, None, ["domain", "persons.list.element.labelled"])
    offsets = table.column("persons").combine_chunks().offsets.to_numpy()
    entry = ShardEntry(
        file=path.name,
        rows=len(table),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        empty=int((np.diff(offsets) == 0).sum()),
        domains=tuple(sorted(table.column("domain").unique().to_pylist())),
    )
    return entry, info


def check_pages(path: Path) -> None:
    """Read a whole shard against the checksums of its pages, for want of a manifest to compare with.

    Raises:
        UserError: if a page is damaged.
    """
    with open_shard(path) as file:
        for group in range(file.num_row_groups):
            read_columns(file, path, group, None)


def read_columns(file: pq.ParquetFile, path: Path, row_group: int | None, columns: Sequence[str] | None) -> pa.Table:
    """Read columns (all if None) of a row group (all if None) in this thread; a damaged page is a UserError."""
    names = None if columns is None else list(columns)
    try:
        if row_group is None:
            return file.read(columns=names, use_threads=False)
        return file.read_row_group(row_group, columns=names, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path} is damaged: {str(error).splitlines()[0]}; delete it and render or import again"
        ) from None


def list_shards(folder: Path) -> list[str]:
    """Names of all Parquet files that lie in the folder, sorted."""
    return sorted(path.name for path in folder.glob("*.parquet"))


def manifest_json(manifest: Manifest) -> str:
    """The manifest as JSON text."""
    values = {
        "schema_version": SCHEMA_VERSION,
        "frames": manifest.num_frames,
        "frames_without_person": manifest.num_empty,
        "domains": manifest.domains,
        "info": json.loads(manifest.info.to_json()),
        "shards": [asdict(entry) for entry in manifest.shards],
    }
    return json.dumps(values, indent=1)


def read_manifest(folder: Path | str) -> Manifest:
    """Read ``_manifest.json``.

    Raises:
        UserError: if there is none (says whether the folder is half written), it is no manifest, or it has another
            schema version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no folder of frames at {folder}")
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        found = [name for name in list_shards(folder) if name.startswith("shard-")]
        if found:
            raise UserError(
                f"{folder} is half written: {len(found)} shards but no {MANIFEST}; "
                "run the command that writes it again, it keeps the finished shards"
            ) from None
        raise UserError(f"{folder} is no folder of frames: it holds no {MANIFEST}") from None
    try:
        values = json.loads(text)
        info = DatasetInfo.from_json(json.dumps(values["info"]), str(path))
        shards = tuple(ShardEntry(**{**entry, "domains": tuple(entry["domains"])}) for entry in values["shards"])
    except UserError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no readable manifest ({error!r}); delete it and write the folder again") from None
    for entry in shards:
        if Path(entry.file).name != entry.file:
            raise UserError(f"{path} names the file '{entry.file}', which lies outside of the folder")
    return Manifest(info, shards)
