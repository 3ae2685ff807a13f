"""What is left behind, and said, when a step fails: numbers that are not finite, memory that does not suffice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..config import UserError
from .context import Context

if TYPE_CHECKING:
    from .task import LoopSettings

FAILED = "failed"


class OutOfMemory(UserError):
    """A step needs more memory than there is; the sentence says for what and what to change."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch (on a GPU or the host) or Python failed to allocate."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)  # the host's allocator in torch


def memory_sentence(step: int, here: int, settings: LoopSettings, context: Context) -> str:
    """What did not fit, and what to change about it; ``here`` is the number of samples of this rank in a step."""
    config = settings.config
    parts = -(-here // settings.accumulate)
    size = config.get("data", {}).get("input")
    at = f" of {size[0]}×{size[1]} pixels" if size else ""
    remedies = ["lower batch", f"raise optim.accumulate ({settings.accumulate} now), which keeps the batch"]
    if not config.get("optim", {}).get("bf16"):
        remedies.append("set optim.bf16=true")
    remedies.append("take a smaller data.input or network")
    return (
        f"out of memory at step {step} on {context.device}, with {parts} samples{at} at once "
        f"(batch={here * context.world}, {context.world} rank{'s' if context.world > 1 else ''}): {', or '.join(remedies)}"
    )
