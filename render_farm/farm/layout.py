"""How a job's folder is laid out: decided when it is begun, written to ``_job.json``, and kept ever after.

That is the size of shards (asked for in frames, or measured for a size in MB) and of parts. A run that resumes, grows or
finds the folder taken by another job learns so from this one small file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from ...config import UserError, config_hash
from ...datasets import storage
from ...datasets.frames import DatasetInfo, Frame
from ...datasets.manifest import MANIFEST
from ...datasets.publish import difference
from ...datasets.tables import frames_to_table
from ..config import BLOCK
from .job import FarmJob
from .quarantine import SturdyFrames

JOB = "_job.json"
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
            job = _agree(job, _read(job))
        return job
    return _agree(job, _read(job))


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


def _agree(job: FarmJob, found: dict[str, Any]) -> FarmJob:
    where = storage.show(job.folder / JOB)
    try:
        info = DatasetInfo.from_json(json.dumps(found["info"]), where)
        shard_frames, part_shards = int(found["shard_frames"]), int(found["part_shards"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{where} is no readable job file ({error!r}); choose another folder") from None
    if job.shard_mb is not None:
        job = _with_shard_frames(job, shard_frames)
    if info != job.info:
        raise UserError(
            f"{storage.show(job.folder)} was made otherwise: {difference(info, job.info)}; choose another folder"
        )
    return dataclasses.replace(job, shard_frames=shard_frames, part_shards=part_shards)


def _with_shard_frames(job: FarmJob, shard_frames: int) -> FarmJob:
    config = {**job.info.config, "shard_frames": shard_frames}
    info = dataclasses.replace(job.info, config=config, config_hash=config_hash(config))
    return dataclasses.replace(job, shard_frames=shard_frames, info=info)


def _write(job: FarmJob) -> None:
    info = json.loads(job.info.to_json())
    values = {"shard_frames": job.shard_frames, "part_shards": job.part_shards, "info": info}
    try:
        storage.create(job.folder / JOB, json.dumps(values, indent=1).encode())
    except OSError as error:
        raise storage.explain(error, job.folder) from error


def _read(job: FarmJob) -> dict[str, Any]:
    try:
        values = json.loads(storage.read_bytes(job.folder / JOB))
    except ValueError as error:
        raise UserError(
            f"{storage.show(job.folder / JOB)} is no readable job file ({error}); choose another folder"
        ) from None
    return values if isinstance(values, dict) else {}
