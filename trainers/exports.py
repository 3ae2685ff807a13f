"""Networks for use elsewhere: torch.export (``pt2``) and ONNX, for any batch size, checked against the network.

A file ``model_io.json`` beside them says what goes in, what comes out, and how keypoints are read from it.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..config import UserError
from ..models.joints import joint_set
from ..models.keypoints.base import IMAGENET_MEAN, IMAGENET_STD
from .model_folder import EXPORT, ModelSpec, load_model

ONNX, IO = "model.onnx", "model_io.json"
Format = Literal["pt2", "onnx"]
TOLERANCE = 1e-4  # heatmaps are of the order of 1
BATCHES = (1, 2, 5)  # sizes that an export is checked at

Runner = Callable[[Tensor], Tensor]


class HeatmapsOnly(nn.Module):
    """The network as inference wants it: normalised crop in, heatmaps out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Heatmaps (b, j, h, w) of normalised crops (b, 3, H, W)."""
        heatmaps: Tensor = self.network(image)[1]
        return heatmaps


def export_model(model: Path, out: Path, formats: Sequence[Format] = ("pt2", "onnx")) -> dict[str, float]:
    """Export a model folder's network into ``out``, with ``model_io.json``.

    Returns:
        format → greatest absolute difference of heatmaps to the network's, over batches of :data:`BATCHES`.

    Raises:
        UserError: for ONNX without its packages, or an export that differs by more than :data:`TOLERANCE`.
    """
    network, spec = load_model(model)
    module = HeatmapsOnly(network).eval()
    writers = {"pt2": _write_pt2, "onnx": _write_onnx}
    names = {"pt2": EXPORT, "onnx": ONNX}
    out.mkdir(parents=True, exist_ok=True)
    gaps: dict[str, float] = {}
    for name in formats:
        runner = writers[name](module, spec, out / names[name])
        gaps[name] = _parity(module, runner, spec)
        if not gaps[name] <= TOLERANCE:
            (out / names[name]).unlink()
            raise UserError(
                f"the {name} export of {model} differs from the network by {gaps[name]:.2e} (more than {TOLERANCE:g}): "
                "it was removed; this network does not export faithfully"
            )
    files: dict[str, str] = {name: names[name] for name in formats}
    described = describe_io(spec, module, files, gaps)
    (out / IO).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return gaps


def export_pt2(folder: Path) -> Path:
    """Write ``model.pt2`` beside the weights; see :func:`export_model`."""
    network, spec = load_model(folder)
    module = HeatmapsOnly(network).eval()
    runner = _write_pt2(module, spec, folder / EXPORT)
    gap = _parity(module, runner, spec)
    if not gap <= TOLERANCE:
        raise UserError(f"the export of {folder} differs from the network by {gap:.2e}")
    return folder / EXPORT


def _write_pt2(module: nn.Module, spec: ModelSpec, file: Path) -> Runner:
    dims = ({0: torch.export.Dim("batch", min=1, max=4096)},)
    program = torch.export.export(module, (_pictures(spec, 2),), dynamic_shapes=dims)
    torch.export.save(program, file)
    runner: Runner = torch.export.load(file).module()
    return runner


def _write_onnx(module: nn.Module, spec: ModelSpec, file: Path) -> Runner:
    try:
        import onnx  # noqa: F401 (wanted by torch's exporter)
        import onnxruntime
        import onnxscript  # noqa: F401 (likewise)
    except ImportError as error:
        raise UserError(f"ONNX export needs {error.name}: pip install 'sim2pose[export]', or formats=[pt2]") from error
    chatty = logging.getLogger("torch.onnx")
    level = chatty.level
    chatty.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (_pictures(spec, 2),),
                input_names=["image"],
                output_names=["heatmaps"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
                dynamo=True,
                verbose=False,
            )
    finally:
        chatty.setLevel(level)
    assert program is not None, "with dynamo=True a program is returned"
    program.save(str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(np.asarray(session.run(["heatmaps"], {"image": images.numpy()})[0]))


def _pictures(spec: ModelSpec, batch: int) -> Tensor:
    width, height = spec.input
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(batch))


@torch.inference_mode()
def _parity(module: nn.Module, runner: Runner, spec: ModelSpec) -> float:
    """Greatest absolute difference between network and export over the batches; infinite where one is not finite."""
    gaps = []
    for batch in BATCHES:
        images = _pictures(spec, batch)
        gap = (runner(images) - module(images)).abs().max().item()
        gaps.append(gap if np.isfinite(gap) else float("inf"))
    return max(gaps)


@torch.inference_mode()
def describe_io(spec: ModelSpec, module: nn.Module, files: dict[str, str], gaps: dict[str, float]) -> dict[str, Any]:
    """What ``model_io.json`` says."""
    width, height = spec.input
    heatmaps = module(_pictures(spec, 1)).shape
    joints = joint_set(spec.joint_set)
    return {
        "files": files,
        "max_abs_difference": gaps,
        "input": {
            "name": "image",
            "shape": ["batch", 3, height, width],
            "dtype": "float32",
            "colour": "RGB",
            "normalisation": {"scale": "value / 255", "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)},
            "crop": "person box widened to width:height, enlarged by 1.25 about its centre, black beyond the picture",
        },
        "output": {"name": "heatmaps", "shape": ["batch", *heatmaps[1:]], "dtype": "float32"},
        "joint_set": joints.name,
        "joints": list(joints.joints),
        "flip_pairs": [list(pair) for pair in joints.flip_pairs],
        "decoding": {
            "keypoint": "position of the heatmap's maximum, refined (DARK), score is its value",
            "x": f"cell_x * ({width} - 1) / ({heatmaps[3]} - 1) crop pixels",
            "y": f"cell_y * ({height} - 1) / ({heatmaps[2]} - 1) crop pixels",
        },
    }
