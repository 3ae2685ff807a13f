"""Typed configuration: a preset by name or path, then ``key.sub=value`` overrides, checked as one model.

Every recipe is a pydantic model derived from :class:`Config`. Presets are YAML files in ``configs/``; a preset may name
another one under ``base:`` whose values it refines (one level, no other magic). The resolved config is saved with a run.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

PRESETS = Path(__file__).parent / "configs"


class UserError(ValueError):
    """A mistake of the caller, in one sentence: what is wrong, where, and what to do. The command line exits with 2."""


class Config(BaseModel):
    """Base of all configs: immutable, unknown keys refused, paths and numbers parsed from text.

    What is given for a part of a config lies over that part's defaults *at its place*: where a field's default is
    ``SensorConfig(motion_share=0.0)``, giving ``sensor.haze`` alone leaves the 0. A part with a ``shorthand`` also takes the
    value of that field alone: ``backgrounds=FOLDER`` for ``backgrounds.folder=FOLDER``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    shorthand: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _over_the_defaults_of_the_place(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        parts = {name: field.default for name, field in cls.model_fields.items() if isinstance(field.default, Config)}
        given = {name: _over(parts[name], value) for name, value in values.items() if name in parts}
        return {**values, **given}


def _over(default: Config, value: Any) -> Any:
    """A part of a config: what is given, over what its default sets."""
    if default.shorthand is not None and isinstance(value, str | Path):
        value = {default.shorthand: value}
    if not isinstance(value, Mapping):
        return value
    filled: dict[str, Any] = {name: getattr(default, name) for name in default.model_fields_set}
    for name, each in value.items():
        under = getattr(default, name, None)
        filled[name] = _over(under, each) if isinstance(under, Config) else each
    return filled


C = TypeVar("C", bound=Config)


class _Loader(yaml.SafeLoader):
    """``yaml.safe_load`` that reads ``1e-3`` as a number (YAML 1.1 asks for a dot and a sign; users do not)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def parse_yaml(text: str) -> Any:
    """Parse YAML safely (no tags that build objects)."""
    return yaml.load(text, Loader=_Loader)


def nearest(word: str, choices: Iterable[str]) -> str:
    """A hint that names the closest choices: `` (did you mean 'workers'?)``, or all of them where none is close."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known)}" if known else "none is known"


def preset_path(preset: str, root: Path = PRESETS) -> Path:
    """Find a preset by name in ``configs/`` or by path.

    Raises:
        UserError: if there is no such preset; names the nearest.
    """
    if preset.endswith((".yaml", ".yml")) or "/" in preset:
        path = Path(preset)
        if not path.is_file():
            raise UserError(f"no preset file at {path}")
        return path
    path = root / f"{preset}.yaml"
    if not path.is_file():
        raise UserError(f"unknown preset '{preset}': {nearest(preset, (p.stem for p in root.glob('*.yaml')))}")
    return path


def read_preset(preset: str, root: Path = PRESETS) -> dict[str, Any]:
    """Read a preset as a plain dict, its ``base`` merged beneath it.

    Raises:
        UserError: if the file is not YAML or not a mapping.
    """
    path = preset_path(preset, root)
    try:
        values = parse_yaml(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold 'key: value' pairs, found a {type(values).__name__}")
    base = values.pop("base", None)
    if base is None:
        return values
    return merge(read_preset(base, root), values)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested dicts; values of ``over`` win, mappings are merged key by key."""
    merged = dict(under)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse_overrides(items: Sequence[str]) -> dict[str, Any]:
    """Turn ``["optim.lr=1e-4", "frames=200"]`` into a nested dict; values are read as YAML.

    Raises:
        UserError: for an item without ``=``, a value that is not YAML, or a key that an earlier item gave a plain value.
    """
    result: dict[str, Any] = {}
    for item in items:
        key, sign, text = item.partition("=")
        if not sign or not key:
            raise UserError(f"'{item}' is not of the form key=value")
        *parents, leaf = key.split(".")
        nested: dict[str, Any] = {leaf: _value(text)}
        earlier: Any = result
        for part in parents:
            earlier = earlier.get(part, {})
            if not isinstance(earlier, dict):
                raise UserError(
                    f"'{item}' would undo the value '{earlier}' that an earlier {part}= gave; set its keys singly"
                )
        for part in reversed(parents):
            nested = {part: nested}
        result = merge(result, nested)
    return result


def _value(text: str) -> Any:
    try:
        return parse_yaml(text) if text else ""
    except yaml.YAMLError:
        return text  # a plain string with YAML signs in it


def load_config(cls: type[C], preset: str | None = None, overrides: Sequence[str] | Mapping[str, Any] = ()) -> C:
    """Resolve a config: preset (name or path, or none), then overrides (``key=value`` items or a nested dict).

    Raises:
        UserError: for an unknown preset or key (nearest named) or a value of the wrong kind (key, reason).
    """
    values = read_preset(preset) if preset else {}
    over = dict(overrides) if isinstance(overrides, Mapping) else parse_overrides(overrides)
    return validate(cls, merge(values, over))


def validate(cls: type[C], values: Mapping[str, Any]) -> C:
    """Build the config model, turning pydantic's report into one sentence that names the key."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = [str(part) for part in first["loc"]]
        key = ".".join(where)
        if first["type"] == "extra_forbidden":
            hint = nearest(where[-1], _fields_at(cls, where[:-1]))
            raise UserError(f"unknown key '{key}': {hint}") from None
        if first["type"] == "missing":
            raise UserError(f"'{key}' must be given: {key}=VALUE") from None
        reason = first["msg"].removeprefix("Value error, ")
        given = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
        raise UserError(f"{key or cls.__name__}: {reason}{given}") from None


def _fields_at(cls: type[BaseModel], where: Sequence[str]) -> list[str]:
    """Field names of the model reached by walking ``where`` from ``cls`` (through Optional and unions)."""
    model: Any = cls
    for part in where:
        field = model.model_fields.get(part)
        if field is None:
            continue
        kinds = [field.annotation]
        if isinstance(field.annotation, types.UnionType) or typing.get_origin(field.annotation) is typing.Union:
            kinds = list(typing.get_args(field.annotation))
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), model)
    return list(model.model_fields)


def config_hash(config: BaseModel | Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of the config as canonical JSON: equal configs, equal hash."""
    values = config.model_dump(mode="json") if isinstance(config, BaseModel) else dict(config)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def dump_yaml(config: BaseModel) -> str:
    """The resolved config as YAML, keys in the order of the model."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
