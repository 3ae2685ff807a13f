"""``sim2pose fit`` from files to files: a good batch, a batch with bad items, and a batch of nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sim2pose.__main__ import main
from sim2pose.config import load_config
from sim2pose.datasets.poses import load_poses
from sim2pose.models.bodies import load_body
from sim2pose.models.geometry import camera_matrix, project
from sim2pose.render_farm.fit.job import FitJobConfig
from sim2pose.render_farm.poses.source import load_pose_source

W, H = 320, 240
QUICK = ("search.starts=3", "search.finalists=1", "search.exemplars=64", "iterations=15", "search.coarse_iterations=4")


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sim2pose", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def people() -> list[list[float]]:
    """Keypoints of three standing infants, flat lists of x, y, v."""
    body, K = load_body("open-infant"), camera_matrix(350.0, W, H)
    pose = torch.zeros(3, 24, 3)
    pose[:, 0, 0] = np.pi
    pose[:, 16, 2], pose[:, 17, 2] = -1.0, 1.0
    transl = torch.tensor([[-0.3, 0.0, 2.4], [0.0, 0.1, 2.0], [0.3, 0.0, 2.6]])
    with torch.no_grad():
        points = body(torch.zeros(3, body.num_betas), pose, transl).keypoints.double().numpy()
    return [np.concatenate([project(one, K), np.full((17, 1), 2.0)], 1).ravel().tolist() for one in points]


def _coco(folder: Path, people: list[list[float]], picture: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    if picture:
        cv2.imwrite(str(folder / "room.jpg"), np.full((H, W, 3), 180, np.uint8))
    images = [{"id": 1, "file_name": "room.jpg", "width": W, "height": H}]
    annotations = [
        {"id": 10 + i, "image_id": 1, "category_id": 1, "bbox": [1, 1, 90, 90], "area": 8100, "keypoints": one}
        for i, one in enumerate(people)
    ]
    path = folder / "people.json"
    categories = [{"id": 1, "name": "person"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_a_batch_goes_on_without_its_bad_items(
    people: list[list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [0.0] * 51
    few[:6] = [20.0, 20.0, 2.0, 40.0, 40.0, 2.0]
    broken = [float("nan"), *people[0][1:]]
    file, out = _coco(tmp_path / "data", [*people, few, broken]), tmp_path / "fits"
    assert run(monkeypatch, "fit", str(file), f"out={out}", "meshes=true", *QUICK) == 0
    shown = capsys.readouterr().out
    assert "reprojection, px" in shown and "3 fitted" in shown and "look at these 2:" in shown
    assert "people_13" in shown and "people_14" in shown, "both bad items are named"
    poses = load_poses(out / "poses.npz")
    assert (
        poses.names == ("people_10", "people_11", "people_12")
        and load_poses(out / "poses.parquet").names == poses.names
    )
    report = json.loads((out / "fits.json").read_text())
    assert [row["id"] for row in report["people"]] == list(poses.names)
    assert {item["what"] for item in report["bad"]} == {"left out", "failed"}
    assert max(row["reprojection_px"] for row in report["people"]) < 3
    for name in poses.names:
        assert (out / "meshes" / f"{name}.obj").stat().st_size > 100_000
        picture = cv2.imread(str(out / "overlays" / f"{name}.jpg"))
        assert picture.shape == (H, W, 3) and np.ptp(picture) > 100, "a body lies over the grey room"
    assert cv2.imread(str(out / "contact_sheet.png")) is not None
    assert len(load_pose_source(out / "poses.npz")) == 3, "the farm takes them"


def test_nobody_left_is_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [0.0] * 51
    few[:6] = [20.0, 20.0, 2.0, 40.0, 40.0, 2.0]
    file, out = _coco(tmp_path / "data", [few]), tmp_path / "fits"
    assert run(monkeypatch, "fit", str(file), f"out={out}", *QUICK) == 1
    shown = capsys.readouterr().out
    assert "people_10" in shown and "keypoints" in shown
    assert not (out / "poses.npz").exists() and json.loads((out / "fits.json").read_text())["people"] == []


def test_pictures_that_cannot_be_read_are_listed(
    people: list[list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sim2pose.render_farm.fit import outputs

    file, out = _coco(tmp_path / "data", people[:1]), tmp_path / "fits"
    read = outputs.cv2.imread
    monkeypatch.setattr(outputs.cv2, "imread", lambda path, *flags: None if "room" in path else read(path, *flags))
    assert run(monkeypatch, "fit", str(file), f"out={out}", *QUICK) == 0
    assert "no picture people_10: cannot read the picture" in capsys.readouterr().out
    assert (out / "poses.npz").exists() and not (out / "contact_sheet.png").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fit",), "Missing argument 'PATTERN [PRESET] key=value …'"),
        (("fit", "/nowhere/*.json"), "/nowhere"),
        (("fit", "x.json", "fitt"), "unknown preset 'fitt': did you mean 'fit'?"),
        (("fit", "x.json", "bodi=open-infant"), "unknown key 'bodi': did you mean 'body'?"),
        (
            ("fit", "x.json", "search.starts=1", "search.finalists=3"),
            "search.finalists (3) must not exceed search.starts (1)",
        ),
    ],
)
def test_mistakes_exit_with_2_and_a_sentence(
    words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error


@pytest.mark.parametrize("preset", ["fit", "fit_person"])
def test_presets_resolve(preset: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "fit", "x.json", preset, "--dry-run") == 0
    assert f"body: {load_config(FitJobConfig, preset).body}" in capsys.readouterr().out
