"""What a training is given and cannot use is refused in one sentence: which, where, what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import UserError, merge, validate
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.runtimes import train

NAN = float("nan")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adversarial": {"weight": -1e-3}}, r"adversarial\.weight"),
        ({"adversarial": {"weight": NAN}}, r"adversarial\.weight"),
        ({"adversarial": {"ratio": NAN}}, r"adversarial\.ratio"),
        ({"optim": {"lr": NAN}}, r"optim\.lr"),
        ({"batch": 1}, "batch=1 has 0 samples of the rarer domain"),
        ({"data": {"target_share": 0.1}}, r"batch=8 has 0 samples .*data\.target_share=0\.1"),
        ({"optim": {"accumulate": 8}}, r"both domains in each of 8 parts \(workers=1 × optim\.accumulate=8\)"),
        ({"runtime": "ray", "workers": 8}, r"both domains in each of 8 parts \(workers=8"),
        ({"runtime": "ray", "workers": [1, 3]}, "batch=8 is not divisible by workers=3"),
        ({"runtime": "ray", "workers": [2, 1]}, "must rise"),
        ({"runtime": "ray", "workers": 0}, "workers"),
        ({"workers": [1, 2]}, "needs runtime=ray"),
        ({"deepspeed": {"zero": 4}}, r"deepspeed\.zero"),
    ],
)
def test_impossible_numbers_are_refused_by_key(values: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(KeypointConfig, merge(values, change))


def test_one_folder_is_not_two_domains(values: dict[str, Any], frames: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"data\.source and data\.target are both .*source"):
        validate(KeypointConfig, merge(values, {"data": {"target": [frames["target"], frames["source"] + "/"]}}))
    validate(KeypointConfig, merge(values, {"data": {"target": frames["source"]}, "adversarial": {"method": "none"}}))


def test_an_elastic_range_is_kept_as_given(values: dict[str, Any]) -> None:
    cfg = validate(KeypointConfig, merge(values, {"runtime": "ray", "workers": [1, 2]}))
    assert (cfg.workers, cfg.ranks) == ((1, 2), (1, 2))
    again = validate(KeypointConfig, json.loads(json.dumps(cfg.model_dump(mode="json"))))
    assert again.ranks == (1, 2)
    assert validate(KeypointConfig, merge(values, {"runtime": "ray", "workers": 2})).ranks == (2, 2)


@pytest.mark.parametrize("where", ["source", "target", "val"])
@pytest.mark.parametrize("kind", ["absent", "empty", "none"])
def test_a_folder_without_people_is_named(
    values: dict[str, Any], tmp_path: Path, frame_writer: Callable[..., Path], where: str, kind: str
) -> None:
    """A folder that is not there, an empty one, and one whose pictures have no person."""
    folder = tmp_path / kind
    if kind == "empty":
        folder.mkdir()
    elif kind == "none":
        frame_writer(folder, 3, "real", 8, people="none")
    data = {"val": {"target": str(folder)}} if where == "val" else {where: str(folder)}
    with pytest.raises(UserError, match=f"/{kind}"):
        train(validate(KeypointConfig, merge(values, {"data": data})))


def test_validation_needs_labels(values: dict[str, Any], tmp_path: Path, frame_writer: Callable[..., Path]) -> None:
    folder = frame_writer(tmp_path / "boxes", 3, "real", 8, people="boxes")
    with pytest.raises(UserError, match=r"data\.val\.target: .*boxes has no labelled person"):
        train(validate(KeypointConfig, merge(values, {"data": {"val": {"target": str(folder)}}})))
