"""What a sweep trains, fails, learns from, and goes on with; a folder holds one."""

from __future__ import annotations

import fcntl
import gc
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import UserError
from sim2pose.datasets.locks import LOCK
from sim2pose.tune import drive as drives
from sim2pose.tune.config import SweepConfig, preset_values
from sim2pose.tune.desk import Runner, TrainFunction
from sim2pose.tune.ledger import Ledger
from sim2pose.tune.search import Proposals
from sim2pose.tune.setting import START, VALUE, Plan, begin, measurements
from sim2pose.tune.sweep import claim, run_sweep

from .stub_sweeps import WEIGHT, lines, load, stub


def test_another_sweep_in_the_folder_is_refused_by_its_key(tmp_path: Path, values: dict[str, Any]) -> None:
    first = load(tmp_path, values)
    first.folder.mkdir()
    claim(first)
    claim(load(tmp_path, values, "seeds=[0,1,2]", "concurrent=4", "metric=target/oks", f"control.{WEIGHT}=0"))
    for override, key in (
        (f"space.{WEIGHT}=[0, 1]", rf"differs in space\.{WEIGHT}:"),
        ("fixed.batch=16", r"differs in fixed\.batch:"),
        ("scheduler=asha", r"differs in .*scheduler\.kind"),
    ):
        with pytest.raises(UserError, match=key):
            claim(load(tmp_path, values, override))
    preset = Path(values["train"])
    preset.write_text(preset.read_text().replace("steps: 5", "steps: 6"))
    with pytest.raises(UserError, match=r"preset\.yaml: steps"):
        claim(load(tmp_path, values))


def test_one_process_at_a_time(tmp_path: Path, values: dict[str, Any]) -> None:
    config = load(tmp_path, values)
    config.folder.mkdir()
    with (config.folder / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="in use by another process"):
            run_sweep(config)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings one after another in this process: everything but Ray."""

    def drive(
        config: SweepConfig, ledger: Ledger, proposals: Proposals, on_report: Any, on_end: Any, train: TrainFunction
    ) -> None:
        plan = Plan(config.plain(), preset_values(config), config.shares, config.times, (config.metric,))
        runner = Runner(train)
        while isinstance(suggested := proposals.suggest("trial"), dict):
            params = suggested[START]
            name = params["setting"]
            stand, parents = begin(params, plan, "trial", None)
            runs = measurements(params["point"], plan, stand, parents, lambda jobs: [runner.run(job) for job in jobs])
            for message, _ in runs:
                if VALUE in message and ledger.report(name, drives.read_report(message)):
                    on_report(name)
            if "failed" in message or message["ended"]:
                ledger.end(name, *(("failed", message["failed"]) if "failed" in message else ("finished",)))
                on_end(name)

    monkeypatch.setattr(drives, "drive", drive)
    monkeypatch.setattr(gc, "collect", lambda: 0)  # between runs; of all that tests have loaded it takes long


@pytest.mark.usefixtures("in_process")
def test_failures_are_named_and_a_restart_trains_only_what_is_missing(tmp_path: Path, values: dict[str, Any]) -> None:
    log, said = tmp_path / "log", list[str]()
    config = load(tmp_path, values)
    result = run_sweep(config, stub(log, "raise"), said.append)
    assert [o.status for o in result.outcomes] == ["finished", "finished", "finished", "failed"]
    (failed,) = result.failed
    assert failed.seed == 1
    assert failed.note == "RuntimeError: loss is not finite at step 3"
    assert "Traceback" in (config.folder / "failed" / f"{failed.name}.txt").read_text()
    assert [(s.rank, s.point[WEIGHT]) for s in result.standings] == [(1, 0), (None, 1e-3)]
    assert [s.mean for s in result.standings] == pytest.approx([0.05, 0.1])
    assert any(failed.name in line and "loss is not finite" in line for line in said)
    assert len(lines(log)) == 4

    again = run_sweep(load(tmp_path, values), stub(log), said.append)
    assert lines(log)[4:] == [["0.001", "1", "resumed", "1.00"]]
    assert not again.failed
    assert [s.point[WEIGHT] for s in again.standings] == [1e-3, 0]
    assert again.chosen is not None
    assert (again.chosen.point[WEIGHT], again.chosen.seed) == (1e-3, 0), "the lower of two: no lucky seed"
    written = json.loads((config.folder / "sweep.json").read_text())
    assert written["ranking"][0]["mean"] == pytest.approx(0.15)
    assert written["ranking"][0]["scores"] == pytest.approx({"0": 0.1, "1": 0.2})
    assert len(written["trials"]) == 4

    run_sweep(load(tmp_path, values), stub(log), said.append)
    assert len(lines(log)) == 5, "a finished sweep trains nothing"
    more = run_sweep(load(tmp_path, values, "seeds=[0,1,2]"), stub(log), said.append)
    assert lines(log)[5:] == [["0", "2", "fresh", "1.00"], ["0.001", "2", "fresh", "1.00"]]
    assert len(more.standings[0].scores) == 3


@pytest.mark.usefixtures("in_process")
def test_a_metric_that_was_not_measured_fails_its_trials(tmp_path: Path, values: dict[str, Any]) -> None:
    result = run_sweep(load(tmp_path, values, "metric=target/APP"), stub(tmp_path / "log"), lambda line: None)
    assert {o.note for o in result.failed} == {"no metric 'target/APP': did you mean 'target/AP'?"}
    assert "nothing is ranked" in result.verdict


@pytest.mark.usefixtures("in_process")
def test_optuna_learns_goes_on_after_a_kill_and_from_an_earlier_sweep(tmp_path: Path, values: dict[str, Any]) -> None:
    values |= {"search": "optuna", "samples": 20, "seeds": [0], "space": {WEIGHT: {"uniform": [0, 1]}}}
    log = tmp_path / "log"
    result = run_sweep(load(tmp_path, values), stub(log), lambda line: None)
    weights = [float(line[0]) for line in lines(log)]
    assert len(set(weights)) == 20
    assert sum(weights[12:]) / 8 > sum(weights[:6]) / 6 + 0.2, "the score rises with λ, and so do the suggestions"
    assert result.standings[0].point[WEIGHT] == max(weights)

    config = load(tmp_path, values, f"out={tmp_path / 'killed'}")
    begun = Ledger(run_sweep(config, stub(log), lambda line: None).folder)
    cut = begun.path.read_text().splitlines(keepends=True)
    last = max(i for i, line in enumerate(cut[:20]) if "proposed" in line)
    begun.path.write_text("".join(cut[: last + 1]) + '{"event": "meas')
    count = len(lines(log))
    run_sweep(config, stub(log), lambda line: None)
    names = [json.loads(line)["setting"] for line in begun.path.read_text().splitlines() if "proposed" in line]
    assert len(set(names)) == len(names) == 20, "what was proposed before the kill counts, and none comes twice"
    assert len(lines(log)[count:]) <= 20 - last // 3, "what was trained before the kill is not trained again"

    values["warm_start"] = [str(tmp_path / "sweep")]
    warm = load(tmp_path, values, f"out={tmp_path / 'warm'}", "samples=2")
    count = len(lines(log))
    run_sweep(warm, stub(log), lambda line: None)
    assert all(float(line[0]) > 0.5 for line in lines(log)[count:]), "an earlier sweep told where to look"
    with pytest.raises(UserError, match="holds no sweep"):
        run_sweep(load(tmp_path, values, f"warm_start=[{tmp_path}]", f"out={tmp_path / 'x'}"), stub(log))


@pytest.mark.usefixtures("in_process")
def test_asha_trains_each_rung_once_and_a_restart_knows_who_was_let_on(tmp_path: Path, values: dict[str, Any]) -> None:
    values |= {"space": {WEIGHT: [i / 1000 for i in range(9)]}, "scheduler": "asha"}
    whole = run_sweep(load(tmp_path, values), stub(tmp_path / "whole"), lambda line: None)
    assert whole.standings[0].point == {WEIGHT: 0.008}
    shares = Counter(share for *_, share in lines(tmp_path / "whole"))
    assert shares["0.11"] == 18
    assert 6 <= shares["0.33"] <= 12, "one in three, and who was among them when there were fewer"
    assert 2 <= shares["1.00"] <= 4
    ended = Counter(setting.ended for setting in whole.settings)
    assert ended["finished"] * 2 == shares["1.00"] and ended["stopped"] == 9 - ended["finished"]

    again, log = load(tmp_path, values, f"out={tmp_path / 'again'}"), tmp_path / "again.log"

    def killed(line: str) -> None:
        if line.startswith("weight"):
            raise KeyboardInterrupt

    for _ in range(sum(shares.values()) // 2):
        with pytest.raises(KeyboardInterrupt):
            run_sweep(again, stub(log), killed)
    result = run_sweep(again, stub(log), killed)
    assert sorted(map(tuple, lines(log))) == sorted(map(tuple, lines(tmp_path / "whole")))
    assert [s.record() for s in result.standings] == [s.record() for s in whole.standings]
