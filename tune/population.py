"""Population-based training by Ray Tune, over the means of all seeds (Jaderberg et al. 2017, arXiv:1711.09846).

At each interval the worst members of a population take over the state of the best and change what they took.
"""

from __future__ import annotations

from typing import Any

from . import space as spaces
from .config import SweepConfig
from .setting import START, TIME, VALUE
from .space import Point


def make_scheduler(config: SweepConfig) -> Any:
    """Ray Tune's scheduler of a population; None where no setting changes on its way."""
    from ray.tune.schedulers import PopulationBasedTraining

    wanted = config.scheduler
    if wanted.kind != "pbt":
        return None
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
