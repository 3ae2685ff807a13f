"""Separate BatchNorm: each domain by its own statistics, and a state dict that stays the plain network's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sim2pose.models.keypoints.batchnorm import (
    load_source_statistics,
    of_source,
    separate,
    source_statistics,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3))
    separate(net)
    return net


def plain(net: nn.Sequential) -> nn.Sequential:
    other = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3))
    other.load_state_dict(net.state_dict())
    return other


def test_a_mixed_batch_equals_one_pass_a_domain() -> None:
    net = network()
    of_the_source, of_the_target = plain(net), plain(net)
    x = torch.cat([torch.randn(4, 2, 5, 5) + 3, torch.randn(6, 2, 5, 5)])
    with of_source(net, 4):
        mixed = net(x)
    torch.testing.assert_close(mixed, torch.cat([of_the_source(x[:4]), of_the_target(x[4:])]))
    torch.testing.assert_close(net[1].running_mean, of_the_target[1].running_mean)
    torch.testing.assert_close(net[3].source_var, of_the_source[3].running_var)
    net.eval()
    torch.testing.assert_close(net(x), of_the_target.eval()(x))
    with of_source(net):
        torch.testing.assert_close(net(x), of_the_source.eval()(x))
    torch.testing.assert_close(net(x), of_the_target(x))


@pytest.mark.parametrize("count", [0, 5])
def test_a_batch_of_one_domain_moves_only_its_statistics(count: int) -> None:
    net = network()
    before = copy.deepcopy(net)
    with of_source(net, count):
        net(torch.randn(5, 2, 4, 4) + 1)
    moved, kept = ("source_mean", "running_mean") if count else ("running_mean", "source_mean")
    assert not torch.equal(getattr(net[1], moved), getattr(before[1], moved))
    assert torch.equal(getattr(net[1], kept), getattr(before[1], kept))


def test_gradients_reach_both_domains() -> None:
    net = network()
    x = torch.randn(6, 2, 4, 4, requires_grad=True)
    with of_source(net, 2):
        net(x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum((1, 2, 3)) > 0).all()


def test_state_dict_is_the_plain_networks_and_the_rest_is_saved_apart() -> None:
    net = network()
    with of_source(net, 3):
        net(torch.randn(6, 2, 4, 4))
    assert set(net.state_dict()) == set(plain(net).state_dict())
    other = network()
    load_source_statistics(other, source_statistics(net))
    assert torch.equal(other[3].source_var, net[3].source_var)
    assert source_statistics(plain(net)) == {}


def test_copies_are_told_apart() -> None:
    """An averaged copy must not normalise by the split that its original was told of."""
    net = network()
    twin = copy.deepcopy(net).eval()
    x = torch.randn(4, 2, 3, 3)
    expected = twin(x)
    with of_source(net):
        torch.testing.assert_close(twin(x), expected)


def test_a_network_without_separate_layers_is_left_alone() -> None:
    net = plain(network()).eval()
    x = torch.randn(4, 2, 3, 3)
    expected = net(x)
    with of_source(net):
        assert torch.equal(net(x), expected)
