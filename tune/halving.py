"""ASHA: which settings go on from a measurement to the next (Li et al., MLSys 2020, arXiv:1810.05934, algorithm 2).

Settings are measured at rungs, shares 1/η^(k−1), …, 1/η, 1 of their steps. Whenever a slot is free, the best setting that is
among the first ⌊n/η⌋ of the n measured at a rung goes on from there, from the highest such rung; if there is none, a new
setting begins. Ray Tune's scheduler of that name stops settings instead: what is measured first at a rung always goes on, so
with few settings as many whole runs as there are slots are a matter of luck.
"""

from __future__ import annotations

from collections.abc import Collection

from .config import SweepConfig
from .ledger import Ledger, Setting


def promotable(config: SweepConfig, ledger: Ledger, training: Collection[str], last: bool) -> Setting | None:
    """The setting that should go on; None if each rung waits for more.

    Args:
        config: rungs, η, and what is better.
        ledger: what was measured; a setting that failed counts nowhere.
        training: names of settings in training.
        last: nothing else will come: from each rung at least one goes on, so one is trained to its end.
    """
    sign = 1.0 if config.mode == "max" else -1.0
    for tick in range(len(config.shares) - 1, 0, -1):
        there = [s for s in ledger.settings.values() if s.ended != "failed" and s.at(tick) is not None]
        there.sort(key=lambda s: -sign * s.at(tick).value)  # type: ignore[union-attr]
        places = max(len(there) // config.scheduler.reduction, int(last))
        for setting in there[:places]:
            if setting.waits and setting.tick == tick and setting.name not in training:
                return setting
    return None


def close(ledger: Ledger) -> None:
    """Book the end of every setting that goes on no more."""
    for setting in list(ledger.settings.values()):
        if setting.ended is None and setting.complete:  # a kill came before that line
            ledger.end(setting.name, "finished")
        elif setting.waits and setting.last is not None:
            ledger.end(setting.name, "stopped", f"not among the best at {setting.last.progress:.3g} of its steps")
