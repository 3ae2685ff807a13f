"""Ray Tune as an adapter: it asks for settings, keeps so many in training, and lets a scheduler end or change them.

What a sweep knows lies in its ledger and its run folders; nothing is read back from Tune's own files.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Callable
from typing import Any

from ..config import UserError
from ..trainers.ray_runtime import AUTOSCALING
from .config import SweepConfig, preset_values
from .desk import Desk, TrainFunction
from .failures import note_failure
from .ledger import Ledger, Report
from .population import make_scheduler
from .search import Proposals
from .setting import START, VALUE, Plan, train_setting

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # its banner ignores verbose=0; a line for each measurement is printed here
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths in a config mean the same in a trial as in `sim2pose train`
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # metrics.jsonl and MLflow have it all
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the sweep rather than letting fit() return as if it were complete
    "TUNE_MAX_PENDING_TRIALS_PG": "64",
}
WAITER = {
    "memory": float(1 << 20)
}  # of a setting's process, which only waits: CPUs are for runners, and may all be theirs
Told = Callable[[str], None]


def drive(
    config: SweepConfig,
    ledger: Ledger,
    proposals: Proposals,
    on_report: Told,
    on_end: Told,
    train: TrainFunction | None = None,
) -> None:
    """Train settings until none is proposed any more, or the time is up; joins a Ray that is already there.

    Args:
        config: resources and limits.
        ledger: takes each measurement and each end, before ``on_report`` and ``on_end`` get the setting's name.
        proposals: what to train.
        on_report, on_end: called in this process.
        train: see ``sweep.run_sweep``.

    Raises:
        UserError: if Ray has fewer CPUs or GPUs than a trial needs.
    """
    import ray

    from ..render_farm.farm.ray_session import ray_session

    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
    private = config.concurrent * config.ranks * config.cpus
    with ray_session(num_cpus=private, env_vars={"OMP_NUM_THREADS": str(config.cpus)}):
        check_room(config)
        own = {"num_cpus": config.cpus, "num_gpus": config.gpus} if config.ranks == 1 else {"num_cpus": 0}
        make: Any = ray.remote(Desk).options(num_cpus=0, max_concurrency=10_000)
        desk = make.remote(config.concurrent, own, train, config.max_failures)
        try:
            desk.open.remote()
            _fit(config, ledger, proposals, on_report, on_end, desk)
        finally:
            ray.kill(desk)


def _fit(config: SweepConfig, ledger: Ledger, proposals: Proposals, on_report: Told, on_end: Told, desk: Any) -> None:
    from ray import tune

    metrics = (config.metric, *config.objectives)
    plan = Plan(config.plain(), preset_values(config), config.shares, config.times, metrics)
    scratch = config.folder / ".ray"
    population = proposals.population() if config.scheduler.kind == "pbt" else None
    # PBT refuses searchers: its members are a grid
    searched: dict[str, Any] = {"num_samples": -1, "search_alg": proposals} if population is None else {}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train_setting, plan=plan, desk=desk), WAITER),
        param_space=None if population is None else {START: tune.grid_search(population)},
        tune_config=tune.TuneConfig(
            scheduler=make_scheduler(config),
            max_concurrent_trials=settings_at_a_time(config),
            time_budget_s=None if config.hours is None else 3600 * config.hours,
            **searched,
        ),
        run_config=tune.RunConfig(
            name=uuid.uuid4().hex[:8],  # Tune would go on from its own files of an equal name: ours decide
            storage_path=str(scratch),
            failure_config=tune.FailureConfig(max_failures=config.max_failures),
            callbacks=[_book(ledger, on_report, on_end)],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def settings_at_a_time(config: SweepConfig) -> int:
    """So many that no slot is idle while the last seed of the oldest setting trains; of a population, all members."""
    if config.scheduler.kind == "pbt":
        assert config.samples is not None
        return config.samples
    return 1 + math.ceil((config.concurrent - 1) / len(config.seeds))


def _book(ledger: Ledger, on_report: Told, on_end: Told) -> Any:
    """The callback that keeps the ledger."""
    from ray import tune

    names: dict[str, str] = {}  # Tune's trial id → setting

    class Book(tune.Callback):
        """Keeps the ledger, in Tune's driver."""

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            # its first config; after an exploit it may be another member's
            names.setdefault(trial.trial_id, trial.config[START]["setting"])

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            if VALUE in result and ledger.report(names[trial.trial_id], read_report(result)):
                on_report(names[trial.trial_id])

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            name, last = names[trial.trial_id], trial.last_result or {}
            if "failed" in last:
                ledger.end(name, "failed", last["failed"])
            elif last.get("ended"):
                ledger.end(name, "finished")
            else:
                return  # paused at its rung, or out of time: the same command goes on with it
            on_end(name)

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            lines = str(trial.get_error() or "cause unknown").strip().splitlines()
            name = names[trial.trial_id]
            note_failure(
                ledger.path.parent, name, f"the process that waits for it failed: {lines[-1]}", "\n".join(lines)
            )
            ledger.end(name, "failed", lines[-1])
            on_end(name)

    return Book()


def read_report(result: dict[str, Any]) -> Report:
    """What a setting told Tune, as the ledger keeps it."""
    record = json.loads(result["record"])
    by_seed = {key: {int(seed): value for seed, value in record[key].items()} for key in ("seeds", "runs", "steps")}
    return Report(
        tick=result["tick"],
        progress=result["progress"],
        value=result[VALUE],
        also=dict(result["also"]),
        point=record["point"],
        **by_seed,
    )


def check_room(config: SweepConfig) -> None:
    """Say before anything waits what the cluster lacks for one trial.

    Raises:
        UserError: naming what there is, node by node.
    """
    import ray

    if os.environ.get(AUTOSCALING):
        return
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for key, each, name in (("CPU", config.cpus, "cpus"), ("GPU", config.gpus, "gpus")):
        have = sum(node.get(key, 0.0) for node in nodes)
        fit = sum(int(node.get(key, 0.0) / each + 1e-9) for node in nodes) if each else config.ranks
        if fit < config.ranks:
            there = ", ".join(f"{node.get(key, 0.0):g}" for node in nodes)
            where = "this machine" if len(nodes) == 1 and not os.environ.get("RAY_ADDRESS") else "the cluster"
            raise UserError(
                f"a trial needs {config.ranks} × {name}={each:g}, but {where} has {have:g} {key}s"
                f"{f' (on its nodes: {there})' if len(nodes) > 1 else ''}: lower {name}, join a cluster that has them "
                f"(RAY_ADDRESS), or set {AUTOSCALING}=1 where it scales by itself"
            )
