"""Who goes on: Ray Tune's ASHA and population-based training, over the means of all seeds.

ASHA (Li et al., MLSys 2020, arXiv:1810.05934) measures settings at 1/η^(k−1), …, 1/η, 1 of their steps and lets go on what is
among the best 1/η of those measured there so far. PBT (Jaderberg et al. 2017, arXiv:1711.09846) trains a population; at each
interval its worst members take over the state of the best and change what they took.
"""

from __future__ import annotations

from typing import Any

from . import space as spaces
from .config import SweepConfig
from .ledger import Ledger
from .setting import START, TIME, VALUE
from .space import Point


def make_scheduler(config: SweepConfig, ledger: Ledger) -> Any:
    """Ray Tune's scheduler for a sweep, told of what was measured before; None where every setting runs to its end."""
    from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining

    wanted = config.scheduler
    if wanted.kind == "asha":
        scheduler = ASHAScheduler(
            time_attr=TIME,
            metric=VALUE,
            mode=config.mode,
            grace_period=1,
            reduction_factor=wanted.reduction,
            max_t=wanted.reduction ** (wanted.rungs - 1),
        )
        replay(scheduler, ledger, config.times)
        return scheduler
    if wanted.kind == "pbt":
        return PopulationBasedTraining(
            time_attr=TIME,
            metric=VALUE,
            mode=config.mode,
            perturbation_interval=1,
            quantile_fraction=wanted.quantile,
            resample_probability=wanted.resample,
            hyperparam_mutations={START: {"point": {key: domain(entry) for key, entry in config.space.items()}}},
            custom_explore_fn=lambda params: explored(params, config.space),
            log_config=False,
            require_attrs=False,  # a member that failed reports no value
        )
    return None


def replay(scheduler: Any, ledger: Ledger, times: tuple[int, ...]) -> None:
    """Tell a fresh scheduler of all earlier measurements, in the order in which they came."""

    class Past:
        def __init__(self, name: str) -> None:
            self.trial_id = f"past-{name}"

    known: dict[str, Past] = {}
    for name, report in ledger.reports:
        if name not in known:
            known[name] = Past(name)
            scheduler.on_trial_add(None, known[name])
        scheduler.on_trial_result(None, known[name], {TIME: times[report.tick - 1], VALUE: report.value})


def domain(entry: Any) -> Any:
    """An entry of the space as what PBT draws from, or steps through."""
    from ray import tune

    if isinstance(entry, list):
        return entry
    kind, values = next(iter(entry.items()))
    if kind == "choice":
        return list(values)
    return tune.uniform(*values) if kind == "uniform" else tune.loguniform(*values)


def explored(params: dict[str, Any], space: dict[str, Any]) -> dict[str, Any]:
    """A mutated point brought back into the ranges, with the digits that tables show."""
    wanted = params[START]
    point: Point = {key: spaces.tidy(value, space[key]) for key, value in wanted["point"].items()}
    return {**params, START: {**wanted, "point": point}}
