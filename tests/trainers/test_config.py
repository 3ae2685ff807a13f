"""Training configs: presets resolve, mistakes are named by key, resumable keys are told from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import UserError, load_config, merge, read_preset, validate
from sim2pose.models.priors.build import DENSITIES
from sim2pose.trainers.config import differing_keys
from sim2pose.trainers.context import pick_device
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.priors.config import PriorTrainConfig
from sim2pose.trainers.recipes import RECIPES, build_task, load_run

ROOT = Path(__file__).parents[2]
RECIPE = {p.stem: read_preset(p.stem).get("recipe") for p in (ROOT / "configs").glob("*.yaml")}
PRESETS = sorted(name for name, recipe in RECIPE.items() if recipe == "fidip")
PRIORS = sorted(name for name, recipe in RECIPE.items() if recipe == "prior")


def test_there_are_presets() -> None:
    assert {"infant_hrnet_w48", "infant_hrnet_w32", "infant_source", "fidip", "adapt", "adapt_labelled"} <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_resolve(name: str) -> None:
    target = {"target": ["a"]} if load_config(KeypointConfig, name, {"data": {"target": ["a"]}}).data.target else {}
    cfg = load_config(KeypointConfig, name, {"data": {"source": "x", **target}})
    assert cfg.data.source == ("x",)
    assert cfg.recipe in RECIPES
    with pytest.raises(UserError, match=r"data\.source=DIR"):
        load_config(KeypointConfig, name, {"data": {"target": ["a"]}}).require_data()


@pytest.mark.parametrize("name", PRIORS)
def test_presets_of_priors_resolve(name: str) -> None:
    cfg = load_run(name)
    assert isinstance(cfg, PriorTrainConfig)
    assert cfg.model.kind in DENSITIES
    if not cfg.data.procedural_hands:
        with pytest.raises(UserError, match=r"data\.train=DIR"):
            cfg.require_data()


def test_every_kind_of_prior_has_a_preset() -> None:
    assert PRIORS == ["gaussian_prior", "global_flow", "hand_vae", "hand_vae_so3", "joint_flow"]
    assert {load_run(name).model_dump()["model"]["kind"] for name in PRIORS} == set(DENSITIES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": None}, "steps or epochs"),
        ({"epochs": 3}, "steps or epochs"),
        ({"workers": 2}, "runtime=ray"),
        ({"workers": 3, "runtime": "ray"}, "batch=8 is not divisible by workers=3"),
        ({"optim": {"accumulate": 3}}, "optim.accumulate=3"),
        ({"optim": {"milestones": [0.8, 0.5]}}, "optim.milestones"),
        ({"optim": {"learning": 1}}, "unknown key 'optim.learning'"),
        ({"adversarial": {"method": "fidip"}, "data": {"target": []}}, "needs data.target"),
        ({"init_from": "a", "model": {"weights": "b"}}, "init_from or model.weights"),
        ({"name": "a/b"}, "name"),
        ({"batchs": 3}, "did you mean 'batch'"),
    ],
)
def test_mistakes_name_their_key(values: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(KeypointConfig, merge(values, change))


def test_an_unknown_recipe_names_the_nearest(values: dict[str, Any]) -> None:
    from sim2pose.trainers.context import Context

    with pytest.raises(UserError, match="did you mean 'fidip'"):
        build_task(validate(KeypointConfig, merge(values, {"recipe": "fidib"})), Context())


def test_cuda_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == "cpu"
    with pytest.raises(UserError, match="device=cuda"):
        pick_device("cuda")


def test_differing_keys_are_dotted_and_sorted_by_what_they_change(values: dict[str, Any]) -> None:
    old = validate(KeypointConfig, values).model_dump(mode="json")
    new = validate(KeypointConfig, merge(values, {"optim": {"lr": 0.5}, "log_every": 9, "data": {"loader_workers": 1}}))
    keys = differing_keys(old, new.model_dump(mode="json"))
    assert keys == ["data.loader_workers", "log_every", "optim.lr"]
    assert [key for key in keys if new.changes_result(key)] == ["optim.lr"]
