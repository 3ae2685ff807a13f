"""Evaluating what has a name: a run, a model folder, a registered version, or a file of COCO results; and registering runs."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ..config import Config, UserError
from ..datasets.coco import frames_to_coco, import_coco
from ..datasets.detections import read_detections
from ..datasets.shards import FramesFolder
from ..models.joints import JointSet, joint_set
from ..trainers import evaluation
from ..trainers.model_folder import data_hash, find_model, load_model
from ..trainers.oks_nms import THRESHOLD, Suppression, suppress
from ..trainers.predict import predict
from ..trainers.priors.config import PriorTrainConfig
from ..trainers.recipes import keypoint_run, saved_run
from ..trainers.tracking import STATE, default_uri
from . import registry
from .registry import code, packing

Json = dict[str, Any]
COCO17 = "coco17"

log = logging.getLogger(__name__)


class EvaluateConfig(Config):
    """How to evaluate. Keypoints are predicted in the annotated boxes, or in those of a detections file."""

    images: Path | None = Field(None, description="folder of the pictures, where DATA is a COCO JSON file")
    joint_set: str | None = Field(
        None,
        description="joints, by name or from a file (my.yaml); coco17 for a COCO file, else the frames folder's own",
    )
    sigmas: tuple[float, ...] | None = Field(None, description="OKS sigmas in place of the joint set's, one a joint")
    detections: Path | None = Field(None, description="COCO detection results (JSON): predict in these boxes")
    category: int = Field(1, description="category_id of people in the detections file")
    min_score: float = Field(0.0, description="leave out detections below this score")
    top: int | None = Field(None, ge=1, description="use at most this many detections of a picture")
    nms: Suppression = Field("oks", description="OKS-NMS of what detections gave: oks, soft (lowered scores), none")
    nms_oks: float = Field(THRESHOLD, gt=0, le=1, description="OKS above which two predictions are of one person")
    flip: bool = Field(True, description="average with the mirrored crop")
    decode: Literal["dark", "argmax"] = "dark"
    batch: int = Field(64, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    bf16: bool = Field(False, description="run the network in bfloat16")
    uri: str | None = Field(None, description="registry to look NAME@ALIAS up in (null: runs/mlflow.db)")


def evaluate_on(what: str, data: Path, config: EvaluateConfig | None = None) -> Json:
    """Score a run, model or results file on a frames folder or a COCO file, beside the baselines.

    Returns:
        ``figures``: name (``model`` or ``results``, ``mean_pose``, ``zero``) → AP … ARl, oks, pck, left_right_confusion;
        where the annotations' areas are degenerate also ``<name>_box_area`` → AP … ARl with box areas;
        ``per_keypoint``: joint name → figures; ``report``: all of ``evaluate_results``; ``notes``; ``data`` with name,
        hash and frames; of a model ``results``, and with detections ``detections``, the counts of their file.

    Raises:
        UserError: for a model or data that is not there or does not fit.
    """
    config = config or EvaluateConfig()
    if what.endswith(".json"):
        if config.detections is not None:
            raise UserError(f"detections={config.detections} are for a model to predict in; {what} holds predictions")
        truth, place, joints = _truth(data, config)
        report = evaluation.evaluate_results(truth, what, joints, config.sigmas)
        return _beside_baselines("results", truth, report, None, joints, config.sigmas, place)
    model = model_folder(what, config.uri)
    if data.is_dir():
        return _evaluate_folder(model, FramesFolder.open(data), config)
    if config.images is None:
        raise UserError(f"{data} is a COCO file: say where its pictures are with images=DIR")
    with tempfile.TemporaryDirectory() as scratch:
        import_coco(data, config.images, Path(scratch) / "frames", joint_set=config.joint_set or COCO17)
        return _evaluate_folder(model, FramesFolder.open(Path(scratch) / "frames"), config, data.name)


def _evaluate_folder(model: Path, folder: FramesFolder, config: EvaluateConfig, name: str = "") -> Json:
    """Predict and score; the folder is open first, so that a joint set of its own is known when the model is built."""
    network, spec = load_model(model, _device(config.device))
    if folder.info.joint_set != spec.joint_set:
        raise UserError(
            f"{name or folder.path} has joint set '{folder.info.joint_set}', the model predicts '{spec.joint_set}'"
        )
    joints = joint_set(config.joint_set or spec.joint_set)
    if joints.name != spec.joint_set:
        raise UserError(f"joint_set={config.joint_set} is '{joints.name}', the model predicts '{spec.joint_set}'")
    detections = None
    if config.detections is not None:
        frames = folder.index().frame_id.tolist()
        detections = read_detections(
            config.detections, frames, category=config.category, min_score=config.min_score, top=config.top
        )
    results = predict(
        network,
        folder,
        spec.input,
        batch=config.batch,
        device=_device(config.device),
        flip_test=config.flip,
        decoding=config.decode,
        bf16=config.bf16,
        detections=detections,
    )
    told = {}
    if detections is not None:
        before = len(results)
        results = suppress(results, config.sigmas or joints.sigmas, config.nms, config.nms_oks)
        told = {"detections": dict(detections.counts) | {"suppressed": before - len(results)}}
    truth = frames_to_coco(folder)
    report = evaluation.evaluate_results(truth, results, joints, config.sigmas)
    if detections is not None:
        report["notes"] += [
            f"{detections.describe()}; OKS-NMS ({config.nms}) took away {before - len(results)} of {before} predictions",
            "the baselines stand in the annotated boxes",
        ]
    place = packing.describe_frames(folder, name)
    beside = _beside_baselines("model", truth, report, spec.mean_pose, joints, config.sigmas, place)
    boxes = "annotated" if config.detections is None else config.detections.name
    return {**beside, "boxes": boxes, "results": results, **told}


def _beside_baselines(
    name: str, truth: Any, report: Json, mean: Any, joints: JointSet, sigmas: Sequence[float] | None, place: Json
) -> Json:
    reports = {name: report, **evaluation.baselines(truth, mean, joints, sigmas)}
    notes = list(report["notes"])
    if report["collapsed"]:
        notes.append("the predictions hardly vary from person to person: the network has collapsed")
    if mean is None:
        notes.append("no mean-pose baseline: it needs a model, which knows its training data")
    figures = {}
    for key, value in reports.items():
        figures[key] = _figures(value)
        if value["box_area"] is not None:
            figures[f"{key}_box_area"] = value["box_area"]
    return {
        "figures": figures,
        "per_keypoint": report["per_keypoint"],
        "report": report,
        "notes": notes,
        "data": place,
    }


def _figures(report: Json) -> Json:
    kept = (*evaluation.STATS, "oks", "left_right_confusion")
    return {**{key: report[key] for key in kept}, "pck": report["pck@0.2"], "people": report["counts"]["people"]}


def _truth(data: Path, config: EvaluateConfig) -> tuple[Json | Path, Json, JointSet]:
    if data.is_dir():
        folder = FramesFolder.open(data)
        place = {"name": data.name, "hash": data_hash(folder), "frames": len(folder)}
        joints = joint_set(config.joint_set or folder.info.joint_set)
        return frames_to_coco(folder, joint_set=joints.name), place, joints
    if not data.is_file():
        raise UserError(f"no data at {data}: name a frames folder or a COCO annotation file")
    place = {"name": data.name, "hash": registry.file_hash(data), "frames": None}
    return data, place, joint_set(config.joint_set or COCO17)


def model_folder(what: str, uri: str | None) -> Path:
    """The folder of a network: a run's, a model folder, or the files of a registered NAME@ALIAS, pulled if need be.

    What the code that made a registered version has that this one has not is said as a warning.

    Raises:
        UserError: for what is not there, or is no network.
    """
    if "@" not in what or Path(what).exists():
        return find_model(Path(what))
    place = uri or default_uri(Path("runs"))
    version = registry.get(place, what)
    if version.kind != "keypoints":
        raise UserError(f"{version.reference} is a {version.kind}, not a network: see 'sim2pose models show {what}'")
    return checked_files(place, version)


def checked_files(uri: str, version: registry.Version) -> Path:
    """A version's files on this machine; says what differs between its code and this one.

    Raises:
        UserError: if they cannot be had, or this code cannot build the network.
    """
    folder = registry.fetch(uri, version)
    notes = [code.difference(version.code, version.reference), code.config_trouble(folder)]
    told = "; ".join(note for note in notes if note)
    if version.kind == "keypoints":
        try:
            load_model(folder)
        except UserError as error:
            raise UserError(f"{error}; {told}" if told else str(error)) from error
    if told:
        log.warning("%s", told)
    return folder


def _device(name: str) -> str:
    from ..trainers.context import pick_device

    return str(pick_device(name))


def register_run(
    uri: str, run: Path, evaluations: dict[str, Json] | None = None, name: str | None = None
) -> registry.Version:
    """Register the model of a run: packed with config, figures, card and an inference export, and named in the registry.

    Args:
        uri: MLflow tracking URI.
        run: run folder.
        evaluations: data name (such as ``target``) → what :func:`evaluate_on` returned; None evaluates on the folders that
            the run validated on. Pose priors bring the figures of their own evaluation.
        name: of the registered model; by default ``sim2pose-keypoints``, of priors ``sim2pose-priors``.

    Raises:
        UserError: for a run without a model or figures, and whatever :func:`registry.register` refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        packed, kind = Path(scratch), "keypoints"
        if (run / packing.CONFIG).is_file() and isinstance(saved_run(run), PriorTrainConfig):
            kind, entries = "prior", packing.pack_prior(run, packed)
        else:
            entries = _measured(run, evaluations)
            packing.pack_keypoints(run, entries, packed)
        return registry.register(uri, packed, entries, name or registry.NAMES[kind], _run_id(uri, run))


def _measured(run: Path, evaluations: dict[str, Json] | None) -> dict[str, Json]:
    """Evaluation entries of a run; measured now where they are not given."""
    if evaluations is None:
        find_model(run)  # says what is missing before the config is read
        cfg = keypoint_run(run)
        evaluations = {key: evaluate_on(str(run), Path(folder)) for key, folder in cfg.data.val.items()}
    if not evaluations:
        raise UserError(
            f"{run} was validated on nothing: say what to measure it on, data.val.target=DIR, and train again"
        )
    return {key: packing.entry_of(report) for key, report in evaluations.items()}


def _run_id(uri: str, run: Path) -> str | None:
    """The run's id in this registry's tracking; None where it was tracked elsewhere, or not at all."""
    tracking = run / STATE
    state = json.loads(tracking.read_text(encoding="utf-8")) if tracking.is_file() else {}
    return state.get("run_id") if str(state.get("uri")).rstrip("/") == uri.rstrip("/") else None


def evaluate_version(uri: str, reference: str, data: Path, name: str) -> registry.Version:
    """Measure a registered version on a frames folder and keep the figures with it under ``name``."""
    version = registry.get(uri, reference)
    report = evaluate_on(str(checked_files(uri, version)), data)
    return registry.record_evaluation(uri, version, name, packing.entry_of(report))
