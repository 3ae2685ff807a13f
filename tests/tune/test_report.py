"""The sweep's page: which keys have a curve, where trials lie on it, and that the page holds what it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim2pose.trainers import runfolder
from sim2pose.trainers.events import EventLog
from sim2pose.tune.config import SweepConfig, load_sweep, make_trials
from sim2pose.tune.ledger import Ledger, Report
from sim2pose.tune.report import write_sweep_report
from sim2pose.tune.sensitivity import measured, numeric_keys, place, scale
from sim2pose.tune.sweep import Outcome, look, settings, write

COUNT = "data.source_frames"


@pytest.fixture
def sweep(tmp_path: Path) -> SweepConfig:
    """Two shares and all of the source, two kinds of augmentation, two seeds."""
    preset = {"steps": 5, "data": {"source": ["frames"], "val": {"target": "test"}}}
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(preset))
    values: dict[str, Any] = {
        "train": str(tmp_path / "preset.yaml"),
        "out": str(tmp_path / "sweep"),
        "space": {COUNT: [0.25, 0.5, None], "data.augment": ["mild", "strong"]},
        "control": {COUNT: None},
        "seeds": [0, 1],
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(values))
    return load_sweep(str(tmp_path / "sweep.yaml"))


def finish(sweep: SweepConfig) -> None:
    """Run folders as finished trials leave them: AP rises with the frames that were counted."""
    for trial in make_trials(sweep):
        run_dir = runfolder.prepare(trial.config, False)
        frames = 200.0 * (trial.point[COUNT] or 1)
        metrics = {"target/AP": frames / 1000 + trial.seed / 100, "source_frames": frames}
        EventLog(run_dir, 0).write(5, metrics)
        runfolder.finish(
            run_dir, trial.name, {"metrics": metrics, "step": 5, "stopped": None, "samples_per_second": 1.0}
        )


def test_the_learning_curve_stands_over_counted_frames(sweep: SweepConfig) -> None:
    finish(sweep)
    ledger = Ledger(sweep.folder)
    assert numeric_keys(sweep, settings(sweep, ledger)) == [COUNT]
    outcomes = [outcome for setting in settings(sweep, ledger) for outcome in look(sweep, setting)]
    assert sorted({place(outcome, COUNT) for outcome in outcomes}) == [50.0, 100.0, 200.0]
    page = write_sweep_report(sweep, write(sweep, Ledger(sweep.folder))).read_text()
    assert "How many synthetic frames does it take?" in page
    assert "source only + strong augmentation, source_frames 0.25 (2 seeds)" in page
    assert "0.055 ± 0.007" in page
    assert json.loads((sweep.folder / "sweep.json").read_text())["trials"][0]["metrics"]["source_frames"] == 50


def test_where_all_keys_are_drawn_a_setting_is_a_dot(sweep: SweepConfig) -> None:
    """Lines would join settings that differ in everything."""
    drawn = sweep.model_copy(update={"search": "random", "samples": 3})
    finish(drawn)
    page = write_sweep_report(drawn, write(drawn, Ledger(drawn.folder))).read_text()
    assert "a dot a setting, all other keys vary too" in page
    assert "a dot a run" not in page


def test_a_sweep_that_has_hardly_begun_has_a_page(sweep: SweepConfig) -> None:
    (sweep.folder).mkdir()
    page = write_sweep_report(sweep, write(sweep, Ledger(sweep.folder))).read_text()
    assert "nothing is ranked" in page
    assert "How many synthetic frames" not in page


def test_axes() -> None:
    assert scale({0.0, 1e-4, 1e-2}) == "symlog"
    assert scale({0.0, 0.1, 0.2}) == "linear"
    assert scale({100.0, 800.0}) == "log"
    assert scale({0.3, 0.4}) == "linear"
    assert scale({-1.0, 5.0}) == "linear"


def test_figures_of_one_rung_stand_in_one_line(tmp_path: Path) -> None:
    rungs = [
        Report(tick, share, value, {0: value - 0.1, 1: value + 0.1}, {}, {}, {}, {})
        for tick, share, value in ((1, 1 / 3, 0.4), (2, 1.0, 0.6))
    ]
    run = Outcome("s", "s_seed1", {}, 1, tmp_path, "finished", 0.7, {"target/AP": 0.7, "source/AP": 0.9})
    assert list(measured(run, rungs, "target/AP", "target/AP")) == [("at 33%", 0.5), ("at 100%", 0.7)]
    assert list(measured(run, rungs, "target/AP", "source/AP")) == [("at 100%", 0.9)]
    assert list(measured(run, [], "target/AP", "source/AP")) == [("", 0.9)]
    late = Outcome("s", "s_seed2", {}, 2, tmp_path, "missing")
    assert not list(measured(late, rungs, "target/AP", "target/AP"))
