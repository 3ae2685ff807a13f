"""Sweeps of real trainings (small flows over poses): pauses and branches are exact, MLflow nests, a killed driver goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from sim2pose.config import UserError
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.joints import joint_set
from sim2pose.trainers import checkpoints, runfolder
from sim2pose.trainers.events import read_events
from sim2pose.trainers.recipes import validate_run
from sim2pose.trainers.runtimes import train
from sim2pose.tune.config import SweepConfig, load_sweep
from sim2pose.tune.ledger import Ledger
from sim2pose.tune.sweep import run_sweep

SCORE = "select/log_prob_per_dim"


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes of legs that swing, of three people."""
    folder, names = tmp_path_factory.mktemp("motion"), joint_set("smplx55").joints
    for i, take in enumerate(("01_01", "01_02", "02_01", "02_02", "11_01")):
        phase = np.linspace(0, 6 * np.pi, 90) + i
        pose = np.zeros((90, 55, 3), np.float32)
        pose[:, names.index("left_hip"), 0] = 0.5 * np.sin(phase)
        pose[:, names.index("right_hip"), 0] = -0.5 * np.sin(phase)
        pose[:, names.index("left_knee"), 0] = 0.4 + 0.3 * np.cos(phase)
        save_poses(
            folder / f"{take}.npz",
            PoseSequence(pose, np.zeros((90, 3), np.float32), "open-person", "smplx55", fps=30.0),
        )
    return folder


@pytest.fixture
def values(motion: Path, tmp_path: Path) -> dict[str, Any]:
    """Config values of a run of 18 steps."""
    return {
        "recipe": "prior",
        "name": "run",
        "out": str(tmp_path / "runs"),
        "steps": 18,
        "batch": 64,
        "validate_every": 100,
        "log_every": 3,
        "checkpoint": {"every": 2},
        "evaluate": "likelihood",
        "tracking": {"enabled": False},
        "device": "cpu",
        "threads": 1,
        "model": {"kind": "joint_flow", "args": {"hidden": 8, "bins": 4}},
        "data": {"train": [str(motion)], "held_out": ["11"], "select": 0.3},
    }


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    found = checkpoints.newest(run_dir / "checkpoints")
    assert found is not None
    return {f"{n}.{k}": v for n, m in found.modules.items() for k, v in m.items()}


def test_a_run_that_paused_ends_as_one_that_did_not(values: dict[str, Any]) -> None:
    whole = train(validate_run(values))
    cfg = validate_run(values | {"name": "paused"})
    first = train(cfg, until=1 / 3)
    assert (first.step, first.progress) == (6, pytest.approx(1 / 3))
    assert np.isfinite(first.metrics[SCORE])
    assert runfolder.result(first.run_dir) is None
    assert train(cfg, resume=True, until=1 / 3).step == 6, "it is there already"
    second = train(cfg, resume=True, until=2 / 3)
    assert second.step == 12
    last = train(cfg, resume=True)
    assert last.progress == 1
    assert last.metrics[SCORE] == whole.metrics[SCORE]
    a, b = weights(whole.run_dir), weights(last.run_dir)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not any(torch.equal(value, weights(runfolder.branch(first.run_dir, renamed(cfg, "b"), 6))[key])
                   for key, value in a.items() if "net" in key)  # fmt: skip


def renamed(cfg: Any, name: str, **over: Any) -> Any:
    return validate_run(cfg.model_dump(mode="json") | {"name": name} | over)


def test_a_branch_goes_on_from_its_parent_by_its_own_rates(values: dict[str, Any]) -> None:
    cfg = validate_run(values)
    parent = train(cfg, until=1 / 3)
    same = runfolder.branch(parent.run_dir, renamed(cfg, "same"), 6)
    still = runfolder.branch(parent.run_dir, renamed(cfg, "still", optim={"lr": 1e-12, "weight_decay": 0}), 6)
    before = weights(parent.run_dir)
    assert all(event["step"] <= 6 for event in read_events(same))
    for name in ("same", "still"):
        over = {"optim": {"lr": 1e-12, "weight_decay": 0}} if name == "still" else {}
        train(renamed(cfg, name, **over), resume=True)
    alone = train(cfg, resume=True)
    a, b = weights(alone.run_dir), weights(same)
    assert all(torch.equal(a[key], b[key]) for key in a), "with the parent's config it is the parent"
    moved = weights(still)
    trained = [key for key in before if before[key].is_floating_point() and not torch.equal(a[key], before[key])]
    assert trained
    assert all(torch.allclose(moved[key], before[key], atol=1e-9) for key in trained), "a rate of nothing moves nothing"
    with pytest.raises(UserError, match="has no checkpoint step_00000007"):
        runfolder.branch(parent.run_dir, renamed(cfg, "other"), 7)


def sweep(tmp_path: Path, values: dict[str, Any], name: str, **over: Any) -> SweepConfig:
    preset = {key: value for key, value in values.items() if key not in ("name", "out")}
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(preset))
    asked = {
        "train": str(tmp_path / "preset.yaml"),
        "out": str(tmp_path / name),
        "space": {"optim.lr": [1e-4, 3e-3, 1e-2]},
        "seeds": [0, 1],
        "metric": SCORE,
        "concurrent": 2,
        "scheduler": "asha",
        **over,
    }
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(asked))
    return load_sweep(str(path))


def test_trials_nest_in_the_sweeps_run(tmp_path: Path, values: dict[str, Any]) -> None:
    from sim2pose.trainers.mlflow_client import mlflow_client

    values["tracking"] = {"enabled": True}
    config = sweep(tmp_path, values, "nested", space={"optim.lr": [3e-3]}, scheduler="none")
    result = run_sweep(config, say=lambda line: None)
    assert [o.status for o in result.outcomes] == ["finished", "finished"]
    parent = json.loads((config.folder / "tracking.json").read_text())["run_id"]
    client = mlflow_client(f"sqlite:///{config.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("nested")
    runs = client.search_runs([experiment.experiment_id])
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]
    assert len(runs) == 3
    assert {run.data.tags["mlflow.runName"] for run in nested} == {o.name for o in result.outcomes}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert client.get_run(parent).data.metrics[f"best/{SCORE}"] == pytest.approx(result.standings[0].mean)


SCRIPT = (
    "import sys\nfrom sim2pose.tune.config import load_sweep\nfrom sim2pose.tune.sweep import run_sweep\n"
    "run_sweep(load_sweep(sys.argv[1]))\n"
)


@pytest.mark.soak
@pytest.mark.parametrize("scheduler", ["none", "asha", "pbt"])
def test_a_driver_killed_again_and_again_loses_and_repeats_nothing(
    tmp_path: Path, values: dict[str, Any], scheduler: str
) -> None:
    values |= {"steps": 360, "log_every": 20, "checkpoint": {"every": 20}}
    over: dict[str, Any] = {"scheduler": scheduler}
    if scheduler == "pbt":
        over = {
            "scheduler": {"kind": "pbt", "interval": 0.25},
            "samples": 4,
            "space": {"optim.lr": {"loguniform": [1e-4, 1e-2]}},
        }
    config = sweep(tmp_path, values, "killed", **over)
    for round_ in range(3):
        lines = len(Ledger(config.folder).reports) if config.folder.is_dir() else 0
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / "killed.yaml")])
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            moved = config.folder.is_dir() and len(Ledger(config.folder).reports) > lines
            begun = len(list(config.folder.glob("trials/*/checkpoints/step_*"))) > 3
            if moved or (round_ == 0 and begun):
                break
            time.sleep(0.05)
        time.sleep(0.4 * round_)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(3)  # its Ray ends by itself
    result = run_sweep(config, say=lambda line: None)
    assert not result.failed
    ledger = Ledger(config.folder)
    assert all(setting.ended in ("finished", "stopped") for setting in ledger.settings.values())
    told = [(name, report.tick, tuple(report.runs.values())) for name, report in ledger.reports]
    assert len(told) == len(set(told)), "no measurement comes twice"
    for outcome in result.outcomes:
        steps = [event["step"] for event in read_events(outcome.run_dir) if "loss/prior" in event["metrics"]]
        steps = steps or [event["step"] for event in read_events(outcome.run_dir)]
        assert steps == sorted(steps)
        whole = outcome.status == "finished"
        assert max(steps) == 360 if whole else max(steps) < 360
        seen = [e["step"] for e in read_events(outcome.run_dir) if "select/log_prob_per_dim" not in e["metrics"]]
        assert len(seen) == len(set(seen)), "no step is logged twice"
    if scheduler == "none":
        calm = run_sweep(sweep(tmp_path, values, "calm", **over), say=lambda line: None)
        assert [o.score for o in calm.outcomes] == [o.score for o in result.outcomes], "as if nothing had happened"


@pytest.mark.soak
def test_a_trial_of_two_ranks_is_a_ray_train_of_its_own(tmp_path: Path, values: dict[str, Any]) -> None:
    scheduler = {"kind": "asha", "rungs": 2, "reduction": 2}
    config = sweep(
        tmp_path, values, "ranks", space={"optim.lr": [1e-3]}, seeds=[0], ranks=2, concurrent=1, scheduler=scheduler
    )
    (outcome,) = run_sweep(config, say=lambda line: None).outcomes
    assert outcome.status == "finished"
    assert json.loads((outcome.run_dir / "done.json").read_text())["world"] == 2
