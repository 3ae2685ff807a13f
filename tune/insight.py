"""What a sweep's measurements say: which keys matter, and what no other setting beats in all metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .search import distribution
from .space import Point

FEWEST = 4  # settings from which importance is told


def importance(points: Sequence[Point], values: Sequence[float], space: Mapping[str, Any]) -> dict[str, float]:
    """Share of the metric's variance over settings that each key explains by itself: fANOVA (Hutter et al., ICML 2014).

    Args:
        points: settings; values: their mean metric.
        space: of the sweep.

    Returns:
        key → share, together at most 1; empty for fewer than :data:`FEWEST` settings, one key, or equal values.
    """
    import optuna

    varying = [key for key in space if len({str(point[key]) for point in points}) > 1]
    if len(points) < FEWEST or len(varying) < 2 or len(set(values)) < 2:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    kinds = {key: distribution(space[key]) for key in varying}
    for point, value in zip(points, values, strict=True):
        params = {key: point[key] for key in varying}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=kinds, value=value))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def pareto(values: Mapping[str, Sequence[float]], mode: str) -> set[str]:
    """Names of what no other entry beats: as good in each metric and better in one."""
    sign = 1.0 if mode == "max" else -1.0
    scaled = {name: [sign * v for v in each] for name, each in values.items()}

    def beaten(name: str) -> bool:
        own = scaled[name]
        return any(all(a >= b for a, b in zip(other, own, strict=True)) and other != own for other in scaled.values())

    return {name for name in scaled if not beaten(name)}
