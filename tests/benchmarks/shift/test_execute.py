"""The benchmark from end to end on noise: it trains what is missing once, shares work by locks, and tabulates what is there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from sim2pose.benchmarks.shift import bench, execute, report, results
from sim2pose.benchmarks.shift.config import BenchConfig
from sim2pose.benchmarks.shift.domains import counts, folders
from sim2pose.benchmarks.shift.execute import ended
from sim2pose.benchmarks.shift.plan import Run, part
from sim2pose.benchmarks.train import noise_frames
from sim2pose.config import UserError
from sim2pose.datasets.locks import driver_lock
from sim2pose.trainers.updates import NonFiniteLoss

METHODS = ("source", "joint")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny benchmark on noise pictures."""
    folder = tmp_path_factory.mktemp("shift")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "render_domains", _noise)
        bench.run(_config(folder))
    return folder


def _noise(out: Path, severities: Iterable[str], frames: int) -> None:
    for severity in severities:
        for role, path in folders(out, severity).items():
            if not path.exists():
                noise_frames(path, counts(frames)[role], 96, 96, role)


def _config(out: Path, **values: object) -> BenchConfig:
    return BenchConfig.model_validate(
        {"out": out, "tiny": True, "severities": ("medium",), "methods": METHODS, "seeds": (0, 1), **values}
    )


def test_every_run_is_there_and_has_what_the_table_needs(out: Path) -> None:
    for run in part(_config(out)):
        assert ended(run.folder(_config(out)))
    written = json.loads((out / "shift.json").read_text(encoding="utf-8"))
    assert [line["method"] for line in written["lines"]] == list(METHODS)
    for line in written["lines"]:
        assert set(line["figures"]) == set(results.FIGURES) and list(line["figures"]["target_ap"]["seeds"]) == [
            "0",
            "1",
        ]
    assert written["lines"][0]["control"] is None and written["lines"][0]["retention"] is None
    assert written["lines"][1]["control"] == "longer" and written["lines"][1]["to_control"] is None
    assert written["lines"][1]["to_source"]["seeds"] == 2
    assert (out / "shift.html").read_text(encoding="utf-8").count("data:image/") == 2  # sheets of source and target
    assert "| joint | λ = 0: target in the batch, no term |" in (out / "shift.md").read_text(encoding="utf-8")


def test_a_source_only_row_is_its_run_measured(out: Path) -> None:
    """The row is the start's own network: the same source figures, nothing trained in between."""
    start, row = (Run(s, m, 1).folder(_config(out)) for s, m in ((None, "mild"), ("medium", "source")))
    before, after = (json.loads((f / "done.json").read_text(encoding="utf-8"))["metrics"] for f in (start, row))
    own = {key: value for key, value in before.items() if key.startswith("source/")}
    assert own and own == {key: after[key] for key in own}
    assert "target/AP" in after and "target/AP" not in before
    assert not (row / "checkpoints").exists()


def test_started_again_it_trains_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train", "measure"):
        monkeypatch.setattr(execute, name, lambda *a, **k: pytest.fail("a finished run was done again"))
    monkeypatch.setattr(bench, "render_domains", _noise)
    lines = bench.run(_config(out))
    assert [line.method for line in lines] == list(METHODS)


def test_other_settings_are_refused_beside_finished_runs(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "render_domains", _noise)
    with pytest.raises(
        UserError, match=r"joint_seed0 was trained with other settings.* in optim\.lr, steps: .*variant=NAME"
    ):
        bench.run(_config(out, methods=("joint",), steps=3, train={"optim": {"lr": 1e-4}}))
    with pytest.raises(UserError, match=r"mild_seed0 .* in steps"):
        bench.run(_config(out, source_steps=3))


def test_a_run_that_another_process_has_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start is done by another process; its followers wait for it, and a run that is locked is passed over."""
    config = _config(tmp_path, seeds=(0,))
    done: list[str] = []
    naps: list[float] = []

    def do(run: Run, cfg: object, folder: Path, start: Path | None) -> None:
        done.append(folder.name)
        _finish(folder)

    def nap(seconds: float) -> None:
        naps.append(seconds)
        _finish(Run(None, "mild", 0).folder(_config(tmp_path)))  # meanwhile the other process has finished

    monkeypatch.setattr(execute, "_do", do)
    monkeypatch.setattr("sim2pose.benchmarks.shift.execute.time.sleep", nap)
    (tmp_path / "locks").mkdir()
    with driver_lock(tmp_path / "locks" / "start_mild_seed0"):
        execute.execute(config, part(config), lambda line: None)
    assert done == ["source_seed0", "joint_seed0"] and naps == [execute.POLL_S]


def _finish(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    values = {"step": 1, "metrics": {"target/AP": 0.1}, "stopped": None, "samples_per_second": 1.0, "seconds": 1.0}
    (folder / "done.json").write_text(json.dumps(values), encoding="utf-8")


def test_a_diverged_run_is_a_result_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(cfg: object, resume: bool) -> None:
        name = cfg.name  # type: ignore[attr-defined]
        if name == "joint_seed0":
            (Path(cfg.out) / name).mkdir(parents=True)  # type: ignore[attr-defined]
            raise NonFiniteLoss("the loss is nan at step 3")
        _finish(Path(cfg.out) / name)  # type: ignore[attr-defined]

    monkeypatch.setattr(execute, "train", train)
    monkeypatch.setattr(execute, "find_model", lambda folder: folder)
    config = _config(tmp_path, seeds=(0,), methods=("joint", "ratio"))
    execute.execute(config, part(config), lambda line: None)
    assert ended(Run("medium", "ratio", 0).folder(_config(tmp_path)))
    monkeypatch.setattr(results, "_bootstrap", lambda config, severity, name, found: {s: np.zeros(3) for s in found})
    lines = {line.method: line for line in results.tabulate(config)}
    assert lines["joint"].failed == {0: "the loss is nan at step 3"} and lines["joint"].figures == {}
    assert lines["ratio"].to_control is None, "a control without a result leaves no difference"
    (_, cells), *_ = report.tables(config, list(lines.values()))
    assert [row[-1] for row in cells] == ["0, 1 diverged", "1"]


def test_differences_are_paired_by_seed_and_by_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method better by .1 on every seed and image differs by .1 exactly, however far the seeds lie apart."""
    base = {0: 0.2, 1: 0.5, 2: 0.35}
    own = {"source": dict.fromkeys(base, 0.1), "joint": base, "fidip_5e-4": {s: v + 0.1 for s, v in base.items()}}
    keys = ("target/AP", "source/AP")
    monkeypatch.setattr(
        results,
        "_results",
        lambda config, severity, name: {
            s: dict.fromkeys(keys, v) | {"seconds": 2.0} for s, v in own.get(name, {}).items()
        },
    )
    noise = np.random.default_rng(0).normal(0, 0.2, 400)
    monkeypatch.setattr(
        results, "_bootstrap", lambda config, severity, name, found: {s: own[name][s] + noise for s in found}
    )
    line = next(x for x in results.tabulate(_config(tmp_path, seeds=(0, 1, 2))) if x.method == "fidip_5e-4")
    assert line.to_control is not None and line.to_control.mean == pytest.approx(0.1)
    assert line.to_control.excludes_zero() and line.to_control_interval == pytest.approx((0.1, 0.1))
    assert line.ap_interval is not None and line.ap_interval[1] - line.ap_interval[0] > 0.5
    assert line.to_source is not None and line.to_source.mean == pytest.approx(0.35)
    assert line.retention is not None and line.retention.mean == pytest.approx(0.35)
