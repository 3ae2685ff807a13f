"""What the loop asks of a task, how often it does what, and what it carries from step to step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .best import Scores
from .updates import Update

Batch = dict[str, Any]


class Task(Protocol):
    """What the loop asks of a task.

    Attributes:
        total_steps: steps of the run, a pre-phase included; the loop lowers it where it stops early, so that the last
            validation knows that it is the last.
        pre_steps: steps of the pre-phase, in which no score can rise.
        modules: networks by name, unwrapped; they make up a checkpoint.
        parallel: their DDP wrappers, where there are several ranks.
        optimisers, schedulers: by the same names.
        score: name of the validation metric by which the best checkpoint is chosen; higher is better.
    """

    total_steps: int
    pre_steps: int
    modules: dict[str, nn.Module]
    parallel: list[nn.Module]
    optimisers: dict[str, Optimizer]
    schedulers: dict[str, LambdaLR]
    score: str

    def batches(self, start: int) -> Iterator[Batch]:
        """This rank's batches from step ``start`` on."""

    def train_step(self, batch: Batch, step: int, measure: bool) -> Iterator[Update]:
        """Losses of a step in the order of their updates; ``measure`` asks for costly metrics too."""

    def finish_step(self, step: int) -> None:
        """Called after all updates of a step."""

    def evaluate(self, step: int) -> dict[str, float]:
        """Validation metrics; called on rank 0."""

    def verdict(self, step: int, metrics: dict[str, float]) -> str | None:
        """Why the run should end here, or None; called on every rank after a validation."""

    def conclude(self, run_dir: Path) -> dict[str, float]:
        """What a run leaves beside its checkpoints when it has ended, and further metrics; called on rank 0."""

    def state_dict(self) -> dict[str, Any]:
        """State beyond modules, optimisers and schedulers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""


@dataclass(frozen=True)
class LoopSettings:
    """How often what happens; see ``TrainConfig``."""

    name: str
    run_dir: Path
    config: dict[str, Any]
    validate_every: int
    log_every: int
    save_every: int
    keep: int
    accumulate: int = 1
    clip: float | None = None
    best: int = 1
    patience: int | None = None
    min_delta: float = 0.0
    validate_first: bool = False
    until: float | None = None  # share of the run at which it pauses

    def pause_step(self, total: int) -> int:
        """The step at which the run pauses, or its end."""
        return total if self.until is None else min(max(round(self.until * total), 1), total)


@dataclass
class LoopState:
    """What the loop itself carries from step to step, and through checkpoints."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0  # of training, without validation and saving
    scores: Scores = field(default_factory=Scores)
    metrics: dict[str, float] = field(default_factory=dict)  # of the last validation
    best_metrics: dict[str, float] = field(default_factory=dict)
    stopped: str | None = None

    @property
    def best_score(self) -> float | None:
        """The best score so far."""
        return self.scores.best[0][0] if self.scores.best else None

    @property
    def best_step(self) -> int | None:
        """Its step."""
        return self.scores.best[0][1] if self.scores.best else None
