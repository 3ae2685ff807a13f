"""Photographs give what evaluation gives, however they are batched, turned or drawn; broken ones are named."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from sim2pose.datasets.coco import export_coco, frames_to_coco
from sim2pose.datasets.detections import Detections
from sim2pose.datasets.photographs import ORIENTATION, find_photographs
from sim2pose.models.joints import joint_set
from sim2pose.models.keypoints.base import HeatmapNetwork
from sim2pose.models.keypoints.networks import build_network
from sim2pose.trainers.photographs import Settings, predict_photographs
from sim2pose.trainers.predict import predict

COCO = joint_set("coco17")


@pytest.fixture(scope="module")
def network() -> HeatmapNetwork:
    torch.manual_seed(0)
    return build_network("hrnet_nano", 17).eval()


def settings(**changes: object) -> Settings:
    values = {"input_wh": (64, 64), "batch": 4, "nms": "none", "min_keypoint": -1.0, **changes}
    return Settings(**values)  # type: ignore[arg-type]


def test_pictures_give_what_evaluation_gives(network: HeatmapNetwork, frames: dict[str, str], tmp_path: Path) -> None:
    """The frames written out as files, in boxes as annotated; also in batches that part a picture's people."""
    export_coco(frames["source_val"], tmp_path / "coco")
    photographs = find_photographs(tmp_path / "coco" / "images")
    truth = frames_to_coco(frames["source_val"])
    boxes: dict[int, np.ndarray] = {}
    for photograph in photographs:
        rows = [a["bbox"] for a in truth["annotations"] if a["image_id"] == photograph.id]
        boxes[photograph.id] = np.array([[*box, 1.0] for box in rows * 3])  # three of each
    detections = Detections("boxes.json", boxes, {"used": 36})
    expected = {row["image_id"]: row for row in predict(network, frames["source_val"], (64, 64))}
    for batch in (4, 5, 64):
        found = predict_photographs(network, COCO, photographs, settings(batch=batch), detections)
        assert len(found.results) == 3 * len(photographs)
        for row in found.results:
            np.testing.assert_allclose(row["keypoints"], expected[row["image_id"]]["keypoints"], atol=2e-3)
            assert row["score"] == pytest.approx(expected[row["image_id"]]["score"], rel=1e-4)


def test_a_turned_photograph_gives_the_same_keypoints(network: HeatmapNetwork, tmp_path: Path) -> None:
    """Stored lying on its side with an EXIF note, as phones do it, or upright: the same picture."""
    rng = np.random.default_rng(0)
    upright = cv2.resize(rng.integers(0, 255, (6, 4, 3), dtype=np.uint8), (80, 120))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    for name, picture, note in (("a", upright, None), ("b", np.rot90(upright), exif)):
        (tmp_path / name).mkdir()
        out = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(out, "JPEG", quality=100, subsampling=0, exif=note or b"")
        (tmp_path / name / "photo.jpg").write_bytes(out.getvalue())
    found = [
        predict_photographs(
            network,
            COCO,
            find_photographs(tmp_path / name),
            settings(decoding="argmax"),
            None,
            tmp_path / f"{name}_drawn",
        )
        for name in ("a", "b")
    ]
    assert found[0].images == found[1].images == [{"id": 1, "file_name": "photo.jpg", "width": 80, "height": 120}]
    scores = [np.array(f.results[0]["keypoints"]).reshape(-1, 3)[:, 2] for f in found]
    np.testing.assert_allclose(scores[0], scores[1], rtol=0.05, atol=1e-4)
    drawn = [cv2.imread(str(tmp_path / f"{name}_drawn" / "photo.jpg")) for name in ("a", "b")]
    assert drawn[0].shape == drawn[1].shape == (120, 80, 3)
    assert np.abs(drawn[0].astype(int) - cv2.cvtColor(upright, cv2.COLOR_RGB2BGR)).max() > 60, "something is drawn"


def test_broken_pictures_are_named_and_stop_nothing(network: HeatmapNetwork, tmp_path: Path) -> None:
    good = cv2.imencode(".jpg", np.full((40, 60, 3), 128, np.uint8))[1].tobytes()
    noise = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8))[1].tobytes()
    contents = {
        "a.jpg": good,
        "b.jpg": b"no picture",
        "c.jpg": noise[: len(noise) // 3],
        "d.webp": good,
        "sub/e.jpg": good,
    }
    for name, data in contents.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in" / "f.png").write_bytes(cv2.imencode(".png", np.zeros((20, 20, 3), np.uint8))[1].tobytes())
    photographs = find_photographs(tmp_path / "in")
    found = predict_photographs(network, COCO, photographs, settings(), None, tmp_path / "out")
    assert set(found.unreadable) == {"b.jpg", "c.jpg"}
    assert "no picture" in found.unreadable["b.jpg"]
    assert [entry["file_name"] for entry in found.images] == ["a.jpg", "d.webp", "f.png", "sub/e.jpg"]
    drawn = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.jpg"))
    assert drawn == ["a.jpg", "d.webp.jpg", "f.png.jpg", "sub/e.jpg"]
    none = Detections("boxes.json", {p.id: np.zeros((0, 5)) for p in photographs}, {"used": 0})
    empty = predict_photographs(network, COCO, photographs, settings(), none)
    assert (empty.results, set(empty.unreadable), len(empty.images)) == ([], {"b.jpg", "c.jpg"}, 4)


def test_doubles_are_sorted_out_by_picture(network: HeatmapNetwork, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(3):
        picture = np.random.default_rng(i).integers(0, 255, (60, 60, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{i}.png"), picture)
    photographs = find_photographs(tmp_path / "in")
    boxes = {p.id: np.array([[5, 5, 40, 40, 0.9], [5, 5, 40, 40, 0.8]]) for p in photographs}
    found = predict_photographs(
        network, COCO, photographs, settings(nms="oks", batch=5), Detections("b", boxes, {"used": 6})
    )
    assert [row["image_id"] for row in found.results] == [p.id for p in photographs]
