"""Mistakes in a pipeline are told before anything runs; overrides, references and words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim2pose.cluster.pipeline.address import code_hashes
from sim2pose.cluster.pipeline.command import key_words, text_of
from sim2pose.cluster.pipeline.config import PIPELINES, load_pipeline
from sim2pose.cluster.pipeline.digests import Digests
from sim2pose.cluster.pipeline.drawing import Box, draw_graph
from sim2pose.cluster.pipeline.graph import descendants, substitute, uses
from sim2pose.cluster.pipeline.plan import make_plan
from sim2pose.commands.pipeline_verbs import VERBS
from sim2pose.config import UserError, parse_overrides

RENDER = {"verb": "render", "args": ["demo_infant"]}
TRAIN = {"verb": "train", "args": ["infant_source"], "with": {"data.source": "${frames.out}"}}


def write(tmp_path: Path, values: Any) -> str:
    import yaml

    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return str(file)


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ({"frames": {"verb": "rendr"}}, "step 'frames': unknown verb 'rendr': did you mean 'render'?"),
        ({"frames": {**RENDER, "wth": {}}}, "a step has no key 'wth': did you mean 'with'?"),
        (
            {"frames": RENDER, "net": {**TRAIN, "after": ["frams"]}},
            "after an unknown step 'frams': did you mean 'frames'?",
        ),
        (
            {"frames": {**RENDER, "with": {"frame": 3}}},
            "step 'frames' (render): unknown key 'frame': did you mean 'frames'?",
        ),
        ({"frames": {**RENDER, "args": ["demo_infnt"]}}, "unknown preset 'demo_infnt'"),
        ({"frames": {**RENDER, "with": {"out": "x"}}}, "step 'frames': 'out' is set by the pipeline"),
        ({"frames": {**RENDER, "flags": {"adress": "x"}}}, "takes no flag 'adress' here: did you mean 'address'?"),
        ({"frames": {"verb": "render"}}, "step 'frames': 0 args given; 'render' takes args: [PRESET]"),
        ({"net": TRAIN}, "${frames.out}: no such step"),
        (
            {"frames": RENDER, "net": {**TRAIN, "with": {"data.source": "${frames.oot}"}}},
            "'render' has no output 'oot'",
        ),
        (
            {"frames": {**RENDER, "with": {"frames": "${vars.sise}"}}},
            "${vars.sise}: no such variable; did you mean 'size'?",
        ),
        (
            {"frames": {**RENDER, "with": {"frames": "${vars.count}"}}},
            "the variable 'count' must be given: count=VALUE",
        ),
        ({"net": {"verb": "train", "args": ["infant_source"]}}, "step 'net' (train): no training data"),
        (
            {"net": {**TRAIN, "with": {"data.source": "/nowhere/frames"}}},
            "step 'net': there is nothing at /nowhere/frames",
        ),
        (
            {"real": {"verb": "data import coco", "args": ["no.json", "none"]}},
            "step 'real': there is nothing at no.json",
        ),
        (
            {"a": {**RENDER, "with": {"seed": "${b.out}"}}, "b": {**RENDER, "with": {"seed": "${a.out}"}}},
            "the steps go in a circle: ",
        ),
        ({"frames": {**RENDER, "with": {True: "x"}}}, "YAML takes on, off, yes and no for truth values"),
        (
            {"all": {"verb": "analyse", "args": ["/"], "with": {"people": 3}}},
            "'analyse' takes no keys, 'with' gives people",
        ),
        ({"out": RENDER}, "a step cannot be called 'out'"),
        ({"size": RENDER}, "'size' is both a variable and a step"),
        ({"My-Step": RENDER}, "the step 'My-Step' must be named in small letters"),
    ],
)
def test_mistakes_are_told_before_anything_runs(steps: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    file = write(tmp_path, {"out": str(tmp_path / "out"), "vars": {"size": 64, "count": None}, "steps": steps})
    with pytest.raises(UserError) as refused:
        make_plan(load_pipeline(file), VERBS)
    assert sentence in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_overrides_reach_variables_and_steps(tmp_path: Path) -> None:
    file = write(tmp_path, {"out": "x", "vars": {"size": 64}, "steps": {"frames": RENDER, "net": TRAIN}})
    found = load_pipeline(file, ["size=32", "net.optim.lr=1e-3", "net.steps=7", "jobs=2", f"out={tmp_path}"])
    assert found.vars == {"size": 32} and found.jobs == 2 and found.out == tmp_path
    assert found.steps["net"].with_ == {"data.source": "${frames.out}", "optim": {"lr": 1e-3}, "steps": 7}
    for word, sentence in [
        ("sise=3", "no key, variable or step 'sise': did you mean 'size'?"),
        ("net=3", "'net' is a step: set a key of its config with net.KEY=VALUE"),
    ]:
        with pytest.raises(UserError) as refused:
            load_pipeline(file, [word])
        assert sentence in str(refused.value)


def test_references_keep_types_and_make_the_order(tmp_path: Path) -> None:
    values = {"vars.n": 3, "a.out": "/x"}
    found = substitute(
        {"k": "${vars.n}", "t": "n=${vars.n}", "${a.out}/y": [1, "${ a.out }"]}, lambda o, n: values[f"{o}.{n}"]
    )
    assert found == {"k": 3, "t": "n=3", "/x/y": [1, "/x"]}
    file = write(tmp_path, {"out": "x", "steps": {"net": TRAIN, "look": {**RENDER, "after": "net"}, "frames": RENDER}})
    graph = uses(load_pipeline(file), VERBS)
    assert list(graph) == ["frames", "net", "look"]
    assert graph["look"] == (), "a step that merely comes after another does not use it"
    assert descendants(graph, "frames") == {"frames", "net"}


@pytest.mark.parametrize(
    "value",
    [
        *("plain", "/a/b.npz", "1e-3", "12", "null", "true", "a: b", "", "it's", "[x", "prior:runs/x"),
        *(3, 0.25, 1e-9, True, None, [1, "2", None, "x y"], {"a/b": 0.5, "prior:x": ["y"]}),
    ],
)
def test_words_read_back_as_what_they_were(value: Any) -> None:
    assert parse_overrides([f"key={text_of(value)}"]) == {"key": value}


def test_nested_keys_become_dotted_words_and_later_ones_win() -> None:
    assert key_words({"a.b": 1, "a": {"b": 2, "c": {"d": [1]}}, "m": {"x/y": 1}, "e": {}}) == {
        "a.b": "2",
        "a.c.d": "[1]",
        "m": "{x/y: 1}",
        "e": "{}",
    }


@pytest.mark.parametrize("name", sorted(VERBS))
def test_the_sources_of_every_verb_are_there(name: str, tmp_path: Path) -> None:
    found = code_hashes(VERBS[name], Digests(tmp_path / "digests.json"), "sources")
    assert bool(found) == bool(VERBS[name].code)


@pytest.mark.parametrize("file", sorted(PIPELINES.glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_resolve(file: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "coco.json").write_text("{}")
    given = {"coco": f"coco={tmp_path}/coco.json", "images": f"images={tmp_path}/photos"}
    variables = load_pipeline(file.stem).vars
    words = [word for name, word in given.items() if name in variables and variables[name] is None]
    plan = make_plan(load_pipeline(file.stem, [*words, f"out={tmp_path}/out"]), VERBS)
    assert len(plan.steps) >= 8


def test_drawing_keeps_lines_out_of_boxes() -> None:
    boxes = [
        Box(name, "verb", "made", needs, "#fff", "#000")
        for name, needs in (("a", ()), ("b", ("a",)), ("c", ("b",)), ("d", ("a", "c")))
    ]
    svg = draw_graph(boxes)
    assert svg.count("<rect") == 4 and svg.count('fill="none"') == 4
    assert "&lt;x&gt;" in draw_graph([Box("<x>", "v", "s", (), "#fff", "#000")])
