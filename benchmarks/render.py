"""``sim2pose bench render``: labelled frames to Parquet on one core, beside naive pyrender in the same run.

The baseline draws the same bodies with the same cameras, and nothing else: a new pyrender renderer and scene for every frame,
as FiDIP's generator does; no labels, no clothes, no shadows, no files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydantic import Field

from ..config import Config, load_config
from ..models.bodies import load_body
from ..render_farm.config import BLOCK
from ..render_farm.farm.job import render_shard
from ..render_farm.farm.run import FarmOptions, run_farm
from ..render_farm.kinds.frames import render_job
from ..render_farm.kinds.infant.config import InfantConfig
from ..render_farm.kinds.infant.sampler import InfantSampler
from ..render_farm.renderers import available_renderers
from .naive_pyrender import NaivePyrender
from .rows import Row, compare, one_core, rates


class BenchConfig(Config):
    """How much to measure."""

    sizes: tuple[tuple[int, int], ...] = Field(((256, 256), (640, 480)), description="width and height")
    frames: int = Field(256, ge=BLOCK, description="frames a round")
    naive_frames: int = Field(24, ge=1, description="frames a round of the baseline")
    rounds: int = Field(3, ge=1)
    farm: bool = Field(True, description="also measure the Ray farm with one worker against this process")


def run(config: BenchConfig) -> list[Row]:
    """Frames a second of each working renderer and size, everything included, on one core."""
    one_core()
    trouble = available_renderers()
    rows: list[Row] = []
    for width, height in config.sizes:
        job = load_config(InfantConfig, "infant", {"width": width, "height": height, "frames": config.frames})
        sampler = InfantSampler(job.scene, load_body(job.body), job.seed, width, height)
        names = [name for name in ("opengl", "raycast") if trouble[name] is None]
        with tempfile.TemporaryDirectory() as scratch, NaivePyrender(sampler.scenes(0)[:8]) as naive:
            work: dict[str, Callable[[], int]] = {
                _label(name, width, height): Pipeline(job, name, Path(scratch) / name) for name in names
            }
            baseline = "naive pyrender"
            found = rates({**work, baseline: partial(naive.draw, config.naive_frames)}, config.rounds)
            rows += [compare(_label(name, width, height), "frames/s", found, baseline) for name in names]
    if config.farm:
        rows.append(_farm(config, names[0]))
    return rows


def _label(renderer: str, width: int, height: int) -> str:
    return f"{renderer} {width}×{height}, labelled, to Parquet"


class Pipeline:
    """One job in this process: each call renders, labels and publishes a fresh set of shards; returns the frames."""

    def __init__(self, config: InfantConfig, renderer: str, folder: Path) -> None:
        self.job = render_job(config.model_copy(update={"renderer": renderer, "out": folder}))
        self.job.folder.mkdir(parents=True)
        self.maker = self.job.make()

    def __call__(self) -> int:
        """Render all shards once."""
        for file in self.job.folder.glob("*.parquet"):
            file.unlink()
        return sum(render_shard(self.job, self.maker, shard).rows for shard in range(self.job.shards))


def _farm(config: BenchConfig, renderer: str) -> Row:
    """The Ray farm with one worker against the same work in this process, both from their first shard to their last."""
    from ..render_farm.farm.ray_session import ray_session

    frames = 4 * config.frames
    job = load_config(InfantConfig, "infant", {"frames": frames, "shard_frames": BLOCK, "renderer": renderer})
    with tempfile.TemporaryDirectory() as scratch:
        here, there = Path(scratch) / "here", Path(scratch) / "farm"
        Pipeline(job, renderer, here)()
        with ray_session(num_cpus=1):
            run_farm(render_job(job.model_copy(update={"out": there})), FarmOptions(workers=1, progress=False))
        found = {"Ray farm, one worker": _steady(there), "in this process": _steady(here)}
    return compare("Ray farm, one worker", "frames/s", found, "in this process")


def _steady(folder: Path) -> float:
    """Frames a second between the first and the last shard's publication."""
    times = sorted(file.stat().st_mtime for file in folder.glob("*.parquet"))
    return (len(times) - 1) * BLOCK / (times[-1] - times[0])
