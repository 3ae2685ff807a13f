from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from sim2pose.config import UserError, config_hash
from sim2pose.datasets.frames import COLUMNS, SCHEMA_VERSION, DatasetInfo, Frame, Person, dataset_info, schema
from sim2pose.datasets.tables import frames_to_table, table_info, table_to_frames

JPEG = b"\xff\xd8\xff jpeg"
PNG = b"\x89PNG png"


def make_info(joints: int = 3) -> DatasetInfo:
    names = tuple(f"joint{i}" for i in range(joints))
    return DatasetInfo(
        "three",
        names,
        ((1, 2),),
        (0.1,) * joints,
        {"a": {"b": 1}},
        "abcd",
        "CC0",
        {"info": {"year": 2024}},
        ("mano16",),
    )


def make_person(rng: np.random.Generator, full: bool = True) -> Person:
    keypoints = np.array([[1.5, 2.25, 2], [3, 4, 1], [0, 0, 0]], np.float32)
    person = Person(rng.random(4).astype(np.float32), keypoints, 8511.15680000000001)
    if not full:
        return person
    return replace(
        person,
        keypoints_3d=rng.random((3, 3)).astype(np.float32),
        body="open-infant",
        betas=rng.random(20).astype(np.float32),
        pose=rng.random(72).astype(np.float32),
        transl=rng.random(3).astype(np.float32),
        iscrowd=True,
        annotation_id=1 << 40,
        extra='{"segmentation": [[1.5, 2]]}',
        expression=rng.random(10).astype(np.float32),
        more_keypoints=np.ones((16, 3), np.float32),
        more_keypoints_3d=rng.random((16, 3)).astype(np.float32),
    )


def make_frames() -> list[Frame]:
    rng = np.random.default_rng(0)
    camera = np.array([[200, 0, 31.5], [0, 200, 23.5], [0, 0, 1]], np.float32)
    lens, pose = rng.random(5).astype(np.float32), rng.random((3, 4)).astype(np.float32)
    clip = {"normals": PNG, "distortion": lens, "world_to_camera": pose, "clip": 4, "time": 0.1}
    return [
        Frame(3, JPEG, 48, 64, "real"),
        Frame(1 << 50, PNG, 48, 64, "synthetic", camera, [make_person(rng), make_person(rng, False)], PNG, PNG, "0/1"),
        Frame(-7, JPEG, 1, 2, "ünï", None, [make_person(rng)], None, PNG, "b.jpg", '{"license": 3}', **clip),
    ]


def assert_same(mine: object, theirs: object) -> None:
    """Equal dataclasses, arrays compared bit by bit and by dtype."""
    assert type(mine) is type(theirs)
    for name, value in vars(mine).items():
        other = getattr(theirs, name)
        if isinstance(value, np.ndarray):
            assert isinstance(other, np.ndarray), name
            assert (other.dtype, other.shape) == (value.dtype, value.shape), name
            assert other.tobytes() == value.tobytes(), name
        elif name == "persons":
            assert len(value) == len(other)
            for a, b in zip(value, other, strict=True):
                assert_same(a, b)
        else:
            assert value == other, name


@pytest.mark.parametrize("part", [slice(None), slice(0, 1), slice(1, 3), slice(0, 0)])
def test_frames_survive_the_table_bit_by_bit(part: slice) -> None:
    info, frames = make_info(), make_frames()
    whole = frames_to_table(frames, info)
    back = table_to_frames(whole.slice(part.start or 0, len(frames[part])))
    assert len(back) == len(frames[part])
    for a, b in zip(frames[part], back, strict=True):
        assert_same(a, b)
    assert table_info(whole.schema, "x") == info
    persons = whole.column("persons").to_pylist()
    assert [[p["labelled"] for p in row] for row in persons] == [[], [2, 2], [2]]


def test_read_arrays_can_be_written_to() -> None:
    frame = table_to_frames(frames_to_table(make_frames(), make_info()))[1]
    frame.persons[0].keypoints[0] = 5.0
    assert frame.persons[0].keypoints[0, 2] == 5.0


def test_columns_that_were_not_read_stay_at_their_defaults() -> None:
    table = frames_to_table(make_frames(), make_info()).select(["frame_id", "camera"])
    frame = table_to_frames(table)[1]
    assert (frame.frame_id, frame.image, frame.height, frame.domain, frame.persons) == (1 << 50, b"", 0, "", [])
    assert frame.camera is not None
    assert frame.camera.shape == (3, 3)


def test_info_is_canonical_json() -> None:
    info = make_info()
    assert DatasetInfo.from_json(info.to_json(), "x") == info
    turned = replace(info, config=dict(reversed(list({"z": 1, "a": 2}.items()))))
    assert turned.to_json() == replace(info, config={"z": 1, "a": 2}).to_json()
    assert list(COLUMNS) == schema(info).names


def test_dataset_info_knows_joint_sets() -> None:
    info = dataset_info("coco17", {"seed": 1})
    assert info.joint_count == 17
    assert info.joints[0] == "nose"
    assert (1, 2) in info.flip_pairs
    assert info.sigmas is not None
    assert len(info.sigmas) == 17
    assert info.config_hash == config_hash({"seed": 1})
    with pytest.raises(UserError, match="coco17"):
        dataset_info("coco71")


def test_metadata_of_others_is_refused() -> None:
    with pytest.raises(UserError, match=r"a.parquet is no frame file of sim2pose"):
        table_info(pa.schema([("x", pa.int64())]), "a.parquet")
    newer = make_info().to_json().replace(f'"schema_version":{SCHEMA_VERSION}', '"schema_version":99')
    with pytest.raises(UserError, match=f"schema version 99, this sim2pose reads {SCHEMA_VERSION}"):
        DatasetInfo.from_json(newer, "a.parquet")
    for text in ("not json", "[]", "{}"):
        with pytest.raises(UserError, match=r"a\.parquet holds no readable"):
            DatasetInfo.from_json(text, "a.parquet")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keypoints": np.zeros((17, 3), np.float32)}, r"frame 5 \(x.jpg\), person 0: keypoints has shape \(17, 3\)"),
        ({"keypoints": np.full((3, 3), np.nan, np.float32)}, "keypoints holds NaN"),
        ({"bbox": np.array([0, 0, np.inf, 1], np.float32)}, "bbox holds NaN or infinite"),
        ({"keypoints_3d": np.zeros((3, 2), np.float32)}, "keypoints_3d has shape"),
        ({"transl": np.zeros(4, np.float32)}, "transl has shape"),
        ({"area": float("nan")}, "area is nan"),
        ({"keypoints": np.full((3, 3), 0.5, np.float32)}, "must be v = 0, 1 or 2"),
    ],
)
def test_bad_labels_are_named(change: dict[str, object], words: str) -> None:
    person = replace(make_person(np.random.default_rng(0)), **change)
    with pytest.raises(UserError, match=words):
        frames_to_table([Frame(5, JPEG, 4, 4, "real", persons=[person], source="x.jpg")], make_info())


def test_bad_pictures_and_cameras_are_named() -> None:
    with pytest.raises(UserError, match=r"frame 5 .*neither JPEG nor PNG"):
        frames_to_table([Frame(5, b"GIF89a", 4, 4, "real")], make_info())
    with pytest.raises(UserError, match=r"camera has shape \(9,\)"):
        frames_to_table([Frame(5, JPEG, 4, 4, "real", camera=np.zeros(9, np.float32))], make_info())
