"""The adversarial term of FiDIP and how hard it pulls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .config import AdversarialConfig
from .context import Context

SMOOTHING = 0.9  # of the gradient norms from which mode ratio sets λ
TINY = 1e-12
FIRST = 5
TOLERATED = 1.3


@contextmanager
def held_statistics(*modules: nn.Module) -> Iterator[None]:
    """Run modules in training mode without moving the running statistics of their BatchNorm layers."""
    layers = [m for module in modules for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """Use a module as a fixed function: gradients pass through it to its input, none reach its parameters."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        with held_statistics(module):
            yield
    finally:
        for p in trained:
            p.requires_grad_(True)


def confusion(logits: Tensor, domain: Tensor, clip: float | None) -> Tensor:
    """The classifier's BCE that the pose network ascends, each sample's held at ``clip`` (unbounded otherwise)."""
    each = F.binary_cross_entropy_with_logits(logits.float(), domain.float(), reduction="none")
    return (each if clip is None else each.clamp(max=clip)).mean()


def accuracy(logits: Tensor, domain: Tensor) -> Tensor:
    """Share of samples whose domain the classifier tells, of this batch and before its update. Scalar."""
    return ((logits.detach() > 0) == (domain > 0)).float().mean()


def gradient_norms(losses: tuple[Tensor, ...], feature: Tensor, context: Context) -> Tensor:
    """Norms of the losses' gradients at the feature map, over the samples of all ranks. ``(len(losses),)``.

    Costs a backward pass through what lies between feature and loss: the head, the classifier.
    """
    squares = []
    for loss in losses:
        (gradient,) = torch.autograd.grad(loss, feature, retain_graph=True)
        squares.append(gradient.float().square().sum())
    return context.mean(torch.stack(squares)).sqrt()


class LossWatch:
    """Notices a pose loss that rises past what it was before adaptation: the −λ·BCE term is unbounded.

    Fed with single batches, so it compares a mean of the first :data:`FIRST` with a running mean.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.before = 0.0
        self.now = 0.0

    def rises(self, loss: float) -> bool:
        """Take a pose loss; whether the running mean is more than :data:`TOLERATED` times the mean of the first."""
        self.seen += 1
        if self.seen <= FIRST:
            self.before += (loss - self.before) / self.seen
            self.now = self.before
            return False
        self.now = SMOOTHING * self.now + (1 - SMOOTHING) * loss
        return self.now > TOLERATED * self.before


class Weight:
    """λ of ``pose loss − λ · BCE``: constant, or so that its gradient at the feature is a set part of the pose loss's.

    In mode ``ratio`` λ follows smoothed norms, ``ratio · ramp · |∇ pose| / |∇ BCE|``: the loss's scale does not matter.
    """

    def __init__(self, config: AdversarialConfig, steps: int) -> None:
        self.config = config
        self.ramp_steps = config.ramp * steps
        self.norms: Tensor | None = None

    @property
    def adaptive(self) -> bool:
        """Whether it must see the gradient norms of every step."""
        return self.config.mode == "ratio"

    def observe(self, norms: Tensor) -> None:
        """Take the (pose, BCE) gradient norms of a step."""
        norms = norms.detach()
        self.norms = norms if self.norms is None else SMOOTHING * self.norms.to(norms.device) + (1 - SMOOTHING) * norms

    def __call__(self, step: int) -> Tensor | float:
        """λ for this step of the adversarial phase (0 is its first)."""
        if not self.adaptive:
            return self.config.weight
        assert self.norms is not None, "observe comes first"
        ramp = 1.0 if step >= self.ramp_steps else step / self.ramp_steps
        return self.config.ratio * ramp * self.norms[0] / self.norms[1].clamp_min(TINY)
