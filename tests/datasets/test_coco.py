"""COCO in and out: nothing lost on real annotations, every malformed file named."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from sim2pose.config import UserError
from sim2pose.datasets.coco import degenerate_area, export_coco, frames_to_coco, import_coco, person_id
from sim2pose.datasets.shards import FramesFolder

from .conftest import MakeFolder, picture

Coco = dict[str, Any]


def _canonical(coco: Coco) -> Coco:
    """The file with its numbers as text, so that 1 and 1.0 differ."""
    return json.loads(json.dumps(coco, sort_keys=True), parse_float=str, parse_int=lambda text: f"int {text}")


@pytest.fixture
def small(tmp_path: Path) -> tuple[Coco, Path]:
    """Three pictures, four annotations, and every oddity that a valid file may have."""
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    names = ["a.jpg", "sub/b.jpg", "c.jpg"]
    for i, name in enumerate(names):
        (root / name).write_bytes(picture(i))
    rng = np.random.default_rng(0)
    annotations = []
    for i, image in ((11, 2), (5, 1), (7, 2), (8, 1)):
        points = np.concatenate([rng.integers(0, 40, (17, 2)), rng.integers(0, 3, (17, 1))], axis=1)
        points[points[:, 2] == 0] = 0
        annotations.append(
            {
                "id": i,
                "image_id": image,
                "category_id": 1,
                "bbox": [round(float(v), 2) for v in rng.uniform(1, 30, 4)],
                "keypoints": points.reshape(-1).tolist(),
                "num_keypoints": int((points[:, 2] > 0).sum()),
                "area": float(rng.uniform(100, 200)),
                "iscrowd": 0,
                "segmentation": [[1.5, 2.25, 3, 4, 5, 6.125]],
            }
        )
    annotations[0]["bbox"] = [1, 2.0, 10.123456789, 20]  # an integer, and more digits than float32 has
    annotations[1]["segmentation"] = {"counts": [3, 4, 5], "size": [48, 64]}
    annotations[2] |= {"iscrowd": 1, "num_keypoints": 0, "own field": {"deep": [None, True]}}
    del annotations[3]["area"], annotations[3]["iscrowd"]
    coco = {
        "info": {"year": 2020, "version": "1.0"},
        "licenses": [{"id": 1, "name": "x"}],
        "images": [
            {"id": 2, "file_name": names[0], "height": 48, "width": 64, "license": 1},
            {"id": 1, "file_name": names[1], "height": 48, "width": 64, "date_captured": "2013"},
            {"id": 9, "file_name": names[2]},
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "skeleton": [[1, 2]]}],
        "own": [1, 2.5],
    }
    return coco, root


def _import(coco: Coco, root: Path, **options: Any) -> Any:
    path = root.parent / "annotations.json"
    path.write_text(json.dumps(coco))
    return import_coco(path, root, root.parent / "frames", **options)


def test_round_trip_keeps_every_field_and_byte(small: tuple[Coco, Path], tmp_path: Path) -> None:
    coco, root = small
    report = _import(coco, root, shard_frames=2)
    assert (report.frames, report.persons, report.crowds) == (3, 4, 1)
    out = export_coco(tmp_path / "frames", tmp_path / "out")
    assert _canonical(out) == _canonical(coco)
    assert json.loads((tmp_path / "out" / "annotations.json").read_text()) == coco
    for image in coco["images"]:
        name = image["file_name"]
        assert (tmp_path / "out" / "images" / name).read_bytes() == (root / name).read_bytes()
    again = import_coco(tmp_path / "out" / "annotations.json", tmp_path / "out" / "images", tmp_path / "frames2")
    assert again.persons == 4


@pytest.mark.parametrize("seed", [0, 7])
def test_parts_share_no_image_and_hold_all(small: tuple[Coco, Path], tmp_path: Path, seed: int) -> None:
    coco, root = small
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(coco))
    parts = {"train": (0.0, 0.7), "test": (0.7, 1.0)}
    for name, part in parts.items():
        import_coco(path, root, tmp_path / name, part=part, seed=seed)
    train, test = ({frame.frame_id for frame in FramesFolder.open(tmp_path / name).iterate()} for name in parts)
    assert (len(train), len(test)) == (2, 1) and train | test == {1, 2, 9}
    with pytest.raises(UserError, match=r"has 3 images: too few to part at 0.9 and 1"):
        import_coco(path, root, tmp_path / "none", part=(0.9, 1.0), seed=seed)


def test_real_coco_round_trip(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "coco" / "mini"
    report = import_coco(folder / "person_keypoints.json", folder / "images", tmp_path / "frames", domain="real")
    assert (report.frames, report.persons, report.labelled) == (34, 169, 84)
    assert report.skipped == {}
    original = json.loads((folder / "person_keypoints.json").read_text())
    assert _canonical(export_coco(tmp_path / "frames", tmp_path / "out")) == _canonical(original)
    frames = FramesFolder.open(tmp_path / "frames")
    for frame in frames.iterate(["image", "source"]):
        assert frame.image == (folder / "images" / frame.source).read_bytes()


def test_ground_truth_scores_as_the_original_file(shared_data: Path, tmp_path: Path) -> None:
    """pycocotools is the oracle: the same predictions against the file and against the imported frames."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    folder = shared_data / "coco" / "mini"
    import_coco(folder / "person_keypoints.json", folder / "images", tmp_path / "frames")
    gt = frames_to_coco(tmp_path / "frames")
    (tmp_path / "gt.json").write_text(json.dumps(gt))
    stats = []
    for path in (folder / "person_keypoints.json", tmp_path / "gt.json"):
        truth = COCO(str(path))
        run = COCOeval(truth, truth.loadRes(str(folder / "perturbed_predictions.json")), "keypoints")
        run.evaluate()
        run.accumulate()
        run.summarize()
        stats.append(run.stats)
    np.testing.assert_array_equal(stats[0], stats[1])
    assert 0.05 < stats[0][0] < 0.99


def test_ground_truth_fills_what_is_absent(small: tuple[Coco, Path]) -> None:
    coco, root = small
    _import(coco, root)
    truth = {a["id"]: a for a in frames_to_coco(root.parent / "frames")["annotations"]}
    assert truth[8]["area"] == pytest.approx(truth[8]["bbox"][2] * truth[8]["bbox"][3], rel=1e-6)
    assert truth[8]["iscrowd"] == 0
    assert truth[11]["bbox"] == coco["annotations"][0]["bbox"]
    assert truth[11]["area"] == coco["annotations"][0]["area"]
    boxed = {a["id"]: a for a in frames_to_coco(root.parent / "frames", area="bbox")["annotations"]}
    assert boxed[11]["area"] == pytest.approx(10.123456789 * 20)
    with pytest.raises(UserError, match="'annotation' or 'bbox'"):
        frames_to_coco(root.parent / "frames", area="mask")


def test_rendered_frames_export(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(frames=5, persons=2)
    out = export_coco(folder, tmp_path / "out")
    assert [image["file_name"] for image in out["images"]] == [f"{1000 + i:012d}.jpg" for i in range(5)]
    assert [a["id"] for a in out["annotations"]][:3] == [1000001, 1000002, 1001001]
    assert out["annotations"][0]["num_keypoints"] == 17
    frame = folder.read([3])[0]
    assert person_id(frame, 1) == 1003002
    assert {a["id"] for a in out["annotations"]} == {a["id"] for a in frames_to_coco(folder)["annotations"]}
    report = import_coco(tmp_path / "out" / "annotations.json", tmp_path / "out" / "images", tmp_path / "back")
    back = FramesFolder.open(tmp_path / "back").read([3])[0]
    assert (report.frames, report.persons) == (5, 10)
    np.testing.assert_array_equal(back.persons[1].keypoints, frame.persons[1].keypoints)
    np.testing.assert_array_equal(back.persons[1].bbox, frame.persons[1].bbox)


def _drop(where: str, row: int, key: str) -> Callable[[Coco], None]:
    return lambda coco: coco[where][row].pop(key)


def _set(where: str, row: int, key: str, value: Any) -> Callable[[Coco], None]:
    return lambda coco: coco[where][row].__setitem__(key, value)


BAD = {
    "no id": (_drop("annotations", 0, "id"), r"annotation number 0: has no 'id'"),
    "no image id": (_drop("annotations", 1, "image_id"), r"annotation 5: has no 'image_id'"),
    "no keypoints": (_drop("annotations", 2, "keypoints"), r"annotation 7: has no 'keypoints'"),
    "no bbox": (_drop("annotations", 2, "bbox"), r"annotation 7: has no 'bbox'"),
    "15 keypoints": (_set("annotations", 0, "keypoints", [0] * 45), r"annotation 11: 'keypoints' .*51 .*found 45"),
    "text": (_set("annotations", 0, "bbox", [1, "2", 3, 4]), r"annotation 11: 'bbox' holds '2'"),
    "nan": (_set("annotations", 0, "keypoints", [float("nan")] * 51), r"annotation 11: 'keypoints' holds nan"),
    "inf": (_set("annotations", 1, "bbox", [1, 2, float("inf"), 4]), r"annotation 5: 'bbox' holds inf"),
    "nan area": (_set("annotations", 1, "area", float("nan")), r"annotation 5: 'area' holds nan"),
    "visibility": (_set("annotations", 1, "keypoints", [5] * 51), r"annotation 5: 'keypoints' has a visibility"),
    "crowd": (_set("annotations", 1, "iscrowd", 3), r"annotation 5: 'iscrowd' is 3"),
    "twice": (_set("annotations", 1, "id", 11), r"annotation 11: this id occurs twice"),
    "unknown image": (_set("annotations", 1, "image_id", 77), r"annotation 5: belongs to image 77"),
    "image twice": (_set("images", 2, "id", 2), r"image 2: this id occurs twice"),
    "text id": (_set("images", 2, "id", "x"), r"image x: 'id' must be an integer"),
    "no name": (_drop("images", 2, "file_name"), r"image 9: has no 'file_name'"),
    "height": (_set("images", 1, "height", 0), r"image 1: 'height' must be a positive"),
    "wrong size": (_set("images", 1, "height", 47), r"image 1 \(sub/b.jpg\): .*64×48.*64×47"),
    "missing": (_set("images", 1, "file_name", "z.jpg"), r"image 1 \(z.jpg\): there is no file"),
    "parent": (_set("images", 1, "file_name", "../annotations.json"), r"image 1 .*leaves the folder"),
    "absolute": (_set("images", 1, "file_name", "/etc/passwd"), r"image 1 .*leaves the folder"),
    "backslash": (_set("images", 1, "file_name", "..\\annotations.json"), r"image 1 .*leaves the folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_defects_are_refused_by_name_or_skipped_and_counted(name: str, small: tuple[Coco, Path]) -> None:
    coco, root = small
    spoil, message = BAD[name]
    spoil(coco)
    with pytest.raises(UserError, match=message):
        _import(coco, root)
    assert not (root.parent / "frames").exists()
    assert not list(root.parent.glob(".frames*")), "a failed import leaves nothing behind"
    report = _import(coco, root, on_bad="skip")
    assert sum(map(len, report.skipped.values())) >= 1
    assert report.frames + report.persons < 7
    assert "skipped" in report.summary()
    FramesFolder.open(root.parent / "frames")


@pytest.mark.parametrize(("data", "message"), [(b"GIF89a...", "neither JPEG nor PNG"), (b"", "neither JPEG nor PNG")])
def test_foreign_picture(small: tuple[Coco, Path], data: bytes, message: str) -> None:
    coco, root = small
    (root / "a.jpg").write_bytes(data)
    with pytest.raises(UserError, match=message):
        _import(coco, root)


def test_cut_pictures_are_noticed(small: tuple[Coco, Path]) -> None:
    coco, root = small
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    (root / "a.jpg").write_bytes(simplejpeg.encode_jpeg(noise, 95, "RGB", "444")[:-700])
    with pytest.raises(UserError, match=r"image 2 \(a.jpg\): broken JPEG"):
        _import(coco, root)
    report = _import(coco, root, on_bad="skip")
    assert (report.frames, report.persons) == (2, 2)


def test_symbolic_link_out_of_the_root(small: tuple[Coco, Path]) -> None:
    coco, root = small
    (root.parent / "secret.jpg").write_bytes(picture(1))
    (root / "a.jpg").unlink()
    os.symlink(root.parent / "secret.jpg", root / "a.jpg")
    with pytest.raises(UserError, match=r"image 2 \(a.jpg\).*link that leaves"):
        _import(coco, root)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not valid JSON"), ("[]", "holds a list"), ('{"images": []}', "'annotations' must be a list")],
)
def test_not_a_coco_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=message):
        import_coco(tmp_path / "x.json", tmp_path, tmp_path / "out")


def test_wrong_joint_set_is_refused(small: tuple[Coco, Path]) -> None:
    coco, root = small
    names = ["nose", "right_eye", "left_eye", *[f"k{i}" for i in range(14)]]
    for category, message in ((names, "keypoint 1 is 'right_eye'"), (names[:14], "category has 14 keypoints")):
        spoiled = copy.deepcopy(coco)
        spoiled["categories"][0]["keypoints"] = category
        with pytest.raises(UserError, match=message):
            _import(spoiled, root)


def test_target_folder_must_be_new(small: tuple[Coco, Path]) -> None:
    coco, root = small
    _import(coco, root)
    with pytest.raises(UserError, match="exists and is not empty"):
        _import(coco, root)
    with pytest.raises(UserError, match="exists and is not empty"):
        export_coco(root.parent / "frames", root.parent)


def test_boxes_alone_serve_as_unlabelled_data(small: tuple[Coco, Path]) -> None:
    coco, root = small
    for entry in coco["annotations"]:
        del entry["keypoints"], entry["num_keypoints"]
    report = _import(coco, root, need_keypoints=False)
    assert (report.persons, report.labelled) == (4, 0)
    assert _canonical(export_coco(root.parent / "frames")) == _canonical(coco)


def test_degenerate_area_is_reported(small: tuple[Coco, Path]) -> None:
    coco, root = small
    for entry in coco["annotations"]:
        entry["area"] = 5000
    report = _import(coco, root)
    assert any("degenerate area: area is 5000 for all 4" in text for text in report.warnings)
    assert any("1 of 3 images have no annotation" in text for text in report.warnings)


def test_degenerate_area_cases() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 20, 40], [0, 0, 5, 9]], float)
    assert degenerate_area(np.array([60.0, 500.0, 30.0]), boxes) is None
    assert "for all 3 persons" in str(degenerate_area(np.full(3, 800.0), boxes))
    assert "zero or negative for 1 of 3" in str(degenerate_area(np.array([60.0, 0, 30]), boxes))
    assert "larger than 1.5 times" in str(degenerate_area(np.array([600.0, 500, 30]), boxes))
    assert degenerate_area(np.full(2, 100.0), boxes[[0, 0]]) is None, "like boxes may have like areas"
    assert degenerate_area(np.zeros(0), np.zeros((0, 4))) is None
