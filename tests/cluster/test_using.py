"""Pulling, exporting and predicting by name, as the command line does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from sim2pose.cluster import registry, using
from sim2pose.cluster.using import ExportConfig, PredictConfig
from sim2pose.commands import models
from sim2pose.config import UserError


@pytest.fixture
def uri(tmp_path: Path, packed_model: Path) -> str:
    there = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry.register(there, packed_model, {"target": {"data": "t", "metrics": {"AP": 0.2}}}, "net")
    return there


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        picture = np.random.default_rng(i).integers(0, 255, (60, 90, 3), dtype=np.uint8)
        (folder / f"p{i}.jpg").write_bytes(simplejpeg.encode_jpeg(picture))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def test_predictions_are_coco_results_whose_pictures_can_be_found(
    uri: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    models.predict(["net@candidate", str(photos), f"out={out}", f"uri={uri}", "flip=false"])
    told = capsys.readouterr().out
    assert "each whole picture was taken as one person's box" in told
    assert "3 people in 3 pictures" in told
    assert "1 pictures could not be read:\n  broken.jpg" in told
    results = json.loads((out / "keypoints.json").read_text())
    about = json.loads((out / "images.json").read_text())
    names = {image["id"]: image["file_name"] for image in about["images"]}
    assert [names[row["image_id"]] for row in results] == ["p0.jpg", "p1.jpg", "p2.jpg"]
    assert all(len(row["keypoints"]) == 51 for row in results)
    assert about["categories"][0]["keypoints"][0] == "nose"
    assert [entry["file_name"] for entry in about["unreadable"]] == ["broken.jpg"]
    assert len(list((out / "pictures").iterdir())) == 3
    with pytest.raises(UserError, match="is not empty: choose a new folder"):
        using.predict("net@1", photos, PredictConfig(out=out, uri=uri))


def test_boxes_give_people(uri: str, photos: Path, tmp_path: Path) -> None:
    rows = [{"file_name": "p1.jpg", "category_id": 1, "bbox": [x, 5, 30, 40], "score": 0.9} for x in (0, 40)]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    config = PredictConfig(out=tmp_path / "out", uri=uri, boxes=tmp_path / "boxes.json", draw=False, nms="none")
    told = using.predict("net@1", photos, config)
    assert told[0].startswith("boxes of boxes.json: 2 used")
    assert told[1] == "2 people in 3 pictures"
    assert not (tmp_path / "out" / "pictures").exists()


def test_export_by_name(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models.export(["net@1", f"out={tmp_path / 'e'}", "formats=[pt2]", f"uri={uri}"])
    assert "heatmaps differ from the network's by" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "e").iterdir()} == {"model.pt2", "model_io.json"}
    with pytest.raises(UserError, match="has no version or alias 'best'"):
        using.export("net@best", ExportConfig(out=tmp_path / "f", uri=uri))


def test_the_commands_of_a_registry(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    models.promote(["net", f"uri={uri}"])
    models.show(["net@champion", f"uri={uri}"])
    models.list_models([f"uri={uri}", "latency=false", "input=[64,64]"], None)
    models.card(["net", f"uri={uri}"])
    models.pull(["net", f"uri={uri}"])
    told = capsys.readouterr().out
    assert "net@1 is champion: the first champion, AP 0.200 on target" in told
    assert "AP 0.200 on target (t)" in told
    assert "# net@1" in told
    with pytest.raises(UserError, match="there is none before it"):
        models.rollback(["net", f"uri={uri}"])
