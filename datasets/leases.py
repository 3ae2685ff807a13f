"""The lock of a remote folder: a lease, as an object store frees nothing when its holder dies.

The lock is the object ``_lease-<n>`` with the highest n. It is created exclusively, so that of several drivers one gets
it, and its holder renews it every few seconds by writing a new beat into it. Who finds a lease watches it for a while: a
beat that does not change belongs to the dead (no clocks are compared), and the watcher creates n + 1. A holder that was
taken for dead, because it was cut off for longer, learns it from the higher number and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from ..config import UserError
from . import storage
from .remote import Unreachable

BEAT_S = 10.0
DEAD_AFTER_S = 45.0  # watched for so long without a beat: several renewals have failed
_PREFIX = "_lease-"


@contextlib.contextmanager
def lease(folder: Path) -> Iterator[None]:
    """Hold a remote folder for one driver.

    Raises:
        UserError: if another driver holds it or took it over, the store cannot be reached, or it does not honour
            ``If-None-Match`` (nothing could be published exclusively there).
    """
    number, dead = _next_free(folder)
    mine = _Lease(folder, number)
    if not storage.create(mine.path, mine.beat()):
        raise _in_use(folder, _read(mine.path))
    try:
        if storage.create(mine.path, b"{}"):
            raise UserError(
                f"the store of {storage.show(folder)} creates an object twice (it ignores If-None-Match): "
                "nothing could be published exclusively there; choose another store"
            )
        others = [n for n in _leases(folder) if n not in (number, *dead)]
        if others:  # it began at the same moment
            raise _in_use(folder, _read(folder / f"{_PREFIX}{others[0]}"))
        for n in dead:
            storage.remove(folder / f"{_PREFIX}{n}")
        with mine.renewed():
            yield
    finally:
        with contextlib.suppress(UserError):
            storage.remove(mine.path)


def lease_holder(folder: Path) -> str | None:
    """Who holds a remote folder, or held it until death; None if there is no lease."""
    found = _leases(folder)
    return _name(_read(folder / f"{_PREFIX}{found[-1]}")) if found else None


class _Lease:
    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        self.path = folder / f"{_PREFIX}{number}"
        self.lost = False
        self._over = threading.Event()
        self._who = {"pid": os.getpid(), "host": socket.gethostname(), "run": uuid.uuid4().hex}
        self._beats = 0

    def beat(self) -> bytes:
        """The next content of the lease."""
        self._beats += 1
        return json.dumps({**self._who, "beat": self._beats}).encode()

    @contextlib.contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew in a thread; if the lease is lost meanwhile, the main thread is interrupted and this raises."""
        thread = threading.Thread(target=self._renew, daemon=True)
        thread.start()
        try:
            yield
        except KeyboardInterrupt:
            if not self.lost:
                raise
        finally:
            self._over.set()
            thread.join()
        if self.lost:
            raise UserError(
                f"{storage.show(self.folder)} was taken over by another driver while this one was cut off; "
                "finished shards are kept"
            )

    def _renew(self) -> None:
        while not self._over.wait(BEAT_S):
            with contextlib.suppress(Unreachable):  # it may come back before anybody gives the lease up
                if max(_leases(self.folder), default=0) > self.number:
                    self.lost = True
                    # A real signal: it ends waits, too.
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    return
                storage.replace(self.path, self.beat())


def _leases(folder: Path) -> list[int]:
    names = storage.sizes(folder)
    return sorted(int(name.removeprefix(_PREFIX)) for name in names if name.startswith(_PREFIX))


def _next_free(folder: Path) -> tuple[int, list[int]]:
    """Number of the lease to create, and those of the dead."""
    found = _leases(folder)
    if not found:
        return 0, []
    path = folder / f"{_PREFIX}{found[-1]}"
    who = _read(path)
    if not _is_gone(who):
        print(f"{storage.show(folder)}: watching the lease of {_name(who)} for {DEAD_AFTER_S:g} s", file=sys.stderr)
        until = time.monotonic() + DEAD_AFTER_S
        while time.monotonic() < until:
            time.sleep(min(1.0, DEAD_AFTER_S / 4))
            now = _read(path)
            if not now:  # given back
                return _next_free(folder)
            if now != who:
                raise _in_use(folder, who)
    return found[-1] + 1, found


def _is_gone(who: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    return who.get("host") == socket.gethostname() and not psutil.pid_exists(int(who.get("pid", 0)))


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(storage.read_bytes(path))
        return values if isinstance(values, dict) else {}
    except (FileNotFoundError, ValueError):
        return {}


def _name(who: dict[str, Any]) -> str:
    return f"pid {who['pid']} on {who['host']}" if {"pid", "host"} <= who.keys() else "another process"


def _in_use(folder: Path, who: dict[str, Any]) -> UserError:
    return UserError(f"{storage.show(folder)} is in use by {_name(who)}: wait for it, or choose another place")
