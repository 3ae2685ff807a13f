"""A dead network is told from one that is still learning."""

from __future__ import annotations

import pytest
import torch

from sim2pose.trainers.collapse import METRIC, Learnt, collapsed, constant_loss


def test_collapse_needs_time_and_every_folder() -> None:
    dead = {"source/output_variance_ratio": 0.001, "target/output_variance_ratio": 0.002}
    assert collapsed(dead, 0.1, True) is None
    reason = collapsed(dead, 0.5, True)
    assert reason is not None
    assert "target 0.002" in reason
    assert collapsed({**dead, "source/output_variance_ratio": 0.8}, 0.9, True) is None
    assert collapsed({}, 0.9, True) is None


def test_a_loss_like_that_of_mean_heatmaps_is_a_collapse_though_outputs_vary() -> None:
    """What too strong a domain term leaves: variance at random, many times that of the labels."""
    random = {"target/output_variance_ratio": 5.7, METRIC: 1.0}
    assert collapsed(random, 0.1, True) is None
    reason = collapsed(random, 0.5, True)
    assert reason is not None
    assert "mean heatmaps" in reason
    assert collapsed({**random, METRIC: 0.5}, 0.5, True) is None
    assert collapsed(random, 0.5, False) is None, "without a domain term it has only learnt little yet"


def test_the_loss_is_a_mean_since_the_last_validation() -> None:
    learnt = Learnt(torch.device("cpu"))
    learnt.add(torch.tensor(1.0), torch.tensor(4.0))
    assert float(learnt.add(torch.tensor(3.0), torch.tensor(4.0))) == pytest.approx(0.75)
    assert learnt.flush() == {METRIC: pytest.approx(0.5)}
    assert learnt.flush() == {}, "nothing labelled, nothing said"


def test_constant_loss_is_that_of_the_labelled_mean() -> None:
    torch.manual_seed(0)
    target, weight = torch.rand(64, 2, 5, 5), torch.ones(64, 2)
    weight[20:, 1] = 0
    target[20:, 1] = 0
    losses = []
    for joint, count in ((0, 64), (1, 20)):
        labelled = target[:count, joint]
        losses.append(0.5 * (labelled - labelled.mean(0)).square().sum() / 25 / 64 * count / (count - 1))
    torch.testing.assert_close(constant_loss(target, weight), torch.stack(losses).mean())
    assert constant_loss(target[:1], weight[:1]) == 0
    assert constant_loss(torch.zeros_like(target), torch.zeros_like(weight)) == 0
