"""``sim2pose bench render``: labelled frames to Parquet on one core, beside naive pyrender in the same run.

The baseline draws the same bodies with the same cameras, and nothing else: a new pyrender renderer and scene for every frame,
as FiDIP's generator does; no labels, no clothes, no shadows, no files. Rates come twice: by the clock, and by the core's own
time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from ..config import Config, UserError
from ..render_farm.config import BLOCK, RenderConfig
from ..render_farm.farm.job import render_shard
from ..render_farm.farm.run import FarmOptions, run_farm
from ..render_farm.kinds.frames import render_job
from ..render_farm.kinds.registry import KINDS, load_render_config
from ..render_farm.renderers import available_renderers
from . import realism
from .naive_pyrender import NaivePyrender
from .rows import Row, compare, one_core
from .stages import profile

BACKENDS: dict[str, dict[str, Any]] = {
    "opengl": {"renderer": "opengl"},
    "raycast": {"renderer": "raycast"},
    "raycast, hard shadow": {"renderer": "raycast", "shadow": "hard"},
    "pyrender": {"renderer": "pyrender"},
}
"""What is measured, by name: overrides of the job."""

Overrides = Mapping[str, Any]


class BenchConfig(Config):
    """How much to measure."""

    kind: str = Field("infant", description="preset of the job that is measured")
    sizes: tuple[tuple[int, int], ...] = Field(((256, 256), (640, 480)), description="width and height")
    backends: tuple[str, ...] = Field(
        tuple(BACKENDS), description="which of opengl, raycast, ...; those that work here"
    )
    frames: int = Field(256, ge=BLOCK, description="frames a round")
    realism_frames: int = Field(64, ge=BLOCK, description="frames a round of each item of realism")
    naive_frames: int = Field(24, ge=1, description="frames a round of the baseline")
    rounds: int = Field(3, ge=1)
    naive: bool = Field(True, description="also measure naive pyrender")
    farm: bool = Field(True, description="also measure the Ray farm with one worker against this process")
    realism: bool = Field(
        True, description="also measure what each item of realism costs (infant frames of 256 pixels)"
    )


@dataclass(frozen=True)
class Rate:
    """Frames a second by the clock and by the core's own time."""

    clock: float
    core: float


Work = Callable[[], tuple[int, float]]
"""Does its piece once; returns how many frames that was, and the seconds of the core's time it took."""


def run(config: BenchConfig) -> list[Row]:
    """Frames a second of each working backend and size, everything included, on one core."""
    one_core()
    backends = _working(config)
    rows: list[Row] = []
    for width, height in config.sizes:
        rows += _against_naive(config, backends, width, height)
    if config.realism:
        rows += _realism(config)
    if config.farm:
        rows.append(_farm(config, BACKENDS[backends[0]]))
    return rows


def run_profile(config: BenchConfig) -> list[tuple[str, str, float, float]]:
    """Where the time goes: rows of job, stage, milliseconds a frame of the core's time, per cent."""
    one_core()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for width, height in config.sizes:
            for name in _working(config):
                job = _job(config, BACKENDS[name], width, height)
                pipeline = Pipeline(job, Path(scratch) / f"{name} {width}")
                pipeline()
                label = f"{name} {width}×{height}"
                rows += [(label, *row) for row in profile(pipeline).table(job.frames)]
    return rows


def _working(config: BenchConfig) -> list[str]:
    """Names of the backends asked for that work here.

    Raises:
        UserError: for unknown names, or if none works.
    """
    unknown = set(config.backends) - set(BACKENDS)
    if unknown:
        raise UserError(f"unknown backends {sorted(unknown)}; known: {', '.join(BACKENDS)}")
    trouble = available_renderers()
    names = [name for name in config.backends if trouble[BACKENDS[name]["renderer"]] is None]
    if not names:
        raise UserError("none of the backends asked for works here; see sim2pose doctor")
    return names


def _job(config: BenchConfig, overrides: Overrides, width: int = 256, height: int = 256) -> RenderConfig:
    return load_render_config(config.kind, {"width": width, "height": height, "frames": config.frames, **overrides})


def _against_naive(config: BenchConfig, backends: list[str], width: int, height: int) -> list[Row]:
    plain = _job(config, {}, width, height)
    scenes = KINDS[plain.kind].sampler(plain).scenes(0)[:8]
    with tempfile.TemporaryDirectory() as scratch, NaivePyrender(scenes) as naive:
        work: dict[str, Work] = {
            f"{name} {width}×{height}, labelled, to Parquet": Pipeline(
                _job(config, BACKENDS[name], width, height), Path(scratch) / name
            )
            for name in backends
        }
        names, baseline = list(work), "naive pyrender"
        if config.naive:
            work[baseline] = lambda: naive.draw_timed(config.naive_frames)
        found = measure(work, config.rounds)
    return [row for name in names for row in _rows(name, found, baseline)]


def _realism(config: BenchConfig) -> list[Row]:
    """Milliseconds of the core's time that a frame takes with each item, beside those without it."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        panoramas = Path(scratch) / "panoramas"
        realism.draw_panorama(panoramas)
        for number, item in enumerate(realism.ITEMS):
            work = {
                state: Pipeline(
                    load_render_config("infant", [f"frames={config.realism_frames}", *words]),
                    Path(scratch) / f"{number} {state}",
                )
                for state, words in zip(("without", "with it"), realism.overrides(item, panoramas), strict=True)
            }
            took = {state: 1e3 / rate.core for state, rate in measure(dict(work), config.rounds).items()}
            for pipeline in work.values():
                pipeline.maker.close()
            rows.append(compare(item, "ms a frame", {item: took["with it"], "without": took["without"]}, "without"))
    return rows


def _rows(name: str, found: Mapping[str, Rate], baseline: str) -> list[Row]:
    rows = []
    for unit in ("clock", "core"):
        values = {key: float(getattr(rate, unit)) for key, rate in found.items()}
        label = "frames/s" if unit == "clock" else "frames/s of core time"
        if baseline in values:
            rows.append(compare(name, label, values, baseline))
        else:
            rows.append(Row(name, values[name], label, "–", None))
    return rows


def measure(work: Mapping[str, Work], rounds: int) -> dict[str, Rate]:
    """The best rates of each piece of work over ``rounds`` turns, taken in turns; a first one warms up and is not timed."""
    for call in work.values():
        call()
    best = dict.fromkeys(work, Rate(0.0, 0.0))
    for _ in range(rounds):
        for name, call in work.items():
            begin = time.perf_counter()
            frames, core = call()
            clock = time.perf_counter() - begin
            best[name] = Rate(max(best[name].clock, frames / clock), max(best[name].core, frames / core))
    return best


class Pipeline:
    """One job in this process: each call renders, labels and publishes a fresh set of shards."""

    def __init__(self, config: RenderConfig, folder: Path) -> None:
        self.job = render_job(config.model_copy(update={"out": folder}))
        self.job.folder.mkdir(parents=True)
        self.maker = self.job.make()

    def __call__(self) -> tuple[int, float]:
        """Render all shards once: frames, and seconds of the core's time."""
        for file in self.job.folder.glob("*.parquet"):
            file.unlink()
        begin = time.process_time()
        frames = sum(render_shard(self.job, self.maker, shard).rows for shard in range(self.job.shards))
        return frames, time.process_time() - begin


def _farm(config: BenchConfig, overrides: Overrides) -> Row:
    """The Ray farm with one worker against the same work in this process, shards of the default size, from first to last."""
    from ..render_farm.farm.ray_session import ray_session

    job = _job(config, {**overrides, "frames": 8 * config.frames})
    with tempfile.TemporaryDirectory() as scratch:
        here, there = Path(scratch) / "here", Path(scratch) / "farm"
        Pipeline(job, here)()
        with ray_session(num_cpus=1):
            run_farm(render_job(job.model_copy(update={"out": there})), FarmOptions(workers=1, progress=False))
        found = {"Ray farm, one worker": _steady(there, job), "in this process": _steady(here, job)}
    return compare("Ray farm, one worker", "frames/s", found, "in this process")


def _steady(folder: Path, job: RenderConfig) -> float:
    """Frames a second between the first and the last shard's publication."""
    times = sorted(file.stat().st_mtime for file in folder.glob("*.parquet"))
    return (len(times) - 1) * job.shard_frames / (times[-1] - times[0])
