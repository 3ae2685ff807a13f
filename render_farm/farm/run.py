"""Running a job to its manifest.

A run holds the folder's lock, keeps the shards that are finished, renders the missing ones (in this process, or by a
crew of Ray actors) and writes the manifest last. Killed anywhere, it is continued by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ...config import UserError
from ...datasets import storage
from ...datasets.locks import driver_lock
from ...datasets.manifest import Manifest
from ...datasets.progress import Progress
from ...datasets.publish import sweep_temp
from ...datasets.records import ShardEntry
from .crew import Crew, Drive, FarmError, Limits
from .gauges import FRAMES, QUARANTINED, QUEUE, SHARDS, record
from .job import FarmJob, render_shard
from .layout import settle
from .ledger import Ledger
from .ray_session import ray_session

__all__ = ["FarmError", "FarmOptions", "Limits", "run_farm"]

HOPELESS_FRAMES = 20
"""With so many frames in quarantine, ten times the share that a job allows ends it before its time."""


@dataclass(frozen=True)
class FarmOptions:
    """How a job runs; none of it changes a frame.

    Attributes:
        workers: Ray actors of one CPU each; 0 renders in this process without Ray.
        address: of a running Ray cluster; None starts a private one (see ``ray_session``).
        gpus_per_worker: GPUs, or a share of one, for each actor.
        resume: keep finished shards; False refuses a folder that holds any.
        progress: show a bar, or lines.
        limits: deadline and attempts.
    """

    workers: int = 0
    address: str | None = None
    gpus_per_worker: float = 0.0
    resume: bool = True
    progress: bool = True
    limits: Limits = field(default_factory=Limits)


def run_farm(job: FarmJob, options: FarmOptions) -> Manifest:
    """Run any job to its manifest; see :func:`..render.render` for errors."""
    if options.workers < 0:
        raise UserError(f"workers must be 0 (this process) or more, found {options.workers}")
    with driver_lock(job.folder):
        sweep_temp(job.folder)
        job = settle(job, options.resume)
        ledger = Ledger(job)
        limit = Tolerance(job, ledger)
        where = storage.show(job.folder)
        progress = Progress("render", job.frames, limit.done, "frame", options.progress)
        if limit.done:
            progress.say(f"{where}: {ledger.shards} of {job.shards} shards are there already")

        def on_shard(shard_id: int, entry: ShardEntry) -> None:
            ledger.add(shard_id, entry)
            record(SHARDS, 1, where)
            record(FRAMES, entry.rows, where)
            record(QUARANTINED, len(entry.notes.quarantined), where)
            record(QUEUE, job.shards - ledger.shards, where)
            progress.advance(limit.add(entry))

        try:
            if not ledger.whole:
                ledger.begin()
                _render_missing(job, ledger, options, on_shard, progress.say)
        except KeyboardInterrupt:
            progress.say(
                f"interrupted: {ledger.shards} of {job.shards} shards are finished; the same command renders the rest"
            )
            raise
        finally:
            progress.close()
            sweep_temp(job.folder)
        return ledger.finish()


class Tolerance:
    """Counts frames that are done and frames in quarantine; too many of these, and the job fails.

    Raises:
        FarmError: as soon as the share asked cannot be kept, or is exceeded tenfold by more than a few frames.
    """

    def __init__(self, job: FarmJob, ledger: Ledger) -> None:
        totals = ledger.totals()
        self._job = job
        self._bad = totals.quarantined
        self.done = totals.rows + totals.quarantined
        self._first = next(ledger.poisoned(), None) if self._bad else None
        self._check()

    def add(self, entry: ShardEntry) -> int:
        """A shard has come; returns its frames, those in quarantine included."""
        bad = entry.notes.quarantined
        self._first = self._first or next(iter(bad), None)
        self._bad += len(bad)
        self.done += entry.rows + len(bad)
        self._check()
        return entry.rows + len(bad)

    def _check(self) -> None:
        share = self._job.max_quarantine
        hopeless = self._bad >= HOPELESS_FRAMES and self._bad > 10 * share * self.done
        if self._first is None or not (self._bad > share * self._job.frames or hopeless):
            return
        frame = self._first
        raise FarmError(
            f"{self._bad} of {self.done} frames could not be made, more than max_quarantine={share:g} allows; the first "
            f"was frame {frame.frame} (seed {frame.seed}): {frame.cause}; finished shards are kept"
        )


def _render_missing(
    job: FarmJob,
    ledger: Ledger,
    options: FarmOptions,
    on_shard: Callable[[int, ShardEntry], None],
    note: Callable[[str], None],
) -> None:
    workers = min(options.workers, job.shards - ledger.shards)
    if workers == 0:
        _render_here(job, ledger.missing(), on_shard)
        return
    with ray_session(workers, options.address):
        if options.address is None:  # a cluster may grow GPUs when asked for them, this machine will not
            _check_gpus(options.gpus_per_worker)
        crew = Crew(job, workers, options.gpus_per_worker)
        try:
            Drive(crew, ledger.missing(), options.limits, on_shard, note).run()
        finally:
            crew.dismiss()


def _check_gpus(share: float) -> None:
    import ray

    found = ray.cluster_resources().get("GPU", 0)
    if share > found:
        raise UserError(f"gpus_per_worker={share:g} asked, this machine offers {found:g} GPUs: leave it at 0")


def _render_here(job: FarmJob, missing: Iterable[int], on_shard: Callable[[int, ShardEntry], None]) -> None:
    maker = job.make()
    try:
        for shard_id in missing:
            on_shard(shard_id, render_shard(job, maker, shard_id))
    finally:
        maker.close()
