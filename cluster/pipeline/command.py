"""From a step to the words that a user would type, and to the config that they resolve to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ...config import UserError, nearest, parse_overrides
from .config import PipelineConfig, StepConfig
from .graph import Lookup, substitute
from .verbs import Verb

_PLAIN = re.compile(r"[A-Za-z_]\w*")


def key_words(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as dotted keys and the text that ``key=text`` reads back as the same value; later ones win."""
    words: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        inner = isinstance(value, Mapping) and value and all(_PLAIN.fullmatch(str(part)) for part in value)
        if isinstance(value, Mapping) and inner:
            words |= key_words(value, f"{path}.")
        else:
            words[path] = text_of(value)
    return words


def text_of(value: Any) -> str:
    """A value as text that YAML reads back as the same value; strings as they are wherever that is so."""
    if isinstance(value, str):
        return value if _reads_back(value) else _quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_inside(str(key))}: {_inside(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inside(each) for each in value) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def _inside(value: Any) -> str:
    plain = isinstance(value, str) and re.fullmatch(r"[\w./-]*[A-Za-z/][\w./-]*", value) and _reads_back(value)
    return _quoted(value) if isinstance(value, str) and not plain else text_of(value)


def _reads_back(text: str) -> bool:
    return parse_overrides([f"key={text}"]) == {"key": text}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def words_of(
    name: str, step: StepConfig, verb: Verb, pipeline: PipelineConfig, folder: Path, lookup: Lookup
) -> list[str]:
    """The words after ``sim2pose`` that make a step in ``folder``.

    Raises:
        UserError: for a key that the pipeline sets itself, or an option that the verb has not.
    """
    told = key_words(substitute(step.with_, lookup))
    if told and "{with}" not in verb.command:
        raise UserError(f"step '{name}': '{step.verb}' takes no keys, 'with' gives {', '.join(told)}")
    for key in told:
        if key in verb.reserved:
            raise UserError(f"step '{name}': '{key}' is set by the pipeline: the product lies in its own folder")
    for flag in step.flags:
        if flag not in verb.flags:
            raise UserError(f"step '{name}': '{step.verb}' takes no flag '{flag}' here: {nearest(flag, verb.flags)}")
    parts = {
        "{args}": [str(word) for word in substitute(step.args, lookup)],
        "{with}": [f"{key}={text}" for key, text in told.items()],
        "{flags}": [_flag(key, value) for key, value in substitute(step.flags, lookup).items() if value is not False],
    }
    places = {"dir": folder, "label": folder.name, "out": pipeline.out, "uri": pipeline.registry}
    words: list[str] = []
    for word in verb.command:
        words += parts[word] if word in parts else [word.format(**places)]
    return words


def _flag(key: str, value: Any) -> str:
    return f"--{key}" if value is True else f"--{key}={value}"


def positional(name: str, step: StepConfig, verb: Verb) -> list[tuple[str, Any]]:
    """(place, word) of the step's args: which word is the preset, which an input.

    Raises:
        UserError: for too few or too many words.
    """
    needed = sum(not place.startswith("[") for place in verb.places)
    places = [*verb.places]
    if places and places[-1].endswith("…"):
        places += places[-1:] * (len(step.args) - len(places))
    if not needed <= len(step.args) <= len(places):
        usage = f"'{step.verb}' takes args: [{', '.join(verb.places)}]"
        raise UserError(f"step '{name}': {len(step.args)} args given; {usage}")
    return [(place.strip("[]…"), word) for place, word in zip(places, step.args, strict=False)]


def resolve(name: str, step: StepConfig, verb: Verb, words: Sequence[str], preset: str | None) -> BaseModel:
    """The verb's config as the command itself resolves it.

    Raises:
        UserError: whatever the verb finds wrong; names the step.
    """
    keys = [word for word in words if re.match(r"[A-Za-z_][\w.]*=", word)]
    try:
        parse_overrides(keys)
        return verb.load(preset, keys)
    except UserError as error:
        raise UserError(f"step '{name}' ({step.verb}): {error}") from None
