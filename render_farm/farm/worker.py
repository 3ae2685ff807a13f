"""What runs in a farm's worker process: an actor that makes frames and publishes shards, all of it within the process.

Frames never travel: only a shard's manifest entry goes back to the driver.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ...config import UserError
from ...datasets import storage
from ...datasets.records import ShardEntry
from .job import FarmJob, FrameMaker, render_shard

EGL_DEVICE = "GLCONTEXT_DEVICE_INDEX"


class ShardWorker:
    """Renders shards of one job. Plain class; the driver wraps it as a Ray actor.

    The maker is built by the first ``prepare`` or ``render``, not by the constructor: Ray never restarts an actor whose
    constructor raised, and hides the cause.
    """

    def __init__(self, job: FarmJob) -> None:
        self._job = job
        self._maker: FrameMaker | None = None

    def prepare(self) -> int:
        """Build what rendering needs; returns the process id. The driver's ping."""
        self._get_maker()
        return os.getpid()

    def render(self, shard_id: int) -> ShardEntry:
        """Render and publish a shard, see :func:`render_farm.job.render_shard`."""
        return render_shard(self._job, self._get_maker(), shard_id)

    def _get_maker(self) -> FrameMaker:
        if self._maker is None:
            choose_egl_device()
            if storage.is_remote(self._job.folder):
                storage.sweep_uploads()
            self._maker = self._job.make()
        return self._maker


def choose_egl_device() -> None:
    """Draw on the GPU that Ray gave this actor: CUDA follows ``CUDA_VISIBLE_DEVICES``, EGL has to be told.

    NVIDIA's EGL lists its devices first, in PCI order, which is how Ray counts them.

    Raises:
        UserError: if the environment names another GPU than Ray did.
    """
    import ray

    gpus = [str(gpu) for gpu in ray.get_gpu_ids()] if ray.is_initialized() else []
    asked = os.environ.get(EGL_DEVICE)
    if asked is None:
        if gpus:
            os.environ[EGL_DEVICE] = gpus[0]
        return
    if asked not in gpus and (gpus or asked in _nvidia_gpus()) and ray.is_initialized():
        given = f"GPU {', '.join(gpus)}" if gpus else "no GPU (see --gpus-per-worker)"
        raise UserError(
            f"{EGL_DEVICE}={asked} names a GPU on {socket.gethostname()} that Ray did not assign: this worker was given "
            f"{given}; unset it, Ray's choice is used"
        )


def _nvidia_gpus() -> list[str]:
    """Indices of this machine's NVIDIA GPUs."""
    names = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return [name for name in names if name.isdigit()]
