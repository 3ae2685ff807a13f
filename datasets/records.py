"""What is recorded of shards and of parts: the lines of manifests, and their sums."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Quarantined:
    """A frame that could not be made: its index, the job's seed, the kind of job, and the cause in one line."""

    frame: int
    seed: int
    kind: str
    cause: str


@dataclass(frozen=True)
class ShardNotes:
    """What a maker says of a shard beside its frames; lies in the file's metadata.

    Attributes:
        counts: what the maker counted (poses rejected by reason, ...), as sorted pairs.
        quarantined: frames that belong here and could not be made.
    """

    counts: tuple[tuple[str, int], ...] = ()
    quarantined: tuple[Quarantined, ...] = ()

    def to_json(self) -> str:
        """Compact JSON text."""
        values = {"counts": dict(self.counts), "quarantined": [vars(frame) for frame in self.quarantined]}
        return json.dumps(values, separators=(",", ":"))

    @staticmethod
    def from_values(values: dict[str, Any]) -> ShardNotes:
        """From parsed JSON."""
        counts = tuple(sorted((str(name), int(count)) for name, count in values.get("counts", {}).items()))
        return ShardNotes(counts, tuple(Quarantined(**frame) for frame in values.get("quarantined", ())))


@dataclass(frozen=True)
class ShardEntry:
    """A shard in the manifest: file (relative to the folder), frames, SHA-256 and size of the file, frames without a
    person, domains, and the maker's notes."""

    file: str
    rows: int
    sha256: str
    bytes: int
    empty: int
    domains: tuple[str, ...]
    notes: ShardNotes = ShardNotes()


@dataclass(frozen=True)
class Totals:
    """Sums over shards; fields as those of :class:`ShardEntry`, ``quarantined`` counts frames."""

    shards: int
    rows: int
    bytes: int
    empty: int
    domains: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    quarantined: int


@dataclass(frozen=True)
class Part:
    """A part in the manifest of a large folder: its sub-folder, the SHA-256 of its ``_part.json``, and its sums."""

    folder: str
    sha256: str
    totals: Totals


def shard_totals(shards: Iterable[ShardEntry]) -> Totals:
    """Sums over entries."""
    return add_totals(
        Totals(1, s.rows, s.bytes, s.empty, s.domains, s.notes.counts, len(s.notes.quarantined)) for s in shards
    )


def add_totals(totals: Iterable[Totals]) -> Totals:
    """Sums of sums."""
    sums, domains, counts = Counter[str](), set[str](), Counter[str]()
    for one in totals:
        sums.update({name: getattr(one, name) for name in ("shards", "rows", "bytes", "empty", "quarantined")})
        domains.update(one.domains)
        counts.update(dict(one.counts))
    return Totals(
        sums["shards"], sums["rows"], sums["bytes"], sums["empty"], tuple(sorted(domains)),
        tuple(sorted(counts.items())), sums["quarantined"],
    )  # fmt: skip
