"""What earlier sweeps measured, where this one can learn from it."""

from __future__ import annotations

import json
from pathlib import Path

from ..config import UserError
from .config import SweepConfig
from .space import Point

Earlier = list[tuple[Point, list[float]]]


def earlier_points(config: SweepConfig) -> Earlier:
    """Points of ``warm_start`` within this sweep's space, each with its mean metric and objectives; best first.

    Raises:
        UserError: if a folder holds no sweep, it ranked by something else, or none of its points lies in this space.
    """
    found: Earlier = []
    for folder in config.warm_start:
        path = Path(folder) / "sweep.json"
        if not path.is_file():
            raise UserError(f"warm_start: {folder} holds no sweep (sweep.json)")
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if (earlier["metric"], earlier["mode"]) != (config.metric, config.mode):
            raise UserError(
                f"warm_start: {folder} ranked by {earlier['metric']} ({earlier['mode']}), not {config.metric}"
            )
        fit = [
            (standing["point"], _values(config, earlier, standing["name"], standing["mean"]))
            for standing in earlier["ranking"]
            if standing["rank"] is not None and fits(standing["point"], config)
        ]
        if not fit:
            raise UserError(f"warm_start: no ranked setting of {folder} lies in this space ({', '.join(config.space)})")
        found += fit
    return sorted(found, key=lambda entry: entry[1][0], reverse=config.mode == "max")


def _values(config: SweepConfig, earlier: dict, name: str, mean: float) -> list[float]:  # type: ignore[type-arg]
    values = [mean]
    for metric in config.objectives:
        runs = [run["metrics"] for run in earlier["trials"] if run["setting"] == name and run["status"] == "finished"]
        if any(metric not in metrics for metrics in runs):
            raise UserError(f"warm_start: runs of {name} did not measure {metric}, an objective of this sweep")
        values.append(sum(metrics[metric] for metrics in runs) / len(runs))
    return values


def fits(point: Point, config: SweepConfig) -> bool:
    """Whether a point has just the keys of the space, each within its list or range."""
    if set(point) != set(config.space):
        return False
    for key, entry in config.space.items():
        kind, values = ("choice", entry) if isinstance(entry, list) else next(iter(entry.items()))
        inside = point[key] in values if kind == "choice" else values[0] <= point[key] <= values[1]
        if not inside:
            return False
    return True
