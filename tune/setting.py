"""One setting under Ray Tune: all of its seeds, from one measurement to the next; what it reports is their mean.

Schedulers and searchers therefore never see a single seed. The process of a setting only waits: runs are trained at the
desk. Under population-based training a member takes over another's state, and mutates its point: new runs branch from the
other's at the step where it was measured.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .desk import Job, Outcome
from .failures import lacks, note_failure
from .space import Point
from .trials import TRIALS, run_values, setting_name

VALUE = "value"  # what schedulers compare
TIME = "time"  # at which they compare it
START = "start"  # key of a Tune trial's config
MEMBERS = "members"


class RunFailed(RuntimeError):
    """A run of a setting ended in an error, or did not measure what the sweep ranks by."""


@dataclass(frozen=True)
class Plan:
    """What all settings of a sweep share, as plain values.

    Attributes:
        sweep: the sweep's config as JSON values; shared: the training preset with ``fixed`` over it.
        shares: of a run's steps, at which settings are measured; the last is 1. times: what schedulers know these as.
        metrics: the sweep's metric, then further ones.
    """

    sweep: Mapping[str, Any]
    shared: Mapping[str, Any]
    shares: Sequence[float]
    times: Sequence[int]
    metrics: Sequence[str]

    @property
    def folder(self) -> Path:
        """Of the sweep."""
        return Path(self.sweep["out"])


@dataclass(frozen=True)
class Stand:
    """Where a setting stands: its runs by seed, the ticks that are done, the steps there."""

    runs: dict[int, str]
    tick: int = 0
    steps: Mapping[int, int] | None = None


def train_setting(params: dict[str, Any], plan: Plan, desk: Any) -> None:
    """The function that Ray Tune runs for a setting; reports each measurement, with a checkpoint of a few names.

    Args:
        params: under :data:`START` what :func:`begin` takes; a scheduler may have mutated the point there.
        plan: what all settings share.
        desk: actor handle of the :class:`~.desk.Desk`.
    """
    import ray
    from ray import tune

    def run(jobs: Sequence[Job]) -> list[Outcome]:
        return list(ray.get([desk.run.remote(job) for job in jobs]))

    wanted = params[START]
    stand, parents = begin(wanted, plan, tune.get_context().get_trial_id(), _checkpoint(tune))
    for message, state in measurements(wanted["point"], plan, stand, parents, run):
        _report(tune, message, state)


def measurements(
    point: Point,
    plan: Plan,
    stand: Stand,
    parents: Mapping[int, tuple[str, int]],
    run: Callable[[Sequence[Job]], list[Outcome]],
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Train from one measurement to the next. A run that fails ends its setting: that is told as ``failed`` and not raised,
    as the same run would fail again.

    Args:
        point: values of the keys that vary.
        plan: what all settings share.
        stand: where the setting stands; ``parents``: what its runs branch from, see :func:`begin`.
        run: trains jobs, side by side.

    Yields:
        (what schedulers and the ledger are told, what another member of a population can take over).
    """
    halving = plan.sweep["scheduler"]["kind"] == "asha"  # goes on only when it is proposed again
    for tick in range(stand.tick + 1, (stand.tick + 1 if halving else len(plan.shares)) + 1):
        share = plan.shares[tick - 1]
        jobs = [
            Job(run_values(plan.sweep, plan.shared, point, seed, name), share, parents.get(seed))
            for seed, name in stand.runs.items()
        ]
        outcomes = dict(zip(stand.runs, run(jobs), strict=True))
        try:
            values = measured(plan, stand.runs, outcomes)
        except RunFailed as error:
            yield {"failed": str(error)}, {}
            return
        steps = {seed: outcome.step for seed, outcome in outcomes.items()}
        ended = share >= 1 or all(outcome.stopped for outcome in outcomes.values())
        record = {"seeds": values[plan.metrics[0]], "point": point, "runs": stand.runs, "steps": steps}
        yield (
            {
                "tick": tick,
                TIME: plan.times[tick - 1],
                "progress": 1.0 if ended else share,
                VALUE: statistics.fmean(values[plan.metrics[0]].values()),
                "also": {metric: statistics.fmean(values[metric].values()) for metric in plan.metrics[1:]},
                "record": json.dumps(record),
                "ended": ended,
            },
            {"runs": stand.runs, "steps": steps, "tick": tick, "point": point},
        )
        if ended:
            return


def begin(
    params: Mapping[str, Any], plan: Plan, trial_id: str, taken: Mapping[str, Any] | None
) -> tuple[Stand, dict[int, tuple[str, int]]]:
    """Where a setting starts, and what its runs branch from.

    Args:
        params: ``setting``: its name; ``point``: values of the keys that vary, which a scheduler may mutate; ``tick`` and
            ``runs``: where it goes on, under ASHA and for a member of a population.
        plan: seeds, folders.
        trial_id: Tune's; a member of a population is known by it, as its ``params`` may be another's after an exploit.
        taken: what Tune's checkpoint holds: another member's state, or this one's own after a lost process.
    """
    seeds = plan.sweep["seeds"]
    kind = plan.sweep["scheduler"]["kind"]
    if kind != "pbt":
        runs = {seed: f"{params['setting']}_seed{seed}" for seed in seeds}
        return Stand(runs, params["tick"] if kind == "asha" else 0), {}
    name = _member(plan.folder, trial_id, params["setting"])
    if taken is None and params["runs"] is None:
        return Stand(_runs(name, params["point"], 0, seeds)), {}
    state = taken or {"runs": params["runs"], "steps": None, "tick": params["tick"], "point": params["point"]}
    held = {int(seed): run for seed, run in state["runs"].items()}
    if state["point"] == params["point"] and all(run.startswith(f"{name}_") for run in held.values()):
        return Stand(held, state["tick"]), {}
    steps = {int(seed): step for seed, step in state["steps"].items()}
    parents = {seed: (str(plan.folder / TRIALS / run), steps[seed]) for seed, run in held.items()}
    return Stand(_runs(name, params["point"], state["tick"], seeds), state["tick"]), parents


def _runs(member: str, point: Point, tick: int, seeds: Sequence[int]) -> dict[int, str]:
    """Names of a member's runs that start at a tick: the same again after a kill."""
    return {seed: f"{member}_from{tick}_{setting_name(point)}_seed{seed}" for seed in seeds}


def _member(folder: Path, trial_id: str, given: str) -> str:
    """The member that a Tune trial is: what it was called when it started first."""
    path = folder / ".ray" / MEMBERS / trial_id
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(given, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def measured(plan: Plan, runs: Mapping[int, str], outcomes: Mapping[int, Outcome]) -> dict[str, dict[int, float]]:
    """Each metric by seed.

    Raises:
        RunFailed: if a run failed, did not measure a metric, or measured nothing finite; notes why each failed.
    """
    for seed, outcome in outcomes.items():
        if outcome.error is not None:
            note_failure(plan.folder, runs[seed], outcome.error, outcome.details)
    failed = next((seed for seed, outcome in outcomes.items() if outcome.error is not None), None)
    if failed is not None:
        raise RunFailed(f"{runs[failed]}: {outcomes[failed].error}")
    for seed, outcome in outcomes.items():
        for metric in plan.metrics:
            why = lacks(outcome.metrics or {}, metric)
            if why:
                raise RunFailed(f"{runs[seed]}: {why}")
    return {
        metric: {seed: float((outcome.metrics or {})[metric]) for seed, outcome in outcomes.items()}
        for metric in plan.metrics
    }


def _checkpoint(tune: Any) -> dict[str, Any] | None:
    found = tune.get_checkpoint()
    if found is None:
        return None
    with found.as_directory() as folder:
        return json.loads((Path(folder) / "state.json").read_text(encoding="utf-8"))


def _report(tune: Any, message: dict[str, Any], state: dict[str, Any]) -> None:
    """Tell Tune; everything but a few names lies in the run folders."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "state.json").write_text(json.dumps(state), encoding="utf-8")
        tune.report(message, checkpoint=tune.Checkpoint.from_directory(folder))
