"""Data order: which persons make up global batch k, as a pure function of (seed, k).

A plan knows no ranks, workers or files. Every data set is an endless stream of its own epochs, each a full permutation,
so within an epoch no person is missing and none comes twice; batch k takes the next ``share`` persons of every stream.
Nothing is dropped: a batch may hold the end of one epoch and the beginning of the next.

To keep reading sequential, an epoch shuffles row groups, deals them to ``LANES`` lanes, shuffles persons within windows
of a few row groups a lane, and takes one person of each lane in turn. A rank whose slots fall on some of the lanes
therefore reads only those lanes' row groups (while the lanes last: the end of an epoch is dealt without regard to
them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..config import UserError

LANES = 8
"""Independent read streams an epoch; row groups are read once by 1, 2, 4 or 8 ranks together."""

_ORDER, _SAMPLE = 0, 1  # which use of the seed


class Blocked(Protocol):
    """What a plan needs of a data set: how many persons lie in each row group, in order."""

    @property
    def blocks(self) -> np.ndarray:
        """(G,) int64 persons a row group; their sum is the number of persons."""
        ...


def shuffled(blocks: np.ndarray, rng: np.random.Generator, window: int) -> np.ndarray:
    """A permutation (P,) int64 of the persons of row groups of ``blocks`` (G,) persons, which keeps reading sequential."""
    starts = np.cumsum(blocks) - blocks
    groups = rng.permutation(len(blocks))
    groups = groups[blocks[groups] > 0]
    positions, lanes, turns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for lane in range(LANES):
        members = groups[lane::LANES]
        turn = 0
        for first in range(0, len(members), window):
            together = [np.arange(starts[g], starts[g] + blocks[g]) for g in members[first : first + window]]
            mixed = rng.permutation(np.concatenate(together))
            positions.append(mixed)
            lanes.append(np.full(len(mixed), lane))
            turns.append(np.arange(turn, turn + len(mixed)))
            turn += len(mixed)
    by_turn = np.lexsort((np.concatenate(lanes), np.concatenate(turns)))
    return np.concatenate(positions)[by_turn]


def shares(batch: int, ratio: Sequence[float]) -> tuple[int, ...]:
    """Split a batch by ratio, by largest remainders: ``shares(64, (1, 1)) == (32, 32)``.

    Raises:
        UserError: if a data set would get no place.
    """
    if not ratio or min(ratio) <= 0:
        raise UserError(f"data ratio must be positive numbers, one a data set, got {list(ratio)}")
    exact = np.asarray(ratio, np.float64) * batch / sum(ratio)
    counts = np.floor(exact + 1e-9).astype(int)
    for i in np.argsort(-(exact - counts), kind="stable")[: batch - counts.sum()]:
        counts[i] += 1
    if counts.min() < 1:
        raise UserError(f"a batch of {batch} split {list(ratio)} leaves a data set without a place: enlarge the batch")
    return tuple(int(c) for c in counts)


@dataclass(frozen=True)
class BatchPlan:
    """Global batches of several data sets.

    Attributes:
        blocks: for each data set, (G,) int64 persons a row group.
        share: for each data set, its persons in a batch. Slots 0..share[0]-1 are the first data set's, and so on.
        seed: all order and all augmentation derive from it.
        window: row groups of a lane that are shuffled together.
        shuffle: False walks through each data set in its own order.
    """

    blocks: tuple[np.ndarray, ...]
    share: tuple[int, ...]
    seed: int
    window: int = 4
    shuffle: bool = True
    _cache: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def make(
        cls,
        datasets: Sequence[Blocked],
        batch: int,
        seed: int,
        ratio: Sequence[float] | None = None,
        window: int = 4,
        shuffle: bool = True,
    ) -> BatchPlan:
        """Plan batches over data sets; the ratio defaults to equal parts (balanced domains).

        Raises:
            UserError: for an empty data set, a ratio that does not fit, or a batch too small to hold every data set.
        """
        blocks = tuple(np.asarray(d.blocks, np.int64) for d in datasets)
        for i, block in enumerate(blocks):
            if block.sum() == 0:
                raise UserError(f"data set {i} has no usable person: see its counts of what was skipped")
        ratio = [1.0] * len(blocks) if ratio is None else list(ratio)
        if len(ratio) != len(blocks):
            raise UserError(f"data ratio {ratio} must have one number for each of the {len(blocks)} data sets")
        return cls(blocks, shares(batch, ratio), seed, window, shuffle)

    @property
    def batch_size(self) -> int:
        """Persons in a global batch."""
        return sum(self.share)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every person of every data set has come at least once; shorter data sets come round again."""
        return max(-(-int(b.sum()) // n) for b, n in zip(self.blocks, self.share, strict=True))

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Global batch ``step``: (B,) data set and (B,) person position, both int64, by slot."""
        dataset = np.repeat(np.arange(len(self.share)), self.share)
        positions = [self._take(d, step * n, n) for d, n in enumerate(self.share)]
        return dataset, np.concatenate(positions)

    def slots(self, rank: int, world: int) -> np.ndarray:
        """Slots of a rank: every ``world``-th, so that ranks get the data sets in like parts.

        Raises:
            UserError: if the batch does not divide among the ranks.
        """
        if self.batch_size % world:
            raise UserError(f"a global batch of {self.batch_size} does not divide among {world} ranks")
        return np.arange(rank, self.batch_size, world)

    def open_groups(self, world: int) -> int:
        """Row groups of a data set that a rank's samples come from at a time."""
        return self.window * -(-LANES // min(world, LANES))

    def sample_rng(self, step: int, slot: int) -> np.random.Generator:
        """The generator of one sample's augmentation: a function of (seed, step, slot) alone."""
        return np.random.default_rng([self.seed, _SAMPLE, step, slot])

    def passes(self, step: int) -> float:
        """Passes over the first data set that are behind global batch ``step``."""
        return step * self.share[0] / int(self.blocks_of(0).sum())

    def blocks_of(self, dataset: int) -> np.ndarray:
        """(G,) int64 persons a row group of a data set."""
        return self.blocks[dataset]

    def _take(self, d: int, start: int, count: int) -> np.ndarray:
        total = int(self.blocks_of(d).sum())
        parts = []
        while count > 0:
            epoch, offset = divmod(start, total)
            part = self.order(d, epoch)[offset : offset + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate(parts)

    def order(self, dataset: int, epoch: int) -> np.ndarray:
        """The permutation (P,) int64 in which a data set's persons come in one of its epochs."""
        key = (dataset, epoch)
        if key not in self._cache:
            while len(self._cache) >= 2 * len(self.blocks):  # a batch may need two epochs of each
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = self._permutation(dataset, epoch)
        return self._cache[key]

    def _permutation(self, dataset: int, epoch: int) -> np.ndarray:
        blocks = self.blocks_of(dataset)
        if not self.shuffle:
            return np.arange(int(blocks.sum()))
        rng = np.random.default_rng([self.seed, _ORDER, dataset, epoch])
        return shuffled(blocks, rng, self.window)
