"""Ranking points by their mean over seeds: with the spread, beside the control, and no winner where seeds tell none."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .space import Point

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Score:
    """The metric of one finished trial."""

    point: Point
    seed: int
    value: float


@dataclass(frozen=True)
class Difference:
    """Mean of the differences of two points, seed by seed, and their sample deviation (None for one seed)."""

    mean: float
    sd: float | None
    seeds: int

    def excludes_zero(self) -> bool:
        """Whether a paired t test at :data:`CONFIDENCE` tells the points apart; never with one seed."""
        from scipy.stats import t

        if self.sd is None:
            return False
        half = float(t.ppf(0.5 + CONFIDENCE / 2, self.seeds - 1)) * self.sd / math.sqrt(self.seeds)
        return abs(self.mean) > half


@dataclass(frozen=True)
class Standing:
    """How a point did.

    Attributes:
        rank: from 1; None if not every seed has finished, as a mean over fewer seeds is not comparable.
        scores: metric by seed.
        mean, sd: over the finished seeds; sd is the sample deviation (n − 1), None for fewer than two.
        to_best, to_control: paired differences; None for the best or the control itself, or without common seeds.
        like_best: no paired test tells it from the best one.
    """

    rank: int | None
    point: Point
    scores: dict[int, float]
    mean: float | None
    sd: float | None
    to_best: Difference | None = None
    to_control: Difference | None = None
    like_best: bool = False

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and sample deviation, each None where it is not defined."""
    mean = statistics.fmean(values) if values else None
    return mean, statistics.stdev(values) if len(values) > 1 else None


def rank(
    points: Sequence[Point],
    seeds: Sequence[int],
    scores: Sequence[Score],
    mode: str,
    control: Mapping[str, Any] | None = None,
) -> list[Standing]:
    """Complete points by mean, best first; then incomplete ones, in their order.

    Args:
        points: all points of the sweep.
        seeds: all seeds; a point is complete when each has a score.
        scores: of the finished trials.
        mode: ``max`` or ``min``.
        control: values of some keys; a point's control is the point with these, equal to it in all other keys.
    """
    by_point = [{s.seed: s.value for s in scores if s.point == point and s.seed in seeds} for point in points]
    sign = -1.0 if mode == "max" else 1.0
    means = [spread(list(found.values()))[0] for found in by_point]
    complete = [i for i, found in enumerate(by_point) if len(found) == len(seeds)]
    order = sorted(complete, key=lambda i: sign * (means[i] or 0.0))
    standings = []
    for i in [*order, *(i for i in range(len(points)) if i not in complete)]:
        mean, sd = spread(list(by_point[i].values()))
        place = order.index(i) + 1 if i in order else None
        to_best = paired(by_point[i], by_point[order[0]]) if order and i != order[0] else None
        partner = {**points[i], **(control or {})}
        paired_with = points.index(partner) if control and partner in points else i
        to_control = paired(by_point[i], by_point[paired_with]) if paired_with != i else None
        like_best = place is not None and place > 1 and to_best is not None and not to_best.excludes_zero()
        scores_in_order = {seed: by_point[i][seed] for seed in seeds if seed in by_point[i]}
        standings.append(Standing(place, points[i], scores_in_order, mean, sd, to_best, to_control, like_best))
    return standings


def paired(scores: Mapping[int, float], others: Mapping[int, float]) -> Difference | None:
    """Differences over the seeds that both have; None without any."""
    differences = [value - others[seed] for seed, value in scores.items() if seed in others]
    mean, sd = spread(differences)
    return None if mean is None else Difference(mean, sd, len(differences))


def verdict(standings: Sequence[Standing], metric: str, seeds: int) -> str:
    """What may be concluded, in one or two sentences."""
    ranked = [s for s in standings if s.rank is not None]
    if not ranked:
        return f"no point has finished all of its {seeds} seeds: nothing is ranked"
    best = ranked[0]
    assert best.mean is not None
    if seeds == 1:
        return f"highest {metric} {best.mean:.4g} at {label(best.point)}; one seed does not rank points: add seeds"
    said = f"best {metric} {best.mean:.4g} ± {best.sd:.2g} at {label(best.point)}"
    alike = [label(s.point) for s in ranked if s.like_best]
    if not alike:
        return f"{said}, over {seeds} seeds"
    return f"{said}; {seeds} seeds do not tell it from {', '.join(alike)} (paired t test, {CONFIDENCE:.0%})"


def label(point: Point) -> str:
    """``weight=0.001, lr=0.01``: last parts of the keys, in full where they would clash."""
    names = [key.rpartition(".")[2] for key in point]
    names = list(point) if len(set(names)) < len(names) else names
    values = ["null" if value is None else value for value in point.values()]
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def rows(standings: Sequence[Standing], seeds: int) -> list[tuple[Any, ...]]:
    """Rows for a table: rank, point, mean ± sd, seeds, difference to the control (or to the best, without one)."""
    found = []
    for s in standings:
        difference = s.to_control if any(x.to_control for x in standings) else s.to_best
        found.append(
            (
                s.rank,
                label(s.point) + (" *" if s.like_best else ""),
                None if s.mean is None else _pm(s.mean, s.sd),
                f"{len(s.scores)}/{seeds}",
                None if difference is None else _pm(difference.mean, difference.sd, "+"),
            )
        )
    return found


def _pm(mean: float, sd: float | None, sign: str = "") -> str:
    return f"{mean:{sign}.4f} ± {'–' if sd is None else f'{sd:.4f}'}"
