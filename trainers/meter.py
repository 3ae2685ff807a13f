"""Metrics of training between two looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .context import Context
from .updates import Update, Updater

if TYPE_CHECKING:
    from .loop import LoopState


class Meter:
    """Sums metrics on the device; the host reads them once an interval."""

    def __init__(self, context: Context, state: LoopState) -> None:
        self.context = context
        self.summary = ""
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._samples, self._seconds = state.samples, state.seconds

    def add(self, update: Update, norm: Tensor | None) -> None:
        """Take the loss and metrics of one update; ``norm`` is its gradient norm if the optimiser stepped."""
        values = {f"loss_{update.optimiser}": update.loss.detach(), **update.metrics}
        if norm is not None:
            values[f"gradient_norm_{update.optimiser}"] = norm
        for name, value in values.items():
            total, count = self._sums.get(name, (torch.zeros((), device=value.device), 0))
            self._sums[name] = (total + value.float(), count + 1)

    def flush(self, state: LoopState, updaters: dict[str, Updater]) -> dict[str, float]:
        """Means since the last flush over steps and ranks, learning rates and samples/s (all ranks together)."""
        names = sorted(self._sums)
        means = torch.stack([self._sums[n][0] / self._sums[n][1] for n in names])
        values = dict(zip(names, self.context.mean(means).tolist(), strict=True))
        self._sums = {}
        values["samples_per_second"] = (state.samples - self._samples) / max(state.seconds - self._seconds, 1e-9)
        self._samples, self._seconds = state.samples, state.seconds
        values.update({f"lr_{name}": u.scheduler.get_last_lr()[0] for name, u in updaters.items()})
        self.summary = " ".join(f"{name} {values[name]:.4g}" for name in names if name.startswith("loss_"))
        self.summary += f" {values['samples_per_second']:.0f} samples/s"
        return {f"train/{name}": value for name, value in values.items()}
