"""``train``: run folders that are not mixed up, and the same losses whatever starts the ranks."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import UserError, dump_yaml, merge, parse_yaml, validate
from sim2pose.trainers import runfolder
from sim2pose.trainers.events import read_events
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.keypoints import KeypointTask
from sim2pose.trainers.runtimes import train

QUICK = {"steps": 4, "adversarial": {"method": "none"}, "checkpoint": {"every": 2}}


def config(values: dict[str, Any], **changes: Any) -> KeypointConfig:
    return validate(KeypointConfig, merge(merge(values, QUICK), changes))


def losses(run_dir: Path) -> list[float]:
    return [e["metrics"]["train/loss_pose"] for e in read_events(run_dir) if "train/loss_pose" in e["metrics"]]


def test_a_taken_name_is_refused_by_key_and_a_finished_run_says_so(
    values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    first = train(config(values))
    assert json.loads((first.run_dir / "done.json").read_text())["step"] == 4
    assert parse_yaml((first.run_dir / "config.yaml").read_text()) == config(values).model_dump(mode="json")
    with pytest.raises(UserError, match=r"differs in optim\.lr: choose a new name="):
        train(config(values, optim={"lr": 0.5}), resume=True)
    with pytest.raises(UserError, match=r"is finished: --resume it, or choose a new name="):
        train(config(values))
    with caplog.at_level(logging.WARNING):
        again = train(config(values), resume=True)
    assert "already finished" in caplog.text
    assert again == first


def test_an_unfinished_run_is_refused_without_resume(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: KeypointTask, step: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(KeypointTask, "finish_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config(values))
    with pytest.raises(UserError, match="has step_00000002: --resume it"):
        train(config(values))
    result = train(config(values, log_every=1, checkpoint={"every": 1}), resume=True)  # these may change
    assert result.best_checkpoint is not None
    assert result.best_checkpoint.name == "step_00000004"


def test_resuming_nothing_or_a_foreign_folder_is_refused(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        train(config(values), resume=True)
    (tmp_path / "runs" / "small").mkdir(parents=True)
    (tmp_path / "runs" / "small" / "thesis.txt").write_text("do not touch")
    with pytest.raises(UserError, match="no run folder"):
        train(config(values))


def test_a_collapsed_run_ends_early_with_the_reason(
    values: dict[str, Any], frames: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim2pose.trainers.collapse.VARIES", 1e9)
    data = {"val": {"source": frames["source_val"]}}
    result = train(config(values, data=data, steps=40, validate_every=20, stop_on_collapse=True))
    assert result.stopped is not None
    assert result.stopped.startswith("collapse")
    assert json.loads((result.run_dir / "done.json").read_text())["step"] == 20


def test_failures_keep_causes_in_order_and_leave_out_ranks_that_lost_a_peer(tmp_path: Path) -> None:
    assert runfolder.failures(tmp_path) == []
    runfolder.note_failure(tmp_path, 0, RuntimeError("[gloo/transport/tcp/pair.cc:544] Connection closed by peer"))
    runfolder.note_failure(tmp_path, 1, ValueError("the cause"))
    runfolder.note_failure(tmp_path, 0, KeyError("what followed"))
    assert [(f["rank"], f["kind"]) for f in runfolder.failures(tmp_path)] == [(1, "ValueError"), (0, "KeyError")]


def test_torchrun_gives_the_losses_of_one_process(values: dict[str, Any], tmp_path: Path) -> None:
    """One rank under torchrun: bitwise the same; its environment alone makes ``train`` take that way."""
    alone = train(config(values, threads=1))
    cfg = config(values, name="launched", threads=1)
    (tmp_path / "launched.yaml").write_text(dump_yaml(cfg))
    script = tmp_path / "launched.py"
    script.write_text(
        "import sys\nfrom sim2pose.config import load_config\nfrom sim2pose.trainers.keypoint_config import KeypointConfig\n"
        "from sim2pose.trainers.runtimes import train\nprint(train(load_config(KeypointConfig, sys.argv[1])).run_dir)\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(script), str(tmp_path / "launched.yaml")], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert losses(Path(cfg.out) / "launched") == losses(alone.run_dir)


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
def test_ray_gives_the_losses_of_one_process(values: dict[str, Any], workers: int) -> None:
    """One rank: bitwise. Two ranks: each normalises by its own half batch (BatchNorm), so only near."""
    alone = train(config(values, name="alone", threads=1))
    ranks = train(config(values, name="ranks", threads=1, runtime="ray", workers=workers))
    assert ranks.best_checkpoint is not None
    tolerance = 0.0 if workers == 1 else 0.2
    assert losses(ranks.run_dir) == pytest.approx(losses(alone.run_dir), rel=tolerance, abs=0)
