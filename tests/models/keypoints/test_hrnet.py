"""HRNet: published counts, names that published files use, outputs of an independent implementation."""

import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.keypoints.base import normalise
from sim2pose.models.keypoints.networks import build_network


def test_names_of_published_files():
    with torch.device("meta"):
        state = build_network("hrnet_w48", 17).state_dict()
    assert len(state) == 1754
    shapes = {
        "conv1.weight": (64, 3, 3, 3),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "transition1.0.0.weight": (48, 256, 3, 3),
        "transition1.1.0.0.weight": (96, 256, 3, 3),
        "stage2.0.fuse_layers.0.1.0.weight": (48, 96, 1, 1),
        "stage2.0.fuse_layers.1.0.0.0.weight": (96, 48, 3, 3),
        "transition3.3.0.0.weight": (384, 192, 3, 3),
        "stage3.3.fuse_layers.2.0.0.0.weight": (48, 48, 3, 3),
        "stage3.3.fuse_layers.2.0.1.1.running_var": (192,),
        "stage4.2.branches.3.3.bn2.running_mean": (384,),
        "stage4.2.fuse_layers.0.3.1.num_batches_tracked": (),
        "final_layer.bias": (17,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert not any(name.startswith("stage4.2.fuse_layers.1") for name in state)  # the last module has one output


def _fill(network):
    """Weights that need no file: a sine of the position, in the range of trained ones."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if not value.is_floating_point():
                continue
            wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 0.37 + len(name)).reshape(value.shape)
            if name.endswith("running_var") or (value.dim() == 1 and name.endswith("weight")):
                wave = 1 + 0.1 * wave
            elif value.dim() == 1:
                wave = 0.05 * wave
            else:
                wave = wave * 1.5 / value[0].numel() ** 0.5
            value.copy_(wave)


def test_output_of_an_independent_implementation():
    """Numbers of timm 1.0's ``hrnet_w32`` with the same weights (the two features were equal bit for bit)."""
    network = build_network("hrnet_w32", 17).eval()
    _fill(network)
    images = torch.sin(torch.arange(3 * 64 * 64, dtype=torch.float64) * 0.011).reshape(1, 3, 64, 64).float()
    with torch.no_grad():
        feature, heatmaps = network(images)
    assert feature.shape == (1, 32, 16, 16)
    assert heatmaps.shape == (1, 17, 16, 16)
    assert feature.double().mean().item() == pytest.approx(84.145574, rel=1e-4)
    assert feature.double().std().item() == pytest.approx(99.842157, rel=1e-4)
    assert feature[0, 3, 5, 7].item() == pytest.approx(94.311157, rel=1e-4)
    head = torch.nn.functional.conv2d(feature, network.final_layer.weight, network.final_layer.bias)
    assert torch.equal(heatmaps, head)


def test_size_that_does_not_divide_is_refused():
    network = build_network("hrnet_nano", 17)
    assert network.stride == 16
    with pytest.raises(UserError, match="100×96 must be a multiple of 16"):
        network(torch.zeros(1, 3, 96, 100))


def test_normalise_keeps_layout_and_input():
    images = torch.full((2, 3, 4, 5), 124, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    result = normalise(images)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert result[0, :, 0, 0].tolist() == pytest.approx([0.0056, 0.1352, 0.3565], abs=1e-3)
    assert (images == 124).all()
