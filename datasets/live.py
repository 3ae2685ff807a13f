"""A folder of frames while a farm still fills it: which shards there will be, and which there are.

A farm publishes each shard whole, once, under a name that follows from its number, and writes the manifest last. Who
knows the job's files (see :mod:`datasets.job_file`) can therefore read shards before the manifest is there, in the order
of their numbers. A finished folder is the same with nothing to wait for.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import UserError
from . import storage
from .frames import DatasetInfo
from .job_file import JobFile, read_asked, read_job_file
from .manifest import MANIFEST, Manifest, shard_entry
from .publish import difference
from .records import ShardEntry
from .shards import FramesFolder


@dataclass(frozen=True)
class LiveFolder:
    """A folder of frames, finished or not, of which the number of shards is known.

    Attributes:
        path: where it lies, possibly remote.
        info: what holds for all frames.
        shards: how many there will be.
        job: how they are laid out; None if the manifest tells.
        manifest: of a finished folder.
    """

    path: Path
    info: DatasetInfo
    shards: int
    job: JobFile | None = None
    manifest: Manifest | None = None

    def __post_init__(self) -> None:
        assert (self.job is None) != (self.manifest is None)

    @staticmethod
    def look(path: Path | str) -> LiveFolder | None:
        """The folder as it is now; None if no farm has begun to fill it.

        Raises:
            UserError: for files that are not what they should be.
        """
        folder = storage.place(path)
        whole = None if storage.size(folder / MANIFEST) is None else FramesFolder.open(folder)
        asked = read_asked(folder)  # after the manifest, which a farm takes back when it has said that it asks for more
        if whole is not None:
            totals = whole.manifest.totals
            if asked is None or asked <= totals.rows + totals.quarantined:
                return LiveFolder(folder, whole.info, len(whole.shards), manifest=whole.manifest)
        if asked is None:
            return None
        with contextlib.suppress(FileNotFoundError):
            job = read_job_file(folder)
            return LiveFolder(folder, job.info, math.ceil(asked / job.shard_frames), job)
        return None

    def missing(self, start: int, stop: int) -> int | None:
        """The first of the shards start..stop-1 that is not there yet; None if all are."""
        if self.job is None:
            return None
        gone = (s for s in range(start, stop) if storage.size(self.path / self.job.file(s)) is None)
        return next(gone, None)

    def entries(self, start: int, stop: int) -> list[ShardEntry]:
        """Entries of the shards start..stop-1, which must be there; not from a manifest, they are without a hash.

        Raises:
            UserError: if a shard is damaged, or another job's (names the key that differs).
        """
        if self.manifest is not None:
            return list(self.manifest.shards[start:stop])
        assert self.job is not None
        found = []
        for file in map(self.job.file, range(start, stop)):
            entry, info = shard_entry(self.path / file, hashed=False)
            if info != self.info:
                raise UserError(
                    f"{storage.show(self.path / file)} is of another job than the folder: "
                    f"{difference(info, self.info)} by _job.json; render into an empty folder"
                )
            found.append(replace(entry, file=file))
        return found

    def open(self, entries: list[ShardEntry]) -> FramesFolder:
        """These shards as if they were the folder."""
        return FramesFolder(self.path, Manifest(self.info, tuple(entries)))

    def pulse(self, shard: int) -> object:
        """A value that changes while workers write a shard, or publish its neighbours."""
        if self.job is None:
            return None
        parts = {self.job.file(s).rpartition("/")[0] for s in (shard, shard + max(1, self.job.part_shards))}
        return [storage.sizes(self.path / part) for part in sorted(parts)]


def so_far(path: Path | str) -> FramesFolder:
    """A folder to look at, as far as it goes: all of a finished one, else its shards before the first missing one.

    Raises:
        UserError: if no shard is there.
    """
    live = LiveFolder.look(path)
    if live is None or live.manifest is not None:
        return FramesFolder.open(path)
    gap = live.missing(0, live.shards)
    if gap == 0:
        raise UserError(f"{storage.show(live.path)} holds no frames yet: the farm that fills it has just begun")
    return live.open(live.entries(0, live.shards if gap is None else gap))
