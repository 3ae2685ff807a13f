"""What Ray Train is told to do about failures; real ranks that are killed are in ``test_kill_soak.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim2pose.config import UserError
from sim2pose.datasets.remote import Unreachable
from sim2pose.trainers import ray_runtime, runfolder
from sim2pose.trainers.failures import OutOfMemory
from sim2pose.trainers.updates import NonFiniteLoss


def test_a_users_mistake_is_not_tried_again_and_anything_else_is() -> None:
    callback = ray_runtime._no_restart_after_mistakes()
    lost: dict[int, Exception] = {0: RuntimeError("gloo: connection closed"), 1: Unreachable("the store is away")}
    callback.after_exception(run_context=None, worker_exceptions=lost)
    with pytest.raises(UserError, match="no folder of frames"):
        callback.after_exception(run_context=None, worker_exceptions={**lost, 2: UserError("no folder of frames")})
    with pytest.raises(OutOfMemory):
        callback.after_exception(run_context=None, worker_exceptions={0: OutOfMemory("lower batch")})


@pytest.mark.parametrize("error", [UserError("a"), OutOfMemory("b"), NonFiniteLoss("c")])
def test_what_a_rank_noted_comes_out_as_what_it_was(tmp_path: Path, error: Exception) -> None:
    runfolder.note_failure(tmp_path, 1, error)
    (noted,) = runfolder.failures(tmp_path)
    again = ray_runtime._as_error(noted)
    assert (type(again), str(again)) == (type(error), str(error))


def test_other_failures_name_their_rank(tmp_path: Path) -> None:
    runfolder.note_failure(tmp_path, 1, KeyError("x"))
    (noted,) = runfolder.failures(tmp_path)
    assert str(ray_runtime._as_error(noted)) == "first failure, on rank 1: KeyError: 'x'"
