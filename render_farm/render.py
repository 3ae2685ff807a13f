"""Rendering a data set: ``render(config)`` is what ``sim2pose render`` calls."""

from __future__ import annotations

from ..datasets.manifest import Manifest
from ..datasets.publish import Hooks
from .config import RenderConfig
from .farm.estimate import Estimate, estimate
from .farm.run import FarmError, FarmOptions, Limits, run_farm
from .kinds.frames import render_job

__all__ = ["FarmError", "render", "render_cost"]


def render(
    config: RenderConfig,
    *,
    resume: bool = True,
    progress: bool = True,
    address: str | None = None,
    gpus_per_worker: float = 0.0,
    hooks: Hooks | None = None,
) -> Manifest:
    """Render ``config.frames`` labelled frames to ``config.out``.

    Frame i of a job depends on ``config.seed``, i and the look of the job (scene, size, body, renderer) alone: not on
    the number of workers, the order, the size of shards, or who was killed on the way.

    Args:
        config: the job.
        resume: continue a folder that the same job began; False refuses one that holds frames.
        progress: show a bar on a terminal, lines elsewhere.
        address: Ray cluster to use if ``config.workers`` > 0.
        gpus_per_worker: (share of) GPUs of each worker, for renderers that use one.
        hooks: fault injection.

    Raises:
        UserError: for a folder of another job (names the key) or in use, a renderer that does not work, a full disk.
        FarmError: if a shard failed ``config.max_attempts`` times.
    """
    options = FarmOptions(
        workers=config.workers,
        address=address,
        gpus_per_worker=gpus_per_worker,
        resume=resume,
        progress=progress,
        limits=Limits(deadline_s=config.deadline_s, max_attempts=config.max_attempts),
    )
    device = "cuda" if gpus_per_worker else "cpu"
    return run_farm(render_job(config, device, hooks), options)


def render_cost(config: RenderConfig, gpus_per_worker: float = 0.0) -> Estimate:
    """What the job will cost, measured on 20 frames that are thrown away; writes nothing.

    Raises:
        UserError: if the job could not run: a renderer that does not work, a file that is missing.
    """
    return estimate(render_job(config, "cuda" if gpus_per_worker else "cpu"), config.workers, config.deadline_s)
