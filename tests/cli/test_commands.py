"""The command line as a user meets it: help, exit codes, and sentences on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sim2pose.__main__ import main
from sim2pose.commands import split, table
from sim2pose.config import UserError

VERBS = (
    *("demo", "render", "data", "train", "fit", "evaluate"),
    *("models", "analyse", "tune", "submit", "jobs", "run", "bench", "doctor"),
)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of a command run in this process."""
    monkeypatch.setattr(sys, "argv", ["sim2pose", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_help_names_every_verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("render", "infnt"), "unknown preset 'infnt': did you mean 'infant'?"),
        (("render", "infant", "frame=3"), "unknown key 'frame': did you mean 'frames'?"),
        (("render", "infant", "scene.camera.fil=[0.1, 0.2]"), "unknown key 'scene.camera.fil': did you mean 'fill'?"),
        (("render",), "Missing argument 'PRESET key=value …'"),
        (("render", "frames=3"), "missing PRESET: usage is PRESET key=value …"),
        (("render", "infant", "extra"), "unexpected word 'extra'"),
        (("train", "demo_sorce"), "unknown preset 'demo_sorce'"),
        (("data", "import", "cocoo", "a", "b", "c"), "unknown format 'cocoo': did you mean 'coco'?"),
        (("data", "inspect", "/nowhere/at/all"), "/nowhere/at/all"),
        (("evaluate", "/nowhere", "/nowhere/else"), "no model at /nowhere"),
        (("bench", "rendr"), "unknown benchmark 'rendr': did you mean 'render'?"),
        (("demo", "real=mine"), "real: real=coco:JSON:IMAGES"),
    ],
)
def test_mistakes_exit_with_2_and_a_sentence(
    words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error


def test_print_config_prints_a_config_that_reads_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "render", "infant", "frames=64", f"out={tmp_path}", "--print-config") == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    assert run(monkeypatch, "render", str(tmp_path / "mine.yaml"), "--print-config") == 0
    assert "frames: 64" in capsys.readouterr().out


def test_a_mistake_shows_no_traceback_in_a_real_process() -> None:
    done = subprocess.run([sys.executable, "-m", "sim2pose", "render", "nope"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: unknown preset 'nope'")


def test_results_file_is_scored_as_it_is(monkeypatch: pytest.MonkeyPatch, shared_data: Path, tmp_path: Path) -> None:
    mini, figures = shared_data / "coco" / "mini", tmp_path / "f.json"
    words = ("evaluate", str(mini / "perturbed_predictions.json"), str(mini / "person_keypoints.json"))
    assert run(monkeypatch, *words, "--json", str(figures)) == 0
    report = json.loads(figures.read_text())
    assert 0 < report["figures"]["results"]["AP"] < 1
    assert report["figures"]["zero"]["AP"] < report["figures"]["results"]["AP"]


def test_split_parts_words_and_overrides() -> None:
    assert split(["infant", "a.b=1", "out=x=y"], ("PRESET",)) == (["infant"], ["a.b=1", "out=x=y"])
    with pytest.raises(UserError, match="missing OUT"):
        split(["a"], ("IN", "OUT"))


def test_table_aligns() -> None:
    assert table([("a", 0.12345), ("long", None)], ("x", "y")).splitlines() == [
        "x     y",
        "────  ─────",
        "a     0.123",
        "long  –",
    ]


def test_models_list_states_what_networks_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    out = tmp_path / "list.json"
    words = ("models", "list", f"uri={uri}", "input=[288, 384]", "latency=false", "--json", str(out))
    assert run(monkeypatch, *words) == 0
    shown = capsys.readouterr().out
    assert "hrnet_w48" in shown and f"no models in {uri}" in shown
    listed = json.loads(out.read_text())
    found = {row["network"]: row for row in listed["networks"]}
    assert found["resnet_50"]["gflops"] == pytest.approx(20.23, abs=0.005)
    assert found["resnet_50"]["latency_ms"] is None
    assert listed["versions"] == []
