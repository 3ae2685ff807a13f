"""What a pipeline is: where its products go, variables, and steps by name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from ...config import PRESETS, Config, UserError, merge, nearest, parse_overrides, read_preset, validate

PIPELINES = PRESETS / "pipelines"
STEP_KEYS = ("verb", "args", "with", "flags", "after")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class StepConfig(Config):
    """One step: a verb of the command line and what it is given. Values may hold ``${step.out}`` and ``${vars.name}``."""

    verb: str = Field(description="words of the command: render, data import coco, models register, …")
    args: tuple[Any, ...] = Field((), description="positional words: preset, files")
    with_: dict[str, Any] = Field({}, alias="with", description="keys of the verb's config, nested or dotted")
    flags: dict[str, Any] = Field({}, description="--options of the verb, without their dashes")
    after: tuple[str, ...] = Field((), description="steps to wait for besides those that are referred to")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        for key in values if isinstance(values, Mapping) else ():
            if key not in STEP_KEYS:
                raise ValueError(f"a step has no key '{key}': {nearest(str(key), STEP_KEYS)}")
        given = values.get("with") if isinstance(values, Mapping) else None
        if isinstance(given, Mapping) and not all(isinstance(key, str) for key in given):
            raise ValueError(
                "keys under 'with' are words; YAML takes on, off, yes and no for truth values: put them in quotes"
            )
        return values

    @field_validator("args", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return tuple(shlex.split(value)) if isinstance(value, str) else value

    @field_validator("after", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class PipelineConfig(Config):
    """A pipeline: steps that feed one another."""

    out: Path = Field(description="folder of all products; made if absent")
    jobs: int = Field(1, ge=1, description="steps that may run side by side")
    uri: str | None = Field(None, description="MLflow: tracking and registry; sqlite database <out>/mlflow.db if null")
    code: Literal["sources", "version"] = Field(
        "sources", description="make a step anew if sources of its verb changed, or only if sim2pose's version did"
    )
    vars: dict[str, Any] = Field({}, description="${vars.NAME}; null: must be given")
    steps: dict[str, StepConfig] = Field(min_length=1)

    @field_validator("out")
    @classmethod
    def _local(cls, value: Path) -> Path:
        if re.match(r"\w+:/", str(value)):
            raise ValueError("must be a folder that this machine sees (steps may write elsewhere by their own keys)")
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _names(self) -> PipelineConfig:
        for kind, names in (("variable", self.vars), ("step", self.steps)):
            for name in names:
                if not _NAME.fullmatch(name):
                    raise ValueError(f"the {kind} '{name}' must be named in small letters, digits and _")
                if name in PipelineConfig.model_fields:
                    raise ValueError(f"a {kind} cannot be called '{name}': that is a key of the pipeline")
        both = sorted(set(self.vars) & set(self.steps))
        if both:
            raise ValueError(f"'{both[0]}' is both a variable and a step: rename one")
        return self

    @property
    def registry(self) -> str:
        """MLflow tracking URI of all steps."""
        return self.uri or f"sqlite:///{self.out / 'mlflow.db'}"

    @property
    def text(self) -> str:
        """As YAML that reads back."""
        return yaml.safe_dump(self.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


def load_pipeline(preset: str, items: Sequence[str] = ()) -> PipelineConfig:
    """Resolve a pipeline file (by name in ``configs/pipelines`` or by path) and ``key=value`` words.

    ``frames=200`` sets the variable ``frames``, ``train.optim.lr=1e-3`` a key of the step ``train``.

    Raises:
        UserError: for an unknown pipeline or key (nearest named), or a value of the wrong kind.
    """
    values = read_preset(preset, PIPELINES)
    steps, variables = values.get("steps"), values.get("vars") or {}
    if not isinstance(steps, Mapping) or not isinstance(variables, Mapping):
        raise UserError(f"{preset} is no pipeline: it needs 'steps:', each with a name and a verb")
    for key, value in parse_overrides(items).items():
        if key in PipelineConfig.model_fields:
            values = merge(values, {key: value})
        elif key in steps:
            if not isinstance(value, Mapping):
                raise UserError(f"'{key}' is a step: set a key of its config with {key}.KEY=VALUE")
            values = merge(values, {"steps": {key: {"with": value}}})
        elif key in variables:
            values = merge(values, {"vars": {key: value}})
        else:
            known = [*PipelineConfig.model_fields, *variables, *steps]
            raise UserError(f"{preset} has no key, variable or step '{key}': {nearest(key, known)}")
    return validate(PipelineConfig, values)
