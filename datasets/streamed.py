"""Persons of a folder that a farm may still be filling, window by window.

A window is a run of so many shards. Windows come in the order of their numbers, each when all of its shards are there,
and what they add depends on the frames alone: a folder that grows and a finished one give the same persons in the same
places, however long a process had to wait.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from ..config import UserError
from . import storage
from .live import LiveFolder
from .patience import Patience, await_shards
from .persons import PersonDataset
from .records import ShardEntry


class StreamedPeople(PersonDataset):
    """Persons of the windows that were asked for so far; each process grows its own copy.

    Attributes beside those of :class:`PersonDataset`:
        live: the folder; window: shards a window; windows: how many windows the finished folder has.
        window_blocks: (G,) int64 persons a row group, of each window that is there.
        patience: how long this process waited.
    """

    def __init__(self, live: LiveFolder, window: int, *, domain: int, patience: Patience | None = None) -> None:
        """Wait for the first window and read its labels.

        Args:
            live: the folder; see ``patience.await_folder``.
            window: shards a window.
            domain: 1 source, 0 target.
            patience: how to wait (None: the default).

        Raises:
            UserError: whatever :class:`PersonDataset` finds wrong, a shard of another job.
            Stalled: if the shards do not come.
        """
        self.live, self.window = live, window
        self.windows = math.ceil(live.shards / window)
        self.patience = patience or Patience(live.path)
        self.window_blocks: list[np.ndarray] = []
        self._entries: list[ShardEntry] = []
        self._digests: list[str] = []
        self.wait()
        entries = self._next_entries()
        super().__init__(live.open(entries), domain=domain)
        self._note(self, entries)

    @property
    def complete(self) -> bool:
        """Whether all windows are there."""
        return len(self.window_blocks) == self.windows

    def wait(self, slice_s: float = math.inf) -> bool:
        """Wait until the next window can be read; False if that is not so after ``slice_s``.

        Raises:
            Stalled: see :class:`Patience`.
        """
        return await_shards(self.live, *self._bounds(len(self.window_blocks)), self.patience, slice_s)

    def grow(self) -> None:
        """Read the labels of the next window, which must be there.

        Raises:
            UserError: for damaged or foreign shards.
        """
        assert not self.complete
        entries = self._next_entries()
        part = PersonDataset(self.live.open(entries), domain=self.domain, allow_empty=True)
        part.group += len(self.groups)
        self.groups += [(0, len(self._entries) + shard, group) for _, shard, group in part.groups]
        for name in ("bbox", "keypoints", "labelled", "frame_id", "person", "group", "row"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(part, name)]))
        for reason, count in part.counts.items():
            self.counts[reason] = self.counts.get(reason, 0) + count
        self._note(part, entries)
        self.folders = [self.live.open(self._entries)]

    def state(self) -> dict[str, Any]:
        """What a resumed training must find again: the job, and a digest of the labels of all windows read so far."""
        found = {"job": self.live.info.config_hash, "shards": self.live.shards}
        waited = {"seconds": self.patience.seconds, "times": self.patience.times}
        return {**found, "windows": len(self._digests), "digest": self._digests[-1], **waited}

    def check(self, state: dict[str, Any]) -> None:
        """Compare with :meth:`state` of before; as many windows must have been read.

        Raises:
            UserError: if the folder holds other frames now.
        """
        where = storage.show(self.live.path)
        for key, mine in (("job", self.live.info.config_hash), ("shards", self.live.shards)):
            if state[key] != mine:
                raise UserError(
                    f"{where}: this run began on a job of {key} {state[key]}, the folder now has {mine}: "
                    "put the former frames back, or start the run anew"
                )
        if self._digests[state["windows"] - 1] != state["digest"]:
            raise UserError(f"{where} no longer holds the frames that this run has read: start the run anew")
        self.patience.seconds += state["seconds"]
        self.patience.times += state["times"]

    def _bounds(self, window: int) -> tuple[int, int]:
        start = window * self.window
        return start, min(start + self.window, self.live.shards)

    def _next_entries(self) -> list[ShardEntry]:
        return self.live.entries(*self._bounds(len(self.window_blocks)))

    def _note(self, part: PersonDataset, entries: list[ShardEntry]) -> None:
        """A window has been read."""
        first = len(self.groups) - len(part.groups) if part is not self else 0
        self.window_blocks.append(np.bincount(part.group - first, minlength=len(part.groups)))
        self._entries += entries
        digest = hashlib.sha256("".join(self._digests[-1:]).encode())
        digest.update(_sizes(entries))
        for name in ("frame_id", "person", "bbox", "keypoints"):
            digest.update(np.ascontiguousarray(getattr(part, name)).tobytes())
        self._digests.append(digest.hexdigest())


def _sizes(entries: list[ShardEntry]) -> bytes:
    """Names and sizes of shards, for a digest."""
    return "\n".join(f"{entry.file} {entry.bytes}" for entry in entries).encode()
