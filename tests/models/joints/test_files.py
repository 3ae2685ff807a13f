"""Joint sets from files, and those that data sets bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim2pose.config import UserError
from sim2pose.datasets.frames import DatasetInfo, dataset_info
from sim2pose.models.joints import JOINT_SETS, joint_set

STICK = {
    "name": "stick5",
    "joints": ["left_hand", "right_hand", "left_foot", "right_foot", "head"],
    "sigmas": [0.06, 0.06, 0.09, 0.09, 0.05],
    "skeleton": [["head", "left_hand"], ["head", "right_hand"]],
}


def write(path: Path, **changes: object) -> str:
    path.write_text(json.dumps({k: v for k, v in {**STICK, **changes}.items() if v is not None}))
    return str(path)


def test_a_file_is_a_joint_set_wherever_a_name_is(tmp_path: Path) -> None:
    found = joint_set(write(tmp_path / "mine.json"))
    assert found.joints == tuple(STICK["joints"])
    assert found.flip_pairs == ((0, 1), (2, 3))
    assert found.sigmas == tuple(STICK["sigmas"])
    assert found.skeleton == ((4, 0), (4, 1))
    assert joint_set("stick5") == found
    assert "stick5" not in JOINT_SETS, "the built-in ones stay as they are"
    other = joint_set(write(tmp_path / "mine.json", sigmas=[0.1] * 5))
    assert other.sigmas == (0.1,) * 5, "the file counts, whatever was read before"


def test_yaml_pairs_by_name_and_the_files_own_name(tmp_path: Path) -> None:
    path = tmp_path / "crab.yaml"
    path.write_text("joints: [claw_a, claw_b, shell]\nflip_pairs: [[claw_b, claw_a]]\nsigmas: [5e-2, 0.05, 1e-1]\n")
    found = joint_set(str(path))
    assert (found.name, found.flip_pairs, found.sigmas) == ("crab", ((1, 0),), (0.05, 0.05, 0.1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": None}, "must hold 'joints"),
        ({"joints": "head"}, "'joints' must be a list of names"),
        ({"sigma": [1]}, "unknown key 'sigma': did you mean 'sigmas'"),
        ({"sigmas": [0.1] * 4}, "sigmas must be 5 positive numbers"),
        ({"sigmas": [0.1, 0.1, 0.1, 0.1, -1]}, "sigmas must be 5 positive numbers"),
        ({"sigmas": ["a"] * 5}, "'sigmas' must be a list of numbers"),
        (
            {"flip_pairs": [["left_hand", "right_hnd"]]},
            "names 'right_hnd', which is no joint: did you mean 'right_hand'",
        ),
        ({"flip_pairs": [["left_hand"]]}, "must be a list of pairs"),
        ({"flip_pairs": [["left_hand", "right_hand"], ["head", "left_hand"]]}, "is in two flip pairs"),
        ({"joints": ["left_hand", "head"], "sigmas": None, "skeleton": []}, "'left_hand' has no partner"),
        ({"joints": ["head", "head"], "sigmas": None, "skeleton": []}, "joint 'head' occurs twice"),
        ({"name": "coco17"}, "'coco17' is known with other joints"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        joint_set(write(tmp_path / "mine.json", **changes))


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read joint set"):
        joint_set(str(tmp_path / "none.yaml"))
    (tmp_path / "broken.yaml").write_text("joints: [a")
    with pytest.raises(UserError, match="neither YAML nor JSON"):
        joint_set(str(tmp_path / "broken.yaml"))


def test_a_data_set_brings_its_joint_set_along(tmp_path: Path) -> None:
    info = dataset_info(write(tmp_path / "mine.json", name="brought"))
    text = info.to_json().replace("brought", "elsewhere")  # as if written by another process
    with pytest.raises(UserError, match="unknown joint set 'elsewhere'"):
        joint_set("elsewhere")
    DatasetInfo.from_json(text, "shard")
    assert joint_set("elsewhere").sigmas == tuple(STICK["sigmas"])
    with pytest.raises(UserError, match="shard 2: joint set 'elsewhere' is known with other joints"):
        DatasetInfo.from_json(text.replace("left_foot", "left_paw"), "shard 2")
