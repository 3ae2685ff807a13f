"""What is trained next, after a kill too."""

from pathlib import Path

from sim2pose.tune.config import load_sweep
from sim2pose.tune.ledger import Ledger, Report
from sim2pose.tune.search import Proposals, Suggestions, begun_or_due
from sim2pose.tune.setting import START


def test_a_kill_before_the_line_of_an_end_costs_no_suggestion(tmp_path: Path) -> None:
    """With two objectives such a setting was refused by Optuna, as one that a scheduler had stopped."""
    config, ledger = load_sweep("adaptation", ["samples=8", "seeds=[0]"]), Ledger(tmp_path)
    first = Suggestions(config, ledger, []).suggest()
    assert first is not None
    ledger.propose("a", first)
    ledger.report("a", Report(1, 1.0, 0.2, {0: 0.2}, {"source/AP": 0.3}, first, {0: "a_seed0"}, {0: 9}))
    second = Suggestions(config, ledger, []).suggest()
    assert second is not None and second != first


def test_who_was_let_on_is_trained_after_a_kill_though_others_are_ahead_now(tmp_path: Path) -> None:
    config, ledger = load_sweep("lambda", ["scheduler=asha"]), Ledger(tmp_path)

    def measure(name: str, value: float) -> None:
        ledger.propose(name, {"x": name})
        ledger.report(name, Report(1, 1 / 9, value, {0: value}, {}, {"x": name}, {0: f"{name}_seed0"}, {0: 9}))

    for i in range(3):
        measure(f"s{i}", i / 10)
    assert Proposals(config, ledger, [], []).suggest("trial")[START]["setting"] == "s2"
    measure("s3", 0.9)  # by another slot, while s2 was in training
    begun = [setting.name for setting in begun_or_due(config, Ledger(tmp_path), {})]
    assert begun[0] == "s2", "its steps since are not lost"
    assert not {"s0", "s1", "s3"} & set(begun), "they wait at their rung"
