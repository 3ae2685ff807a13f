"""DANN beside a hand-written joint step, the adversarial gradient's sign, λ's schedules, and a collapse by λ = 1."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from sim2pose.config import UserError, merge, validate
from sim2pose.models.keypoints.base import normalise
from sim2pose.models.keypoints.heatmaps import encode
from sim2pose.models.keypoints.losses import domain_bce, joints_mse
from sim2pose.trainers.adaptation.config import AdversarialConfig
from sim2pose.trainers.adaptation.domain import reverse
from sim2pose.trainers.adaptation.strength import Weight
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.keypoints import KeypointTask
from sim2pose.trainers.runtimes import train

Make = Callable[..., KeypointTask]


def test_dann_is_one_joint_step_through_a_reversal_layer(make_task: Make) -> None:
    task = make_task(adversarial={"method": "dann", "weight": 0.3, "clip": None, "pre_steps": 0})
    batch = next(task.batches(0))
    network, classifier = (copy.deepcopy(task.modules[name]) for name in ("pose", "domain"))
    feature, heatmaps = network(normalise(batch["image"]))
    target = encode(batch["keypoints"], batch["weight"], (64, 64), (16, 16), 1.5)
    pose = joints_mse(heatmaps, target, batch["weight"])
    bce = domain_bce(classifier(_Grl.apply(feature)), batch["domain"])
    (pose + bce).backward()

    names = []
    for update in task.train_step(batch, 0, measure=False):
        names.append(update.optimiser)
        task.optimisers[update.optimiser].zero_grad()
        update.loss.backward()
    assert names == ["pose", "domain"]
    for ours, by_hand in ((task.network, network), (task.modules["domain"], classifier)):
        for a, b in zip(ours.parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-7)


class _Grl(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        return -0.3 * g


@pytest.mark.parametrize("method", ["fidip", "dann"])
def test_the_adversarial_gradient_makes_the_classifier_worse(make_task: Make, method: str) -> None:
    """A step of the feature along the descent direction of the term alone raises D's BCE."""
    task = make_task(adversarial={"method": method, "weight": 1.0, "pre_steps": 0})
    batch = next(task.batches(0))
    seen: list[torch.Tensor] = []
    classifier = task.modules["domain"]
    classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    updates = {u.optimiser: u for u in task.train_step(batch, 0, measure=False)}
    feature = next(f for f in seen if f.requires_grad)
    with_term = torch.autograd.grad(updates["pose"].loss, feature, retain_graph=True)[0]
    bce = domain_bce(classifier(feature), batch["domain"])
    ascent = torch.autograd.grad(bce, feature, retain_graph=True)[0]
    assert torch.nn.functional.cosine_similarity(with_term.flatten(), -ascent.flatten(), dim=0) > 0.9


def test_reversal_keeps_the_value_and_turns_the_gradient() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert torch.equal(x.grad, torch.tensor([-2.0, 4.0]))


def test_sigmoid_schedule_is_ganins() -> None:
    weight = Weight(AdversarialConfig(method="dann", mode="sigmoid", weight=0.2), steps=100)
    assert weight(0) == 0
    assert weight(50) == pytest.approx(0.2 * (2 / (1 + math.exp(-5)) - 1))
    assert weight(100) == pytest.approx(0.2, rel=1e-4)


def test_dann_has_no_pre_phase_unless_asked_for(make_task: Make) -> None:
    assert make_task(adversarial={"method": "dann", "pre_steps": None}).pre_steps == 0
    assert make_task(adversarial={"method": "dann", "pre_steps": 3}).pre_steps == 3


@pytest.mark.parametrize("weight", [-1e-3, float("nan"), float("inf")])
def test_impossible_weights_are_refused(values: dict[str, Any], weight: float) -> None:
    with pytest.raises(UserError, match=r"adversarial\.weight"):
        validate(KeypointConfig, merge(values, {"adversarial": {"weight": weight}}))


def test_lambda_one_is_caught_as_a_collapse(values: dict[str, Any], frames: dict[str, str]) -> None:
    """The trial's λ ≥ 0.1 destroyed the network; here the run itself must notice, and stop."""
    change = {
        "steps": 40,
        "validate_every": 20,
        "stop_on_collapse": True,
        "data": {"val": {"source": frames["source_val"], "target": frames["target_val"]}},
        "adversarial": {"weight": 1.0, "clip": None, "pre_steps": 10, "lr": 1e-2},
    }
    result = train(validate(KeypointConfig, merge(values, change)))
    assert result.stopped is not None
    assert "collapse" in result.stopped
    assert "adversarial.weight" in result.stopped
