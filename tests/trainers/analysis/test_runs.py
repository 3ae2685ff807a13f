"""What a run keeps for its analysis, its report, and runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim2pose.config import UserError, merge, validate
from sim2pose.datasets.html import Report
from sim2pose.trainers.analysis import sections
from sim2pose.trainers.analysis.compare import Run, descriptions, find_runs, group_runs, read_run, summaries, table
from sim2pose.trainers.analysis.comparison import write_comparison
from sim2pose.trainers.analysis.features import FeatureWriter, Rows, feature_files, read_features
from sim2pose.trainers.analysis.history import note_keypoints, read_keypoints, retention
from sim2pose.trainers.analysis.sections import disagreement, online_accuracy
from sim2pose.trainers.events import EventLog, read_events
from sim2pose.trainers.keypoint_config import AnalysisConfig, KeypointConfig
from sim2pose.trainers.report import write_run_report
from sim2pose.trainers.runtimes import train


@pytest.fixture
def adapting(values: dict[str, Any], frames: dict[str, str]) -> dict[str, Any]:
    """An adversarial run that starts from a source-only run's weights and validates on both domains."""
    val = {"source": frames["source_val"], "target": frames["target_val"]}
    start = {"name": "start", "steps": 2, "adversarial": {"method": "none"}, "data": {"target": [], "val": {}}}
    first = train(validate(KeypointConfig, merge(values, start)))
    own = {
        "name": "adapted",
        "init_from": str(first.run_dir),
        "data": {"val": val},
        "validate_every": 3,
        "analysis": {"every": 2, "people": 16, "embeddings": ["tsne"]},
    }
    return merge(values, own)


def losses(run_dir: Path) -> list[float]:
    return [e["metrics"]["train/loss_pose"] for e in read_events(run_dir) if "train/loss_pose" in e["metrics"]]


def test_a_run_keeps_features_gain_and_cost_and_its_report_shows_them(adapting: dict[str, Any]) -> None:
    result = train(validate(KeypointConfig, adapting))
    metrics, events = result.metrics, read_events(result.run_dir)
    assert events[0]["step"] == 0
    assert metrics["source/AP_before"] == events[0]["metrics"]["source/AP"]
    assert metrics["target/AP_change"] == metrics["target/AP"] - events[0]["metrics"]["target/AP"]
    assert metrics["source_frames"] == 40
    assert metrics["proxy_a_distance"] == pytest.approx(max(0, 4 * metrics["domain_probe_accuracy"] - 2))
    assert [step for step, _ in feature_files(result.run_dir)] == [0, 6, 8], "every second one, the first and the last"
    first = read_features(feature_files(result.run_dir)[0][1])
    assert {name: len(t) for name, t in first.items()} == {"source": 12, "target": 12}
    last = read_features(feature_files(result.run_dir)[-1][1])["source"]
    assert last.column("epoch")[0].as_py() == pytest.approx(6 * 4 / 40), "the pre-phase does not count"
    assert np.mean(last.column("oks").to_pylist()) == pytest.approx(metrics["source/oks"], abs=1e-3)
    assert [entry["step"] for entry in read_keypoints(result.run_dir)] == [0, 3, 6, 8]

    page = write_run_report(result.run_dir).read_text()
    for heading in (
        "gained and cost",
        "Do features tell the domains?",
        "Features of the domains",
        "Errors by keypoint",
    ):
        assert heading in page
    assert {p.name for p in (result.run_dir / "figures").iterdir()} == {"keypoint_errors.png", "tsne.png"}


def test_looking_first_and_keeping_features_changes_no_step(adapting: dict[str, Any]) -> None:
    runs = []
    for name, change in {"looks": {}, "blind": {"validate_first": False, "analysis": {"every": None}}}.items():
        runs.append(
            train(
                validate(KeypointConfig, merge(adapting, {"steps": 4, "adabn": "off", **change, "name": name}))
            ).run_dir
        )
    assert losses(runs[0]) == losses(runs[1])
    assert feature_files(runs[1]) == []
    assert "source/AP_before" not in json.loads((runs[1] / "done.json").read_text())["metrics"]


def test_a_validation_done_again_replaces_what_it_noted(tmp_path: Path) -> None:
    def report(error: float) -> dict[str, Any]:
        return {"target": {"per_keypoint": {"nose": {"error_box": error, "oks": 0.5, "labelled": 3}}}}

    for step, error in ((0, 0.4), (10, 0.3), (20, 0.2), (10, 0.1)):
        note_keypoints(tmp_path, step, step / 10, report(error))
    history = read_keypoints(tmp_path)
    assert [(e["step"], e["folders"]["target"]["nose"]["error_box"]) for e in history] == [(0, 0.4), (10, 0.1)]


def test_retention_needs_a_first_look(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 0)
    log.write(5, {"source/AP": 0.9})
    assert retention(tmp_path, {"source/AP": 0.5}) == {}
    log.write(0, {"source/AP": 0.6, "target/AP": 0.1})
    found = retention(tmp_path, {"source/AP": 0.5})
    assert found == {"source/AP_before": 0.6, "source/AP_change": pytest.approx(-0.1)}


def test_what_the_two_accuracies_say() -> None:
    assert "has got past this one classifier" in disagreement(0.4, 0.9)
    assert "not aligned" in disagreement(0.9, 0.92)
    assert "neither tells" in disagreement(0.55, 0.5)
    assert "sees the whole map" in disagreement(0.95, 0.6)
    assert "no online classifier" in disagreement(None, 0.9)
    series = {"train/domain_accuracy": ([2.0, 4.0, 6.0], [0.5, 0.7, 0.9])}
    assert online_accuracy(series, [0, 4, 6]) == [None, pytest.approx(0.6), pytest.approx(0.9)]
    assert online_accuracy({}, [4]) == [None]


def written(folder: Path, seed: int, weight: float, target: float, **config: Any) -> Path:
    """A run folder as a run of some λ and seed leaves it."""
    run = folder / f"w{weight}_{seed}{'_'.join(config)}"
    run.mkdir(parents=True)
    values: dict[str, Any] = {
        "name": run.name,
        "seed": seed,
        "init_from": f"runs/source_{seed}",
        "adversarial": {"method": "fidip", "weight": weight, "mode": "constant", "ratio": 0.1},
        "data": {"augment": "mild", "target": ["t"]},
        "optim": {"lr": 0.01},
        "teacher": {"weight": 0, "confidence": seed},  # switched off: what it would have done tells no setting apart
        **config,
    }
    (run / "config.yaml").write_text(json.dumps(values))
    log = EventLog(run, 0)
    for step in (1, 2, 3, 4):
        log.write(step, {"train/gradient_ratio": float(step), "target/AP": target * step / 4})
    return run


def test_runs_are_grouped_over_seeds_and_told_by_what_differs(tmp_path: Path) -> None:
    for weight, base in ((0.0, 0.1), (0.01, 0.2)):
        for seed in (0, 1):
            written(tmp_path / "runs", seed, weight, base + seed / 10)
    written(tmp_path / "runs", 0, 0.01, 0.5, optim={"lr": 0.1})
    (tmp_path / "runs" / "w0.0_0" / "done.json").write_text('{"stopped": "collapse: all alike"}')
    groups = group_runs([read_run(path) for path in find_runs([tmp_path / "runs"])])
    assert {label: len(runs) for label, runs in groups.items()} == {
        "fidip, λ 0, lr 0.01": 2,
        "fidip, λ 0.01, lr 0.01": 2,
        "fidip, λ 0.01, lr 0.1": 1,
    }
    header, rows = table(groups)
    assert header == ["setting", "target AP", "gradient ratio", "state"], "what was not measured has no column"
    row = next(row for row in rows if row[0] == "fidip, λ 0, lr 0.01 (2 seeds)")
    assert row[1] == "0.150 ± 0.071"
    assert row[2] == "3.500 ± 0.000", "mean gradient ratio over the second half"
    assert {summary["weight"] for summary in summaries(groups)} == {"0", "0.01"}
    assert "stopped: collapse: all alike" in row[-1]
    assert "not finished, at step 4" in row[-1]
    page = tmp_path / "analysis.html"
    assert len(write_comparison([tmp_path / "runs"], page)) == 3
    assert "0.150 ± 0.071" in page.read_text()


def test_presets_are_told_by_the_names_of_their_runs(tmp_path: Path) -> None:
    data = {"augment": "photometric", "input": [96, 128], "target": ["frames/photos"], "val": {"target": "mine"}}
    other = data | {"augment": "mild", "input": [96, 96], "target": ["t"], "val": {"target": "yours"}}
    runs = [written(tmp_path / "a", seed, 0.01, 0.1, name=f"adapt_seed{seed}", data=data, steps=40) for seed in (0, 1)]
    runs = [run.rename(run.with_name(f"adapt_seed{seed}")) for seed, run in enumerate(runs)]
    runs += [written(tmp_path / "b", 0, 0.0, 0.1, data=other, steps=60)]
    groups = group_runs([read_run(path) for path in runs])
    assert {name: len(members) for name, members in groups.items()} == {"adapt": 2, runs[2].name: 1}
    told = descriptions(groups)["adapt"]
    assert "λ 0.01" in told and "input 96×128" in told and "data.target photos" in told and "val.target mine" in told
    page = tmp_path / "analysis.html"
    write_comparison(runs, page)
    assert told in page.read_text()
    assert "data.val.target is not the same for all settings" in page.read_text()


def test_a_prior_is_told_by_its_kind(tmp_path: Path) -> None:
    prior = {"recipe": "prior", "model.kind": "global_flow"}
    assert Run(tmp_path, prior, {}, {}, "finished").method == "global_flow"
    assert Run(tmp_path, {"recipe": "fidip"}, {}, {}, "finished").method == "source only"


def test_a_folder_without_runs_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a run folder"):
        find_runs([tmp_path])
    with pytest.raises(UserError, match="no run folder"):
        read_run(tmp_path)


def test_a_missing_umap_and_too_few_people_are_said_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "umap_missing", lambda: "UMAP is not installed")
    cfg = AnalysisConfig(embeddings=("umap",))
    cases = (
        (("source", "target"), 10, "UMAP is not installed"),
        (("source", "target"), 3, "6 people are too few"),
        (("target",), 10, "Only target was validated: name both data.val.source=DIR and data.val.target=DIR."),
    )
    for domains, count, said in cases:
        ids = np.arange(count)
        with FeatureWriter(tmp_path, 1, 0.0) as writer:
            for domain in domains:
                writer.write(domain, Rows(ids, ids, ids, np.zeros((count, 4), np.float32), ids * 0.1, ids * 0.1))
        page = Report("page")
        assert sections.add_embeddings(page, tmp_path, cfg) == []
        assert said in "".join(page.parts)
