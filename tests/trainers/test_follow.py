"""A driver shows what its ranks write: progress, and warnings once each."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sim2pose.trainers import follow
from sim2pose.trainers.events import EventLog


def test_the_log_file_takes_our_messages_and_only_inside_the_block(tmp_path: Path) -> None:
    ours = logging.getLogger("sim2pose.trainers.anything")
    with follow.log_file(tmp_path, True):
        ours.info("weights loaded")
        logging.getLogger("elsewhere").error("not ours")
    ours.info("too late")
    with follow.log_file(tmp_path, True):
        ours.warning("again")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["INFO weights loaded", "WARNING again"]
    with follow.log_file(tmp_path / "absent", False):
        ours.info("rank 1 writes nothing")


def test_progress_and_warnings_reach_the_driver_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(follow, "INTERVAL", 0.01)
    with follow.log_file(tmp_path, True):
        logging.getLogger("sim2pose.x").warning("of an earlier attempt")
    caplog.clear()
    events = EventLog(tmp_path, 0, total=8)
    with follow.following(tmp_path, "run"), (tmp_path / "log.txt").open("a") as file:
        file.write("2026-01-01 00:00:00,000 INFO quiet\n2026-01-01 00:00:01,000 WARNING the loss rises\nhalf a li")
        file.flush()
        events.write(2, {"train/loss_pose": 0.5, "train/samples_per_second": 10.0})
        events.write(6, {"train/loss_pose": 0.25, "train/samples_per_second": 20.0})
    assert [r.message for r in caplog.records if r.name == "sim2pose.trainers.follow"] == ["the loss rises"]
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("run: 6/8 steps, ")
    assert ", loss_pose 0.25 20 samples/s" in said
