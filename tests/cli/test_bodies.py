"""``sim2pose bodies`` as a user meets it."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from sim2pose.__main__ import main
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.files import OPEN_BODIES


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of a command run in this process."""
    monkeypatch.setattr(sys, "argv", ["sim2pose", "bodies", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def hand(tmp_path: Path) -> Path:
    """A folder of licensed models with one MANO file, its arrays under 20 kB, and a broken one."""
    folder = tmp_path / "body_models"
    folder.mkdir()
    tree = np.stack([np.array([2**32 - 1, *(0 if k % 3 == 0 else k for k in range(15))]), np.arange(16)])
    weights = np.zeros((778, 16))
    weights[:, 0] = 1
    arrays = {
        "v_template": np.random.default_rng(0).standard_normal((778, 3)),
        "shapedirs": np.ones((778, 3, 10), np.float16),
        "posedirs": np.zeros((778, 3, 135), np.float16),
        "J_regressor": np.full((16, 778), 1 / 778),
        "kintree_table": tree,
        "weights": weights,
        "f": (np.arange(1538)[:, None] + np.arange(3)) % 778,
        "hands_mean": np.zeros(45),
    }
    (folder / "MANO_RIGHT.pkl").write_bytes(pickle.dumps(arrays))
    (folder / "SMPL_NEUTRAL.pkl").write_bytes(b"<html>")
    (folder / "notes.pkl").write_bytes(b"not a model, and not named as one")
    return folder


def test_list(hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SIM2POSE_BODIES", str(hand))
    assert run(monkeypatch, "list", "--json", str(tmp_path / "list.json")) == 0
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "list.json").read_text())
    rows = {Path(row["name"]).name: row for row in found["bodies"]}
    assert set(rows) == {name for name, path in OPEN_BODIES.items() if path.is_file()} | {"MANO_RIGHT.pkl"}
    assert (rows["open-infant"]["format"], rows["open-infant"]["betas"]) == ("smpl", 20)
    assert (rows["MANO_RIGHT.pkl"]["format"], rows["MANO_RIGHT.pkl"]["vertices"]) == ("mano", 778)
    assert "its licence applies" in rows["MANO_RIGHT.pkl"]["licence"]
    assert len(found["not_usable"]) == 1 and "SMPL_NEUTRAL.pkl" in found["not_usable"][0]
    assert "not usable: " in shown and "notes.pkl" not in shown


def test_info_of_a_file(hand: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file = hand / "MANO_RIGHT.pkl"
    assert run(monkeypatch, "info", str(file), "--json", str(hand / "info.json")) == 0
    shown = capsys.readouterr().out
    found = json.loads((hand / "info.json").read_text())
    assert (found["format"], found["official"], found["chumpy"]) == ("mano", True, False)
    assert ["posedirs", "778×3×135", "float16"] in found["arrays"]
    assert any(lack.startswith("hands_components") for lack in found["lacks"])
    assert "without hands_components (MANO files hold it)" in shown
    assert run(monkeypatch, "info", str(file), "model_type=smpl") == 2
    assert "SMPL by model_type, but its arrays are MANO's" in capsys.readouterr().err


def test_info_of_an_open_body(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "info", "open-infant") == 0
    shown = capsys.readouterr().out
    assert "smpl24" in shown and "shapedirs" in shown and load_body("open-infant").licence in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("info", "open-infnt"), "unknown body 'open-infnt': did you mean 'open-infant'?"),
        (("info", "/nowhere/SMPL_MALE.pkl"), "no body model file at /nowhere/SMPL_MALE.pkl"),
        (("info", "open-infant", "kind=smpl"), "unknown key 'kind'"),
        (("build", "open-persn"), "no builder for 'open-persn': did you mean 'open-person'?"),
        (("build",), "Missing argument"),
    ],
)
def test_mistakes(
    words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error


def test_building_without_anny_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "anny" else real(name, *a))
    assert run(monkeypatch, "build", "open-infant") == 2
    assert "pip install 'sim2pose[bodies]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "built"),
    [("open-hand-left", ["hand"]), ("open-infant", ["infant"]), ("all", ["infant", "person", "hand"])],
)
def test_build_calls_the_builders(
    name: str, built: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The builders take minutes and Anny; here they only note what they are asked for."""
    calls: list[tuple[str, Path]] = []

    class Builder:
        def __init__(self, module: str) -> None:
            self.name = module.rpartition(".")[2]

        def build(self, out: Path) -> dict[str, float]:
            calls.append((self.name, out))
            return {"vertex_mean_mm": 0.5}

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: object())
    monkeypatch.setattr("importlib.import_module", lambda module, package=None: Builder(module))
    assert run(monkeypatch, "build", name, f"out={tmp_path}") == 0
    assert [called for called, _ in calls] == built
    assert all(tmp_path in (out, out.parent) for _, out in calls)
    assert "vertex_mean_mm" in capsys.readouterr().out
