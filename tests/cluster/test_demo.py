"""The whole job, tiny: every stage for real, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim2pose.cluster import registry
from sim2pose.cluster.demo import DemoConfig, _import_real, run_demo
from sim2pose.cluster.evaluations import EvaluateConfig, evaluate_on, register_run
from sim2pose.config import UserError, load_config
from sim2pose.datasets.shards import FramesFolder
from sim2pose.trainers.model_folder import load_model

TINY = {
    "source_frames": 64,
    "target_frames": 64,
    "test_frames": 32,
    "size": 96,
    "steps": 8,
    "target_labels": 16,
    "workers": 1,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    out = tmp_path_factory.mktemp("demo")
    train = {"batch": 16, "adversarial": {}}
    summary = run_demo(load_config(DemoConfig, "demo", {**TINY, "out": out, "renderer": "raycast", "train": train}))
    return out, summary


def test_summary_has_what_it_promises(done: tuple[Path, dict[str, object]]) -> None:
    out, _ = done
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames"] == 192
    assert summary["shards"] == 4
    assert {name: entry["frames"] for name, entry in summary["folders"].items()} == {
        "source_train": 64,
        "source_test": 32,
        "target_train": 64,
        "target_test": 32,
    }
    assert list(summary["stage_seconds"])[:2] == ["render", "train source only"]
    for run in ("source_only", "adapted"):
        assert set(summary[run]) == {"source_ap", "target_ap", "target_oks"}
    assert set(summary["mean_pose"]) == {"target_ap", "target_oks"}
    assert "stand-in" in summary["target"]


def test_the_model_is_registered_evaluated_and_promotable(done: tuple[Path, dict[str, object]]) -> None:
    out, summary = done
    uri = f"sqlite:///{out / 'runs' / 'mlflow.db'}"
    version = registry.get(uri, str(summary["model_version"]))
    assert "candidate" in version.aliases
    assert (version.folder / "model.pt2").is_file(), "the inference export lies beside the weights"
    assert registry.promote(uri, version).promoted
    again = register_run(uri, out / "runs" / "source_only")
    assert set(again.evaluation) == {"source", "target"}, "a run is evaluated on what it validated on"


def test_evaluate_agrees_with_the_summary(done: tuple[Path, dict[str, object]]) -> None:
    out, summary = done
    report = evaluate_on(str(out / "runs" / "adapted"), out / "frames" / "target_test", EvaluateConfig())
    assert report["figures"]["model"]["oks"] == pytest.approx(summary["adapted"]["target_oks"])  # type: ignore[index]
    assert report["figures"]["mean_pose"]["oks"] == pytest.approx(summary["mean_pose"]["target_oks"])  # type: ignore[index]


def test_model_folder_remembers_its_training_data(done: tuple[Path, dict[str, object]]) -> None:
    out, _ = done
    network, spec = load_model(out / "runs" / "adapted")
    assert not network.training
    assert spec.input == (96, 96)
    assert list(spec.trained_on) == ["source_train"]
    assert spec.mean_pose is not None and all(-0.5 < x < 1.5 for x, _ in spec.mean_pose)


def test_report_is_one_file(done: tuple[Path, dict[str, object]]) -> None:
    page = (done[0] / "report.html").read_text()
    assert "stand-in" in page and page.count("<img") >= 8
    assert 'src="http' not in page and "href=" not in page, "nothing is loaded from elsewhere"


def test_another_demo_does_not_take_the_folder(done: tuple[Path, dict[str, object]]) -> None:
    with pytest.raises(UserError, match="holds a demo with another configuration"):
        run_demo(load_config(DemoConfig, "demo", {**TINY, "out": done[0], "steps": 10}))


def test_missing_models_and_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model at"):
        evaluate_on(str(tmp_path / "run"), tmp_path)
    with pytest.raises(UserError, match="neither a model folder"):
        evaluate_on(str(tmp_path), tmp_path)
    with pytest.raises(UserError, match="no data at"):
        evaluate_on("results.json", tmp_path / "nothing")


def test_pictures_of_ones_own_are_parted_once(shared_data: Path, tmp_path: Path) -> None:
    mini = shared_data / "coco" / "mini"
    for _ in range(2):  # the second time as a demo that goes on where it stopped
        folders = _import_real(f"coco:{mini / 'person_keypoints.json'}:{mini / 'images'}", tmp_path, seed=0)
        assert {name: len(FramesFolder.open(path)) for name, path in folders.items()} == {
            "target_train": 23,
            "target_test": 11,
        }
