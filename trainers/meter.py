"""Metrics of training between two looks at them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..render_farm.farm.gauges import record_training
from .context import Context
from .task import Batch
from .updates import Update, Updater

if TYPE_CHECKING:
    from .loop import LoopState


class Meter:
    """Sums metrics on the device; the host reads them once an interval. ``name`` is the run's, for dashboards."""

    def __init__(self, context: Context, state: LoopState, name: str) -> None:
        self.context, self.name = context, name
        self.summary = ""
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._samples, self._seconds = state.samples, state.seconds
        self._waited = 0.0

    def next(self, batches: Iterator[Batch]) -> Batch:
        """The next batch; counts how long it kept the loop waiting."""
        asked = time.perf_counter()
        batch = next(batches)
        self._waited += time.perf_counter() - asked
        return batch

    def add(self, update: Update, norm: Tensor | None) -> None:
        """Take the loss and metrics of one update; ``norm`` is its gradient norm if the optimiser stepped."""
        values = {f"loss_{update.optimiser}": update.loss.detach(), **update.metrics}
        if norm is not None:
            values[f"gradient_norm_{update.optimiser}"] = norm
        for name, value in values.items():
            total, count = self._sums.get(name, (torch.zeros((), device=value.device), 0))
            self._sums[name] = (total + value.float(), count + 1)

    def flush(self, state: LoopState, updaters: dict[str, Updater]) -> dict[str, float]:
        """Means since the last flush over steps and ranks, learning rates and samples/s (all ranks together).

        ``data_wait`` is the share of the time in which the loop stood waiting for batches.
        """
        seconds = max(state.seconds - self._seconds, 1e-9)
        means = {name: total / count for name, (total, count) in self._sums.items()}
        means["data_wait"] = torch.tensor(self._waited / seconds, device=self.context.device)
        names = sorted(means)
        values = dict(zip(names, self.context.mean(torch.stack([means[n] for n in names])).tolist(), strict=True))
        self._sums, self._waited = {}, 0.0
        values["samples_per_second"] = (state.samples - self._samples) / seconds
        self._samples, self._seconds = state.samples, state.seconds
        values.update({f"lr_{name}": u.scheduler.get_last_lr()[0] for name, u in updaters.items()})
        self.summary = " ".join(f"{name} {values[name]:.4g}" for name in names if name.startswith("loss_"))
        self.summary += f" {values['samples_per_second']:.0f} samples/s"
        logged = {f"train/{name}": value for name, value in values.items()}
        if self.context.first:
            record_training(self.name, state.step, logged)
        return logged
