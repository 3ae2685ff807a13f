"""A model folder: what a trained keypoint network is outside of its run.

::

    model.safetensors   weights, trainable
    model.json          ModelSpec: how to build the network, what goes in and out, where it came from
    model.pt2           inference export (torch.export), any batch size; made when a model is registered
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from .. import __version__
from ..config import Config, UserError, config_hash, validate
from ..datasets.persons import PersonDataset
from ..datasets.shards import FramesFolder
from ..models.joints import joint_set
from ..models.keypoints.base import HeatmapNetwork
from ..models.keypoints.networks import build_network
from ..models.keypoints.weights import load_weights
from . import checkpoints
from .evaluation import mean_pose
from .initial_weights import find_weights
from .recipes import keypoint_run

WEIGHTS, SPEC, EXPORT = "model.safetensors", "model.json", "model.pt2"


class ModelSpec(Config):
    """Everything needed to rebuild and use a network.

    Attributes:
        network: name in ``models.keypoints.networks.NETWORKS``; ``args`` are its arguments.
        joint_set: names and order of the keypoints that come out.
        input: crop (width, height) in pixels.
        mean_pose: mean training keypoints J×2 in units of the box (0 = left/top edge, 1 = right/bottom), for the baseline
            that stands beside every figure; None if the training data had no labels.
        trained_on: data set name to manifest hash.
        config_hash: of the training config; checkpoint: the step folder the weights come from.
    """

    network: str
    args: dict[str, Any] = {}
    joint_set: str = "coco17"
    input: tuple[int, int]
    mean_pose: list[tuple[float, float]] | None = None
    trained_on: dict[str, str] = {}
    config_hash: str = ""
    checkpoint: str = ""
    code_version: str = __version__


def save_model(folder: Path, network: nn.Module, spec: ModelSpec) -> Path:
    """Write weights and spec into ``folder`` (made if absent). Weights are stored contiguous, on the CPU."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    (folder / SPEC).write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return folder


def load_model(path: str | Path, device: str = "cpu") -> tuple[HeatmapNetwork, ModelSpec]:
    """Load a model folder, or the model of a run folder (made from its best checkpoint), in eval mode.

    Raises:
        UserError: if neither is there, or the weights do not fit the spec.
    """
    folder = find_model(Path(path))
    try:
        values = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{folder / SPEC} is not JSON: {error}") from error
    spec = validate(ModelSpec, values)
    network = build_network(spec.network, joint_set(spec.joint_set).count, **spec.args)
    load_weights(network, folder / WEIGHTS)
    return network.to(device).eval(), spec


def find_model(path: Path) -> Path:
    """The model folder that ``path`` is; of a run folder its ``model/``, made if it is not there or not up to date."""
    if (path / SPEC).is_file() and (path / WEIGHTS).is_file():
        return path
    if not path.exists():
        raise UserError(f"no model at {path}: name a run folder, a model folder or a registered NAME@VERSION")
    if not (path / "config.yaml").is_file():
        raise UserError(f"{path} is neither a model folder ({SPEC}, {WEIGHTS}) nor a run folder (config.yaml)")
    return model_of_run(path)


def model_of_run(run_dir: Path) -> Path:
    """Write ``<run>/model`` from the run's best checkpoint (the last, where none was scored); averaged weights if any.

    Raises:
        UserError: if the run has no whole checkpoint yet, or trained no keypoint network.
    """
    cfg = keypoint_run(run_dir)
    checkpoint = checkpoints.best_checkpoint(run_dir)
    if checkpoint is None:
        raise UserError(f"{run_dir} has no checkpoint yet: go on with it (sim2pose train … --resume)")
    folder = run_dir / "model"
    label = checkpoint.name
    if (folder / SPEC).is_file() and json.loads((folder / SPEC).read_text(encoding="utf-8"))["checkpoint"] == label:
        return folder
    sources = [FramesFolder.open(path) for path in cfg.training_folders]
    people = PersonDataset(sources, domain=1)
    network = build_network(cfg.model.network, people.joint_set.count, **cfg.model.args)
    load_weights(network, find_weights(checkpoint))
    spec = ModelSpec(
        network=cfg.model.network,
        args=cfg.model.args,
        joint_set=people.joint_set.name,
        input=cfg.data.input,
        mean_pose=[(float(x), float(y)) for x, y in mean_pose(people.bbox, people.keypoints)],
        trained_on={folder.path.name: data_hash(folder) for folder in sources},
        config_hash=config_hash(cfg),
        checkpoint=label,
    )
    return save_model(folder, network, spec)


def data_hash(folder: FramesFolder) -> str:
    """Short hash of a frames folder's content, from the SHA-256 of its shards."""
    return config_hash({"shards": [shard.sha256 for shard in folder.shards]})


class _Heatmaps(nn.Module):
    """The network as inference wants it: normalised crop in, heatmaps out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image)[1]


def export_pt2(folder: Path) -> Path:
    """Write ``model.pt2`` beside the weights: image (B, 3, H, W) normalised float32 → heatmaps (B, J, h, w), any B.

    Raises:
        RuntimeError: if the exported program's heatmaps differ from the network's by more than 1e-4.
    """
    network, spec = load_model(folder)
    module = _Heatmaps(network).eval()
    width, height = spec.input
    example = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},))
    other = torch.randn(5, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        gap = (program.module()(other) - module(other)).abs().max().item()
    if not gap < 1e-4:
        raise RuntimeError(f"the export of {folder} differs from the network by {gap:.2e}")
    torch.export.save(program, folder / EXPORT)
    return folder / EXPORT
