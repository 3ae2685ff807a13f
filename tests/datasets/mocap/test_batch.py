"""Importing many takes: names, a bad one among good ones, and the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sim2pose.__main__ import main
from sim2pose.config import UserError
from sim2pose.datasets.mocap.batch import find_takes, import_takes
from sim2pose.datasets.mocap.bvh import read_bvh
from sim2pose.datasets.mocap.bvh_writer import write_bvh
from sim2pose.datasets.mocap.retarget import RetargetOptions
from sim2pose.datasets.mocap.skeleton import Motion
from sim2pose.datasets.mocap.target import Target
from sim2pose.datasets.poses import PoseSequence, load_poses, save_poses

from .conftest import BVH, poses_of


@pytest.fixture
def folder(tmp_path: Path, humanik: tuple[Motion, PoseSequence]) -> Path:
    """Two good takes of one name in two formats, and a bad one."""
    source = tmp_path / "in"
    write_bvh(source / "walk.bvh", humanik[0])
    (source / "bad.bvh").write_text(BVH.replace("Frames: 2", "Frames: 9"))
    np.savez(source / "walk.npz", poses=np.zeros((3, 156)), trans=np.zeros((3, 3)), mocap_framerate=30.0)
    (source / "notes.txt").write_text("nothing")
    return source


def test_a_bad_take_does_not_stop_the_others(folder: Path, infant: Target, tmp_path: Path) -> None:
    takes = find_takes(str(folder), tmp_path / "out")
    assert [take.name for take in takes] == ["bad", "walk_bvh", "walk_npz"]
    seen = []
    batch = import_takes(
        takes, tmp_path / "out", infant, RetargetOptions(), on_take=lambda poses, stem: seen.append(stem.name)
    )
    assert seen == [row["name"] for row in batch.rows] == ["walk_bvh", "walk_npz"]
    ((file, reason),) = batch.failed
    assert file.endswith("bad.bvh") and "bad.bvh:20: 2 frames where the header announces 9" in reason
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [row["frames"] for row in summary["takes"]] == [40, 3] and len(summary["failed"]) == 1
    assert summary["takes"][0]["skeleton"] == "humanik" and "scaled" in summary["compared"]
    assert load_poses(tmp_path / "out" / "walk_bvh.npz").joint_set == "smpl24"


def test_the_command_lists_failures_and_exits_with_2(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("data", "import", "motion", f"{folder}/*.bvh", str(tmp_path / "out"), "body=open-infant", "preview=strip")
    monkeypatch.setattr(sys, "argv", ["sim2pose", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    shown = capsys.readouterr()
    assert "wrote 1 of 2 takes" in shown.out and "humanik" in shown.out
    assert shown.err.strip().splitlines()[-1].startswith("failed: ") and "bad.bvh:20" in shown.err
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"walk.npz", "walk.png", "summary.json"}


def test_poses_leave_as_bvh(
    tmp_path: Path, infant: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_poses(tmp_path / "p.npz", poses_of(infant))
    monkeypatch.setattr(
        sys, "argv", ["sim2pose", "data", "export", "motion", *(str(tmp_path / f) for f in ("p.npz", "p.bvh"))]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code and "40 frames at 30 a second" in capsys.readouterr().out
    assert read_bvh(tmp_path / "p.bvh").skeleton.names[0] == "pelvis"


def test_nothing_to_import(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no motion at"):
        find_takes(str(tmp_path), tmp_path / "out")
    (tmp_path / "x.asf").write_text("")
    with pytest.raises(UserError, match=r"give the \.amc files"):
        find_takes(str(tmp_path / "x.asf"), tmp_path / "out")
    with pytest.raises(UserError, match="no motion at"):
        find_takes(str(tmp_path / "*.bvh"), tmp_path / "out")
