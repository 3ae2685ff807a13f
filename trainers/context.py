"""Where a training process stands among its ranks: what the loop needs of torch.distributed, and no more."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..config import UserError
from .config import DeepSpeedConfig

T = TypeVar("T")
CPU = torch.device("cpu")
WITHOUT = DeepSpeedConfig()


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` as a device; ranks of a machine take its GPUs in turn.

    Raises:
        UserError: if CUDA is asked for and absent.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("device=cuda, but torch finds no GPU: use device=auto or cpu, or install a CUDA build of torch")
    return torch.device("cuda", local_rank % torch.cuda.device_count())


@dataclass(frozen=True)
class Context:
    """One rank of a run.

    Attributes:
        rank, world: this process and how many there are; a process group exists if ``world > 1``.
        device: where its tensors live.
        shows: whether its progress reaches a terminal or a log of its own (under Ray the driver shows it).
        report: called on every rank with the metrics of each validation (Ray's ``report`` is a barrier), or None.
        deepspeed: whether, and with which ZeRO stage, DeepSpeed engines apply the updates; then there is a process
            group even if ``world == 1``.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = CPU
    shows: bool = True
    report: Callable[[dict[str, float]], None] | None = None
    deepspeed: DeepSpeedConfig = WITHOUT

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone writes files and evaluates."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """DDP for several ranks; the module itself for one, and where DeepSpeed's engines exchange the gradients.

        BatchNorm normalises by each rank's own samples, and every forward starts from rank 0's running statistics
        (DDP ``broadcast_buffers``); SyncBatchNorm exists on CUDA only. So ranks equal one process with the same global
        batch where nothing in the network depends on the batch, and are close otherwise.
        """
        if self.deepspeed.enabled:
            from .deepspeed_engine import unhooked

            return unhooked(module) if self.deepspeed.zero == 3 else module
        if self.world == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids)

    def maximum(self, value: Tensor) -> Tensor:
        """Element-wise maximum over ranks, in place."""
        if self.world > 1:
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return value

    def mean(self, value: Tensor) -> Tensor:
        """Element-wise mean over ranks, in place."""
        if self.world > 1:
            dist.all_reduce(value)
            value /= self.world
        return value

    def gather(self, value: T) -> list[T]:
        """The value of every rank, on every rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        """Rank 0's value on every rank."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


def seed_everything(seed: int, rank: int) -> None:
    """Seed python, numpy and torch: initial weights must agree over ranks, so call it with rank 0 before building."""
    mixed = int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002 - libraries below draw from the global generator
    torch.manual_seed(mixed)


def random_state() -> dict[str, Any]:
    """States of all global generators, as values that a ``weights_only`` load accepts."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    state: dict[str, Any] = {
        "python": (version, list(internal), gauss),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what :func:`random_state` gave."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextmanager
def undisturbed_random() -> Iterator[None]:
    """Run a block without moving the generators: validating more often must not change the training."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
