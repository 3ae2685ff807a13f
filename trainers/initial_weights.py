"""What a keypoint network starts from: a run, a checkpoint, a model folder, published weights, or chance."""

from __future__ import annotations

import logging
from pathlib import Path

from ..config import UserError, parse_yaml
from ..models.keypoints.backbones import load_backbone
from ..models.keypoints.base import HeatmapNetwork
from ..models.keypoints.weights import LoadReport, load_weights
from .checkpoints import best_checkpoint
from .keypoint_config import KeypointConfig
from .tracking import flat

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
        before = _input_of(Path(cfg.init_from)) if cfg.init_from is not None else None
        if before not in (None, cfg.data.input):
            log.warning(
                "%s was trained on crops of %s×%s, this run takes %s×%s (data.input)",
                cfg.init_from,
                *before,
                *cfg.data.input,
            )
    return report


def _input_of(path: Path) -> tuple[int, int] | None:
    """``data.input`` of the run that a run or checkpoint folder belongs to; None where there is no config."""
    for folder in (path, *path.parents[:2]):  # <run>, <run>/checkpoints/step_N
        if (folder / "config.yaml").is_file():
            size = flat(parse_yaml((folder / "config.yaml").read_text(encoding="utf-8"))).get("data.input")
            return None if size is None else (int(size[0]), int(size[1]))
    return None


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
