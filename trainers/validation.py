"""Validation of a keypoint network while it trains: figures by domain, baselines, controls, collapse."""

from __future__ import annotations

import copy
import itertools
import json
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..config import UserError
from ..datasets.coco_export import frames_to_coco
from ..datasets.persons import PersonDataset
from ..datasets.shards import FramesFolder
from ..models.keypoints.base import HeatmapNetwork
from ..models.keypoints.batchnorm import of_source
from .adaptation.adabn import take_target_statistics
from .analysis.features import FeatureWriter, collect, sample_people
from .analysis.history import note_keypoints, retention
from .analysis.separability import probe_accuracy, proxy_a_distance
from .context import Context
from .evaluation import baselines, evaluate_results, mean_pose
from .keypoint_config import KeypointConfig
from .predict import predict

log = logging.getLogger(__name__)

FIGURES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "oks", "pck@0.2", "left_right_confusion", "output_variance_ratio")
SOURCE, TARGET = "source", "target"


def score_name(cfg: KeypointConfig) -> str:
    """The metric that chooses the best checkpoint: AP on the target if there is one, else on the source."""
    names = list(cfg.data.val)
    best = next((name for name in (TARGET, SOURCE) if name in names), names[0] if names else "")
    return f"{best}/AP"


class Validation:
    """Evaluates on each folder of ``data.val`` with its annotated boxes. Made on rank 0."""

    def __init__(self, cfg: KeypointConfig, datasets: Sequence[PersonDataset], context: Context) -> None:
        """Open the folders.

        Raises:
            UserError: for a missing folder, one without labels, or with other joints than the training data.
        """
        self.cfg, self.context = cfg, context
        self.run_dir = Path(cfg.out) / cfg.name
        self.joints = datasets[0].joint_set
        self.folders = {name: FramesFolder.open(path) for name, path in cfg.data.val.items()}
        for name, folder in self.folders.items():
            if folder.info.joint_set != self.joints.name:
                raise UserError(
                    f"data.val.{name} has joint set '{folder.info.joint_set}', training has '{self.joints.name}'"
                )
        self.truth = {name: frames_to_coco(folder) for name, folder in self.folders.items()}
        for name, truth in self.truth.items():
            if not any(person["num_keypoints"] for person in truth["annotations"]):
                raise UserError(
                    f"data.val.{name}: {self.folders[name].path} has no labelled person: validate on a folder with "
                    "keypoints, or leave it out"
                )
        self.training = datasets[0]  # looked at when the run ends: a streamed source grows until then
        self.people = [
            sample_people(name, folder, self.truth[name], cfg.analysis.people) for name, folder in self.folders.items()
        ]

    def __call__(self, network: HeatmapNetwork, step: int, epoch: float, final: bool) -> dict[str, float]:
        """Figures by ``<folder>/<figure>``; the final call adds baselines and AdaBN and writes predictions.

        Figures by keypoint and, when due, features go into the run folder (see ``analysis``).

        Args:
            network: in eval mode; left as it is.
            step, epoch: where the training is; epochs are passes over the source.
            final: whether this is the last validation.
        """
        if not self.folders:
            return {}
        reports = {name: self._report(network, name, name, write=final) for name in self.folders}
        metrics: dict[str, float] = {}
        for name, report in reports.items():
            metrics.update(_figures(report, name))
        note_keypoints(self.run_dir, step, epoch, reports)
        metrics.update(self._domains(network, step, epoch, final))
        if final:
            metrics["source_frames"] = float(self.training.frames if self.training.domain == 1 else 0)  # 0: fine-tuning
            metrics.update(retention(self.run_dir, metrics))
            metrics.update(self._baselines())
            if self.cfg.adabn == "report" and TARGET in self.folders:
                metrics.update(self._adabn(network))
        return metrics

    def _report(self, network: nn.Module, name: str, label: str, write: bool = False) -> dict[str, Any]:
        cfg = self.cfg
        with statistics_of(network, name):
            results = predict(
                network,
                self.folders[name],
                cfg.data.input,
                batch=max(cfg.batch // self.context.world, 1),
                device=self.context.device,
                flip_test=cfg.flip_test,
                bf16=cfg.optim.bf16,
            )
        report = evaluate_results(self.truth[name], results, self.joints)
        if write:
            folder = self.run_dir / "predictions"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{label}.json").write_text(json.dumps(results), encoding="utf-8")
            (folder / f"{label}_report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        return report

    def _baselines(self) -> dict[str, float]:
        metrics: dict[str, float] = {}
        pose = mean_pose(self.training.bbox, self.training.keypoints)
        for name, truth in self.truth.items():
            for kind, report in baselines(truth, pose, self.joints).items():
                metrics.update(_figures(report, f"{name}_{kind}"))
        return metrics

    def _adabn(self, network: nn.Module) -> dict[str, float]:
        """The control without any adaptation in training: BatchNorm statistics from target pictures, labels unseen.

        Pictures are those of ``data.target``, or of the target validation folder where none is named.
        """
        adapted = copy.deepcopy(network)
        try:
            take_target_statistics(adapted, self.cfg, [self.folders[TARGET]])
        except UserError as error:
            log.warning("no AdaBN figures: %s", error)
            return {}
        return _figures(self._report(adapted, TARGET, f"{TARGET}_adabn"), f"{TARGET}_adabn")

    def _domains(self, network: nn.Module, step: int, epoch: float, final: bool) -> dict[str, float]:
        """Look at the features of the sampled people: write them if due, and probe how well they tell the domains."""
        every = self.cfg.analysis.every
        due = every is not None and (final or step // self.cfg.validate_every % every == 0)
        probed = {SOURCE, TARGET} <= set(self.folders)
        features: dict[str, list[np.ndarray]] = {name: [] for name in self.folders}
        frames: dict[str, list[np.ndarray]] = {name: [] for name in self.folders}
        data = self.cfg.data
        with FeatureWriter(self.run_dir, step, epoch) if due else nullcontext() as writer:
            for people in self.people if due or probed else ():
                device, bf16 = self.context.device, self.cfg.optim.bf16
                with statistics_of(network, people.domain):
                    for rows in collect(network, people, self.joints, data.input, data.sigma, device=device, bf16=bf16):
                        if writer is not None:
                            writer.write(people.domain, rows)
                        features[people.domain].append(rows.feature)
                        frames[people.domain].append(rows.frame_id)
        if not probed:
            return {}
        few = [name for name in (SOURCE, TARGET) if len(set(itertools.chain.from_iterable(frames[name]))) < 2]
        if few:
            log.warning("no domain probe: data.val.%s has people in fewer than two frames", few[0])
            return {}
        x, where = ([np.concatenate(kept[name]) for name in (SOURCE, TARGET)] for kept in (features, frames))
        accuracy = probe_accuracy(*x, *where)
        return {"domain_probe_accuracy": accuracy, "proxy_a_distance": proxy_a_distance(accuracy)}


def statistics_of(network: nn.Module, name: str) -> AbstractContextManager[None]:
    """Of a network with BatchNorm statistics for each domain, use the source's on the folder named source."""
    return of_source(network) if name == SOURCE else nullcontext()


def _figures(report: dict[str, Any], label: str) -> dict[str, float]:
    return {f"{label}/{name.replace('@', '_')}": float(report[name]) for name in FIGURES if report[name] is not None}
