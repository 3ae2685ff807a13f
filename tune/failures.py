"""Why a run of a sweep failed: a sentence and the traceback, in ``<sweep>/failed/<run>.txt``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from ..config import nearest


def failure_file(folder: Path, name: str) -> Path:
    """Where the cause of a run's failure is kept: a sentence, then the traceback."""
    return folder / "failed" / f"{name}.txt"


def note_failure(folder: Path, name: str, sentence: str, details: str) -> None:
    """Keep why a run failed: one line, then what helps to find the place."""
    path = failure_file(folder, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{' '.join(sentence.split())}\n\n{details}\n", encoding="utf-8")


def lacks(metrics: Mapping[str, float], metric: str) -> str | None:
    """Why metrics cannot be ranked by one of them, or None."""
    value = metrics.get(metric)
    if value is None:
        return f"no metric '{metric}': {nearest(metric, metrics)}"
    return None if math.isfinite(value) else f"{metric} is {value}"
