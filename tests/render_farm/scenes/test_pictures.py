"""Folders of pictures: crops that repeat, and files that cannot be read named, skipped and counted."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.geometry import camera_matrix
from sim2pose.render_farm.scenes.pictures import Pictures, pictures_digest
from sim2pose.render_farm.scenes.scene import Camera

CAMERA = Camera(camera_matrix(50.0, 64, 48), np.eye(3), np.zeros(3), 64, 48)


def _photo(path: Path, colour: int = 200) -> None:
    cv2.imwrite(str(path), np.full((200, 300, 3), (0, 0, colour), np.uint8))


def test_photographs_are_cropped_to_the_picture(tmp_path: Path) -> None:
    _photo(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    pictures = Pictures(tmp_path, 0)
    assert pictures.panorama(0) is None
    crop = pictures.photo(np.random.default_rng(0), 0, CAMERA)
    assert crop.shape == (48, 64, 3) and crop.dtype == np.uint8
    np.testing.assert_array_equal(crop[10, 10], (200, 0, 0))
    np.testing.assert_array_equal(crop, pictures.photo(np.random.default_rng(0), 0, CAMERA))


def test_large_folders_are_thinned_by_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim2pose.render_farm.scenes.pictures.POOL", 3)
    for k in range(8):
        _photo(tmp_path / f"{k}.png", 20 * k + 20)
    chosen = [[p.name for p in Pictures(tmp_path, seed).files] for seed in (0, 0, 1, 2, 3)]
    assert len(chosen[0]) == 3 and chosen[0] == chosen[1] and any(c != chosen[0] for c in chosen[2:])


BROKEN = {
    "text.jpg": b"\xff\xd8 not a picture",
    "empty.png": b"",
    "half.hdr": b"#?RADIANCE\nbroken",
    "square.hdr": np.full((16, 16, 3), 0.5, np.float32),
    "black.hdr": np.zeros((16, 32, 3), np.float32),
}


def _write(path: Path, content: bytes | np.ndarray) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        cv2.imwrite(str(path), content)


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read_is_named_and_skipped(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    _photo(tmp_path / "good.png")
    _write(tmp_path / name, BROKEN[name])
    with caplog.at_level(logging.WARNING):
        pictures = Pictures(tmp_path, 0)
        Pictures(tmp_path, 1)
    assert [p.name for p in pictures.files] == ["good.png"] and name in pictures.skipped[name]
    assert len(caplog.records) == 1 and "1 of 2 pictures" in caplog.text and name in caplog.text


def test_a_folder_without_a_readable_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        Pictures(tmp_path / "nowhere", 0)
    with pytest.raises(UserError, match=r"no \.jpg"):
        Pictures(tmp_path, 0)
    for name, content in BROKEN.items():
        _write(tmp_path / name, content)
    with pytest.raises(UserError, match=r"none of the 5 pictures.*black\.hdr is black.*text\.jpg cannot"):
        Pictures(tmp_path, 0)
    with pytest.raises(UserError, match="none of the 5"):
        pictures_digest(tmp_path)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    _photo(tmp_path / "a.png")
    first = pictures_digest(tmp_path)
    assert first == pictures_digest(tmp_path) and len(first) == 16
    _photo(tmp_path / "a.png", 90)
    second = pictures_digest(tmp_path)
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    assert len({first, second, pictures_digest(tmp_path)}) == 3


def test_a_panorama_with_numbers_that_are_not_finite_still_gives_light(tmp_path: Path) -> None:
    light = np.full((16, 32, 3), 0.5, np.float32)
    light[3, 3] = 1e30
    cv2.imwrite(str(tmp_path / "a.hdr"), light)
    panorama = Pictures(tmp_path, 0).panorama(0)
    assert panorama is not None and np.isfinite(panorama.light).all() and np.isfinite(panorama.ambient).all()
