"""``train``: the one entry. The same function trains in this process, under ``torchrun``, and under Ray Train."""

from __future__ import annotations

import gc
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from ..config import UserError
from ..models.memory import keep_freed_memory
from . import deepspeed_engine, loop, runfolder
from .config import TrainConfig
from .context import Context, pick_device, seed_everything
from .events import EventLog
from .follow import log_file
from .recipes import build_task
from .runfolder import RunResult
from .task import LoopSettings
from .tracking import MlflowSender, default_uri, flat
from .updates import NonFiniteLoss

log = logging.getLogger(__name__)

COLLECTIVE_TIMEOUT = timedelta(hours=2)  # ranks wait for rank 0 while it evaluates


def train(cfg: TrainConfig, resume: bool = False, until: float | None = None) -> RunResult:
    """Train, evaluate and leave a run folder. Started by ``torchrun``, every rank calls this.

    Args:
        cfg: resolved config.
        resume: go on with the run of this name; without it, a name that is taken is refused.
        until: pause when this share of the run is done: validate, write a checkpoint and return. ``resume`` goes on, and
            ends in the same weights as a run that never paused. A run that has come that far returns what it measured there.

    Returns:
        the result; of a run that had already finished, what it left; of a paused one ``progress`` < 1.

    Raises:
        UserError: for a taken name, missing data, an impossible combination of settings.
        NonFiniteLoss: if a loss or gradient was not finite (checkpoints before it stay usable).
    """
    cfg.require_data()
    if dist.is_torchelastic_launched():
        return _train_torchrun(cfg, resume, until)
    device = pick_device(cfg.device) if cfg.runtime == "local" else None  # under Ray each rank has its own
    run_dir = runfolder.prepare(cfg, resume)
    sender = start_tracking(cfg, run_dir)
    status = "FAILED"
    try:
        done = runfolder.result(run_dir)
        if done is not None:
            log.warning("run '%s' is already finished; nothing to resume", cfg.name)
        elif _there_already(run_dir, until):
            log.info("run '%s' has paused at that share of its steps already", cfg.name)
        elif device is None:
            from .ray_runtime import train_on_ray

            train_on_ray(cfg, run_dir, sender, until)
        else:
            if sender is not None and cfg.forks_loaders:
                sender.ready.wait(30)  # loader processes are forked: no import may be half done in another thread
            work(cfg, run_dir, Context(device=device, deepspeed=cfg.deepspeed), until)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        if sender is not None:
            sender.close(_ending(run_dir, status))
    return _result(run_dir)


def work(cfg: TrainConfig, run_dir: Path, context: Context, until: float | None = None) -> None:
    """What every rank does, whatever started it: build, train from the newest checkpoint, note the pause or the end."""
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    if context.device.type == "cpu":
        keep_freed_memory()
    if context.deepspeed.enabled:
        deepspeed_engine.prepare(context)
    with log_file(run_dir, context.first):
        _work(cfg, run_dir, context, until)


def _work(cfg: TrainConfig, run_dir: Path, context: Context, until: float | None) -> None:
    seed_everything(cfg.seed, 0)  # equal initial weights on all ranks
    task = build_task(cfg, context)
    seed_everything(cfg.seed, 1 + context.rank)
    settings = LoopSettings(
        name=cfg.name,
        run_dir=run_dir,
        config=cfg.model_dump(mode="json"),
        validate_every=cfg.validate_every,
        log_every=cfg.log_every,
        save_every=cfg.checkpoint.every,
        keep=cfg.checkpoint.keep,
        accumulate=cfg.optim.accumulate,
        clip=cfg.optim.clip,
        best=cfg.checkpoint.best,
        patience=cfg.early_stop.patience,
        min_delta=cfg.early_stop.min_delta,
        validate_first=cfg.validates_first,
        until=until,
    )
    state = loop.run(task, settings, context)
    if state.step < task.total_steps and state.stopped is None:
        if context.first:
            runfolder.pause(run_dir, cfg.name, state.step, task.total_steps, state.metrics)
        return
    if context.first:
        further = task.conclude(run_dir)
        EventLog(run_dir, state.step, state.step).write(state.step, further)
        best: dict[str, Any] = {"step": state.best_step, "metric": task.score, "score": state.best_score}
        best["metrics"] = state.best_metrics
        values = {
            "step": state.step,
            "metrics": state.metrics | further,
            "best": best,
            "stopped": state.stopped,
            "samples": state.samples,
            "seconds": state.seconds,
            "samples_per_second": state.samples / max(state.seconds, 1e-9),
            "world": context.world,
        }
        runfolder.finish(run_dir, cfg.name, values)


def start_tracking(cfg: TrainConfig, run_dir: Path) -> MlflowSender | None:
    """The thread that feeds MLflow, or None where tracking is switched off."""
    if not cfg.tracking.enabled:
        return None
    uri = cfg.tracking.uri or default_uri(Path(cfg.out))
    parent = None if cfg.tracking.parent is None else Path(cfg.tracking.parent)
    params = flat(cfg.model_dump(mode="json"))
    return MlflowSender(run_dir, uri, cfg.tracking.experiment, cfg.name, params, parent).start()


def _result(run_dir: Path) -> RunResult:
    result = runfolder.result(run_dir) or runfolder.paused(run_dir)
    assert result is not None, "a run that returns has written done.json or paused.json"
    return result


def _there_already(run_dir: Path, until: float | None) -> bool:
    """Whether a run has paused at this share of its steps, or beyond (shares differ by the rounding to a step)."""
    noted = runfolder.paused(run_dir)
    return until is not None and noted is not None and noted.progress >= until - 1e-3


def _ending(run_dir: Path, status: str) -> str | None:
    """What MLflow is told: nothing of a run that merely pauses."""
    return None if status == "FINISHED" and runfolder.result(run_dir) is None else status


def _train_torchrun(cfg: TrainConfig, resume: bool, until: float | None) -> RunResult:
    """One rank under ``torchrun``: its environment names rank, world and meeting point."""
    local_rank = int(os.environ["LOCAL_RANK"])
    device = pick_device(cfg.device, local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=COLLECTIVE_TIMEOUT)
    context = Context(dist.get_rank(), dist.get_world_size(), device, deepspeed=cfg.deepspeed)
    sender, status = None, "FAILED"
    try:
        try:
            cfg.check_division(context.world, f"the {context.world} ranks of torchrun")
        except ValueError as error:
            raise UserError(str(error)) from None
        # torchrun starts all ranks again after a failure; that is a resume whatever the command line said
        again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
        run_dir = _agreed_folder(cfg, resume or again, context)
        sender = start_tracking(cfg, run_dir) if context.first else None
        if sender is not None:
            sender.ready.wait(30)
        if context.broadcast((run_dir / "done.json").is_file()):
            log.warning("run '%s' is already finished; nothing to resume", cfg.name)
        else:
            work(cfg, run_dir, context, until)
        dist.barrier()  # done.json is there before any rank reads it
        status = "FINISHED"
    finally:
        if sender is not None:
            sender.close(_ending(run_dir, status))
        gc.collect()  # a DDP wrapper that outlives its process group can abort the interpreter's exit
        dist.destroy_process_group()
    return _result(run_dir)


def _agreed_folder(cfg: TrainConfig, resume: bool, context: Context) -> Path:
    """Rank 0 prepares the run folder; all ranks get it, or the same refusal."""
    answer: Path | str = ""
    if context.first:
        try:
            answer = runfolder.prepare(cfg, resume)
        except UserError as error:
            answer = str(error)
    answer = context.broadcast(answer)
    if isinstance(answer, str):
        raise UserError(answer)
    return answer


__all__ = ["NonFiniteLoss", "RunResult", "train", "work"]
