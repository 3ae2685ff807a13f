"""The champion moves by measurement only, and back the way it came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim2pose.cluster import registry
from sim2pose.cluster.registry.client import RegistryClient
from sim2pose.config import UserError

Register = Callable[[str, float | None, str], registry.Version]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"


@pytest.fixture
def register(
    uri: str, tmp_path: Path, fake_model: Callable[[Path, bytes], Path], measured: Callable[..., dict[str, Any]]
) -> Register:
    count = iter(range(100))

    def make(name: str, ap: float | None, data: str = "aaaa") -> registry.Version:
        number = next(count)
        return registry.register(uri, fake_model(tmp_path / str(number), b"%d" % number), measured(ap, data), name)

    return make


def champion(uri: str, name: str) -> str:
    return registry.get(uri, f"{name}@champion").version


def test_champion_moves_only_to_what_measures_better(uri: str, register: Register) -> None:
    versions = [register("moves", ap, "aaaa") for ap in (0.2, 0.1, 0.3)]
    assert registry.promote(uri, versions[0]).promoted
    worse = registry.promote(uri, versions[1])
    assert not worse.promoted
    assert "0.100" in worse.reason and "0.200" in worse.reason
    assert champion(uri, "moves") == "1"
    assert registry.promote(uri, versions[2]).promoted
    assert champion(uri, "moves") == "3"
    assert not registry.promote(uri, registry.get(uri, "moves@3")).promoted, "it is the champion already"
    assert registry.promote(uri, versions[0], on="source").promoted is False, "a tie does not move the alias"


def test_figures_of_other_data_decide_nothing(uri: str, register: Register) -> None:
    first, second = register("other-data", 0.2, "aaaa"), register("other-data", 0.9, "bbbb")
    registry.promote(uri, first)
    with pytest.raises(UserError, match="measured on different 'target' data"):
        registry.promote(uri, second)
    again = registry.record_evaluation(uri, second, "target", {"data": "aaaa", "metrics": {"AP": 0.25}})
    assert again.evaluation["source"]["metrics"]["AP"] == 0.5, "other figures stay"
    assert registry.promote(uri, again).promoted


def test_figures_that_are_not_there_are_named(uri: str, register: Register) -> None:
    version = register("figures", None, "aaaa")
    with pytest.raises(UserError, match="has no 'AP' on 'target'"):
        registry.promote(uri, version)
    with pytest.raises(UserError, match="was not measured on 'targt'"):
        registry.promote(uri, version, on="targt")


def test_rollback_goes_back_the_way_it_came(uri: str, register: Register) -> None:
    for ap in (0.1, 0.2, 0.3):
        registry.promote(uri, register("back", ap, "aaaa"))
    left, back = registry.rollback(uri, "back")
    assert (left.version, left.score, back.version, back.score, back.on) == ("3", 0.3, "2", 0.2, "target")
    assert champion(uri, "back") == "2"
    registry.rollback(uri, "back")
    assert champion(uri, "back") == "1", "a second one goes further back, not to and fro"
    with pytest.raises(UserError, match="back@1 is the first champion of 'back'"):
        registry.rollback(uri, "back")
    registry.promote(uri, registry.get(uri, "back@3"))
    assert [(r.version, r.rolled_back) for r in registry.history(uri, "back")] == [
        ("1", None),
        ("2", None),
        ("3", None),
        ("2", "3"),
        ("1", "2"),
        ("3", None),
    ]
    registry.rollback(uri, "back")
    assert champion(uri, "back") == "1", "what was rolled back is not gone back to"


def test_rollback_refuses_what_it_cannot_do(uri: str, register: Register) -> None:
    register("never", 0.1, "aaaa")
    with pytest.raises(UserError, match="has no champion that could be rolled back"):
        registry.rollback(uri, "never")
    with pytest.raises(UserError, match="unknown model 'nver'"):
        registry.rollback(uri, "nver")
    for ap in (0.1, 0.2):
        registry.promote(uri, register("gone", ap, "aaaa"))
    RegistryClient(uri).delete_model_version("gone", "1")
    with pytest.raises(UserError, match="gone@1, is no longer in"):
        registry.rollback(uri, "gone")
    assert champion(uri, "gone") == "2"


def test_a_champion_set_by_hand_is_gone_back_to(uri: str, register: Register) -> None:
    first, second = register("by-hand", 0.1, "aaaa"), register("by-hand", 0.2, "aaaa")
    RegistryClient(uri).set_registered_model_alias("by-hand", "champion", first.version)
    registry.promote(uri, second)
    left, back = registry.rollback(uri, "by-hand")
    assert (left.version, back.version, back.score) == ("2", "1", None)
