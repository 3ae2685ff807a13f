"""Files that pictures go into: complete, of the stated speed, or refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sim2pose.config import UserError
from sim2pose.render_farm.preview.media import (
    captioned,
    count_frames,
    labelled,
    strip,
    write_gif,
    write_mp4,
    write_picture,
    write_video,
)


@pytest.fixture
def frames() -> list[np.ndarray]:
    """Twelve frames with a red square that moves over grey."""
    made = [np.full((49, 65, 3), 200, np.uint8) for _ in range(12)]
    for k, frame in enumerate(made):
        frame[10:26, 4 * k : 4 * k + 16] = (220, 30, 30)
    return made


def test_strip_places_tiles_in_rows() -> None:
    tiles = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = strip(tiles, 2, gap=2, colour=(255, 255, 255))
    assert sheet.shape == (10, 14, 3)
    assert sheet[0, 0, 0] == 10 and sheet[0, 8, 0] == 20 and sheet[6, 0, 0] == 30 and sheet[6, 8, 0] == 255
    with pytest.raises(UserError, match="needs a picture"):
        strip([])


def test_captions_wrap_and_equal_heights(frames: list[np.ndarray]) -> None:
    assert (captioned(frames[0], "a")[:49] == frames[0]).all()
    one, two = labelled(frames[:2], ["short", "a caption of many words that needs lines"])
    assert one.shape == two.shape and two.shape[0] > 49 + 30
    assert one[49:70].min() < 120, "there is ink"


def test_gif_keeps_frames_speed_and_colours(tmp_path: Path, frames: list[np.ndarray]) -> None:
    with Image.open(write_gif(frames, tmp_path / "a.gif", fps=15)) as gif:
        assert gif.n_frames == 12
        total = 0.0
        for k in range(12):
            gif.seek(k)
            total += gif.info["duration"]
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert np.abs(shown[15, 4 * k + 8] - (220, 30, 30)).max() < 12
    assert total == pytest.approx(12 / 15 * 1000, abs=10), "hundredths of a second, with no drift"


def test_mp4_is_read_back_whole(tmp_path: Path, frames: list[np.ndarray]) -> None:
    path = write_mp4(frames, tmp_path / "new" / "a.mp4", fps=24)
    assert count_frames(path) == 12
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(24)
    shown = video.read()[1][..., ::-1].astype(int)
    video.release()
    assert shown.shape == (48, 64, 3), "even sides"
    assert np.abs(shown[18, 8] - (220, 30, 30)).max() < 30, "red stays red"


def test_gif_of_a_fast_video_skips_frames(tmp_path: Path, frames: list[np.ndarray]) -> None:
    with Image.open(write_video(frames, tmp_path / "a.gif", 60.0)) as gif:
        assert gif.n_frames == 4 and gif.info["duration"] == 50


def test_jpeg_fits_into_its_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    large = write_picture(noise, tmp_path / "a.jpg").stat().st_size
    small = write_picture(noise, tmp_path / "b.jpg", most_bytes=large // 2).stat().st_size
    assert small <= large // 2
    with pytest.raises(UserError, match="does not fit into 500 bytes"):
        write_picture(noise, tmp_path / "c.jpg", most_bytes=500)


def test_what_cannot_be_written_is_refused(tmp_path: Path, frames: list[np.ndarray]) -> None:
    (tmp_path / "file").write_text("")
    for path, what, match in (
        (tmp_path / "a.avi", lambda p: write_video(frames, p, 10), "no known kind of picture"),
        (tmp_path / "a.gif", lambda p: write_gif(frames, p, fps=60), "fps=50 or less"),
        (tmp_path / "a.gif", lambda p: write_gif([], p), "needs a frame"),
        (tmp_path / "a.mp4", lambda p: write_mp4([frames[0], frames[1][1:]], p), "differ in size"),
        (tmp_path / "a.mp4", lambda p: write_mp4(frames, p, fps=0), "fps is 0"),
        (tmp_path / "file" / "a.mp4", lambda p: write_mp4(frames, p), "cannot make the folder"),
        (tmp_path / "file" / "a.png", lambda p: write_picture(frames[0], p), "cannot make the folder"),
    ):
        with pytest.raises(UserError, match=match):
            what(path)
