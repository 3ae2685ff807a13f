"""Ranges, shares and tables of weights: the types that configs of the farm are made of.

Every range is a pair ``[low, high]`` drawn from uniformly unless the field says otherwise; every table of weights is
normalised where it is used, and a weight of 0 switches an entry off. Lengths are metres, angles degrees.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ..config import nearest


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] <= pair[1]:
        raise ValueError(f"a range is [low, high] with low <= high, found {list(pair)}")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weights = dict[str, float]


def check_weights(name: str, weights: Weights, known: tuple[str, ...]) -> None:
    """Refuse a table of weights with unknown or negative entries, or without a positive one (ValueError)."""
    for key, value in weights.items():
        if key not in known:
            raise ValueError(f"{name} has no entry '{key}': {nearest(key, known)}")
        if value < 0:
            raise ValueError(f"{name}.{key} must not be negative, found {value}")
    if sum(weights.values()) <= 0:
        raise ValueError(f"{name} needs at least one positive weight of: {', '.join(known)}")
