"""From a point of the space to the config of a run. Plain values: who places trials need not load what trains them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import config_hash, merge
from . import space as spaces
from .space import Point

TRIALS = "trials"


def run_values(
    sweep: Mapping[str, Any], shared: Mapping[str, Any], point: Point, seed: int, name: str
) -> dict[str, Any]:
    """The training config of one run, not yet validated.

    Args:
        sweep: the sweep's config as JSON values, ``out`` absolute.
        shared: the training preset with ``fixed`` over it; ``{seed}`` in its texts stands for the seed.
        point: values of the keys that vary.
        seed: of the training.
        name: of the run, and of its folder.
    """
    folder = Path(sweep["out"])
    ranks = sweep["ranks"]
    defaults = {
        "threads": sweep["cpus"],
        "tracking": {"experiment": folder.name, "uri": f"sqlite:///{folder / 'mlflow.db'}", "parent": str(folder)},
    }
    own: dict[str, Any] = {
        "name": name,
        "out": str(folder / TRIALS),
        "seed": seed,
        "runtime": "local" if ranks == 1 else "ray",
        "workers": ranks,
    }
    if sweep["scheduler"]["kind"] == "pbt":
        own["checkpoint"] = {"keep": 10_000}  # another member may branch from any pause
    return merge(merge(merge(defaults, _of_seed(shared, seed)), _of_seed(spaces.nest(point), seed)), own)


def _of_seed(values: Any, seed: int) -> Any:
    if isinstance(values, Mapping):
        return {key: _of_seed(value, seed) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_of_seed(value, seed) for value in values]
    return values.replace("{seed}", str(seed)) if isinstance(values, str) else values


def setting_name(point: Point) -> str:
    """Readable, and unique by a hash of the point (0 and 0.0 are one): ``weight-0.0005_3f2a9c1d``."""
    same = {k: float(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for k, v in point.items()}
    words = "_".join(f"{k.rpartition('.')[2]}-{v:g}" if isinstance(v, float) else f"{k}-{v}" for k, v in same.items())
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', words)[:60]}_{config_hash(same)[:8]}"


def trial_name(point: Point, seed: int) -> str:
    """The run of a setting with one seed: ``weight-0.0005_3f2a9c1d_seed1``."""
    return f"{setting_name(point)}_seed{seed}"
