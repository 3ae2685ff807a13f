"""The GPU a worker draws on is the one that Ray gave it."""

from __future__ import annotations

import os

import pytest
import ray

from sim2pose.config import UserError
from sim2pose.render_farm.farm import worker


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """GPUs that Ray assigned; the machine is said to have four."""
    gpus: list[int] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_gpu_ids", lambda: gpus)
    monkeypatch.setattr(worker, "_nvidia_gpus", lambda: ["0", "1", "2", "3"])
    monkeypatch.setenv(worker.EGL_DEVICE, "x")  # so that it is restored
    monkeypatch.delenv(worker.EGL_DEVICE)
    return gpus


def test_ray_s_choice_is_taken(given: list[int]) -> None:
    worker.choose_egl_device()
    assert worker.EGL_DEVICE not in os.environ
    given.append(2)
    worker.choose_egl_device()
    assert os.environ[worker.EGL_DEVICE] == "2"
    worker.choose_egl_device()


@pytest.mark.parametrize(
    ("gpus", "words"), [([1], r"=3 names a GPU on .*not assign.* given GPU 1"), ([], "given no GPU .*gpus-per-worker")]
)
def test_gpu_that_ray_did_not_assign_is_refused(
    given: list[int], gpus: list[int], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given += gpus
    monkeypatch.setenv(worker.EGL_DEVICE, "3")
    with pytest.raises(UserError, match=words):
        worker.choose_egl_device()


def test_software_device_may_be_named(given: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(worker.EGL_DEVICE, "4")  # after the four GPUs comes the software renderer
    worker.choose_egl_device()
    assert os.environ[worker.EGL_DEVICE] == "4"
