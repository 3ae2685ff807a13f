"""Domain classifiers: published sizes, any size for the default, clear refusals."""

import pytest
import torch
from torch import nn

from sim2pose.config import UserError
from sim2pose.models.keypoints.domain import build_domain_classifier
from sim2pose.models.keypoints.losses import domain_bce


@pytest.mark.parametrize(("name", "shape"), [("fidip_hrnet_w48", (48, 96, 72)), ("fidip_mobilenet", (1280, 7, 7))])
def test_published_classifiers(name, shape):
    classifier = build_domain_classifier(name, shape[0])
    assert classifier(torch.randn(2, *shape)).shape == (2,)
    linear = [m for m in classifier.modules() if isinstance(m, nn.Linear)]
    inputs = {"fidip_hrnet_w48": 2816, "fidip_mobilenet": 144}[name]
    assert [m.in_features for m in linear] == [inputs, 256, 64]
    assert linear[-1].out_features == 1


def test_resnet_classifier_size():
    with torch.device("meta"):
        classifier = build_domain_classifier("fidip_resnet50", 2048)
        assert classifier(torch.empty(2, 2048, 12, 9)).shape == (2,)
    assert [m.in_features for m in classifier.modules() if isinstance(m, nn.Linear)] == [221184, 2048, 512]


@pytest.mark.parametrize("size", [(24, 24), (6, 4), (64, 48)])
def test_pooled_takes_any_size(size):
    assert build_domain_classifier("pooled", 16)(torch.randn(3, 16, *size)).shape == (3,)


def test_pooled_learns_to_tell_domains_apart():
    torch.manual_seed(0)
    classifier = build_domain_classifier("pooled", 8)
    optimiser = torch.optim.Adam(classifier.parameters(), 1e-2)
    domain = torch.arange(32) % 2
    feature = torch.randn(32, 8, 12, 12) + 0.3 * domain.view(-1, 1, 1, 1)
    for _ in range(30):
        optimiser.zero_grad()
        loss = domain_bce(classifier(feature), domain)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


def test_refusals():
    with pytest.raises(UserError, match="did you mean 'fidip_mobilenet'"):
        build_domain_classifier("fidip_mobilnet", 1280)
    with pytest.raises(UserError, match="takes 48 channels, the network gives 32"):
        build_domain_classifier("fidip_hrnet_w48", 32)
    with pytest.raises(UserError, match=r"48×96×72 .* got 48×64×48"):
        build_domain_classifier("fidip_hrnet_w48", 48)(torch.randn(1, 48, 64, 48))
