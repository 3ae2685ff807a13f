"""The real verbs: a pipeline of the command line itself, as small as it goes; at length, the shipped one with kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from sim2pose.__main__ import main

SMALL_LOOK = {"wardrobe": {"pool": 1}, "skin": {"pool": 1}, "backgrounds": {"pool": 1}}
STEPS: dict[str, Any] = {
    "frames": {
        "verb": "render",
        "args": ["demo_infant"],
        "with": {"frames": 32, "width": 64, "height": 64, "shard_frames": 32, "scene": SMALL_LOOK},
    },
    "export": {"verb": "data export coco", "args": ["${frames.out}"]},
    "real": {
        "verb": "data import coco",
        "args": ["${export.out}/annotations.json", "${export.out}/images"],
        "with": {"held_out": "${vars.held_out}"},
    },
    "net": {
        "verb": "train",
        "args": ["infant_source"],
        "with": {
            "steps": 2,
            "batch": 4,
            "validate_every": 2,
            "tracking.enabled": False,
            "threads": 1,
            "data.source": "${frames.out}",
            "data.input": [64, 64],
            "analysis.every": None,
        },
    },
    "figures": {"verb": "evaluate", "args": ["${net.out}", "${real.test}"], "with": {"flip": False}},
}


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sim2pose", "run", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def states(shown: str) -> dict[str, str]:
    """Step → what was said when it was decided upon."""
    lines = [line.removeprefix("── ").split(": ", 1) for line in shown.splitlines() if line.startswith("── ")]
    return dict(lines)


def test_from_frames_to_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, file = tmp_path / "out", tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"out": str(out), "vars": {"held_out": 0.5}, "steps": STEPS}, sort_keys=False))
    assert run(monkeypatch, str(file)) == 0, capsys.readouterr().out
    shown = capsys.readouterr().out
    assert set(states(shown).values()) == {"not made yet"}
    assert f"sim2pose train infant_source out={out} name=net-" in shown, "each command is one that a user could type"
    figures = json.loads((out / "latest" / "figures" / "figures.json").read_text())
    assert figures["data"]["frames"] == 16 and "mean_pose" in figures["figures"]
    record = json.loads((out / "latest" / "net" / "step.json").read_text())
    assert record["facts"]["step"] == 2 and any(name.startswith("checkpoints/") for name in record["product"]["files"])
    page = (out / "pipeline.html").read_text()
    assert all(word in page for word in ("<svg", "mean_pose AP", "report.html", "5 made"))

    assert run(monkeypatch, str(file)) == 0
    assert set(states(capsys.readouterr().out).values()) == {"unchanged"}

    damaged = next((out / "latest" / "net").glob("checkpoints/*/pose.safetensors")).resolve()
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert run(monkeypatch, str(file), "--dry-run") == 0
    seen = states(capsys.readouterr().out)
    assert seen["net"].startswith("its product was changed after it was made: checkpoints/")
    assert seen["figures"] == "unchanged if 'net' comes out as it was" and seen["real"] == "unchanged"
    damaged.write_bytes(whole)

    assert run(monkeypatch, str(file), "held_out=0.25", "--dry-run") == 0
    seen = states(capsys.readouterr().out)
    assert seen == {
        **dict.fromkeys(("frames", "export", "net"), "unchanged"),
        "real": "held_out 0.5 → 0.25",
        "figures": "'real' changed",
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tiny", "source.stepps=3"), "step 'source' (train): unknown key 'stepps': did you mean 'steps'?"),
        (("tny",), "unknown preset 'tny': did you mean 'tiny'?"),
        (("infant",), "the variable 'coco' must be given: coco=VALUE (step 'real' uses it)"),
        (("tiny", "--only", "fit", "--from", "fit"), "give either --only or --from"),
        (("tiny", "out=s3://bucket/x"), "must be a folder that this machine sees"),
    ],
)
def test_mistakes_exit_with_2_and_a_sentence(
    words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 2
    assert sentence in capsys.readouterr().err


SMALLER = (
    *("size=64", "photos.frames=64", "rendered.frames=64", "fit.people=4", "fit.overlays=false"),
    *("source.steps=40", "source.validate_every=40", "source.batch=8", "source.checkpoint.every=4"),
    *("adapted.steps=2", "adapted.validate_every=2", "adapted.batch=12"),
)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_shipped_pipeline_survives_kills_and_registers_once(tmp_path: Path) -> None:
    """The driver and its training are killed with -9 in the middle; the same command goes on and ends with one version."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "sim2pose", "run", "tiny", f"out={out}", *SMALLER]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 1800
        while not list(out.glob("source-*/checkpoints/step_*")):
            assert driver.poll() is None and time.monotonic() < until
            time.sleep(0.05)
    finally:
        driver.kill()
        driver.wait()
    (mark,) = (out / ".pipeline").glob("source-*.json")
    pid = json.loads(mark.read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    while psutil.pid_exists(pid):
        time.sleep(0.05)
    assert not list(out.glob("source-*/done.json")), "it was killed in the middle"

    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = states(done.stdout)
    assert seen["source"] == "was not finished" and seen["rendered"] == "unchanged"
    assert " --resume" in done.stdout
    log = next((out / "logs").glob("source-*.log")).read_text()
    assert log.count("$ sim2pose train") == 2

    from sim2pose.cluster import registry

    uri = f"sqlite:///{out / 'mlflow.db'}"
    assert [version.reference for version in registry.list_versions(uri)] == ["tiny@1"]
    record = out / "latest" / "register" / "step.json"
    record.unlink()  # killed after it had registered, before it could write this down
    (out / ".pipeline" / f"{record.parent.resolve().name}.json").write_text(json.dumps({"pid": 1, "started": 0.0}))
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert [version.reference for version in registry.list_versions(uri)] == ["tiny@1"]
    decision = json.loads((out / "latest" / "promote" / "decision.json").read_text())["decision"]
    assert "tiny@1" in decision and "champion" in decision

    again = subprocess.run([*command, "adapted.steps=3", "adapted.validate_every=3"], capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert states(again.stdout)["register"] == "'adapted' changed"
    assert sorted(version.reference for version in registry.list_versions(uri)) == ["tiny@1", "tiny@2"]
