"""The methods' table is consistent, every run has a valid config, and parts cover the plan once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim2pose.benchmarks.shift.config import BenchConfig
from sim2pose.benchmarks.shift.domains import SEEDS, SHARES, counts
from sim2pose.benchmarks.shift.methods import LAMBDAS, METHODS, SEVERITIES, STARTS, sweep
from sim2pose.benchmarks.shift.plan import Run, part, train_config, wanted
from sim2pose.config import UserError, load_config
from sim2pose.render_farm.kinds.infant.config import InfantConfig


@pytest.mark.parametrize("name", METHODS)
def test_every_method_resolves(name: str, tmp_path: Path) -> None:
    config = BenchConfig(out=tmp_path)
    cfg = train_config(config, Run("low", name, 2))
    method = METHODS[name]
    assert cfg.seed == 2 and cfg.steps == config.steps and cfg.out == str(tmp_path / "runs" / "low")
    assert cfg.init_from == str(tmp_path / "runs" / "start" / f"{method.start}_seed2")
    assert cfg.data.target_labels == {"source": 0, "none": 0, "some": config.labels, "all": None}[method.labels]
    assert cfg.data.val["target"].endswith("low_test") and cfg.data.target[0].endswith("low_train")
    assert cfg.optim.bf16 and cfg.threads == 1 and not cfg.tracking.enabled


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].control])
def test_a_control_starts_alike_or_is_the_source_only_run(name: str) -> None:
    """A difference that mixes two causes would be no control: what differs is one of start, labels and keys."""
    method, control = METHODS[name], METHODS[METHODS[name].control or ""]
    if control.trains and method.start == control.start and method.labels == control.labels:
        assert set(control.keys.items()) <= set(method.keys.items()) or "finetune" in name
    assert control.start == method.start or not method.trains


def test_lambdas_are_complete_and_begin_with_the_control() -> None:
    for kind, control in {"fidip": "joint", "dann": "joint", "some_fidip": "some_joint"}.items():
        found = sweep(kind)
        assert list(found) == [float(lam) for lam in LAMBDAS] and found[0.0] == control
        for lam, name in list(found.items())[1:]:
            assert METHODS[name].keys["adversarial.weight"] == lam


def test_source_only_runs_see_no_target(tmp_path: Path) -> None:
    for start, level in STARTS.items():
        cfg = train_config(BenchConfig(out=tmp_path, source_steps=7), Run(None, start, 0))
        assert (cfg.data.target, cfg.adversarial.method, cfg.steps, cfg.data.augment) == ((), "none", 7, level)


def test_the_most_important_comes_first() -> None:
    runs = wanted(BenchConfig())
    core = [name for name in METHODS if METHODS[name].core]
    assert [run.method for run in runs[: len(core)]] == core
    assert {run.severity for run in runs[: 3 * len(METHODS)]} == {"medium"}
    assert len(runs) == 3 * (len(METHODS) + 2 * len(core)) == len(set(runs))
    one = wanted(BenchConfig(methods=("teacher",), severities=("low",), seeds=(5,)))
    assert one == [Run("low", "teacher", 5)]


def test_a_variant_has_its_own_runs_and_the_same_starts(tmp_path: Path) -> None:
    first, other = BenchConfig(out=tmp_path), BenchConfig(out=tmp_path, variant="long", steps=900)
    run = Run("low", "joint", 0)
    a, b = train_config(first, run), train_config(other, run)
    assert a.out != b.out and (a.init_from, a.data) == (b.init_from, b.data) and b.steps == 900
    assert run.folder(other).parent.name == "low_long" and first.results("json") != other.results("json")


def test_parts_cover_the_plan_once_and_bring_what_they_start_from() -> None:
    whole = set(wanted(BenchConfig()))
    found = [part(BenchConfig(part=f"{k}/3")) for k in (1, 2, 3)]
    assert sum(len(set(runs) & whole) for runs in found) == len(whole) and whole <= set().union(*found)
    for runs in found:
        for place, run in enumerate(runs):
            start = run.start()
            assert start is None or start in runs[:place]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"methods": ["fidp_5e-4"]}, "did you mean 'fidip_5e-4'"),
        ({"severities": ["hard"]}, "known: high, low, medium"),
        ({"part": "3/2"}, "k from 1 to n"),
        ({"seeds": [1, 1]}, "different numbers"),
    ],
)
def test_mistakes_name_what_to_do(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(BenchConfig, None, values)


def test_a_tiny_benchmark_may_still_be_given_sizes() -> None:
    config = load_config(BenchConfig, None, ["tiny=true", "steps=3", "methods=joint", "train.optim.lr=1e-4"])
    assert (config.frames, config.steps, config.methods, config.train) == (64, 3, ("joint",), {"optim": {"lr": 1e-4}})


def test_domains_are_rendered_alike_but_for_what_is_meant_to_differ() -> None:
    """Targets share a size and a renderer with the source, and depart further from it the higher their severity."""
    domains = {name: load_config(InfantConfig, f"shift_{name}") for name in ("source", *SEVERITIES)}
    assert {(c.width, c.height, c.renderer) for c in domains.values()} == {(128, 128, "raycast")}
    assert [c.domain for c in domains.values()] == ["synthetic", *["standin"] * 3]
    order = [domains[name].scene for name in ("source", "low", "medium", "high")]
    for figures in (
        [scene.occluders.blanket for scene in order],
        [scene.camera.views["oblique"] for scene in order],
        [scene.sensor.haze[1] for scene in order],
        [-scene.sensor.jpeg[0] for scene in order],
        [scene.poses.spread for scene in order],
    ):
        assert figures == sorted(figures) and len(set(figures)) == 4
    assert len(set(SEEDS.values())) == len(SEEDS) and set(SEEDS) == set(SHARES)
    assert counts(3072) == {"source_train": 3072, "source_test": 512, "target_train": 1536, "target_test": 600}
