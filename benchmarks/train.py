"""The training loop over the bare one: ``sim2pose bench train``.

Both train the same network on the same precomputed batches, in turn, in one process; the ratio is that of one run. The
loop's seconds are its own count, which leaves out validation and checkpoints (the bare loop has neither).
"""

from __future__ import annotations

import copy
import statistics
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from ..config import Config, validate
from ..datasets.frames import Frame, Person, dataset_info
from ..datasets.publish import publish_shard, write_manifest
from ..models.threads import torch_threads
from ..trainers import loop
from ..trainers.config import TrainConfig
from ..trainers.context import Context, seed_everything
from ..trainers.keypoints import KeypointTask
from .bare_loop import Batch, bare_loop
from .rows import Row


class BenchConfig(Config):
    """Size of the measurement."""

    network: str = "hrnet_nano"
    input: tuple[int, int] = (96, 96)
    batch: int = Field(default=32, ge=2)
    steps: int = Field(default=20, ge=1, description="steps a turn")
    rounds: int = Field(default=5, ge=1)
    threads: int = Field(default=1, ge=1)
    data: str | None = Field(default=None, description="frames folder to train on; noise pictures if null")


class _Precomputed(KeypointTask):
    """The keypoint task on batches that lie ready, so that the loop alone is measured."""

    ready: list[Batch]

    def batches(self, start: int) -> Iterator[Batch]:
        """The ready batches in turn."""
        for step in range(start, self.total_steps):
            yield self.ready[step % len(self.ready)]


def noise_frames(folder: Path, count: int, width: int, height: int, domain: str) -> Path:
    """A frames folder of noise pictures with random keypoints, one person each: work for a benchmark, not data."""
    rng = np.random.default_rng(0)
    info = dataset_info("coco17", {"noise": count})
    frames = []
    for i in range(count):
        picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        points = rng.uniform(0, (width, height), (17, 2))
        keypoints = np.concatenate([points, np.full((17, 1), 2)], axis=1).astype(np.float32)
        person = Person(np.array([0, 0, width, height], np.float32), keypoints, area=float(width * height))
        data = cv2.imencode(".jpg", picture)[1].tobytes()
        frames.append(Frame(i, data, height, width, domain, persons=[person]))
    folder.mkdir(parents=True)
    write_manifest(folder, [publish_shard(folder, 0, frames, info)], info)
    return folder


def train_config(config: BenchConfig, out: Path, source: str, method: str) -> TrainConfig:
    """A run of ``steps`` steps that neither validates nor tracks."""
    values = {
        "name": method,
        "out": str(out),
        "steps": config.steps,
        "batch": config.batch,
        "device": "cpu",
        "log_every": 10,
        "data": {"source": source, "target": source, "input": config.input, "sigma": 1.5},
        "model": {"network": config.network},
        "optim": {"schedule": "constant"},
        "adversarial": {"method": method, "pre_steps": 0},
        "tracking": {"enabled": False},
    }
    return validate(TrainConfig, values)


def run(config: BenchConfig) -> list[Row]:
    """Measure; rows: the loop over the bare loop, and FiDIP's two-network step over the loop's one-network step."""
    with tempfile.TemporaryDirectory() as folder, torch_threads(config.threads):
        out = Path(folder)
        source = config.data or str(noise_frames(out / "noise", 4 * config.batch, *config.input, "synthetic"))
        loops = {method: Loop(config, out, source, method) for method in ("none", "fidip")}
        speeds: dict[str, list[float]] = {"bare": [], "none": [], "fidip": []}
        for turn in range(config.rounds + 1):
            found = {"bare": loops["none"].bare(), **{name: one.turn() for name, one in loops.items()}}
            if turn:  # the first warms caches up
                for name, speed in found.items():
                    speeds[name].append(speed)
    ratios = {
        "loop": statistics.median(a / b for a, b in zip(speeds["none"], speeds["bare"], strict=True)),
        "fidip": statistics.median(a / b for a, b in zip(speeds["fidip"], speeds["none"], strict=True)),
    }
    best = {name: max(values) for name, values in speeds.items()}
    what = f"{config.network} {config.input[0]}×{config.input[1]}, batch {config.batch}, {config.threads} thread"
    return [
        Row(f"training loop, {what}", best["none"], "images/s", f"bare loop: {best['bare']:.1f}", ratios["loop"]),
        Row(f"FiDIP step, {what}", best["fidip"], "images/s", f"pose step: {best['none']:.1f}", ratios["fidip"]),
    ]


class Loop:
    """One kind of training, repeated: each turn starts afresh from the same weights and batches."""

    def __init__(self, config: BenchConfig, out: Path, source: str, method: str) -> None:
        self.config, self.out = config, out
        self.cfg = train_config(config, out, source, method)
        task = KeypointTask(self.cfg, Context())
        self.ready = list(islice(task.batches(0), 4))
        self.start = copy.deepcopy(task.network)
        self.turns = 0

    def bare(self) -> float:
        """Images/s of the bare loop."""
        data, size = self.cfg.data, self.config.steps * self.config.batch
        network = copy.deepcopy(self.start)
        return size / bare_loop(network, self.ready, self.config.steps, data.input, data.sigma, self.cfg.optim.lr)

    def turn(self) -> float:
        """Images/s of the loop."""
        self.turns += 1
        run_dir = self.out / f"{self.cfg.name}_{self.turns}"
        run_dir.mkdir()
        seed_everything(0, 0)
        task = _Precomputed(self.cfg, Context())
        task.network.load_state_dict(self.start.state_dict())
        task.ready = self.ready
        settings = loop.LoopSettings(self.cfg.name, run_dir, {}, 10**9, self.cfg.log_every, 10**9, 1)
        state = loop.run(task, settings, Context(shows=False))
        return state.images / state.seconds
