"""Weights of ImageNet classifiers: files in the layouts of torchvision, timm and HRNet's repository load but for the head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sim2pose.config import UserError
from sim2pose.models.keypoints.backbones import from_timm_mobilenet, load_backbone
from sim2pose.models.keypoints.base import HeatmapNetwork
from sim2pose.models.keypoints.networks import build_network
from sim2pose.models.keypoints.weights import freeze

# Of timm 1.0's mobilenetv2_100: name, shape, and the name that torchvision 0.29 gives the same tensor.
TIMM_MOBILENET = [
    ("conv_stem.weight", (32, 3, 3, 3), "features.0.0.weight"),
    ("bn1.running_var", (32,), "features.0.1.running_var"),
    ("blocks.0.0.conv_dw.weight", (32, 1, 3, 3), "features.1.conv.0.0.weight"),
    ("blocks.0.0.bn1.bias", (32,), "features.1.conv.0.1.bias"),
    ("blocks.0.0.conv_pw.weight", (16, 32, 1, 1), "features.1.conv.1.weight"),
    ("blocks.0.0.bn2.weight", (16,), "features.1.conv.2.weight"),
    ("blocks.1.0.conv_pw.weight", (96, 16, 1, 1), "features.2.conv.0.0.weight"),
    ("blocks.3.2.conv_dw.weight", (384, 1, 3, 3), "features.9.conv.1.0.weight"),
    ("blocks.4.0.bn2.running_mean", (384,), "features.11.conv.1.1.running_mean"),
    ("blocks.6.0.conv_pwl.weight", (320, 960, 1, 1), "features.17.conv.2.weight"),
    ("blocks.6.0.bn3.num_batches_tracked", (), "features.17.conv.3.num_batches_tracked"),
    ("conv_head.weight", (1280, 320, 1, 1), "features.18.0.weight"),
    ("bn2.running_mean", (1280,), "features.18.1.running_mean"),
]


def classifier(name: str, head: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """What a file of an ImageNet classifier holds: the backbone of another seed, and its own head."""
    torch.manual_seed(5)
    network = build_network(name, 17)
    state = {k: v for k, v in network.state_dict().items() if k.partition(".")[0] not in network.head}
    return state | {key: torch.ones(shape) for key, shape in head.items()}


def check_loaded(network: HeatmapNetwork, state: dict[str, Tensor], before: dict[str, Tensor]) -> None:
    for key, value in network.state_dict().items():
        expected = before[key] if key.partition(".")[0] in network.head else state[key]
        assert torch.equal(value, expected), key


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("resnet_50", {"fc.weight": (1000, 2048), "fc.bias": (1000,)}),
        ("mobilenet_v2", {"classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,)}),
        (
            "hrnet_w32",
            {
                "incre_modules.0.0.conv1.weight": (32, 32, 1, 1),
                "downsamp_modules.0.0.weight": (256, 128, 3, 3),
                "stage4.2.fuse_layers.1.0.0.0.weight": (64, 32, 3, 3),
                "final_layer.0.weight": (2048, 1024, 1, 1),
                "classifier.weight": (1000, 2048),
            },
        ),
    ],
)
def test_all_but_the_head_comes_from_the_file(tmp_path: Path, name: str, head: dict[str, tuple[int, ...]]) -> None:
    state = classifier(name, head)
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "imagenet.pth")
    torch.manual_seed(0)
    network = build_network(name, 17)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    report = load_backbone(network, tmp_path / "imagenet.pth")
    check_loaded(network, state, before)
    assert "backbone of" in report.describe()
    assert {key.partition(".")[0] for key in report.missing} == set(network.head)
    assert set(report.unexpected) == {key for key in head if key.partition(".")[0] not in network.head}
    assert freeze(network, ["layer1" if name != "mobilenet_v2" else "features.3"], report)
    with pytest.raises(UserError, match="would freeze random layers"):
        freeze(network, ["final_layer"], report)


def test_timms_names_of_mobilenet_are_torchvisions() -> None:
    named = from_timm_mobilenet({name: torch.zeros(shape) for name, shape, _ in TIMM_MOBILENET})
    own = build_network("mobilenet_v2", 17).state_dict()
    for _, shape, wanted in TIMM_MOBILENET:
        assert tuple(named[wanted].shape) == shape == tuple(own[wanted].shape)
    assert len(named) == len(TIMM_MOBILENET)


def test_a_whole_file_of_timms_mobilenet_loads() -> None:
    """Renamed backwards: every tensor of the backbone finds its place again."""
    state = classifier("mobilenet_v2", {})
    layers = {0: ("conv_dw", "bn1", "conv_pw", "bn2")}
    usual = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
    blocks = [(stage, block) for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1)) for block in range(count)]
    names = [f"blocks.{s}.{b}.{layer}" for s, b in blocks for layer in layers.get(s, usual)]
    names += ["conv_stem", "bn1", "conv_head", "bn2"]
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    timm = {}
    for key in (f"{name}.{kind}" for name in names for kind in kinds if "bn" in name or kind == "weight"):
        (there,) = from_timm_mobilenet({key: torch.zeros(0)})
        timm[key] = state[there]
    assert len(timm) == len(state)
    network = build_network("mobilenet_v2", 17)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    load_backbone(network, timm | {"classifier.weight": torch.ones(1000, 1280)})
    check_loaded(network, state, before)


def test_pose_weights_serve_as_a_backbone_for_other_joints() -> None:
    torch.manual_seed(1)
    source = build_network("hrnet_nano", 17)
    network = build_network("hrnet_nano", 17)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    load_backbone(network, source.state_dict())
    check_loaded(network, source.state_dict(), before)
    load_backbone(build_network("hrnet_nano", 5), source.state_dict())


def test_a_backbone_with_holes_is_refused() -> None:
    state = classifier("resnet_50", {"fc.weight": (10, 2048)})
    del state["layer3.4.bn2.running_var"]
    network = build_network("resnet_50", 17)
    with pytest.raises(UserError, match=r"1 missing \(layer3.4.bn2.running_var\)|missing .*layer3.4.bn2.running_var"):
        load_backbone(network, state)
    with pytest.raises(UserError, match="do not fit"):
        load_backbone(build_network("resnet_101", 17), classifier("resnet_50", {}))
