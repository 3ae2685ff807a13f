"""Task: 2D keypoints by heatmaps, on one domain or on two with the terms of ``trainers/adaptation``.

A step makes one forward pass of the pose network over both domains. The pose loss looks at labelled samples; each term
may add a loss to it, and may update networks of its own before (FiDIP's classifier) or after (DANN's).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..datasets.streamed import StreamedPeople
from ..models.keypoints import batchnorm
from ..models.keypoints.base import normalise
from ..models.keypoints.heatmaps import encode
from ..models.keypoints.losses import joints_mse
from ..models.keypoints.networks import build_network
from ..models.keypoints.style import exchange_style
from ..models.keypoints.weights import freeze
from .adaptation.adabn import take_target_statistics
from .adaptation.domain import DomainTerm
from .adaptation.held import held_statistics
from .adaptation.prior import PriorTerm, source_prior
from .adaptation.teacher import MeanTeacher
from .adaptation.term import Step, Term
from .collapse import Learnt, collapsed, constant_loss
from .context import Context
from .initial_weights import AVERAGE, POSE, load_start
from .keypoint_config import KeypointConfig
from .keypoint_data import SOURCE, batches, make_plan, open_datasets
from .keypoint_stream import restore
from .task import Batch
from .updates import Update, scheduled_optimiser
from .validation import Validation, score_name

log = logging.getLogger(__name__)

PRE_PHASE = 1_000_003  # added to the seed: the pre-phase has an order of its own


class KeypointTask:
    """See the module; attributes as ``task.Task`` asks for them."""

    def __init__(self, cfg: KeypointConfig, context: Context) -> None:
        self.cfg, self.context = cfg, context
        self.datasets = open_datasets(cfg, context)
        self.plan = make_plan(cfg, self.datasets, cfg.seed)
        self.joints = self.datasets[0].joint_set
        per_epoch = math.ceil(len(self.datasets[0]) / self.plan.share[0])  # nothing asks for it when the source streams
        self.steps = cfg.steps if cfg.steps is not None else max(1, round((cfg.epochs or 0) * per_epoch))
        self.modules: dict[str, nn.Module] = {}
        self.parallel: list[nn.Module] = []
        self.optimisers: dict[str, Optimizer] = {}
        self.schedulers: dict[str, LambdaLR] = {}
        self._build_network()
        self.terms = self._build_terms(per_epoch)
        for term in self.terms.values():
            self.modules |= term.modules
            self.parallel += term.parallel
            self.optimisers |= term.optimisers
            self.schedulers |= term.schedulers
        self.pre_steps = max((term.pre_steps for term in self.terms.values()), default=0)
        self.total_steps = self.pre_steps + self.steps
        self.learnt = Learnt(context.device)
        self.score = score_name(cfg)
        self.validation = Validation(cfg, self.datasets, context) if context.first else None

    def _build_network(self) -> None:
        cfg, context = self.cfg, self.context
        self.network = build_network(cfg.model.network, self.joints.count, **cfg.model.args)
        loaded = load_start(cfg, self.network, context.first)
        frozen = freeze(self.network, cfg.model.freeze, loaded) if cfg.model.freeze else []
        if context.first and frozen:
            log.info("frozen, BatchNorm statistics included: %s", ", ".join(frozen))
        if cfg.separate_bn:
            batchnorm.separate(self.network)
        layout = torch.channels_last if cfg.optim.channels_last else torch.contiguous_format
        self.network.to(device=context.device, memory_format=layout)  # type: ignore[call-overload]
        self.network.train()
        self.pose = context.wrap(self.network)
        self.modules[POSE] = self.network
        self.parallel.append(self.pose)
        self.optimisers[POSE], self.schedulers[POSE] = scheduled_optimiser(
            self.network, cfg.optim.lr, cfg.optim, self.steps
        )
        self.ema: AveragedModel | None = None
        if cfg.optim.ema is not None:
            self.ema = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(cfg.optim.ema))
            self.modules[AVERAGE] = self.ema.module

    def _build_terms(self, per_epoch: int) -> dict[str, Term]:
        """The methods that the config switches on, in the order in which their losses are added."""
        cfg = self.cfg
        terms: dict[str, Term] = {}
        if cfg.adversarial.adversarial:
            channels = self.network.feature_channels
            terms["domain"] = DomainTerm(cfg, self.context, channels, per_epoch, self.steps)
        if cfg.teacher.weight:
            assert self.ema is not None, "the config asks for one"
            terms["teacher"] = MeanTeacher(cfg, self.ema.module, list(self.datasets[0].flip_permutation))
        if cfg.prior.weight:
            terms["prior"] = PriorTerm(cfg, source_prior(self.datasets[0]).to(self.context.device))
        return terms

    def batches(self, start: int) -> Iterator[Batch]:
        """Batches from ``start`` on: of the pre-phase, then those that a run without one sees from step 0."""
        weak = any(term.needs_weak_view for term in self.terms.values())
        first = make_plan(self.cfg, self.datasets, self.cfg.seed + PRE_PHASE)
        after = max(0, start - self.pre_steps)
        return chain(
            batches(self.cfg, self.context, self.datasets, first, start, self.pre_steps),
            batches(self.cfg, self.context, self.datasets, self.plan, after, self.steps, weak),
        )

    def train_step(self, batch: Batch, step: int, measure: bool) -> Iterator[Update]:
        """Losses in the order of their updates; the loop steps the optimiser of each before the next is computed."""
        device = self.context.device
        pictures = batch["image"].to(device, non_blocking=True)
        domain = batch["domain"].to(device, non_blocking=True)
        sources = int((batch["domain"] == SOURCE).sum())  # of the host's copy: this waits for no GPU
        images = normalise(self._styled(pictures, sources))
        with batchnorm.of_source(self.network, sources) if self.cfg.separate_bn else nullcontext():
            if step < self.pre_steps:
                with torch.no_grad(), held_statistics(self.network), self._autocast():
                    feature, _ = self.network(images)
            else:
                with self._autocast():
                    feature, heatmaps = self.pose(images)
        if step < self.pre_steps:
            for term in self.terms.values():
                yield from term.prepare(feature, domain)
            return
        pose_loss, target, weight = self._pose_loss(heatmaps, batch)
        number = step - self.pre_steps
        now = Step(batch, images, domain, sources, feature, heatmaps, pose_loss, number, number / self.steps, measure)
        now.metrics["pose_mse"] = pose_loss.detach()
        if measure:
            now.metrics["pose_over_constant"] = self.learnt.add(pose_loss.detach(), constant_loss(target, weight))
        for term in self.terms.values():
            yield from term.before(now)
        loss = pose_loss
        for term in self.terms.values():
            added = term.loss(now)
            loss = loss if added is None else loss + added
        yield Update(POSE, loss, now.metrics)
        for term in self.terms.values():
            yield from term.after(now)

    def _styled(self, images: Tensor, sources: int) -> Tensor:
        style = self.cfg.style
        if not style.share:
            return images
        chosen = torch.randperm(sources)[: round(style.share * sources)]  # drawn on the host, from the saved generator
        return exchange_style(images, sources, chosen.to(images.device, non_blocking=True), style.beta)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.context.device.type, torch.bfloat16, enabled=self.cfg.optim.bf16)

    def _pose_loss(self, heatmaps: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The pose loss, the heatmaps it asks for, and the keypoints' weights."""
        device, (h, w) = self.context.device, heatmaps.shape[-2:]
        keypoints = batch["keypoints"].to(device, non_blocking=True)
        weight = batch["weight"].to(device, non_blocking=True)
        target = encode(keypoints, weight, self.cfg.data.input, (w, h), self.cfg.data.sigma)
        return joints_mse(heatmaps, target, weight), target, weight

    def finish_step(self, step: int) -> None:
        """Average the weights; after the last step, take the target's BatchNorm statistics if that is asked for."""
        if self.ema is not None and step >= self.pre_steps:
            self.ema.update_parameters(self.network)
        if step + 1 == self.total_steps and self.cfg.adabn == "keep":
            for module in [self.network] if self.ema is None else [self.network, self.ema.module]:
                take_target_statistics(module, self.cfg)

    def evaluate(self, step: int) -> dict[str, float]:
        """Validate on every folder of ``data.val``; the averaged network where there is one."""
        assert self.validation is not None, "rank 0 evaluates"
        network: Any = self.network if self.ema is None else self.ema.module
        network.eval()
        try:
            passes = self.plan.passes(max(0, step - self.pre_steps))
            return self.validation(network, step, passes, final=step == self.total_steps) | self.learnt.flush()
        finally:
            network.train()

    def verdict(self, step: int, metrics: dict[str, float]) -> str | None:
        """Stop a run whose outputs no longer vary from person to person, or that knows no more than their mean."""
        if not self.cfg.stop_on_collapse or step <= self.pre_steps:
            return None
        return collapsed(metrics, (step - self.pre_steps) / self.steps, self.cfg.adversarial.adversarial)

    def conclude(self, run_dir: Path) -> dict[str, float]:
        """How long the run waited for a source that was still being rendered; the last validation has measured the rest."""
        source = self.datasets[0]
        if not isinstance(source, StreamedPeople):
            return {}
        waits, seconds = source.patience.times, source.patience.seconds
        log.info("waited %d times, %.0f s in all, for frames that were still being rendered", waits, seconds)
        return {"stream/waits": float(waits), "stream/wait_seconds": seconds}

    def state_dict(self) -> dict[str, Any]:
        """What the terms, the averaged network and separate BatchNorm layers remember."""
        averaged = 0 if self.ema is None else int(self.ema.n_averaged)
        terms = {name: term.state_dict() for name, term in self.terms.items()}
        return {
            "averaged": averaged,
            "terms": terms,
            "source_bn": batchnorm.source_statistics(self.network),
            "learnt": self.learnt.sums.cpu(),
            "stream": source.state() if isinstance(source := self.datasets[0], StreamedPeople) else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        if isinstance(source := self.datasets[0], StreamedPeople):
            restore(source, state["stream"], self.context)
        for name, term in self.terms.items():
            term.load_state_dict(state["terms"][name])
        batchnorm.load_source_statistics(self.network, state["source_bn"])
        self.learnt.sums.copy_(state["learnt"])
        if self.ema is not None:
            self.ema.n_averaged.fill_(state["averaged"])
            batchnorm.load_source_statistics(self.ema.module, state["source_bn"])
