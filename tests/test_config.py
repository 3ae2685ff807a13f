from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sim2pose.config import (
    PRESETS,
    Config,
    UserError,
    config_hash,
    dump_yaml,
    load_config,
    parse_overrides,
    parse_yaml,
    preset_path,
    read_preset,
)
from sim2pose.render_farm.kinds.person.config import PersonScene
from sim2pose.render_farm.kinds.registry import load_render_config


class Optim(Config):
    lr: float = 1e-3
    momentum: float | None = None


class Recipe(Config):
    name: str
    workers: int = 1
    optim: Optim = Optim()
    extra: Optim | None = None


def test_numbers_written_as_people_write_them() -> None:
    assert parse_yaml("[1e-3, 5E2, .5e1, 12, 1e3x]") == [1e-3, 500.0, 5.0, 12, "1e3x"]


def test_overrides_nest_and_win() -> None:
    config = load_config(Recipe, None, ["name=a", "optim.lr=1e-4", "workers=3", "extra.momentum=0.9"])
    assert (config.optim.lr, config.workers) == (1e-4, 3)
    assert config.extra is not None and config.extra.momentum == 0.9


def test_values_with_yaml_signs_stay_text() -> None:
    assert parse_overrides(["uri=http://127.0.0.1:5000", "a=x: [", "b="]) == {
        "uri": "http://127.0.0.1:5000",
        "a": "x: [",
        "b": "",
    }


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        (["name=a", "worker=2"], "unknown key 'worker': did you mean 'workers'?"),
        (["name=a", "optim.lrr=2"], "unknown key 'optim.lrr': did you mean 'lr'?"),
        (["name=a", "extra.moment=2"], "unknown key 'extra.moment': did you mean 'momentum'?"),
        (["workers=2"], "'name' must be given: name=VALUE"),
        (["name=a", "workers=two"], "workers: Input should be a valid integer"),
        (["name"], "'name' is not of the form key=value"),
        (
            ["name=a", "extra=0.9", "extra.momentum=0.8"],
            "'extra.momentum=0.8' would undo the value '0.9' that an earlier extra=",
        ),
    ],
)
def test_mistakes_are_one_sentence(items: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        load_config(Recipe, None, items)
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown preset 'infnt': did you mean 'infant'"):
        preset_path("infnt")


def test_preset_refines_its_base(tmp_path: Path) -> None:
    (tmp_path / "under.yaml").write_text("name: u\noptim: {lr: 0.1, momentum: 0.5}\n")
    (tmp_path / "over.yaml").write_text("base: " + str(tmp_path / "under.yaml") + "\noptim: {lr: 1e-2}\n")
    assert read_preset(str(tmp_path / "over.yaml")) == {"name": "u", "optim": {"lr": 0.01, "momentum": 0.5}}


def test_presets_never_build_objects(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(UserError, match="not valid YAML"):
        read_preset(str(tmp_path / "evil.yaml"))


def test_hash_and_dump_round_trip() -> None:
    config = load_config(Recipe, None, ["name=a", "optim.lr=3e-4"])
    again = Recipe.model_validate(yaml.safe_load(dump_yaml(config)))
    assert again == config and config_hash(again) == config_hash(config)
    assert config_hash(config) != config_hash(Recipe(name="a"))


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_preset_reads(path: Path) -> None:
    assert read_preset(path.stem)


class Part(Config):
    low: float = 0.0
    high: float = 1.0


class Outer(Config):
    part: Part = Part(high=3.0)


class Whole(Config):
    part: Part = Part(high=2.0)
    outer: Outer = Outer(part=Part(low=-1.0))


@pytest.mark.parametrize(
    ("given", "part", "inner"),
    [
        ({}, (0, 2), (-1, 1)),
        ({"part": {"low": 0.5}}, (0.5, 2), (-1, 1)),
        ({"part": {"high": 5}}, (0, 5), (-1, 1)),
        ({"outer": {"part": {"high": 4}}}, (0, 2), (-1, 4)),
        ({"outer": {}, "part": {}}, (0, 2), (-1, 1)),
    ],
)
def test_what_is_given_lies_over_the_defaults_of_its_place(
    given: dict[str, object], part: tuple[float, float], inner: tuple[float, float]
) -> None:
    whole = load_config(Whole, None, given)
    assert (whole.part.low, whole.part.high) == part
    assert (whole.outer.part.low, whole.outer.part.high) == inner


def test_a_plain_path_stands_for_a_folder() -> None:
    given = load_render_config("person", ["scene.backgrounds=somewhere"])
    whole = load_render_config("person", ["scene.backgrounds.folder=somewhere"])
    assert given == whole
    assert given.scene.backgrounds.folder == Path("somewhere")
    assert given.scene.backgrounds.folder_share == PersonScene().backgrounds.folder_share != 1.0
