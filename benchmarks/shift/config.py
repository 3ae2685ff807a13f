"""How large the benchmark is and which part of it is wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from ...config import Config, nearest
from ...tune.config import different_seeds
from .methods import METHODS, SEVERITIES

TINY = {"frames": 64, "source_steps": 2, "steps": 2, "labels": 8, "seeds": (0, 1), "resamples": 20}
"""``tiny=true``: says nothing about the methods, but runs all of the machinery in minutes."""


class BenchConfig(Config):
    """The defaults are meant for two cores and about two hours (one process a core)."""

    out: Path = Field(Path("bench/shift"), description="frames, runs and results go here; what is there is kept")
    variant: str | None = Field(
        None,
        pattern=r"^\w+$",
        description="name for adaptations of other steps, labels or train keys beside the first ones",
    )
    severities: tuple[str, ...] = Field(SEVERITIES, min_length=1, description="targets: medium, low, high")
    methods: tuple[str, ...] | None = Field(
        None, min_length=1, description="names; all if null, at low and high the core"
    )
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="each method is trained with each")
    part: str = Field("1/1", description="k/n: the k-th of n parts of the runs, for machines that share no disk")
    frames: int = Field(3072, ge=64, description="of the source for training; the other sets are fractions of it")
    source_steps: int = Field(1000, ge=1, description="of a source-only run, from scratch")
    steps: int = Field(250, ge=1, description="of an adaptation, from the source-only run of its seed")
    labels: int = Field(150, ge=1, description="target people with labels, for the methods that use some")
    train: dict[str, Any] = Field({}, description="further keys of all adaptations: train.optim.lr=1e-3")
    resamples: int = Field(1000, ge=2, description="bootstrap resamples of the test images")
    only_table: bool = Field(False, description="train nothing: tabulate what is there")
    tiny: bool = Field(False, description="a few frames and steps, to try the machinery")

    @model_validator(mode="before")
    @classmethod
    def _tiny(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("tiny") is True:
            return {**TINY, **values}
        return values

    @field_validator("severities", "methods", "seeds", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | int) else value

    @field_validator("severities", "methods")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None, info: Any) -> tuple[str, ...] | None:
        known = SEVERITIES if info.field_name == "severities" else tuple(METHODS)
        for name in value or ():
            if name not in known:
                raise ValueError(f"no '{name}': {nearest(name, known)}")
        return value

    _different = field_validator("seeds")(different_seeds)

    @field_validator("part")
    @classmethod
    def _fraction(cls, value: str) -> str:
        match = re.fullmatch(r"(\d+)/(\d+)", value)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ValueError("part=k/n names the k-th of n parts, k from 1 to n")
        return value

    def results(self, kind: str) -> Path:
        """Where the table goes: ``shift.<kind>``, of a variant ``shift_<variant>.<kind>``."""
        return self.out.resolve() / (f"shift_{self.variant}.{kind}" if self.variant else f"shift.{kind}")

    @property
    def slice(self) -> tuple[int, int]:
        """(k − 1, n) of ``part``."""
        k, n = self.part.split("/")
        return int(k) - 1, int(n)
