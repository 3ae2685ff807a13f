"""Domains are rendered once, by their presets, and again if what is there is not what is asked for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sim2pose.benchmarks.shift.domains import SEEDS, counts, folders, render_domains
from sim2pose.config import UserError
from sim2pose.datasets.frames import Frame
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.render_farm.kinds.frames import render_info
from sim2pose.render_farm.kinds.infant.config import InfantConfig


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[InfantConfig]:
    """Render jobs in the order in which they are given; each writes blank frames under its own info."""
    given: list[InfantConfig] = []
    picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()

    def render(config: InfantConfig) -> None:
        given.append(config)
        info = render_info(config)
        config.out.mkdir(parents=True, exist_ok=True)
        frames = [Frame(i, picture, 8, 8, config.domain, persons=[]) for i in range(config.frames)]
        write_manifest(config.out, [publish_shard(config.out, 0, frames, info)], info)

    monkeypatch.setattr("sim2pose.render_farm.render.render", render)
    return given


def test_each_domain_is_rendered_once(tmp_path: Path, jobs: list[InfantConfig]) -> None:
    render_domains(tmp_path, ("medium", "low"), 192)
    assert [job.out.name for job in jobs] == [
        *("source_train", "source_test", "medium_train", "medium_test", "low_train", "low_test"),
    ]
    by_name = {job.out.name: job for job in jobs}
    for role, path in folders(tmp_path, "low").items():
        assert by_name[path.name].frames == counts(192)[role] and by_name[path.name].seed == SEEDS[role]
    assert by_name["low_train"].scene != by_name["medium_train"].scene != by_name["source_train"].scene
    render_domains(tmp_path, ("low", "medium"), 192)
    assert len(jobs) == 6, "what is there is not rendered again"


def test_frames_of_another_size_or_look_are_not_taken_for_these(
    tmp_path: Path, jobs: list[InfantConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are asked for again, and the farm then lets a folder grow or refuses another look by its key."""
    render_domains(tmp_path, ("low",), 64)
    monkeypatch.setitem(SEEDS, "target_test", 1)
    with pytest.raises(UserError, match="seed is 7920 there, 1 is asked"):
        render_domains(tmp_path, ("low",), 64)
    monkeypatch.setitem(SEEDS, "target_test", 7920)
    render_domains(tmp_path, ("low",), 96)
    assert [job.out.name for job in jobs[5:]] == ["source_train", "low_train"]  # the others stay at the least number
