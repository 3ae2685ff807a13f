"""``evaluate``: a detector's boxes, joint sets of one's own, areas that cannot be true; on the command line, too."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sim2pose.cluster.evaluations import EvaluateConfig, evaluate_on
from sim2pose.commands.evaluate import evaluate
from sim2pose.config import UserError
from sim2pose.datasets.coco import export_coco, frames_to_coco
from sim2pose.datasets.frames import Frame, Person, dataset_info
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder
from sim2pose.models.joints import joint_set
from sim2pose.models.keypoints.networks import build_network
from sim2pose.trainers import predict
from sim2pose.trainers.evaluation import STATS
from sim2pose.trainers.model_folder import ModelSpec, save_model

COUNT = 8  # frames


@pytest.fixture(autouse=True)
def every_keypoint_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained network is nowhere as sure as 0.2, so all people would score 0."""
    monkeypatch.setattr(predict, "KEYPOINT_THRESHOLD", -1.0)


def frames(path: Path, name: str = "coco17", area: float | None = None) -> Path:
    """Frames with two people each; the joints of each lie anywhere in its box."""
    rng = np.random.default_rng(0)
    info, made = dataset_info(name), []
    for i in range(COUNT):
        picture = rng.integers(0, 255, (120, 200, 3), dtype=np.uint8)
        persons = []
        for x in (5, 105):
            box = np.array([x, 10, rng.uniform(50, 80), rng.uniform(60, 100)], np.float32)
            points = rng.uniform(0, 1, (info.joint_count, 2)) * box[2:] + box[:2]
            keypoints = np.concatenate([points, np.full((len(points), 1), 2)], axis=1).astype(np.float32)
            persons.append(Person(box, keypoints, float(box[2] * box[3] * 0.6) if area is None else area))
        made.append(Frame(i, simplejpeg.encode_jpeg(picture), 120, 200, "real", persons=persons))
    path.mkdir()
    write_manifest(path, [publish_shard(path, 0, made, info)], info)
    return path


def model(path: Path, name: str = "coco17") -> str:
    torch.manual_seed(0)
    network = build_network("hrnet_nano", joint_set(name).count)
    spec = ModelSpec(network="hrnet_nano", joint_set=joint_set(name).name, input=(64, 64))
    return str(save_model(path, network, spec))


def boxes(data: Path, out: Path, shift: float = 0.0, copies: int = 1) -> Path:
    """The annotated boxes as a detector would write them: COPIES of each, a little beside each other, and other things."""
    rows: list[dict[str, Any]] = []
    for annotation in frames_to_coco(data)["annotations"]:
        for k in range(copies):
            x, y, w, h = annotation["bbox"]
            row = {"image_id": annotation["image_id"], "category_id": 1, "score": 0.9 - 0.2 * k}
            rows.append({**row, "bbox": [x + shift * k, y, w, h]})
    rows += [{**rows[0], "category_id": 62}, {**rows[0], "image_id": 777}, {**rows[0], "score": 0.01}]
    out.write_text(json.dumps(rows))
    return out


def oracle(truth: dict[str, Any], results: list[dict[str, Any]]) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        scored = COCOeval(reference, reference.loadRes([dict(row) for row in results]), "keypoints")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return list(scored.stats)


def test_detections_of_the_annotated_boxes_give_the_same_keypoints(tmp_path: Path) -> None:
    data, network = frames(tmp_path / "data"), model(tmp_path / "model")
    plain = evaluate_on(network, data, EvaluateConfig(decode="argmax"))
    found = boxes(data, tmp_path / "boxes.json")
    report = evaluate_on(network, data, EvaluateConfig(detections=found, min_score=0.05, decode="argmax"))
    assert report["detections"] == {
        "used": 16,
        "of other categories": 1,
        "of pictures not in the data": 1,
        "below min_score": 1,
        "without area": 0,
        "beyond top": 0,
        "suppressed": 0,
    }
    for a, b in zip(plain["results"], report["results"], strict=True):
        assert "annotation_id" not in b
        np.testing.assert_allclose(a["keypoints"], b["keypoints"], atol=0.01)
        assert b["score"] == pytest.approx(0.9 * a["score"], rel=1e-3)
        assert a["score"] > 0
    assert report["figures"]["zero"] == plain["figures"]["zero"], "baselines stand in the annotated boxes"
    assert any("boxes.json: 16 used" in note for note in report["notes"])


@pytest.mark.parametrize("nms", ["oks", "soft", "none"])
def test_doubles_are_suppressed_and_figures_are_pycocotools(tmp_path: Path, nms: Any) -> None:
    data, network = frames(tmp_path / "data"), model(tmp_path / "model")
    found = boxes(data, tmp_path / "boxes.json", shift=1e-3, copies=3)
    report = evaluate_on(network, data, EvaluateConfig(detections=found, min_score=0.05, nms=nms))
    assert len(report["results"]) == (16 if nms == "oks" else 48)
    if nms == "oks":
        assert report["detections"]["suppressed"] == 32
    for stat, value in zip(STATS, oracle(frames_to_coco(data), report["results"]), strict=True):
        assert (
            report["report"][stat] == pytest.approx(value, abs=1e-9) if value >= 0 else report["report"][stat] is None
        )


def test_top_takes_the_best(tmp_path: Path) -> None:
    data, network = frames(tmp_path / "data"), model(tmp_path / "model")
    found = boxes(data, tmp_path / "boxes.json", shift=20, copies=2)
    report = evaluate_on(network, data, EvaluateConfig(detections=found, min_score=0.05, top=2, nms="none"))
    assert report["detections"]["beyond top"] == 16
    assert len(report["results"]) == 2 * COUNT


def test_a_joint_set_and_sigmas_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "starfish.yaml"
    path.write_text("joints: [left_arm, right_arm, left_leg, right_leg, top]\n")
    data, network = frames(tmp_path / "data", str(path)), model(tmp_path / "model", str(path))
    without = evaluate_on(network, data)
    assert without["figures"]["model"]["AP"] is None
    assert "has no OKS sigmas" in " ".join(without["notes"])
    given = evaluate_on(network, data, EvaluateConfig(sigmas=(0.5,) * 5))
    path.write_text(path.read_text() + "sigmas: [0.5, 0.5, 0.5, 0.5, 0.5]\n")
    from_file = evaluate_on(network, data, EvaluateConfig(joint_set=str(path)))
    assert given["figures"] == from_file["figures"]
    assert given["figures"]["model"]["oks"] > 0.1
    with pytest.raises(UserError, match="OKS-NMS needs"):
        evaluate_on(network, data, EvaluateConfig(detections=boxes(data, tmp_path / "b.json")))
    with pytest.raises(UserError, match="the model predicts 'starfish'"):
        evaluate_on(network, data, EvaluateConfig(joint_set="coco17"))
    with pytest.raises(UserError, match=r"3 OKS sigmas for the 5 joints"):
        evaluate_on(network, data, EvaluateConfig(sigmas=(0.1,) * 3))


def test_a_coco_file_with_joints_of_ones_own(tmp_path: Path) -> None:
    """From frames to COCO and back by way of the file, pictures and all; boxes by image id."""
    path = tmp_path / "urchin.yaml"
    path.write_text("joints: [left_spine, right_spine, mouth]\nsigmas: [0.2, 0.2, 0.3]\n")
    data, network = frames(tmp_path / "data", str(path)), model(tmp_path / "model", str(path))
    export_coco(data, tmp_path / "coco")
    file, images = tmp_path / "coco" / "annotations.json", tmp_path / "coco" / "images"
    config = EvaluateConfig(joint_set=str(path), images=images, detections=boxes(data, tmp_path / "b.json"), nms="none")
    report = evaluate_on(network, file, config)
    assert report["report"]["counts"]["people"] == 2 * COUNT
    assert len(report["results"]) == 2 * COUNT + 1
    folder = evaluate_on(network, data, config)
    assert report["figures"]["zero"] == pytest.approx(folder["figures"]["zero"])
    with pytest.raises(UserError, match="category has 3 keypoints, joint set 'coco17' 17"):
        evaluate_on(network, file, EvaluateConfig(images=images))


def test_the_command_line_shows_both_figures_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in some files of SyRIP: one area for everyone, although the boxes differ."""
    data = frames(tmp_path / "data", area=1500.0)
    truth = frames_to_coco(data)
    rng = np.random.default_rng(1)
    rows = []
    for a in truth["annotations"]:
        points = np.array(a["keypoints"], float).reshape(-1, 3)
        points[:, :2] += rng.normal(0, 4, (17, 2))
        rows.append({"image_id": a["image_id"], "category_id": 1, "keypoints": points.ravel().tolist(), "score": 0.5})
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    evaluate([str(tmp_path / "rows.json"), str(data)], tmp_path / "figures.json", False)
    shown = capsys.readouterr().out
    lines = {line.split("  ")[0]: line.split() for line in shown.splitlines()}
    assert float(lines["results"][1]) + 0.2 < float(lines["results (box areas)"][3])
    assert "area is 1500 for all 16 persons although their boxes differ; figures with box areas" in shown
    assert "APl is undefined: no scored annotation has an area of above 96² square pixels" in shown
    written = json.loads((tmp_path / "figures.json").read_text())
    assert set(written["figures"]) == {"results", "results_box_area", "zero", "zero_box_area"}
    with pytest.raises(UserError, match=r"detections=.* are for a model"):
        evaluate([str(tmp_path / "rows.json"), str(data), "detections=x.json"], None, False)


def test_a_frames_folder_with_other_joints_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has joint set 'h36m17', the model predicts 'coco17'"):
        evaluate_on(model(tmp_path / "model"), frames(tmp_path / "data", "h36m17"))
    assert FramesFolder.open(tmp_path / "data").info.joint_set == "h36m17"
