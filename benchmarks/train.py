"""The training loop over the bare one: ``sim2pose bench train``.

Both train the same network on the same precomputed batches, in turn, in one process; the ratio is that of one run. The
loop's seconds are its own count, which leaves out validation and checkpoints (the bare loop has neither). Both run with
freed memory kept, as training has it: the ratio is of what the loop does, not of malloc's settings.
"""

from __future__ import annotations

import copy
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from ..config import Config, validate
from ..datasets.frames import Frame, Person, dataset_info
from ..datasets.publish import publish_shard, write_manifest
from ..models.keypoints.base import HeatmapNetwork
from ..models.memory import keep_freed_memory
from ..models.threads import torch_threads
from ..trainers import loop
from ..trainers.adaptation.domain import DOMAIN
from ..trainers.context import Context, seed_everything
from ..trainers.initial_weights import POSE
from ..trainers.keypoint_config import KeypointConfig
from ..trainers.keypoints import KeypointTask
from ..trainers.task import LoopSettings
from .bare_loop import Batch, bare_fidip_loop, bare_loop
from .rows import Row


class BenchConfig(Config):
    """Size of the measurement."""

    network: str = "hrnet_nano"
    input: tuple[int, int] = (96, 96)
    batch: int = Field(default=32, ge=2)
    steps: int = Field(default=50, ge=1, description="steps a turn")
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


def train_config(config: BenchConfig, out: Path, source: str, method: str) -> KeypointConfig:
    """A run of ``steps`` steps that neither validates nor tracks; the target domain is noise, made under ``out``."""
    target = out / "target"
    if not target.is_dir():
        noise_frames(target, 4 * config.batch, *config.input, "noise")
    values = {
        "name": method,
        "out": str(out),
        "steps": config.steps,
        "batch": config.batch,
        "device": "cpu",
        "stop_on_collapse": False,  # noise teaches nothing
        "data": {"source": source, "target": str(target), "input": config.input, "sigma": 1.5},
        "model": {"network": config.network},
        "optim": {"schedule": "constant"},
        "adversarial": {"method": method, "pre_steps": 0},
        "tracking": {"enabled": False},
    }
    return validate(KeypointConfig, values)


def run(config: BenchConfig) -> list[Row]:
    """Measure; rows: the loop over the bare loop, FiDIP's step over a bare one, and what FiDIP costs beyond joint training."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder, torch_threads(config.threads):
        out = Path(folder)
        source = config.data or str(noise_frames(out / "noise", 4 * config.batch, *config.input, "synthetic"))
        loops = {method: Loop(config, out, source, method) for method in ("none", "joint", "fidip")}
        turns = {
            "bare": loops["none"].bare,
            "none": loops["none"].turn,
            "bare fidip": loops["fidip"].bare,
            "fidip": loops["fidip"].turn,
            "joint": loops["joint"].turn,
        }
        speeds: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(config.rounds + 1):
            for name, turn in turns.items():
                speed = turn()
                if number:  # the first warms caches up
                    speeds[name].append(speed)
    what = f"{config.network} {config.input[0]}×{config.input[1]}, batch {config.batch}, {config.threads} thread"
    pairs = {
        f"training loop, {what}": ("none", "bare", "bare loop"),
        f"FiDIP step, {what}": ("fidip", "bare fidip", "bare FiDIP loop"),
        f"FiDIP step over joint, {what}": ("fidip", "joint", "joint training, no classifier"),
    }
    return [_row(title, speeds[ours], speeds[other], name) for title, (ours, other, name) in pairs.items()]


def _row(title: str, ours: Sequence[float], other: Sequence[float], name: str) -> Row:
    ratio = statistics.median(a / b for a, b in zip(ours, other, strict=True))
    return Row(title, max(ours), "images/s", f"{name}: {max(other):.1f}", ratio)


class Loop:
    """One kind of training, repeated: each turn starts afresh from the same weights and batches."""

    def __init__(self, config: BenchConfig, out: Path, source: str, method: str) -> None:
        self.config, self.out = config, out
        self.cfg = train_config(config, out, source, method)
        task = KeypointTask(self.cfg, Context())
        self.ready = list(islice(task.batches(0), 4))
        self.start = copy.deepcopy(task.modules)
        self.turns = 0

    def bare(self) -> float:
        """Images/s of the bare loop."""
        cfg, steps = self.cfg, self.config.steps
        modules = copy.deepcopy(self.start)
        network = modules[POSE]
        assert isinstance(network, HeatmapNetwork)
        size = (cfg.data.input, cfg.data.sigma)
        if DOMAIN in modules:
            rates = (cfg.optim.lr, cfg.adversarial.lr)
            weight = cfg.adversarial.weight
            seconds = bare_fidip_loop(network, modules[DOMAIN], self.ready, steps, *size, rates, weight)
        else:
            seconds = bare_loop(network, self.ready, steps, *size, cfg.optim.lr)
        return steps * self.config.batch / seconds

    def turn(self) -> float:
        """Images/s of the loop."""
        self.turns += 1
        run_dir = self.out / f"{self.cfg.name}_{self.turns}"
        run_dir.mkdir()
        seed_everything(0, 0)
        task = _Precomputed(self.cfg, Context())
        for name, module in task.modules.items():
            module.load_state_dict(self.start[name].state_dict())
        task.ready = self.ready
        settings = LoopSettings(self.cfg.name, run_dir, {}, 10**9, self.cfg.log_every, 10**9, 1)
        state = loop.run(task, settings, Context(shows=False))
        return state.samples / state.seconds
