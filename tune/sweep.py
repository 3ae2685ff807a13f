"""Running a sweep. All that it knows lies in ``<out>/{sweep.yaml, sweep.jsonl, trials/<run>/, failed/<run>.txt, sweep.json}``.

A run counts as finished when it has a ``done.json``. Starting the same sweep again trains what is missing, from the checkpoints
that are there, and failed settings anew; what a scheduler stopped stays stopped (``ledger.py``).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ..config import UserError, parse_yaml
from ..datasets.locks import driver_lock
from ..trainers import runfolder
from ..trainers.checkpoints import write_json
from ..trainers.config import differing_keys
from .config import SweepConfig, make_trials, preset_values
from .desk import TrainFunction
from .failures import failure_file, lacks
from .ledger import Ledger, Setting
from .ranking import Score, Standing, label, rank, spread, verdict
from .space import Point
from .tracking import tracked
from .trials import TRIALS, setting_name
from .warm import earlier_points

log = logging.getLogger(__name__)

# Keys that may differ in a sweep that goes on: they add trials, rank them otherwise, or change how they are run.
CONTINUABLE = (
    *("out", "seeds", "samples", "metric", "mode", "objectives", "control", "hours", "register_as"),
    *("concurrent", "ranks", "cpus", "gpus", "max_failures"),
)
# ... but for these under a scheduler: what it decided rests on them.
DECIDING = ("seeds", "samples", "metric", "mode")


@dataclass(frozen=True)
class Outcome:
    """What became of one run of a setting.

    Attributes:
        name: of the run; point: what it trained, or the setting's newest.
        score: the sweep's metric, of a finished run.
        note: why it failed, or why it was stopped early.
    """

    setting: str
    name: str
    point: Point
    seed: int
    run_dir: Path
    status: Literal["finished", "failed", "stopped", "missing"]
    score: float | None = None
    metrics: dict[str, float] | None = None
    note: str | None = None

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {**self.__dict__, "run_dir": str(self.run_dir)}


@dataclass(frozen=True)
class SweepResult:
    """A sweep as it stands."""

    folder: Path
    standings: list[Standing]
    outcomes: list[Outcome]
    verdict: str
    settings: list[Setting]

    @property
    def failed(self) -> list[Outcome]:
        """Runs that ended in an error."""
        return [o for o in self.outcomes if o.status == "failed"]

    @property
    def chosen(self) -> Outcome | None:
        """Of the best setting, the run of the median seed: what is registered is not the luckiest; None without a ranking."""
        if not self.standings or self.standings[0].rank is None:
            return None
        runs = [o for o in self.outcomes if o.setting == self.standings[0].name and o.score is not None]
        return sorted(runs, key=lambda o: o.score or 0.0)[(len(runs) - 1) // 2]


def run_sweep(
    config: SweepConfig, train: TrainFunction | None = None, say: Callable[[str], None] = print
) -> SweepResult:
    """Train every trial that has not finished yet, ``concurrent`` at a time, and rank the points.

    A trial that fails is named in the result and stops no other one.

    Args:
        config: the sweep.
        train: what a run calls with its config, whether to resume, and the share of its steps at which to pause;
            ``trainers.runtimes.train`` by default.
        say: takes a line as each setting is measured and ends.

    Raises:
        UserError: for an invalid trial, or a folder that holds another sweep (keys named) or is in use.
    """
    from .drive import drive
    from .search import Proposals, begun_or_due

    make_trials(config)
    with driver_lock(config.folder):
        claim(config)
        ledger = Ledger(config.folder)
        earlier = earlier_points(config)
        finished = {s.name: _finished(config, s) for s in settings(config, ledger)}
        due = begun_or_due(config, ledger, finished, earlier)
        for outcome in write(config, ledger).failed:
            failure_file(config.folder, outcome.name).unlink(missing_ok=True)
        say(_opening(config, ledger, due))

        def on_report(name: str) -> None:
            say(_line(config, ledger.settings[name]))

        def on_end(name: str) -> None:
            setting = ledger.settings[name]
            write(config, ledger)
            if setting.ended != "finished":
                say(f"{label(setting.newest_point)}: {setting.ended}, {setting.note}")

        more = config.search == "optuna" and len(ledger.settings) < (config.samples or 0)
        waiting = any(setting.ended is None for setting in ledger.settings.values())
        if due or more or waiting:
            proposals = Proposals(config, ledger, due, earlier)
            with tracked(config, ledger):
                drive(config, ledger, proposals, on_report, on_end, train)
        return write(config, ledger)


def settings(config: SweepConfig, ledger: Ledger) -> list[Setting]:
    """Every setting that is known: those that the config lists, then those of the ledger."""
    known = dict(ledger.settings)
    if config.scheduler.kind == "pbt":
        names = [(f"member{i}", point) for i, point in enumerate(config.points())]
    else:
        names = [(setting_name(point), point) for point in config.points()]
    listed = {name: known.get(name, Setting(name, point)) for name, point in names}
    if config.search == "optuna":
        listed |= known
    return list(listed.values())


def _finished(config: SweepConfig, setting: Setting) -> bool:
    return all(outcome.status == "finished" for outcome in look(config, setting))


def _opening(config: SweepConfig, ledger: Ledger, due: list[Setting]) -> str:
    count = len(settings(config, ledger)) if config.search != "optuna" else config.samples or 0
    left = len(due) + sum(setting.waits for setting in ledger.settings.values())
    left += max(count - len(ledger.settings), 0) if config.search == "optuna" else 0
    return (
        f"{count} settings × {len(config.seeds)} seeds, measured at "
        f"{', '.join(f'{share:.0%}' for share in config.shares)} of their steps; {left} to train; in {config.folder}"
    )


def _line(config: SweepConfig, setting: Setting) -> str:
    last = setting.last
    assert last is not None
    mean, sd = spread(list(last.seeds.values()))
    told = f"{mean:.4g}" + ("" if sd is None else f" ± {sd:.2g}")
    where = "" if last.progress == 1 else f" at {last.progress:.0%}"
    return f"{label(last.point)}: {config.metric} {told}{where}"


def claim(config: SweepConfig) -> None:
    """Make the folder this sweep's own, or check that it is.

    Raises:
        UserError: if it holds another sweep, or the training preset has changed since; names the keys.
    """
    path = config.folder / "sweep.yaml"
    new = {"sweep": config.model_dump(mode="json"), "preset": preset_values(config)}
    if path.is_file():
        old = parse_yaml(path.read_text(encoding="utf-8"))
        free = [key for key in CONTINUABLE if config.scheduler.kind == "none" or key not in DECIDING]
        changed = [key for key in differing_keys(old["sweep"], new["sweep"]) if key.split(".")[0] not in free]
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


def look(config: SweepConfig, setting: Setting) -> list[Outcome]:
    """What became of a setting's runs, from what lies on disk."""
    named = setting.last.runs if setting.last else {}
    return [_look(config, setting, seed, named.get(seed, f"{setting.name}_seed{seed}")) for seed in config.seeds]


def _look(config: SweepConfig, setting: Setting, seed: int, name: str) -> Outcome:
    run_dir = config.folder / TRIALS / name
    place = (setting.name, name, setting.newest_point, seed, run_dir)
    done, failure = runfolder.result(run_dir), failure_file(config.folder, name)
    if done is not None:
        why = lacks(done.metrics, config.metric)
        if why:
            return Outcome(*place, "failed", None, done.metrics, why)
        return Outcome(*place, "finished", float(done.metrics[config.metric]), done.metrics, done.stopped)
    if failure.is_file():
        return Outcome(*place, "failed", note=failure.read_text(encoding="utf-8").partition("\n")[0])
    if setting.ended == "stopped":
        pause = runfolder.paused(run_dir)
        return Outcome(*place, "stopped", None, pause.metrics if pause else None, setting.note)
    return Outcome(*place, "missing")


def write(config: SweepConfig, ledger: Ledger) -> SweepResult:
    """Look at every run, rank the settings, and write ``sweep.json``."""
    known = settings(config, ledger)
    outcomes = [outcome for setting in known for outcome in look(config, setting)]
    scores = [Score(o.setting, o.seed, o.score) for o in outcomes if o.score is not None]
    points = {setting.name: setting.newest_point for setting in known}
    stopped = {s.name: s.last for s in known if s.ended == "stopped" and s.last is not None}
    standings = rank(points, config.seeds, scores, config.mode, config.control, stopped)
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
    return SweepResult(config.folder, standings, outcomes, said, known)
