"""Training what is missing. All that is known lies in the run folders, so any number of processes may share the work."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ...config import UserError, parse_yaml
from ...datasets.locks import driver_lock
from ...datasets.persons import PersonDataset
from ...trainers import runfolder
from ...trainers.checkpoints import write_json
from ...trainers.config import differing_keys
from ...trainers.context import Context
from ...trainers.keypoint_config import KeypointConfig
from ...trainers.model_folder import find_model, load_model
from ...trainers.runtimes import train
from ...trainers.updates import NonFiniteLoss
from ...trainers.validation import Validation
from .config import BenchConfig
from .methods import METHODS
from .plan import Run, train_config

log = logging.getLogger(__name__)

DIVERGED = "diverged.json"
POLL_S = 2.0  # between looks at runs that other processes are busy with


def ended(folder: Path) -> bool:
    """Whether a run needs no more work: finished, or ended by a loss that was not finite."""
    return (folder / "done.json").is_file() or (folder / DIVERGED).is_file()


def diverged(folder: Path) -> str | None:
    """Why a run has no result, or None."""
    path = folder / DIVERGED
    return str(json.loads(path.read_text(encoding="utf-8"))["reason"]) if path.is_file() else None


def check(config: BenchConfig, run: Run) -> None:
    """Make sure that a run's config is possible, and that of the run that may be there already.

    Raises:
        UserError: for an impossible setting, or a run of other settings; names the keys.
    """
    asked, saved = train_config(config, run), run.folder(config) / "config.yaml"
    if not saved.is_file():
        return
    old = parse_yaml(saved.read_text(encoding="utf-8"))
    keys = [key for key in differing_keys(old, asked.model_dump(mode="json")) if asked.changes_result(key)]
    if keys:
        raise UserError(
            f"{saved.parent} was trained with other settings, it differs in {', '.join(keys)}: name these variant=NAME "
            "(frames and source-only runs are shared), or choose another out=DIR"
        )


def execute(config: BenchConfig, runs: list[Run], say: Callable[[str], None] = print) -> None:
    """Do every run that is not done, in order, leaving to other processes what they are doing; returns when all are done.

    Args:
        runs: each after the one it starts from.
        say: takes a line as each run of this process ends.

    Raises:
        UserError: for a run folder of another config (keys named), or a setting that a method cannot have.
    """
    locks = config.out.resolve() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    pending = [run for run in runs if not ended(run.folder(config))]
    while pending:
        for run in pending:
            begin = time.process_time()
            if _try(config, run, locks):
                folder, seconds = run.folder(config), time.process_time() - begin
                left = sum(not ended(other.folder(config)) for other in pending)
                name = f"{folder.parent.name}/{folder.name}"
                say(f"{name}: {_told(folder)}, {seconds:.0f} s of core time; {left} runs left")
        pending = [run for run in pending if not ended(run.folder(config))]
        if pending:
            time.sleep(POLL_S)


def _try(config: BenchConfig, run: Run, locks: Path) -> bool:
    """Do a run, unless it is done, another process has it, or what it starts from is not there yet; whether it was done."""
    folder, start = run.folder(config), run.start()
    if ended(folder) or (start is not None and not ended(start.folder(config))):
        return False
    with ExitStack() as stack:
        try:
            stack.enter_context(driver_lock(locks / f"{folder.parent.name}_{folder.name}"))
        except UserError:  # in use
            return False
        if ended(folder):
            return False
        if start is not None and diverged(start.folder(config)):
            raise UserError(f"{start.folder(config)} diverged, nothing can start from it: lower train.optim.lr")
        _do(run, train_config(config, run), folder, None if start is None else start.folder(config))
    return True


def _do(run: Run, cfg: KeypointConfig, folder: Path, start: Path | None) -> None:
    if run.severity is not None and not METHODS[run.method].trains:
        assert start is not None
        measure(cfg, folder, start)
        return
    try:
        train(cfg, resume=(folder / "config.yaml").is_file())
    except NonFiniteLoss as error:
        log.warning("%s: %s", folder, error)
        write_json(folder / DIVERGED, {"reason": str(error)})
        return
    if run.severity is None:
        find_model(folder)  # made now, under this run's lock, for all who start from it


def measure(cfg: KeypointConfig, folder: Path, start: Path) -> None:
    """Evaluate a source-only run on a target as trained runs are at their end, and leave the same files."""
    network, _ = load_model(start)
    people = PersonDataset(list(cfg.data.source), domain=1)
    folder.mkdir(parents=True, exist_ok=True)
    runfolder.write_config(cfg, folder)
    metrics = Validation(cfg, [people], Context())(network, 0, 0.0, final=True)
    before = json.loads((start / "done.json").read_text(encoding="utf-8"))
    runfolder.finish(folder, cfg.name, {**before, "metrics": metrics})


def _told(folder: Path) -> str:
    reason = diverged(folder)
    if reason is not None:
        return "diverged"
    done = runfolder.result(folder)
    assert done is not None, "a run that is done has left its result"
    return ", ".join(f"{name} {done.metrics[key]:.3f}" for name, key in _SHOWN.items() if key in done.metrics)


_SHOWN = {"target AP": "target/AP", "with AdaBN": "target_adabn/AP", "source AP": "source/AP"}
