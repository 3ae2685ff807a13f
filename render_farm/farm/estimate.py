"""What a job will cost, measured on 20 frames before it runs: ``sim2pose render … --dry-run``."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from itertools import islice

from ...config import UserError
from ...datasets import storage
from ...datasets.frames import Frame
from ...datasets.remote import CHUNK_BYTES
from ...datasets.tables import frames_to_table
from ..config import BLOCK
from .crew import Limits
from .job import FarmJob, FrameMaker
from .layout import frame_bytes, in_parts, shard_frames_of

SAMPLE = 20
LEASE_REQUESTS_PER_HOUR = 720  # a listing and a PUT every ten seconds, see datasets/leases.py


@dataclass(frozen=True)
class Estimate:
    """Figures of a job.

    Attributes:
        job: with the shard size that it will have.
        workers: processes that render at a time.
        fps: frames a second of one worker, everything but the disk's speed included.
        start_s: seconds a worker needs before its first frame.
        frame_bytes: bytes of a frame in a shard.
        free: bytes free at the job's folder; None in object stores.
        deadline_s: after which a shard will be taken away from its worker.
    """

    job: FarmJob
    workers: int
    fps: float
    start_s: float
    frame_bytes: float
    free: int | None
    deadline_s: float

    @property
    def hours(self) -> float:
        """From start to end, each worker having a core of its own."""
        return (self.start_s + self.job.frames / (self.fps * self.workers)) / 3600

    @property
    def total_bytes(self) -> float:
        """Of all shards."""
        return self.frame_bytes * self.job.frames

    @property
    def requests(self) -> int:
        """Requests to an object store: a HEAD and a PUT (or its parts) a shard, four a part, the lease; no retries."""
        size = self.job.shard_frames * self.frame_bytes
        puts = 1 if size < 2 * CHUNK_BYTES else 2 + math.ceil(size / CHUNK_BYTES)
        return (1 + puts) * self.job.shards + 4 * self.job.parts + round(self.hours * LEASE_REQUESTS_PER_HOUR)

    @property
    def shard_s(self) -> float:
        """Seconds that a worker needs for a shard."""
        return self.job.shard_frames / self.fps

    def lines(self) -> list[str]:
        """For the terminal."""
        job, each = self.job, self.job.shard_frames * self.frame_bytes / 1e6
        speed = f"speed   {self.fps:.1f} frames/s for one worker, measured here on {SAMPLE} frames"
        if self.workers > 1:
            speed += f"; {self.fps * self.workers:.0f} frames/s for {self.workers}, each on a core of its own"
        parts = f" in {job.parts} parts" if job.part_shards else ""
        where = storage.show(job.folder)
        lines = [
            speed,
            f"time    {_duration(self.hours)} for {job.frames:,} frames ({self.start_s:.1f} s of it until the first one)",
            f"size    {self.frame_bytes / 1e3:.1f} kB a frame, {_size(self.total_bytes)} in all: {job.shards:,} shards of "
            f"{job.shard_frames} frames ({each:.1f} MB){parts}",
        ]
        if self.free is None:
            lines.append(f"store   {where}: about {self.requests:,} requests")
        else:
            short = "" if self.free > self.total_bytes else ": NOT ENOUGH"
            lines.append(f"free    {_size(self.free)} at {where}{short}")
        if 3 * self.shard_s > self.deadline_s:
            lines.append(
                f"note    a shard takes a worker {self.shard_s:.0f} s: raise deadline_s={self.deadline_s:g} to "
                f"{math.ceil(0.05 * self.shard_s) * 100}, or lower the shard's size"
            )
        cores = os.cpu_count() or 1
        if self.workers > cores:
            lines.append(f"note    this machine has {cores} cores: {self.workers} workers need a cluster (--address)")
        return lines


def estimate(job: FarmJob, workers: int, deadline_s: float = Limits.deadline_s) -> Estimate:
    """Render 20 frames in this process, throw them away, and extrapolate.

    They are made three times, as the first pass fills pools and caches that a long job fills once; the faster of the
    other two counts.

    Raises:
        UserError: what the maker finds wrong with the config, or if the frames cannot be made.
    """
    began = time.perf_counter()
    maker = job.make()
    try:
        next(maker.frames(0, 1))
        start_s = time.perf_counter() - began
        _timed(maker, [])
        frames: list[Frame] = []
        seconds = min(_timed(maker, frames), _timed(maker, []))
    except (RuntimeError, ArithmeticError, LookupError, StopIteration) as error:
        raise UserError(f"the first frames cannot be made: {type(error).__name__}: {error}") from error
    finally:
        maker.close()
    size = frame_bytes(frames, job.info)
    began = time.perf_counter()
    frames_to_table(frames, job.info)
    writing = (time.perf_counter() - began) / SAMPLE
    if job.shard_mb is not None:
        job = shard_frames_of(job, size)
    free = storage.free_bytes(job.folder)
    return Estimate(in_parts(job), max(1, workers), 1 / (seconds + writing), start_s, size, free, deadline_s)


def _timed(maker: FrameMaker, frames: list[Frame]) -> float:
    """Seconds a frame; the sampling of a block of 32, which comes before its first frame, is shared by all of them."""
    began = time.perf_counter()
    block = maker.frames(BLOCK, 2 * BLOCK)
    frames.append(next(block))
    first = time.perf_counter() - began
    frames += islice(block, SAMPLE - 1)
    drawing = (time.perf_counter() - began - first) / (SAMPLE - 1)
    return drawing + max(0.0, first - drawing) / BLOCK


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
