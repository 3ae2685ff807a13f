"""A small folder of rendered infants, and the means to spoil its labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim2pose.datasets.frames import Frame
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.kinds.registry import load_render_config
from sim2pose.render_farm.render import render

Spoil = Callable[[Callable[[list[Frame]], None]], FramesFolder]


@pytest.fixture(scope="session")
def infants(tmp_path_factory: pytest.TempPathFactory) -> FramesFolder:
    """32 frames of 128 pixels with two joint sets, part pictures and masks."""
    out = tmp_path_factory.mktemp("audit") / "infants"
    sizes = {"frames": 32, "shard_frames": 32, "width": 128, "height": 128}
    render(load_render_config("infant", {"out": out, "joint_sets": ["coco17", "openpose25"], **sizes}))
    return FramesFolder.open(out)


@pytest.fixture
def spoil(infants: FramesFolder, tmp_path: Path) -> Spoil:
    """``spoil(edit)`` gives a copy of the folder whose list of frames went through ``edit``."""

    def make(edit: Callable[[list[Frame]], None]) -> FramesFolder:
        frames = list(infants.iterate())
        edit(frames)
        folder = tmp_path / "spoiled"
        folder.mkdir()
        write_manifest(folder, [publish_shard(folder, 0, frames, infants.info)], infants.info)
        return FramesFolder.open(folder)

    return make
