"""The whole way: from a folder to one page, its figures as JSON, and the command's exit code."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from sim2pose.__main__ import app
from sim2pose.config import UserError
from sim2pose.datasets.coco_export import export_coco
from sim2pose.datasets.frames import Frame
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.audit import measure, read_other, summary, write_report
from sim2pose.render_farm.audit.measure import _spread

from .conftest import Spoil


def pictures(page: Path) -> list[np.ndarray]:
    data = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page.read_text())
    return [cv2.imdecode(np.frombuffer(base64.b64decode(each), np.uint8), cv2.IMREAD_COLOR) for each in data]


def count_persons(folder: FramesFolder) -> int:
    return sum(len(frame.persons) for frame in folder.iterate())


def test_a_page_of_sound_frames(infants: FramesFolder, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["data", "audit", str(infants.path), "--out", str(tmp_path / "a.html"), "--json", str(tmp_path / "a.json")]
    )
    assert result.exit_code == 0, result.output
    assert f"32 frames, {count_persons(infants)} persons, 0 label errors" in result.output
    text = (tmp_path / "a.html").read_text()
    for heading in ("Label checks", "Contact sheets", "Persons", "Visibility", "View", "Pose", "Nearest duplicates"):
        assert heading in text
    assert "http" not in text, "the page needs nothing else"
    drawn = pictures(tmp_path / "a.html")
    assert len(drawn) >= 9
    assert all(image is not None and image.std() > 5 for image in drawn)
    figures = json.loads((tmp_path / "a.json").read_text())
    assert figures["errors"] == 0
    assert figures["checks"]["parameters"]["verdict"] == "pass"
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


def test_wrong_labels_are_drawn_and_the_command_fails(spoil: Spoil, tmp_path: Path) -> None:
    def edit(frames: list[Frame]) -> None:
        frames[4].persons[0].bbox[:2] += 4

    folder = spoil(edit)
    page = tmp_path / "bad.html"
    result = CliRunner().invoke(app, ["data", "audit", str(folder.path), "--out", str(page), "--frames", "8"])
    assert result.exit_code == 1
    assert f"FAIL: box and area: 1 of {count_persons(folder)}, largest" in result.output
    assert "box and area: the worst of 1 over 0.01 px" in page.read_text()


def test_a_set_is_near_itself_and_far_from_its_crops(infants: FramesFolder, spoil: Spoil, tmp_path: Path) -> None:
    export_coco(infants, tmp_path / "coco", write_images=False)
    audit = measure(infants)
    same = summary(audit, read_other(tmp_path / "coco" / "annotations.json", audit.joints))["distances"]
    assert {name for name, row in same.items() if row["value"] > 1e-6} == set()
    assert "turned in the picture (upright)" in same

    def shrink(frames: list[Frame]) -> None:
        for frame in frames:
            for person in frame.persons:
                person.keypoints[:, :2] /= 2
                person.bbox /= 2

    far = summary(audit, read_other(spoil(shrink).path, audit.joints))["distances"]
    assert far["box height / picture height"]["value"] > 1
    assert far["brightness"]["value"] == 0


def test_another_joint_set_of_the_folder(infants: FramesFolder, tmp_path: Path) -> None:
    audit = measure(infants, "openpose25", frames=4)
    assert len(audit.pictures.positions) == 4
    page = write_report(infants, audit, None, tmp_path / "o.html").read_text()
    assert "joint set openpose25" in page


def test_what_cannot_be_compared_is_refused(infants: FramesFolder, tmp_path: Path) -> None:
    export_coco(infants, tmp_path / "coco", write_images=False)
    audit = measure(infants, "openpose25", frames=2)
    with pytest.raises(UserError, match="keypoints"):
        read_other(tmp_path / "coco" / "annotations.json", audit.joints)
    with pytest.raises(UserError, match="does not label joint set 'smpl24' but coco17, openpose25"):
        measure(infants, "smpl24")
    with pytest.raises(UserError, match="no folder of frames"):
        read_other(tmp_path / "nothing", audit.joints)


def test_frames_without_people(spoil: Spoil, tmp_path: Path) -> None:
    def edit(frames: list[Frame]) -> None:
        for frame in frames:
            frame.persons = []

    folder = spoil(edit)
    page = write_report(folder, measure(folder), None, tmp_path / "empty.html").read_text()
    assert "No person has labelled keypoints" in page


def test_samples_are_spread_and_repeatable() -> None:
    found = _spread(10_000, 100)
    assert len(found) == 100
    assert np.diff(found).max() < 200
    np.testing.assert_array_equal(found, _spread(10_000, 100))
    assert _spread(7, 100).tolist() == list(range(7))
