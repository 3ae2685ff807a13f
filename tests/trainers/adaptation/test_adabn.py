"""AdaBN kept: the network that is saved has the target's statistics, and the run's figures are its."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sim2pose.config import UserError, merge, validate
from sim2pose.trainers import checkpoints
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.runtimes import train


def final(run_dir: Path) -> dict[str, dict[str, torch.Tensor]]:
    found = checkpoints.newest(run_dir / "checkpoints")
    assert found is not None
    return found.modules


def test_kept_statistics_are_those_that_were_reported(values: dict[str, Any], frames: dict[str, str]) -> None:
    common = {"data": {"val": {"target": frames["target_val"]}}, "adversarial": {"method": "none", "pre_steps": None}}
    runs = {
        adabn: train(validate(KeypointConfig, merge(values, {"name": adabn, "adabn": adabn, **common})))
        for adabn in ("off", "report", "keep")
    }
    assert runs["keep"].metrics["target/oks"] == pytest.approx(runs["report"].metrics["target_adabn/oks"], rel=1e-6)
    assert "target_adabn/oks" not in runs["off"].metrics
    plain, kept = final(runs["report"].run_dir)["pose"], final(runs["keep"].run_dir)["pose"]
    for name, value in plain.items():
        if name.endswith("running_mean"):
            assert not torch.equal(value, kept[name]), name
        elif "running" not in name and "num_batches" not in name:
            assert torch.equal(value, kept[name]), name


def test_without_a_target_there_is_nothing_to_keep(values: dict[str, Any]) -> None:
    change = {"adabn": "keep", "adversarial": {"method": "none"}, "data": {"target": []}}
    with pytest.raises(UserError, match=r"adabn=keep needs data\.target"):
        validate(KeypointConfig, merge(values, change))
