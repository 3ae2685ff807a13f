"""A farm job: which shards make up a folder, and how one of them is rendered.

Nothing here knows what the frames show: a job names a factory that makes a :class:`FrameMaker`, and a maker turns a
range of frame indices into frames. A shard is therefore a function of (job, shard id) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ...datasets import storage
from ...datasets.frames import DatasetInfo, Frame
from ...datasets.manifest import part_name, shard_file
from ...datasets.publish import Hooks, publish_shard
from ...datasets.records import ShardEntry
from .quarantine import SturdyFrames

PART_SHARDS = 128
"""Shards a part. A killed run re-reads the shards of parts that it had not closed, so parts are small; 10^7 frames in
shards of 256 are 306 of them, a top manifest of 85 kB."""


class FrameMaker(Protocol):
    """Makes frames; lives as long as its worker and owns renderer, body model and caches.

    A maker may have an attribute ``counts: dict[str, int]``, what it counted in its last call of :meth:`frames` (poses
    rejected, by reason): it is stored with the shard and summed in the manifest.
    """

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """Frames start..stop-1, each a function of the job's config and its index alone.

        Shards start at multiples of ``shard_frames``; after a frame that failed the rest is asked for from the next one
        on, so that any start must be served.
        """
        ...

    def close(self) -> None:
        """Release the renderer."""
        ...


@dataclass(frozen=True)
class FarmJob:
    """What is to be written where. Must pickle: ``make`` is called once in each worker process.

    Attributes:
        folder: absolute path that all workers and the driver see, or a remote place (see ``datasets.storage``).
        frames: number of frames in all; shard_frames: frames a shard, the last may be shorter.
        info: goes into every shard; its config is what determines the content.
        make: builds the maker.
        hooks: called at the points of ``publish_shard`` (fault injection).
        shard_mb: size of a shard in MB (10^6 bytes): shard_frames is then measured when the folder is begun.
        parts_of: a folder begun with more shards than this is laid out in parts of this many; 0 never is.
        part_shards: shards a part as the folder has it, 0 if they lie in the folder itself; see ``layout.settle``.
        max_quarantine: share of frames that may fail before the job does.
    """

    folder: Path
    frames: int
    shard_frames: int
    info: DatasetInfo
    make: Callable[[], FrameMaker]
    hooks: Hooks | None = None
    shard_mb: float | None = None
    parts_of: int = PART_SHARDS
    part_shards: int = 0
    max_quarantine: float = 0.01

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.frames // self.shard_frames)

    @property
    def parts(self) -> int:
        """Number of parts; 1 if the shards lie in the folder itself."""
        return -(-self.shards // self.part_shards) if self.part_shards else 1

    def bounds(self, shard_id: int) -> tuple[int, int]:
        """First frame index of a shard and the one after its last."""
        start = shard_id * self.shard_frames
        return start, min(start + self.shard_frames, self.frames)

    def part_of(self, shard_id: int) -> int:
        """Number of the part a shard belongs to."""
        return shard_id // self.part_shards if self.part_shards else 0

    def shard_ids(self, part: int) -> range:
        """Shards of a part."""
        if not self.part_shards:
            return range(self.shards)
        return range(part * self.part_shards, min((part + 1) * self.part_shards, self.shards))

    def sub(self, part: int) -> str:
        """Sub-folder of a part, "" for the folder itself."""
        return part_name(part) if self.part_shards else ""

    def file(self, shard_id: int) -> str:
        """File of a shard, relative to the folder."""
        return shard_file(shard_id, self.part_shards)


def render_shard(job: FarmJob, maker: FrameMaker, shard_id: int) -> ShardEntry:
    """Render and publish one shard, streaming: no more than one row group of frames is held.

    Frames that cannot be made are left out and noted, see :mod:`.quarantine`.

    Raises:
        UserError: for a full disk and whatever the maker finds wrong with the config.
        Exception: the maker's own, if none of the shard's frames could be made.
    """
    start, stop = job.bounds(shard_id)
    frames = SturdyFrames(maker, job.info, start, stop)
    folder = job.folder / job.sub(job.part_of(shard_id))
    storage.make_folder(folder)
    entry = publish_shard(folder, shard_id, iter(frames), job.info, job.hooks, frames.notes)
    found = entry.rows + len(entry.notes.quarantined)
    assert found == stop - start, f"shard {shard_id} has {found} frames, expected {stop - start}"
    return replace(entry, file=job.file(shard_id))


def is_visible(job: FarmJob, entry: ShardEntry) -> bool:
    """Whether the driver sees a shard that a worker reported (it does not if the folder is no shared one)."""
    return storage.is_remote(job.folder) or storage.size(job.folder / entry.file) == entry.bytes
