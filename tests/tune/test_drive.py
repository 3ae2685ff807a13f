"""Ray Tune: how many settings it keeps in training, what it ends and exchanges, what it says at once."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import UserError
from sim2pose.tune.config import SweepConfig, load_sweep
from sim2pose.tune.drive import settings_at_a_time
from sim2pose.tune.sweep import run_sweep

from .stub_sweeps import WEIGHT, lines, load, stub

SETTINGS = 6


def presets(concurrent: int, seeds: int) -> SweepConfig:
    return load_sweep("lambda", [f"concurrent={concurrent}", f"seeds={list(range(seeds))}"])


@pytest.mark.parametrize(("concurrent", "seeds"), itertools.product(range(1, 8), (1, 2, 3, 5)))
def test_no_slot_is_idle_while_runs_are_left(concurrent: int, seeds: int) -> None:
    """Runs of equal length, first come first served; a setting makes room for the next when its last seed is done."""
    admitted = settings_at_a_time(presets(concurrent, seeds))
    queue: list[int] = []
    running: list[int] = []
    left = Counter[int]()
    begun = 0
    while begun < SETTINGS or left:
        while begun < SETTINGS and len(left) < admitted:
            left[begun] = seeds
            queue += [begun] * seeds
            begun += 1
        while queue and len(running) < concurrent:
            running.append(queue.pop(0))
        ahead = left.total() + seeds * (SETTINGS - begun)
        assert len(running) == min(concurrent, ahead)
        done = running.pop(0)
        left[done] -= 1
        left = +left


@pytest.mark.parametrize(("concurrent", "seeds", "settings"), [(2, 3, 2), (1, 3, 1), (8, 3, 4), (4, 1, 4)])
def test_no_more_settings_are_begun_than_that_takes(concurrent: int, seeds: int, settings: int) -> None:
    """A search learns from settings that have ended."""
    assert settings_at_a_time(presets(concurrent, seeds)) == settings


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    from sim2pose.render_farm.farm.ray_session import ray_session

    with ray_session(num_cpus=2):
        yield


@pytest.mark.usefixtures("ray_cluster")
def test_asha_stops_whole_settings_by_the_mean_of_their_seeds(tmp_path: Path, values: dict[str, Any]) -> None:
    log = tmp_path / "log"
    values |= {"space": {WEIGHT: [0, 1e-3, 2e-3, 3e-3, 4e-3, 5e-3]}, "scheduler": "asha", "concurrent": 2}
    config = load(tmp_path, values)
    result = run_sweep(config, stub(log), lambda line: None)
    trained = lines(log)
    assert result.standings[0].point[WEIGHT] == 5e-3
    stopped = [s for s in result.standings if s.progress < 1]
    assert stopped, "and what was stopped has all its seeds"
    assert all(len(s.scores) == 2 and s.rank is None for s in stopped)
    assert len(trained) == len({(w, s, share) for w, s, _, share in trained}), "nothing is trained twice"
    assert sum(share == "0.11" for *_, share in trained) == 12
    assert sum(share == "1.00" for *_, share in trained) < 12
    assert len({line.split()[4] for line in log.read_text().splitlines()}) == 2, "by two processes, kept warm"
    assert {line.split()[5] for line in log.read_text().splitlines()} == {os.getcwd()}, "in the command's own folder"
    again = run_sweep(config, stub(log), lambda line: None)
    assert len(lines(log)) == len(trained), "what was stopped stays stopped"
    assert [s.name for s in again.standings] == [s.name for s in result.standings]
    assert not (config.folder / ".ray").exists()


@pytest.mark.usefixtures("ray_cluster")
def test_a_population_takes_over_its_best(tmp_path: Path, values: dict[str, Any]) -> None:
    log = tmp_path / "log"
    values |= {"space": {WEIGHT: {"uniform": [0.001, 0.1]}}, "samples": 4, "seeds": [0], "concurrent": 2}
    values["scheduler"] = {"kind": "pbt", "interval": 0.25}
    result = run_sweep(load(tmp_path, values), stub(log), lambda line: None)
    assert [s.rank for s in result.standings] == [1, 2, 3, 4]
    branched = [o for o in result.outcomes if "_from0_" not in o.name]
    assert branched, "a poor member goes on from another's run, with another point"
    first = {s.name: s.point for s in result.settings}
    for outcome in branched:
        assert 0.001 <= outcome.point[WEIGHT] <= 0.1
        assert outcome.point != first[outcome.setting]
        checkpoints = sorted(p.name for p in (outcome.run_dir / "checkpoints").iterdir())
        assert len(checkpoints) >= 1


@pytest.mark.soak
@pytest.mark.usefixtures("ray_cluster")
def test_a_lost_process_is_started_again_from_its_run_folder(tmp_path: Path, values: dict[str, Any]) -> None:
    log = tmp_path / "log"
    result = run_sweep(load(tmp_path, values), stub(log, "die"), lambda line: None)
    assert not result.failed
    assert len(result.standings[0].scores) == 2
    unlucky = [line[2] for line in lines(log) if line[:2] == ["0.001", "1"]]
    assert unlucky == ["fresh", "resumed"]
    lost = load(tmp_path, values, "max_failures=0", "seeds=[1]", f"space.{WEIGHT}=[1e-3]", f"out={tmp_path / 'lost'}")
    failed = run_sweep(lost, stub(tmp_path / "log", "die"), lambda line: None).failed
    assert len(failed) == 1
    assert "its process was lost" in (failed[0].note or "")


@pytest.mark.soak
@pytest.mark.usefixtures("ray_cluster")
def test_a_sweep_out_of_time_goes_on_with_the_same_command(tmp_path: Path, values: dict[str, Any]) -> None:
    values |= {"space": {WEIGHT: [0, 1e-3, 2e-3, 3e-3]}, "seeds": [0], "scheduler": "asha"}
    log = tmp_path / "log"
    part = run_sweep(load(tmp_path, values, f"hours={3 / 3600}"), stub(log, "slow"), lambda line: None)
    assert any(outcome.status == "missing" for outcome in part.outcomes)
    assert all(setting.ended != "stopped" for setting in part.settings), "the clock ended them, no scheduler"
    whole = run_sweep(load(tmp_path, values), stub(log), lambda line: None)
    assert all(setting.ended in ("finished", "stopped") for setting in whole.settings)
    assert whole.standings[0].rank == 1


@pytest.mark.usefixtures("ray_cluster")
def test_what_the_cluster_lacks_is_said_before_anything_waits(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"needs 1 × gpus=2, but this machine has 0 GPUs: lower gpus"):
        run_sweep(load(tmp_path, values, "gpus=2"), stub(tmp_path / "log"))
    with pytest.raises(UserError, match=r"needs 1 × cpus=64, but this machine has 2 CPUs"):
        run_sweep(load(tmp_path, values, "cpus=64", f"out={tmp_path / 'b'}"), stub(tmp_path / "log"))
