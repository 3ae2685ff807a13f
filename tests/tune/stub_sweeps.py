"""Sweeps whose trainings take no time: what they score follows from λ and the seed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import yaml

from sim2pose.trainers import runfolder
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.runfolder import RunResult
from sim2pose.tune.config import SweepConfig, load_sweep
from sim2pose.tune.desk import TrainFunction

WEIGHT = "adversarial.weight"


def load(tmp_path: Path, values: dict[str, Any], *overrides: str) -> SweepConfig:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(values))
    return load_sweep(str(tmp_path / "sweep.yaml"), overrides)


def stub(log: Path, flaw: str = "") -> TrainFunction:
    """A train function whose score is λ·100 + seed/10, all of it from the first pause on; ``flaw`` says what goes wrong
    where λ > 0 and the seed is 1.
    """

    def train(cfg: KeypointConfig, resume: bool, until: float | None) -> RunResult:
        run_dir = runfolder.prepare(cfg, resume)
        with log.open("a") as file:
            word = "resumed" if resume else "fresh"
            file.write(f"{cfg.adversarial.weight:g} {cfg.seed} {word} {until or 1:.2f} {os.getpid()} {os.getcwd()}\n")
        if flaw == "slow":
            time.sleep(3)
        flawed = cfg.adversarial.weight > 0 and cfg.seed == 1
        if flawed and flaw == "raise":
            raise RuntimeError("loss is not finite\nat step 3")
        if flawed and flaw == "die" and not resume:
            os._exit(7)
        metrics = {"target/AP": cfg.adversarial.weight * 100 + cfg.seed / 10}
        if until is None:
            runfolder.finish(
                run_dir, cfg.name, {"step": 900, "metrics": metrics, "stopped": None, "samples_per_second": 1}
            )
        else:
            step = round(900 * until)
            (run_dir / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)
            runfolder.pause(run_dir, cfg.name, step, 900, metrics)
        found = runfolder.result(run_dir) or runfolder.paused(run_dir)
        assert found is not None
        return found

    return train


def lines(log: Path) -> list[list[str]]:
    """λ, seed, fresh or resumed, share: a line each time a run was trained."""
    return [line.split()[:4] for line in log.read_text().splitlines()] if log.is_file() else []
