"""Sweeps: what a space expands to, how points are ranked, and that a folder holds one sweep that can go on."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim2pose.config import UserError
from sim2pose.datasets.locks import LOCK
from sim2pose.trainers import runfolder
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.runfolder import RunResult
from sim2pose.tune import ray_trials
from sim2pose.tune import sweep as sweeps
from sim2pose.tune.config import SWEEPS, SweepConfig, Trial, load_sweep, make_trials, trial_name
from sim2pose.tune.ranking import Score, rank, rows, verdict
from sim2pose.tune.ray_trials import TrainFunction
from sim2pose.tune.space import points
from sim2pose.tune.sweep import claim, run_sweep

WEIGHT = "adversarial.weight"


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A sweep over λ and the learning rate, on a preset of its own."""
    preset = {"steps": 5, "data": {"source": ["frames"], "val": {"target": "test"}}}
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(preset))
    return {
        "train": str(tmp_path / "preset.yaml"),
        "out": str(tmp_path / "sweep"),
        "fixed": {"batch": 8},
        "space": {WEIGHT: [0, 1e-3]},
        "seeds": [0, 1],
    }


def load(tmp_path: Path, values: dict[str, Any], *overrides: str) -> SweepConfig:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(values))
    return load_sweep(str(tmp_path / "sweep.yaml"), overrides)


def test_grid_is_crossed_in_the_order_of_the_file() -> None:
    found = points({"a": [1, 2], "b": ["x", "y"]}, 1, 0)
    assert found == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_draws_lie_in_their_range_and_stay_when_more_are_asked_for() -> None:
    space = {"lr": {"loguniform": [1e-5, 1e-2]}, "clip": {"uniform": [1, 2]}, "kind": {"choice": ["p", "q"]}}
    some, more = points(space, 4, 7), points(space, 200, 7)
    assert more[:4] == some
    assert points(space, 4, 8) != some
    assert [p["lr"] for p in points({"lr": space["lr"]}, 4, 7)] == [p["lr"] for p in some], "other keys do not matter"
    assert all(1e-5 <= p["lr"] <= 1e-2 and 1 <= p["clip"] <= 2 for p in more)
    assert {p["kind"] for p in more} == {"p", "q"}
    decades = [sum(10.0**-k <= p["lr"] < 10.0 ** (1 - k) for p in more) for k in (5, 4, 3)]
    assert min(decades) > 40, f"each decade gets its third of a log-uniform draw, got {decades}"
    small = [p["lr"] < 10.0**-5 * 10**0.1 for p in points({"lr": {"uniform": [1e-5, 1e-2]}}, 200, 7)]
    assert sum(small) < 3, "and hardly anything of a uniform one"


def test_every_draw_meets_the_whole_grid() -> None:
    found = points({WEIGHT: [0, 1], "optim.lr": {"uniform": [1, 2]}}, 3, 0)
    assert [p[WEIGHT] for p in found] == [0, 1] * 3
    assert all(found[i]["optim.lr"] == found[i + 1]["optim.lr"] for i in (0, 2, 4))
    assert list(found[0]) == [WEIGHT, "optim.lr"]


def test_trials_carry_their_point_seed_and_folder(tmp_path: Path, values: dict[str, Any]) -> None:
    config = load(tmp_path, values, "fixed.init_from=runs/source_{seed}", "cpus=2", f"space.{WEIGHT}=[0, 1e-4, 1e-3]")
    trials = make_trials(config)
    assert len(trials) == 6
    assert len({t.name for t in trials}) == 6
    last = trials[-1].config
    assert (last.adversarial.weight, last.seed, last.batch, last.steps, last.threads) == (1e-3, 1, 8, 5, 2)
    assert (last.runtime, last.workers, last.init_from) == ("local", 1, "runs/source_1")
    assert trials[-1].run_dir.parent == tmp_path / "sweep" / "trials"
    assert last.tracking.experiment == "sweep"
    assert last.tracking.uri == f"sqlite:///{tmp_path}/sweep/mlflow.db"
    assert trial_name({WEIGHT: 0}, 1) == trial_name({WEIGHT: 0.0}, 1) != trial_name({WEIGHT: 0.1}, 1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"space": {"adversarial.wieght": [0]}}, "unknown key 'adversarial.wieght': did you mean 'weight'"),
        ({"space": {}}, "nothing varies"),
        ({"space": {WEIGHT: 0.1}}, "adversarial.weight must be a list.*belongs in fixed"),
        ({"space": {WEIGHT: [0, 0]}}, "must list different values"),
        ({"space": {"optim.lr": {"loguniform": [0, 1]}}, "samples": 2}, "loguniform needs low > 0"),
        ({"space": {"optim.lr": {"uniform": [1, 0]}}, "samples": 2}, "low < high"),
        ({"space": {"optim.lr": {"logunifrm": [1, 2]}}, "samples": 2}, "did you mean 'loguniform'"),
        ({"space": {"optim.lr": {"uniform": [1, 2]}}}, "samples=N"),
        ({"samples": 3}, "leave it out"),
        ({"space": {"seed": [1, 2]}}, "'seed' cannot be set by a sweep"),
        ({"fixed": {"runtime": "ray"}}, "a trial trains in one process"),
        ({"fixed": {WEIGHT: 1}}, "both fixed and in the space"),
        ({"seeds": [1, 1]}, "seeds must be different"),
        ({"control": {WEIGHT: 3}}, "control adversarial.weight=3 is not in the space"),
        ({"metric": "targt/AP"}, "needs a validation folder 'targt'.*did you mean 'target'"),
        ({"train": "infant_sorce"}, "did you mean 'infant_source'"),
        ({"tran": "x"}, "unknown key 'tran': did you mean 'train'"),
    ],
)
def test_mistakes_are_named_before_anything_trains(
    tmp_path: Path, values: dict[str, Any], change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        make_trials(load(tmp_path, values | change))


def test_a_training_key_given_as_one_of_the_sweep_is_explained(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"write fixed\.data"):
        load(tmp_path, values, "data.source=x")


@pytest.mark.parametrize("name", sorted(p.stem for p in SWEEPS.glob("*.yaml")))
def test_sweeps_of_the_house_resolve(name: str) -> None:
    config = load_sweep(name, ["fixed.data.source=a", "fixed.data.target=b", "fixed.data.val={source: c, target: d}"])
    trials = make_trials(config)
    assert len(trials) == len(config.points()) * len(config.seeds)
    assert len(config.seeds) >= 3
    if name == "lambda":
        assert [t.config.adversarial.weight for t in trials[::3]] == [0, 1e-4, 5e-4, 1e-3, 1e-2]
        assert {t.config.adversarial.method for t in trials} == {"fidip"}, (
            "λ = 0 keeps the classifier: the same batches"
        )


def scored(**by_point: list[float]) -> tuple[list[dict[str, Any]], list[Score]]:
    found = [{"w": name} for name in by_point]
    return found, [Score({"w": n}, s, v) for n, scores in by_point.items() for s, v in enumerate(scores)]


def test_points_are_ranked_by_mean_not_by_a_lucky_seed() -> None:
    found, scores = scored(lucky=[0.9, 0.1, 0.1], steady=[0.4, 0.5, 0.45], short=[0.8, 0.8])
    standings = rank(found, [0, 1, 2], scores, "max")
    assert [(s.rank, s.point["w"]) for s in standings] == [(1, "steady"), (2, "lucky"), (None, "short")]
    best, lucky, short = standings
    assert best.mean == pytest.approx(0.45)
    assert best.sd == pytest.approx(0.05)
    assert lucky.sd == pytest.approx(0.4619, abs=1e-4), "sample deviation"
    assert lucky.to_best is not None
    assert lucky.to_best.mean == pytest.approx(0.45 - 0.45 - 0.45 + 1.1 / 3)
    assert lucky.like_best, "its seeds spread too far to tell"
    assert short.mean == pytest.approx(0.8)
    assert not short.like_best
    assert rank(found, [0, 1, 2], scores, "min")[0].point["w"] == "lucky"
    table = rows(standings, 3)
    assert table[0][:4] == (1, "w=steady", "0.4500 ± 0.0500", "3/3")
    assert table[1][1] == "w=lucky *"
    assert table[2][3] == "2/3"


def test_paired_seeds_tell_apart_what_spreads_cannot() -> None:
    """Every seed gains .01, while seeds differ by .2: unpaired they overlap, pair by pair they do not."""
    found, scores = scored(plain=[0.3, 0.5, 0.4], better=[0.31, 0.51, 0.4101])
    standings = rank(found, [0, 1, 2], scores, "max", {"w": "plain"})
    best, plain = standings
    assert best.point["w"] == "better"
    assert best.to_control is not None
    assert plain.to_control is None
    assert best.to_control.mean == pytest.approx(0.01003, abs=1e-5)
    assert best.to_control.excludes_zero()
    assert not plain.like_best
    assert "over 3 seeds" in verdict(standings, "AP", 3)


def test_the_verdict_says_what_the_seeds_cannot_tell() -> None:
    found, scores = scored(a=[0.40, 0.42], b=[0.41, 0.40])
    standings = rank(found, [0, 1], scores, "max")
    assert verdict(standings, "AP", 2).startswith("best AP 0.41 ± 0.014 at w=a; 2 seeds do not tell it from w=b")
    single = rank(found, [0], scores, "max")
    assert single[0].sd is None
    assert "one seed does not rank" in verdict(single, "AP", 1)
    assert "nothing is ranked" in verdict(rank(found, [0, 1, 2], scores, "max"), "AP", 3)


def test_another_sweep_in_the_folder_is_refused_by_its_key(tmp_path: Path, values: dict[str, Any]) -> None:
    first = load(tmp_path, values)
    first.folder.mkdir()
    claim(first)
    claim(load(tmp_path, values, "seeds=[0,1,2]", "concurrent=4", "metric=target/oks", f"control.{WEIGHT}=0"))
    for override, key in (
        (f"space.{WEIGHT}=[0, 1]", rf"differs in space\.{WEIGHT}:"),
        ("fixed.batch=16", r"differs in fixed\.batch:"),
        ("cpus=2", r"differs in cpus:"),
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


def stub(log: Path, flaw: str = "") -> TrainFunction:
    """A train function whose score is λ·100 + seed/10; ``flaw`` says what goes wrong where λ > 0 and the seed is 1."""

    def train(cfg: KeypointConfig, resume: bool) -> RunResult:
        run_dir = runfolder.prepare(cfg, resume)
        with log.open("a") as file:
            file.write(f"{cfg.adversarial.weight:g} {cfg.seed} {'resumed' if resume else 'fresh'} {os.getcwd()}\n")
        flawed = cfg.adversarial.weight > 0 and cfg.seed == 1
        if flawed and flaw == "raise":
            raise RuntimeError("loss is not finite\nat step 3")
        if flawed and flaw == "die" and not resume:
            os._exit(7)
        score = cfg.adversarial.weight * 100 + cfg.seed / 10
        done = {"metrics": {"target/AP": score}, "stopped": None, "samples_per_second": 1.0}
        runfolder.finish(run_dir, cfg.name, done)
        return RunResult(run_dir, {"target/AP": score})

    return train


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials one after another in this process: everything but Ray."""

    def run_trials(config: SweepConfig, todo: list[Trial], on_end: Any, train: TrainFunction | None) -> None:
        configs = {trial.name: trial.config.model_dump(mode="json") for trial in todo}
        for trial in todo:
            ray_trials._trial({"trial": trial.name}, configs, str(config.folder), train)
            on_end(trial.name)

    monkeypatch.setattr(sweeps, "run_trials", run_trials)


@pytest.mark.usefixtures("in_process")
def test_failures_are_named_and_a_restart_trains_only_what_is_missing(tmp_path: Path, values: dict[str, Any]) -> None:
    log, said = tmp_path / "log", list[str]()
    config = load(tmp_path, values)
    result = run_sweep(config, stub(log, "raise"), said.append)
    assert [o.status for o in result.outcomes] == ["finished", "finished", "finished", "failed"]
    (failed,) = result.failed
    assert failed.trial.seed == 1
    assert failed.note == "RuntimeError: loss is not finite at step 3"
    assert "Traceback" in (config.folder / "failed" / f"{failed.trial.name}.txt").read_text()
    assert [(s.rank, s.point[WEIGHT]) for s in result.standings] == [(1, 0), (None, 1e-3)]
    assert [s.mean for s in result.standings] == pytest.approx([0.05, 0.1])
    assert any(failed.trial.name in line and "loss is not finite" in line for line in said)
    assert len(log.read_text().splitlines()) == 4

    again = run_sweep(load(tmp_path, values), stub(log), said.append)
    assert [line.split()[:3] for line in log.read_text().splitlines()[4:]] == [["0.001", "1", "resumed"]]
    assert not again.failed
    assert [s.point[WEIGHT] for s in again.standings] == [1e-3, 0]
    written = json.loads((config.folder / "sweep.json").read_text())
    assert written["ranking"][0]["mean"] == pytest.approx(0.15)
    assert written["ranking"][0]["scores"] == pytest.approx({"0": 0.1, "1": 0.2})
    assert len(written["trials"]) == 4

    run_sweep(load(tmp_path, values), stub(log), said.append)
    assert len(log.read_text().splitlines()) == 5, "a finished sweep trains nothing"
    run_sweep(load(tmp_path, values, "seeds=[0,1,2]"), stub(log), said.append)
    assert [line.split()[:3] for line in log.read_text().splitlines()[5:]] == [
        ["0", "2", "fresh"],
        ["0.001", "2", "fresh"],
    ]


@pytest.mark.usefixtures("in_process")
def test_a_metric_that_was_not_measured_fails_its_trials(tmp_path: Path, values: dict[str, Any]) -> None:
    result = run_sweep(load(tmp_path, values, "metric=target/APP"), stub(tmp_path / "log"), lambda line: None)
    assert {o.note for o in result.failed} == {"no metric 'target/APP': did you mean 'target/AP'?"}
    assert "nothing is ranked" in result.verdict


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    from sim2pose.render_farm.farm.ray_session import ray_session

    with ray_session(num_cpus=2):
        yield


@pytest.mark.usefixtures("ray_cluster")
def test_tune_runs_every_trial_once_and_none_stops_another(tmp_path: Path, values: dict[str, Any]) -> None:
    log = tmp_path / "log"
    config = load(tmp_path, values, "concurrent=2", "seeds=[1]")
    result = run_sweep(config, stub(log, "raise"), lambda line: None)
    assert [o.status for o in result.outcomes] == ["finished", "failed"]
    trained = [line.split() for line in log.read_text().splitlines()]
    assert sorted(line[:3] for line in trained) == [["0", "1", "fresh"], ["0.001", "1", "fresh"]], "no useless retry"
    assert {line[3] for line in trained} == {os.getcwd()}, "relative paths mean the same as in the command"
    assert not (config.folder / ".ray").exists()


@pytest.mark.soak
@pytest.mark.usefixtures("ray_cluster")
def test_a_lost_process_is_started_again_from_its_run_folder(tmp_path: Path, values: dict[str, Any]) -> None:
    log = tmp_path / "log"
    result = run_sweep(load(tmp_path, values), stub(log, "die"), lambda line: None)
    assert not result.failed
    assert len(result.standings[0].scores) == 2
    trained = [line.split()[:3] for line in log.read_text().splitlines()]
    assert trained[-2:] == [["0.001", "1", "fresh"], ["0.001", "1", "resumed"]]


@pytest.mark.soak
@pytest.mark.usefixtures("ray_cluster")
def test_a_trial_lost_too_often_is_named(tmp_path: Path, values: dict[str, Any]) -> None:
    config = load(tmp_path, values, "max_failures=0", "seeds=[1]", f"space.{WEIGHT}=[1e-3]")
    result = run_sweep(config, stub(tmp_path / "log", "die"), lambda line: None)
    assert len(result.failed) == 1
    assert "its process was lost" in (result.failed[0].note or "")
