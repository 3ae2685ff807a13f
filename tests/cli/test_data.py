"""``sim2pose data``: exports and looks at frames from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim2pose.__main__ import app
from sim2pose.config import UserError
from sim2pose.datasets.shards import FramesFolder
from sim2pose.models.joints import joint_set
from sim2pose.render_farm.kinds.registry import load_render_config
from sim2pose.render_farm.render import render


@pytest.fixture(scope="module")
def infants(tmp_path_factory: pytest.TempPathFactory) -> FramesFolder:
    out = tmp_path_factory.mktemp("data") / "infants"
    wanted = {"out": out, "joint_sets": ["coco17", "smpl24"], "depth": True, "frames": 8, "shard_frames": 32}
    render(load_render_config("infant", {**wanted, "width": 96, "height": 96}))
    return FramesFolder.open(out)


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["data", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_export_to_coco(infants: FramesFolder, tmp_path: Path) -> None:
    said = run(
        "export", "coco", str(infants.path), str(tmp_path / "out"), "joint_set=smpl24", "depth=true", "parts=true"
    )
    assert "8 images" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"annotations.json", "images", "depth", "parts"}
    made = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert tuple(made["categories"][0]["keypoints"]) == joint_set("smpl24").joints
    assert all(entry["segmentation"]["size"] == [96, 96] for entry in made["annotations"])


def test_export_to_webdataset(infants: FramesFolder, tmp_path: Path) -> None:
    assert "8 samples in 2 shards" in run(
        "export", "webdataset", str(infants.path), str(tmp_path / "out"), "shard_frames=5"
    )
    assert len(list((tmp_path / "out").glob("*.tar"))) == 2


def test_import_holds_pictures_out(shared_data: Path, tmp_path: Path) -> None:
    mini, out = shared_data / "coco" / "mini", tmp_path / "real"
    words = ("import", "coco", str(mini / "person_keypoints.json"), str(mini / "images"), f"{out}/", "held_out=0.25")
    said = run(*words)
    assert "real/: 26 frames" in said and "real_test: 8 frames" in said
    assert (len(FramesFolder.open(out)), len(FramesFolder.open(tmp_path / "real_test"))) == (26, 8)
    out.rename(tmp_path / "moved")
    again = CliRunner().invoke(app, ["data", *words])
    assert isinstance(again.exception, UserError) and "real_test exists and is not empty" in str(again.exception)
    assert not out.exists(), "nothing is written where half of it would be refused"


def test_inspect_another_joint_set(infants: FramesFolder, tmp_path: Path) -> None:
    said = run("inspect", str(infants.path), str(tmp_path / "sheet.png"), "joint_set=smpl24")
    assert "joint set smpl24 of coco17, smpl24" in said
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
