"""The one training loop: next batch, forward, losses, backward, finite check, step, save, validate.

A task (see :class:`Task`) brings networks, optimisers and losses. It yields one :class:`Update` for each network that
learns in a step; the loop applies it before the task goes on. So FiDIP's order (classifier first, then the pose network
through the classifier just updated) is the order of two ``yield`` lines, and one counter counts the pair.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..config import UserError
from ..datasets.progress import Progress
from . import checkpoints
from .best import Scores
from .context import Context, random_state, set_random_state, undisturbed_random
from .tracking import EventLog, read_events
from .updates import Guard, Update, Updater, describe_batch

log = logging.getLogger(__name__)

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


@dataclass
class LoopState:
    """What the loop itself carries from step to step, and through checkpoints."""

    step: int = 0
    images: int = 0
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


def run(task: Task, settings: LoopSettings, context: Context) -> LoopState:
    """Train from the newest checkpoint of the run folder, or from step 0, to the end.

    Raises:
        NonFiniteLoss: on every rank, before any update, if a loss or gradient is not finite on one.
    """
    state = restore(task, settings, context)
    state.stopped = state.scores.verdict(settings.patience, settings.min_delta, task.score)
    guard = Guard(context)
    updaters = {
        name: Updater(name, optimiser, task.schedulers[name], guard, settings.clip)
        for name, optimiser in task.optimisers.items()
    }
    events = EventLog(settings.run_dir, state.step, task.total_steps, enabled=context.first)
    if settings.validate_first and state.step == 0 and context.first and not read_events(settings.run_dir):
        look_first(task, events)
    meter = Meter(context, state)
    progress = Progress(settings.name, task.total_steps, state.step, "step", show=context.first and context.shows)
    batches = task.batches(state.step)
    clock = time.perf_counter()
    while state.step < task.total_steps and state.stopped is None:
        batch = next(batches)
        measure = (state.step + 1) % settings.log_every == 0
        guard.begin(state.step, partial(describe_batch, batch))
        for micro, last in micro_batches(batch, settings.accumulate, task.parallel):
            for update in task.train_step(micro, state.step, measure):  # forward and losses are in the task
                norm = updaters[update.optimiser].apply(update.loss, settings.accumulate, last)
                meter.add(update, norm)
        task.finish_step(state.step)
        state.step += 1
        state.images += context.world * len(batch["frame_id"])
        progress.advance()

        done = state.step == task.total_steps
        if measure or done:
            guard.settle()
            state.seconds, clock = state.seconds + time.perf_counter() - clock, time.perf_counter()
            events.write(state.step, meter.flush(state, updaters))
            progress.note(meter.summary)
        validate = done or state.step % settings.validate_every == 0
        if validate or state.step % settings.save_every == 0:
            guard.settle()
            state.seconds += time.perf_counter() - clock
            better = validate and validation(task, state, settings, context, events)
            if done or better or state.step % settings.save_every == 0 or state.stopped:
                save(task, state, settings, context)
            clock = time.perf_counter()
    progress.close()
    return state


def micro_batches(batch: Batch, count: int, parallel: list[nn.Module]) -> Iterator[tuple[Batch, bool]]:
    """Split a batch into ``count`` parts by stride (each keeps the mixture); ranks exchange gradients in the last.

    Yields:
        (part of the batch, whether it is the last).
    """
    for i in range(count):
        last = i == count - 1
        with ExitStack() as stack:
            for module in parallel:
                if isinstance(module, DistributedDataParallel) and not last:
                    stack.enter_context(module.no_sync())
            yield batch if count == 1 else {key: value[i::count] for key, value in batch.items()}, last


def validation(task: Task, state: LoopState, settings: LoopSettings, context: Context, events: EventLog) -> bool:
    """Evaluate on rank 0, tell everyone, decide whether to go on; whether this is among the best states so far."""
    evaluate(task, state, context, events)
    state.stopped = task.verdict(state.step, state.metrics)
    score, counts = state.metrics.get(task.score), state.step > task.pre_steps
    better = score is not None and state.scores.enter(score, state.step, settings.best, settings.min_delta, counts)
    if state.stopped is None and state.step < task.total_steps:
        state.stopped = state.scores.verdict(settings.patience, settings.min_delta, task.score)
        if state.stopped:
            task.total_steps = state.step
            evaluate(task, state, context, events)  # again, as the last validation of a run does more
    if state.stopped:
        log.warning("stopping at step %d: %s", state.step, state.stopped)
    if better and state.best_step == state.step:
        state.best_metrics = state.metrics
    if context.report is not None:
        context.report({**state.metrics, "step": state.step})
    return better


def evaluate(task: Task, state: LoopState, context: Context, events: EventLog) -> None:
    """Validation metrics into ``state``, on every rank."""
    metrics: dict[str, float] = {}
    if context.first:
        with undisturbed_random():
            metrics = task.evaluate(state.step)
        events.write(state.step, metrics)
    state.metrics = context.broadcast(metrics)


def look_first(task: Task, events: EventLog) -> None:
    """Validate what the run starts from (rank 0): what adaptation gains and costs is told from it, nothing is chosen."""
    with undisturbed_random():
        events.write(0, task.evaluate(0))


def save(task: Task, state: LoopState, settings: LoopSettings, context: Context) -> None:
    """Write a checkpoint (rank 0), list the best ones in ``best.json`` and delete old ones."""
    random_states = context.gather(random_state())
    if not context.first:
        return
    root = settings.run_dir / "checkpoints"
    everything = {
        "step": state.step,
        "images": state.images,
        "seconds": state.seconds,
        "scores": state.scores.state_dict(),
        "metrics": state.metrics,
        "best_metrics": state.best_metrics,
        "random": random_states,
        "optimisers": {name: optimiser.state_dict() for name, optimiser in task.optimisers.items()},
        "schedulers": {name: scheduler.state_dict() for name, scheduler in task.schedulers.items()},
        "task": task.state_dict(),
    }
    modules = {name: module.state_dict() for name, module in task.modules.items()}
    checkpoints.save(root, state.step, modules, everything, settings.config, {"metrics": state.metrics})
    best = state.scores.best
    if any(step == state.step for _, step in best):
        listed = [{"checkpoint": checkpoints.folder_name(step), "step": step, "score": score} for score, step in best]
        checkpoints.write_json(settings.run_dir / "best.json", {**listed[0], "metric": task.score, "best": listed})
    checkpoints.prune(root, settings.keep, {step for _, step in best})


def restore(task: Task, settings: LoopSettings, context: Context) -> LoopState:
    """Load the newest whole checkpoint of the run folder into the task; a fresh state if there is none."""
    found = checkpoints.newest(settings.run_dir / "checkpoints") if context.first else None
    path = context.broadcast(found.path if found else None)
    if path is None:
        return LoopState()
    checkpoint = found or checkpoints.load(path)
    state = checkpoint.state
    for name, module in task.modules.items():
        module.load_state_dict(checkpoint.modules[name])
    for name, optimiser in task.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    for name, scheduler in task.schedulers.items():
        scheduler.load_state_dict(state["schedulers"][name])
    task.load_state_dict(state["task"])
    if context.rank < len(state["random"]):  # with more ranks than before, the new ones keep their fresh seeds
        set_random_state(state["random"][context.rank])
    if context.first:
        log.info("resumed from %s", path)
    if "scores" not in state:
        raise UserError(f"{path} was written by an earlier sim2pose, which kept no list of scores: start the run anew")
    kept = ("step", "images", "seconds", "metrics", "best_metrics")
    return LoopState(**{key: state[key] for key in kept}, scores=Scores.from_state(state["scores"]))


class Meter:
    """Sums metrics on the device; the host reads them once an interval."""

    def __init__(self, context: Context, state: LoopState) -> None:
        self.context = context
        self.summary = ""
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._images, self._seconds = state.images, state.seconds

    def add(self, update: Update, norm: Tensor | None) -> None:
        """Take the loss and metrics of one update; ``norm`` is its gradient norm if the optimiser stepped."""
        values = {f"loss_{update.optimiser}": update.loss.detach(), **update.metrics}
        if norm is not None:
            values[f"gradient_norm_{update.optimiser}"] = norm
        for name, value in values.items():
            total, count = self._sums.get(name, (torch.zeros((), device=value.device), 0))
            self._sums[name] = (total + value.float(), count + 1)

    def flush(self, state: LoopState, updaters: dict[str, Updater]) -> dict[str, float]:
        """Means since the last flush over steps and ranks, learning rates and images/s (all ranks together)."""
        names = sorted(self._sums)
        means = torch.stack([self._sums[n][0] / self._sums[n][1] for n in names])
        values = dict(zip(names, self.context.mean(means).tolist(), strict=True))
        self._sums = {}
        values["images_per_second"] = (state.images - self._images) / max(state.seconds - self._seconds, 1e-9)
        self._images, self._seconds = state.images, state.seconds
        values.update({f"lr_{name}": u.scheduler.get_last_lr()[0] for name, u in updaters.items()})
        self.summary = " ".join(f"{name} {values[name]:.4g}" for name in names if name.startswith("loss_"))
        self.summary += f" {values['images_per_second']:.0f} images/s"
        return {f"train/{name}": value for name, value in values.items()}
