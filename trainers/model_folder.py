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
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .. import __version__
from ..config import Config, UserError, validate
from ..models.bodies.joints import joint_set
from ..models.keypoints.networks import build_network

WEIGHTS, SPEC, EXPORT = "model.safetensors", "model.json", "model.pt2"


class ModelSpec(Config):
    """Everything needed to rebuild and use a network.

    Attributes:
        network: name in ``models.keypoints.networks.NETWORKS``; ``options`` are its arguments.
        joint_set: names and order of the keypoints that come out.
        input: crop (width, height) in pixels.
        mean_pose: mean training keypoints J×2 in units of the box (0 = left/top edge, 1 = right/bottom), for the baseline
            that stands beside every figure; None if the training data had no labels.
        trained_on: data set name to manifest hash.
        config_hash: of the training config.
    """

    network: str
    options: dict[str, Any] = {}
    joint_set: str = "coco17"
    input: tuple[int, int]
    mean_pose: list[tuple[float, float]] | None = None
    trained_on: dict[str, str] = {}
    config_hash: str = ""
    code_version: str = __version__


def save_model(folder: Path, network: nn.Module, spec: ModelSpec) -> Path:
    """Write weights and spec into ``folder`` (made if absent). Weights are stored contiguous, on the CPU."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    (folder / SPEC).write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return folder


def load_model(path: str | Path, device: str = "cpu") -> tuple[nn.Module, ModelSpec]:
    """Load a model folder, or the model of a run folder, in eval mode.

    Raises:
        UserError: if neither is there, or the weights do not fit the spec.
    """
    folder = find_model(Path(path))
    try:
        values = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{folder / SPEC} is not JSON: {error}") from error
    spec = validate(ModelSpec, values)
    network = build_network(spec.network, joints=joint_set(spec.joint_set).count, **spec.options)
    missing, unexpected = network.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    if missing or unexpected:
        raise UserError(
            f"{folder / WEIGHTS} does not fit {spec.network}: {len(missing)} tensors missing, {len(unexpected)} unexpected, "
            f"first {(missing or unexpected)[0]}"
        )
    return network.to(device).eval(), spec


def find_model(path: Path) -> Path:
    """The model folder that ``path`` is or, for a run folder, holds as ``model/``."""
    for folder in (path, path / "model"):
        if (folder / SPEC).is_file() and (folder / WEIGHTS).is_file():
            return folder
    if not path.exists():
        raise UserError(f"no model at {path}: name a run folder, a model folder or a registered NAME@VERSION")
    raise UserError(f"{path} holds no {SPEC} and {WEIGHTS}: its run may not have finished (sim2pose train … --resume)")


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
