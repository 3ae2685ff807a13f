"""Mean teacher: who teaches whom, from which view, how surely, and that it survives a resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sim2pose.config import UserError, merge, validate
from sim2pose.models.keypoints.base import normalise
from sim2pose.models.keypoints.losses import joints_mse
from sim2pose.trainers import checkpoints
from sim2pose.trainers.adaptation.teacher import MeanTeacher, ramp
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.keypoints import KeypointTask
from sim2pose.trainers.runtimes import train

Make = Callable[..., KeypointTask]

TEACHING: dict[str, Any] = {
    "adversarial": {"method": "joint"},
    "teacher": {"weight": 2.0, "ramp": 0.0, "confidence": 0.0, "label": "heatmap", "statistics": "running"},
    "optim": {"ema": 0.9},
    "data": {"target_labels": 0, "augment": "photometric"},
}


def test_the_students_strong_view_learns_the_teachers_weak_view(make_task: Make) -> None:
    task = make_task(**TEACHING)
    batch = next(task.batches(0))
    assert not torch.equal(batch["image"], batch["weak_image"])
    target = batch["domain"] == 0
    task.ema.module.eval()  # type: ignore[union-attr]
    with torch.no_grad():
        labels = task.ema.module(normalise(batch["weak_image"][target]))[1]  # type: ignore[union-attr]
        heatmaps = task.network(normalise(batch["image"]))[1]
        mask = (labels.amax((-2, -1)) >= 0).float()
        expected = 2.0 * 0.5 * joints_mse(heatmaps[target], labels, mask)
    (update,) = task.train_step(batch, 0, measure=False)
    extra = update.loss.detach() - update.metrics["pose_mse"]
    torch.testing.assert_close(extra, expected, rtol=1e-4, atol=1e-8)
    before = {k: v.clone() for k, v in task.ema.module.state_dict().items()}  # type: ignore[union-attr]
    update.loss.backward()
    assert all(p.grad is None for p in task.ema.module.parameters())  # type: ignore[union-attr]
    assert all(torch.equal(before[k], v) for k, v in task.ema.module.state_dict().items())  # type: ignore[union-attr]


def test_statistics_of_the_batch_leave_the_teacher_as_it_is(make_task: Make) -> None:
    task = make_task(**merge(TEACHING, {"teacher": {"statistics": "batch"}}))
    assert task.ema is not None
    before = {k: v.clone() for k, v in task.ema.module.state_dict().items()}
    list(task.train_step(next(task.batches(0)), 0, measure=False))
    assert all(torch.equal(before[k], v) for k, v in task.ema.module.state_dict().items())


def test_labelled_samples_and_the_source_are_not_taught(make_task: Make) -> None:
    task = make_task(**merge(TEACHING, {"data": {"target_labels": None}}))
    (update,) = task.train_step(next(task.batches(0)), 0, measure=False)
    assert "teacher_mse" not in update.metrics


def test_only_confident_keypoints_are_taught(make_task: Make) -> None:
    task = make_task(**merge(TEACHING, {"teacher": {"confidence": 0.9}}))
    (update,) = task.train_step(next(task.batches(0)), 0, measure=False)
    assert float(update.metrics["teacher_kept"]) == 0, "an untrained network is sure of nothing"
    assert float(update.metrics["teacher_mse"]) == 0


def test_keep_follows_each_joints_own_scores(make_task: Make) -> None:
    task = make_task(**merge(TEACHING, {"teacher": {"keep": 0.25, "momentum": 0.0}}))
    term = task.terms["teacher"]
    assert isinstance(term, MeanTeacher)
    scores = torch.stack([torch.linspace(0.1, 0.9, 40), torch.linspace(0.01, 0.09, 40)], dim=1)
    kept = term._confident(scores)
    assert kept.mean(0).tolist() == pytest.approx([0.25, 0.25], abs=0.03)
    assert kept[-1].tolist() == [1, 1]
    assert kept[0].tolist() == [0, 0]
    assert torch.equal(term.state_dict()["thresholds"], term.thresholds)


def test_gaussian_labels_peak_where_the_teacher_does(make_task: Make) -> None:
    task = make_task(**merge(TEACHING, {"teacher": {"label": "gaussian", "flip": True}}))
    batch = next(task.batches(0))
    (update,) = task.train_step(batch, 0, measure=False)
    assert torch.isfinite(update.loss)
    assert float(update.metrics["teacher_mse"]) > 0


def test_ramp_is_tarvainens() -> None:
    assert ramp(0.0, 0.2) == 0
    assert ramp(0.1, 0.2) == pytest.approx(2.718281828 ** (-5 * 0.25))
    assert ramp(0.2, 0.2) == ramp(0.9, 0.2) == 1
    assert ramp(0.0, 0.0) == 1


def test_resumed_equals_never_stopped_bitwise(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    more = merge(
        TEACHING, {"teacher": {"keep": 0.5, "ramp": 0.5}, "separate_bn": True, "adversarial": {"method": "dann"}}
    )
    more = merge(more, {"checkpoint": {"every": 3}, "prior": {"weight": 1e-3}})
    whole = train(validate(KeypointConfig, merge(values, {"name": "whole", **more})))
    cfg = validate(KeypointConfig, merge(values, {"name": "parts", **more}))
    finish = KeypointTask.finish_step

    def killed(self: KeypointTask, step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt
        finish(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(KeypointTask, "finish_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(cfg)
    parts = train(cfg, resume=True)
    a, b = (checkpoints.newest(r.run_dir / "checkpoints") for r in (whole, parts))
    assert a is not None
    assert b is not None
    assert a.step == b.step
    for name, module in a.modules.items():
        assert all(torch.equal(v, b.modules[name][k]) for k, v in module.items()), name
    for key, value in a.state["task"]["source_bn"].items():
        assert torch.equal(value, b.state["task"]["source_bn"][key]), key
    thresholds = [c.state["task"]["terms"]["teacher"]["thresholds"] for c in (a, b)]
    assert torch.equal(*thresholds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": {"weight": 1.0}, "optim": {"ema": None}}, r"optim\.ema"),
        ({"teacher": {"weight": 1.0}, "adversarial": {"method": "none"}}, "both domains"),
        ({"separate_bn": True, "adversarial": {"method": "finetune"}}, "both domains"),
        ({"prior": {"weight": 0.1}, "adversarial": {"method": "none"}}, "both domains"),
        ({"data": {"labelled_share": 0.7}}, "labelled_share"),
        ({"adversarial": {"method": "finetune"}, "data": {"target_labels": 0}}, "finetune needs labels"),
    ],
)
def test_impossible_combinations_are_refused(values: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(KeypointConfig, merge(values, change))
