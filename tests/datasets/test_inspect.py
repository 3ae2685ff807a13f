"""Counts against a hand-made folder; the sheet shows sides in their colours and occlusion as rings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.draw import LEFT, RIGHT, caption, draw_box, draw_keypoints, mosaic
from sim2pose.datasets.frames import Frame
from sim2pose.datasets.inspect import inspect, summary_lines
from sim2pose.models.joints import joint_set

from .conftest import MakeFolder

COCO = joint_set("coco17")


def test_counts_and_statistics(make_folder: MakeFolder) -> None:
    def edit(i: int, frame: Frame) -> None:
        frame.domain = "real" if i < 30 else "synthetic"
        if i == 0:
            frame.persons = []
        elif i == 1:
            frame.persons[0].iscrowd = True
        else:
            one = frame.persons[0]
            one.bbox[2:] = [10, 24]
            one.area = 100.0 + i
            one.keypoints[16] = 0
            one.keypoints[0, 2] = 1 if i < 52 else 2

    report = inspect(make_folder(frames=102, edit=edit))
    assert report["frames"] == 102
    assert report["persons"] == 101
    assert report["crowds"] == 1
    assert report["persons_with_keypoints"] == 100
    assert report["frames_without_person"] == 1
    assert report["domains"] == {"real": 30, "synthetic": 72}
    assert report["image_sizes"] == {"64x48": 102}
    assert report["box"]["height"]["p50"] == 24
    assert report["box"]["share_of_picture_height"]["p95"] == 0.5
    assert report["keypoints"]["nose"] == {"visible": 0.5, "occluded": 0.5, "unlabelled": 0.0}
    assert report["keypoints"]["right_ankle"]["unlabelled"] == 1.0
    assert "never labelled: right_ankle" in report["warnings"]
    lines = "\n".join(summary_lines(report))
    assert "102 frames" in lines
    assert "real 30, synthetic 72" in lines
    assert "warning: never labelled" in lines


def test_degenerate_data_is_warned_of(make_folder: MakeFolder) -> None:
    def edit(i: int, frame: Frame) -> None:
        frame.persons[0].area = 77.0
        if i == 3:
            frame.persons[0].keypoints[4, :2] = 200
        if i == 4:
            frame.persons[0].bbox[3] = 0

    warnings = "; ".join(inspect(make_folder(frames=10, edit=edit))["warnings"])
    assert "area is 77 for all 10" in warnings
    assert "1 labelled keypoints lie outside" in warnings
    assert "1 boxes have no width or height" in warnings


def test_contact_sheet(make_folder: MakeFolder, tmp_path: Path) -> None:
    inspect(make_folder(frames=20), tmp_path / "deep" / "sheet.png", tiles=12)
    sheet = cv2.imread(str(tmp_path / "deep" / "sheet.png"))
    assert sheet.shape == (2 * 248 + 4, 1596, 3)
    rgb = sheet[:, :, ::-1].reshape(-1, 3).astype(int)
    for colour in (LEFT, RIGHT):
        assert (np.abs(rgb - colour).max(axis=1) < 12).sum() > 200


def test_contact_sheet_without_boxes(make_folder: MakeFolder, tmp_path: Path) -> None:
    def empty(i: int, frame: Frame) -> None:
        frame.persons = []

    folder = make_folder(frames=3, edit=empty)
    assert inspect(folder)["persons"] == 0
    assert summary_lines(inspect(folder))
    with pytest.raises(UserError, match="no person to draw"):
        inspect(folder, tmp_path / "sheet.png")


def test_visible_is_a_dot_and_occluded_a_ring() -> None:
    image = np.full((100, 100, 3), 128, np.uint8)
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[5] = [30, 40, 2]
    keypoints[6] = [70, 40, 1]
    keypoints[7] = [50, 90, 0]
    out = draw_keypoints(image, keypoints, COCO, size=6, skeleton=False)
    assert tuple(out[40, 30]) == LEFT
    assert tuple(out[40, 70]) == (128, 128, 128)
    assert np.abs(out[40, 76].astype(int) - RIGHT).max() < 40
    assert (out[85:95, 45:55] == 128).all()
    assert (image == 128).all(), "the picture given is not drawn on"


def test_points_far_outside_or_nan_do_no_harm() -> None:
    keypoints = np.full((17, 3), 2.0)
    keypoints[0, :2], keypoints[1, :2], keypoints[2, :2] = 1e9, np.nan, -30
    assert draw_keypoints(np.zeros((20, 20, 3), np.uint8), keypoints, COCO).shape == (20, 20, 3)


def test_box_caption_and_mosaic() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    boxed = draw_box(image, np.array([10, 5, 20, 30]))
    assert boxed[5:35, 10].min() > 100
    assert boxed[5:35, 29].min() > 100
    assert boxed[:, 31:].max() == 0
    assert caption(image, "a very long text " * 5).shape == (58, 60, 3)
    assert mosaic([image] * 5, 3, gap=2).shape == (2 * 42 + 2, 3 * 62 + 2, 3)
