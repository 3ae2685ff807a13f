"""WebDataset shards: exact both ways, equal bytes for equal frames, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets import webdataset
from sim2pose.datasets.frames import Frame, Person, dataset_info
from sim2pose.datasets.masks import encode_mask
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder
from sim2pose.datasets.webdataset import export_webdataset, frame_to_sample, read_tar, sample_to_frame

from .conftest import MakeFolder, picture

PNG = b"\x89PNG not looked into"


def full_frame(number: int) -> Frame:
    rng = np.random.default_rng(number)

    def some(*shape: int) -> np.ndarray:
        return rng.normal(0, 1, shape).astype(np.float32)

    points = np.column_stack([some(17, 2) * 20, rng.integers(0, 3, 17)]).astype(np.float32)
    person = Person(
        *(some(4), points, float(rng.uniform(1, 999)), some(17, 3), "open-infant", some(20), some(72), some(3)),
        expression=some(10),
        more_keypoints=np.abs(points[:16]).round(),
        more_keypoints_3d=some(16, 3),
        mask=encode_mask(rng.random((48, 64)) < 0.3),
        extra='{"ä": 1}',
    )
    person.more_keypoints[:, 2] = 1
    return Frame(
        *(number, picture(number), 48, 64, "synthetic", some(3, 3), [person], PNG + b"p", PNG + b"d"),
        normals=PNG + b"n",
        distortion=some(5),
        world_to_camera=some(3, 4),
        clip=number // 3,
        time=number / 30,
        source=f"seed 1 frame {number}",
    )


def assert_equal(a: object, b: object) -> None:
    for field in dataclasses.fields(a):  # type: ignore[arg-type]
        x, y = getattr(a, field.name), getattr(b, field.name)
        if field.name == "persons":
            assert len(x) == len(y)
            for one, other in zip(x, y, strict=True):
                assert_equal(one, other)
        elif isinstance(x, np.ndarray):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)
        else:
            assert x == y, field.name


@pytest.fixture
def folder(tmp_path: Path) -> FramesFolder:
    info = dataset_info("coco17", more_joint_sets=("mano16",))
    path = tmp_path / "frames"
    path.mkdir()
    write_manifest(path, [publish_shard(path, 0, [full_frame(i) for i in range(7)], info)], info)
    return FramesFolder.open(path)


def test_frames_come_back_exactly(folder: FramesFolder, tmp_path: Path) -> None:
    written = export_webdataset(folder, tmp_path / "out", shard_frames=3)
    assert written.shards == ("shard-000000.tar", "shard-000001.tar", "shard-000002.tar")
    assert written.frames == 7
    samples = [pair for name in written.shards for pair in read_tar(tmp_path / "out" / name)]
    assert [key for key, _ in samples] == [f"{i:012d}" for i in range(7)]
    for (_, sample), frame in zip(samples, folder.iterate(), strict=True):
        assert set(sample) == {"jpg", "json", "parts.png", "depth.png", "normals.png"}
        assert_equal(sample_to_frame(sample), frame)
    info = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert info["joint_set"] == "coco17"
    assert info["flip_pairs"]


def test_equal_frames_give_equal_bytes(folder: FramesFolder, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_webdataset(folder, tmp_path / name, shard_frames=4)
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    with tarfile.open(tmp_path / "a" / "shard-000000.tar") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in tar.getmembers()} == {(0, 0, 0, "", 0o644)}


def test_one_joint_set_alone(folder: FramesFolder, tmp_path: Path) -> None:
    export_webdataset(folder, tmp_path / "out", joint_set="mano16")
    (_, sample), *_ = read_tar(tmp_path / "out" / "shard-000000.tar")
    frame = sample_to_frame(sample)
    np.testing.assert_array_equal(frame.persons[0].keypoints, full_frame(0).persons[0].more_keypoints)
    assert frame.persons[0].more_keypoints is None
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["keypoints"] == "mano16"


def test_empty_frames_and_missing_pictures(make_folder: MakeFolder, tmp_path: Path) -> None:
    def edit(i: int, frame: Frame) -> None:
        if i == 1:
            frame.persons = []

    export_webdataset(make_folder(frames=3, edit=edit), tmp_path / "out")
    samples = [sample for _, sample in read_tar(tmp_path / "out" / "shard-000000.tar")]
    assert [len(sample_to_frame(sample).persons) for sample in samples] == [1, 0, 1]
    assert set(samples[0]) == {"jpg", "json"}


def test_a_failed_export_leaves_nothing(folder: FramesFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def full_disk(frame: Frame) -> dict[str, bytes]:
        calls.append(frame.frame_id)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        return frame_to_sample(frame)

    monkeypatch.setattr(webdataset, "frame_to_sample", full_disk)
    with pytest.raises(UserError, match="No space left"):
        export_webdataset(folder, tmp_path / "out", shard_frames=2)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_what_cannot_be_is_refused(folder: FramesFolder, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        export_webdataset(folder, tmp_path / "full")
    with pytest.raises(UserError, match="do not label joint set 'h36m17'"):
        export_webdataset(folder, tmp_path / "out", joint_set="h36m17")
    with pytest.raises(UserError, match="'json', found jpg"):
        sample_to_frame({"jpg": b""})
