"""DeepSpeed engines train as one process without them does, at every ZeRO stage, and leave the same checkpoints."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sim2pose.config import UserError, merge, validate
from sim2pose.trainers import checkpoints, loop
from sim2pose.trainers.config import DeepSpeedConfig
from sim2pose.trainers.context import Context
from sim2pose.trainers.deepspeed_engine import prepare
from sim2pose.trainers.events import read_events
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.keypoints import KeypointTask
from sim2pose.trainers.runtimes import train

SPLIT = {"stage3_param_persistence_threshold": 0}  # divide small weights too


def stage(zero: int) -> dict[str, Any]:
    return {"zero": zero, "options": SPLIT if zero == 3 else {}}


def config(values: dict[str, Any], **changes: Any) -> KeypointConfig:
    base = {"steps": 4, "threads": 1, "log_every": 1, "adversarial": {"mode": "ratio", "pre_steps": 1}}
    return validate(KeypointConfig, merge(merge(values, base), changes))


def losses(run_dir: Path) -> list[float]:
    events = [e["metrics"] for e in read_events(run_dir)]
    return [m[key] for key in ("train/loss_pose", "train/loss_domain") for m in events if key in m]


def final(run_dir: Path) -> checkpoints.Checkpoint:
    found = checkpoints.newest(run_dir / "checkpoints")
    assert found is not None
    return found


def assert_equal(a: Any, b: Any, tolerance: float) -> None:
    """Nested states of checkpoints: equal but for ``tolerance`` of each tensor's largest value."""
    if isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance * float(a.abs().max()) if a.numel() else 0.0)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key], tolerance)
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_equal(left, right, tolerance)
    else:
        assert a == b


@pytest.fixture(scope="module")
def deepspeed() -> None:
    pytest.importorskip("deepspeed", reason="needs sim2pose[deepspeed]")


@pytest.mark.parametrize("zero", [0, 1, 3])
@pytest.mark.usefixtures("deepspeed")
def test_one_rank_trains_as_without(values: dict[str, Any], frames: dict[str, str], zero: int) -> None:
    """FiDIP with λ by gradient norms (a second backward pass), in bits: losses, weights, moments, rates, metrics."""
    data = {"val": {"target": frames["target_val"]}}
    alone = train(config(values, name="alone", data=data))
    engines = train(config(values, name="engines", data=data, deepspeed=stage(zero)))
    assert losses(engines.run_dir) == losses(alone.run_dir)
    assert engines.metrics == alone.metrics
    a, b = final(alone.run_dir), final(engines.run_dir)
    assert_equal(a.modules, b.modules, 0)
    assert_equal(a.state["optimisers"], b.state["optimisers"], 0)
    assert_equal(a.state["schedulers"], b.state["schedulers"], 0)


@pytest.mark.usefixtures("deepspeed")
def test_accumulated_and_clipped_updates_mean_the_same(values: dict[str, Any]) -> None:
    """Tolerance: the norm of divided gradients is summed in another order, and scales every update (float32)."""
    optim = {"accumulate": 2, "clip": 0.01, "bf16": True}
    alone = train(config(values, name="alone", optim=optim))
    engines = train(config(values, name="engines", optim=optim, deepspeed=stage(2)))
    assert losses(engines.run_dir) == pytest.approx(losses(alone.run_dir), rel=1e-5)
    assert_equal(final(alone.run_dir).modules, final(engines.run_dir).modules, 1e-4)


@pytest.mark.usefixtures("deepspeed")
def test_a_run_moves_between_stages_and_back(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint holds whole weights and moments: stopped and resumed elsewhere equals never stopped, bitwise."""
    alone = train(config(values, name="alone"))
    finish = KeypointTask.finish_step

    def stop_after(last: int) -> Callable[[KeypointTask, int], None]:
        def stopping(self: KeypointTask, step: int) -> None:
            finish(self, step)
            if step == last:
                raise KeyboardInterrupt

        return stopping

    moved = {"name": "moved", "checkpoint": {"every": 1}}
    for i, (deepspeed, last) in enumerate([({}, 1), (stage(3), 2), (stage(1), 3)]):
        with monkeypatch.context() as patch:
            patch.setattr(KeypointTask, "finish_step", stop_after(last))
            with pytest.raises(KeyboardInterrupt):
                train(config(values, **moved, deepspeed=deepspeed), resume=i > 0)
    result = train(config(values, **moved), resume=True)
    assert losses(result.run_dir) == losses(alone.run_dir)
    assert_equal(final(alone.run_dir).modules, final(result.run_dir).modules, 0)


@pytest.fixture(scope="module")
def two_ranks(deepspeed: None, two_tiny_ranks: Callable) -> list[dict[str, Any]]:
    return two_tiny_ranks("clean", "zero1", "zero2", "zero3", "poisoned_zero1", "poisoned_zero3")


@pytest.mark.parametrize("variant", ["zero1", "zero2", "zero3"])
def test_two_ranks_divide_what_they_hold_and_train_as_ddp(two_ranks: list[dict[str, Any]], variant: str) -> None:
    """Bitwise: without clipping, each weight's update depends on its own gradient, a sum of two numbers."""
    for rank in two_ranks:
        images, weights = rank[variant]
        assert images == two_ranks[0]["clean"][0]
        assert_equal(two_ranks[0]["clean"][1], weights, 0)


@pytest.mark.parametrize("variant", ["poisoned_zero1", "poisoned_zero3"])
def test_a_non_finite_loss_on_one_rank_stops_both_before_the_update(
    two_ranks: list[dict[str, Any]], variant: str
) -> None:
    for rank in two_ranks:
        message, weights = rank[variant]
        assert "step 5" in message
        assert "rank 1: frames [41, 43, 45, 47]" in message
        assert all(torch.isfinite(v).all() for v in weights.values())


@pytest.mark.usefixtures("deepspeed")
def test_a_poisoned_step_changes_no_weight(tiny: Callable, settings: Callable) -> None:
    context = Context(deepspeed=DeepSpeedConfig(zero=1))
    prepare(context)
    clean = tiny()
    clean.reason = "stop after step 4, counted from 0"
    loop.run(clean, settings("clean", validate_every=5), Context())
    poisoned = tiny(context, poison=5)
    with pytest.raises(loop.NonFiniteLoss, match=r"frames \[40, 41"):
        loop.run(poisoned, settings("poisoned"), context)
    for name, module in clean.modules.items():
        assert_equal(dict(module.state_dict()), dict(poisoned.modules[name].state_dict()), 0)


def test_averaged_weights_need_whole_ones(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"optim\.ema .*deepspeed\.zero=2"):
        config(values, optim={"ema": 0.9}, deepspeed={"zero": 3})
    config(values, optim={"ema": 0.9}, deepspeed={"zero": 2})


def test_without_deepspeed_the_way_to_it_is_told(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "deepspeed":
            raise ImportError("No module named 'deepspeed'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'sim2pose\[deepspeed\]'"):
        train(config(values, deepspeed={"zero": 1}))
