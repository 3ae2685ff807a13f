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
from pathlib import Path
from typing import Any, Protocol

from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..datasets.progress import Progress
from . import checkpoints
from .context import Context, random_state, set_random_state, undisturbed_random
from .failures import FAILED, OutOfMemory, is_out_of_memory, memory_sentence
from .meter import Meter
from .tracking import EventLog
from .updates import Guard, NonFiniteLoss, Update, Updater, load_optimiser, whole_weights

log = logging.getLogger(__name__)

Batch = dict[str, Any]


class Task(Protocol):
    """What the loop asks of a task.

    Attributes:
        total_steps: steps of the run, a pre-phase included.
        modules: networks by name, unwrapped; they make up a checkpoint.
        parallel: their DDP wrappers, where there are several ranks.
        optimisers, schedulers: by the same names.
        score: name of the validation metric by which the best checkpoint is chosen; higher is better.
    """

    total_steps: int
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


@dataclass
class LoopState:
    """What the loop itself carries from step to step, and through checkpoints."""

    step: int = 0
    images: int = 0
    seconds: float = 0.0  # of training, without validation and saving
    best_score: float | None = None
    best_step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)  # of the last validation
    best_metrics: dict[str, float] = field(default_factory=dict)
    stopped: str | None = None


def run(task: Task, settings: LoopSettings, context: Context) -> LoopState:
    """Train from the newest checkpoint of the run folder, or from step 0, to the end.

    Raises:
        NonFiniteLoss: on every rank, before any update, if a loss or gradient is not finite on one; the state that
            met it is saved in ``failed/``.
        OutOfMemory: if a step does not fit, with what to change.
    """
    state = restore(task, settings, context)
    guard = Guard(context)
    updaters = make_updaters(task, guard, settings, context)
    try:
        return train(task, state, settings, context, guard, updaters)
    except NonFiniteLoss as error:
        where = save_failed(task, state, settings, context, updaters, error)
        raise NonFiniteLoss(f"{error}. The state that met it is in {where}", error.step, error.frames) from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(memory_sentence(state.step, len(guard.frames), settings, context)) from error


def train(
    task: Task,
    state: LoopState,
    settings: LoopSettings,
    context: Context,
    guard: Guard,
    updaters: dict[str, Updater],
) -> LoopState:
    """The steps from ``state`` to the end."""
    events = EventLog(settings.run_dir, state.step, task.total_steps, enabled=context.first)
    meter = Meter(context, state)
    progress = Progress(settings.name, task.total_steps, state.step, "step", show=context.first and context.shows)
    batches = task.batches(state.step)
    clock = time.perf_counter()
    while state.step < task.total_steps and state.stopped is None:
        batch = next(batches)
        measure = (state.step + 1) % settings.log_every == 0
        guard.begin(state.step, batch["frame_id"])
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
            better = validate and validation(task, state, context, events, updaters)
            if done or better or state.step % settings.save_every == 0 or state.stopped:
                save(task, state, settings, context, updaters)
            clock = time.perf_counter()
    progress.close()
    return state


def make_updaters(task: Task, guard: Guard, settings: LoopSettings, context: Context) -> dict[str, Updater]:
    """What applies the updates of each network: its optimiser, or its DeepSpeed engine."""
    made: dict[str, Updater] = {}
    for name, optimiser in task.optimisers.items():
        given = name, optimiser, task.schedulers[name], guard, settings.clip
        if context.deepspeed.enabled:
            from .deepspeed_engine import EngineUpdater

            made[name] = EngineUpdater(*given, module=task.modules[name])
        else:
            made[name] = Updater(*given)
    return made


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


def validation(task: Task, state: LoopState, context: Context, events: EventLog, updaters: dict[str, Updater]) -> bool:
    """Evaluate on rank 0, tell everyone, and say whether this is the best state so far."""
    metrics: dict[str, float] = {}
    with whole_weights(updaters.values()):
        if context.first:
            with undisturbed_random():
                metrics = task.evaluate(state.step)
            events.write(state.step, metrics)
    state.metrics = context.broadcast(metrics)
    state.stopped = task.verdict(state.step, state.metrics)
    if state.stopped:
        log.error("stopping at step %d: %s", state.step, state.stopped)
    if context.report is not None:
        context.report({**state.metrics, "step": state.step})
    score = state.metrics.get(task.score)
    if score is None or (state.best_score is not None and score <= state.best_score):
        return False
    state.best_score, state.best_step, state.best_metrics = score, state.step, state.metrics
    return True


def save(task: Task, state: LoopState, settings: LoopSettings, context: Context, updaters: dict[str, Updater]) -> None:
    """Write a checkpoint (rank 0), point ``best.json`` at the best one and delete old ones."""
    root = settings.run_dir / "checkpoints"
    path = write(root, task, state, settings, context, updaters, {"metrics": state.metrics})
    if path is None:
        return
    if state.best_step == state.step:
        pointer = {"checkpoint": path.name, "step": state.step, "metric": task.score, "score": state.best_score}
        checkpoints.write_json(settings.run_dir / "best.json", pointer)
    checkpoints.prune(root, settings.keep, state.best_step)


def save_failed(
    task: Task,
    state: LoopState,
    settings: LoopSettings,
    context: Context,
    updaters: dict[str, Updater],
    error: NonFiniteLoss,
) -> Path:
    """Write the state that met a non-finite loss to ``failed/``, a checkpoint whose meta holds the batch's frame ids."""
    root = settings.run_dir / FAILED
    about = {"error": str(error), "failed_step": error.step, "frames": error.frames}
    write(root, task, state, settings, context, updaters, about)
    return root


def write(
    root: Path,
    task: Task,
    state: LoopState,
    settings: LoopSettings,
    context: Context,
    updaters: dict[str, Updater],
    about: dict[str, Any],
) -> Path | None:
    """Write everything as a checkpoint under ``root``; every rank calls it. Returns its path on rank 0, else None.

    Weights and optimiser states are whole, so a run may go on with another number of ranks and in another runtime.
    """
    random_states = context.gather(random_state())
    optimisers = {name: updater.optimiser_state() for name, updater in updaters.items()}
    with whole_weights(updaters.values()):
        if not context.first:
            return None
        modules = {name: module.state_dict() for name, module in task.modules.items()}
        everything = _everything(task, state, random_states, optimisers)
        return checkpoints.save(root, state.step, modules, everything, settings.config, about)


def _everything(
    task: Task, state: LoopState, random_states: list[dict[str, Any]], optimisers: dict[str, Any]
) -> dict[str, Any]:
    return {
        "step": state.step,
        "images": state.images,
        "seconds": state.seconds,
        "best_score": state.best_score,
        "best_step": state.best_step,
        "metrics": state.metrics,
        "best_metrics": state.best_metrics,
        "random": random_states,
        "optimisers": optimisers,
        "schedulers": {name: scheduler.state_dict() for name, scheduler in task.schedulers.items()},
        "task": task.state_dict(),
    }


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
        load_optimiser(optimiser, state["optimisers"][name])
    for name, scheduler in task.schedulers.items():
        scheduler.load_state_dict(state["schedulers"][name])
    task.load_state_dict(state["task"])
    if context.rank < len(state["random"]):  # with more ranks than before, the new ones keep their fresh seeds
        set_random_state(state["random"][context.rank])
    if context.first:
        log.info("resumed from %s", path)
    kept = ("step", "images", "seconds", "best_score", "best_step", "metrics", "best_metrics")
    return LoopState(**{key: state[key] for key in kept})
