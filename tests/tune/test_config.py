"""What a sweep's file resolves to, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import PRESETS, UserError
from sim2pose.trainers.recipes import RECIPES
from sim2pose.tune.config import SWEEPS, load_sweep, make_trial, make_trials, preset_values, trial_name
from sim2pose.tune.space import all_drawn, points

from .stub_sweeps import WEIGHT, load

# Sweeps that lie ready for recipes to come: their keys are checked as soon as the recipe is there.
AWAITED = {"focal": "detector", "mano": "hand_mano"}


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


def test_rungs_come_after_what_does_not_count(tmp_path: Path, values: dict[str, Any]) -> None:
    asha = load(tmp_path, values | {"scheduler": {"kind": "asha", "reduction": 4, "start": 0.2}})
    assert asha.shares == pytest.approx((0.25, 0.4, 1.0))
    assert asha.times == (1, 4, 16)
    assert load(tmp_path, values | {"scheduler": "asha"}).shares == pytest.approx((1 / 9, 1 / 3, 1.0))
    assert load(tmp_path, values).shares == (1.0,)
