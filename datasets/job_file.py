"""What a farm says of the folder that it fills: ``_job.json``, once and for all, and ``_asked.json``, how many frames.

Readers that do not wait for the manifest (see :mod:`datasets.live`) learn from them which shards there will be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..config import UserError
from . import storage
from .frames import DatasetInfo
from .manifest import shard_file

JOB = "_job.json"
ASKED = "_asked.json"


@dataclass(frozen=True)
class JobFile:
    """How a job's folder is laid out, and what all its shards say of themselves.

    Attributes:
        shard_frames: frames a shard.
        part_shards: shards a part, 0 if they lie in the folder itself.
        info: what holds for all frames; its config is the job's.
    """

    shard_frames: int
    part_shards: int
    info: DatasetInfo

    def to_json(self) -> str:
        """The file's text."""
        info = json.loads(self.info.to_json())
        return json.dumps({"shard_frames": self.shard_frames, "part_shards": self.part_shards, "info": info}, indent=1)

    def file(self, shard: int) -> str:
        """File of a shard, relative to the folder."""
        return shard_file(shard, self.part_shards)


def read_job_file(folder: Path) -> JobFile:
    """Read ``_job.json``.

    Raises:
        FileNotFoundError: if there is none.
        UserError: if it is no job file.
    """
    path = folder / JOB
    where = storage.show(path)
    data = storage.read_bytes(path)
    try:
        values = json.loads(data)
        info = DatasetInfo.from_json(json.dumps(values["info"]), where)
        return JobFile(int(values["shard_frames"]), int(values["part_shards"]), info)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{where} is no readable job file ({error!r}); choose another folder") from None


def write_asked(folder: Path, frames: int) -> None:
    """Say how many frames the job now makes, before any of its shards comes."""
    storage.replace(folder / ASKED, json.dumps({"frames": frames}).encode())


def read_asked(folder: Path) -> int | None:
    """How many frames the folder's job makes; None if it does not say.

    Raises:
        UserError: if the file says something else.
    """
    path = folder / ASKED
    try:
        data = storage.read_bytes(path)
    except FileNotFoundError:
        return None
    try:
        return int(json.loads(data)["frames"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{storage.show(path)} does not say how many frames are made ({error!r}): run the render command again"
        ) from None
