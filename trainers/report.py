"""``report.html`` of a run: its data, curves, predictions over pictures, figures beside baselines, config and machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..config import dump_yaml
from ..datasets.coco import person_id
from ..datasets.crops import apply_affine, crop_affine, decode_image, warp_image
from ..datasets.draw import caption, draw_keypoints, mosaic
from ..datasets.frames import Frame
from ..datasets.html import Report
from ..datasets.inspect import contact_sheet
from ..datasets.live import so_far
from ..datasets.shards import FramesFolder
from ..models.joints import joint_set
from .analysis import sections
from .analysis.compare import read_run
from .events import read_curves
from .recipes import keypoint_run

COLUMNS = ("AP", "AP50", "AP75", "AR", "oks", "pck_0.2", "left_right_confusion")
TITLES = ("AP", "AP50", "AP75", "AR", "mean OKS", "PCK@0.2", "left/right confusion")
BEST = (1, 2, 3, 4, 5, 6)  # columns of a table with TITLES after its first, where the largest number is the best
TILE = 190  # pixels, of predictions

Curve = tuple[list[float], list[float]]


def write_run_report(run_dir: Path) -> Path:
    """Write ``<run>/report.html`` from what the run left in its folder; works on unfinished runs too."""
    cfg = keypoint_run(run_dir)
    done = _json(run_dir / "done.json")
    state = f"{done['samples_per_second']:.0f} images/s over {done['step']} steps" if done else "not finished"
    run = read_run(run_dir)
    method = run.method + ("" if run.weight is None else f", λ {run.weight}")
    page = Report(f"sim2pose run “{cfg.name}”", f"{method} · {cfg.model.network} · {state}")
    if done.get("stopped"):
        page.text(f"The run stopped early: {done['stopped']}", warn=True)
    page.heading("Figures")
    add_figures(page, done.get("metrics", {}), list(cfg.data.val))
    sections.add_retention(page, done.get("metrics", {}), "source" in cfg.data.val)
    page.heading("Curves")
    add_curves(page, {cfg.name: run_dir})
    sections.add_domains(page, run_dir)
    sections.add_embeddings(page, run_dir, cfg.analysis)
    sections.add_keypoint_errors(page, run_dir)
    for name in cfg.data.val:
        add_predictions(page, run_dir, name, Path(cfg.data.val[name]))
    page.heading("Data")
    for folder in cfg.data.source:
        add_contact_sheet(page, Path(folder))
    for folder in cfg.data.target:
        add_contact_sheet(
            page, Path(folder), "" if (used := cfg.data.target_labels) is None else f"; {used} labels were used"
        )
    page.heading("Config")
    page.code(dump_yaml(cfg))
    page.heading("Environment")
    page.code(environment())
    return page.write(run_dir / "report.html")


def add_figures(page: Report, metrics: Mapping[str, float], names: list[str]) -> None:
    """A table for each validation folder: the model (and its AdaBN control), the mean pose and the zero predictor."""
    kinds = {
        "": "model",
        "_adabn": "model, BatchNorm re-estimated",
        "_mean_pose": "mean pose",
        "_zero": "zero predictor",
    }
    for name in names:
        rows = []
        for suffix, title in kinds.items():
            values = [metrics.get(f"{name}{suffix}/{column}") for column in COLUMNS]
            if any(value is not None for value in values):
                rows.append([f"{name}: {title}", *values])
        if rows:
            page.table(("", *TITLES), rows, best=BEST)
    if not metrics:
        page.text("Nothing has been validated yet.")


PANELS: dict[str, tuple[tuple[str, str], ...]] = {
    "pose loss": (("train/pose_mse", "{run}"),),
    "AP": (("source/AP", "{run}, source"), ("target/AP", "{run}, target")),
    "mean OKS": (("source/oks", "{run}, source"), ("target/oks", "{run}, target")),
    "domain accuracy (0.5: cannot tell)": (
        ("train/domain_accuracy", "{run}, online classifier"),
        ("domain_probe_accuracy", "{run}, fresh probe"),
    ),
    "proxy A-distance (0: cannot tell, 2: can)": (("proxy_a_distance", "{run}"),),
    "adversarial / pose gradient (harm above 1)": (("train/gradient_ratio", "{run}"),),
    "learning rate": (("train/lr_pose", "{run}"),),
}
LEVELS = {"domain accuracy (0.5: cannot tell)": 0.5, "adversarial / pose gradient (harm above 1)": 1.0}


def add_curves(page: Report, runs: Mapping[str, Path], note: str = "") -> None:
    """Curves of one or several runs, from their ``metrics.jsonl``."""
    found: dict[str, dict[str, Curve]] = {}
    for name, run_dir in runs.items():
        series = read_curves(run_dir)
        for title, lines in PANELS.items():
            for key, label in lines:
                if len(series.get(key, ((), ()))[0]) > 1:  # a single point is no curve; it stands in the tables
                    found.setdefault(title, {})[label.format(run=name.replace("_", " "))] = series[key]
    page.curves(found, note, LEVELS)
    if not found:
        page.text("Nothing has been logged yet.")


def add_contact_sheet(page: Report, folder: Path, note: str = "", tiles: int = 24) -> None:
    """Some people of a frames folder, as far as it is rendered, with their labels."""
    frames = so_far(folder)
    sheet = contact_sheet(frames, frames.index(), joint_set(frames.info.joint_set), tiles)
    said = f"{folder.name}: {len(frames)} frames{note}"
    page.image(sheet, f"{said}; some of their people with labels (their left orange, right blue)")


def add_predictions(page: Report, run_dir: Path, name: str, folder: Path, count: int = 18) -> None:
    """Predictions of the last validation over their pictures."""
    path = run_dir / "predictions" / f"{name}.json"
    if path.is_file():
        page.heading(f"Predictions on {name}")
        page.image(*prediction_sheet(json.loads(path.read_text(encoding="utf-8")), folder, count))


def prediction_sheet(results: list[dict[str, Any]], folder: Path, count: int = 18) -> tuple[np.ndarray, str]:
    """Crops of people with their predicted skeletons, evenly chosen along the network's own score.

    Returns:
        the sheet (RGB uint8) and its caption.
    """
    frames = FramesFolder.open(folder)
    joints = joint_set(frames.info.joint_set)
    ranked = sorted(results, key=lambda row: -row["score"])
    chosen = [ranked[i] for i in np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).astype(int))]
    wanted = {row["image_id"] for row in chosen}
    by_id = {frame.frame_id: frame for frame in frames.iterate() if frame.frame_id in wanted}
    tiles = [_tile(by_id[row["image_id"]], row, joints) for row in chosen]
    note = f"{len(tiles)} of {len(results)} people, from the network's surest to its least sure"
    return mosaic(tiles, min(6, len(tiles))), note


def _tile(frame: Frame, row: dict[str, Any], joints: Any) -> np.ndarray:
    keypoints = np.asarray(row["keypoints"], np.float64).reshape(-1, 3)
    box = _box(frame, row)
    affine = crop_affine(box, (TILE, TILE), padding=1.35)
    picture = warp_image(decode_image(frame.image), affine, (TILE, TILE))
    points = np.concatenate([apply_affine(keypoints[:, :2], affine), np.full((len(keypoints), 1), 2.0)], axis=1)
    return caption(draw_keypoints(picture, points, joints, size=2.5), f"{frame.frame_id}  score {row['score']:.2f}")


def _box(frame: Frame, row: dict[str, Any]) -> np.ndarray:
    """The box the prediction was made in."""
    return next(p.bbox for i, p in enumerate(frame.persons) if person_id(frame, i) == row["annotation_id"])


def environment() -> str:
    """Versions and machine, as text."""
    import importlib.metadata

    import torch

    names = ("torch", "ray", "mlflow", "numpy", "pyarrow", "smplx", "albumentations", "pycocotools")
    lines = [f"sim2pose {__version__}", f"python {platform.python_version()} on {platform.platform()}"]
    lines += [f"{name} {importlib.metadata.version(name)}" for name in names]
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return "\n".join([*lines, f"{device}, {torch.get_num_threads()} CPU threads"])


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
