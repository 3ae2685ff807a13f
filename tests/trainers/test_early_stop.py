"""Early stopping of a real run: it ends as a run does that goes to its end, with all figures and a model to use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sim2pose.config import UserError, load_config, merge, validate
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.model_folder import load_model
from sim2pose.trainers.runtimes import train


def test_a_run_that_rises_no_more_ends_with_its_figures(values: dict[str, Any], frames: dict[str, str]) -> None:
    val = {"source": frames["source_val"], "target": frames["target_val"]}
    changes = {
        "steps": 20,
        "validate_every": 2,
        "optim": {"lr": 1e-9},  # nothing learns, so AP stays what it is
        "data": {"val": val},
        "early_stop": {"patience": 2},
        "checkpoint": {"best": 2, "every": 100},
        "stop_on_collapse": False,
    }
    cfg = validate(KeypointConfig, merge(values, changes))
    result = train(cfg)
    done = json.loads((result.run_dir / "done.json").read_text())
    assert done["step"] == 6, "two steps of the pre-phase, in which nothing is waited for; then two validations"
    assert result.stopped is not None and result.stopped.startswith(
        "early stop: target/AP has not risen in 2 validations"
    )
    for name in ("target_zero/oks", "target_mean_pose/oks", "source/AP"):
        assert name in result.metrics, "what the last validation of a run measures"
    assert (result.run_dir / "predictions" / "target.json").is_file()
    assert load_model(result.run_dir)[1].checkpoint == "step_00000002", "of equal scores the first"
    pointer = json.loads((result.run_dir / "best.json").read_text())
    assert [entry["step"] for entry in pointer["best"]] == [2, 4]
    assert train(cfg, resume=True).stopped == result.stopped


def test_early_stopping_needs_something_to_watch() -> None:
    with pytest.raises(UserError, match=r"early_stop.patience needs data.val"):
        load_config(KeypointConfig, None, ["name=x", "steps=3", "early_stop.patience=2"])
    kept = {"name": "x", "steps": 3, "adabn": "keep", "early_stop": {"patience": 2}}
    kept["data"] = {"target": "t", "val": {"target": "v"}}
    with pytest.raises(UserError, match="adabn=keep takes statistics after the last planned step"):
        validate(KeypointConfig, kept)
    with pytest.raises(UserError, match=r"unknown key 'early_stop.patient'"):
        load_config(KeypointConfig, None, ["name=x", "steps=3", "early_stop.patient=2"])
