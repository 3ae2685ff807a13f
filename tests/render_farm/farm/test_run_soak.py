"""Long runs with real processes, real kills and the real renderer: ``make soak``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.frames import Frame
from sim2pose.datasets.publish import publish_shard
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.kinds.frames import render_info
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.render import render

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

FRAMES, SHARD = 2000, 64
POOLS = {  # small, as every worker that is killed must build them again
    "wardrobe": {"pool": 4, "texture": 256},
    "skin": {"pool": 4},
    "backgrounds": {"pool": 4, "texture": 256},
}
DRIVER = """
    import sys
    from pathlib import Path
    from sim2pose.render_farm.kinds.infant.config import InfantConfig
    from sim2pose.render_farm.render import render
    from sim2pose.render_farm.farm.faults import FaultPlan
    config = InfantConfig.model_validate_json(sys.argv[1])
    render(config, hooks=FaultPlan(Path(sys.argv[2]), probability=0.08, seed=int(sys.argv[3])))
"""


def make_config(out: Path, **changes: object) -> InfantConfig:
    values = {
        "frames": FRAMES,
        "shard_frames": SHARD,
        "width": 96,
        "height": 96,
        "renderer": "raycast",
        "seed": 5,
        "scene": POOLS,
    }
    return InfantConfig.model_validate({**values, "out": out, "max_attempts": 30, **changes})


def start_driver(config: InfantConfig, marks: Path, seed: int) -> subprocess.Popen[str]:
    arguments = [config.model_dump_json(), str(marks), str(seed)]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), *arguments], stderr=subprocess.PIPE, text=True
    )


def assert_same_labels(a: FramesFolder, b: FramesFolder) -> None:
    count = 0
    for mine, theirs in zip(a.iterate(), b.iterate(), strict=True):
        count += 1
        assert (mine.frame_id, mine.source, mine.parts) == (theirs.frame_id, theirs.source, theirs.parts)
        assert len(mine.persons) == len(theirs.persons)
        for p, q in zip(mine.persons, theirs.persons, strict=True):
            for name, value in vars(p).items():
                other = getattr(q, name)
                if isinstance(value, np.ndarray):
                    assert value.tobytes() == other.tobytes(), (mine.frame_id, name)
                else:
                    assert value == other, (mine.frame_id, name)
        assert mine.image == theirs.image, f"picture {mine.frame_id} differs"
    assert count == FRAMES


def test_workers_and_driver_killed_lose_repeat_and_change_nothing(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    out = tmp_path / "disturbed"
    config = make_config(out, workers=2)
    driver = start_driver(config, marks, 1)
    while driver.poll() is None and len(list(out.glob("shard-*.parquet"))) < 8:
        time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    with pytest.raises(UserError, match="half written"):
        FramesFolder.open(out)
    again = start_driver(config, marks, 2)
    _, log = again.communicate(timeout=3000)
    assert again.returncode == 0, log
    crashes = [path.name for path in marks.iterdir() if not path.name.startswith(".")]
    assert {name.split("-")[0] for name in crashes} == {"before_write", "before_publish", "after_publish"}, crashes
    disturbed = FramesFolder.open(out, verify=True)
    ids = [frame.frame_id for frame in disturbed.iterate(["frame_id"])]
    assert sorted(ids) == list(range(FRAMES))
    assert not list(out.glob(".*.tmp"))
    render(make_config(tmp_path / "calm", workers=1), progress=False)
    assert_same_labels(disturbed, FramesFolder.open(tmp_path / "calm", verify=True))
    print(f"{len(crashes)} workers and one driver killed; {FRAMES} frames, each once, equal to the calm run")


def test_shard_size_changes_no_frame(tmp_path: Path) -> None:
    small = render(make_config(tmp_path / "a", frames=200, shard_frames=32), progress=False)
    large = render(make_config(tmp_path / "b", frames=200, shard_frames=256), progress=False)
    assert (len(small.shards), len(large.shards)) == (7, 1)
    for a, b in zip(
        FramesFolder.open(tmp_path / "a").iterate(), FramesFolder.open(tmp_path / "b").iterate(), strict=True
    ):
        assert (a.frame_id, a.image, a.parts) == (b.frame_id, b.image, b.parts)


def test_full_disk_keeps_finished_shards(tmp_path: Path) -> None:
    """A real file system of 1 MB; needs the right to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a file system: {mounted.stderr.strip()}")
    try:
        info = render_info(make_config(disk))
        noise = b"\xff\xd8" + os.urandom(5000)
        frames = [Frame(i, noise, 96, 96, "synthetic") for i in range(64)]
        publish_shard(disk, 0, frames, info)
        publish_shard(disk, 1, frames, info)
        with pytest.raises(UserError, match=r"no space left for .*finished shards are kept"):
            publish_shard(disk, 2, frames * 4, info)
        assert sorted(path.name for path in disk.iterdir()) == ["shard-00000.parquet", "shard-00001.parquet"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
