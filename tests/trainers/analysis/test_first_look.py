"""The validation before the first step: once a run, and without a trace in the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim2pose.trainers import loop
from sim2pose.trainers.context import Context
from sim2pose.trainers.events import read_events
from sim2pose.trainers.task import LoopSettings


def test_it_comes_once_chooses_nothing_and_disturbs_nothing(
    tiny: Callable[..., Any], settings: Callable[..., LoopSettings]
) -> None:
    weights = []
    for name, first in (("looks", True), ("blind", False)):
        task, own = tiny(), settings(name, validate_first=first)
        task.scores = {0: 99.0}  # better than all that follows
        state = loop.run(task, own, Context())
        assert task.evaluations == [0] * first + [4, 8, 12]
        assert state.best_step == 12, "weights the run did not train are none of its checkpoints"
        weights.append(task.modules["pose"][0].weight)
        assert [e["step"] for e in read_events(own.run_dir) if "val/score" in e["metrics"]] == task.evaluations
    assert (weights[0] == weights[1]).all()


def test_a_run_killed_before_its_first_checkpoint_does_not_look_again(
    tiny: Callable[..., Any], settings: Callable[..., LoopSettings]
) -> None:
    own = settings(validate_first=True)
    loop.look_first(tiny(), own, Context(), loop.EventLog(own.run_dir, 0), {})
    task = tiny()
    loop.run(task, own, Context())
    assert task.evaluations == [4, 8, 12]
