"""What one does with a model that has a name: pull it, read its card, export it, predict with it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ..config import Config, UserError
from ..datasets.photographs import find_photographs, read_boxes
from ..models.joints import JointSet, joint_set
from ..trainers.context import pick_device
from ..trainers.exports import Format, export_model
from ..trainers.model_folder import load_model
from ..trainers.oks_nms import THRESHOLD, Suppression
from ..trainers.photographs import Found, Settings, predict_photographs
from ..trainers.predict import KEYPOINT_THRESHOLD
from . import registry
from .evaluations import checked_files, model_folder
from .registry.cards import CARD, card_of

Json = dict[str, Any]
NAMED_UNREADABLE = 10


class ExportConfig(Config):
    """Where an export goes, and in which formats."""

    out: Path = Field(description="folder for model.pt2, model.onnx and model_io.json")
    formats: tuple[Format, ...] = Field(("pt2", "onnx"), min_length=1)
    uri: str | None = Field(None, description="registry to look NAME@ALIAS up in (null: runs/mlflow.db)")


class PredictConfig(Config):
    """How photographs are looked at."""

    out: Path = Field(description="new folder for keypoints.json, images.json and pictures/")
    boxes: Path | None = Field(None, description="boxes of people: COCO detections by file_name or image_id")
    category: int = Field(1, description="category_id of people in the boxes file")
    min_score: float = Field(0.0, description="leave out boxes below this score")
    top: int | None = Field(None, ge=1, description="use at most this many boxes of a picture")
    nms: Suppression = Field("oks", description="OKS-NMS of what boxes gave: oks, soft, none")
    nms_oks: float = Field(THRESHOLD, gt=0, le=1, description="OKS above which two predictions are of one person")
    flip: bool = Field(True, description="average with the mirrored crop")
    decode: Literal["dark", "argmax"] = "dark"
    batch: int = Field(32, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    bf16: bool = Field(False, description="run the network in bfloat16")
    threads: int | None = Field(None, ge=1, description="that decode and draw (null: all cores but one)")
    draw: bool = Field(True, description="write the pictures with skeletons")
    min_keypoint: float = Field(KEYPOINT_THRESHOLD, description="keypoints scored above it are drawn")
    uri: str | None = Field(None, description="registry to look NAME@ALIAS up in (null: runs/mlflow.db)")


def pull(uri: str, reference: str, out: Path | None = None) -> Path:
    """The folder of a version's files on this machine, copied to ``out`` where that is given.

    Raises:
        UserError: if they cannot be had, or ``out`` holds something.
    """
    folder = checked_files(uri, registry.get(uri, reference))
    if out is None:
        return folder
    new_folder(out)
    shutil.copytree(folder, out, dirs_exist_ok=True)
    return out


def card(uri: str, reference: str) -> str:
    """A version's model card, with everything measured since its registration.

    Raises:
        UserError: for a version that was registered without one.
    """
    version = registry.get(uri, reference)
    folder = checked_files(uri, version)
    if not (folder / CARD).is_file():
        raise UserError(f"{version.reference} was registered before there were cards: register its run again")
    return card_of(folder, version.evaluation, version.reference)


def export(what: str, config: ExportConfig) -> dict[str, float]:
    """Export a model by name, run or folder; see ``trainers.exports.export_model``."""
    return export_model(model_folder(what, config.uri), config.out, config.formats)


def predict(what: str, pictures: Path, config: PredictConfig) -> list[str]:
    """Predict on photographs; writes ``keypoints.json`` (COCO results), ``images.json`` and ``pictures/`` under ``out``.

    Returns:
        What is to be said of it, line by line.

    Raises:
        UserError: for a model, pictures or boxes that are not there or do not fit, or an ``out`` that holds something.
    """
    photographs = find_photographs(pictures)
    detections = None
    if config.boxes is not None:
        detections = read_boxes(
            config.boxes, photographs, category=config.category, min_score=config.min_score, top=config.top
        )
    device = pick_device(config.device)
    network, spec = load_model(model_folder(what, config.uri), str(device))
    joints = joint_set(spec.joint_set)
    settings = Settings(
        input_wh=spec.input,
        batch=config.batch,
        flip=config.flip,
        decoding=config.decode,
        bf16=config.bf16,
        threads=config.threads or max(1, (os.cpu_count() or 2) - 1),
        nms=config.nms,
        nms_oks=config.nms_oks,
        min_keypoint=config.min_keypoint,
    )
    new_folder(config.out)
    drawn = config.out / "pictures" if config.draw else None
    found = predict_photographs(network, joints, photographs, settings, detections, drawn)
    _write(found, joints, what, config)
    boxes = (
        "no boxes were given: each whole picture was taken as one person's box (boxes=FILE for several or small people)"
        if detections is None
        else detections.describe()
    )
    return [
        boxes,
        f"{len(found.results)} people in {len(found.images)} pictures",
        *_unreadable(found),
        f"in {config.out}",
    ]


def new_folder(out: Path) -> None:
    """Make a folder for results; what is there already is not mixed with them.

    Raises:
        UserError: if it holds something, or cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        occupied = any(out.iterdir())
    except OSError as error:
        raise UserError(f"cannot write into out={out}: {error.strerror}") from error
    if occupied:
        raise UserError(f"out={out} is not empty: choose a new folder")


def _write(found: Found, joints: JointSet, what: str, config: PredictConfig) -> None:
    """``keypoints.json`` as COCO's tools read results, ``images.json`` as they read annotations (without any)."""
    category = {
        "id": 1,
        "name": "person",
        "keypoints": list(joints.joints),
        "skeleton": [[a + 1, b + 1] for a, b in joints.skeleton],
    }
    boxes = "whole pictures" if config.boxes is None else config.boxes.name
    about = {
        "info": {"model": what, "joint_set": joints.name, "boxes": boxes},
        "images": found.images,
        "annotations": [],
        "categories": [category],
        "unreadable": [{"file_name": name, "why": why} for name, why in found.unreadable.items()],
    }
    (config.out / "keypoints.json").write_text(json.dumps(found.results) + "\n", encoding="utf-8")
    (config.out / "images.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _unreadable(found: Found) -> list[str]:
    if not found.unreadable:
        return []
    named = [f"  {name}: {why}" for name, why in list(found.unreadable.items())[:NAMED_UNREADABLE]]
    more = len(found.unreadable) - len(named)
    rest = [f"  … and {more} more, in images.json"] if more else []
    return [f"{len(found.unreadable)} pictures could not be read:", *named, *rest]
