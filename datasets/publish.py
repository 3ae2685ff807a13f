"""Writing a folder of frames: shards appear whole or not at all, each once, and the manifest comes last.

Retries and killed workers make every shard's rendering at-least-once; publishing by an exclusive hard link makes its
appearance exactly-once (``os.replace`` would overwrite what a reader or a twin has already seen).
"""

from __future__ import annotations

import errno
import itertools
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..config import UserError
from .frames import DatasetInfo, Frame, schema
from .manifest import MANIFEST, Manifest, ShardEntry, manifest_json, shard_entry, shard_name
from .tables import frames_to_table

Hooks = Callable[[str, int], None]
"""Called with a point ("before_write", "before_publish", "after_publish") and the shard id; fault injection."""

TEMP_SUFFIX = ".tmp"
ROW_GROUP = 64


def publish_shard(
    folder: Path | str, shard_id: int, frames: Iterable[Frame], info: DatasetInfo, hooks: Hooks | None = None
) -> ShardEntry:
    """Write a shard beside its place, sync it, link it into its place exclusively.

    If the shard exists already (a twin was faster, or this is a resume), the existing file is described and kept;
    ``frames`` is then not consumed unless it was needed to find out.

    Raises:
        UserError: for a frame that does not fit ``info``, an existing shard of another data set, a full disk, or a
            file system without hard links.
    """
    folder = Path(folder)
    final = folder / shard_name(shard_id)
    if final.exists():
        return existing_shard(final, info)
    temp = folder / f".{final.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{TEMP_SUFFIX}"
    try:
        _fire(hooks, "before_write", shard_id)
        _write_parquet(temp, frames, info)
        _fire(hooks, "before_publish", shard_id)
        try:
            os.link(temp, final)
        except FileExistsError:
            return existing_shard(final, info)
    except OSError as error:
        raise _explain(error, folder) from error
    finally:
        temp.unlink(missing_ok=True)
    sync_folder(folder)
    _fire(hooks, "after_publish", shard_id)
    return shard_entry(final)[0]


def existing_shard(path: Path, info: DatasetInfo) -> ShardEntry:
    """Describe a shard that lies there already.

    Raises:
        UserError: if it is damaged, or was made by another config (names the key that differs).
    """
    entry, found = shard_entry(path)
    if found != info:
        raise UserError(f"{path} was made otherwise: {difference(found, info)}; choose another folder")
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


def write_manifest(folder: Path | str, entries: Sequence[ShardEntry], info: DatasetInfo) -> Manifest:
    """Write ``_manifest.json`` by temp file, sync and rename; the folder is whole from then on.

    Raises:
        UserError: without any shard, or on a full disk.
    """
    folder = Path(folder)
    if not entries:
        raise UserError(f"nothing to write to {folder}: there is no frame")
    manifest = Manifest(info, tuple(sorted(entries, key=lambda entry: entry.file)))
    temp = folder / f".{MANIFEST}.{os.getpid()}{TEMP_SUFFIX}"
    try:
        with temp.open("w", encoding="utf-8") as file:
            file.write(manifest_json(manifest))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, folder / MANIFEST)
    except OSError as error:
        raise _explain(error, folder) from error
    finally:
        temp.unlink(missing_ok=True)
    sync_folder(folder)
    return manifest


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
    """Remove temp files that killed writers left; only for the one who holds the folder's lock. Returns how many."""
    left = [*Path(folder).glob(f".shard-*{TEMP_SUFFIX}"), *Path(folder).glob(f".{MANIFEST}.*{TEMP_SUFFIX}")]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def sync_folder(folder: Path) -> None:
    """fsync a directory, so that a name created in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_parquet(path: Path, frames: Iterable[Frame], info: DatasetInfo) -> None:
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
        if rows == 0:
            raise UserError(f"{path.parent}: a shard needs at least one frame")
        file.flush()
        os.fsync(file.fileno())


def _fire(hooks: Hooks | None, point: str, shard_id: int) -> None:
    if hooks is not None:
        hooks(point, shard_id)


def _explain(error: OSError, folder: Path) -> Exception:
    """Turn what the user can mend into a sentence; anything else stays what it is."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"no space left for {folder}: finished shards are kept; free some space and run the same command again"
        )
    if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV):
        return UserError(
            f"the file system of {folder} has no hard links, which exclusive publishing needs: choose another"
        )
    if error.errno in (errno.EACCES, errno.EROFS):
        return UserError(f"cannot write to {folder}: {error.strerror}")
    return error
