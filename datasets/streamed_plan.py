"""Data order over a source that is still growing: the first pass goes window by window, later ones as always.

In the first pass, windows follow each other in the order of their shards, and the persons of a window are shuffled by
(seed, window); every person comes once. Batch k therefore needs the first windows only, how many depends on how many
persons they hold, and nothing depends on when they came. From the second pass on the order is :class:`BatchPlan`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .plan import BatchPlan, Blocked, shuffled
from .streamed import StreamedPeople

_WINDOW = 2  # which use of the seed, beside those of ``plan``


@dataclass(frozen=True)
class StreamedPlan(BatchPlan):
    """Global batches whose first data set is streamed; see :class:`BatchPlan`.

    Attributes:
        source: the data set that grows, by need: asked for a batch, it waits for what that takes.
    """

    source: StreamedPeople = field(kw_only=True)

    @classmethod
    def over(
        cls, datasets: Sequence[Blocked], batch: int, seed: int, ratio: Sequence[float], window: int = 4
    ) -> StreamedPlan:
        """Plan batches; the first data set is a :class:`StreamedPeople`, the others are whole.

        Raises:
            UserError: see :meth:`BatchPlan.make`.
        """
        source = datasets[0]
        assert isinstance(source, StreamedPeople)
        plan = BatchPlan.make(datasets, batch, seed, ratio, window)
        return cls(plan.blocks, plan.share, seed, window, source=source)

    def lacks(self, step: int) -> bool:
        """Whether global batch ``step`` needs a window that has not been read yet."""
        return self._lacks((step + 1) * self.share[0])

    def blocks_of(self, dataset: int) -> np.ndarray:
        """(G,) int64 persons a row group; of the source, when it is complete."""
        if dataset:
            return self.blocks[dataset]
        assert self.source.complete, "only the first pass is made before all is there"
        return self.source.blocks

    def passes(self, step: int) -> float:
        """Passes over the source behind global batch ``step``; in the first one every window counts the same."""
        taken = step * self.share[0]
        starts = self._starts()
        if taken >= starts[-1]:
            return taken / int(starts[-1]) if self.source.complete else len(starts[1:]) / self.source.windows
        window = int(np.searchsorted(starts, taken, side="right")) - 1
        size = int(starts[window + 1] - starts[window])
        return (window + (taken - int(starts[window])) / size) / self.source.windows

    def _lacks(self, persons: int) -> bool:
        return not self.source.complete and persons > len(self.source)

    def _starts(self) -> np.ndarray:
        """(windows read + 1,) int64 positions at which windows begin, and the number of persons read."""
        return np.cumsum([0, *(blocks.sum() for blocks in self.source.window_blocks)])

    def _take(self, d: int, start: int, count: int) -> np.ndarray:
        if d:
            return super()._take(d, start, count)
        while self._lacks(start + count):
            self.source.wait()
            self.source.grow()
        starts = self._starts()
        parts = []
        while count > 0 and start < starts[-1]:
            window = int(np.searchsorted(starts, start, side="right")) - 1
            begin = int(starts[window])
            part = begin + self._window_order(window)[start - begin : start - begin + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate([*parts, super()._take(d, start, count)]) if count else np.concatenate(parts)

    def _window_order(self, window: int) -> np.ndarray:
        key = (-1, window)
        if key not in self._cache:
            while len(self._cache) >= 2 * len(self.share):
                self._cache.pop(next(iter(self._cache)))
            rng = np.random.default_rng([self.seed, _WINDOW, window])
            self._cache[key] = shuffled(self.source.window_blocks[window], rng, self.window)
        return self._cache[key]
