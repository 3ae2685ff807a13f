"""How a job's folder is laid out: decided when it is begun, written to ``_job.json``, and kept ever after.

That is the size of shards (asked for in frames, or measured for a size in MB) and of parts. A run that resumes, grows or
finds the folder taken by another job learns so from this one small file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...config import UserError, config_hash
from ...datasets import storage
from ...datasets.frames import DatasetInfo, Frame
from ...datasets.job_file import JOB, JobFile, read_job_file
from ...datasets.manifest import MANIFEST
from ...datasets.publish import difference
from ...datasets.tables import frames_to_table
from ..config import BLOCK
from .job import FarmJob
from .quarantine import SturdyFrames

SAMPLE_FRAMES = 2 * BLOCK


def settle(job: FarmJob, resume: bool) -> FarmJob:
    """The job with the layout of its folder, which is fixed now if it is a new one.

    Raises:
        UserError: if the folder is another job's (names the key that differs), or holds anything and ``resume`` is False.
    """
    names = storage.sizes(job.folder)
    shards = any(name.endswith(".parquet") for name in names)
    if not resume and (shards or not names.keys().isdisjoint((MANIFEST, JOB))):
        raise UserError(
            f"{storage.show(job.folder)} already holds frames: choose another folder, or let the run resume"
        )
    if JOB not in names:
        if job.shard_mb is not None:
            job = shard_frames_of(job, _measure(job))
        if not (shards or MANIFEST in names):
            job = in_parts(job)
        if not shards:
            _write(job)
            job = _agree(job, read_job_file(job.folder))
        return job
    return _agree(job, read_job_file(job.folder))


def in_parts(job: FarmJob) -> FarmJob:
    """The job as a new folder of it is laid out: in parts if it has many shards."""
    large = job.shards > job.parts_of > 0
    return dataclasses.replace(job, part_shards=job.parts_of if large else 0)


def shard_frames_of(job: FarmJob, bytes_a_frame: float) -> FarmJob:
    """The job with shards of ``job.shard_mb``: whole blocks, at least one."""
    blocks = int((job.shard_mb or 0) * 1e6 / bytes_a_frame) // BLOCK
    return _with_shard_frames(job, max(1, blocks) * BLOCK)


def _measure(job: FarmJob) -> float:
    maker = job.make()
    try:
        frames = list(SturdyFrames(maker, job.info, 0, min(SAMPLE_FRAMES, job.frames)))
    finally:
        maker.close()
    return frame_bytes(frames, job.info)


def frame_bytes(frames: Sequence[Frame], info: DatasetInfo) -> float:
    """Bytes that a frame takes in a shard, its share of the file's metadata left out."""
    return float(frames_to_table(frames, info).nbytes) / len(frames)


def _agree(job: FarmJob, found: JobFile) -> FarmJob:
    if job.shard_mb is not None:
        job = _with_shard_frames(job, found.shard_frames)
    if found.info != job.info:
        raise UserError(
            f"{storage.show(job.folder)} was made otherwise: {difference(found.info, job.info)}; choose another folder"
        )
    return dataclasses.replace(job, shard_frames=found.shard_frames, part_shards=found.part_shards)


def _with_shard_frames(job: FarmJob, shard_frames: int) -> FarmJob:
    config = {**job.info.config, "shard_frames": shard_frames}
    info = dataclasses.replace(job.info, config=config, config_hash=config_hash(config))
    return dataclasses.replace(job, shard_frames=shard_frames, info=info)


def _write(job: FarmJob) -> None:
    file = JobFile(job.shard_frames, job.part_shards, job.info)
    try:
        storage.create(job.folder / JOB, file.to_json().encode())
    except OSError as error:
        raise storage.explain(error, job.folder) from error
