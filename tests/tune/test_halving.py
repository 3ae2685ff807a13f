"""ASHA's rungs: who goes on, from which one first, and that somebody reaches the end."""

from pathlib import Path

import pytest

from sim2pose.tune.config import SweepConfig, load_sweep
from sim2pose.tune.halving import close, promotable
from sim2pose.tune.ledger import Ledger, Report


@pytest.fixture
def config() -> SweepConfig:
    """Rungs at 1/9, 1/3, 1."""
    return load_sweep("lambda", ["scheduler=asha"])


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def measure(ledger: Ledger, name: str, tick: int, value: float, progress: float | None = None) -> None:
    if name not in ledger.settings:
        ledger.propose(name, {"x": name})
    share = (1 / 9, 1 / 3, 1.0)[tick - 1] if progress is None else progress
    ledger.report(name, Report(tick, share, value, {0: value}, {}, {"x": name}, {0: f"{name}_seed0"}, {0: 10 * tick}))


def go_on(config: SweepConfig, ledger: Ledger, last: bool = False, training: tuple[str, ...] = ()) -> str | None:
    found = promotable(config, ledger, training, last)
    return found.name if found else None


def test_one_in_three_goes_on_the_best_first(config: SweepConfig, ledger: Ledger) -> None:
    for i, value in enumerate((0.1, 0.3)):
        measure(ledger, f"s{i}", 1, value)
    assert go_on(config, ledger) is None, "a third of two is none"
    measure(ledger, "s2", 1, 0.2)
    assert go_on(config, ledger) == "s1"
    ledger.promote("s1")
    assert go_on(config, ledger) is None
    for i, value in enumerate((0.05, 0.01, 0.4), 3):
        measure(ledger, f"s{i}", 1, value)
    assert go_on(config, ledger) == "s5"
    measure(ledger, "s5", 2, 0.0)
    assert go_on(config, ledger) is None, "s1 has its place among the first two"


def test_the_highest_rung_first(config: SweepConfig, ledger: Ledger) -> None:
    for i in range(6):
        measure(ledger, f"s{i}", 1, i / 10)
    for i in (1, 2, 3):
        ledger.promote(f"s{i}")
        measure(ledger, f"s{i}", 2, i / 10)
    assert go_on(config, ledger) == "s3"
    ledger.promote("s3")
    assert go_on(config, ledger) == "s5"
    assert go_on(config, ledger, training=("s5",)) == "s4"


def test_smaller_may_be_better(ledger: Ledger) -> None:
    config = load_sweep("lambda", ["scheduler=asha", "mode=min"])
    for i in range(3):
        measure(ledger, f"s{i}", 1, i / 10)
    assert go_on(config, ledger) == "s0"


def test_in_the_end_one_reaches_the_end(config: SweepConfig, ledger: Ledger) -> None:
    measure(ledger, "a", 1, 0.2)
    measure(ledger, "b", 1, 0.1)
    for tick in (2, 3):
        assert go_on(config, ledger) is None
        assert go_on(config, ledger, last=True) == "a"
        ledger.promote("a")
        assert go_on(config, ledger, last=True) is None
        measure(ledger, "a", tick, 0.2)
    assert go_on(config, ledger, last=True) is None


def test_who_failed_leaves_its_place_and_who_ended_early_keeps_it(config: SweepConfig, ledger: Ledger) -> None:
    for i in range(4):
        measure(ledger, f"s{i}", 1, i / 10)
    ledger.end("s3", "failed", "lost")
    assert go_on(config, ledger) == "s2"
    measure(ledger, "early", 1, 0.9, progress=1.0)
    assert go_on(config, ledger) is None
    ledger.end("early", "finished")
    assert go_on(config, ledger) is None


def test_a_reopened_ledger_knows_who_was_let_on_and_how_all_ended(config: SweepConfig, ledger: Ledger) -> None:
    for i in range(3):
        measure(ledger, f"s{i}", 1, i / 10)
    ledger.promote("s2")
    again = Ledger(ledger.path.parent)
    assert again.settings == ledger.settings
    assert go_on(config, again) is None
    measure(again, "s2", 2, 0.2)
    again.promote("s2")
    measure(again, "s2", 3, 0.2)
    close(again)
    assert {s.name: s.ended for s in again.settings.values()} == {"s0": "stopped", "s1": "stopped", "s2": "finished"}
    assert again.settings["s0"].note == "not among the best at 0.111 of its steps"
