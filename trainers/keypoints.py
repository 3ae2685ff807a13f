"""Task: 2D keypoints by heatmaps, on the source domain alone or adversarially with a target domain (FiDIP).

FiDIP (Huang et al., "Invariant Representation Learning for Infant Pose Estimation with Small Data", FG 2021): first
only the domain classifier D learns, on detached features. Then, in each batch, from one forward of the pose network:
step I descends BCE(D(feature), y) in D alone, step II descends JointsMSE − λ·BCE(D(feature), y) in the pose network
alone, through the D just updated. y is 1 for source. There is no gradient reversal layer.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..config import UserError
from ..datasets.augment import augmentation
from ..datasets.persons import PersonDataset
from ..datasets.plan import BatchPlan
from ..datasets.stream import make_loader
from ..models.keypoints.backbones import load_backbone
from ..models.keypoints.base import HeatmapNetwork, normalise
from ..models.keypoints.domain import build_domain_classifier
from ..models.keypoints.heatmaps import encode
from ..models.keypoints.losses import domain_bce, joints_mse
from ..models.keypoints.networks import build_network
from ..models.keypoints.weights import LoadReport, freeze, load_weights
from .adversarial import LossWatch, Weight, accuracy, confusion, gradient_norms, held, held_statistics
from .checkpoints import best_checkpoint
from .config import TrainConfig
from .context import Context
from .loop import Batch
from .updates import Schedule, Update, make_optimiser
from .validation import Validation, collapsed, score_name

log = logging.getLogger(__name__)

POSE, DOMAIN = "pose", "domain"
SOURCE, TARGET = 1, 0


class KeypointTask:
    """See the module; attributes as ``loop.Task`` asks for them."""

    def __init__(self, cfg: TrainConfig, context: Context) -> None:
        self.cfg, self.context = cfg, context
        self.datasets = open_datasets(cfg, context.first)
        share = cfg.data.target_share
        self.plan = self._plan(cfg.seed, share)
        self.adversarial = cfg.adversarial.method == "fidip"
        per_epoch = math.ceil(len(self.datasets[0]) / self.plan.share[0])
        self.steps = cfg.steps if cfg.steps is not None else max(1, round((cfg.epochs or 0) * per_epoch))
        self.pre_steps = self._pre_steps(per_epoch)
        self.total_steps = self.pre_steps + self.steps
        self.joints = self.datasets[0].joint_set
        self._build_networks()
        self.weight = Weight(cfg.adversarial, self.steps)
        self.watch = LossWatch()
        self._warned: set[str] = set()
        self.score = score_name(cfg)
        self.validation = Validation(cfg, self.datasets, context) if context.first else None

    def _plan(self, seed: int, share: float) -> BatchPlan:
        ratio = [1.0] if len(self.datasets) == 1 else [1.0 - share, share]
        return BatchPlan.make(self.datasets, self.cfg.batch, seed, ratio)

    def _pre_steps(self, per_epoch: int) -> int:
        adversarial = self.cfg.adversarial
        if not self.adversarial:
            return 0
        return round(adversarial.pre_epochs * per_epoch) if adversarial.pre_steps is None else adversarial.pre_steps

    def _build_networks(self) -> None:
        cfg, context = self.cfg, self.context
        self.network = build_network(cfg.model.network, self.joints.count, **cfg.model.args)
        loaded = load_start(cfg, self.network, context.first)
        frozen = freeze(self.network, cfg.model.freeze, loaded) if cfg.model.freeze else []
        if context.first and frozen:
            log.info("frozen, BatchNorm statistics included: %s", ", ".join(frozen))
        layout = torch.channels_last if cfg.optim.channels_last else torch.contiguous_format
        self.network.to(device=context.device, memory_format=layout)  # type: ignore[call-overload]
        self.network.train()
        self.pose = context.wrap(self.network)
        self.modules: dict[str, nn.Module] = {POSE: self.network}
        self.parallel = [self.pose]
        self.optimisers: dict[str, Optimizer] = {}
        self.schedulers: dict[str, LambdaLR] = {}
        self._add_optimiser(POSE, self.network, cfg.optim.lr, start=0)
        self.ema: AveragedModel | None = None
        if cfg.optim.ema is not None:
            self.ema = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(cfg.optim.ema))
            self.modules["average"] = self.ema.module
        if self.adversarial:
            classifier = build_domain_classifier(cfg.adversarial.classifier, self.network.feature_channels)
            self.classifier = classifier.to(context.device).train()
            self.domain = context.wrap(self.classifier)
            self.modules[DOMAIN] = self.classifier
            self.parallel.append(self.domain)
            self._add_optimiser(DOMAIN, self.classifier, cfg.adversarial.lr, start=self.pre_steps)

    def _add_optimiser(self, name: str, module: nn.Module, lr: float, start: int) -> None:
        optim = self.cfg.optim
        optimiser = make_optimiser(module.parameters(), lr, optim.weight_decay)
        schedule = Schedule(optim.schedule, self.steps, optim.milestones, optim.gamma, optim.warmup, start)
        self.optimisers[name] = optimiser
        self.schedulers[name] = LambdaLR(optimiser, schedule)

    def batches(self, start: int) -> Iterator[Batch]:
        """Batches from ``start`` on: of the pre-phase, then those that a run without one sees from step 0."""
        before = self._loader(self._plan(self.cfg.seed + 1_000_003, self.cfg.data.target_share), start, self.pre_steps)
        after = self._loader(self.plan, max(0, start - self.pre_steps), self.steps)
        return chain(before, after)

    def _loader(self, plan: BatchPlan, start: int, stop: int) -> Iterator[Batch]:
        if start >= stop:
            return
        data, context = self.cfg.data, self.context
        yield from make_loader(
            self.datasets,
            plan,
            augmentation(data.augment),
            data.input,
            rank=context.rank,
            world=context.world,
            workers=data.loader_workers,
            start_step=start,
            stop_step=stop,
            pin_memory=context.device.type == "cuda",
        )

    def train_step(self, batch: Batch, step: int, measure: bool) -> Iterator[Update]:
        """Losses in the order of their updates; the loop steps the optimiser of each before the next is computed."""
        device = self.context.device
        images = normalise(batch["image"].to(device, non_blocking=True))
        domain = batch["domain"].to(device, non_blocking=True)
        if step < self.pre_steps:
            with torch.no_grad(), held_statistics(self.network), self._autocast():
                feature, _ = self.network(images)
            yield self._classify(feature.float(), domain)
            return
        with self._autocast():
            feature, heatmaps = self.pose(images)
        if self.adversarial:
            yield self._classify(feature.detach().float(), domain)  # step I
        yield self._pose_update(feature, heatmaps, batch, domain, step, measure)  # step II

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.context.device.type, torch.bfloat16, enabled=self.cfg.optim.bf16)

    def _classify(self, feature: Tensor, domain: Tensor) -> Update:
        logits = self.domain(feature)
        return Update(DOMAIN, domain_bce(logits, domain), {"domain_accuracy": accuracy(logits, domain)})

    def _pose_update(
        self, feature: Tensor, heatmaps: Tensor, batch: Batch, domain: Tensor, step: int, measure: bool
    ) -> Update:
        device, (h, w) = self.context.device, heatmaps.shape[-2:]
        keypoints, weight = batch["keypoints"].to(device), batch["weight"].to(device)
        target = encode(keypoints, weight, self.cfg.data.input, (w, h), self.cfg.data.sigma)
        pose = joints_mse(heatmaps, target, weight)
        if not self.adversarial:
            return Update(POSE, pose, {"pose_mse": pose.detach()})
        with held(self.classifier):
            # the module itself, not its DDP wrapper: no gradient of D is to be exchanged here
            bce = confusion(self.classifier(feature.float()), domain, self.cfg.adversarial.clip)
        metrics = {"pose_mse": pose.detach(), "confusion_bce": bce.detach()}
        norms = None
        if self.weight.adaptive or measure:
            norms = gradient_norms((pose, bce), feature, self.context)
        if self.weight.adaptive and norms is not None:
            self.weight.observe(norms)
        lam = torch.as_tensor(self.weight(step - self.pre_steps), device=device)
        metrics["adversarial_weight"] = lam
        if measure and norms is not None:
            metrics["gradient_ratio"] = lam * norms[1] / norms[0].clamp_min(1e-12)
            self._watch(float(metrics["gradient_ratio"]), float(pose.detach()), step)
        return Update(POSE, pose - lam * bce, metrics)

    def _watch(self, ratio: float, pose: float, step: int) -> None:
        """Warn, once each, of an adversarial gradient above the pose gradient (harm begins there) and of a rising loss."""
        weight = self.cfg.adversarial.weight
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

    def finish_step(self, step: int) -> None:
        """Average the weights."""
        if self.ema is not None and step >= self.pre_steps:
            self.ema.update_parameters(self.network)

    def evaluate(self, step: int) -> dict[str, float]:
        """Validate on every folder of ``data.val``; the averaged network where there is one."""
        assert self.validation is not None, "rank 0 evaluates"
        network: Any = self.network if self.ema is None else self.ema.module
        network.eval()
        try:
            return self.validation(network, final=step == self.total_steps)
        finally:
            network.train()

    def verdict(self, step: int, metrics: dict[str, float]) -> str | None:
        """Stop a run whose outputs no longer vary from person to person."""
        if not self.cfg.stop_on_collapse or step <= self.pre_steps:
            return None
        return collapsed(metrics, (step - self.pre_steps) / self.steps)

    def state_dict(self) -> dict[str, Any]:
        """What λ, the averaged network and the watch on the loss remember."""
        norms = None if self.weight.norms is None else self.weight.norms.cpu()
        averaged = 0 if self.ema is None else int(self.ema.n_averaged)
        return {"norms": norms, "averaged": averaged, "watch": vars(self.watch)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.weight.norms = state["norms"]
        vars(self.watch).update(state["watch"])
        if self.ema is not None:
            self.ema.n_averaged.fill_(state["averaged"])


def open_datasets(cfg: TrainConfig, first: bool) -> list[PersonDataset]:
    """Source, and target where the method uses it; says on rank 0 what was left out and why.

    Raises:
        UserError: for missing or damaged folders, or joint sets that differ.
    """
    data = cfg.data
    datasets = [PersonDataset(list(data.source), domain=SOURCE)]
    if cfg.adversarial.method != "none":
        at_least = 0 if data.target_labels == 0 else 1
        labels = data.target_labels
        datasets.append(
            PersonDataset(list(data.target), domain=TARGET, min_keypoints=at_least, labels=labels, label_seed=cfg.seed)
        )
    names = {d.joint_set.name for d in datasets}
    if len(names) > 1:
        raise UserError(f"source and target have different joint sets: {', '.join(sorted(names))}")
    if first:
        for name, dataset in zip(("source", "target"), datasets, strict=False):
            log.info("%s: %s", name, dataset.describe())
    return datasets


def load_start(cfg: TrainConfig, network: HeatmapNetwork, first: bool) -> LoadReport | None:
    """Load what the run starts from, if anything, and say what was loaded.

    ``init_from`` may be a run folder (its best checkpoint), a checkpoint folder, a model folder or a weights file.

    Raises:
        UserError: if it is none of these, or does not fit the network.
    """
    path = cfg.model.weights
    if cfg.init_from is not None:
        path = str(find_weights(Path(cfg.init_from)))
    if path is None:
        if first:
            log.info("the network starts from random weights")
        return None
    load = load_backbone if cfg.model.part == "backbone" and cfg.init_from is None else load_weights
    report = load(network, path, cfg.model.allow)
    if first:
        log.info("weights %s", report.describe())
    return report


def find_weights(path: Path) -> Path:
    """The weights file of a run, checkpoint or model folder; a file is taken as it is.

    Raises:
        UserError: if there is none.
    """
    if path.is_file():
        return path
    best = best_checkpoint(path) if (path / "config.yaml").is_file() else None
    candidates = [] if best is None else [best / "average.safetensors", best / f"{POSE}.safetensors"]
    candidates += [path / "average.safetensors", path / f"{POSE}.safetensors", path / "model.safetensors"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(
        f"init_from={path}: no run folder with a checkpoint, no checkpoint, no model folder, no weights file"
    )
