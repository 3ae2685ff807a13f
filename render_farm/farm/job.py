"""A farm job: which shards make up a folder, and which of them are there already.

Nothing here knows what the frames show: a job names a factory that makes a :class:`FrameMaker`, and a maker turns a
range of frame indices into frames. A shard is therefore a function of (job, shard id) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...config import UserError
from ...datasets.frames import DatasetInfo, Frame
from ...datasets.manifest import MANIFEST, ShardEntry, check_pages, list_shards, read_manifest, shard_name
from ...datasets.publish import Hooks, existing_shard, publish_shard, sync_folder


class FrameMaker(Protocol):
    """Makes frames; lives as long as its worker and owns renderer, body model and caches."""

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """Frames start..stop-1, each a function of the job's config and its index alone."""
        ...

    def close(self) -> None:
        """Release the renderer."""
        ...


@dataclass(frozen=True)
class FarmJob:
    """What is to be written where. Must pickle: ``make`` is called once in each worker process.

    Attributes:
        folder: absolute path that all workers and the driver see.
        frames: number of frames in all; shard_frames: frames a shard, the last may be shorter.
        info: goes into every shard; its config is what determines the content.
        make: builds the maker.
        hooks: called at the points of ``publish_shard`` (fault injection).
    """

    folder: Path
    frames: int
    shard_frames: int
    info: DatasetInfo
    make: Callable[[], FrameMaker]
    hooks: Hooks | None = None

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.frames // self.shard_frames)

    def bounds(self, shard_id: int) -> tuple[int, int]:
        """First frame index of a shard and the one after its last."""
        start = shard_id * self.shard_frames
        return start, min(start + self.shard_frames, self.frames)


def render_shard(job: FarmJob, maker: FrameMaker, shard_id: int) -> ShardEntry:
    """Render and publish one shard, streaming: no more than one row group of frames is held.

    Raises:
        UserError: for a full disk and whatever the maker finds wrong with the config.
    """
    start, stop = job.bounds(shard_id)
    frames = maker.frames(start, stop)
    entry = publish_shard(job.folder, shard_id, frames, job.info, job.hooks)
    assert entry.rows == stop - start, f"shard {shard_id} has {entry.rows} frames, expected {stop - start}"
    return entry


def find_finished(job: FarmJob, resume: bool) -> dict[int, ShardEntry]:
    """Shards of this job that lie whole in the folder, checked byte by byte.

    Args:
        job: the job.
        resume: False refuses a folder that holds anything.

    Raises:
        UserError: if the folder holds foreign files, another job's shards (names the key that differs), more frames
            than are asked, or a damaged shard.
    """
    present = list_shards(job.folder)
    if (present or (job.folder / MANIFEST).exists()) and not resume:
        raise UserError(f"{job.folder} already holds frames: choose another folder, or let the run resume")
    names = {shard_name(i): i for i in range(job.shards)}
    hashes = {}
    if (job.folder / MANIFEST).exists():
        hashes = {entry.file: entry.sha256 for entry in read_manifest(job.folder).shards}
    finished = {}
    for name in present:
        if not name.startswith("shard-"):
            raise UserError(f"{job.folder}/{name} is no shard of this job: choose an empty folder")
        entry = existing_shard(job.folder / name, job.info)
        _check_finished(job, names, entry, hashes.get(name))
        finished[names[name]] = entry
    return finished


def _check_finished(job: FarmJob, names: dict[str, int], entry: ShardEntry, sha256: str | None) -> None:
    path = job.folder / entry.file
    if entry.file not in names:
        raise UserError(f"{path}: the folder holds more than the {job.frames} frames asked: choose another folder")
    start, stop = job.bounds(names[entry.file])
    if entry.rows != stop - start:
        raise UserError(
            f"{path} has {entry.rows} frames, {stop - start} belong there: "
            f"a folder only grows while its frames are a multiple of shard_frames={job.shard_frames}"
        )
    if sha256 is None:
        check_pages(path)
    elif sha256 != entry.sha256:
        raise UserError(
            f"{path} is damaged: its SHA-256 is not the manifest's; delete it and run the same command again"
        )


def retract_manifest(folder: Path) -> None:
    """Remove the manifest of a folder that is about to grow: until the new one is written it is not whole."""
    if (folder / MANIFEST).exists():
        (folder / MANIFEST).unlink()
        sync_folder(folder)


def is_visible(job: FarmJob, entry: ShardEntry) -> bool:
    """Whether the driver sees a shard that a worker reported (it does not if the folder is no shared one)."""
    path = job.folder / entry.file
    return path.is_file() and path.stat().st_size == entry.bytes
