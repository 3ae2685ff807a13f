"""What a keypoint network starts from: a run, a checkpoint, a model folder, published weights, or chance."""

from __future__ import annotations

import logging
from pathlib import Path

from ..config import UserError
from ..models.keypoints.backbones import load_backbone
from ..models.keypoints.base import HeatmapNetwork
from ..models.keypoints.weights import LoadReport, load_weights
from .checkpoints import best_checkpoint
from .keypoint_config import KeypointConfig

log = logging.getLogger(__name__)

POSE, AVERAGE = "pose", "average"


def load_start(cfg: KeypointConfig, network: HeatmapNetwork, first: bool) -> LoadReport | None:
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
    candidates = [] if best is None else [best / f"{AVERAGE}.safetensors", best / f"{POSE}.safetensors"]
    candidates += [path / f"{AVERAGE}.safetensors", path / f"{POSE}.safetensors", path / "model.safetensors"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(
        f"init_from={path}: no run folder with a checkpoint, no checkpoint, no model folder, no weights file"
    )
