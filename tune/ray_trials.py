"""Ray Tune as an adapter: it places the trials, so many at a time, and restarts those whose process was lost.

What a trial computes, resumes from and leaves behind is its run folder; nothing is read back from Tune's own files.
"""

from __future__ import annotations

import os
import shutil
import traceback
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..config import UserError
from ..trainers.config import TrainConfig
from ..trainers.recipes import validate_run
from ..trainers.runfolder import RunResult
from .config import SweepConfig, Trial

TrainFunction = Callable[[TrainConfig, bool], RunResult]

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # its banner ignores verbose=0; a line for each trial is printed here
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths in a config mean the same in a trial as in `sim2pose train`
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # metrics.jsonl and MLflow have it all
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the sweep rather than letting fit() return as if it were complete
}


def run_trials(
    config: SweepConfig, todo: Sequence[Trial], on_end: Callable[[str], None], train: TrainFunction | None = None
) -> None:
    """Run trials under Ray Tune; joins a Ray that is already there.

    Args:
        config: resources and limits.
        todo: trials to run; their folders must be visible to all nodes.
        on_end: called in this process with the name of each trial that ended, well or not.
        train: see ``sweep.run_sweep``.

    Raises:
        UserError: if a private Ray has fewer CPUs or GPUs than a trial needs.
    """
    from ..render_farm.farm.ray_session import ray_session

    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
    configs = {trial.name: trial.config.model_dump(mode="json") for trial in todo}
    threads = {"OMP_NUM_THREADS": str(config.cpus)}
    with ray_session(num_cpus=config.concurrent * config.cpus, env_vars=threads):
        _check_gpus(config)
        _fit(config, configs, on_end, train)


def _fit(
    config: SweepConfig, configs: dict[str, Any], on_end: Callable[[str], None], train: TrainFunction | None
) -> None:
    from ray import tune

    class Ends(tune.Callback):
        """Tells of ends as they happen."""

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            on_end(trial.config["trial"])

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            lines = str(trial.get_error() or "cause unknown").strip().splitlines()
            note_failure(config.folder, trial.config["trial"], f"its process was lost: {lines[0]}", "\n".join(lines))
            on_end(trial.config["trial"])

    trainable = tune.with_parameters(_trial, configs=configs, folder=str(config.folder), train=train)
    scratch = config.folder / ".ray"
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"CPU": config.cpus, "GPU": config.gpus}),
        param_space={"trial": tune.grid_search(list(configs))},
        tune_config=tune.TuneConfig(max_concurrent_trials=config.concurrent),
        run_config=tune.RunConfig(
            name=uuid.uuid4().hex[:8],  # Tune would go on from its own files of an equal name: ours decide
            storage_path=str(scratch),
            failure_config=tune.FailureConfig(max_failures=config.max_failures),
            callbacks=[Ends()],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _trial(
    params: dict[str, Any], configs: dict[str, Any], folder: str, train: TrainFunction | None
) -> dict[str, float] | None:
    """One trial in a Ray worker; returns its last metrics to Tune.

    An error of its own is kept and not raised: the same run would fail again, so Tune must not restart it.
    """
    if train is None:
        from ..trainers.runtimes import train
    assert train is not None
    cfg = validate_run(configs[params["trial"]])
    resume = (Path(cfg.out) / cfg.name / "config.yaml").is_file()
    try:
        result = train(cfg, resume)
    except Exception as error:
        note_failure(Path(folder), cfg.name, f"{type(error).__name__}: {error}", traceback.format_exc())
        return None
    return result.metrics


def failure_file(folder: Path, name: str) -> Path:
    """Where the cause of a trial's failure is kept: a sentence, then the traceback."""
    return folder / "failed" / f"{name}.txt"


def note_failure(folder: Path, name: str, sentence: str, details: str) -> None:
    """Keep why a trial failed: one line, then what helps to find the place."""
    path = failure_file(folder, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{' '.join(sentence.split())}\n\n{details}\n", encoding="utf-8")


def _check_gpus(config: SweepConfig) -> None:
    """A private Ray never grows: a trial that does not fit would wait for ever."""
    import ray

    have = ray.cluster_resources().get("GPU", 0.0)
    if config.gpus > have and not os.environ.get("RAY_ADDRESS"):
        raise UserError(
            f"gpus={config.gpus:g} a trial, but this machine has {have:g}: lower gpus, or join a cluster (RAY_ADDRESS)"
        )
