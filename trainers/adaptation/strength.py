"""How hard an adversarial term pulls: λ, gradient norms at the feature, and signs that it pulls too hard."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..context import Context
from .config import AdversarialConfig

SMOOTHING = 0.9  # of the gradient norms from which mode ratio sets λ
TINY = 1e-12
FIRST = 5
TOLERATED = 1.3


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
    """λ of ``pose loss − λ · BCE``.

    ``constant``: ``weight``. ``sigmoid``: rises to ``weight`` as ``2 / (1 + exp(−10 p)) − 1`` over the fraction p of the
    run (Ganin & Lempitsky, ICML 2015, §4). ``ratio``: follows smoothed gradient norms at the feature,
    ``ratio · ramp · |∇ pose| / |∇ BCE|``, so that the losses' scales do not matter.
    """

    def __init__(self, config: AdversarialConfig, steps: int) -> None:
        self.config = config
        self.steps = steps
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
        config = self.config
        if config.mode == "constant":
            return config.weight
        if config.mode == "sigmoid":
            return config.weight * (2 / (1 + math.exp(-10 * step / self.steps)) - 1)
        assert self.norms is not None, "observe comes first"
        ramp = 1.0 if step >= self.ramp_steps else step / self.ramp_steps
        return config.ratio * ramp * self.norms[0] / self.norms[1].clamp_min(TINY)
