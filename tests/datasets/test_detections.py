"""Detections files: sorted, counted, and refused in one sentence where they are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.detections import read_detections

GOOD = {"image_id": 3, "category_id": 1, "bbox": [1, 2, 30.5, 40], "score": 0.5}


def write(tmp_path: Path, rows: Any) -> Path:
    path = tmp_path / "found.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


def test_boxes_are_sorted_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    rows = [
        GOOD,
        {**GOOD, "score": 0.9},
        {**GOOD, "score": 0.7},
        {**GOOD, "score": 0.01},
        {**GOOD, "category_id": 62},
        {**GOOD, "image_id": 99},
        {**GOOD, "bbox": [1, 2, 0, 40]},
        {**GOOD, "image_id": 4, "segmentation": {}},
    ]
    found = read_detections(write(tmp_path, rows), [3, 4, 5], min_score=0.05, top=2)
    np.testing.assert_array_equal(found.boxes[3], [[1, 2, 30.5, 40, 0.9], [1, 2, 30.5, 40, 0.7]])
    assert (len(found.boxes[4]), len(found.boxes[5])) == (1, 0)
    assert found.counts == {
        "used": 3,
        "of other categories": 1,
        "of pictures not in the data": 1,
        "below min_score": 1,
        "without area": 1,
        "beyond top": 1,
    }
    assert "found.json: 3 used, 1 of other categories, " in found.describe()
    assert found.describe().endswith("1 of 3 frames have none")
    assert read_detections(write(tmp_path, rows), [3], category=62).counts["used"] == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GOOD, {k: v for k, v in GOOD.items() if k != "bbox"}], r"found.json, row 1 has no 'bbox'"),
        ([GOOD, {k: v for k, v in GOOD.items() if k != "score"}], r"row 1 has no 'score'"),
        ([{**GOOD, "bbox": [1, 2, 3]}], r"row 0: 'bbox' must be four finite numbers .*, is \[1, 2, 3\]"),
        ([{**GOOD, "bbox": [1, 2, 3, float("nan")]}], r"row 0: 'bbox' must be four finite numbers"),
        ([{**GOOD, "score": "high"}], r"row 0: 'score' must be a finite number, is 'high'"),
        ([{**GOOD, "image_id": "3"}], r"row 0: 'image_id' must be an integer, is '3'"),
        ([[1, 2]], r"row 0 is a list"),
        ({"images": [], "annotations": []}, r"must be a JSON list .*this is a file of annotations"),
        ("{", r"found.json are not JSON"),
        ([{**GOOD, "image_id": 7}], r"has no box to use: .*1 of pictures not in the data"),
        ([], r"has no box to use"),
    ],
)
def test_bad_files_are_refused_with_file_row_and_key(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_detections(write(tmp_path, rows), [3])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read detections"):
        read_detections(tmp_path / "none.json", [3])
