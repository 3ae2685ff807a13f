"""Rendered frames as COCO: masks that pycocotools reads, any labelled joint set, depth beside the pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from sim2pose.config import UserError
from sim2pose.datasets.coco_export import export_coco, frames_to_coco
from sim2pose.datasets.frames import Frame, Person, dataset_info
from sim2pose.datasets.masks import as_rle, decode_mask, encode_mask, mask_box_area
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder
from sim2pose.models.joints import joint_set

from .conftest import picture

DEPTH = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)


def blob(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros((48, 64), np.uint8)
    for x, y in rng.integers(8, 40, (3, 2)).tolist():
        cv2.ellipse(mask, (x, y), (7, 4), 30, 0, 360, 1, -1)
    return mask.astype(bool)


def masked_person(seed: int) -> Person:
    mask = blob(seed)
    counts = encode_mask(mask)
    box, area = mask_box_area(counts, 48, 64)
    points = np.full((42, 3), 2, np.float32)
    points[:, 0] = np.arange(42)
    return Person(box, points[:17], float(area), more_keypoints=points[17:], mask=counts)


@pytest.fixture
def folder(tmp_path: Path) -> FramesFolder:
    info = dataset_info("coco17", more_joint_sets=("openpose25",))
    depth = cv2.imencode(".png", DEPTH)[1].tobytes()
    frames = [
        Frame(i, picture(i), 48, 64, "synthetic", persons=[masked_person(i), masked_person(i + 50)], depth=depth)
        for i in range(4)
    ]
    path = tmp_path / "frames"
    path.mkdir()
    write_manifest(path, [publish_shard(path, 0, frames, info)], info)
    return FramesFolder.open(path)


def test_masks_through_pycocotools(folder: FramesFolder, tmp_path: Path) -> None:
    export_coco(folder, tmp_path / "out")
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    annotations = coco.loadAnns(coco.getAnnIds())
    assert len(annotations) == 8
    for frame in folder.iterate():
        for person, entry in zip(frame.persons, coco.loadAnns(coco.getAnnIds(imgIds=[frame.frame_id])), strict=True):
            mask = coco.annToMask(entry)
            np.testing.assert_array_equal(mask.astype(bool), decode_mask(person.mask, 48, 64))
            rows, columns = np.nonzero(mask)
            x, y, w, h = entry["bbox"]
            assert (x, y, w, h) == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
            assert entry["area"] == mask.sum()
            assert entry["iscrowd"] == 0


def test_another_joint_set(folder: FramesFolder, tmp_path: Path) -> None:
    for made in (export_coco(folder, joint_set="openpose25"), frames_to_coco(folder, joint_set="openpose25")):
        assert tuple(made["categories"][0]["keypoints"]) == joint_set("openpose25").joints
        assert made["annotations"][0]["keypoints"][:6] == [17, 2, 2, 18, 2, 2]
        assert made["annotations"][0]["num_keypoints"] == 25
    assert len(export_coco(folder)["annotations"][0]["keypoints"]) == 51
    with pytest.raises(UserError, match="do not label joint set 'h36m17'"):
        export_coco(folder, tmp_path / "out", joint_set="h36m17")
    assert not (tmp_path / "out").exists()


def test_depth_beside_the_pictures(folder: FramesFolder, tmp_path: Path) -> None:
    export_coco(folder, tmp_path / "out", depth=True)
    names = [entry["file_name"] for entry in json.loads((tmp_path / "out" / "annotations.json").read_text())["images"]]
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == names
    depth = cv2.imread(str(tmp_path / "out" / "depth" / names[2].replace(".jpg", ".png")), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(depth, DEPTH)
    with pytest.raises(UserError, match="frame 0 has no parts picture: render with parts=true"):
        export_coco(folder, tmp_path / "parts", parts=True)


@pytest.mark.parametrize("mask", [np.zeros((5, 7), bool), np.ones((5, 7), bool), blob(3)])
def test_codes_of_masks(mask: np.ndarray) -> None:
    counts = encode_mask(mask)
    assert counts.isascii()
    assert as_rle(counts, *mask.shape) == {"size": list(mask.shape), "counts": counts}
    np.testing.assert_array_equal(decode_mask(counts, *mask.shape), mask)
    assert mask_box_area(counts, *mask.shape)[1] == mask.sum()
