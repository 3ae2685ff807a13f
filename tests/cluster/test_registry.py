from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim2pose.cluster import registry
from sim2pose.config import UserError


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"


def _model(folder: Path, weights: bytes) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "model.json").write_text(json.dumps({"network": "hrnet_nano"}))
    return folder


def _measured(ap: float | None, data: str = "aaaa") -> dict[str, dict[str, object]]:
    return {"target": {"data": data, "metrics": {"AP": ap}}, "source": {"data": "s", "metrics": {"AP": 0.5}}}


def test_champion_moves_only_to_what_measures_better(uri: str, tmp_path: Path) -> None:
    name = "moves"
    versions = [
        registry.register(uri, _model(tmp_path / str(i), b"w%d" % i), _measured(ap), name)
        for i, ap in enumerate((0.2, 0.1, 0.3))
    ]
    assert [v.version for v in versions] == ["1", "2", "3"]
    assert registry.get(uri, name).version == "3", "the newest is the candidate"
    assert registry.promote(uri, versions[0]).promoted
    worse = registry.promote(uri, versions[1])
    assert not worse.promoted and "0.100" in worse.reason and "0.200" in worse.reason
    assert registry.get(uri, f"{name}@champion").version == "1"
    assert registry.promote(uri, versions[2]).promoted
    assert registry.get(uri, f"{name}@champion").version == "3"
    assert not registry.promote(uri, registry.get(uri, f"{name}@3")).promoted, "it is the champion already"
    assert registry.promote(uri, versions[0], on="source").promoted is False, "a tie does not move the alias"


def test_figures_of_other_data_decide_nothing(uri: str, tmp_path: Path) -> None:
    name = "other-data"
    first = registry.register(uri, _model(tmp_path / "a", b"a"), _measured(0.2), name)
    second = registry.register(uri, _model(tmp_path / "b", b"b"), _measured(0.9, data="bbbb"), name)
    registry.promote(uri, first)
    with pytest.raises(UserError, match="measured on different 'target' data"):
        registry.promote(uri, second)
    again = registry.record_evaluation(uri, second, "target", "aaaa", {"AP": 0.25})
    assert again.evaluation["source"]["metrics"]["AP"] == 0.5, "other figures stay"
    assert registry.promote(uri, again).promoted


def test_mistakes_are_named(uri: str, tmp_path: Path) -> None:
    model = _model(tmp_path / "m", b"m")
    registry.register(uri, model, _measured(None), "mistakes")
    with pytest.raises(UserError, match="did you mean 'mistakes'"):
        registry.get(uri, "mistake@1")
    with pytest.raises(UserError, match=r"no version or alias '7': versions are \[1\]"):
        registry.get(uri, "mistakes@7")
    with pytest.raises(UserError, match="has no 'AP' on 'target'"):
        registry.promote(uri, registry.get(uri, "mistakes"))
    with pytest.raises(UserError, match="was not measured on 'targt'"):
        registry.promote(uri, registry.get(uri, "mistakes"), on="targt")
    with pytest.raises(UserError, match="no model folder"):
        registry.register(uri, tmp_path, _measured(0.1))
    with pytest.raises(UserError, match="no evaluation"):
        registry.register(uri, model, {})


def test_stored_models_do_not_change_with_their_run(tmp_path: Path) -> None:
    model = _model(tmp_path / "run", b"first")
    stored = registry.store_model(model, tmp_path / "models")
    (model / "model.safetensors").write_bytes(b"second")
    assert (stored / "model.safetensors").read_bytes() == b"first"
    assert registry.store_model(model, tmp_path / "models") != stored
    assert not list((tmp_path / "models").glob(".*")), "nothing half copied is left"
