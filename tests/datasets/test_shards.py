from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.frames import DatasetInfo, Frame, Person
from sim2pose.datasets.manifest import MANIFEST, read_manifest, shard_name
from sim2pose.datasets.publish import difference, publish_shard, sweep_temp, write_manifest
from sim2pose.datasets.shards import FramesFolder

INFO = DatasetInfo("two", ("left", "right"), ((0, 1),), None, {"seed": 1, "scene": {"light": 2}}, "h1", "free")
ROWS = (150, 64, 3)


def make_frame(index: int) -> Frame:
    rng = np.random.default_rng(index)
    keypoints = np.array([[1, 2, index % 3], [3, 4, 1]], np.float32)
    people = [
        Person(np.array([index, n, 5, 6], np.float32), keypoints, float(index + n), iscrowd=n == 1)
        for n in range(index % 3)
    ]
    domain = "real" if index % 2 else "synthetic"
    return Frame(index * 10, b"\xff\xd8" + rng.bytes(500), 8 + index, 16, domain, persons=people, source=str(index))


def write(folder: Path, rows: Sequence[int] = ROWS, info: DatasetInfo = INFO) -> FramesFolder:
    starts = np.cumsum([0, *rows])
    entries = [
        publish_shard(folder, s, [make_frame(i) for i in range(starts[s], starts[s + 1])], info)
        for s in range(len(rows))
    ]
    write_manifest(folder, entries, info)
    return FramesFolder.open(folder)


def test_folder_gives_back_what_was_published(tmp_path: Path) -> None:
    folder = write(tmp_path)
    assert (len(folder), folder.domains, folder.info) == (217, ("real", "synthetic"), INFO)
    assert folder.row_groups() == [(0, 0, 64), (0, 1, 64), (0, 2, 22), (1, 0, 64), (2, 0, 3)]
    for i, frame in enumerate(folder.iterate()):
        assert (frame.frame_id, frame.image, frame.source) == (i * 10, make_frame(i).image, str(i))
    asked = [216, 0, 149, 150, 63, 64, 0]
    assert [frame.source for frame in folder.read(asked, ["source"])] == [str(i) for i in asked]
    with pytest.raises(IndexError, match=r"217 outside 0..216"):
        folder.locate(217)
    with pytest.raises(UserError, match="unknown frame column 'imgae': did you mean 'image'"):
        folder.row_group(0, 0, ["imgae"])
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, *(shard_name(i) for i in range(3))]


def test_index_agrees_with_the_frames(tmp_path: Path) -> None:
    folder = write(tmp_path)
    index = folder.index()
    assert len(index) == 217
    assert len(index.bbox) == sum(i % 3 for i in range(217))
    for i, frame in enumerate(folder.iterate()):
        assert index.frame_id[i] == frame.frame_id
        assert folder.locate(i) == (index.shard[i], index.row_group[i], index.row[i])
        assert folder.domains[index.domain[i]] == frame.domain
        assert tuple(index.size[i]) == (frame.width, frame.height)
        persons = range(index.first_person[i], index.first_person[i + 1])
        assert len(persons) == len(frame.persons)
        for p, person in zip(persons, frame.persons, strict=True):
            assert index.frame[p] == i
            assert (index.bbox[p] == person.bbox).all()
            assert index.area[p] == person.area
            assert index.iscrowd[p] == person.iscrowd
            assert index.labelled[p] == (person.keypoints[:, 2] > 0).sum()


def test_index_of_frames_without_anybody(tmp_path: Path) -> None:
    frames = [replace(make_frame(i), persons=[]) for i in range(5)]
    manifest = write_manifest(tmp_path, [publish_shard(tmp_path, 0, frames, INFO)], INFO)
    index = FramesFolder.open(tmp_path).index()
    assert manifest.num_empty == 5
    assert index.bbox.shape == (0, 4)
    assert index.first_person.tolist() == [0] * 6


def test_frame_ids_must_be_unique(tmp_path: Path) -> None:
    entries = [publish_shard(tmp_path, s, [make_frame(1), make_frame(2 + s)], INFO) for s in range(2)]
    write_manifest(tmp_path, entries, INFO)
    with pytest.raises(UserError, match="frame_id 10 occurs twice"):
        FramesFolder.open(tmp_path).index()


def _ids(folder: FramesFolder) -> list[int]:
    return [frame.frame_id for frame in folder.iterate()]


def test_one_folder_serves_threads_forks_and_pickles(tmp_path: Path) -> None:
    folder = write(tmp_path)
    expected = _ids(folder)
    with ThreadPoolExecutor(4) as pool:
        assert all(ids == expected for ids in pool.map(_ids, [folder] * 8))
    assert _ids(pickle.loads(pickle.dumps(folder))) == expected
    with multiprocessing.get_context("fork").Pool(2) as forks:
        assert all(ids == expected for ids in forks.map(_ids, [folder] * 4))


def test_more_shards_than_kept_open(tmp_path: Path) -> None:
    folder = write(tmp_path, rows=[2] * 40)
    assert _ids(folder) == _ids(folder) == [i * 10 for i in range(80)]


# --- what is refused -------------------------------------------------------------------------------------------------


def test_absent_and_half_written_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder of frames at"):
        FramesFolder.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no _manifest.json"):
        FramesFolder.open(tmp_path)
    publish_shard(tmp_path, 0, [make_frame(0)], INFO)
    with pytest.raises(UserError, match=r"half written: 1 shards but no _manifest.json; run the command .* again"):
        FramesFolder.open(tmp_path)


def test_schema_version_and_joint_set(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(UserError, match="joint set 'two', 'coco17' is needed"):
        FramesFolder.open(tmp_path, joint_set="coco17")
    FramesFolder.open(tmp_path, joint_set="two")
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    manifest["info"]["schema_version"] = 7
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="schema version 7"):
        FramesFolder.open(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", '{"info": {}}', '{"info": 3, "shards": []}'])
def test_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path)
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=MANIFEST):
        FramesFolder.open(tmp_path)


def test_manifest_cannot_point_outside(tmp_path: Path) -> None:
    write(tmp_path)
    text = (tmp_path / MANIFEST).read_text()
    (tmp_path / MANIFEST).write_text(text.replace('"shard-00001.parquet"', '"../shard-00001.parquet"'))
    with pytest.raises(UserError, match="lies outside"):
        FramesFolder.open(tmp_path)


def test_missing_foreign_and_cut_files(tmp_path: Path) -> None:
    write(tmp_path)
    stranger = tmp_path / "stranger.parquet"
    pq.write_table(pa.table({"x": [1]}), stranger)
    with pytest.raises(UserError, match=r"stranger.parquet is not in the manifest"):
        FramesFolder.open(tmp_path)
    stranger.unlink()
    path = tmp_path / shard_name(1)
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(UserError, match=r"shard-00001.parquet is damaged: .* bytes, the manifest says"):
        FramesFolder.open(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"shard-00001.parquet is missing"):
        FramesFolder.open(tmp_path)
    path.write_bytes(data)
    FramesFolder.open(tmp_path, verify=True)


def test_shard_of_another_data_set(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a")
    write(tmp_path / "b", info=replace(INFO, config_hash="h2"))  # same size
    (tmp_path / "a" / shard_name(1)).write_bytes((tmp_path / "b" / shard_name(1)).read_bytes())
    with pytest.raises(UserError, match=r"shard-00001.parquet does not belong here"):
        FramesFolder.open(tmp_path / "a")


def test_flipped_bit_in_a_picture(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / shard_name(0)
    data = bytearray(path.read_bytes())
    data[data.index(make_frame(70).image) + 100] ^= 1
    path.write_bytes(data)
    folder = FramesFolder.open(tmp_path)  # cheap checks see nothing
    with pytest.raises(UserError, match="SHA-256"):
        FramesFolder.open(tmp_path, verify=True)
    folder.row_group(0, 0)
    with pytest.raises(UserError, match=r"shard-00000.parquet is damaged"):
        folder.row_group(0, 1)


def test_broken_footer(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / shard_name(2)
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(UserError, match=r"shard-00002.parquet is damaged or no Parquet file"):
        FramesFolder.open(tmp_path)


# --- publishing ------------------------------------------------------------------------------------------------------


def test_published_shard_is_never_overwritten(tmp_path: Path) -> None:
    first = publish_shard(tmp_path, 0, [make_frame(0)], INFO)
    again = publish_shard(tmp_path, 0, [make_frame(1), make_frame(2)], INFO)
    assert again == first
    other = replace(INFO, config={"seed": 1, "scene": {"light": 3}}, config_hash="h2")
    with pytest.raises(UserError, match=r"scene.light is 2 there, 3 is asked; choose another folder"):
        publish_shard(tmp_path, 0, [make_frame(0)], other)


def test_of_twins_one_publishes(tmp_path: Path) -> None:
    """Four writers reach the link at the same moment: one file, four equal answers, no temp files."""
    barrier = threading.Barrier(4)

    def hooks(point: str, shard_id: int) -> None:
        if point == "before_publish":
            barrier.wait(120)

    with ThreadPoolExecutor(4) as pool:
        frames = [make_frame(i) for i in range(10)]
        entries = list(pool.map(lambda _: publish_shard(tmp_path, 0, frames, INFO, hooks), range(4)))
    assert len(set(entries)) == 1
    assert [p.name for p in tmp_path.iterdir()] == [shard_name(0)]


def test_first_publisher_wins(tmp_path: Path) -> None:
    """A twin that comes second at the link keeps off the file that readers may have seen."""
    winner = []

    def hooks(point: str, shard_id: int) -> None:
        if point == "before_publish" and not winner:
            winner.append(publish_shard(tmp_path, 0, [make_frame(0)], INFO))

    late = publish_shard(tmp_path, 0, [make_frame(1)], INFO, hooks)
    assert late == winner[0]
    assert pq.read_table(tmp_path / shard_name(0)).column("frame_id").to_pylist() == [0]


@pytest.mark.parametrize("point", ["before_write", "before_publish"])
def test_failure_before_publishing_leaves_nothing(tmp_path: Path, point: str) -> None:
    def hooks(here: str, shard_id: int) -> None:
        if here == point:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"no space left for .*finished shards are kept"):
        publish_shard(tmp_path, 0, [make_frame(0)], INFO, hooks)
    assert list(tmp_path.iterdir()) == []


def test_bad_frame_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    frames = [*(make_frame(i) for i in range(100)), replace(make_frame(100), image=b"GIF")]
    with pytest.raises(UserError, match=r"frame 1000 .*neither JPEG nor PNG"):
        publish_shard(tmp_path, 0, iter(frames), INFO)
    with pytest.raises(UserError, match="at least one frame"):
        publish_shard(tmp_path, 0, [], INFO)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="there is no frame"):
        write_manifest(tmp_path, [], INFO)


def test_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError, match="has no hard links"):
        publish_shard(tmp_path, 0, [make_frame(0)], INFO)


def test_equal_frames_give_equal_files(tmp_path: Path) -> None:
    entries = []
    for name in "ab":
        (tmp_path / name).mkdir()
        entries.append(publish_shard(tmp_path / name, 0, [make_frame(i) for i in range(70)], INFO))
    assert entries[0] == entries[1]


def test_sweep_takes_temp_files_only(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".shard-00001.parquet.9-ab.tmp").write_text("x")
    (tmp_path / f".{MANIFEST}.9.tmp").write_text("x")
    (tmp_path / "notes.tmp").write_text("mine")
    assert sweep_temp(tmp_path) == 2
    assert (tmp_path / "notes.tmp").exists()
    assert len(read_manifest(tmp_path).shards) == 3


def test_difference_names_the_first_key() -> None:
    assert difference(INFO, INFO) == ""
    other = replace(INFO, config={"seed": 1, "scene": {}}, config_hash="x")
    assert difference(INFO, other) == "scene.light is 2 there, None is asked"
    assert difference(INFO, replace(INFO, joint_set="coco17")) == "joint_set is 'two' there, 'coco17' is asked"
