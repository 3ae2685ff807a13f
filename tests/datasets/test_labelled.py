"""Further joint sets of a person, by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.frames import Frame, Person, dataset_info
from sim2pose.datasets.labelled import (
    labelled_sets,
    locate_set,
    person_keypoints,
    person_keypoints_3d,
    with_joint_set,
)
from sim2pose.datasets.persons import PersonDataset, all_keypoints
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder

from .conftest import picture

INFO = dataset_info("coco17", more_joint_sets=("openpose25", "smpl24"))


def numbered(number: float = 0.0) -> Person:
    """A person whose point i (of 66) lies at x = i + number."""
    points = np.zeros((66, 3), np.float32)
    points[:, 0], points[:, 2] = np.arange(66) + number, 2
    return Person(np.float32([0, 0, 60, 40]), points[:17], 2400.0, points[:17], "", more_keypoints=points[17:])


def test_sets_lie_one_after_the_other() -> None:
    assert labelled_sets(INFO) == ("coco17", "openpose25", "smpl24")
    assert (locate_set(INFO, "smpl24").start, locate_set(INFO, "smpl24").count) == (25, 24)
    person = numbered()
    for name, first, count in ((None, 0, 17), ("coco17", 0, 17), ("openpose25", 17, 25), ("smpl24", 42, 24)):
        np.testing.assert_array_equal(person_keypoints(person, INFO, name)[:, 0], np.arange(first, first + count))


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"do not label joint set 'h36m17' but coco17, openpose25, smpl24"):
        person_keypoints(numbered(), INFO, "h36m17")
    with pytest.raises(UserError, match="no 'more_keypoints_3d'"):
        person_keypoints_3d(numbered(), INFO, "smpl24")


def test_a_person_in_another_set() -> None:
    person = numbered()
    assert with_joint_set(person, INFO, None) is person
    other = with_joint_set(person, INFO, "smpl24")
    assert other.keypoints.shape == (24, 3)
    assert other.keypoints_3d is None
    assert other.bbox is person.bbox


def test_training_may_take_a_further_set(tmp_path: Path) -> None:
    frames = [Frame(i, picture(i), 48, 64, "synthetic", persons=[numbered(100.0 * i)]) for i in range(5)]
    entry = publish_shard(tmp_path, 0, frames, INFO)
    write_manifest(tmp_path, [entry], INFO)
    folder = FramesFolder.open(tmp_path)
    points = all_keypoints(folder, "openpose25")
    assert points.shape == (5, 25, 3)
    np.testing.assert_array_equal(points[:, 0, 0], 17 + 100 * np.arange(5))
    people = PersonDataset(folder, domain=1, joint_set="smpl24")
    assert people.joint_set.name == "smpl24"
    np.testing.assert_array_equal(people.keypoints[2, :, 0], 242 + np.arange(24))
    with pytest.raises(UserError, match="h36m17"):
        PersonDataset(folder, domain=1, joint_set="h36m17")
