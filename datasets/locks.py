"""One driver at a time: the lock of a folder that a run writes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from ..config import UserError
from . import storage
from .leases import lease, lease_holder

LOCK = ".driver.lock"


@contextlib.contextmanager
def driver_lock(folder: Path) -> Iterator[None]:
    """Hold the folder (made if absent) for one driver.

    On a file system the kernel frees the lock when the driver dies, however it dies; in an object store it is a lease
    that the driver renews, see :mod:`datasets.leases`.

    Raises:
        UserError: if another driver holds it (says which), or the folder cannot be made or reached.
    """
    if storage.is_remote(folder):
        with lease(folder):
            yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder} is in use by {_holder(descriptor)}: wait for it, or choose another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(folder: Path) -> str | None:
    """Who holds a folder now, as far as can be told; None if nobody does.

    It tries the lock for an instant, so that a driver which starts in that very moment is refused: do not ask often.
    """
    if storage.is_remote(folder):
        return lease_holder(folder)
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def _holder(descriptor: int) -> str:
    try:
        who = json.loads(os.pread(descriptor, 4096, 0))
        return f"pid {who['pid']} on {who['host']}"
    except (ValueError, KeyError):  # it has locked, but not yet signed
        return "another process"
