"""Photographs: found, numbered, stood upright as OpenCV does it, and joined with a detector's boxes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sim2pose.config import UserError
from sim2pose.datasets.photographs import (
    ORIENTATION,
    Photograph,
    decode_upright,
    find_photographs,
    orientation,
    read_boxes,
    stored_to_upright,
    upright_size,
)


def jpeg(turned: int, wh: tuple[int, int] = (48, 32)) -> bytes:
    """A smooth picture, all corners different, stored with an EXIF orientation."""
    x, y = np.meshgrid(np.linspace(0, 255, wh[0]), np.linspace(0, 255, wh[1]))
    picture = Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))
    exif = Image.Exif()
    exif[ORIENTATION] = turned
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("turned", range(1, 9))
def test_upright_is_opencvs_upright_and_the_map_leads_there(turned: int) -> None:
    data = jpeg(turned)
    found, size = orientation(data)
    assert (found, size) == (turned, (48, 32))
    upright = decode_upright(data)
    reference = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert upright.shape == reference.shape
    assert upright.shape[1::-1] == upright_size(turned, size)
    assert np.abs(upright.astype(int) - reference).mean() < 3
    stored = decode_upright(jpeg(1))
    affine = stored_to_upright(turned, size)
    for x, y in ((0, 0), (47, 0), (5, 30)):
        u, v = (affine[:, :2] @ (x, y) + affine[:, 2]).astype(int)
        assert np.abs(upright[v, u].astype(int) - stored[y, x]).max() < 12, "the map takes a pixel where it went"


def files(folder: Path, *names: str) -> list[Photograph]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(1))
    return find_photographs(folder)


def test_numbers_are_names_where_all_have_such(tmp_path: Path) -> None:
    named = files(tmp_path / "coco", "000000000139.jpg", "000000000009.jpg")
    assert [(p.id, p.name) for p in named] == [(9, "000000000009.jpg"), (139, "000000000139.jpg")]
    mixed = files(tmp_path / "own", "b/party.JPG", "a.png", "7.jpg")
    (tmp_path / "own" / "notes.txt").write_text("no picture")
    assert [(p.id, p.name) for p in mixed] == [(1, "7.jpg"), (2, "a.png"), (3, "b/party.JPG")]
    assert [p.name for p in find_photographs(tmp_path / "own" / "a.png")] == ["a.png"]
    with pytest.raises(UserError, match="no picture or folder"):
        find_photographs(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no pictures"):
        find_photographs(tmp_path / "empty")


def boxes(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_boxes_find_their_pictures_in_three_ways(tmp_path: Path) -> None:
    pictures = files(tmp_path / "p", "sub/one.jpg", "two.jpg")
    row = {"bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1}
    by_name = boxes(tmp_path / "a.json", [{**row, "file_name": "one.jpg"}, {**row, "image_id": "two.jpg"}])
    listed = boxes(
        tmp_path / "b.json",
        {
            "images": [{"id": 70, "file_name": "sub/one.jpg"}, {"id": 71, "file_name": "two.jpg"}],
            "annotations": [{**row, "image_id": 70}, {"bbox": [1, 2, 3, 4], "image_id": 71, "category_id": 1}],
        },
    )
    for path, score in ((by_name, 0.5), (listed, 1.0)):
        found = read_boxes(path, pictures)
        assert found.boxes[1].tolist() == [[1, 2, 3, 4, 0.5]]
        assert found.boxes[2][0, 4] == score
    numbers = files(tmp_path / "n", "0139.jpg")
    assert read_boxes(boxes(tmp_path / "c.json", [{**row, "image_id": 139}]), numbers).counts["used"] == 1


def test_boxes_of_other_pictures_are_counted_or_refused(tmp_path: Path) -> None:
    pictures = files(tmp_path / "p", "one.jpg", "two.jpg")
    row = {"bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1}
    found = read_boxes(
        boxes(tmp_path / "a.json", [{**row, "file_name": "one.jpg"}, {**row, "file_name": "x.jpg"}]), pictures
    )
    assert found.counts["of pictures not in the data"] == 1
    assert len(found.boxes[2]) == 0
    with pytest.raises(UserError, match=r"it names 'on.jpg'; did you mean 'one.jpg'"):
        read_boxes(boxes(tmp_path / "b.json", [{**row, "file_name": "on.jpg"}]), pictures)
    with pytest.raises(UserError, match=r"image_id 2, which no picture is called: give file_name"):
        read_boxes(boxes(tmp_path / "c.json", [{**row, "image_id": 2}]), pictures)
    (tmp_path / "d.json").write_text("{")
    with pytest.raises(UserError, match="are not JSON"):
        read_boxes(tmp_path / "d.json", pictures)
    with pytest.raises(UserError, match="'bbox' must be four finite numbers"):
        read_boxes(boxes(tmp_path / "e.json", [{**row, "file_name": "one.jpg", "bbox": [1]}]), pictures)
