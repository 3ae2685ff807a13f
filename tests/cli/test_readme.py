"""What the README shows works: its Python runs, its commands resolve, its pictures exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sim2pose.commands import split
from sim2pose.config import load_config
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.kinds.registry import load_render_config
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.recipes import load_run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


def _commands(verb: str) -> list[list[str]]:
    return [shlex.split(line)[2:] for line in COMMANDS if line.startswith(f"sim2pose {verb} ")]


def test_there_is_something_to_check() -> None:
    assert len(BLOCKS) == 3 and len(_commands("render")) >= 3 and len(_commands("train")) >= 3


@pytest.mark.parametrize("words", _commands("render"), ids=lambda w: " ".join(w[1:3]))
def test_render_commands_resolve(words: list[str]) -> None:
    (preset,), overrides = split([word for word in words if not word.startswith("--")], ("PRESET",))
    load_render_config(preset, overrides)


@pytest.mark.parametrize("words", _commands("train"), ids=lambda w: w[0])
def test_train_commands_resolve(words: list[str]) -> None:
    (preset,), overrides = split(words, ("PRESET",))
    load_run(preset, overrides)


def test_frames_are_made_before_they_are_used() -> None:
    made: set[str] = set()
    for line in COMMANDS:
        words = shlex.split(line)
        if words[1:4] == ["data", "import", "coco"]:
            held_out = any(word.startswith("held_out=") for word in words)
            made |= {words[6], f"{words[6]}_test"} if held_out else {words[6]}
        made |= {word[4:] for word in words if words[1:2] == ["render"] and word.startswith("out=frames/")}
        used = set(re.findall(r"frames/\w+", line))
        assert used <= made, f"{sorted(used - made)} in: {line}"


def test_pictures_and_links_exist() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), f"README names {target}"


def test_python_uses_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The three uses in order, in a folder that the README's commands have filled (small)."""
    from sim2pose.datasets.shards import FramesFolder
    from sim2pose.render_farm.render import render
    from sim2pose.trainers.runtimes import train

    monkeypatch.chdir(tmp_path)
    small = {"frames": 32, "shard_frames": 32, "out": "frames/infant", "workers": 0, "width": 96, "height": 96}
    render(load_config(InfantConfig, "infant", {**small, "renderer": "raycast"}), progress=False)
    quick = {
        "steps": 2,
        "batch": 8,
        "data": {"source": "frames/infant"},
        "tracking": {"enabled": False},
        "name": "adapt",
    }
    train(load_config(KeypointConfig, "infant_source", quick))
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "torch.Size([1, 24, 3]) torch.Size([1, 17, 3])" in shown
    people = sum(len(frame.persons) for frame in FramesFolder.open(tmp_path / "frames/infant").iterate())
    assert f"{people} [" in shown.splitlines()[-1]
