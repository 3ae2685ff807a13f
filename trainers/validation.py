"""Validation of a keypoint network while it trains: figures by domain, baselines, controls, collapse."""

from __future__ import annotations

import copy
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..config import UserError
from ..datasets.coco_export import frames_to_coco
from ..datasets.persons import PersonDataset
from ..datasets.shards import FramesFolder
from ..models.keypoints.base import HeatmapNetwork, normalise
from ..models.keypoints.batchnorm import of_source
from .adaptation.adabn import take_target_statistics
from .config import TrainConfig
from .context import Context
from .evaluation import baselines, evaluate_results, mean_pose
from .predict import crop_batches, predict

log = logging.getLogger(__name__)

FIGURES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "oks", "pck@0.2", "left_right_confusion", "output_variance_ratio")
SOURCE, TARGET = "source", "target"
PROBE_PICTURES = 256  # a domain, half to fit and half to score


def score_name(cfg: TrainConfig) -> str:
    """The metric that chooses the best checkpoint: AP on the target if there is one, else on the source."""
    names = list(cfg.data.val)
    best = next((name for name in (TARGET, SOURCE) if name in names), names[0] if names else "")
    return f"{best}/AP"


class Validation:
    """Evaluates on each folder of ``data.val`` with its annotated boxes. Made on rank 0."""

    def __init__(self, cfg: TrainConfig, datasets: Sequence[PersonDataset], context: Context) -> None:
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
        self.mean_pose = mean_pose(datasets[0].bbox, datasets[0].keypoints)

    def __call__(self, network: HeatmapNetwork, final: bool) -> dict[str, float]:
        """Figures by ``<folder>/<figure>``; the final call adds baselines and AdaBN and writes predictions.

        Args:
            network: in eval mode; left as it is.
        """
        metrics: dict[str, float] = {}
        for name in self.folders:
            metrics.update(self._evaluate(network, name, name, write=final))
        if SOURCE in self.folders and TARGET in self.folders:
            metrics["domain_probe_accuracy"] = self._probe(network)
        if final:
            metrics.update(self._baselines())
            if self.cfg.adabn == "report" and TARGET in self.folders:
                metrics.update(self._adabn(network))
        return metrics

    def _evaluate(self, network: nn.Module, name: str, label: str, write: bool = False) -> dict[str, float]:
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
        return _figures(report, label)

    def _baselines(self) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for name, truth in self.truth.items():
            for kind, report in baselines(truth, self.mean_pose, self.joints).items():
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
        return self._evaluate(adapted, TARGET, f"{TARGET}_adabn")

    @torch.inference_mode()
    def _probe(self, network: HeatmapNetwork) -> float:
        """How well a fresh linear classifier tells the domains from features of held-out pictures (0.5: not at all).

        An online classifier that is fooled does not mean aligned features; this one has not been trained against.
        """
        features = []
        for name in (SOURCE, TARGET):
            with statistics_of(network, name):
                pictures = (images.to(self.context.device) for images in self._pictures(name))
                features.append(np.concatenate([pooled_features(network, images) for images in pictures]))
        return probe_accuracy(features[0], features[1])

    def _pictures(self, name: str) -> Iterator[torch.Tensor]:
        batches = crop_batches(self.folders[name], self.cfg.data.input, 64)
        return itertools.islice(batches, PROBE_PICTURES // 64)


def statistics_of(network: nn.Module, name: str) -> AbstractContextManager[None]:
    """Of a network with BatchNorm statistics for each domain, use the source's on the folder named source."""
    return of_source(network) if name == SOURCE else nullcontext()


def _figures(report: dict[str, Any], label: str) -> dict[str, float]:
    return {f"{label}/{name.replace('@', '_')}": float(report[name]) for name in FIGURES if report[name] is not None}


def pooled_features(network: HeatmapNetwork, images: torch.Tensor) -> np.ndarray:
    """Mean and deviation over the map of each feature channel: uint8 ``(b, 3, H, W)`` → ``(b, 2·c)`` float32."""
    feature = network(normalise(images))[0].float()
    return torch.cat([feature.mean((2, 3)), feature.std((2, 3))], dim=1).cpu().numpy()


def probe_accuracy(source: np.ndarray, target: np.ndarray) -> float:
    """Balanced accuracy of logistic regression between two sets of features: fitted on half, scored on half.

    Args:
        source: (n, d); target: (m, d).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.concatenate([source[::2], target[::2]])
    y = np.repeat([1, 0], [len(source[::2]), len(target[::2])])
    held_out = np.concatenate([source[1::2], target[1::2]])
    truth = np.repeat([1, 0], [len(source[1::2]), len(target[1::2])])
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced")).fit(x, y)
    return float(balanced_accuracy_score(truth, probe.predict(held_out)))
