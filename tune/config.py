"""What a sweep is: a training preset, what is fixed, what varies, over which seeds, and the metric that ranks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ..config import PRESETS, Config, UserError, merge, parse_overrides, read_preset, validate
from ..trainers.config import TrainConfig
from ..trainers.recipes import RECIPES, validate_run
from . import space as spaces
from .space import Point
from .trials import run_values, trial_name

SWEEPS = PRESETS / "sweeps"
# Keys of the training config that the sweep itself sets.
RESERVED = {
    "name": "a trial is named after its point and seed",
    "out": "trials lie under the sweep's out",
    "seed": "list them under seeds",
    "runtime": "ranks=N of the sweep says how many ranks a trial has",
    "workers": "ranks=N of the sweep says how many ranks a trial has",
}


def different_seeds(value: tuple[int, ...]) -> tuple[int, ...]:
    """Seeds as they are; raises ValueError if one comes twice or is negative."""
    if len(set(value)) != len(value) or min(value) < 0:
        raise ValueError("seeds must be different numbers from 0 up")
    return value


class SchedulerConfig(Config):
    """Which settings go on. ``scheduler=asha`` is short for ``scheduler.kind=asha``."""

    shorthand = "kind"

    kind: Literal["none", "asha", "pbt"] = "none"
    reduction: int = Field(
        3, ge=2, description="asha: one in so many goes on from each rung, to so many times the steps"
    )
    rungs: int = Field(
        3, ge=2, description="asha: measurements of a setting, the last at its end: 1/9, 1/3, 1 of its steps"
    )
    start: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="asha: share of the steps that comes before and does not count, such as a pre-phase",
    )
    interval: float = Field(0.1, gt=0, le=0.5, description="pbt: share of the steps between two measurements")
    quantile: float = Field(0.25, gt=0, le=0.5, description="pbt: share of the population that is replaced by the best")
    resample: float = Field(
        0.25, ge=0, le=1, description="pbt: how often a key is drawn anew rather than moved by a fifth"
    )


class SweepConfig(Config):
    """A sweep: every point of the space, with every seed, is one trial."""

    train: str = Field(description="training preset, by name or path")
    out: str = Field(min_length=1, description="folder of the sweep; runs go to <out>/trials")
    fixed: dict[str, Any] = Field(
        {}, description="further keys of the training config, for all trials: fixed.data.source=DIR"
    )
    space: dict[str, Any] = Field(description="dotted key: list (grid), or {uniform|loguniform|choice: [...]}")
    search: Literal["grid", "random", "optuna"] = Field(
        "grid", description="lists crossed, ranges drawn; or all keys drawn; or suggested by Optuna's TPE"
    )
    samples: int | None = Field(
        None,
        ge=1,
        description="draws of the ranges, each crossed with the lists (grid); settings (random, optuna); members (pbt)",
    )
    scheduler: SchedulerConfig = SchedulerConfig()
    seed: int = Field(0, ge=0, description="of the draws")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="training seeds of every point")
    metric: str = Field("target/AP", description="of the runs' last validation")
    mode: Literal["max", "min"] = "max"
    objectives: tuple[str, ...] = Field(
        (), description="further metrics by the same mode: the report shows the Pareto front, optuna seeks it"
    )
    control: dict[str, Any] = Field({}, description="values of grid keys to compare with: {adversarial.weight: 0}")
    warm_start: tuple[str, ...] = Field((), description="folders of earlier sweeps that optuna or pbt learns from")
    hours: float | None = Field(None, gt=0, description="time budget; the same command goes on with what is left")
    concurrent: int = Field(1, ge=1, description="trials at a time")
    ranks: int = Field(
        1, ge=1, description="ranks of a trial; from 2 on by Ray Train, one CPU, and one GPU if gpus, each"
    )
    cpus: int = Field(1, ge=1, description="CPUs, and torch threads, of a rank")
    gpus: float = Field(0.0, ge=0, description="GPUs of a rank; a fraction shares one among trials")
    max_failures: int = Field(
        1, ge=0, description="fresh starts, from its checkpoint, of a trial whose process was lost"
    )
    register_as: str | None = Field(
        "auto",
        description="registry name for the best setting's run of the median seed (auto: by its kind; null: not registered)",
    )

    @field_validator("space", "fixed", "control", mode="before")
    @classmethod
    def _dotted(cls, value: Any) -> Any:
        return spaces.flatten(value) if isinstance(value, Mapping) else value

    @field_validator("space")
    @classmethod
    def _space(cls, value: dict[str, Any]) -> dict[str, Any]:
        spaces.check(value)
        return value

    _different = field_validator("seeds")(different_seeds)

    @model_validator(mode="after")
    def _consistent(self) -> SweepConfig:
        for key in [*self.space, *self.fixed]:
            if key in RESERVED:
                raise ValueError(f"'{key}' cannot be set by a sweep: {RESERVED[key]}")
        both = sorted(set(self.space) & set(self.fixed))
        if both:
            raise ValueError(f"'{both[0]}' is both fixed and in the space")
        self._check_samples()
        self._check_combination()
        for key, value in self.control.items():
            grid = self.space.get(key)
            if not isinstance(grid, list) or value not in grid:
                raise ValueError(f"control {key}={value} is not in the space: its grid lists {grid}")
        return self

    def _check_samples(self) -> None:
        drawn = spaces.ranges(self.space)
        if self.scheduler.kind == "pbt" or self.search != "grid":
            what = "members of the population" if self.scheduler.kind == "pbt" else f"settings of search={self.search}"
            if self.samples is None:
                raise ValueError(f"say how many {what} there are with samples=N")
        elif drawn and self.samples is None:
            raise ValueError(f"'{drawn[0]}' is drawn from a range: say how often with samples=N")
        elif not drawn and self.samples is not None:
            raise ValueError(
                "samples counts draws of ranges, and the space has lists alone: leave it out (seeds repeat points)"
            )

    def _check_combination(self) -> None:
        kind = self.scheduler.kind
        if kind == "pbt" and self.search == "optuna":
            raise ValueError("scheduler=pbt changes settings by itself: use search=random with it")
        if kind == "pbt" and (self.samples or 0) < 2:
            raise ValueError("scheduler=pbt needs a population: samples=4, say")
        if kind == "asha" and self.search == "optuna" and self.objectives:
            raise ValueError("scheduler=asha compares by one metric: leave out objectives, or the scheduler")
        if self.warm_start and kind != "pbt" and self.search != "optuna":
            raise ValueError("warm_start needs who learns from it: search=optuna or scheduler=pbt")
        if self.metric in self.objectives:
            raise ValueError(f"{self.metric} is the metric already: objectives are further ones")
        if self.ranks > 1 and self.gpus not in (0.0, 1.0):
            raise ValueError(f"gpus={self.gpus:g}: several ranks need a whole GPU each, or none")

    @property
    def folder(self) -> Path:
        """Where the sweep lies, absolute."""
        return Path(self.out).resolve()

    @property
    def times(self) -> tuple[int, ...]:
        """When settings are measured, in units of the first time: the end alone, ASHA's rungs, or a population's intervals."""
        wanted = self.scheduler
        if wanted.kind == "asha":
            return tuple(wanted.reduction**k for k in range(wanted.rungs))
        return tuple(range(1, max(round(1 / wanted.interval), 1) + 1)) if wanted.kind == "pbt" else (1,)

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of a run's steps at which settings are measured; the last is 1."""
        start = self.scheduler.start if self.scheduler.kind == "asha" else 0.0
        return tuple(start + (1 - start) * time / self.times[-1] for time in self.times)

    def points(self) -> list[Point]:
        """Every point that is known beforehand, in order: none of search=optuna."""
        if self.search == "optuna":
            return []
        drawn = self.search == "random" or self.scheduler.kind == "pbt"
        return spaces.points(spaces.all_drawn(self.space) if drawn else self.space, self.samples or 1, self.seed)

    def plain(self) -> dict[str, Any]:
        """As JSON values, ``out`` absolute."""
        return {**self.model_dump(mode="json"), "out": str(self.folder)}


def load_sweep(preset: str, overrides: Sequence[str] = ()) -> SweepConfig:
    """Resolve a sweep file (by name in ``configs/sweeps`` or by path) and ``key=value`` overrides.

    An override of an entry of ``space`` replaces it; ``fixed.KEY=VALUE`` sets a key of the training config.

    Raises:
        UserError: for an unknown sweep or key, or an impossible space; names it.
    """
    values, over = read_preset(preset, SWEEPS), parse_overrides(overrides)
    for key in over:
        trains = any(key in recipe.config.model_fields for recipe in RECIPES.values())
        if trains and key not in SweepConfig.model_fields:
            raise UserError(f"'{key}' is a key of the training: write fixed.{key}… to set it for all trials")
    for key in ("space", "fixed", "control"):
        old, new = values.get(key, {}), over.get(key, {})
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            values[key] = spaces.flatten(old) | spaces.flatten(new)
            over.pop(key, None)
    return validate(SweepConfig, merge(values, over))


@dataclass(frozen=True)
class Trial:
    """One training run of a sweep."""

    point: Point
    seed: int
    config: TrainConfig

    @property
    def name(self) -> str:
        """Of the run, and of its folder."""
        return self.config.name

    @property
    def run_dir(self) -> Path:
        """Run folder, absolute."""
        return Path(self.config.out) / self.config.name


def preset_values(config: SweepConfig) -> dict[str, Any]:
    """What all trials share: the training preset with ``fixed`` over it, not yet validated."""
    return merge(read_preset(config.train), spaces.nest(config.fixed))


def make_trials(config: SweepConfig) -> list[Trial]:
    """Every trial that is known beforehand, with its resolved config; all seeds of a point follow one another.

    Raises:
        UserError: if a config is not valid (key named), no data is named, or a metric cannot be measured.
    """
    points = config.points()
    shared = preset_values(config)
    tried = points or [first_point(config)]
    trials = [make_trial(config, shared, point, seed) for point in tried for seed in config.seeds]
    first = trials[0].config
    first.require_data()
    for metric in (config.metric, *config.objectives):
        first.check_metric(metric)
    return trials if points else []


def first_point(config: SweepConfig) -> Point:
    """Some point of the space: what is wrong with its keys is found before anything trains."""
    return spaces.points(spaces.all_drawn(config.space), 1, config.seed)[0]


def make_trial(config: SweepConfig, shared: Mapping[str, Any], point: Point, seed: int) -> Trial:
    """One trial; ``shared`` are :func:`preset_values`."""
    return Trial(point, seed, validate_run(run_values(config.plain(), shared, point, seed, trial_name(point, seed))))
