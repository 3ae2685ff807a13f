"""``sim2pose bench sweep``: N trials on K slots by ``sim2pose tune``, against the same trials in K warm processes."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from ..config import Config
from ..trainers.config import TrainConfig
from ..tune.config import SweepConfig, load_sweep, make_trials
from ..tune.sweep import run_sweep
from .rows import Row
from .train import noise_frames

WANTED = 1.15


class BenchConfig(Config):
    """How much to measure."""

    settings: int = Field(2, ge=1, description="values of λ")
    seeds: int = Field(3, ge=1, description="of each; settings × seeds trials")
    slots: int = Field(2, ge=1, description="trials at a time")
    steps: int = Field(700, ge=1, description="of a trial: a minute or more on one core")


def run(config: BenchConfig) -> list[Row]:
    """Wall time of the sweep, from before Ray starts to its ranking, over that of warm processes that only train."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        noise_frames(folder / "frames", 128, 96, 96, "synthetic")
        noise_frames(folder / "target", 128, 96, 96, "real")
        alone = _back_to_back(_trials(folder, "alone", config), config.slots)
        swept = _sweep(folder, "swept", config)
        began = time.perf_counter()
        result = run_sweep(swept, say=lambda line: None)
        took = time.perf_counter() - began
        if result.failed:
            raise RuntimeError(f"a trial failed: {result.failed[0].note}")
    trials = config.settings * config.seeds
    title = (
        f"{trials} trials of {alone * config.slots / trials:.0f} s on {config.slots} slots (wanted: ratio ≤ {WANTED})"
    )
    return [Row(title, took, "s", f"in warm processes: {alone:.1f}", took / alone)]


def _sweep(folder: Path, name: str, config: BenchConfig) -> SweepConfig:
    preset: dict[str, Any] = {
        "steps": config.steps,
        "batch": 32,
        "device": "cpu",
        "validate_every": config.steps,
        "analysis": {"every": None},
        "stop_on_collapse": False,
        "tracking": {"enabled": False},
        "model": {"network": "hrnet_nano"},
        "data": {
            "source": [str(folder / "frames")],
            "target": [str(folder / "target")],
            "val": {"target": str(folder / "target")},
            "input": [96, 96],
        },
        "adversarial": {"method": "fidip"},
    }
    (folder / "preset.yaml").write_text(yaml.safe_dump(preset), encoding="utf-8")
    asked = {
        "train": str(folder / "preset.yaml"),
        "out": str(folder / name),
        "space": {"adversarial.weight": [1e-5 * (i + 1) for i in range(config.settings)]},
        "seeds": list(range(config.seeds)),
        "concurrent": config.slots,
        "register_as": None,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(asked), encoding="utf-8")
    return load_sweep(str(path))


def _trials(folder: Path, name: str, config: BenchConfig) -> list[TrainConfig]:
    return [trial.config for trial in make_trials(_sweep(folder, name, config))]


def _back_to_back(trials: Sequence[TrainConfig], slots: int) -> float:
    """Seconds until ``slots`` processes, everything imported and warm, have trained all trials, each taking the next."""
    spawned = multiprocessing.get_context("spawn")
    tasks, answers = spawned.Queue(), spawned.Queue()
    workers = [spawned.Process(target=_work, args=(tasks, answers), daemon=True) for _ in range(slots)]
    for worker in workers:
        worker.start()
    for number in range(slots):
        values = trials[0].model_dump(mode="json") | {"name": f"warm{number}", "steps": 2, "validate_every": 2}
        tasks.put(values)
    for _ in range(slots):
        answers.get()
    began = time.perf_counter()
    for trial in trials:
        tasks.put(trial.model_dump(mode="json"))
    for _ in trials:
        answers.get()
    took = time.perf_counter() - began
    for _ in workers:
        tasks.put(None)
    for worker in workers:
        worker.join()
    return took


def _work(tasks: Any, answers: Any) -> None:
    from ..trainers.recipes import validate_run
    from ..trainers.runtimes import train

    while (values := tasks.get()) is not None:
        train(validate_run(values))
        answers.put(values["name"])
