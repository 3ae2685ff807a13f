"""What runs in a farm's worker process: an actor that makes frames and publishes shards, all of it within the process.

Frames never travel: only a shard's manifest entry goes back to the driver.
"""

from __future__ import annotations

import os

from ...datasets.manifest import ShardEntry
from .job import FarmJob, FrameMaker, render_shard


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
            _choose_egl_device()
            self._maker = self._job.make()
        return self._maker


def _choose_egl_device() -> None:
    """Draw on the GPU that Ray gave this actor: CUDA follows ``CUDA_VISIBLE_DEVICES``, EGL has to be told.

    NVIDIA's EGL lists its devices first, in PCI order, which is how Ray counts them.
    """
    import ray

    if ray.is_initialized() and (gpus := ray.get_gpu_ids()):
        os.environ.setdefault("GLCONTEXT_DEVICE_INDEX", str(gpus[0]))
