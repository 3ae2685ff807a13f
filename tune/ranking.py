"""Ranking points by their mean over seeds: with the spread, beside the control, and no winner where seeds tell none."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .ledger import Report
from .space import Point

NAMED = 2  # settings that a verdict names as no worse; the table marks all
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Score:
    """The metric of one finished trial."""

    setting: str
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
        name: of the setting; point: its values.
        scores: metric by seed.
        mean, sd: over the finished seeds; sd is the sample deviation (n − 1), None for fewer than two.
        to_best, to_control: paired differences; None for the best or the control itself, or without common seeds.
        like_best: no paired test tells it from the best one.
        progress: share of the steps at which a scheduler stopped it, where ``scores`` were measured; 1 for all others.
    """

    rank: int | None
    name: str
    point: Point
    scores: dict[int, float]
    mean: float | None
    sd: float | None
    to_best: Difference | None = None
    to_control: Difference | None = None
    like_best: bool = False
    progress: float = 1.0

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and sample deviation, each None where it is not defined."""
    mean = statistics.fmean(values) if values else None
    return mean, statistics.stdev(values) if len(values) > 1 else None


def rank(
    settings: Mapping[str, Point],
    seeds: Sequence[int],
    scores: Sequence[Score],
    mode: str,
    control: Mapping[str, Any] | None = None,
    stopped: Mapping[str, Report] | None = None,
) -> list[Standing]:
    """Complete settings by mean, best first; then those that a scheduler stopped, the later the better; then incomplete ones.

    Args:
        settings: all settings of the sweep, name → point.
        seeds: all seeds; a setting is complete when each has a score.
        scores: of the finished trials.
        mode: ``max`` or ``min``.
        control: values of some keys; a setting's control is the one with these, equal to it in all other keys.
        stopped: the last measurement of settings that were stopped.
    """
    stopped = stopped or {}
    found = {name: {s.seed: s.value for s in scores if s.setting == name and s.seed in seeds} for name in settings}
    sign = -1.0 if mode == "max" else 1.0
    complete = [name for name in settings if len(found[name]) == len(seeds)]
    order = sorted(complete, key=lambda name: sign * statistics.fmean(found[name].values()))
    cut = [name for name in stopped if name not in complete]
    cut.sort(key=lambda name: (-stopped[name].progress, sign * stopped[name].value))
    standings = []
    for name in [*order, *cut, *(name for name in settings if name not in complete and name not in stopped)]:
        place = order.index(name) + 1 if name in order else None
        scored = (
            stopped[name].seeds if name in cut else {seed: found[name][seed] for seed in seeds if seed in found[name]}
        )
        mean, sd = spread(list(scored.values()))
        whole = {} if name in cut else scored
        to_best = paired(whole, found[order[0]]) if order and name != order[0] else None
        partner = _partner(settings, name, control)
        to_control = paired(whole, found[partner]) if partner not in (None, name) else None
        like_best = place is not None and place > 1 and to_best is not None and not to_best.excludes_zero()
        progress = stopped[name].progress if name in cut else 1.0
        standings.append(
            Standing(place, name, settings[name], scored, mean, sd, to_best, to_control, like_best, progress)
        )
    return standings


def _partner(settings: Mapping[str, Point], name: str, control: Mapping[str, Any] | None) -> str | None:
    wanted = {**settings[name], **(control or {})}
    return next((other for other, point in settings.items() if point == wanted), None) if control else None


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
    others = alike if len(alike) <= NAMED else [*alike[:NAMED], f"{len(alike) - NAMED} more"]
    return f"{said}; {seeds} seeds do not tell it from {'; '.join(others)} (paired t test, {CONFIDENCE:.0%})"


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
                f"{len(s.scores)}/{seeds}" + ("" if s.progress == 1 else f", stopped at {s.progress:.0%}"),
                None if difference is None else _pm(difference.mean, difference.sd, "+"),
            )
        )
    return found


def _pm(mean: float, sd: float | None, sign: str = "") -> str:
    return f"{mean:{sign}.4f} ± {'–' if sd is None else f'{sd:.4f}'}"
