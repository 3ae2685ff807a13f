"""Versions on an sqlite database: what is kept, what is found again, and which mistakes are named."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim2pose.cluster import registry
from sim2pose.cluster.evaluations import checked_files, evaluate_version
from sim2pose.cluster.registry import code
from sim2pose.config import UserError

Model = Callable[[Path, bytes], Path]
Measured = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"


def test_files_are_kept_beside_the_database_and_checked(
    uri: str, tmp_path: Path, fake_model: Model, measured: Measured
) -> None:
    model = fake_model(tmp_path / "run", b"first")
    version = registry.register(uri, model, measured(0.1), "kept", run_id=None)
    again = registry.register(uri, model, measured(0.1), "kept")
    assert (version.version, again.version) == ("1", "2")
    assert again.folder == version.folder, "the same files are kept once"
    (model / "model.safetensors").write_bytes(b"second")
    folder = registry.fetch(uri, version)
    assert (folder / "model.safetensors").read_bytes() == b"first", "a run's later changes do not reach its version"
    assert folder.parent == Path(uri.removeprefix("sqlite:///")).parent / "models"
    assert not list(folder.parent.glob(".*")), "nothing half copied is left"
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"model.safetensors of kept@1 is not what was registered"):
        registry.fetch(uri, version)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="is missing"):
        registry.fetch(uri, version)


def test_what_is_listed_and_found(uri: str, tmp_path: Path, fake_model: Model, measured: Measured) -> None:
    for i in range(2):
        registry.register(uri, fake_model(tmp_path / str(i), b"w%d" % i), measured(0.1 + i), "found")
    assert [v.reference for v in registry.list_versions(uri) if v.name == "found"] == ["found@2", "found@1"]
    assert registry.get(uri, "found").version == "2", "the newest is the candidate"
    assert registry.get(uri, "found@1").aliases == ()
    more = registry.record_evaluation(
        uri, registry.get(uri, "found@1"), "hospital", {"data": "h", "metrics": {"AP": 1}}
    )
    assert set(more.evaluation) == {"target", "source", "hospital"}


def test_mistakes_are_named(uri: str, tmp_path: Path, fake_model: Model, measured: Measured) -> None:
    model = fake_model(tmp_path / "m", b"m")
    registry.register(uri, model, measured(0.1), "mistakes")
    with pytest.raises(UserError, match="did you mean 'mistakes'"):
        registry.get(uri, "mistake@1")
    with pytest.raises(UserError, match=r"no version or alias '7': versions are \[1\]"):
        registry.get(uri, "mistakes@7")
    with pytest.raises(UserError, match=r"'mistakes' has no champion yet: .* models promote mistakes"):
        registry.get(uri, "mistakes@champion")
    with pytest.raises(UserError, match="no model folder"):
        registry.register(uri, tmp_path, measured(0.1))
    with pytest.raises(UserError, match="no evaluation"):
        registry.register(uri, model, {})
    prior = tmp_path / "prior"
    prior.mkdir()
    (prior / "prior.safetensors").write_bytes(b"p")
    with pytest.raises(UserError, match="'mistakes' holds models of kind 'keypoints'"):
        registry.register(uri, prior, measured(0.1), "mistakes")


def test_no_registry_and_no_place_for_files(tmp_path: Path, fake_model: Model, measured: Measured) -> None:
    nowhere = f"sqlite:///{tmp_path / 'nowhere' / 'mlflow.db'}"
    assert registry.list_versions(nowhere) == []
    with pytest.raises(UserError, match="no registry at"):
        registry.get(nowhere, "x")
    assert not (tmp_path / "nowhere").exists(), "looking makes nothing"
    with pytest.raises(UserError, match="is no registry: give sqlite"):
        registry.get("runs/mlflow.db", "x")
    (tmp_path / "models").write_text("a file where the store should be")
    here = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(UserError, match=rf"cannot keep models in {tmp_path / 'models'}"):
        registry.register(here, fake_model(tmp_path / "m", b"m"), measured(0.1))
    with pytest.raises(UserError, match=r"unknown model|no version"):
        registry.get(here, registry.DEFAULT_NAME)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used"):
        registry.register(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}", tmp_path / "m", measured(0.1))


def test_a_packed_model_is_whole_and_says_whose_code_it_is(
    uri: str, packed_model: Path, real_frames: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {"target": {"data": "t", "metrics": {"AP": 0.2}}}
    assert {path.name for path in packed_model.iterdir()} == {
        *("model.safetensors", "model.json", "model.pt2", "evaluation.json", "version.json", "card.md")
    }
    version = registry.register(uri, packed_model, entry, "packed")
    assert version.code == code.this_code()
    with caplog.at_level(logging.WARNING):
        assert checked_files(uri, version) == version.folder
    assert "was made by" not in caplog.text, "the same code has nothing to say"
    measured = evaluate_version(uri, "packed@1", real_frames, "noise").evaluation["noise"]
    assert set(measured["baselines"]) == {"zero"}, "no mean pose without training data"
    assert (measured["frames"], measured["licence"], measured["boxes"]) == (4, "CC0", "annotated")


def test_another_codes_model_says_what_differs(
    uri: str, tmp_path: Path, packed_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {"target": {"data": "t", "metrics": {"AP": 0.2}}}
    packed = Path(shutil.copytree(packed_model, tmp_path / "packed"))
    (packed / "config.yaml").write_text("name: x\nsteps: 5\noptim: {lr: 0.1, rate: 2}\nturbo: true\n")
    text = (packed / "model.json").read_text()
    (packed / "model.json").write_text(text.replace("{", '{"colour": "green",', 1))
    version = registry.register(uri, packed, entry, "other-code")
    other = replace(version, code={"version": "9.9", "source": "ffff", "commit": None})
    with caplog.at_level(logging.WARNING):
        checked_files(uri, other)
    told = caplog.text
    assert f"other-code@1 was made by sim2pose 9.9 (source ffff), this is {code.this_code()['version']}" in told
    assert "'optim.rate'" in told
    assert "'turbo'" in told
    assert "left aside: colour" in told
    (packed / "model.json").write_text(text.replace("hrnet_nano", "hrnet_next"))
    broken = registry.register(uri, packed, entry, "other-code")
    with pytest.raises(UserError, match=r"hrnet_next.*does not know: .*'turbo'"):
        checked_files(uri, broken)
