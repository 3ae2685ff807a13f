"""Which runs there are, in which order, and the training config of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config import load_config, merge
from ...trainers.keypoint_config import KeypointConfig
from ...tune.space import nest
from .config import BenchConfig
from .domains import folders
from .methods import METHODS, STARTS, Method

TARGETLESS = "start"  # folder of the source-only runs, which serve all severities


@dataclass(frozen=True)
class Run:
    """One method with one seed on one target; or, without a severity, a source-only run (``method`` is its start)."""

    severity: str | None
    method: str
    seed: int

    def folder(self, config: BenchConfig) -> Path:
        """``<out>/runs/<severity>/<method>_seed<N>``; of a variant ``<severity>_<variant>``. Starts are the same for all."""
        group = TARGETLESS if self.severity is None else "_".join(filter(None, (self.severity, config.variant)))
        return config.out.resolve() / "runs" / group / f"{self.method}_seed{self.seed}"

    def start(self) -> Run | None:
        """The source-only run that must be finished before this one."""
        return None if self.severity is None else Run(None, METHODS[self.method].start, self.seed)


def wanted(config: BenchConfig) -> list[Run]:
    """The measured runs that the config selects, most important first.

    The core methods at the first severity, the others there, then the core at the other severities; within each, seed by
    seed, so that a plan cut short has whole comparisons. Without ``methods``, severities but the first get the core alone.
    """
    groups = []
    for place, severity in enumerate(config.severities):
        names = config.methods or tuple(METHODS)
        core = [name for name in names if METHODS[name].core]
        rest = [name for name in names if not METHODS[name].core]
        groups.append((place, [Run(severity, name, seed) for seed in config.seeds for name in core]))
        if place == 0 or config.methods:
            groups.append((place, [Run(severity, name, seed) for seed in config.seeds for name in rest]))
    return [run for _, group in sorted(groups, key=lambda g: g[0]) for run in group]


def part(config: BenchConfig) -> list[Run]:
    """This part's runs (every n-th of the wanted ones), each after the source-only run that it needs."""
    first, step = config.slice
    ordered: dict[Run, None] = {}
    for run in wanted(config)[first::step]:
        needed = run.start()
        if needed is not None:
            ordered[needed] = None
        ordered[run] = None
    return list(ordered)


def train_config(config: BenchConfig, run: Run) -> KeypointConfig:
    """The resolved training config of a run; of a method that does not train, the one it is measured by."""
    out = config.out.resolve()
    severity = run.severity or config.severities[0]  # a source-only run reads the source alone
    places = {role: str(path) for role, path in folders(out, severity).items()}
    folder = run.folder(config)
    shared: dict[str, Any] = {"name": folder.name, "out": str(folder.parent), "seed": run.seed}
    if run.severity is None:
        shared |= {"steps": config.source_steps, "checkpoint": {"every": max(1, config.source_steps // 4), "keep": 1}}
        shared["data"] = {"source": places["source_train"], "val": {"source": places["source_test"]}}
        shared["data"]["augment"] = STARTS[run.method]
        return load_config(KeypointConfig, "shift_train", shared)
    method = METHODS[run.method]
    start = run.start()
    assert start is not None
    shared |= {"steps": config.steps, "checkpoint": {"every": max(1, config.steps // 2), "keep": 1}}
    shared["init_from"] = str(start.folder(config))
    shared["data"] = {
        "source": places["source_train"],
        "target": places["target_train"],
        "target_labels": {"source": 0, "none": 0, "some": config.labels, "all": None}[method.labels],
        "val": {"source": places["source_test"], "target": places["target_test"]},
    }
    return load_config(KeypointConfig, "shift_adapt", _over(shared, method, config.train))


def _over(shared: dict[str, Any], method: Method, more: dict[str, Any]) -> dict[str, Any]:
    return merge(merge(nest(method.keys), more) if method.trains else {}, shared)
