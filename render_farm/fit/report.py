"""What a fit of many people comes to: figures over all, a row a person, and the list of those that are bad, with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .result import FitResult

ITERATION_LIMIT = "stopped at the limit of iterations"
FEW = 6
"""Keypoints below which a fit is mostly guesswork."""
AMBIGUOUS = 5.0
"""Margin below which a picture does not tell the orientation from the next best one; see :class:`.result.FitResult`."""


@dataclass(frozen=True)
class Bad:
    """An item of which there is no good result: its id or file, what was done with it, and why.

    Attributes:
        id: of the person, or the file.
        what: "left out" (never fitted), "failed" (no result), "doubtful" (kept, but look at it), "no picture".
        reason: a sentence.
    """

    id: str
    what: str
    reason: str


def people_rows(result: FitResult) -> list[dict[str, Any]]:
    """One JSON object a fitted person, each term of the loss by name."""
    rows = []
    for i, name in enumerate(result.ids):
        rows.append(
            {
                "id": name,
                "status": "converged" if result.converged[i] else ITERATION_LIMIT,
                "reprojection_px": float(result.reprojection_px[i]),
                "reprojection_percent_of_box": 100 * float(result.reprojection_box[i]),
                "hypothesis": int(result.hypothesis[i]),
                "margin": float(result.margin[i]),
                "iterations": int(result.iterations[i]),
                "terms": {term: float(values[i]) for term, values in result.terms.items()},
                "focal": float(result.K[i, 0, 0]),
                "transl": [float(x) for x in result.transl[i]],
                "betas": [float(x) for x in result.betas[i]],
            }
        )
    return rows


def figures(result: FitResult, seconds: float) -> dict[str, Any]:
    """Medians and counts over all fitted people; None where nobody was."""

    def of(values: np.ndarray, share: float) -> float | None:
        return float(np.quantile(values, share)) if len(values) else None

    return {
        "people": len(result.ids),
        "converged": int(result.converged.sum()),
        "reprojection_px": {"median": of(result.reprojection_px, 0.5), "90 %": of(result.reprojection_px, 0.9)},
        "reprojection_percent_of_box": {
            "median": of(100 * result.reprojection_box, 0.5),
            "90 %": of(100 * result.reprojection_box, 0.9),
        },
        "iterations": {"median": of(result.iterations, 0.5), "90 %": of(result.iterations, 0.9)},
        "terms": {name: {"median": of(values, 0.5), "90 %": of(values, 0.9)} for name, values in result.terms.items()},
        "ambiguous": int((result.margin < AMBIGUOUS).sum()),
        "seconds": seconds,
        "seconds_per_person": seconds / len(result.ids) if result.ids else None,
    }


def summary_rows(found: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Rows (what, median, 90 %) for a terminal."""
    names = {
        "reprojection_px": "reprojection, px",
        "reprojection_percent_of_box": "reprojection, % of the box's diagonal",
        "iterations": "iterations",
    }
    rows = [(label, found[key]["median"], found[key]["90 %"]) for key, label in names.items()]
    return rows + [(f"term {name}", values["median"], values["90 %"]) for name, values in found["terms"].items()]


def bad_lines(bad: Sequence[Bad]) -> list[str]:
    """A line a bad item, those left out first."""
    order = {"left out": 0, "failed": 1, "doubtful": 2, "no picture": 3}
    return [f"  {b.what:<10} {b.id}: {b.reason}" for b in sorted(bad, key=lambda b: (order[b.what], b.id))]


def doubtful(result: FitResult, percent: float, seen: Mapping[str, int]) -> list[Bad]:
    """People whose result should be looked at, with the first reason that holds.

    Args:
        percent: misses by more of the box's diagonal are doubtful.
        seen: number of keypoints of each person by id; fewer than :data:`FEW` say little of a body.
    """
    found = []
    for i, name in enumerate(result.ids):
        off = 100 * float(result.reprojection_box[i])
        if off > percent:
            found.append(Bad(name, "doubtful", f"misses its keypoints by {off:.1f} % of the box's diagonal"))
        elif not result.converged[i]:
            found.append(Bad(name, "doubtful", ITERATION_LIMIT))
        elif seen[name] < FEW:
            found.append(Bad(name, "doubtful", f"{seen[name]} keypoints only: most of the pose is the prior's"))
    return found
