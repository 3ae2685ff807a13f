"""``metrics.jsonl``: every metric of a run, one event a line; written by rank 0, read by whoever wants to know."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EVENTS = "metrics.jsonl"


class EventLog:
    """Appends ``{"step", "of", "time", "metrics"}`` lines to ``metrics.jsonl``; flushed each, so a kill loses none.

    Args:
        run_dir: its folder.
        step: where the run goes on: later events, of steps that were lost, are removed.
        total: steps of the run.
        enabled: False on ranks other than 0, which write nothing.
    """

    def __init__(self, run_dir: Path, step: int, total: int = 0, enabled: bool = True) -> None:
        self.path, self.total = run_dir / EVENTS, total
        self._file = None
        if enabled:
            drop_after(self.path, step)
            self._file = self.path.open("a", encoding="utf-8")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append the metrics of a step; nothing on ranks other than 0."""
        if self._file is not None and metrics:
            line = {"step": step, "of": self.total, "time": round(time.time(), 3), "metrics": dict(metrics)}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def drop_after(path: Path, step: int) -> None:
    """Remove events later than ``step`` (the resumed run writes them again) and a half-written last line."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    if len(kept) != len(lines):
        aside = path.with_suffix(".tmp")
        aside.write_text("".join(kept), encoding="utf-8")
        aside.replace(path)


def read_events(run_dir: Path) -> list[dict[str, Any]]:
    """All whole events of a run, oldest first."""
    return read_lines(run_dir / EVENTS)


def read_curves(run_dir: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Every logged metric of a run: name → (steps, values)."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for event in read_events(run_dir):
        for name, value in event["metrics"].items():
            steps, values = found.setdefault(name, ([], []))
            steps.append(event["step"])
            values.append(value)
    return found


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines, oldest first; none of a file that is not there."""
    if not path.is_file():
        return []
    return [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]
