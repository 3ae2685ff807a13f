"""A search space: which keys of the training config vary, and over what. Expanding it is a pure function of the config.

``{"adversarial.weight": [0, 1e-3], "optim.lr": {"loguniform": [1e-4, 1e-2]}}``: lists form a grid, ranges are drawn
``samples`` times, and every draw is crossed with the whole grid. So points that differ in a grid key alone share
everything else, and can be compared pair by pair.
"""

from __future__ import annotations

import difflib
import itertools
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import nearest

Point = dict[str, Any]


def _uniform(rng: np.random.Generator, values: Sequence[Any]) -> float:
    low, high = values
    return _rounded(rng.uniform(low, high), low, high)


def _loguniform(rng: np.random.Generator, values: Sequence[Any]) -> float:
    low, high = values
    return _rounded(math.exp(rng.uniform(math.log(low), math.log(high))), low, high)


def tidy(value: Any, entry: Any) -> Any:
    """A value as a table shows it: within its range, to four significant digits; listed values as they are."""
    kind, values = next(iter(entry.items())) if isinstance(entry, Mapping) else ("choice", entry)
    return value if kind == "choice" else _rounded(float(value), *values)


def _choice(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def _rounded(value: float, low: float, high: float) -> float:
    """Four significant digits, so that what a table shows is what was trained."""
    return min(max(float(f"{value:.4g}"), low), high)


DRAWS: dict[str, Callable[[np.random.Generator, Sequence[Any]], Any]] = {
    "uniform": _uniform,
    "loguniform": _loguniform,
    "choice": _choice,
}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested and dotted keys alike as dotted keys; a range such as ``{"uniform": [0, 1]}`` stays a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and not (path and set(value) & set(DRAWS)):
            flat.update(flatten(value, f"{path}."))
        else:
            flat[path] = dict(value) if isinstance(value, Mapping) else value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested dicts."""
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, last = path.split(".")
        place = nested
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return nested


def check(space: Mapping[str, Any]) -> None:
    """Check every entry of a flat space.

    Raises:
        ValueError: for an empty space or an entry that is neither a list nor a range; names the key.
    """
    if not space:
        raise ValueError("nothing varies: name at least one key, such as {adversarial.weight: [0, 1e-3]}")
    for key, entry in space.items():
        last = key.rpartition(".")[2]
        if difflib.get_close_matches(last, DRAWS, cutoff=0.75):
            raise ValueError(f"{key} has an unknown range '{last}': {nearest(last, DRAWS)}")
        if isinstance(entry, list):
            if not entry or any(a == b for a, b in itertools.combinations(entry, 2)):
                raise ValueError(f"{key} must list different values, at least one, got {entry}")
        elif isinstance(entry, dict) and len(entry) == 1 and set(entry) <= set(DRAWS):
            _check_range(key, *next(iter(entry.items())))
        else:
            raise ValueError(
                f"{key} must be a list, or one of {{uniform: [a, b]}}, {{loguniform: [a, b]}}, {{choice: [...]}}; "
                f"got {entry!r}; what does not vary belongs in fixed"
            )


def _check_range(key: str, kind: str, values: Any) -> None:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{key}: {kind} takes a list, got {values!r}")
    if kind == "choice":
        return
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if len(values) != 2 or not numbers or not values[0] < values[1]:
        raise ValueError(f"{key}: {kind} takes [low, high] with low < high, got {values}")
    if kind == "loguniform" and values[0] <= 0:
        raise ValueError(f"{key}: loguniform needs low > 0, got {values[0]} (a grid list may hold 0 beside it)")


def ranges(space: Mapping[str, Any]) -> list[str]:
    """Keys that are drawn rather than listed."""
    return [key for key, entry in space.items() if isinstance(entry, dict)]


def points(space: Mapping[str, Any], samples: int, seed: int) -> list[Point]:
    """All points of a flat, checked space: draw by draw, and for each the whole grid in the order of the file.

    Draw i of a key depends on (seed, i, key) alone: more samples, or further keys, leave what was drawn as it was.
    """
    drawn = ranges(space)
    listed = [key for key in space if key not in drawn]
    found: list[Point] = []
    for i in range(samples if drawn else 1):
        values = {key: _draw(space[key], np.random.default_rng([seed, i, zlib.crc32(key.encode())])) for key in drawn}
        for combination in itertools.product(*(space[key] for key in listed)):
            chosen = values | dict(zip(listed, combination, strict=True))
            point = {key: chosen[key] for key in space}
            if point not in found:  # choices may be drawn twice
                found.append(point)
    return found


def all_drawn(space: Mapping[str, Any]) -> dict[str, Any]:
    """The space with every list as a choice: what random search draws from."""
    return {key: {"choice": entry} if isinstance(entry, list) else entry for key, entry in space.items()}


def _draw(entry: dict[str, Any], rng: np.random.Generator) -> Any:
    kind, values = next(iter(entry.items()))
    return DRAWS[kind](rng, values)
