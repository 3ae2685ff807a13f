"""One update of one network: backward, finite check on all ranks, clip, optimiser, schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .config import OptimConfig
from .context import Context

SHOWN_IDS = 64


class NonFiniteLoss(RuntimeError):
    """A loss or gradient became NaN or infinite; no network was updated with it."""


@dataclass
class Update:
    """What a task yields for each optimiser in a step.

    Attributes:
        optimiser: its name in the task's ``optimisers``.
        loss: scalar with a graph.
        metrics: further detached scalars to log (averaged over the interval and the ranks).
    """

    optimiser: str
    loss: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Schedule:
    """Factor of the learning rate as a function of the number of updates done; picklable, unlike a closure."""

    kind: str
    steps: int
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    warmup: float = 0.0
    start: int = 0

    def __call__(self, update: int) -> float:
        """Factor for the update with this index; those before ``start`` (the pre-phase) run at the full rate."""
        if update < self.start:
            return 1.0
        done = min((update - self.start) / max(self.steps, 1), 1.0)
        if done < self.warmup:
            return (update - self.start + 1) / (self.warmup * self.steps + 1)
        if self.kind == "multistep":
            return self.gamma ** sum(done >= m for m in self.milestones)
        if self.kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))
        return 1.0


def make_optimiser(parameters: Any, lr: float, weight_decay: float) -> AdamW:
    """AdamW with decoupled decay, fused: one kernel, and it can skip an update on the device (``found_inf``).

    Parameters of one dimension (biases, normalisation) are not decayed, as usual for networks with BatchNorm.
    """
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW([g for g in groups if g["params"]], lr=lr, fused=True)


def scheduled_optimiser(
    module: nn.Module, lr: float, optim: OptimConfig, steps: int, start: int = 0
) -> tuple[AdamW, LambdaLR]:
    """A network's optimiser and its learning rate over ``steps`` updates, after ``start`` at the full rate."""
    optimiser = make_optimiser(module.parameters(), lr, optim.weight_decay)
    schedule = Schedule(optim.schedule, steps, optim.milestones, optim.gamma, optim.warmup, start)
    return optimiser, LambdaLR(optimiser, schedule)


class Guard:
    """Lets no rank update from non-finite numbers, and names the frames of the batch they came from.

    On the CPU the flag is read at once. On a GPU reading it would stall the queue in each step, so the fused optimiser
    gets the flag as ``found_inf`` and skips the update on the device; the host reads the flag one step later, or
    before anything is saved (:meth:`settle`).
    """

    def __init__(self, context: Context, deferred: bool | None = None) -> None:
        self.context = context
        self.deferred = context.device.type == "cuda" if deferred is None else deferred
        self.describe: Callable[[], str] = lambda: ""
        self.step = 0
        self._flag: Tensor | None = None
        self._pending: list[tuple[int, str, Tensor, Tensor, Callable[[], str]]] = []

    def begin(self, step: int, describe: Callable[[], str]) -> None:
        """Start a step; ``describe`` names its batch if it must be named."""
        self.settle()
        self.step, self.describe, self._flag = step, describe, None

    def check(self, name: str, loss: Tensor, norm: Tensor, optimiser: Optimizer) -> None:
        """Look at a loss and its gradient norm before ``optimiser`` steps.

        Raises:
            NonFiniteLoss: on every rank, if they are not finite on any.
        """
        finite = torch.isfinite(loss.detach())
        flag = self.context.maximum((~(finite & torch.isfinite(norm))).float().reshape(1))
        if self._flag is not None:  # an earlier network of this step was skipped: skip this one too
            flag = torch.maximum(flag, self._flag)
        self._flag = flag
        self._pending.append((self.step, name, flag, finite, self.describe))
        if self.deferred:
            optimiser.grad_scale, optimiser.found_inf = None, flag.squeeze(0)  # type: ignore[attr-defined]
        else:
            self.settle()

    def settle(self) -> None:
        """Read outstanding flags.

        Raises:
            NonFiniteLoss: see :meth:`check`.
        """
        pending, self._pending = self._pending, []
        for step, name, flag, finite, describe in pending:
            if flag.item():
                told = list(enumerate(self.context.gather((bool(finite), describe()))))
                # gradients are exchanged, so all ranks have bad ones: the batch to look at is that with the bad loss
                guilty = [t for t in told if not t[1][0]] or told
                batches = "; ".join(f"rank {rank}: {text}" for rank, (_, text) in guilty)
                raise NonFiniteLoss(
                    f"the {name} loss or its gradient is not finite at step {step}; nothing was updated. "
                    f"Batch of {batches}"
                )


class Updater:
    """Accumulates gradients over the micro-batches of a step and then moves one optimiser."""

    def __init__(self, name: str, optimiser: Optimizer, scheduler: LambdaLR, guard: Guard, clip: float | None) -> None:
        self.name, self.optimiser, self.scheduler, self.guard = name, optimiser, scheduler, guard
        self.clip = clip
        self.parameters = [p for group in optimiser.param_groups for p in group["params"]]
        self._loss: Tensor | None = None

    def apply(self, loss: Tensor, parts: int, last: bool) -> Tensor | None:
        """Backward of one micro-batch of ``parts``; after the ``last`` one also check, clip and step.

        Gradients are zeroed before the first backward, so nothing that another loss left behind is added.

        Returns:
            gradient norm before clipping if the optimiser stepped, else None.
        """
        if self._loss is None:
            self.optimiser.zero_grad(set_to_none=True)
            self._loss = torch.zeros((), device=loss.device)
        (loss / parts if parts > 1 else loss).backward()
        self._loss = self._loss + loss.detach() / parts
        if not last:
            return None
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.clip, norm)
        total, self._loss = self._loss, None
        self.guard.check(self.name, total, norm, self.optimiser)
        self.optimiser.step()
        self.scheduler.step()
        return norm


def describe_batch(batch: dict[str, Any]) -> str:
    """Frame ids of a batch for an error message."""
    ids = batch["frame_id"].tolist() if "frame_id" in batch else []
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return f"frames {ids[:SHOWN_IDS]}{more}"
