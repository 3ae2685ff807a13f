"""Evaluating what has a name: a run, a model folder, a registered version, or a file of COCO results; and registering runs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ..config import Config, UserError
from ..datasets.coco import frames_to_coco, import_coco
from ..datasets.shards import FramesFolder
from ..trainers import evaluation
from ..trainers.model_folder import data_hash, export_pt2, find_model, load_model
from ..trainers.predict import predict
from . import registry

Json = dict[str, Any]


class EvaluateConfig(Config):
    """How to evaluate. Keypoints are predicted in the annotated boxes."""

    images: Path | None = Field(None, description="folder of the pictures, where DATA is a COCO JSON file")
    joint_set: str = Field("coco17", description="of a COCO JSON file and its results")
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
        ``per_keypoint``: joint name → figures; ``report``: all of ``evaluate_results``; ``notes``; ``data`` with name,
        hash and frames.

    Raises:
        UserError: for a model or data that is not there or does not fit.
    """
    config = config or EvaluateConfig()
    if what.endswith(".json"):
        truth, place = _truth(data, config)
        report = evaluation.evaluate_results(truth, what, config.joint_set)
        return _beside_baselines("results", truth, report, None, config.joint_set, place)
    network, spec = load_model(_model_folder(what, config.uri), _device(config.device))
    if data.is_dir():
        return _evaluate_folder(network, spec, FramesFolder.open(data, joint_set=spec.joint_set), config)
    if config.images is None:
        raise UserError(f"{data} is a COCO file: say where its pictures are with images=DIR")
    with tempfile.TemporaryDirectory() as scratch:
        import_coco(data, config.images, Path(scratch) / "frames", joint_set=config.joint_set)
        return _evaluate_folder(network, spec, FramesFolder.open(Path(scratch) / "frames"), config, data.name)


def _evaluate_folder(network: Any, spec: Any, folder: FramesFolder, config: EvaluateConfig, name: str = "") -> Json:
    results = predict(
        network,
        folder,
        spec.input,
        batch=config.batch,
        device=_device(config.device),
        flip_test=config.flip,
        decoding=config.decode,
        bf16=config.bf16,
    )
    truth = frames_to_coco(folder)
    report = evaluation.evaluate_results(truth, results, spec.joint_set)
    place = {"name": name or folder.path.name, "hash": data_hash(folder), "frames": len(folder)}
    return {**_beside_baselines("model", truth, report, spec.mean_pose, spec.joint_set, place), "results": results}


def _beside_baselines(name: str, truth: Any, report: Json, mean: Any, joint_set: str, place: Json) -> Json:
    reports = {name: report, **evaluation.baselines(truth, mean, joint_set)}
    notes = list(report["notes"])
    if report["collapsed"]:
        notes.append("the predictions hardly vary from person to person: the network has collapsed")
    if mean is None:
        notes.append("no mean-pose baseline: it needs a model, which knows its training data")
    return {
        "figures": {key: _figures(value) for key, value in reports.items()},
        "per_keypoint": report["per_keypoint"],
        "report": report,
        "notes": notes,
        "data": place,
    }


def _figures(report: Json) -> Json:
    kept = (*evaluation.STATS, "oks", "left_right_confusion")
    return {**{key: report[key] for key in kept}, "pck": report["pck@0.2"], "people": report["counts"]["people"]}


def _truth(data: Path, config: EvaluateConfig) -> tuple[Json | Path, Json]:
    if data.is_dir():
        folder = FramesFolder.open(data)
        return frames_to_coco(folder), {"name": data.name, "hash": data_hash(folder), "frames": len(folder)}
    if not data.is_file():
        raise UserError(f"no data at {data}: name a frames folder or a COCO annotation file")
    return data, {"name": data.name, "hash": registry.file_hash(data), "frames": None}


def _model_folder(what: str, uri: str | None) -> Path:
    """A path, or NAME@ALIAS looked up in the registry."""
    if "@" in what and not Path(what).exists():
        from ..trainers.tracking import default_uri

        return registry.get(uri or default_uri(Path("runs")), what).folder
    return find_model(Path(what))


def _device(name: str) -> str:
    from ..trainers.context import pick_device

    return str(pick_device(name))


def register_run(
    uri: str, run: Path, evaluations: dict[str, Json] | None = None, name: str = registry.DEFAULT_NAME
) -> registry.Version:
    """Register the model of a run: its folder is stored beside the run, exported for inference, and named in the registry.

    Args:
        uri: MLflow tracking URI.
        run: run folder.
        evaluations: data name (such as ``target``) → what :func:`evaluate_on` returned; None evaluates on the folders that
            the run validated on.
        name: of the registered model.
    """
    if evaluations is None:
        from ..config import load_config
        from ..trainers.config import TrainConfig

        find_model(run)  # says what is missing before the config is read
        cfg = load_config(TrainConfig, str(run / "config.yaml"))
        evaluations = {key: evaluate_on(str(run), Path(folder)) for key, folder in cfg.data.val.items()}
    model = registry.store_model(find_model(run), run.parent / "models")
    export_pt2(model)
    tags = {key: {"data": e["data"]["hash"], "metrics": e["figures"]["model"]} for key, e in evaluations.items()}
    (model / "evaluation.json").write_text(json.dumps(tags, indent=2, default=float) + "\n", encoding="utf-8")
    tracking = run / "tracking.json"
    run_id = json.loads(tracking.read_text(encoding="utf-8")).get("run_id") if tracking.is_file() else None
    return registry.register(uri, model, tags, name, run_id)


def evaluate_version(uri: str, reference: str, data: Path, name: str) -> registry.Version:
    """Measure a registered version on a frames folder and keep the figures with it under ``name``."""
    version = registry.get(uri, reference)
    report = evaluate_on(str(version.folder), data)
    return registry.record_evaluation(uri, version, name, report["data"]["hash"], report["figures"]["model"])
