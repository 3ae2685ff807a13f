"""Sweeps: what a file resolves to, what runs, and that a folder holds one sweep that can go on."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim2pose.config import PRESETS, UserError
from sim2pose.datasets.locks import LOCK
from sim2pose.trainers import runfolder
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.recipes import RECIPES
from sim2pose.trainers.runfolder import RunResult
from sim2pose.tune import drive as drives
from sim2pose.tune.config import SWEEPS, SweepConfig, load_sweep, make_trial, make_trials, preset_values, trial_name
from sim2pose.tune.desk import Runner, TrainFunction
from sim2pose.tune.ledger import Ledger
from sim2pose.tune.search import Proposals
from sim2pose.tune.setting import START, VALUE, Plan, begin, measurements
from sim2pose.tune.space import all_drawn, points
from sim2pose.tune.sweep import claim, run_sweep

WEIGHT = "adversarial.weight"
# Sweeps that lie ready for recipes to come: their keys are checked as soon as the recipe is there.
AWAITED = {"focal": "detector", "mano": "hand_mano"}


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A sweep over λ and the learning rate, on a preset of its own."""
    data = {"source": ["frames"], "val": {"target": "test"}}
    preset = {"steps": 5, "data": data, "tracking": {"enabled": False}}
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
        ({"fixed": {"runtime": "ray"}}, "ranks=N of the sweep"),
        ({"search": "optuna"}, "how many settings of search=optuna"),
        ({"scheduler": "pbt"}, "how many members of the population"),
        ({"scheduler": "pbt", "samples": 1}, "samples=4, say"),
        ({"scheduler": "pbt", "search": "optuna", "samples": 4}, "use search=random"),
        ({"scheduler": "ashe"}, "scheduler.kind"),
        (
            {"scheduler": "asha", "search": "optuna", "samples": 4, "objectives": ["source/AP"]},
            "compares by one metric",
        ),
        ({"warm_start": ["x"]}, "needs who learns from it"),
        ({"objectives": ["target/AP"]}, "is the metric already"),
        ({"search": "optuna", "samples": 3, "space": {"adversarial.wieght": [0]}}, "did you mean 'weight'"),
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
    data = {
        "prior": ["fixed.data.train=a"],
        "shift_lambda": [],
        "focal": ["fixed.data.train=a", "fixed.data.val={target: d}"],
        "mano": ["fixed.data.train=a", "fixed.data.val={target: d}"],
    }
    both = ["fixed.data.source=a", "fixed.data.target=b", "fixed.data.val={source: c, target: d}"]
    config = load_sweep(name, data.get(name, both))
    assert len(config.seeds) >= 3
    if not (PRESETS / f"{config.train}.yaml").is_file():
        assert name in AWAITED, f"{name} trains '{config.train}', which is no preset"
        return
    trials = make_trials(config)
    assert len(trials) == len(config.points()) * len(config.seeds)
    for point in points(all_drawn(config.space), 30, 0):
        make_trial(config, preset_values(config), point, 0)
    if name == "lambda":
        assert [t.config.adversarial.weight for t in trials[::6]] == [0, 1e-4, 5e-4, 1e-3, 1e-2]
        assert {t.config.adversarial.method for t in trials} == {"fidip"}, (
            "λ = 0 keeps the classifier: the same batches"
        )


@pytest.mark.parametrize("name", sorted(AWAITED))
def test_sweeps_of_coming_recipes_resolve_once_these_exist(name: str) -> None:
    if AWAITED[name] not in RECIPES:
        pytest.skip(f"there is no recipe '{AWAITED[name]}' yet")
    config = load_sweep(name, ["fixed.data.train=a", "fixed.data.val={target: d}"])
    for point in points(all_drawn(config.space), 30, 0):
        make_trial(config, preset_values(config), point, 0)


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
            ledger.end(name, *(("failed", message["failed"]) if "failed" in message else ("finished",)))
            on_end(name)

    monkeypatch.setattr(drives, "drive", drive)


def test_rungs_come_after_what_does_not_count(tmp_path: Path, values: dict[str, Any]) -> None:
    asha = load(tmp_path, values | {"scheduler": {"kind": "asha", "reduction": 4, "start": 0.2}})
    assert asha.shares == pytest.approx((0.25, 0.4, 1.0))
    assert asha.times == (1, 4, 16)
    assert load(tmp_path, values | {"scheduler": "asha"}).shares == pytest.approx((1 / 9, 1 / 3, 1.0))
    assert load(tmp_path, values).shares == (1.0,)


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
