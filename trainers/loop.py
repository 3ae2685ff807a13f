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

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..datasets.progress import Progress
from .context import Context, undisturbed_random
from .events import EventLog, read_events
from .failures import OutOfMemory, is_out_of_memory, memory_sentence
from .meter import Meter
from .saving import restore, save, save_failed
from .task import Batch, LoopSettings, LoopState, Task
from .updates import Guard, NonFiniteLoss, Updater, whole_weights

log = logging.getLogger(__name__)


def run(task: Task, settings: LoopSettings, context: Context) -> LoopState:
    """Train from the newest checkpoint of the run folder, or from step 0, to the end.

    Raises:
        NonFiniteLoss: on every rank, before any update, if a loss or gradient is not finite on one; the state that
            met it is saved in ``failed/``.
        OutOfMemory: if a step does not fit, with what to change.
    """
    state = restore(task, settings, context)
    state.stopped = state.scores.verdict(settings.patience, settings.min_delta, task.score)
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
    if settings.validate_first and state.step == 0:
        look_first(task, settings, context, events, updaters)
    meter = Meter(context, state, settings.name)
    progress = Progress(settings.name, task.total_steps, state.step, "step", show=context.first and context.shows)
    batches = task.batches(state.step)
    clock = time.perf_counter()
    pause = settings.pause_step(task.total_steps)
    while state.step < min(pause, task.total_steps) and state.stopped is None:
        batch = meter.next(batches)
        measure = (state.step + 1) % settings.log_every == 0
        guard.begin(state.step, batch["frame_id"])
        for micro, last in micro_batches(batch, settings.accumulate, task.parallel):
            for update in task.train_step(micro, state.step, measure):  # forward and losses are in the task
                norm = updaters[update.optimiser].apply(update.loss, settings.accumulate, last)
                meter.add(update, norm)
        task.finish_step(state.step)
        state.step += 1
        state.samples += context.world * len(batch["frame_id"])
        progress.advance()

        done, pausing = state.step == task.total_steps, state.step == pause
        if measure or done or pausing:
            guard.settle()
            state.seconds, clock = state.seconds + time.perf_counter() - clock, time.perf_counter()
            events.write(state.step, meter.flush(state, updaters))
            progress.note(meter.summary)
        validate = done or pausing or state.step % settings.validate_every == 0
        if validate or state.step % settings.save_every == 0:
            guard.settle()
            state.seconds += time.perf_counter() - clock
            better = validate and validation(task, state, settings, context, events, updaters)
            if done or pausing or better or state.step % settings.save_every == 0 or state.stopped:
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


def validation(
    task: Task,
    state: LoopState,
    settings: LoopSettings,
    context: Context,
    events: EventLog,
    updaters: dict[str, Updater],
) -> bool:
    """Evaluate on rank 0, tell everyone, decide whether to go on; whether this is among the best states so far."""
    evaluate(task, state, context, events, updaters)
    state.stopped = task.verdict(state.step, state.metrics)
    score, counts = state.metrics.get(task.score), state.step > task.pre_steps
    better = score is not None and state.scores.enter(score, state.step, settings.best, settings.min_delta, counts)
    if state.stopped is None and state.step < task.total_steps:
        state.stopped = state.scores.verdict(settings.patience, settings.min_delta, task.score)
        if state.stopped:
            task.total_steps = state.step
            evaluate(task, state, context, events, updaters)  # again, as the last validation of a run does more
    if state.stopped:
        log.warning("stopping at step %d: %s", state.step, state.stopped)
    if better and state.best_step == state.step:
        state.best_metrics = state.metrics
    if context.report is not None:
        context.report({**state.metrics, "step": state.step})
    return better


def evaluate(task: Task, state: LoopState, context: Context, events: EventLog, updaters: dict[str, Updater]) -> None:
    """Validation metrics into ``state``, on every rank."""
    metrics: dict[str, float] = {}
    with whole_weights(updaters.values()):
        if context.first:
            with undisturbed_random():
                metrics = task.evaluate(state.step)
            events.write(state.step, metrics)
    state.metrics = context.broadcast(metrics)


def look_first(
    task: Task, settings: LoopSettings, context: Context, events: EventLog, updaters: dict[str, Updater]
) -> None:
    """Validate what the run starts from, once: what adaptation gains and costs is told from it, nothing is chosen."""
    with whole_weights(updaters.values()):
        if context.first and not read_events(settings.run_dir):
            with undisturbed_random():
                events.write(0, task.evaluate(0))
