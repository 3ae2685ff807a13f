"""Checkpoints: whole or absent, damage noticed, no code from files."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import torch

from sim2pose.config import UserError
from sim2pose.trainers import checkpoints
from sim2pose.trainers.checkpoints import DamagedCheckpoint


def write(root: Path, step: int) -> Path:
    modules = {"pose": {"weight": torch.full((2, 3), float(step))}}
    state = {"step": step, "pair": (1, 2.5, None), "tensor": torch.arange(3)}
    return checkpoints.save(root, step, modules, state, {"lr": 0.1}, {"metrics": {"a": 1.0}})


def test_round_trip(tmp_path: Path) -> None:
    path = write(tmp_path, 12)
    assert path.name == "step_00000012"
    assert sorted(p.name for p in path.iterdir()) == ["meta.json", "pose.safetensors", "state.pt"]
    found = checkpoints.load(path)
    assert found.step == 12
    assert found.state["pair"] == (1, 2.5, None)
    assert torch.equal(found.modules["pose"]["weight"], torch.full((2, 3), 12.0))
    assert found.meta["config"] == {"lr": 0.1}


def test_channels_last_and_shared_tensors_are_stored_by_value(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    path = checkpoints.save(tmp_path, 1, {"pose": {"a": weight, "b": weight}}, {}, {})
    found = checkpoints.load(path).modules["pose"]
    assert torch.equal(found["a"], weight)
    assert torch.equal(found["b"], weight)


@pytest.mark.parametrize("name", ["pose.safetensors", "state.pt", "meta.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_newest_is_named_and_the_one_before_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    write(tmp_path, 1)
    file = write(tmp_path, 2) / name
    data = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[0] ^= 0xFF
        file.write_bytes(data)
    else:
        file.unlink()
    with pytest.raises(DamagedCheckpoint):
        checkpoints.load(tmp_path / "step_00000002")
    with caplog.at_level(logging.WARNING):
        found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.step == 1
    assert "step_00000002" in caplog.text
    assert name in caplog.text


def test_nothing_whole_is_nothing(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path) is None
    (write(tmp_path, 1) / "state.pt").unlink()
    assert checkpoints.newest(tmp_path) is None


def test_a_writer_killed_before_the_rename_leaves_nothing_to_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1)

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, 2)
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.step == 1
    checkpoints.sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000001"]


def test_a_step_written_again_replaces_the_old_folder(tmp_path: Path) -> None:
    (write(tmp_path, 5) / "state.pt").write_bytes(b"")
    write(tmp_path, 5)
    assert checkpoints.load(tmp_path / "step_00000005").step == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_prune_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        write(tmp_path, step)
    checkpoints.prune(tmp_path, 2, best={1, 2})
    assert [p.name[-1] for p in checkpoints.folders(tmp_path)] == ["1", "2", "4", "5"]
    assert not list(tmp_path.glob(".*"))


def test_best_falls_back_to_the_newest_when_its_folder_is_gone(tmp_path: Path) -> None:
    newest = write(tmp_path / "checkpoints", 7)
    assert checkpoints.best_checkpoint(tmp_path) == newest
    best = write(tmp_path / "checkpoints", 3)
    checkpoints.write_json(tmp_path / "best.json", {"checkpoint": best.name})
    assert checkpoints.best_checkpoint(tmp_path) == best
    checkpoints.write_json(tmp_path / "best.json", {"checkpoint": "step_00000004"})
    assert checkpoints.best_checkpoint(tmp_path) == newest


def test_a_state_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = write(tmp_path, 1)
    torch.save({"x": Evil()}, path / "state.pt")
    meta = json.loads((path / "meta.json").read_text())
    meta["sha256"]["state.pt"] = checkpoints._sha256(path / "state.pt")
    (path / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(DamagedCheckpoint):
        checkpoints.load(path)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_of_another_format_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, "format": 99}))
    with pytest.raises(UserError, match="format 99"):
        checkpoints.load(path)
