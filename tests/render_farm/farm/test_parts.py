"""Large folders: parts, their manifests, and shards of a size in MB."""

from __future__ import annotations

import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from sim2pose.config import UserError
from sim2pose.datasets import parquet
from sim2pose.datasets.job_file import JOB
from sim2pose.datasets.manifest import MANIFEST, PART, Manifest, PartedShards, read_manifest
from sim2pose.datasets.publish import sweep_temp, write_manifest, write_part
from sim2pose.datasets.records import ShardEntry
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.farm import ledger
from sim2pose.render_farm.farm.layout import in_parts
from sim2pose.render_farm.farm.noise import noise_job
from sim2pose.render_farm.farm.run import FarmOptions, run_farm

HERE = FarmOptions(progress=False)


def run(folder: Path, frames: int = 300, **changes: object) -> Manifest:
    return run_farm(noise_job(folder, frames, **{"parts_of": 3, **changes}), HERE)


def ids(folder: Path) -> list[int]:
    return [frame.frame_id for frame in FramesFolder.open(folder, verify=True).iterate(["frame_id"])]


def test_large_folder_is_in_parts(tmp_path: Path) -> None:
    manifest = run(tmp_path / "a")
    assert [part.folder for part in manifest.parts] == ["part-00000", "part-00001", "part-00002", "part-00003"]
    assert [part.totals.shards for part in manifest.parts] == [3, 3, 3, 1]
    assert (manifest.num_frames, manifest.num_empty, len(manifest.shards)) == (300, 60, 10)
    assert manifest.totals.counts == (("odd", 150),)
    written = json.loads((tmp_path / "a" / MANIFEST).read_text())
    assert "shards" not in written and written["counts"] == {"odd": 150}
    assert ids(tmp_path / "a") == list(range(300))
    folder = FramesFolder.open(tmp_path / "a")
    for position in (0, 31, 32, 95, 96, 287, 288, 299):
        assert folder.read([position])[0].source == f"7/{position}"
    assert list(folder.index().frame_id) == list(range(300))
    assert manifest.shards[-1] == folder.shards[9]
    small = run(tmp_path / "b", parts_of=0)
    assert small.parts == () and [s.sha256 for s in small.shards] == [s.sha256 for s in folder.shards]


def test_parts_are_read_when_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    folder = FramesFolder.open(tmp_path)
    assert isinstance(folder.shards, PartedShards)
    assert (len(folder), len(folder.shards), folder.domains) == (300, 10, ("synthetic",))
    assert folder.shards._loaded == {}
    folder.read([100])
    assert list(folder.shards._loaded) == [1]


@pytest.mark.parametrize("killed_at", [1, 3, 4, 9])
def test_killed_run_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int) -> None:
    """Killed just after shard ``killed_at`` was published: before its part could be closed."""

    def stop(point: str, shard_id: int) -> None:
        if (point, shard_id) == ("after_publish", killed_at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", hooks=stop)
    with pytest.raises(UserError, match=r"half written: \d parts but no _manifest"):
        FramesFolder.open(tmp_path / "a")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.parquet")}
    assert len(before) == killed_at + 1
    read = []
    check = parquet.check_pages
    monkeypatch.setattr(ledger, "check_pages", lambda path: (read.append(path.name), check(path)))
    run(tmp_path / "a")
    # What lies in closed parts is not read again.
    assert read == [f"shard-{i:05d}.parquet" for i in range(killed_at + 1 - killed_at % 3 - 1, killed_at + 1)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    run(tmp_path / "b")
    for file in (MANIFEST, *(f"part-0000{i}/{PART}" for i in range(4))):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert ids(tmp_path / "a") == list(range(300))


def test_finished_folder_stays_and_may_grow(tmp_path: Path) -> None:
    run(tmp_path, frames=320)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file() and path.name[0] != "."}
    run(tmp_path, frames=320)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    manifest = run(tmp_path, frames=500)
    assert [part.totals.rows for part in manifest.parts] == [96] * 5 + [20]
    assert ids(tmp_path) == list(range(500))
    with pytest.raises(UserError, match="holds more than the 320 frames asked"):
        run(tmp_path, frames=320)
    with pytest.raises(UserError, match="holds more than the 470 frames asked"):
        run(tmp_path, frames=470)
    with pytest.raises(UserError, match="seed is 7 there, 8 is asked"):
        run(tmp_path, frames=500, seed=8)


def test_layout_outlives_another_default(tmp_path: Path) -> None:
    run(tmp_path / "a", frames=64)
    assert run(tmp_path / "a", frames=320).parts == ()  # begun small, it stays flat
    run(tmp_path / "b", frames=320)
    assert len(run(tmp_path / "b", frames=320, parts_of=100).parts) == 4


def test_lost_and_damaged_shards(tmp_path: Path) -> None:
    run(tmp_path)
    lost = tmp_path / "part-00001" / "shard-00004.parquet"
    data = lost.read_bytes()
    lost.unlink()
    folder = FramesFolder.open(tmp_path)
    with pytest.raises(UserError, match=r"shard-00004.parquet is missing although"):
        folder.read([130])
    run(tmp_path)
    assert lost.read_bytes() == data
    assert ids(tmp_path) == list(range(300))
    lost.write_bytes(data[:-1])
    with pytest.raises(UserError, match=r"shard-00004.parquet is damaged: its size"):
        run(tmp_path)
    lost.write_bytes(data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    run(tmp_path)  # of closed parts, sizes are compared
    with pytest.raises(UserError, match=r"shard-00004.parquet is damaged: its SHA-256"):
        FramesFolder.open(tmp_path, verify=True)


def test_manifest_of_a_part_is_checked(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / "part-00002" / PART
    path.write_text(path.read_text().replace('"rows": 32', '"rows": 31', 1))
    with pytest.raises(UserError, match=r"part-00002/_part.json is damaged: its SHA-256"):
        FramesFolder.open(tmp_path).read([200])
    path.write_text("{")
    with pytest.raises(UserError, match=r"part-00002/_part.json is no readable manifest"):
        run(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"part-00002/_part.json is missing"):
        FramesFolder.open(tmp_path).row_groups()


@pytest.mark.parametrize(("old", "new"), [('"part-00001"', '"../part-00001"'), ('"part-00001"', '"part-1"')])
def test_manifest_cannot_point_outside(tmp_path: Path, old: str, new: str) -> None:
    run(tmp_path)
    text = (tmp_path / MANIFEST).read_text()
    (tmp_path / MANIFEST).write_text(text.replace(old, new))
    with pytest.raises(UserError, match="lies outside"):
        FramesFolder.open(tmp_path)


def test_sweep_reaches_into_parts(tmp_path: Path) -> None:
    run(tmp_path)
    for name in ("part-00001/.shard-00004.parquet.9-ab.tmp", "part-00001/._part.json.9-ab.tmp", f".{JOB}.9-ab.tmp"):
        (tmp_path / name).write_text("half")
    assert sweep_temp(tmp_path) == 3


def test_shards_of_a_size(tmp_path: Path) -> None:
    job = noise_job(tmp_path, 2000, shard_mb=0.1)
    manifest = run_farm(job, HERE)
    rows = manifest.shards[0].rows
    assert rows % 32 == 0 and manifest.info.config["shard_frames"] == rows
    assert all(0.7e5 < shard.bytes < 1.2e5 for shard in manifest.shards[:-1])
    assert run_farm(job, HERE) == manifest
    with pytest.raises(UserError, match="shard_frames is"):
        run_farm(replace(job, shard_mb=None), HERE)


def test_unreadable_job_file(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / JOB).write_text("[]")
    with pytest.raises(UserError, match=r"_job.json is no readable job file"):
        run(tmp_path)


def test_ten_million_frames_in_the_books(tmp_path: Path) -> None:
    """39,063 shards: the top manifest stays small, and a folder of so many opens without reading them."""
    from sim2pose.datasets.manifest import part_name, shard_name

    job = in_parts(noise_job(tmp_path, 10_000_000, shard_frames=256))
    assert (job.shards, job.parts) == (39_063, 306)
    parts = []
    for part in range(job.parts):
        (tmp_path / part_name(part)).mkdir()
        files = [f"{part_name(part)}/{shard_name(i)}" for i in job.shard_ids(part)]
        entries = [ShardEntry(file, 256, "0" * 64, 5_000_000, 2, ("synthetic",)) for file in files]
        parts.append(write_part(tmp_path, part_name(part), entries))
    write_manifest(tmp_path, [], job.info, parts)
    assert os.path.getsize(tmp_path / MANIFEST) < 200_000
    tracemalloc.start()
    folder = FramesFolder.open(tmp_path)
    assert folder.num_frames == 39_063 * 256
    assert folder.locate(9_999_999) == (39_062, 1, 63)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6
    assert read_manifest(tmp_path).totals.shards == 39_063
