"""The interface of adaptation methods: what a step offers them, and what they may add to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..task import Batch
from ..updates import Update


@dataclass
class Step:
    """One training step of the pose network, on this rank.

    Attributes:
        batch: as the stream gives it; source samples come first.
        images: normalised, ``(b, 3, H, W)``; domain: ``(b,)``, 1 source, 0 target; both on the device.
        sources: how many samples are of the source.
        feature, heatmaps: of the pose network, with gradients: ``(b, c, h', w')``, ``(b, j, h, w)``.
        pose_loss: of the labelled samples, with gradient.
        number: of the step, counted from the end of the pre-phase; fraction: of the run done.
        measure: whether costly metrics are wanted.
        metrics: detached scalars that will be logged; terms add theirs.
    """

    batch: Batch
    images: Tensor
    domain: Tensor
    sources: int
    feature: Tensor
    heatmaps: Tensor
    pose_loss: Tensor
    number: int
    fraction: float
    measure: bool
    metrics: dict[str, Tensor] = field(default_factory=dict)

    @property
    def autocast(self) -> torch.autocast:
        """The autocast that the pose network ran under, for networks that a term runs."""
        kind = self.images.device.type
        return torch.autocast(kind, torch.bfloat16, enabled=self.heatmaps.dtype == torch.bfloat16)


class Term:
    """A method of adaptation. The base adds nothing; a method overrides what it needs.

    Attributes:
        modules, parallel, optimisers, schedulers: as ``task.Task`` has them; the task takes them over.
        pre_steps: steps before the pose network learns (see :meth:`prepare`).
        needs_weak_view: whether batches must hold ``weak_image``.
    """

    pre_steps = 0
    needs_weak_view = False

    def __init__(self) -> None:
        self.modules: dict[str, nn.Module] = {}
        self.parallel: list[nn.Module] = []
        self.optimisers: dict[str, Optimizer] = {}
        self.schedulers: dict[str, LambdaLR] = {}

    def prepare(self, feature: Tensor, domain: Tensor) -> Iterator[Update]:
        """Updates of a step of the pre-phase, from detached features."""
        return iter(())

    def before(self, step: Step) -> Iterator[Update]:
        """Updates that come before the pose network's."""
        return iter(())

    def loss(self, step: Step) -> Tensor | None:
        """What is added to the pose loss, a scalar with gradient, or None."""
        return None

    def after(self, step: Step) -> Iterator[Update]:
        """Updates that come after the pose network's."""
        return iter(())

    def state_dict(self) -> dict[str, Any]:
        """State beyond modules, optimisers and schedulers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
