"""Task: a pose density, by likelihood (or a bound on it) of noisy poses.

The density's space (mean rotations, kept directions, scales) and whatever it computes from data are set from the training
poses before the first step. Nothing is chosen by the held-out people: checkpoints are, if at all, by training takes kept
apart.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...datasets.plan import BatchPlan
from ...models.bodies import load_body
from ...models.priors.build import build_density
from ...models.priors.density import PoseDensity
from ...models.priors.named import RUN_FILE
from ...models.priors.space import PoseSpace
from .. import checkpoints
from ..context import Context
from ..task import Batch
from ..updates import Update, scheduled_optimiser
from .config import PriorTrainConfig
from .evaluation import FULL, QUICK, evaluate_prior, evenly, training_scores
from .poses import open_poses
from .trials import likelihood

log = logging.getLogger(__name__)

PRIOR, AVERAGE = "prior", "average"
SCORE = "select/log_prob_per_dim"
VALIDATED = 4096
BODY = "open-person"
DRAWN = "drawn_hands"
"""Folder beside the runs in which drawn hands are kept."""


class PriorTask:
    """See the module; attributes as ``task.Task`` asks for them."""

    pre_steps = 0
    score = SCORE

    def __init__(self, cfg: PriorTrainConfig, context: Context) -> None:
        self.cfg, self.context = cfg, context
        self.poses = open_poses(cfg.data, cfg.seed, Path(cfg.out) / DRAWN)
        if context.first:
            self._tell()
        count = len(self.poses.train)
        self.plan = BatchPlan((np.array([count]),), (cfg.batch,), cfg.seed)
        self.total_steps = cfg.steps or max(1, round((cfg.epochs or 0) * count / cfg.batch))
        self.density = self._build().to(context.device).train()
        self.x = self.density.space.to_coordinates(torch.from_numpy(self.poses.train).to(context.device))
        self.wrapped = context.wrap(self.density)
        self.parallel = [self.wrapped]
        self.modules: dict[str, nn.Module] = {PRIOR: self.density}
        optimiser, schedule = scheduled_optimiser(self.density, cfg.optim.lr, cfg.optim, self.total_steps)
        self.optimisers: dict[str, Optimizer] = {PRIOR: optimiser}
        self.schedulers: dict[str, LambdaLR] = {PRIOR: schedule}
        self.ema: AveragedModel | None = None
        if cfg.optim.ema is not None:
            self.ema = AveragedModel(self.density, multi_avg_fn=get_ema_multi_avg_fn(cfg.optim.ema))
            self.modules[AVERAGE] = self.ema.module

    def _build(self) -> PoseDensity:
        """The density, set up from the training poses; equal on all ranks."""
        cfg, poses = self.cfg, self.poses
        train = torch.from_numpy(poses.train)
        space = PoseSpace.fit(train, poses.joints, poses.joint_set)
        density = build_density(cfg.model.kind, space, **cfg.model.args)
        some = train[:: max(1, len(train) // 65_536)]
        noisy = space.perturb(space.to_coordinates(some), cfg.noise.end, torch.Generator().manual_seed(cfg.seed))
        density.initialise(space.standardise(noisy)[0])
        return density

    def _tell(self) -> None:
        counts = self.poses.counts
        log.info(
            "%d poses to learn from, %d to choose by, %d held out", *(counts[k] for k in ("train", "select", "val"))
        )
        for note in self.poses.notes:
            log.info("poses: %s", note)

    def batches(self, start: int) -> Iterator[Batch]:
        """This rank's rows of the training poses, from step ``start`` on."""
        slots = self.plan.slots(self.context.rank, self.context.world)
        for step in range(start, self.total_steps):
            yield {"frame_id": torch.from_numpy(self.plan.batch(step)[1][slots])}

    def train_step(self, batch: Batch, step: int, measure: bool) -> Iterator[Update]:
        """One update, from poses with the noise of this step."""
        space = self.density.space
        x = self.x[batch["frame_id"].to(self.context.device, non_blocking=True)]
        noisy = space.perturb(x, self.cfg.noise.at(step / self.total_steps))
        loss, metrics = self.wrapped(space.standardise(noisy)[0])
        yield Update(PRIOR, loss, dict(metrics))

    def finish_step(self, step: int) -> None:
        """Average the weights."""
        if self.ema is not None:
            self.ema.update_parameters(self.density)

    @property
    def learnt(self) -> PoseDensity:
        """What validation measures: the averaged density where there is one."""
        found = self.density if self.ema is None else self.ema.module
        assert isinstance(found, PoseDensity)
        return found

    def evaluate(self, step: int) -> dict[str, float]:
        """Likelihoods of training, selection and held-out poses at the space's resolution, on at most a few thousand."""
        density = self.learnt.eval()
        sets = {"training": self.poses.train, "select": self.poses.select, "val": self.poses.val}
        figures: dict[str, float] = {}
        for name, poses in sets.items():
            if len(poses):
                chosen = evenly(len(poses), VALIDATED)
                takes = self.poses.val_takes[chosen] if name == "val" else np.zeros(len(chosen), np.int32)
                found = likelihood(density, self._tensor(poses[chosen]), takes, self.cfg.seed)
                figures[f"{name}/nats_per_dim"] = found["nats_per_dim"]
        if len(self.poses.select):
            figures[SCORE] = -figures["select/nats_per_dim"]
        self.density.train()
        return figures

    def verdict(self, step: int, metrics: dict[str, float]) -> str | None:
        """Nothing ends a run early but its config."""
        return None

    def conclude(self, run_dir: Path) -> dict[str, float]:
        """Write ``prior.safetensors`` from the best checkpoint, and measure that density."""
        best = checkpoints.best_checkpoint(run_dir)
        assert best is not None, "a finished run has a checkpoint"
        density = self.learnt
        density.load_state_dict(checkpoints.load(best).modules[PRIOR if self.ema is None else AVERAGE])
        density.eval()
        density.notes = list(self.poses.notes)
        density.data = {
            "run": self.cfg.name,
            "train": list(self.cfg.data.train) or f"{self.cfg.data.procedural_hands} procedural hands",
            "counts": self.poses.counts,
            "scores": training_scores(density, self.poses.train),
        }
        density.save(run_dir / RUN_FILE)
        if self.cfg.evaluate == "likelihood":
            return {}
        settings = FULL if self.cfg.evaluate == "full" else QUICK
        sets = self.poses
        return evaluate_prior(density, sets.train, sets.val, sets.val_takes, load_body(BODY), settings)

    def state_dict(self) -> dict[str, Any]:
        """How many weights were averaged."""
        return {"averaged": 0 if self.ema is None else int(self.ema.n_averaged)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        if self.ema is not None:
            self.ema.n_averaged.fill_(state["averaged"])

    def _tensor(self, poses: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(poses)).to(self.context.device)
