"""The whole job, small: render two domains, train source-only and adapted, evaluate, register the better, report.

Both runs make the same number of pose updates: ``source_only`` trains on the source throughout; ``adapted`` branches off its
checkpoint at ``branch_step`` and continues with FiDIP's adversarial training on both domains, with some target labels.
The target domain is a rendered *stand-in* for real photographs (other bodies, poses, look, camera and renderer) unless
``real=coco:JSON:IMAGES`` names one's own.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from ..config import Config, UserError, load_config
from ..datasets.shards import FramesFolder
from ..render_farm.kinds.infant.config import InfantConfig

log = logging.getLogger(__name__)

RUNS = ("source_only", "adapted")


class DemoConfig(Config):
    """How large the demonstration is. The defaults fit two cores and six minutes."""

    out: Path = Field(Path("demo"), description="everything goes here")
    seed: int = 0
    workers: int = Field(2, ge=1, description="render actors, and training ranks")
    renderer: str = Field("auto", description="of the source frames; the stand-in is always drawn by raycast")
    source_frames: int = Field(800, ge=64)
    target_frames: int = Field(384, ge=64, description="of the stand-in, for training")
    test_frames: int = Field(192, ge=32, description="held out, of each domain")
    size: int = Field(192, ge=64, description="width and height of a frame, pixels")
    target_labels: int = Field(256, ge=0, description="target people whose labels may be used")
    steps: int = Field(1300, ge=2, description="pose updates of each run")
    branch: float = Field(0.6, gt=0, lt=1, description="fraction of the steps after which the adapted run branches off")
    real: str | None = Field(None, description="coco:JSON:IMAGES instead of the stand-in")
    train: dict[str, Any] = Field({}, description="further keys of both training configs, nested")

    @field_validator("real")
    @classmethod
    def _three_parts(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith("coco:") or value.count(":") < 2):
            raise ValueError("real=coco:JSON:IMAGES names an annotation file and its image folder")
        return value


@dataclass
class Stages:
    """Wall seconds of each stage, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and say that it begins."""
        print(f"── {name}", flush=True)
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begin, 2)


def run_demo(config: DemoConfig) -> dict[str, Any]:
    """Do it all; returns what ``summary.json`` holds.

    Raises:
        UserError: if the output folder holds another demo, or the real data cannot be read.
    """
    from ..render_farm.farm.ray_session import ray_session
    from .evaluations import evaluate_on, register_run

    out = config.out.resolve()
    _claim(out, config)
    stages = Stages()
    with ray_session(num_cpus=config.workers):
        with stages.stage("render"):
            folders = _frames(config, out)
        runs = {}
        for name in RUNS:
            with stages.stage(f"train {name.replace('_', ' ')}"):
                runs[name] = _train(config, out, name, folders)
    with stages.stage("evaluate"):
        reports = {
            name: {domain: evaluate_on(str(run), folders[f"{domain}_test"]) for domain in ("source", "target")}
            for name, run in runs.items()
        }
    better = max(RUNS, key=lambda name: reports[name]["target"]["figures"]["model"]["AP"] or 0.0)
    uri = f"sqlite:///{out / 'runs' / 'mlflow.db'}"
    with stages.stage("register"):
        version = register_run(uri, runs[better], evaluations=reports[better])
    summary = _summary(config, out, folders, reports, version.reference)
    with stages.stage("report"):
        from .demo_report import write_demo_report

        write_demo_report(out / "report.html", config, folders, runs, reports, summary, stages.seconds)
    summary["stage_seconds"] = stages.seconds
    (out / "summary.json").write_text(json.dumps(summary, indent=2, default=float) + "\n", encoding="utf-8")
    return summary


def _claim(out: Path, config: DemoConfig) -> None:
    """One folder, one demo: the same config goes on where it stopped, another is refused."""
    out.mkdir(parents=True, exist_ok=True)
    mark = out / "demo.json"
    text = config.model_dump_json(indent=2)
    if mark.exists() and mark.read_text(encoding="utf-8") != text:
        raise UserError(
            f"{out} holds a demo with another configuration: choose another folder with out=DIR, or delete it"
        )
    mark.write_text(text, encoding="utf-8")


def _frames(config: DemoConfig, out: Path) -> dict[str, Path]:
    """Render (or import) the four folders: source and target, training and test."""
    counts = {"source_train": config.source_frames, "source_test": config.test_frames}
    if config.real is None:
        counts |= {"target_train": config.target_frames, "target_test": config.test_frames}
    folders = {name: out / "frames" / name for name in counts}
    from ..render_farm.render import render

    for i, (name, count) in enumerate(counts.items()):
        source = name.startswith("source")
        values = {"frames": count, "out": folders[name], "seed": config.seed * 16 + i, "workers": config.workers}
        values |= {"width": config.size, "height": config.size, "shard_frames": 64, "parts": source}
        if source:
            values["renderer"] = config.renderer
        render(load_config(InfantConfig, "demo_infant" if source else "demo_standin", values))
    if config.real is not None:
        folders |= _import_real(config.real, out / "frames", config.seed)
    return folders


def _import_real(spec: str, out: Path, seed: int) -> dict[str, Path]:
    """Import one's own photographs, two thirds for training, one third held out, parted by image."""
    from ..datasets.coco import import_coco

    _, json_file, images = spec.split(":", 2)
    path = Path(json_file)
    if not path.is_file():
        raise UserError(f"no annotation file at {path} (from real={spec})")
    coco = json.loads(path.read_text(encoding="utf-8"))
    order = np.random.default_rng([seed, 1]).permutation(len(coco["images"]))
    cut = len(order) * 2 // 3
    folders = {}
    for name, part in (("target_train", order[:cut]), ("target_test", order[cut:])):
        kept = [coco["images"][i] for i in sorted(part)]
        ids = {image["id"] for image in kept}
        annotations = [a for a in coco["annotations"] if a["image_id"] in ids]
        piece = out / f"{name}.json"
        piece.parent.mkdir(parents=True, exist_ok=True)
        piece.write_text(json.dumps({**coco, "images": kept, "annotations": annotations}), encoding="utf-8")
        folders[name] = out / name
        import_coco(piece, images, folders[name], domain="real")
    return folders


def _train(config: DemoConfig, out: Path, name: str, folders: dict[str, Path]) -> Path:
    """One of the two runs; the adapted one starts from the source-only run's checkpoint at the branch step."""
    from ..trainers.keypoint_config import KeypointConfig
    from ..trainers.runtimes import train

    branch = round(config.steps * config.branch)
    values: dict[str, Any] = {
        "name": name,
        "out": str(out / "runs"),
        "seed": config.seed,
        "workers": config.workers,
        "runtime": "ray" if config.workers > 1 else "local",
        "steps": config.steps,
        "checkpoint": {"every": branch, "keep": 3},
        "data": {
            "source": str(folders["source_train"]),
            "val": {domain: str(folders[f"{domain}_test"]) for domain in ("source", "target")},
        },
    }
    if name == "adapted":
        values["steps"] = config.steps - branch
        values["init_from"] = str(out / "runs" / "source_only" / "checkpoints" / f"step_{branch:08d}")
        values["data"] |= {"target": str(folders["target_train"]), "target_labels": config.target_labels}
    cfg = load_config(KeypointConfig, f"demo_{name}", _merged(values, config.train))
    resume = (out / "runs" / name).exists()
    return train(cfg, resume=resume).run_dir


def _merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    from ..config import merge

    return merge(values, more)


def _summary(
    config: DemoConfig, out: Path, folders: dict[str, Path], reports: dict[str, Any], reference: str
) -> dict[str, Any]:
    """What ``summary.json`` holds, but for the seconds."""
    opened = {name: FramesFolder.open(path) for name, path in folders.items()}
    figures = {name: {domain: r["figures"] for domain, r in report.items()} for name, report in reports.items()}
    baseline = figures["source_only"]["target"]["mean_pose"]
    uri = f"sqlite:///{out / 'runs' / 'mlflow.db'}"
    return {
        "target": "stand-in (rendered)" if config.real is None else config.real,
        "frames": sum(len(folder) for folder in opened.values()),
        "shards": sum(len(folder.shards) for folder in opened.values()),
        "folders": {
            name: {"frames": len(f), "shards": len(f.shards), "path": str(f.path)} for name, f in opened.items()
        },
        **{
            name: {
                "source_ap": by_domain["source"]["model"]["AP"],
                "target_ap": by_domain["target"]["model"]["AP"],
                "target_oks": by_domain["target"]["model"]["oks"],
            }
            for name, by_domain in figures.items()
        },
        "mean_pose": {"target_ap": baseline["AP"], "target_oks": baseline["oks"]},
        "model_version": reference,
        "places": {
            "frames": str(out / "frames"),
            "runs": str(out / "runs"),
            "registry": uri,
            "model": reference,
            "report": str(out / "report.html"),
            "summary": str(out / "summary.json"),
        },
        "try_next": [
            f"sim2pose models promote {reference} uri={uri}",
            f"sim2pose data inspect {folders['source_train']}",
            "sim2pose render infant frames=2000 out=frames/infant workers=2",
            "sim2pose demo out=demo_mine real=coco:ANNOTATIONS.json:IMAGES",
        ],
    }
