"""The run folder: ``<out>/<name>/{config.yaml, checkpoints/, best.json, metrics.jsonl, tracking.json, done.json}``."""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch.distributed as dist

from ..config import UserError, dump_yaml, parse_yaml
from . import checkpoints
from .config import TrainConfig, differing_keys
from .events import EVENTS, drop_after

log = logging.getLogger(__name__)

FAILURES = "failures.jsonl"
PAUSED = "paused.json"
LOST_PEER = "lost peer"


@dataclass
class RunResult:
    """What a run left behind.

    Attributes:
        run_dir: its folder.
        metrics: of the last validation, ``<val name>/<metric>``.
        step: of that validation; progress: share of the run's steps that are done, 1 unless it was paused.
        best_checkpoint: folder of the best checkpoint (the newest where no score was measured), or None.
        stopped: why it ended early, or None.
        samples_per_second: over the whole training, all ranks together, without validation and saving.
    """

    run_dir: Path
    metrics: dict[str, float] = field(default_factory=dict)
    best_checkpoint: Path | None = None
    stopped: str | None = None
    samples_per_second: float = 0.0
    step: int = 0
    progress: float = 1.0


def prepare(cfg: TrainConfig, resume: bool) -> Path:
    """Create the run folder, or check that the one that is there may be used.

    Raises:
        UserError: if the name is taken by a run that is not to be resumed, or that had another config (keys named).
    """
    run_dir = Path(cfg.out).resolve() / cfg.name
    saved = run_dir / "config.yaml"
    if not saved.is_file():
        if resume:
            raise UserError(f"nothing to resume: there is no run in {run_dir}; start it without --resume")
        if run_dir.is_dir() and any(run_dir.iterdir()):
            raise UserError(f"{run_dir} exists and is no run folder: choose another name=")
        run_dir.mkdir(parents=True, exist_ok=True)
        write_config(cfg, run_dir)
        return run_dir
    old, new = parse_yaml(saved.read_text(encoding="utf-8")), cfg.model_dump(mode="json")
    keys = [key for key in differing_keys(old, new) if cfg.changes_result(key)]
    if keys:
        raise UserError(
            f"run '{cfg.name}' exists with another config, it differs in {', '.join(keys)}: "
            "choose a new name=, or give the same config and --resume"
        )
    if not resume:
        steps = [p.name for p in checkpoints.folders(run_dir / "checkpoints")]
        state = "is finished" if (run_dir / "done.json").is_file() else f"has {steps[-1] if steps else 'no checkpoint'}"
        raise UserError(f"run '{cfg.name}' exists in {run_dir} and {state}: --resume it, or choose a new name=")
    checkpoints.sweep(run_dir / "checkpoints")
    (run_dir / FAILURES).unlink(missing_ok=True)
    write_config(cfg, run_dir)
    return run_dir


def write_config(cfg: TrainConfig, run_dir: Path) -> None:
    """Save the resolved config; its presence makes the folder a run folder, so it appears whole or not at all."""
    aside = run_dir / ".config.tmp"
    aside.write_text(dump_yaml(cfg), encoding="utf-8")
    aside.replace(run_dir / "config.yaml")


def finish(run_dir: Path, name: str, values: dict[str, Any]) -> None:
    """Write ``done.json``: step, metrics, best checkpoint, reason of an early stop, speed."""
    checkpoints.write_json(run_dir / "done.json", {"name": name, **values})


def result(run_dir: Path) -> RunResult | None:
    """The result of a finished run, from ``done.json``; None if it has not finished."""
    path = run_dir / "done.json"
    if not path.is_file():
        return None
    done = json.loads(path.read_text(encoding="utf-8"))
    best = checkpoints.best_checkpoint(run_dir)
    return RunResult(run_dir, done["metrics"], best, done["stopped"], done["samples_per_second"], done["step"])


def pause(run_dir: Path, name: str, step: int, total: int, metrics: dict[str, float]) -> None:
    """Write ``paused.json``: a run that has not finished, and what it measured where it paused."""
    values = {"name": name, "step": step, "progress": step / total, "metrics": metrics}
    checkpoints.write_json(run_dir / PAUSED, values)


def paused(run_dir: Path) -> RunResult | None:
    """The newest pause of a run; None if it never paused."""
    path = run_dir / PAUSED
    if not path.is_file():
        return None
    noted = json.loads(path.read_text(encoding="utf-8"))
    best = checkpoints.best_checkpoint(run_dir)
    return RunResult(run_dir, noted["metrics"], best, step=noted["step"], progress=noted["progress"])


def branch(parent: Path, cfg: TrainConfig, step: int) -> Path:
    """A run folder for ``cfg`` that goes on, with ``--resume``, from what another run was at ``step``.

    Checkpoints up to that step are shared with the parent (hard links, nobody writes into a checkpoint), as are its events,
    copied. A branch that is there already, whole, is left as it is.

    Raises:
        UserError: if the parent has no checkpoint of that step.
    """
    run_dir = Path(cfg.out).resolve() / cfg.name
    if (run_dir / "config.yaml").is_file():
        return run_dir
    label = checkpoints.folder_name(step)
    if not (parent / "checkpoints" / label).is_dir():
        raise UserError(f"{parent} has no checkpoint {label} to branch from")
    if run_dir.exists():
        shutil.rmtree(run_dir)  # a branch that a kill left half made: config.yaml is written last
    for folder in checkpoints.folders(parent / "checkpoints"):
        if folder.name <= label:
            shutil.copytree(folder, run_dir / "checkpoints" / folder.name, copy_function=os.link)
    if (parent / EVENTS).is_file():
        shutil.copy2(parent / EVENTS, run_dir / EVENTS)
        drop_after(run_dir / EVENTS, step)
    write_config(cfg, run_dir)
    return run_dir


def note_failure(run_dir: Path, rank: int, error: BaseException) -> None:
    """Append why a rank failed. A rank that only lost its peers in mid-exchange is told from one with a cause."""
    lost = isinstance(error, dist.DistError) or any(word in str(error) for word in ("gloo", "NCCL"))
    kind = LOST_PEER if lost else type(error).__name__
    line = {"rank": rank, "kind": kind, "message": str(error)}
    with (run_dir / FAILURES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def failures(run_dir: Path) -> list[dict[str, Any]]:
    """Noted failures that have a cause of their own, oldest first."""
    path = run_dir / FAILURES
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [noted for noted in map(json.loads, lines) if noted["kind"] != LOST_PEER]
