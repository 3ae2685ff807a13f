"""Where shards and manifests lie: a folder of this machine (or a shared one), or a prefix of an object store.

A place is a ``Path`` everywhere. ``s3://bucket/prefix`` becomes ``Path("s3:/bucket/prefix")``, as ``pathlib`` folds the
slashes; the functions here tell such a path from a local one and send it to :mod:`datasets.remote`. Nothing else in the
package opens a shard or a manifest.

The one promise that both kinds keep is :func:`create`: of any number of writers of a name exactly one succeeds, and the
name appears with its whole content or not at all (a hard link here, a conditional PUT there).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil

from ..config import UserError
from . import remote

TEMP_SUFFIX = ".tmp"
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]+):/+")


def place(where: Path | str) -> Path:
    """The place that a path or URI names: ``file:///x`` is the local ``/x``; other URIs are remote."""
    text = str(where)
    match = _SCHEME.match(text)
    return Path("/" + text[match.end() :]) if match and match[1] == "file" else Path(text)


def is_remote(path: Path) -> bool:
    """Whether a place lies in an object store."""
    return _SCHEME.match(str(path)) is not None


def absolute(where: Path | str) -> Path:
    """The place as all processes and nodes name it."""
    path = place(where)
    return path if is_remote(path) else path.absolute()


def show(path: Path) -> str:
    """The place as the user wrote it: ``s3://bucket/prefix``."""
    return _SCHEME.sub(r"\1://", str(path))


def make_folder(folder: Path) -> None:
    """Make a local folder; object stores have none.

    Raises:
        UserError: if it cannot be made.
    """
    if not is_remote(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from None


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of the files directly in a folder, by name; sub-folders have the size -1. Empty if there is no folder."""
    if is_remote(folder):
        return remote.sizes(show(folder))
    found = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as items:
        for item in items:
            with contextlib.suppress(FileNotFoundError):  # temp files come and go
                found[item.name] = item.stat().st_size if item.is_file() else -1
    return found


def size(path: Path) -> int | None:
    """Bytes of a file, None if it is not there."""
    if is_remote(path):
        return remote.size(show(path))
    return path.stat().st_size if path.is_file() else None


def read_bytes(path: Path) -> bytes:
    """A whole file.

    Raises:
        FileNotFoundError: if it is not there.
    """
    return remote.read_bytes(show(path)) if is_remote(path) else path.read_bytes()


def open_input(path: Path) -> IO[bytes] | remote.RemoteInput:
    """A file open for random access.

    Raises:
        FileNotFoundError: if it is not there.
    """
    return remote.RemoteInput(show(path)) if is_remote(path) else path.open("rb")


def sha256(path: Path) -> str:
    """SHA-256 of a file as hex digits."""
    with open_input(path) as file:
        digest = hashlib.sha256()
        while block := file.read(4 << 20):
            digest.update(block)
        return digest.hexdigest()


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Name for the file that :func:`create` will publish as ``path``: beside it, or in this machine's temp folder."""
    temp = (
        _uploads() if is_remote(path) else path.parent
    ) / f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{TEMP_SUFFIX}"
    try:
        yield temp
    finally:
        temp.unlink(missing_ok=True)


def sweep_uploads() -> int:
    """Remove files whose upload was cut short by the death of a process of this machine. Returns how many."""
    dead = [path for path in _uploads().glob(f".*{TEMP_SUFFIX}") if not psutil.pid_exists(_writer(path))]
    for path in dead:
        path.unlink(missing_ok=True)
    return len(dead)


def _uploads() -> Path:
    folder = Path(tempfile.gettempdir()) / f"sim2pose-uploads-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _writer(temp: Path) -> int:
    pid = temp.name.removesuffix(TEMP_SUFFIX).rpartition(".")[2].partition("-")[0]
    return int(pid) if pid.isdigit() else os.getpid()


def create(path: Path, source: Path | bytes) -> bool:
    """Publish a file (written by :func:`scratch`) or some bytes under a name that must be free; whole or not at all.

    Returns:
        Whether this call made it; False if the name was taken.

    Raises:
        OSError: what the file system says; see :func:`explain`.
        UserError: what an object store says.
    """
    if is_remote(path):
        return remote.create(show(path), source)
    if isinstance(source, bytes):
        with scratch(path) as temp:
            write_synced(temp, source)
            return create(path, temp)
    try:
        os.link(source, path)
    except FileExistsError:
        return False
    sync_folder(path.parent)
    return True


def replace(path: Path, data: bytes) -> None:
    """Write bytes under a name, taken or not; readers see the old or the new ones, whole."""
    if is_remote(path):
        remote.replace(show(path), data)
        return
    with scratch(path) as temp:
        write_synced(temp, data)
        os.replace(temp, path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    if is_remote(path):
        remote.remove(show(path))
    elif path.exists():
        path.unlink()
        sync_folder(path.parent)


def free_bytes(folder: Path) -> int | None:
    """Free space where a folder lies or would lie; None if that is without limit, as in object stores."""
    if is_remote(folder):
        return None
    while not folder.exists():
        folder = folder.parent
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def write_synced(path: Path, data: bytes) -> None:
    """Write a new local file and wait until it lies on the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """fsync a local directory, so that a name created in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explain(error: OSError, folder: Path) -> Exception:
    """Turn what the user can mend into a sentence; anything else stays what it is."""
    where = show(folder)
    if is_remote(folder) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f"{_uploads()}, where shards wait for their upload to {where}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"no space left for {where}: finished shards are kept; free some space and run the same command again"
        )
    if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV):
        return UserError(
            f"the file system of {where} has no hard links, which exclusive publishing needs: choose another"
        )
    if error.errno in (errno.EACCES, errno.EROFS, errno.ENOTDIR):
        return UserError(f"cannot write to {where}: {error.strerror}")
    return error
