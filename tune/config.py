"""What a sweep is: a training preset, what is fixed, what varies, over which seeds, and the metric that ranks it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ..config import PRESETS, Config, UserError, config_hash, merge, parse_overrides, read_preset, validate
from ..trainers.config import TrainConfig
from ..trainers.recipes import RECIPES, validate_run
from . import space as spaces
from .space import Point

SWEEPS = PRESETS / "sweeps"
# Keys of the training config that the sweep itself sets.
RESERVED = {
    "name": "a trial is named after its point and seed",
    "out": "trials lie under the sweep's out",
    "seed": "list them under seeds",
    "runtime": "a trial trains in one process",
    "workers": "a trial trains in one process",
}


def different_seeds(value: tuple[int, ...]) -> tuple[int, ...]:
    """Seeds as they are; raises ValueError if one comes twice or is negative."""
    if len(set(value)) != len(value) or min(value) < 0:
        raise ValueError("seeds must be different numbers from 0 up")
    return value


class SweepConfig(Config):
    """A sweep: every point of the space, with every seed, is one trial."""

    train: str = Field(description="training preset, by name or path")
    out: str = Field(min_length=1, description="folder of the sweep; runs go to <out>/trials")
    fixed: dict[str, Any] = Field(
        {}, description="further keys of the training config, for all trials: fixed.data.source=DIR"
    )
    space: dict[str, Any] = Field(description="dotted key: list (grid), or {uniform|loguniform|choice: [...]}")
    samples: int | None = Field(None, ge=1, description="draws of the ranges; each is crossed with the whole grid")
    seed: int = Field(0, ge=0, description="of the draws")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="training seeds of every point")
    metric: str = Field("target/AP", description="of the runs' last validation")
    mode: Literal["max", "min"] = "max"
    control: dict[str, Any] = Field({}, description="values of grid keys to compare with: {adversarial.weight: 0}")
    concurrent: int = Field(1, ge=1, description="trials at a time")
    cpus: int = Field(1, ge=1, description="CPUs, and torch threads, of a trial")
    gpus: float = Field(0.0, ge=0, description="GPUs of a trial; a fraction shares one")
    max_failures: int = Field(
        1, ge=0, description="fresh starts, from its checkpoint, of a trial whose process was lost"
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
        drawn = spaces.ranges(self.space)
        if drawn and self.samples is None:
            raise ValueError(f"'{drawn[0]}' is drawn from a range: say how often with samples=N")
        if not drawn and self.samples is not None:
            raise ValueError(
                "samples counts draws of ranges, and the space has lists alone: leave it out (seeds repeat points)"
            )
        for key, value in self.control.items():
            grid = self.space.get(key)
            if not isinstance(grid, list) or value not in grid:
                raise ValueError(f"control {key}={value} is not in the space: its grid lists {grid}")
        return self

    @property
    def folder(self) -> Path:
        """Where the sweep lies, absolute."""
        return Path(self.out).resolve()

    def points(self) -> list[Point]:
        """Every point, in order."""
        return spaces.points(self.space, self.samples or 1, self.seed)


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
    """Every trial with its resolved config; all seeds of a point follow one another.

    Raises:
        UserError: if a config is not valid (key named), no data is named, or the metric cannot be measured.
    """
    shared = preset_values(config)
    trials = [_trial(config, shared, point, seed) for point in config.points() for seed in config.seeds]
    first = trials[0].config
    first.require_data()
    first.check_metric(config.metric)
    return trials


def _trial(config: SweepConfig, shared: Mapping[str, Any], point: Point, seed: int) -> Trial:
    defaults = {
        "threads": config.cpus,
        "tracking": {"experiment": config.folder.name, "uri": f"sqlite:///{config.folder / 'mlflow.db'}"},
    }
    own = {
        "name": trial_name(point, seed),
        "out": str(config.folder / "trials"),
        "seed": seed,
        "runtime": "local",
        "workers": 1,
    }
    fixed = {k: v.replace("{seed}", str(seed)) if isinstance(v, str) else v for k, v in config.fixed.items()}
    values = merge(merge(merge(defaults, shared), spaces.nest(fixed | point)), own)
    return Trial(point, seed, validate_run(values))


def trial_name(point: Point, seed: int) -> str:
    """Readable, and unique by a hash of the point (0 and 0.0 are one): ``weight-0.0005_3f2a9c1d_seed1``."""
    same = {k: float(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for k, v in point.items()}
    words = "_".join(f"{k.rpartition('.')[2]}-{v:g}" if isinstance(v, float) else f"{k}-{v}" for k, v in same.items())
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', words)[:60]}_{config_hash(same)[:8]}_seed{seed}"
