"""HRNet: published counts, names that published files use, outputs of an independent implementation."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sim2pose.config import UserError
from sim2pose.models.keypoints.base import normalise
from sim2pose.models.keypoints.networks import NETWORKS, build_network

SIZES = {"hrnet_w32": (256, 192), "hrnet_w48": (384, 288), "hrnet_nano": (96, 96)}


@pytest.mark.parametrize(("name", "parameters", "gflops"), [("hrnet_w32", 28.5, 7.1), ("hrnet_w48", 63.6, 32.9)])
def test_published_parameters_and_flops(name, parameters, gflops):
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = build_network(name, 17).eval()
        network(torch.empty(1, 3, *SIZES[name]))
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == parameters
    # The README of HRNet counts one multiply-add as one operation, and 1024³ of them as one GFLOP.
    assert counter.get_total_flops() / 2 / 1024**3 == pytest.approx(gflops, rel=0.01)


def test_exact_parameter_counts():
    with torch.device("meta"):
        counts = {name: sum(p.numel() for p in build_network(name, 17).parameters()) for name in NETWORKS}
    assert counts["hrnet_w32"] == 28_536_113
    assert counts["hrnet_w48"] == 63_595_745
    assert counts["hrnet_nano"] < 1_000_000


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


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_trains_and_states_its_shapes(name):
    torch.manual_seed(0)
    network = build_network(name, 5).train()
    feature, heatmaps = network(torch.randn(2, 3, 64, 96))
    assert feature.shape == (2, network.feature_channels, 16, 24)
    assert heatmaps.shape == (2, 5, 16, 24)
    assert heatmaps.abs().max() < 0.5  # near zero before training
    heatmaps.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_size_that_does_not_divide_is_refused():
    network = build_network("hrnet_nano", 17)
    assert network.stride == 16
    with pytest.raises(UserError, match="100×96 must be a multiple of 16"):
        network(torch.zeros(1, 3, 96, 100))


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="did you mean 'hrnet_w48'"):
        build_network("hrnet_w84", 17)
    with pytest.raises(UserError, match="has no option 'block': did you mean 'blocks'"):
        build_network("hrnet_nano", 17, block=2)
    assert build_network("hrnet_nano", 17, widths=(8, 16, 32)).feature_channels == 8


def test_normalise_keeps_layout_and_input():
    images = torch.full((2, 3, 4, 5), 124, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    result = normalise(images)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert result[0, :, 0, 0].tolist() == pytest.approx([0.0056, 0.1352, 0.3565], abs=1e-3)
    assert (images == 124).all()
