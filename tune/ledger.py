"""What a sweep has done: ``sweep.jsonl``, one line for each setting proposed, each measurement, each promotion, each end.

It is all that a restart reads beside the run folders: what was proposed or promoted is trained, what was measured tells
ASHA and searchers what they knew, what was stopped stays stopped. The sweep's driver alone writes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..trainers.events import read_lines
from .space import Point

LEDGER = "sweep.jsonl"
Ending = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class Report:
    """A setting measured with all of its seeds at one share of its steps.

    Attributes:
        tick: 1, 2, …: the how manieth measurement; progress: share of the run's steps.
        value: mean over seeds of the sweep's metric; seeds: seed → its value.
        also: further metrics of the sweep → mean over seeds.
        point: what was trained (members of a population change it); runs: seed → name of the run.
        steps: seed → step at which the run paused.
    """

    tick: int
    progress: float
    value: float
    seeds: dict[int, float]
    also: dict[str, float]
    point: Point
    runs: dict[int, str]
    steps: dict[int, int]


@dataclass
class Setting:
    """A setting as the ledger knows it.

    Attributes:
        promoted: the tick from which it was let go on last.
        ended, note: how it ended, and why; None while it has not.
    """

    name: str
    point: Point
    reports: list[Report] = field(default_factory=list)
    promoted: int = 0
    ended: Ending | None = None
    note: str | None = None

    @property
    def last(self) -> Report | None:
        """Its newest measurement."""
        return self.reports[-1] if self.reports else None

    @property
    def tick(self) -> int:
        """Of its newest measurement; 0 before the first."""
        return self.last.tick if self.last else 0

    @property
    def complete(self) -> bool:
        """Whether it was measured at the end of its steps."""
        return self.last is not None and self.last.progress == 1

    @property
    def waits(self) -> bool:
        """Whether it was measured, has steps left, and was neither ended nor let go on."""
        return self.ended is None and not self.complete and self.promoted < self.tick

    def at(self, tick: int) -> Report | None:
        """Its measurement at a tick."""
        return next((report for report in self.reports if report.tick == tick), None)

    @property
    def newest_point(self) -> Point:
        """What it trains now."""
        return self.last.point if self.last else self.point


class Ledger:
    """The file and what stands in it, in the order in which it happened."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER
        self.settings: dict[str, Setting] = {}
        self.reports: list[tuple[str, Report]] = []
        lines = read_lines(self.path)
        if self.path.is_file() and not self.path.read_text(encoding="utf-8").endswith("\n"):
            self.path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        for line in lines:
            self._take(line)

    def propose(self, name: str, point: Point) -> None:
        """A setting is to be trained; one that had failed is tried anew."""
        known = self.settings.get(name)
        if known is None or known.ended is not None:
            self._add({"event": "proposed", "setting": name, "point": point})

    def report(self, name: str, report: Report) -> bool:
        """A setting was measured; returns False if these runs had been, at this tick, before."""
        if any((known.tick, known.runs) == (report.tick, report.runs) for known in self.settings[name].reports):
            return False
        self._add({"event": "measured", "setting": name, **asdict(report)})
        return True

    def promote(self, name: str) -> None:
        """A setting goes on from its newest measurement."""
        self._add({"event": "promoted", "setting": name, "tick": self.settings[name].tick})

    def end(self, name: str, how: Ending, note: str | None = None) -> None:
        """A setting is over."""
        self._add({"event": "ended", "setting": name, "how": how, "note": note})

    def _add(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(json.loads(json.dumps(line)))

    def _take(self, line: Mapping[str, Any]) -> None:
        name = line["setting"]
        if line["event"] == "proposed":
            known = self.settings.setdefault(name, Setting(name, line["point"]))
            known.ended = known.note = None
        elif line["event"] == "measured":
            values = {key: line[key] for key in Report.__dataclass_fields__}
            by_seed = {key: {int(k): v for k, v in values[key].items()} for key in ("seeds", "runs", "steps")}
            report = Report(**(values | by_seed))
            self.settings[name].reports.append(report)
            self.reports.append((name, report))
        elif line["event"] == "promoted":
            self.settings[name].promoted = line["tick"]
        else:
            self.settings[name].ended, self.settings[name].note = line["how"], line["note"]


def best_report(reports: Sequence[Report], mode: str) -> Report | None:
    """The measurement with the best value."""
    sign = 1.0 if mode == "max" else -1.0
    return max(reports, key=lambda report: sign * report.value, default=None)
