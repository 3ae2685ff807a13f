"""The loop: one counter, exact resume, updates only from finite numbers, equal ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from sim2pose.config import UserError
from sim2pose.trainers import checkpoints, loop
from sim2pose.trainers.context import Context, random_state, seed_everything, set_random_state
from sim2pose.trainers.events import read_events
from sim2pose.trainers.failures import OutOfMemory
from sim2pose.trainers.updates import Guard, NonFiniteLoss, Schedule, Updater, make_optimiser


def weights(task: Any) -> dict[str, torch.Tensor]:
    return {f"{n}.{k}": v.clone() for n, m in task.modules.items() for k, v in m.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_one_counter_counts_the_pair(tiny: Callable, settings: Callable) -> None:
    task = tiny()
    state = loop.run(task, settings(), Context())
    assert state.step == 12
    assert state.samples == 96
    for optimiser in task.optimisers.values():  # each network moved once a step
        assert {int(s["step"]) for s in optimiser.state.values()} == {12}
    assert {s.last_epoch for s in task.schedulers.values()} == {12}, "the classifier's schedule must step too"
    assert task.schedulers["domain"].get_last_lr() == pytest.approx([1e-3, 1e-3])
    assert task.evaluations == [4, 8, 12]


@pytest.mark.parametrize("stop", [1, 3, 5, 8])
def test_resumed_equals_never_stopped_bitwise(tiny: Callable, settings: Callable, stop: int) -> None:
    whole = tiny()
    state = loop.run(whole, settings("whole"), Context())
    first = tiny()
    first.reason = "stopped by the test"
    loop.run(first, settings("parts", validate_every=stop), Context())
    assert first.optimisers["pose"].state[first.modules["pose"][0].weight]["step"] == stop
    torch.manual_seed(99)
    second = tiny()
    with torch.no_grad():
        second.modules["pose"][0].weight.zero_()
    again = loop.run(second, settings("parts"), Context())
    assert same(weights(whole), weights(second))
    assert (again.step, again.samples) == (state.step, state.samples)
    assert second.restored == {"seen": stop}
    runs = [settings(r).run_dir / "checkpoints" / "step_00000012" for r in ("whole", "parts")]
    a, b = (checkpoints.load(r).state for r in runs)
    for name in ("pose", "domain"):
        for key, value in a["optimisers"][name]["state"].items():
            for part, tensor in value.items():
                assert torch.equal(tensor, b["optimisers"][name]["state"][key][part])
        assert a["schedulers"][name] == b["schedulers"][name]
    assert torch.equal(a["random"][0]["torch"], b["random"][0]["torch"])


def test_best_score_survives_a_resume(tiny: Callable, settings: Callable) -> None:
    first = tiny(steps=12)
    first.scores, first.reason = {4: 50.0}, "stop"
    loop.run(first, settings(), Context())
    state = loop.run(tiny(steps=12), settings(), Context())  # later scores are 8 and 12
    assert (state.best_score, state.best_step) == (50.0, 4)
    pointer = json.loads((settings().run_dir / "best.json").read_text())
    assert pointer["step"] == 4
    assert (settings().run_dir / "checkpoints" / "step_00000004").is_dir(), "the best one is never pruned"


def test_a_checkpoint_of_an_earlier_version_is_refused_before_anything_is_loaded(
    tiny: Callable, settings: Callable
) -> None:
    first = tiny()
    first.reason = "stop"
    loop.run(first, settings(), Context())
    root = settings().run_dir / "checkpoints"
    found = checkpoints.newest(root)
    assert found is not None
    old = {key: value for key, value in found.state.items() if key != "samples"}
    checkpoints.save(root, found.step, found.modules, {**old, "task": {}}, {})
    again = tiny()
    before = weights(again)

    def foreign(state: dict[str, Any]) -> None:
        raise KeyError("terms")  # what a task makes of a state that it does not know

    again.load_state_dict = foreign
    with pytest.raises(UserError, match="start the run anew"):
        loop.run(again, settings(), Context())
    assert same(before, weights(again))


def test_the_k_best_stay_beside_the_newest(tiny: Callable, settings: Callable) -> None:
    task = tiny(steps=12)
    task.scores = {2: 5.0, 4: 9.0, 6: 1.0, 8: 7.0, 10: 2.0, 12: 9.0}
    state = loop.run(task, settings(validate_every=2, save_every=100, keep=1, best=3), Context())
    pointer = json.loads((settings().run_dir / "best.json").read_text())
    assert [(b["step"], b["score"]) for b in pointer["best"]] == [(4, 9.0), (12, 9.0), (8, 7.0)], (
        "of equals the earlier"
    )
    assert (pointer["step"], pointer["checkpoint"], pointer["metric"]) == (4, "step_00000004", "val/score")
    assert (state.best_score, state.best_step) == (9.0, 4)
    root = settings().run_dir / "checkpoints"
    assert [path.name[-2:] for path in checkpoints.folders(root)] == ["04", "08", "12"]


@pytest.mark.parametrize("kill", [False, True])
def test_early_stopping_waits_through_a_resume(tiny: Callable, settings: Callable, kill: bool) -> None:
    how = {"validate_every": 1, "save_every": 1, "patience": 3, "min_delta": 0.5}
    scores = {1: 1.0, 2: 3.0, 3: 3.4, 4: 2.0, 5: 2.0, 6: 9.0}  # from 2 on no rise by more than .5; 6 comes too late
    if kill:
        first = tiny(steps=12)
        first.scores, first.reason = scores, "killed"
        for _ in range(4):  # one step each
            loop.run(first, settings(**how), Context())
            first = tiny(steps=12)
            first.scores, first.reason = scores, "killed"
    task = tiny(steps=12)
    task.scores = scores
    state = loop.run(task, settings(**how), Context())
    assert state.step == 5
    assert state.stopped == (
        "early stop: val/score has not risen by more than 0.5 in 3 validations; best 3.4 at step 3"
    )
    assert task.total_steps == 5, "the task learns that this validation is its last"
    again = tiny(steps=12)
    again.scores = scores
    assert loop.run(again, settings(**how), Context()).step == 5, "a stopped run stays stopped"
    longer = tiny(steps=12)
    longer.scores = scores
    assert loop.run(longer, settings(**{**how, "patience": 7}), Context()).step == 12, "unless it may wait longer"


def test_nothing_is_waited_for_in_the_pre_phase(tiny: Callable, settings: Callable) -> None:
    task = tiny(steps=12)
    task.pre_steps, task.scores = 6, dict.fromkeys(range(13), 1.0)
    assert loop.run(task, settings(validate_every=1, patience=2), Context()).step == 8


def test_validating_more_often_does_not_change_the_training(tiny: Callable, settings: Callable) -> None:
    a = tiny()
    loop.run(a, settings("a", validate_every=1), Context())
    b = tiny()  # making it seeds the generators
    loop.run(b, settings("b", validate_every=12), Context())
    assert same(weights(a), weights(b))


def test_a_damaged_newest_checkpoint_costs_one_interval(tiny: Callable, settings: Callable) -> None:
    whole = tiny()
    loop.run(whole, settings(), Context())
    newest = checkpoints.folders(settings().run_dir / "checkpoints")[-1]
    (newest / "pose.safetensors").write_bytes(b"broken")
    again = tiny()
    state = loop.run(again, settings(), Context())
    assert state.step == 12
    assert again.seen[0][0] == 9 * 8, "it went on from step 9"
    assert same(weights(whole), weights(again))


@pytest.mark.parametrize("deferred", [False, True])
def test_a_non_finite_loss_updates_nothing_and_names_the_frames(
    tiny: Callable, settings: Callable, monkeypatch: pytest.MonkeyPatch, deferred: bool
) -> None:
    monkeypatch.setattr(loop, "Guard", lambda context: Guard(context, deferred=deferred))
    clean = tiny()
    clean.reason = "stop after step 4, counted from 0"
    loop.run(clean, settings("clean", validate_every=5), Context())
    poisoned = tiny(poison=5)
    with pytest.raises(NonFiniteLoss, match=r"domain loss .* step 5.*frames \[40, 41, 42"):
        loop.run(poisoned, settings("poisoned", save_every=5, validate_every=100), Context())
    assert same(weights(clean), weights(poisoned))
    found = checkpoints.newest(settings("poisoned").run_dir / "checkpoints")
    assert found is not None
    assert found.step == 5


def test_the_state_that_met_a_non_finite_loss_is_kept(tiny: Callable, settings: Callable) -> None:
    """A checkpoint with the frames in its meta, outside of those that a resume looks at."""
    poisoned, run = tiny(poison=5), settings()
    with pytest.raises(NonFiniteLoss, match=r"The state that met it is in .*failed") as caught:
        loop.run(poisoned, run, Context())
    assert (caught.value.step, caught.value.frames) == (5, [list(range(40, 48))])
    kept = checkpoints.newest(run.run_dir / "failed")
    assert kept is not None
    assert (kept.step, kept.meta["failed_step"], kept.meta["frames"]) == (5, 5, [list(range(40, 48))])
    assert "domain loss" in kept.meta["error"]
    assert same({f"{n}.{k}": v for n, m in kept.modules.items() for k, v in m.items()}, weights(poisoned))
    assert [path.name for path in checkpoints.folders(run.run_dir / "checkpoints")] == [
        "step_00000003",
        "step_00000004",
    ]


def exhausted_host() -> None:
    torch.empty(1 << 60)


def exhausted_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


@pytest.mark.parametrize("exhausted", [exhausted_host, exhausted_gpu])
def test_exhausted_memory_says_what_to_change(
    tiny: Callable, settings: Callable, exhausted: Callable[[], None]
) -> None:
    task = tiny()
    train_step = task.train_step

    def step(batch: Any, number: int, measure: bool) -> Any:
        if number == 4:
            exhausted()
        return train_step(batch, number, measure)

    task.train_step = step
    expected = r"memory at step 4 on cpu, with 4 samples at once \(batch=8, 1 rank\): lower batch, or .*accumulate \(2"
    with pytest.raises(OutOfMemory, match=expected):
        loop.run(task, settings(accumulate=2), Context())


def test_other_failures_of_a_step_stay_what_they_are(tiny: Callable, settings: Callable) -> None:
    task = tiny()
    task.finish_step = lambda step: [][step]
    with pytest.raises(IndexError):
        loop.run(task, settings(), Context())


def test_accumulation_equals_the_whole_batch(tiny: Callable, settings: Callable) -> None:
    a, b = tiny(dropout=0.0), tiny(dropout=0.0)
    loop.run(a, settings("a"), Context())
    loop.run(b, settings("b", accumulate=4), Context())
    for key, value in weights(a).items():
        torch.testing.assert_close(value, weights(b)[key], rtol=1e-4, atol=1e-6)


def test_clipping_bounds_what_the_optimiser_sees() -> None:
    layer = torch.nn.Linear(3, 1)
    optimiser = make_optimiser(layer.parameters(), 0.1, 0.0)
    updater = Updater("x", optimiser, LambdaLR(optimiser, lambda _: 1.0), Guard(Context()), clip=0.5)
    norm = updater.apply(100 * layer(torch.ones(2, 3)).sum(), 1, last=True)
    assert norm is not None
    assert norm > 100
    assert torch.nn.utils.get_total_norm([p.grad for p in layer.parameters()]) == pytest.approx(0.5, rel=1e-4)


def test_stale_gradients_are_not_added() -> None:
    """FiDIP's reference left the pose step's gradients in the classifier, which then stepped on the sum."""
    layer = torch.nn.Linear(2, 1)
    optimiser = make_optimiser(layer.parameters(), 0.1, 0.0)
    updater = Updater("x", optimiser, LambdaLR(optimiser, lambda _: 1.0), Guard(Context()), clip=None)
    layer.weight.grad = torch.full((1, 2), 1e6)
    updater.apply(layer(torch.ones(1, 2)).sum(), 1, last=True)
    assert torch.equal(layer.weight.grad, torch.ones(1, 2))


def test_weight_decay_is_applied_to_matrices_only() -> None:
    layer = torch.nn.Linear(2, 2)
    before = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimiser = make_optimiser(layer.parameters(), lr=0.1, weight_decay=0.5)
    (0 * layer(torch.ones(1, 2)).sum()).backward()
    optimiser.step()
    torch.testing.assert_close(layer.weight.detach(), before[0] * (1 - 0.1 * 0.5))
    assert torch.equal(layer.bias, before[1])


def test_schedules() -> None:
    multistep = Schedule("multistep", 100, (0.5, 0.8), 0.1)
    assert [multistep(i) for i in (0, 49, 50, 79, 80)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    cosine = Schedule("cosine", 100, warmup=0.1)
    assert cosine(0) < cosine(5) < cosine(9) < 1
    assert cosine(10) == pytest.approx(1)
    assert cosine(55) == pytest.approx(0.5)
    assert cosine(100) == pytest.approx(0)
    late = Schedule("multistep", 100, (0.5,), 0.1, start=30)
    assert [late(i) for i in (0, 29, 79, 80)] == pytest.approx([1, 1, 1, 0.1])


@pytest.mark.parametrize("warmup", [0.05, 0.1, 0.3, 0.5])
def test_a_run_of_ten_steps_leaves_warm_up(warmup: float) -> None:
    """Warm-up is a fraction of the run: a fixed number of steps would never end on a tiny data set."""
    factors = [Schedule("constant", 10, warmup=warmup)(step) for step in range(10)]
    ends = int(10 * warmup + 0.999)
    assert all(0 < f < 1 for f in factors[:ends])
    assert factors[:ends] == sorted(factors[:ends])
    assert factors[ends:] == [1.0] * (10 - ends)
    after = [Schedule("cosine", 10, warmup=warmup, start=4)(step) for step in range(14)]
    assert after[:4] == [1.0] * 4
    assert max(after[4:]) > 0.9
    assert after[-1] < 0.2


def test_metrics_are_means_over_the_interval(tiny: Callable, settings: Callable) -> None:
    every, pairs = settings("every", log_every=1), settings("pairs", log_every=2)
    loop.run(tiny(), every, Context())
    loop.run(tiny(), pairs, Context())
    fine = [e["metrics"]["train/loss_pose"] for e in read_events(every.run_dir) if "train/loss_pose" in e["metrics"]]
    coarse = [e["metrics"]["train/loss_pose"] for e in read_events(pairs.run_dir) if "train/loss_pose" in e["metrics"]]
    assert coarse == pytest.approx([(a + b) / 2 for a, b in zip(fine[::2], fine[1::2], strict=True)])
    last = read_events(pairs.run_dir)[-2]["metrics"]
    assert {"train/lr_domain", "train/samples_per_second", "train/gradient_norm_pose", "train/spread"} <= last.keys()


def test_random_state_round_trip() -> None:
    import random

    import numpy as np

    seed_everything(5, 1)
    random.gauss(0, 1)
    state = random_state()

    def draw() -> tuple[float, float, float]:
        return random.gauss(0, 1), float(np.random.normal()), float(torch.rand(1))  # noqa: NPY002

    first = draw()
    set_random_state(state)
    assert draw() == first
    seed_everything(5, 2)
    assert draw() != first


@pytest.fixture(scope="module")
def two_ranks(two_tiny_ranks: Callable) -> list[dict[str, tuple[Any, dict[str, torch.Tensor]]]]:
    """The tiny task in two processes, clean and poisoned; by rank: (images done or error message, weights)."""
    return two_tiny_ranks("clean", "poisoned")


def test_two_ranks_equal_one_with_the_same_global_batch(tiny: Callable, settings: Callable, two_ranks: list) -> None:
    """Where nothing depends on the batch (no BatchNorm): equal but for the order of float32 sums."""
    one = tiny(dropout=0.0)
    state = loop.run(one, settings("one"), Context())
    for rank in two_ranks:
        images, found = rank["clean"]
        assert images == state.samples
        for key, value in weights(one).items():
            torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-6)


def test_a_non_finite_loss_on_one_rank_stops_both(two_ranks: list) -> None:
    for rank in two_ranks:
        message, found = rank["poisoned"]
        assert "rank 1: frames [41, 43, 45, 47]" in message
        assert "rank 0" not in message
        assert all(torch.isfinite(v).all() for v in found.values())
        assert same(found, two_ranks[0]["poisoned"][1])
