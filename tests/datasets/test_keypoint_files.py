"""Keypoint files for fitting: three layouts in, every bad person named and left out, the rest goes on."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.keypoint_files import FORMATS, PersonKeypoints, read_keypoints
from sim2pose.models.joints import joint_set

from .conftest import picture  # 64×48 JPEGs

NAN = float("nan")


def _points(count: int, seed: int = 0, confidence: float = 2) -> list[float]:
    xy = np.random.default_rng(seed).uniform(5, 40, (count, 2)).round(1)
    return np.concatenate([xy, np.full((count, 1), confidence)], axis=1).reshape(-1).tolist()


def _write(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def _fidip(path: Path, values: Any = None) -> Path:
    return _write(path, {"annotations": _points(19) if values is None else values})


def _openpose(path: Path, *people: Any) -> Path:
    return _write(path, {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": p} for p in people]})


def _coco(path: Path, *entries: dict[str, Any], **image: Any) -> Path:
    """Annotations of ids 1, 2, … with good fields where nothing else is said."""
    annotations = [
        {"id": i, "image_id": 5, "category_id": 1, "keypoints": _points(17, i), "bbox": [1, 2, 30, 40]} | entry
        for i, entry in enumerate(entries, start=1)
    ]
    listed = {"id": 5, "file_name": "a.jpg", "width": 64, "height": 48} | image
    categories = [{"id": 1, "name": "person", "keypoints": list(joint_set("coco17").joints)}]
    return _write(path, {"images": [listed], "annotations": annotations, "categories": categories})


def test_fidip(tmp_path: Path) -> None:
    values = _points(19)
    values[2::3] = [0, 1, 2] + [2] * 16
    found = read_keypoints(_fidip(tmp_path / "baby_keypoints.json", values), width=640, height=480)
    (person,) = found.people
    assert found.problems == []
    assert (person.id, person.joint_set, person.width, person.height) == ("baby", "fidip19", 640, 480)
    assert person.keypoints[:4, 2].tolist() == [0, 1, 1, 1]
    np.testing.assert_array_equal(person.keypoints[:, :2], np.reshape(values, (19, 3))[:, :2])
    assert (person.image, person.bbox, person.source) == (None, None, str(tmp_path / "baby_keypoints.json"))
    half = read_keypoints(tmp_path / "*.json", width=640, height=480, occluded=0.5).people[0]
    assert half.keypoints[:4, 2].tolist() == [0, 0.5, 1, 1]


def test_openpose(tmp_path: Path) -> None:
    sure = _points(25, confidence=0.75)
    sure[2], sure[5] = 1.02, 0.0
    found = read_keypoints(_openpose(tmp_path / "f_keypoints.json", sure, _points(25, 1, 0.5)), width=64, height=48)
    assert [p.id for p in found.people] == ["f_0", "f_1"]
    assert found.people[0].joint_set == "openpose25"
    assert found.people[0].keypoints[:3, 2].tolist() == [1.0, 0.0, 0.75]
    assert read_keypoints(_openpose(tmp_path / "nobody.json")).people == []


def test_coco(tmp_path: Path) -> None:
    hidden = _points(17)
    hidden[2::3] = [0, 1] + [2] * 15
    path = _coco(
        tmp_path / "x.json", {"keypoints": hidden}, {"num_keypoints": 0}, {"iscrowd": 1}, {"id": 70, "bbox": None}
    )
    found = read_keypoints(path)
    assert [p.id for p in found.people] == ["x_1", "x_70"]
    assert (found.unlabelled, found.problems) == (2, [])
    first = found.people[0]
    assert (first.joint_set, first.width, first.height) == ("coco17", 64, 48)
    assert first.keypoints[:3, 2].tolist() == [0, 1, 1]
    assert first.bbox is not None
    assert first.bbox.tolist() == [1, 2, 30, 40]
    assert found.people[1].bbox is None
    assert read_keypoints(path, occluded=0.0).people[0].keypoints[:3, 2].tolist() == [0, 0, 1]


def test_coco_category_says_which_joints(tmp_path: Path) -> None:
    data = json.loads(_coco(tmp_path / "x.json", {"keypoints": _points(25)}, {"category_id": 3}).read_text())
    data["categories"] = [{"id": 1, "keypoints": list(joint_set("openpose25").joints)}, {"id": 3, "name": "dog"}]
    found = read_keypoints(_write(tmp_path / "y.json", data))
    assert [(p.id, p.joint_set) for p in found.people] == [("y_1", "openpose25")]
    assert found.unlabelled == 1
    data["categories"][0]["keypoints"] = ["nose", "tail"]
    with pytest.raises(UserError, match=r"y.json: category 1 has 2 keypoints \['nose', 'tail'\] …, which is no known"):
        read_keypoints(_write(tmp_path / "y.json", data))
    del data["categories"]
    data["annotations"][0]["keypoints"] = _points(17)
    assert read_keypoints(_write(tmp_path / "y.json", data)).people[0].joint_set == "coco17"


def test_real_coco(shared_data: Path) -> None:
    folder = shared_data / "coco" / "mini"
    found = read_keypoints(folder / "person_keypoints.json", images=folder / "images")
    assert (len(found.people), found.unlabelled, found.problems) == (84, 85, [])
    data = json.loads((folder / "person_keypoints.json").read_text())
    by_id = {f"person_{a['id']}": a for a in data["annotations"]}
    images = {image["id"]: image for image in data["images"]}
    for person in found.people:
        original = np.reshape(by_id[person.id]["keypoints"], (17, 3))
        np.testing.assert_array_equal(person.keypoints[:, :2], original[:, :2])
        np.testing.assert_array_equal(person.keypoints[:, 2], original[:, 2] > 0)
        assert person.bbox is not None
        assert person.bbox.tolist() == by_id[person.id]["bbox"]
        assert person.image is not None
        assert person.image.is_file()
        image = images[by_id[person.id]["image_id"]]
        assert (person.image.name, person.width, person.height) == (image["file_name"], image["width"], image["height"])
    beside = read_keypoints(folder / "person_keypoints.json")
    assert [p.image for p in beside.people] == [p.image for p in found.people], "found in the folder 'images' beside"


def test_real_wholebody(shared_data: Path) -> None:
    path = shared_data / "coco" / "xtcoco" / "example_wholebody_val.json"
    body, whole = read_keypoints(path), read_keypoints(path, format="coco_wholebody")
    assert len(body.people) == len(whole.people) == 24
    assert body.problems == whole.problems == []
    for a, b in zip(body.people, whole.people, strict=True):
        assert (a.joint_set, b.joint_set) == ("coco17", "coco_wholebody133")
        np.testing.assert_array_equal(a.keypoints, b.keypoints[:17])
    feet, face = (np.array([p.keypoints[a:b, 2] for p in whole.people]) for a, b in ((17, 23), (23, 91)))
    assert set(np.unique(feet)) == set(np.unique(face)) == {0.0, 1.0}


def test_pictures_give_the_size(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for place, file in ((tmp_path, "a"), (tmp_path / "images", "b"), (tmp_path / "images", "c_keypoints")):
        (place / f"{file}.jpg").write_bytes(picture(0))
    for name in "abc":
        _fidip(tmp_path / f"{name}_keypoints.json")
    _fidip(tmp_path / "d_keypoints.json")
    found = read_keypoints(tmp_path, width=7, height=9)
    sizes = {p.id: (p.width, p.height, p.image and p.image.name) for p in found.people}
    assert sizes == {
        "a": (64, 48, "a.jpg"),
        "b": (64, 48, "b.jpg"),
        "c": (64, 48, "c_keypoints.jpg"),
        "d": (7, 9, None),
    }
    without = read_keypoints(tmp_path)
    assert [p.id for p in without.people] == ["a", "b", "c"]
    assert without.problems == [
        f"{tmp_path / 'd_keypoints.json'}: person 'd': image size missing: give width= and height=, or images= with the "
        "folder of pictures"
    ]
    asked = read_keypoints(tmp_path, images=tmp_path / "images", width=7, height=9)
    assert [p.id for p in asked.people] == ["b", "c"]
    assert "person 'a': there is no picture" in asked.problems[0]


def _spoiled(place: int, value: Any, count: int = 17) -> list[Any]:
    values: list[Any] = _points(count)
    values[place] = value
    return values


BAD_COCO = {
    "count": ({"keypoints": _points(15)}, "'keypoints' has 45 numbers, 51 expected"),
    "nan": ({"keypoints": _spoiled(3, NAN)}, "'keypoints' holds nan for 'left_eye', which is no finite number"),
    "infinity": ({"keypoints": _spoiled(4, float("inf"))}, "holds inf for 'left_eye'"),
    "text": ({"keypoints": _spoiled(0, "7")}, "holds '7' for 'nose'"),
    "huge": ({"keypoints": _spoiled(0, 10**400)}, "holds 1000.* … for 'nose', which is no finite number"),
    "object": ({"keypoints": {"nose": 1}}, "must be a list of 51 numbers, found dict"),
    "visibility": ({"keypoints": _points(17, confidence=3)}, "a visibility is 3, must be 0, 1 or 2"),
    "zero": ({"keypoints": _points(17, confidence=0)}, "all confidences are zero"),
    "one spot": ({"keypoints": [7, 7, 2] * 17}, "all 17 keypoints lie within 2 pixels"),
    "box": ({"bbox": [1, 2, 0, 5]}, r"'bbox' must be x, y, width, height with an extent"),
    "box text": ({"bbox": [1, 2, "3", 5]}, "'bbox' must be a list of 4 finite numbers"),
    "box nan": ({"bbox": [1, 2, NAN, 5]}, "'bbox' must be a list of 4 finite numbers"),
    "image": ({"image_id": 6}, "belongs to image 6, which the file does not list"),
    "short box": ({"bbox": [1, 2, 3]}, "'bbox' must be x, y, width, height"),
    "unhashable image": ({"image_id": [6]}, r"belongs to image \[6\], which the file does not list"),
}


@pytest.mark.parametrize("name", BAD_COCO)
def test_a_bad_person_is_named_and_the_others_go_on(name: str, tmp_path: Path) -> None:
    entry, message = BAD_COCO[name]
    found = read_keypoints(_coco(tmp_path / "x.json", {}, entry, {}))
    assert [p.id for p in found.people] == ["x_1", "x_3"]
    (problem,) = found.problems
    assert problem.startswith(f"{tmp_path / 'x.json'}: person 'x_2': ")
    assert re.search(message, problem), problem


@pytest.mark.parametrize(("identity", "shown"), [("7", "x_number1"), (-3, "x_number1"), (1, "x_1")])
def test_bad_ids(identity: Any, shown: str, tmp_path: Path) -> None:
    found = read_keypoints(_coco(tmp_path / "x.json", {}, {"id": identity}))
    assert [p.id for p in found.people] == ["x_1"]
    assert f"person '{shown}': " in found.problems[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            _points(18, confidence=1),
            "has 54 numbers, 75 expected .*OpenPose's COCO model with 18 joints is not supported",
        ),
        (_points(25, confidence=1.5), "confidence of 'nose' is 1.5, must be 0 to 1"),
        (_points(25, confidence=-0.1), "confidence of 'nose' is -0.1"),
        ((np.reshape(_points(25, confidence=0.5), (25, 3)) / [64, 48, 1]).reshape(-1).tolist(), "write pixels"),
        (None, "must be a list of 75 numbers, found NoneType"),
    ],
)
def test_bad_openpose_people(values: Any, message: str, tmp_path: Path) -> None:
    path = _openpose(tmp_path / "f.json", _points(25, confidence=1), values)
    found = read_keypoints(path, width=64, height=48)
    assert [p.id for p in found.people] == ["f_0"]
    assert re.search(f"person 'f_1': .*{message}", found.problems[0]), found.problems[0]
    lacking = read_keypoints(_write(tmp_path / "g.json", {"people": [{}]}), width=64, height=48)
    assert "person 'g_0': has no 'pose_keypoints_2d'" in lacking.problems[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (_points(17), "'annotations' has 51 numbers, 57 expected"),
        ([], "'annotations' has 0 numbers, 57 expected"),
        (_points(19, confidence=0.5), "a visibility is 0.5, must be 0, 1 or 2"),
        ([5, 5, 0] * 19, "all confidences are zero"),
    ],
)
def test_bad_fidip_files(values: Any, message: str, tmp_path: Path) -> None:
    found = read_keypoints(_fidip(tmp_path / "baby_keypoints.json", values), width=64, height=48)
    assert found.people == []
    assert message in found.problems[0]
    assert "person 'baby'" in found.problems[0]


BAD_FILES = {
    "no json": ("{", "is not valid JSON"),
    "binary": ("\x00\x01", "is not valid JSON"),
    "deep": ("[" * 100_000, "is not valid JSON"),
    "unknown": ({"keypoints": []}, "is of no known layout"),
    "results": ([{"image_id": 1, "keypoints": []}], "COCO results name no pictures' sizes"),
    "empty list": ([], "is of no known layout"),
    "no images": ({"annotations": [{"id": 1}]}, "'images' must be a list of objects"),
    "bad images": ({"annotations": [], "images": [3]}, "'images' must be a list of objects"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_alone_and_listed_among_others(name: str, tmp_path: Path) -> None:
    data, message = BAD_FILES[name]
    bad = _write(tmp_path / "bad.json", data)
    with pytest.raises(UserError, match=f"bad.json: .*{message}"):
        read_keypoints(bad)
    _coco(tmp_path / "good.json", {})
    found = read_keypoints(tmp_path)
    assert [p.id for p in found.people] == ["good_1"]
    assert len(found.problems) == 1
    assert found.problems[0].startswith(str(bad))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"file_name": "../secret.jpg"}, "leaves the folder of images"),
        ({"file_name": "/etc/passwd"}, "leaves the folder of images"),
        ({"file_name": "..\\secret.jpg"}, "leaves the folder of images"),
        ({"file_name": "link.jpg"}, "link that leaves the folder"),
        ({"file_name": 3}, "'file_name' of its image is 3"),
        ({"file_name": "none.jpg"}, "there is no picture"),
        ({"file_name": "text.jpg"}, "text.jpg: .*neither JPEG nor PNG"),
        ({"width": 63}, "is 64×48, the file says 63×48"),
    ],
)
def test_bad_pictures(image: dict[str, Any], message: str, tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    (root / "a.jpg").write_bytes(picture(0))
    (root / "text.jpg").write_text("hello")
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    os.symlink(tmp_path / "secret.jpg", root / "link.jpg")
    path = _coco(tmp_path / "notes" / "x.json", {}, **image)
    found = read_keypoints(path, images=root)
    assert found.people == []
    assert re.search(message, found.problems[0]), found.problems[0]


def test_sizes_that_are_no_sizes_are_missing(tmp_path: Path) -> None:
    for size in ({"width": 0}, {"height": None}, {"width": "64"}, {"width": True}):
        path = _coco(tmp_path / "x.json", {}, **size)
        assert "person 'x_1': image size missing" in read_keypoints(path).problems[0]
        assert read_keypoints(path, width=64, height=48).people[0].width == 64


def test_like_names_of_unlike_folders(tmp_path: Path) -> None:
    for folder in ("left", "right"):
        _fidip(tmp_path / folder / "f_keypoints.json")
    _fidip(tmp_path / "left" / "sub" / "g_keypoints.json")
    found = read_keypoints(tmp_path / "**" / "*.json", width=64, height=48)
    assert [p.id for p in found.people] == ["left_f", "g", "right_f"]
    _fidip(tmp_path / "other" / "left" / "f_keypoints.json")
    again = read_keypoints(tmp_path / "**" / "*.json", width=64, height=48)
    assert len({p.id for p in again.people}) == len(again.people) == 3
    assert "person 'left_f': this id occurs twice" in again.problems[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "openpse"}, "did you mean 'openpose'"),
        ({"format": "openpose"}, "looks like format=fidip, not openpose"),
        ({"width": 64}, "go together, got width=64 height=None"),
        ({"width": 0, "height": 3}, "positive and go together"),
        ({"images": "nowhere"}, "no folder of images at nowhere"),
        ({"occluded": 2}, "occluded must be a confidence from 0 to 1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = _fidip(tmp_path / "a.json")
    with pytest.raises(UserError, match=message):
        read_keypoints(path, **options)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no keypoint file matches .*none\.json"):
        read_keypoints(tmp_path / "none.json")
    with pytest.raises(UserError, match=r"no \.json file in"):
        read_keypoints(tmp_path)
    assert FORMATS == ("fidip", "openpose", "coco", "coco_wholebody")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": np.ones((16, 3))}, "keypoints are 16×3 numbers, 'coco17' needs 17×3"),
        ({"keypoints": np.full((17, 3), NAN)}, r"'nose' holds NaN or infinity \(17 such"),
        ({"width": 0}, "size is 0×48"),
        ({"joint_set": "coco71"}, "did you mean 'coco17'"),
        ({"bbox": np.ones(3)}, "'bbox' must be"),
    ],
)
def test_a_person_made_in_code_is_checked_too(change: dict[str, Any], message: str) -> None:
    good = {"id": "me", "joint_set": "coco17", "keypoints": np.reshape(_points(17, confidence=1), (17, 3))}
    size = {"width": 64, "height": 48}
    assert PersonKeypoints(**good, **size).keypoints.dtype == np.float64
    with pytest.raises(UserError, match=message):
        PersonKeypoints(**(good | size | change))
