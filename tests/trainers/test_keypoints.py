"""The keypoint task: FiDIP's order, controls that are what they say, figures. Faults of its reference: test_fidip_faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sim2pose.config import UserError, merge, validate
from sim2pose.models.keypoints.losses import domain_bce, joints_mse
from sim2pose.trainers import checkpoints
from sim2pose.trainers.adaptation.config import AdversarialConfig
from sim2pose.trainers.adaptation.domain import confusion
from sim2pose.trainers.adaptation.held import held, held_statistics
from sim2pose.trainers.adaptation.strength import LossWatch, Weight
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.keypoints import KeypointTask
from sim2pose.trainers.runtimes import train
from sim2pose.trainers.validation import probe_accuracy

Make = Callable[..., KeypointTask]


def classifier_of(task: KeypointTask) -> torch.nn.Module:
    return task.modules["domain"]


def state_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def apply(task: KeypointTask, name: str, loss: torch.Tensor) -> None:
    task.optimisers[name].zero_grad()
    loss.backward()
    task.optimisers[name].step()


def test_each_step_moves_one_network(make_task: Make) -> None:
    task = make_task()
    batch = next(task.batches(2))
    before = state_of(task.network), state_of(classifier_of(task))
    steps = task.train_step(batch, 2, measure=False)
    first = next(steps)
    running = state_of(task.network)  # the forward moved BatchNorm statistics; no parameter moved
    assert first.optimiser == "domain"
    apply(task, "domain", first.loss)
    assert equal(state_of(task.network), running), "step I must not touch the pose network"
    assert all(torch.equal(before[0][k], v.detach()) for k, v in task.network.named_parameters())
    after_first = state_of(classifier_of(task))
    assert not equal(after_first, before[1])
    assert all(p.grad is None for p in task.network.parameters())
    gradients = [p.grad.clone() for p in classifier_of(task).parameters() if p.grad is not None]
    second = next(steps)
    assert second.optimiser == "pose"
    apply(task, "pose", second.loss)
    assert equal(state_of(classifier_of(task)), after_first), "step II must not touch the classifier or its statistics"
    assert all(torch.equal(g, p.grad) for g, p in zip(gradients, classifier_of(task).parameters(), strict=True)), (
        "step II must leave no gradient in the classifier"
    )
    assert not equal(state_of(task.network), running)
    assert next(steps, None) is None


def test_step_two_goes_through_the_updated_classifier_by_fidips_formula(make_task: Make) -> None:
    task = make_task(adversarial={"weight": 0.3, "clip": None})
    batch = next(task.batches(2))
    steps = task.train_step(batch, 2, measure=False)
    apply(task, "domain", next(steps).loss)
    loss = next(steps).loss
    from sim2pose.models.keypoints.base import normalise
    from sim2pose.models.keypoints.heatmaps import encode

    with torch.no_grad():
        feature, heatmaps = task.network(normalise(batch["image"]))
        target = encode(batch["keypoints"], batch["weight"], (64, 64), (16, 16), 1.5)
        expected = joints_mse(heatmaps, target, batch["weight"]) - 0.3 * domain_bce(
            classifier_of(task)(feature), batch["domain"]
        )
    torch.testing.assert_close(loss.detach(), expected)


def test_only_the_classifier_learns_in_the_pre_phase(make_task: Make) -> None:
    task = make_task()
    before = state_of(task.network), state_of(classifier_of(task))
    updates = list(task.train_step(next(task.batches(0)), 0, measure=False))
    assert [u.optimiser for u in updates] == ["domain"]
    apply(task, "domain", updates[0].loss)
    assert equal(state_of(task.network), before[0]), "statistics of the pose network included"
    assert not equal(state_of(classifier_of(task)), before[1])


def test_weight_zero_is_the_joint_control_bitwise(values: dict[str, Any]) -> None:
    """λ = 0 with the identical batches: only then does a difference between fidip and joint mean anything."""
    joint = {"name": "joint", "adversarial": {"method": "joint", "pre_steps": None}}
    runs = [train(validate(KeypointConfig, merge(values, c))) for c in (joint, {"adversarial": {"weight": 0.0}})]
    states = [checkpoints.newest(run.run_dir / "checkpoints") for run in runs]
    assert states[0] is not None
    assert states[1] is not None
    assert (states[0].step, states[1].step) == (6, 8)
    assert equal(states[0].modules["pose"], states[1].modules["pose"])


def test_unlabelled_targets_add_nothing_to_the_pose_loss(make_task: Make) -> None:
    task = make_task(data={"target_labels": 0}, adversarial={"method": "joint"})
    batch = next(task.batches(0))
    assert batch["weight"][batch["domain"] == 0].sum() == 0
    assert batch["weight"][batch["domain"] == 1].sum() > 0
    assert not batch["labelled"][batch["domain"] == 0].any()
    few = make_task(data={"target_labels": 7}, adversarial={"method": "joint"})
    assert few.datasets[1].labelled.sum() == 7


def test_source_only_never_sees_the_target(make_task: Make) -> None:
    task = make_task(adversarial={"method": "none"})
    assert len(task.datasets) == 1
    assert (next(task.batches(0))["domain"] == 1).all()
    assert set(task.modules) == {"pose"}


def test_epochs_and_pre_epochs_count_passes_over_the_source(make_task: Make) -> None:
    task = make_task(steps=None, epochs=3, adversarial={"pre_steps": None, "pre_epochs": 1})
    assert (task.pre_steps, task.steps) == (10, 30)  # 40 source persons, 4 a batch


def test_init_from_takes_runs_checkpoints_and_files(make_task: Make, values: dict[str, Any], tmp_path: Path) -> None:
    result = train(validate(KeypointConfig, merge(values, {"steps": 1, "adversarial": {"pre_steps": 0}})))
    assert result.best_checkpoint is not None
    trained = checkpoints.load(result.best_checkpoint).modules["pose"]
    for start in (result.run_dir, result.best_checkpoint, result.best_checkpoint / "pose.safetensors"):
        assert equal(state_of(make_task(init_from=str(start)).network), trained)
    with pytest.raises(UserError, match="init_from"):
        make_task(init_from=str(tmp_path))


def test_ratio_mode_pulls_as_hard_as_it_is_told_whatever_the_loss_scale() -> None:
    for scale in (1.0, 1e-3):
        weight = Weight(AdversarialConfig(mode="ratio", ratio=0.1, ramp=0.5), steps=10)
        weight.observe(torch.tensor([2.0 * scale, 5.0]))
        assert float(weight(10)) * 5.0 / (2.0 * scale) == pytest.approx(0.1)
        assert float(weight(0)) == 0
        assert 0 < float(weight(2)) < float(weight(5))


def test_gradient_ratio_is_logged_and_warned_of(make_task: Make, caplog: pytest.LogCaptureFixture) -> None:
    task = make_task(adversarial={"weight": 10.0})
    update = list(task.train_step(next(task.batches(2)), 2, measure=True))[1]
    ratio = float(update.metrics["gradient_ratio"])
    assert ratio > 1
    assert "lower adversarial.weight" in caplog.text
    calm = make_task(adversarial={"weight": 5.0})
    half = list(calm.train_step(next(calm.batches(2)), 2, measure=True))[1]
    assert float(half.metrics["gradient_ratio"]) == pytest.approx(ratio / 2, rel=1e-3)


def test_a_pose_loss_that_rises_past_its_start_is_noticed() -> None:
    watch = LossWatch()
    assert not any(watch.rises(loss) for loss in [1.0, 1.1, 0.9, 1.0, 1.0, *[0.8] * 20, 2.0, 0.8])
    assert watch.rises(1.0) is False
    assert any(watch.rises(2.0) for _ in range(10))


def test_confusion_is_bounded_sample_by_sample() -> None:
    logits = torch.tensor([-50.0, 0.5], requires_grad=True)
    loss = confusion(logits, torch.tensor([1, 1]), clip=4.0)
    assert loss.item() < 4.0
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0] == 0
    assert logits.grad[1] != 0


def test_held_modules_pass_gradients_and_keep_still() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    before = state_of(module)
    x = torch.randn(4, 2, 5, 5, requires_grad=True)
    with held(module):
        (module(x) ** 2).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert equal(state_of(module), before)
    with held_statistics(module):
        free = module(x)
    torch.testing.assert_close(free, module(x))  # the same output as in ordinary training mode
    assert not equal(state_of(module), before), "and outside of it statistics move again"


def test_probe_tells_shifted_features_and_is_lost_on_equal_ones() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 8)), rng.normal(size=(160, 8))
    assert abs(probe_accuracy(a, b) - 0.5) < 0.15
    assert probe_accuracy(a, b + 2) > 0.95


def test_a_run_ends_with_figures_for_each_domain_and_its_baselines(
    values: dict[str, Any], frames: dict[str, str]
) -> None:
    val = {"source": frames["source_val"], "target": frames["target_val"]}
    result = train(validate(KeypointConfig, merge(values, {"data": {"val": val}, "validate_every": 4})))
    for name in ("source/AP", "target/AP", "target_adabn/AP", "target_zero/oks", "target_mean_pose/oks"):
        assert 0 <= result.metrics[name] <= 1, name
    assert 0 <= result.metrics["domain_probe_accuracy"] <= 1
    assert (result.run_dir / "predictions" / "target.json").is_file()
    assert result.best_checkpoint is not None
    done = json.loads((result.run_dir / "done.json").read_text())
    assert done["best"]["metrics"]["target/AP"] == done["best"]["score"]
    assert done["best"]["score"] >= result.metrics["target/AP"]


@pytest.mark.parametrize("change", [{"bf16": True}, {"accumulate": 2}, {"channels_last": False}, {"clip": 0.1}])
def test_variants_of_the_arithmetic_train(values: dict[str, Any], change: dict[str, Any]) -> None:
    result = train(validate(KeypointConfig, merge(values, {"optim": change})))
    found = checkpoints.newest(result.run_dir / "checkpoints")
    assert found is not None
    assert all(torch.isfinite(v).all() for m in found.modules.values() for v in m.values())
