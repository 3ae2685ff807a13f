"""A task small enough to train in milliseconds, with two optimisers that alternate as in adversarial training."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from sim2pose.config import merge, validate
from sim2pose.datasets.frames import Frame, Person, dataset_info
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.trainers.context import Context, seed_everything
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.keypoints import KeypointTask
from sim2pose.trainers.task import LoopSettings
from sim2pose.trainers.updates import Schedule, Update, make_optimiser


class TinyTask:
    """Regresses y = 2x with dropout (the random state matters) beside a second network that learns from its output."""

    score = "val/score"
    pre_steps = 0

    def __init__(
        self, context: Context, steps: int = 12, batch: int = 8, dropout: float = 0.2, poison: int = -1
    ) -> None:
        self.context, self.total_steps, self.batch, self.poison = context, steps, batch, poison
        first = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.Dropout(dropout), torch.nn.Tanh(), torch.nn.Linear(8, 4)
        )
        self.modules: dict[str, torch.nn.Module] = {"pose": first, "domain": torch.nn.Linear(4, 1)}
        self.wrapped = {name: context.wrap(module) for name, module in self.modules.items()}
        self.parallel = list(self.wrapped.values())
        self.optimisers = {name: make_optimiser(m.parameters(), 1e-2, 1e-2) for name, m in self.modules.items()}
        self.schedulers = {
            name: LambdaLR(optimiser, Schedule("multistep", steps, (0.5,)))
            for name, optimiser in self.optimisers.items()
        }
        self.evaluations: list[int] = []
        self.scores: dict[int, float] = {}
        self.reason: str | None = None
        self.seen: list[list[int]] = []

    def batches(self, start: int) -> Iterator[dict[str, Any]]:
        for step in range(start, self.total_steps):
            whole = torch.randn(self.batch, 4, generator=torch.Generator().manual_seed(step))
            if step == self.poison:
                whole[1, 0] = float("nan")  # slot 1: rank 1's, where there are two
            ids = torch.arange(step * self.batch, (step + 1) * self.batch)
            part = slice(self.context.rank, None, self.context.world)
            yield {"x": whole[part], "frame_id": ids[part]}

    def train_step(self, batch: dict[str, Any], step: int, measure: bool) -> Iterator[Update]:
        self.seen.append(batch["frame_id"].tolist())
        x = batch["x"]
        out = self.wrapped["pose"](x)
        logits = self.wrapped["domain"](out.detach())
        yield Update(
            "domain", torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], (x[:, 0] > 0).float())
        )
        yield Update("pose", (out - 2 * x).square().mean(), {"spread": out.detach().std()})

    def finish_step(self, step: int) -> None: ...

    def evaluate(self, step: int) -> dict[str, float]:
        self.evaluations.append(step)
        torch.rand(7)  # an evaluation that draws random numbers must not change the training
        return {"val/score": self.scores.get(step, float(step))}

    def verdict(self, step: int, metrics: dict[str, float]) -> str | None:
        return self.reason

    def state_dict(self) -> dict[str, Any]:
        return {"seen": len(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.restored = state


@pytest.fixture
def tiny() -> Callable[..., TinyTask]:
    """Makes seeded tiny tasks."""

    def make(context: Context | None = None, **kwargs: Any) -> TinyTask:
        seed_everything(3, 0)
        return TinyTask(context or Context(), **kwargs)

    return make


@pytest.fixture(scope="session")
def two_tiny_ranks(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict[str, Any]]]:
    """Runs variants of the tiny task (see ``tiny_rank.py``) in two processes; what each rank saved, by variant."""

    def run(*variants: str) -> list[dict[str, Any]]:
        folder = tmp_path_factory.mktemp("ranks")
        script = Path(__file__).with_name("tiny_rank.py")
        command = [sys.executable, "-W", "ignore", str(script)]
        ranks = [subprocess.Popen([*command, str(r), "2", str(folder), *variants]) for r in range(2)]
        try:
            assert [process.wait(timeout=240) for process in ranks] == [0, 0]
        finally:
            for process in ranks:
                process.kill()  # where the other one failed, this one waits for it
        return [torch.load(folder / f"rank{r}.pt") for r in range(2)]

    return run


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., LoopSettings]:
    """Makes loop settings for a run folder under ``tmp_path``."""

    def make(run: str = "run", **kwargs: Any) -> LoopSettings:
        folder = tmp_path / run
        folder.mkdir(exist_ok=True)
        values: dict[str, Any] = {"validate_every": 4, "log_every": 2, "save_every": 3, "keep": 2, **kwargs}
        return LoopSettings(name=run, run_dir=folder, config={"seed": 3}, **values)

    return make


def write_frames(folder: Path, count: int, domain: str, seed: int, people: str = "labelled") -> Path:
    """A frames folder of 64×64 pictures: a coloured dot at each keypoint, darker in the domain "real".

    People are "labelled", have a box only ("boxes"), or are not annotated at all ("none").
    """
    rng = np.random.default_rng(seed)
    info = dataset_info("coco17", {"seed": seed})
    colours = np.random.default_rng(0).integers(80, 256, (17, 3))
    frames = []
    for i in range(count):
        picture = rng.integers(0, 40, (64, 64, 3)).astype(np.uint8)
        points = rng.uniform(10, 54, (17, 2))
        for (x, y), colour in zip(points, colours, strict=True):
            cv2.circle(picture, (round(x), round(y)), 3, colour.tolist(), -1)
        if domain == "real":
            picture = picture // 2
        keypoints = np.concatenate([points, np.full((17, 1), 2.0)], axis=1).astype(np.float32)
        keypoints[:, 2] *= people == "labelled"
        person = Person(np.array([6, 6, 52, 52], np.float32), keypoints, area=52.0 * 52)
        data = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
        frames.append(
            Frame(1000 * seed + i, data, 64, 64, domain, persons=[person][: people != "none"], source=f"{domain} {i}")
        )
    folder.mkdir(parents=True)
    write_manifest(folder, [publish_shard(folder, 0, frames, info)], info)
    return folder


@pytest.fixture(scope="session")
def frame_writer() -> Callable[..., Path]:
    """:func:`write_frames`."""
    return write_frames


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Frame folders by name: 40 source, 24 target, and 12 of each to validate on."""
    root = tmp_path_factory.mktemp("frames")
    made = {
        "source": write_frames(root / "source", 40, "synthetic", 1),
        "target": write_frames(root / "target", 24, "real", 2),
        "source_val": write_frames(root / "source_val", 12, "synthetic", 3),
        "target_val": write_frames(root / "target_val", 12, "real", 4),
    }
    return {name: str(path) for name, path in made.items()}


@pytest.fixture
def values(frames: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """Config values of a small adversarial run: 6 steps after 2 of the classifier alone, batches of 8 at 64×64."""
    return {
        "name": "small",
        "out": str(tmp_path / "runs"),
        "steps": 6,
        "batch": 8,
        "device": "cpu",
        "validate_every": 100,
        "log_every": 2,
        "stop_on_collapse": False,  # a few steps teach nothing
        "seed": 5,
        "data": {
            "source": frames["source"],
            "target": frames["target"],
            "input": [64, 64],
            "sigma": 1.5,
        },
        "model": {"network": "hrnet_nano"},
        "optim": {"lr": 1e-3},
        "adversarial": {"method": "fidip", "pre_steps": 2},
        "checkpoint": {"every": 4, "keep": 2},
        "tracking": {"enabled": False},
    }


@pytest.fixture
def make_task(values: dict[str, Any]) -> Callable[..., KeypointTask]:
    """Builds the small keypoint task with some values changed, as ``runtimes.work`` does."""

    def build(**changes: Any) -> KeypointTask:
        cfg = validate(KeypointConfig, merge(values, changes))
        seed_everything(cfg.seed, 0)
        return KeypointTask(cfg, Context())

    return build
