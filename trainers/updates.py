"""One update of one network: backward, finite check on all ranks, clip, optimiser, schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
    """A loss or gradient became NaN or infinite; no network was updated with it.

    Attributes:
        step: where.
        frames: frame ids of the step's batch, a list for each rank.
    """

    def __init__(self, message: str, step: int = -1, frames: Sequence[Sequence[int]] = ()) -> None:
        super().__init__(message)
        self.step, self.frames = step, frames


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


def load_optimiser(optimiser: Optimizer, state: dict[str, Any]) -> None:
    """Restore an optimiser, each moment in the memory layout of its weight.

    The fused kernels go through both as they lie in memory: a contiguous moment of a ``channels_last`` weight, as another
    runtime may have saved it, would be read in the wrong order, without a word.
    """
    decays = [group["weight_decay"] for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, decay in zip(optimiser.param_groups, decays, strict=True):
        group["weight_decay"] = decay  # the config's: a branch of a run may have another
    for parameter, values in optimiser.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                values[key] = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def load_schedule(scheduler: LambdaLR, state: dict[str, Any]) -> None:
    """Restore how far a schedule is. Its shape and the rates it scales stay those of the config, also in the optimiser: a
    branch of a run may have others (they are equal where a run merely goes on).
    """
    rates = list(scheduler.base_lrs)
    scheduler.load_state_dict({**state, "base_lrs": rates, "lr_lambdas": [None] * len(rates)})
    for group, rate, factor in zip(scheduler.optimizer.param_groups, rates, scheduler.lr_lambdas, strict=True):
        group["initial_lr"], group["lr"] = rate, rate * factor(scheduler.last_epoch)


class Guard:
    """Lets no rank update from non-finite numbers, and names the frames of the batch they came from.

    On the CPU the flag is read at once. On a GPU reading it would stall the queue in each step, so the fused optimiser
    gets the flag as ``found_inf`` and skips the update on the device; the host reads the flag one step later, or
    before anything is saved (:meth:`settle`).
    """

    def __init__(self, context: Context, deferred: bool | None = None) -> None:
        self.context = context
        if deferred is None:  # ZeRO's own steps (stage 1 and up) wait for their gradient norm, so nothing is won there
            deferred = context.device.type == "cuda" and not context.deepspeed.zero
        self.deferred = deferred
        self.frames: list[int] = []
        self.step = 0
        self._flag: Tensor | None = None
        self._pending: list[tuple[int, str, Tensor, Tensor, list[int]]] = []

    def begin(self, step: int, frames: Tensor) -> None:
        """Start a step; ``frames`` are this rank's frame ids (on the CPU), by which its batch is named if it must be."""
        self.settle()
        self.step, self.frames, self._flag = step, frames.tolist(), None

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
        self._pending.append((self.step, name, flag, finite, self.frames))
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
        for step, name, flag, finite, ids in pending:
            if flag.item():
                told = list(enumerate(self.context.gather((bool(finite), ids))))
                # gradients are exchanged, so all ranks have bad ones: the batch to look at is that with the bad loss
                guilty = [t for t in told if not t[1][0]] or told
                batches = "; ".join(f"rank {rank}: {describe_frames(each)}" for rank, (_, each) in guilty)
                raise NonFiniteLoss(
                    f"the {name} loss or its gradient is not finite at step {step}; it updated nothing. Batch of {batches}",
                    step,
                    [each for _, (_, each) in told],
                )


class Updater:
    """Accumulates gradients over the micro-batches of a step and then moves one optimiser.

    Runtimes that exchange or divide gradients in their own way override the small methods, not :meth:`apply`.
    """

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
            self.clear()
            self._loss = torch.zeros((), device=loss.device)
        self.backward(loss / parts if parts > 1 else loss, last)
        self._loss = self._loss + loss.detach() / parts
        if not last:
            return None
        total, self._loss = self._loss, None
        norm = self.step(total)
        self.scheduler.step()
        return norm

    def clear(self) -> None:
        """Forget all gradients."""
        self.optimiser.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add the gradients of a micro-batch; after the ``last`` one all ranks hold their mean."""
        loss.backward()

    def step(self, loss: Tensor) -> Tensor:
        """Check, clip and update; returns the gradient norm before clipping. ``loss`` is that of the whole step.

        Raises:
            NonFiniteLoss: see :meth:`Guard.check`; then nothing was updated.
        """
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.clip, norm)
        self.guard.check(self.name, loss, norm, self.optimiser)
        self.optimiser.step()
        return norm

    def optimiser_state(self) -> dict[str, Any]:
        """The optimiser's whole ``state_dict``, as one process would have it; every rank calls this."""
        return self.optimiser.state_dict()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Inside, every rank holds all weights of the network; every rank enters."""
        yield


@contextmanager
def whole_weights(updaters: Iterable[Updater]) -> Iterator[None]:
    """Inside, every rank holds all weights of all networks, to evaluate or save them; every rank enters."""
    with ExitStack() as stack:
        for updater in updaters:
            stack.enter_context(updater.whole())
        yield


def describe_frames(ids: Sequence[int]) -> str:
    """Frame ids of a batch for an error message."""
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return f"frames {list(ids[:SHOWN_IDS])}{more}"
