"""Backbones that were trained to classify ImageNet: weights of torchvision, timm and HRNet's own repository."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from .base import HeatmapNetwork
from .published import own_names
from .weights import LoadReport, load_weights, read_state

CLASSIFIERS = (
    "fc.*",
    "classifier.*",
    "final_layer.*",
    "incre_modules.*",
    "downsamp_modules.*",
    "stage4.2.fuse_layers.[123].*",
)
"""What files of classifiers hold besides the backbone: their heads, and outputs of HRNet that poses do not need."""

_BLOCKS = (1, 2, 3, 4, 3, 3, 1)  # of MobileNetV2's stages
_FIRST = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}  # the block without expansion
_OTHERS = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}
_ENDS = {"conv_stem": "0.0", "bn1": "0.1", "conv_head": "18.0", "bn2": "18.1"}


def load_backbone(
    network: HeatmapNetwork, source: str | Path | Mapping[str, Tensor], allow: Iterable[str] = ()
) -> LoadReport:
    """Load all of a network but its head, in place, from a classifier's weights or a pose network's.

    Args:
        network: a network of ``NETWORKS``; its ``head`` stays as it is. Untouched if this raises.
        source: a file for :func:`read_state` or a state dict, with the names of torchvision, timm, HRNet's or FiDIP's
            repository.
        allow: patterns of further keys that may be missing, unexpected or of another shape.

    Raises:
        UserError: if the file cannot be read, or anything of the backbone is missing or does not fit.
    """
    state = dict(source) if isinstance(source, Mapping) else read_state(source)
    state = from_timm_mobilenet(state) if "conv_stem.weight" in state else own_names(state)
    heads = tuple(f"{name}.*" for name in network.head)
    state = {key: value for key, value in state.items() if key.partition(".")[0] not in network.head}
    name = "state dict" if isinstance(source, Mapping) else str(source)
    return load_weights(network, state, (*allow, *heads, *CLASSIFIERS), f"backbone of {name}")


def from_timm_mobilenet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of timm's ``mobilenetv2_100`` under torchvision's names; its classifier keeps its own."""
    renamed = {}
    for key, value in state.items():
        name, _, kind = key.rpartition(".")
        found = re.fullmatch(r"blocks\.(\d)\.(\d)\.(\w+)", name)
        layers = _FIRST if name.startswith("blocks.0.") else _OTHERS
        if found and found[3] in layers:
            stage, block = int(found[1]), int(found[2])
            name = f"features.{1 + sum(_BLOCKS[:stage]) + block}.conv.{layers[found[3]]}"
        elif name in _ENDS:
            name = f"features.{_ENDS[name]}"
        renamed[f"{name}.{kind}"] = value
    return renamed
