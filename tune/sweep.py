"""Running a sweep. All that it knows lies in ``<out>/{sweep.yaml, trials/<run>/, failed/<run>.txt, sweep.json}``.

A trial counts as finished when its run has a ``done.json``; starting the same sweep again trains what is missing, from
the checkpoints that are there, and failed trials anew.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ..config import UserError, nearest, parse_yaml
from ..datasets.locks import driver_lock
from ..trainers import runfolder
from ..trainers.checkpoints import write_json
from ..trainers.config import differing_keys
from .config import SweepConfig, Trial, make_trials, preset_values
from .ranking import Score, Standing, rank, verdict
from .ray_trials import TrainFunction, failure_file, run_trials

log = logging.getLogger(__name__)

# Keys that may differ in a sweep that goes on: they add trials, rank them otherwise, or change how they are run.
CONTINUABLE = ("out", "seeds", "samples", "metric", "mode", "control", "concurrent", "gpus", "max_failures")


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Attributes:
        score: the sweep's metric, of a finished trial.
        note: why it failed, or why it was stopped early (and finished).
    """

    trial: Trial
    status: Literal["finished", "failed", "missing"]
    score: float | None = None
    metrics: dict[str, float] | None = None
    note: str | None = None

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.trial.name,
            "point": self.trial.point,
            "seed": self.trial.seed,
            "status": self.status,
            "score": self.score,
            "note": self.note,
            "run_dir": str(self.trial.run_dir),
            "metrics": self.metrics,
        }


@dataclass(frozen=True)
class SweepResult:
    """A sweep as it stands."""

    folder: Path
    standings: list[Standing]
    outcomes: list[Outcome]
    verdict: str

    @property
    def failed(self) -> list[Outcome]:
        """Trials that ended in an error."""
        return [o for o in self.outcomes if o.status == "failed"]


def run_sweep(
    config: SweepConfig, train: TrainFunction | None = None, say: Callable[[str], None] = print
) -> SweepResult:
    """Train every trial that has not finished yet, ``concurrent`` at a time, and rank the points.

    A trial that fails is named in the result and stops no other one.

    Args:
        config: the sweep.
        train: what a trial calls with its config and whether to resume; ``trainers.runtimes.train`` by default.
        say: takes a line as each trial ends.

    Raises:
        UserError: for an invalid trial, or a folder that holds another sweep (keys named) or is in use.
    """
    trials = make_trials(config)
    folder = config.folder
    with driver_lock(folder):
        claim(config)
        todo = [trial for trial in trials if runfolder.result(trial.run_dir) is None]
        for trial in todo:
            failure_file(folder, trial.name).unlink(missing_ok=True)
        say(
            f"{len(trials) // len(config.seeds)} points × {len(config.seeds)} seeds = {len(trials)} trials, "
            f"{len(trials) - len(todo)} already finished; in {folder}"
        )
        named = {trial.name: trial for trial in trials}
        ended = len(trials) - len(todo)

        def on_end(name: str) -> None:
            nonlocal ended
            ended += 1
            outcome = look(config, named[name])
            write(config, trials)
            what = f"{config.metric} {outcome.score:.4g}" if outcome.score is not None else outcome.status
            say(f"[{ended}/{len(trials)}] {name}: {what}{f' ({outcome.note})' if outcome.note else ''}")

        if todo:
            run_trials(config, todo, on_end, train)
        return write(config, trials)


def claim(config: SweepConfig) -> None:
    """Make the folder this sweep's own, or check that it is.

    Raises:
        UserError: if it holds another sweep, or the training preset has changed since; names the keys.
    """
    path = config.folder / "sweep.yaml"
    new = {"sweep": config.model_dump(mode="json"), "preset": preset_values(config)}
    if path.is_file():
        old = parse_yaml(path.read_text(encoding="utf-8"))
        changed = [key for key in differing_keys(old["sweep"], new["sweep"]) if key.split(".")[0] not in CONTINUABLE]
        # what is fixed is in the preset's values too: name it once
        changed += [
            f"{config.train}: {key}"
            for key in differing_keys(old["preset"], new["preset"])
            if f"fixed.{key}" not in changed
        ]
        if changed:
            raise UserError(
                f"{config.folder} holds another sweep, it differs in {', '.join(changed)}: "
                "choose another folder with out=DIR"
            )
    elif (config.folder / "trials").exists():
        raise UserError(f"{config.folder} has trials but no sweep.yaml: choose another folder with out=DIR")
    aside = path.with_suffix(".tmp")
    aside.write_text(yaml.safe_dump(json.loads(json.dumps(new)), sort_keys=False), encoding="utf-8")
    aside.replace(path)


def look(config: SweepConfig, trial: Trial) -> Outcome:
    """What became of a trial, from what lies on disk."""
    done = runfolder.result(trial.run_dir)
    if done is None:
        failure = failure_file(config.folder, trial.name)
        if not failure.is_file():
            return Outcome(trial, "missing")
        return Outcome(trial, "failed", note=failure.read_text(encoding="utf-8").partition("\n")[0])
    value = done.metrics.get(config.metric)
    if value is None:
        return Outcome(
            trial, "failed", None, done.metrics, f"no metric '{config.metric}': {nearest(config.metric, done.metrics)}"
        )
    if not math.isfinite(value):
        return Outcome(trial, "failed", None, done.metrics, f"{config.metric} is {value}")
    return Outcome(trial, "finished", float(value), done.metrics, done.stopped)


def write(config: SweepConfig, trials: Sequence[Trial]) -> SweepResult:
    """Look at every trial, rank, and write ``sweep.json``."""
    outcomes = [look(config, trial) for trial in trials]
    scores = [Score(o.trial.point, o.trial.seed, o.score) for o in outcomes if o.score is not None]
    standings = rank(config.points(), config.seeds, scores, config.mode, config.control)
    said = verdict(standings, config.metric, len(config.seeds))
    values = {
        "metric": config.metric,
        "mode": config.mode,
        "seeds": list(config.seeds),
        "verdict": said,
        "ranking": [standing.record() for standing in standings],
        "trials": [outcome.record() for outcome in outcomes],
    }
    write_json(config.folder / "sweep.json", values)
    return SweepResult(config.folder, standings, outcomes, said)
