"""Kill -9 of a Ray worker and of the driver: the run ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from sim2pose.config import UserError, dump_yaml, merge, validate
from sim2pose.trainers import checkpoints, runfolder
from sim2pose.trainers.events import read_events
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.runtimes import train
from sim2pose.trainers.updates import NonFiniteLoss

pytestmark = pytest.mark.soak

SCRIPT = (
    "import sys\nfrom sim2pose.config import load_config\nfrom sim2pose.trainers.keypoint_config import KeypointConfig\n"
    "from sim2pose.trainers.runtimes import train\n"
    "train(load_config(KeypointConfig, sys.argv[1]), resume='--resume' in sys.argv)\n"
)


def final(run_dir: Path) -> dict[str, torch.Tensor]:
    found = checkpoints.newest(run_dir / "checkpoints")
    assert found is not None
    return {f"{n}.{k}": v for n, m in found.modules.items() for k, v in m.items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def launch(cfg: KeypointConfig, tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a training in a process of its own."""
    preset = tmp_path / f"{cfg.name}.yaml"
    preset.write_text(dump_yaml(cfg))
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(preset), *arguments], env=env)


def wait_for(run_dir: Path, count: int, process: subprocess.Popen[bytes] | None = None, timeout: float = 240) -> None:
    """Wait until the run has its ``count``-th checkpoint."""
    deadline = time.monotonic() + timeout
    while len(checkpoints.folders(run_dir / "checkpoints")) < count:
        assert time.monotonic() < deadline, "no checkpoint came"
        assert process is None or process.poll() is None, "the training ended before it was killed"
        time.sleep(0.02)


def long_run(values: dict[str, Any], **changes: Any) -> KeypointConfig:
    base = {"steps": 60, "threads": 1, "checkpoint": {"every": 5, "keep": 100}, "log_every": 5}
    return validate(KeypointConfig, merge(merge(values, base), changes))


@pytest.mark.parametrize("seed", range(3))
def test_killed_drivers_resume_bitwise(values: dict[str, Any], tmp_path: Path, seed: int) -> None:
    """Killed again and again at odd moments, also while a checkpoint is written."""
    whole = long_run(values, name="whole", seed=seed)
    train(whole)
    parts = long_run(values, name="parts", seed=seed)
    run_dir = Path(parts.out) / "parts"
    process = launch(parts, tmp_path)
    for count in (2, 5, 9):
        wait_for(run_dir, count, process)
        time.sleep(0.05 * seed)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = launch(parts, tmp_path, "--resume")
    assert process.wait(timeout=240) == 0
    assert same(final(Path(whole.out) / "whole"), final(run_dir))
    steps = [e["step"] for e in read_events(run_dir) if "train/loss_pose" in e["metrics"]]
    assert steps == sorted(set(steps)), "events of lost steps are dropped and written again"


def ray_worker() -> psutil.Process | None:
    """A Ray Train worker process among the descendants of this process."""
    for process in psutil.Process().children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(process.cmdline()):
                return process
        except psutil.Error:
            continue
    return None


def test_a_killed_ray_worker_costs_one_interval(values: dict[str, Any], record_property: Any) -> None:
    undisturbed = long_run(values, name="undisturbed", runtime="ray", workers=2, steps=200)
    train(undisturbed)
    cfg = long_run(values, name="disturbed", runtime="ray", workers=2, steps=200, log_every=1)
    run_dir = Path(cfg.out) / "disturbed"
    seen: dict[str, float] = {}

    def kill() -> None:
        wait_for(run_dir, 3)
        victim = ray_worker()
        assert victim is not None
        victim.kill()
        seen["killed"] = time.time()
        seen["step"] = read_events(run_dir)[-1]["step"]
        log_file = run_dir / "log.txt"
        while "resumed from" not in log_file.read_text():
            time.sleep(0.02)
        seen["restored"] = time.time()
        while not (later := [e for e in read_events(run_dir) if e["time"] > seen["restored"]]):
            time.sleep(0.02)
        seen["back"], seen["from"] = later[0]["time"], later[0]["step"] - 1

    killer = threading.Thread(target=kill)
    killer.start()
    result = train(cfg)
    killer.join()
    record_property("seconds_to_training", seen["back"] - seen["killed"])
    print(f"killed at step {seen['step']}, state back after {seen['restored'] - seen['killed']:.1f} s, first step from")
    print(f"{seen['from']} after {seen['back'] - seen['killed']:.1f} s")
    assert seen["step"] - seen["from"] <= cfg.checkpoint.every, "more than one checkpoint interval was lost"
    assert result.stopped is None
    assert same(final(Path(undisturbed.out) / "undisturbed"), final(run_dir))


def kill_a_worker_after(run_dir: Path, prepare: Callable[[], None] = lambda: None) -> threading.Thread:
    """Once the run has a checkpoint: ``prepare``, then kill -9 one of its Ray workers."""

    def kill() -> None:
        wait_for(run_dir, 1)
        prepare()
        victim = ray_worker()
        assert victim is not None
        victim.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_after_max_failures_the_first_cause_is_told(
    values: dict[str, Any], frames: dict[str, str], tmp_path: Path
) -> None:
    """A data file that is damaged while a run is on: the restarted ranks cannot read it, and that reason ends the run."""
    source = tmp_path / "damaged"
    shutil.copytree(frames["source"], source)
    cfg = long_run(values, name="poisoned", runtime="ray", workers=2, max_failures=1, steps=5000)
    cfg = validate(KeypointConfig, merge(cfg.model_dump(), {"data": {"source": [str(source)]}}))

    def damage() -> None:
        shard = next(source.glob("*.parquet"))
        shard.write_bytes(shard.read_bytes()[:1000])

    thread = kill_a_worker_after(Path(cfg.out) / "poisoned", damage)
    with pytest.raises(UserError, match=r"damaged.*parquet"):
        train(cfg)
    thread.join()


def test_a_rank_that_keeps_dying_ends_the_run_with_the_way_on(values: dict[str, Any]) -> None:
    cfg = long_run(values, name="lost", runtime="ray", workers=2, max_failures=0, steps=5000)
    thread = kill_a_worker_after(Path(cfg.out) / "lost")
    with pytest.raises(RuntimeError, match=r"lost 1 times.*--resume"):
        train(cfg)
    thread.join()


def test_a_users_mistake_on_ray_ends_it_without_restarts(values: dict[str, Any], tmp_path: Path) -> None:
    """Every rank finds no data: each says so once."""
    cfg = long_run(values, name="mistaken", runtime="ray", workers=2, data={"source": [str(tmp_path / "nothing")]})
    with pytest.raises(UserError, match="no folder of frames at"):
        train(cfg)
    noted = runfolder.failures(Path(cfg.out) / "mistaken")
    assert sorted(f["rank"] for f in noted) == [0, 1]


def test_a_non_finite_loss_on_ray_ends_it_without_restarts(values: dict[str, Any]) -> None:
    cfg = long_run(values, name="diverged", runtime="ray", workers=2, optim={"lr": 1e30})
    with pytest.raises(NonFiniteLoss, match=r"frames \["):
        train(cfg)
    noted = runfolder.failures(Path(cfg.out) / "diverged")
    assert [f["kind"] for f in noted] == ["NonFiniteLoss"]
