"""One test for each fault of FiDIP's published code, named after what must hold instead; all through tasks and runs.

Two more of its kind stand with their subject: areas that are one constant (``test_evaluation.py``), and DARK's decoding
against a plain reference (``tests/models/keypoints/test_heatmaps.py``).
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sim2pose.config import UserError, merge, validate
from sim2pose.datasets.augment import Geometry, lower_body, sample_affine
from sim2pose.models.joints import joint_set
from sim2pose.models.keypoints.heatmaps import encode
from sim2pose.models.keypoints.losses import joints_mse
from sim2pose.trainers import checkpoints, loop
from sim2pose.trainers.context import Context
from sim2pose.trainers.evaluation import evaluate_results
from sim2pose.trainers.events import read_events
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.keypoints import KeypointTask
from sim2pose.trainers.runtimes import train
from sim2pose.trainers.task import LoopSettings
from sim2pose.trainers.updates import Update

State = dict[str, torch.Tensor]


def state_of(module: torch.nn.Module) -> State:
    return {key: value.clone() for key, value in module.state_dict().items()}


def equal(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def series(run_dir: Path, name: str) -> list[float]:
    return [event["metrics"][name] for event in read_events(run_dir) if name in event["metrics"]]


def test_the_classifier_steps_on_its_own_gradient_alone(
    make_task: Callable[..., KeypointTask], settings: Callable[..., LoopSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference: step II left −λ·∇BCE in D's gradients, and D's next step moved along the sum."""
    task = make_task(adversarial={"weight": 50.0, "clip": None})
    classifier = list(task.modules["domain"].parameters())
    inner = task.train_step
    expected: list[torch.Tensor] = []
    differences: list[float] = []

    def train_step(batch: dict[str, Any], step: int, measure: bool) -> Iterator[Update]:
        for update in inner(batch, step, measure):
            if update.optimiser == "domain":
                expected[:] = torch.autograd.grad(update.loss, classifier, retain_graph=True)
            yield update

    def compare(*_: Any) -> None:
        found = [p.grad for p in classifier if p.grad is not None]
        differences.append(max(float((g - e).abs().max()) for g, e in zip(found, expected, strict=True)))

    task.optimisers["domain"].register_step_pre_hook(compare)
    monkeypatch.setattr(task, "train_step", train_step)
    loop.run(task, settings(validate_every=100), Context())
    assert len(differences) == task.total_steps
    assert max(differences) == 0


def test_frozen_batchnorm_keeps_its_statistics(values: dict[str, Any], frames: dict[str, str], tmp_path: Path) -> None:
    """Reference: ``requires_grad = False`` alone; running means of frozen layers drifted to the new data."""
    start = train(
        validate(KeypointConfig, merge(values, {"name": "start", "steps": 1, "adversarial": {"pre_steps": 0}}))
    )
    found = checkpoints.newest(start.run_dir / "checkpoints")
    assert found is not None
    weights, before = tmp_path / "weights.safetensors", found.modules["pose"]
    save_file(before, weights)
    changes = {
        "name": "frozen",
        "model": {"weights": str(weights), "freeze": ["stem", "stage2"]},
        "data": {"val": {"target": frames["target_val"]}},  # a validation in between must not thaw them
        "validate_every": 2,
    }
    run = train(validate(KeypointConfig, merge(values, changes)))
    after = checkpoints.load(run.run_dir / "checkpoints" / "step_00000008").modules["pose"]
    stages = ("conv1.", "bn1.", "conv2.", "bn2.", "stage2.")
    frozen = [key for key in before if key.startswith(stages)]
    assert any("running_mean" in key for key in frozen)
    assert all(torch.equal(before[key], after[key]) for key in frozen)
    moved = [key for key in before if not key.startswith(stages) and not torch.equal(before[key], after[key])]
    assert any("running_mean" in key for key in moved), "those that learn do move"


def test_random_layers_are_never_frozen_and_the_log_says_what_was_loaded(
    make_task: Callable[..., KeypointTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reference: without its pretrained file it froze random layers; the likely cause of runs that ended at AP 0.09–0.24."""
    with pytest.raises(UserError, match=r"would freeze random layers: conv1\.weight"):
        make_task(model={"freeze": ["stem"]})
    state = {k: v.contiguous() for k, v in make_task().network.state_dict().items()}
    save_file({k: v for k, v in state.items() if not k.startswith("bn2.")}, tmp_path / "holes.safetensors")
    holes = {"weights": str(tmp_path / "holes.safetensors"), "freeze": ["stem"]}
    with pytest.raises(UserError, match="missing"):
        make_task(model=holes)
    with pytest.raises(UserError, match=r"random layers: bn2\.weight"):
        make_task(model={**holes, "allow": ["bn2.*"]})
    save_file(state, tmp_path / "whole.safetensors")
    with caplog.at_level(logging.INFO):
        make_task(model={"weights": str(tmp_path / "whole.safetensors"), "freeze": ["stem"]})
    assert f"whole.safetensors: {len(state)} tensors loaded, 0 missing, 0 unexpected" in caplog.text
    assert "frozen, BatchNorm statistics included: conv1, bn1, conv2, bn2" in caplog.text


def test_balanced_batches_are_shuffled_anew_each_epoch(make_task: Callable[..., KeypointTask]) -> None:
    """Reference: the balanced sampler walked through both domains in the files' order, in every epoch."""
    task = make_task(steps=20, adversarial={"pre_steps": 0})
    listed = list(task.batches(0))
    assert all(int(batch["domain"].sum()) == 4 for batch in listed), "half of each domain"
    source = torch.cat([batch["frame_id"][batch["domain"] == 1] for batch in listed]).reshape(2, 40)
    first, second = source.tolist()
    assert sorted(first) == sorted(second) == list(range(1000, 1040)), "an epoch is each person once"
    assert first != sorted(first)
    assert first != second


def test_the_classifiers_learning_rate_falls_with_the_pose_networks(values: dict[str, Any]) -> None:
    """Reference: ``lr_scheduler_d`` was made and never stepped."""
    changes = {"log_every": 1, "optim": {"lr": 0.01, "milestones": [0.5], "gamma": 0.1}, "adversarial": {"lr": 0.02}}
    run = train(validate(KeypointConfig, merge(values, changes)))
    domain, pose = series(run.run_dir, "train/lr_domain"), series(run.run_dir, "train/lr_pose")
    assert domain == pytest.approx([0.02] * 4 + [0.002] * 4)  # two steps of the pre-phase, then half and half
    assert pose == pytest.approx([0.01] * 4 + [0.001] * 4)


@pytest.mark.parametrize("name", ["pose", "domain"])
def test_weight_decay_reaches_both_networks(make_task: Callable[..., KeypointTask], name: str) -> None:
    """Reference: Adam was built without the configured weight decay."""
    task = make_task(optim={"weight_decay": 0.5, "lr": 0.1}, adversarial={"lr": 0.1})
    named = dict(task.modules[name].named_parameters())
    before = {key: p.detach().clone() for key, p in named.items()}
    for p in named.values():
        p.grad = torch.zeros_like(p)
    task.optimisers[name].step()
    matrices = [key for key, p in named.items() if p.ndim > 1]
    assert len(matrices) > 3
    for key, p in named.items():
        factor = 1 - 0.1 * 0.5 if key in matrices else 1.0  # biases and BatchNorm are not decayed
        torch.testing.assert_close(p.detach(), factor * before[key])


@pytest.mark.parametrize("stop", [1, 5])
@pytest.mark.parametrize("mode", ["constant", "ratio"])
def test_resume_forgets_nothing(
    values: dict[str, Any], frames: dict[str, str], monkeypatch: pytest.MonkeyPatch, stop: int, mode: str
) -> None:
    """Reference: resume forgot D, its optimiser, the schedulers, the random state and the best score. Here: bitwise."""
    more: dict[str, Any] = {"adversarial": {"mode": mode, "ramp": 0.5}, "optim": {"ema": 0.5}}
    more |= {"data": {"augment": "strong", "val": {"target": frames["target_val"]}}, "validate_every": 3}
    more |= {"checkpoint": {"every": stop, "best": 2}, "early_stop": {"patience": 9}}
    finish = KeypointTask.finish_step

    def drawing(self: KeypointTask, step: int) -> None:
        torch.rand(3)  # as dropout would: where the random state is forgotten, it ends elsewhere
        finish(self, step)

    def killed(self: KeypointTask, step: int) -> None:
        if step == stop:  # after the update, before it is saved
            raise KeyboardInterrupt
        drawing(self, step)

    monkeypatch.setattr(KeypointTask, "finish_step", drawing)
    whole = train(validate(KeypointConfig, merge(values, {"name": "whole", **more})))
    cfg = validate(KeypointConfig, merge(values, {"name": "parts", **more}))

    with monkeypatch.context() as patch:
        patch.setattr(KeypointTask, "finish_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(cfg)
    parts = train(cfg, resume=True)
    a, b = (checkpoints.load(r.run_dir / "checkpoints" / "step_00000008") for r in (whole, parts))
    assert set(a.modules) == {"pose", "domain", "average"}
    for name in a.modules:
        assert equal(a.modules[name], b.modules[name]), name
    for name in ("pose", "domain"):
        assert a.state["schedulers"][name] == b.state["schedulers"][name]
        for key, slots in a.state["optimisers"][name]["state"].items():
            assert equal(slots, b.state["optimisers"][name]["state"][key])
    assert torch.equal(a.state["random"][0]["torch"], b.state["random"][0]["torch"])
    assert a.state["task"]["averaged"] == b.state["task"]["averaged"] == 6
    assert a.state["scores"] == b.state["scores"]
    assert a.state["scores"]["waited"] > 0
    pointers = [json.loads((r.run_dir / "best.json").read_text()) for r in (whole, parts)]
    assert pointers[0] == pointers[1]
    assert len(pointers[0]["best"]) == 2


def test_pck_divides_both_coordinates_by_one_length() -> None:
    """Reference: PCK divided (x, y) by (h, w), so that errors across a picture counted as errors along it."""
    box = [10.0, 10.0, 40.0, 200.0]
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (17, 2)) * box[2:] + box[:2]

    def flat(xy: np.ndarray) -> list[float]:
        return np.concatenate([xy, np.full((17, 1), 2.0)], axis=1).reshape(-1).tolist()

    entry = {"id": 1, "image_id": 0, "category_id": 1, "bbox": box, "area": 4000.0, "iscrowd": 0, "num_keypoints": 17}
    truth = {
        "images": [{"id": 0, "width": 100, "height": 300}],
        "annotations": [{**entry, "keypoints": flat(points)}],
        "categories": [{"id": 1, "name": "person"}],
    }
    for error, share in ((19.0, 1.0), (21.0, 0.0)):  # PCK@0.1 of a longer side of 200 pixels
        for direction in ((1, 0), (0, 1), (math.sqrt(0.5), -math.sqrt(0.5))):
            moved = points + error * np.array(direction)
            row = {"image_id": 0, "category_id": 1, "keypoints": flat(moved), "score": 1.0, "annotation_id": 1}
            assert evaluate_results(truth, [row])["pck@0.1"] == share


def test_half_body_takes_upper_and_lower_alike() -> None:
    """Reference: it asked whether a *normal* draw is below one half, so 69 % of its half bodies were upper ones."""
    coco = joint_set("coco17")
    box, lower = np.array([20.0, 30.0, 60.0, 120.0]), lower_body(coco)
    rng = np.random.default_rng(1)
    keypoints = np.full((17, 3), 2.0)
    keypoints[:, 0] = rng.uniform(25, 75, 17)
    keypoints[:, 1] = np.where(lower, rng.uniform(95, 145, 17), rng.uniform(35, 85, 17))
    half = Geometry(half_body_prob=0.3)
    centres = []
    for seed in range(4000):
        generator = np.random.default_rng(seed)
        affine, _ = sample_affine(generator, box, keypoints, np.ones(17, bool), coco, (192, 256), half)
        centres.append(np.linalg.solve(affine[:, :2].astype(float), [95.5, 127.5] - affine[:, 2])[1])
    away = np.array(centres) - (box[1] + (box[3] - 1) / 2)
    taken = np.abs(away) > 10
    assert abs(taken.mean() - 0.3) < 0.03
    assert abs((away[taken] < 0).mean() - 0.5) < 0.045  # n ≈ 1200, three standard deviations


def test_mobilenets_heatmaps_can_become_their_targets(
    make_task: Callable[..., KeypointTask], settings: Callable[..., LoopSettings]
) -> None:
    """Reference: heatmaps of sum 1 were trained against Gaussians of peak 1: at best 0.87 of what all zeros score."""
    task = make_task(
        steps=40,
        batch=4,
        model={"network": "mobilenet_v2"},
        adversarial={"method": "none"},
        data={"augment": "none"},
        optim={"lr": 3e-3, "schedule": "constant"},
    )
    batch = next(task.batches(0))
    target = encode(batch["keypoints"], batch["weight"], (64, 64), (16, 16), 1.5)
    zeros = float(joints_mse(torch.zeros_like(target), target, batch["weight"]))
    floor = float(joints_mse(target / target.sum((-2, -1), keepdim=True).clamp_min(1e-6), target, batch["weight"]))
    assert 0.8 < floor / zeros < 1, "what the best heatmaps of sum 1 would score"
    task.batches = lambda start: (batch for _ in range(40))  # type: ignore[method-assign]
    run = settings(validate_every=100, log_every=10, save_every=100)
    loop.run(task, run, Context())
    losses = series(run.run_dir, "train/pose_mse")
    assert losses[-1] < 0.5 * zeros
