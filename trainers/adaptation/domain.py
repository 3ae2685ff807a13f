"""Adversarial terms: a domain classifier D on the pose network's feature map, and a pose network that confuses it.

``fidip`` (Huang et al., "Invariant Representation Learning for Infant Pose Estimation with Small Data", FG 2021): in each
batch step I descends BCE(D(feature), y) in D alone, step II descends pose loss − λ·BCE(D(feature), y) in the pose network
alone, through the D just updated; before all that, D alone learns for a while. ``dann`` (Ganin & Lempitsky,
"Unsupervised Domain Adaptation by Backpropagation", ICML 2015): both move from one forward pass, the pose network through
a gradient reversal layer. y is 1 for source.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.keypoints.domain import build_domain_classifier
from ...models.keypoints.losses import domain_bce
from ..context import Context
from ..keypoint_config import KeypointConfig
from ..updates import Update, scheduled_optimiser
from .held import held
from .strength import TINY, LossWatch, Weight, gradient_norms
from .term import Step, Term

log = logging.getLogger(__name__)

DOMAIN = "domain"
PRE_EPOCHS = {"fidip": 1.0, "dann": 0.0}  # as published


class DomainTerm(Term):
    """FiDIP's or DANN's term, by ``adversarial.method``; the classifier is the module ``domain``."""

    def __init__(self, cfg: KeypointConfig, context: Context, channels: int, per_epoch: int, steps: int) -> None:
        """Build the classifier for feature maps of ``channels``; ``per_epoch`` and ``steps`` time its pre-phase and λ."""
        super().__init__()
        self.config, self.context = cfg.adversarial, context
        self.reversal = self.config.method == "dann"
        self.pre_steps = pre_steps(cfg, per_epoch)
        self.classifier = build_domain_classifier(self.config.classifier, channels).to(context.device).train()
        self.wrapped = context.wrap(self.classifier)
        self.parallel = [self.wrapped]
        self.modules = {DOMAIN: self.classifier}
        optimiser, schedule = scheduled_optimiser(
            self.classifier, self.config.lr, cfg.optim, steps, start=self.pre_steps
        )
        self.optimisers, self.schedulers = {DOMAIN: optimiser}, {DOMAIN: schedule}
        self.weight = Weight(self.config, steps)
        self.watch = LossWatch()
        self._warned: set[str] = set()

    def prepare(self, feature: Tensor, domain: Tensor) -> Iterator[Update]:
        """The pre-phase: the classifier alone learns."""
        yield self._classify(feature, domain)

    def before(self, step: Step) -> Iterator[Update]:
        """FiDIP's step I."""
        if not self.reversal:
            yield self._classify(step.feature.detach(), step.domain)

    def after(self, step: Step) -> Iterator[Update]:
        """DANN's classifier, from the features that the pose network has just been updated with."""
        if self.reversal:
            yield self._classify(step.feature.detach(), step.domain)

    def _classify(self, feature: Tensor, domain: Tensor) -> Update:
        logits = self.wrapped(feature.float())
        return Update(DOMAIN, domain_bce(logits, domain), {"domain_accuracy": accuracy(logits, domain)})

    def loss(self, step: Step) -> Tensor:
        """The term that makes the pose network confuse the classifier."""
        feature = step.feature
        with held(self.classifier):
            # the module itself, not its DDP wrapper: no gradient of D is to be exchanged here
            bce = confusion(self.classifier(feature.float()), step.domain, self.config.clip)
        step.metrics["confusion_bce"] = bce.detach()
        norms = None
        if self.weight.adaptive or step.measure:
            norms = gradient_norms((step.pose_loss, bce), feature, self.context)
        if self.weight.adaptive and norms is not None:
            self.weight.observe(norms)
        lam = torch.as_tensor(self.weight(step.number), device=feature.device)
        step.metrics["adversarial_weight"] = lam
        if step.measure and norms is not None:
            step.metrics["gradient_ratio"] = lam * norms[1] / norms[0].clamp_min(TINY)
            self._watch(float(step.metrics["gradient_ratio"]), float(step.pose_loss.detach()), step.number)
        return lam * reverse(bce) if self.reversal else -lam * bce

    def _watch(self, ratio: float, pose: float, step: int) -> None:
        """Warn, once each, of an adversarial gradient above the pose gradient (harm begins there) and of a rising loss."""
        weight = self.config.weight
        if ratio > 1:
            self._warn(
                "ratio",
                f"step {step}: the adversarial gradient at the feature is {ratio:.1f} times the pose gradient; above 1 it "
                f"harms: lower adversarial.weight ({weight:g}), or set adversarial.mode=ratio",
            )
        if self.watch.rises(pose):
            self._warn(
                "rise",
                f"step {step}: the pose loss has risen to {self.watch.now:.2e}, from {self.watch.before:.2e} when "
                f"adaptation began: lower adversarial.weight ({weight:g}) or adversarial.clip",
            )

    def _warn(self, kind: str, text: str) -> None:
        if self.context.first and kind not in self._warned:
            self._warned.add(kind)
            log.warning("%s", text)

    def state_dict(self) -> dict[str, Any]:
        """What λ and the watch on the loss remember."""
        norms = None if self.weight.norms is None else self.weight.norms.cpu()
        return {"norms": norms, "watch": vars(self.watch)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.weight.norms = state["norms"]
        vars(self.watch).update(state["watch"])


def pre_steps(cfg: KeypointConfig, per_epoch: int) -> int:
    """Steps in which the classifier alone learns; ``per_epoch`` make one pass over the source."""
    adversarial = cfg.adversarial
    if adversarial.pre_steps is not None:
        return adversarial.pre_steps
    epochs = adversarial.pre_epochs
    return round((PRE_EPOCHS[adversarial.method] if epochs is None else epochs) * per_epoch)


def confusion(logits: Tensor, domain: Tensor, clip: float | None) -> Tensor:
    """The classifier's BCE that the pose network ascends, each sample's held at ``clip`` (unbounded otherwise)."""
    each = F.binary_cross_entropy_with_logits(logits.float(), domain.float(), reduction="none")
    return (each if clip is None else each.clamp(max=clip)).mean()


def accuracy(logits: Tensor, domain: Tensor) -> Tensor:
    """Share of samples whose domain the classifier tells, of this batch and before its update. Scalar."""
    return ((logits.detach() > 0) == (domain > 0)).float().mean()


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse(value: Tensor) -> Tensor:
    """Gradient reversal layer: ``value`` as it is, its gradient negated (Ganin & Lempitsky 2015, eq. 10)."""
    reversed_value: Tensor = _Reverse.apply(value)
    return reversed_value
