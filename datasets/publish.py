"""Writing a folder of frames: shards appear whole or not at all, each once, and the manifest comes last.

Retries and killed workers make every shard's rendering at-least-once; publishing by exclusive creation (a hard link, or
a conditional PUT in object stores) makes its appearance exactly-once: ``os.replace`` would overwrite what a reader or a
twin has already seen.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..config import UserError
from . import storage
from .frames import DatasetInfo, Frame, schema
from .manifest import (
    MANIFEST,
    NOTES_KEY,
    PART,
    Manifest,
    PartedShards,
    manifest_json,
    part_json,
    shard_entry,
    shard_name,
)
from .parquet import ROW_GROUP
from .records import Part, ShardEntry, ShardNotes, shard_totals
from .tables import frames_to_table

Hooks = Callable[[str, int], None]
"""Called with a point ("before_write", "before_publish", "after_publish") and the shard id; fault injection."""


def publish_shard(
    folder: Path | str,
    shard_id: int,
    frames: Iterable[Frame],
    info: DatasetInfo,
    hooks: Hooks | None = None,
    notes: Callable[[], ShardNotes] | None = None,
) -> ShardEntry:
    """Write a shard beside its place (or to this machine's temp folder), sync it, and create it in its place.

    If the shard exists already (a twin was faster, or this is a resume), the existing file is described and kept;
    ``frames`` is then not consumed unless it was needed to find out.

    Args:
        folder: where the shard goes; may be remote.
        shard_id: gives the name.
        frames: its frames in order.
        info: goes into the file.
        hooks: fault injection.
        notes: asked after the last frame; what it says goes into the file, too.

    Raises:
        UserError: for a frame that does not fit ``info``, an existing shard of another data set, a full disk, a file
            system without hard links, or a store that refuses.
    """
    folder = storage.place(folder)
    final = folder / shard_name(shard_id)
    if storage.size(final) is not None:
        return existing_shard(final, info)
    with storage.scratch(final) as temp:
        try:
            _fire(hooks, "before_write", shard_id)
            _write_parquet(temp, frames, info, notes)
            entry = replace(shard_entry(temp)[0], file=final.name)
            _fire(hooks, "before_publish", shard_id)
            if not storage.create(final, temp):
                return existing_shard(final, info)
        except OSError as error:
            raise storage.explain(error, folder) from error
    _fire(hooks, "after_publish", shard_id)
    return entry


def existing_shard(path: Path, info: DatasetInfo) -> ShardEntry:
    """Describe a shard that lies there already.

    Raises:
        UserError: if it is damaged, or was made by another config (names the key that differs).
    """
    entry, found = shard_entry(path)
    if found != info:
        raise UserError(f"{storage.show(path)} was made otherwise: {difference(found, info)}; choose another folder")
    return entry


def difference(found: DatasetInfo, asked: DatasetInfo) -> str:
    """The first key in which two infos differ, as ``key is 1 there, 2 is asked``; "" if they are equal."""
    mine, theirs = _flat(asked), _flat(found)
    for key in [*theirs, *(key for key in mine if key not in theirs)]:
        if theirs.get(key) != mine.get(key) and key != "config_hash":
            return f"{key.removeprefix('config.')} is {theirs.get(key)!r} there, {mine.get(key)!r} is asked"
    return ""


def _flat(info: DatasetInfo) -> dict[str, Any]:
    def walk(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for key in sorted(value):
                yield from walk(f"{prefix}.{key}" if prefix else key, value[key])
        else:
            yield prefix, list(value) if isinstance(value, tuple) else value

    return dict(walk("", {"config": info.config, **{k: v for k, v in vars(info).items() if k != "config"}}))


def write_part(folder: Path, part: str, entries: Sequence[ShardEntry]) -> Part:
    """Write the ``_part.json`` of a part whose shards are all there, and sum it up.

    Raises:
        UserError: if another one lies there, or on a full disk.
    """
    ordered = _ordered(entries)
    data = part_json(ordered).encode()
    _create_text(folder / part / PART, data)
    return Part(part, hashlib.sha256(data).hexdigest(), shard_totals(ordered))


def write_manifest(
    folder: Path | str, entries: Sequence[ShardEntry], info: DatasetInfo, parts: Sequence[Part] = ()
) -> Manifest:
    """Write ``_manifest.json``; the folder is whole from then on.

    Args:
        folder: where the shards lie.
        entries: all shards, or none of them if there are ``parts``.
        info: what holds for all of them.
        parts: the parts of a large folder.

    Raises:
        UserError: without any shard, if another manifest lies there, or on a full disk.
    """
    folder = storage.place(folder)
    if not entries and not parts:
        raise UserError(f"nothing to write to {storage.show(folder)}: there is no frame")
    ordered = tuple(sorted(parts, key=lambda part: (len(part.folder), part.folder)))
    shards = PartedShards(folder, ordered) if ordered else _ordered(entries)
    manifest = Manifest(info, shards, ordered)
    _create_text(folder / MANIFEST, manifest_json(manifest).encode())
    return manifest


def _ordered(entries: Sequence[ShardEntry]) -> tuple[ShardEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: (len(entry.file), entry.file)))  # shard-99999 before shard-100000


def _create_text(path: Path, data: bytes) -> None:
    try:
        if storage.create(path, data) or storage.read_bytes(path) == data:
            return
    except OSError as error:
        raise storage.explain(error, path.parent) from error
    raise UserError(f"{storage.show(path)} exists and says otherwise: another run has written the folder")


def replace_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file beside its place and rename it into it, so that readers see the old file or the new one, whole.

    Args:
        write: called with the temporary path, which has the suffix of ``path``.

    Raises:
        UserError: if the folder or the file cannot be written.
    """
    temp = path.with_name(f".{path.stem}.{os.getpid()}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temp)
        os.replace(temp, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temp.unlink(missing_ok=True)
    return path


def sweep_temp(folder: Path | str) -> int:
    """Remove temp files that killed writers left; only for the one who holds the folder's lock. Returns how many.

    Object stores hold none, as an upload that was cut short never becomes an object; there it is this machine's own
    folder of files to be uploaded that is swept.
    """
    folder = storage.place(folder)
    if storage.is_remote(folder):
        return storage.sweep_uploads()
    names = [f".{pattern}.*{storage.TEMP_SUFFIX}" for pattern in ("shard-*", "_*")]
    left = [path for name in names for path in (*folder.glob(name), *folder.glob(f"part-*/{name}"))]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def _write_parquet(
    path: Path, frames: Iterable[Frame], info: DatasetInfo, notes: Callable[[], ShardNotes] | None
) -> None:
    """Row groups of 64, no compression (the bytes are JPEG, PNG and noise-like floats), checksums on every page."""
    iterator = iter(frames)
    with path.open("xb") as file:
        with pq.ParquetWriter(
            file,
            schema(info),
            compression="none",
            use_dictionary=False,
            write_statistics=["frame_id"],
            write_page_checksum=True,
        ) as writer:
            rows = 0
            while group := list(itertools.islice(iterator, ROW_GROUP)):
                writer.write_table(frames_to_table(group, info), row_group_size=ROW_GROUP)
                rows += len(group)
            said = ShardNotes() if notes is None else notes()
            if said != ShardNotes():
                writer.add_key_value_metadata({NOTES_KEY: said.to_json().encode()})
        if rows == 0:
            raise UserError(f"{path.parent}: a shard needs at least one frame")
        file.flush()
        os.fsync(file.fileno())


def _fire(hooks: Hooks | None, point: str, shard_id: int) -> None:
    if hooks is not None:
        hooks(point, shard_id)
