"""A run's state to and from its checkpoints: whole, so that another runtime or number of ranks can go on with it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..config import UserError
from . import checkpoints
from .best import Scores
from .context import Context, random_state, set_random_state
from .failures import FAILED
from .task import LoopSettings, LoopState, Task
from .updates import NonFiniteLoss, Updater, load_optimiser, load_schedule, whole_weights

log = logging.getLogger(__name__)


def save(task: Task, state: LoopState, settings: LoopSettings, context: Context, updaters: dict[str, Updater]) -> None:
    """Write a checkpoint (rank 0), list the best ones in ``best.json`` and delete old ones."""
    root = settings.run_dir / "checkpoints"
    path = write(root, task, state, settings, context, updaters, {"metrics": state.metrics})
    if path is None:
        return
    best = state.scores.best
    if any(step == state.step for _, step in best):
        listed = [{"checkpoint": checkpoints.folder_name(step), "step": step, "score": score} for score, step in best]
        checkpoints.write_json(settings.run_dir / "best.json", {**listed[0], "metric": task.score, "best": listed})
    checkpoints.prune(root, settings.keep, {step for _, step in best})


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
        "samples": state.samples,
        "seconds": state.seconds,
        "scores": state.scores.state_dict(),
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
    if "samples" not in state:
        raise UserError(f"{path} was written by an earlier sim2pose, whose state was another: start the run anew")
    for name, module in task.modules.items():
        module.load_state_dict(checkpoint.modules[name])
    for name, optimiser in task.optimisers.items():
        load_optimiser(optimiser, state["optimisers"][name])
    for name, scheduler in task.schedulers.items():
        load_schedule(scheduler, state["schedulers"][name])
    task.load_state_dict(state["task"])
    if context.rank < len(state["random"]):  # with more ranks than before, the new ones keep their fresh seeds
        set_random_state(state["random"][context.rank])
    if context.first:
        log.info("resumed from %s", path)
    kept = ("step", "samples", "seconds", "metrics", "best_metrics")
    return LoopState(**{key: state[key] for key in kept}, scores=Scores.from_state(state["scores"]))
