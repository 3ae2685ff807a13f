"""Running a job to its manifest.

A run holds the folder's lock, keeps the shards that are finished, renders the missing ones (in this process, or by a
crew of Ray actors) and writes the manifest last. Killed anywhere, it is continued by the same command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...config import UserError
from ...datasets.locks import driver_lock
from ...datasets.manifest import Manifest, ShardEntry
from ...datasets.progress import Progress
from ...datasets.publish import sweep_temp, write_manifest
from .crew import Crew, Drive, FarmError, Limits
from .job import FarmJob, find_finished, render_shard, retract_manifest
from .ray_session import ray_session

__all__ = ["FarmError", "FarmOptions", "Limits", "run_farm"]


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
    with driver_lock(job.folder):
        sweep_temp(job.folder)
        entries = find_finished(job, options.resume)
        missing = [i for i in range(job.shards) if i not in entries]
        done = sum(entry.rows for entry in entries.values())
        progress = Progress("render", job.frames, done, "frame", options.progress)
        if done:
            progress.say(f"{job.folder}: {len(entries)} of {job.shards} shards are there already")

        def on_shard(shard_id: int, entry: ShardEntry) -> None:
            entries[shard_id] = entry
            progress.advance(entry.rows)

        try:
            if missing:
                retract_manifest(job.folder)
                _render_missing(job, missing, options, on_shard, progress.say)
        except KeyboardInterrupt:
            progress.say(
                f"interrupted: {len(entries)} of {job.shards} shards are finished; the same command renders the rest"
            )
            raise
        finally:
            progress.close()
            sweep_temp(job.folder)
        assert len(entries) == job.shards, f"{len(entries)} shards are finished, {job.shards} make up the job"
        return write_manifest(job.folder, list(entries.values()), job.info)


def _render_missing(
    job: FarmJob,
    missing: list[int],
    options: FarmOptions,
    on_shard: Callable[[int, ShardEntry], None],
    note: Callable[[str], None],
) -> None:
    if options.workers < 0:
        raise UserError(f"workers must be 0 (this process) or more, found {options.workers}")
    workers = min(options.workers, len(missing))
    if workers == 0:
        _render_here(job, missing, on_shard)
        return
    with ray_session(workers, options.address):
        if options.address is None:  # a cluster may grow GPUs when asked for them, this machine will not
            _check_gpus(options.gpus_per_worker)
        crew = Crew(job, workers, options.gpus_per_worker)
        try:
            Drive(crew, missing, options.limits, on_shard, note).run()
        finally:
            crew.dismiss()


def _check_gpus(share: float) -> None:
    import ray

    found = ray.cluster_resources().get("GPU", 0)
    if share > found:
        raise UserError(f"gpus_per_worker={share:g} asked, this machine offers {found:g} GPUs: leave it at 0")


def _render_here(job: FarmJob, missing: list[int], on_shard: Callable[[int, ShardEntry], None]) -> None:
    maker = job.make()
    try:
        for shard_id in missing:
            on_shard(shard_id, render_shard(job, maker, shard_id))
    finally:
        maker.close()
