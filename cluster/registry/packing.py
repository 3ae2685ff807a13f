"""The folder of a version, made of a run: whatever one needs to use the model, judge it, and train it again.

::

    model.safetensors, model.json   the network (a prior: prior.safetensors)
    model.pt2                       inference export, any batch size
    config.yaml                     the run's resolved config
    evaluation.json                 what was measured at registration, beside the baselines
    version.json                    data and their manifest hashes, code version
    card.md                         the model card
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...config import UserError, config_hash
from ...datasets.shards import FramesFolder
from ...models.priors.files import load_density
from ...models.priors.named import RUN_FILE, find_prior
from ...trainers.exports import export_pt2
from ...trainers.keypoint_config import KeypointConfig
from ...trainers.model_folder import SPEC, WEIGHTS, data_hash, find_model
from ...trainers.recipes import saved_run
from .cards import CARD, card_of
from .code import this_code

Json = dict[str, Any]
ABOUT, EVALUATION, CONFIG = "version.json", "evaluation.json", "config.yaml"
LIKELIHOOD = "nats_per_dim"  # negative log density: less is better
BASELINES = ("mean_pose", "zero")


def describe_frames(folder: FramesFolder, name: str = "") -> Json:
    """A frames folder as figures and cards name it: name, manifest hash, frames, domains, licence."""
    licences = [str(entry.get("name", entry)) for entry in folder.info.extra.get("licenses") or () if entry]
    return {
        "name": name or folder.path.name,
        "hash": data_hash(folder),
        "frames": len(folder),
        "domains": list(folder.domains),
        "licence": folder.info.licence or "; ".join(licences),
    }


def entry_of(report: Json) -> Json:
    """What a version keeps of an evaluation's report: the data, the model's figures, the baselines'."""
    place = dict(report["data"])
    return {
        "data": place.pop("hash"),
        **place,
        "boxes": report["boxes"],
        "metrics": report["figures"]["model"],
        "baselines": {name: report["figures"][name] for name in BASELINES if name in report["figures"]},
        "notes": list(report["notes"]),
    }


def pack_keypoints(run: Path, evaluation: Mapping[str, Json], out: Path) -> Path:
    """Write the folder of a version from a run's (or another folder's) network and its evaluation entries.

    Raises:
        UserError: if there is no model.
    """
    model = find_model(run)
    for name in (WEIGHTS, SPEC):
        shutil.copy2(model / name, out / name)
    export_pt2(out)
    spec = json.loads((out / SPEC).read_text(encoding="utf-8"))
    train: dict[str, Json] = {name: {"name": name, "hash": value} for name, value in spec["trained_on"].items()}
    target: dict[str, Json] = {}
    if (run / CONFIG).is_file():
        shutil.copy2(run / CONFIG, out / CONFIG)
        cfg = saved_run(run)
        assert isinstance(cfg, KeypointConfig), "find_model takes no other run"
        train |= _frames(cfg.training_folders)
        target = _frames(set(cfg.data.target) - set(cfg.training_folders))
    return _finish(out, "keypoints", {"train": train, "target": target}, evaluation)


def pack_prior(run: Path, out: Path) -> dict[str, Json]:
    """Write the folder of a version from a run of the recipe ``prior``; its figures are those of the run's own evaluation.

    Returns:
        the evaluation: ``held_out`` → entry. Its "data" is the hash of what the run's config says about poses and of how
        many they were, so priors compare where they were trained and measured on one choice of poses.

    Raises:
        UserError: for a run that has not finished, or measured nothing on held-out people.
    """
    prior = find_prior(run)
    done = run / "done.json"
    figures = json.loads(done.read_text(encoding="utf-8"))["metrics"] if done.is_file() else {}
    parts = {part: _part(figures, part) for part in ("val", "uniform")}
    if LIKELIHOOD not in parts["val"]:
        raise UserError(f"{run} has no {LIKELIHOOD} on held-out people: finish it, with evaluate=quick or full")
    shutil.copy2(prior, out / RUN_FILE)
    shutil.copy2(run / CONFIG, out / CONFIG)
    cfg, counts = saved_run(run).model_dump(mode="json")["data"], load_density(prior).data.get("counts", {})
    label = config_hash({"data": cfg, "counts": counts})
    name = ", ".join(Path(path).name for path in cfg["train"]) or "procedural hands"
    entry = {"data": label, "name": name, "metrics": parts["val"], "baselines": {"uniform": parts["uniform"]}}
    evaluation = {"held_out": {**entry, "notes": []}}
    _finish(out, "prior", {"train": {name: {"name": name, "hash": label}}}, evaluation)
    return evaluation


def _part(figures: Mapping[str, float], part: str) -> dict[str, float]:
    return {name.removeprefix(f"{part}/"): value for name, value in figures.items() if name.startswith(f"{part}/")}


def _frames(folders: Any) -> dict[str, Json]:
    """Descriptions of the folders that are still there, by name."""
    found = {}
    for path in folders:
        try:
            described = describe_frames(FramesFolder.open(path))
        except UserError:
            continue  # moved away since the training: its hash stays known from model.json
        found[described["name"]] = described
    return found


def _finish(out: Path, kind: str, data: Json, evaluation: Mapping[str, Json]) -> Path:
    about = {"kind": kind, "code": this_code(), "data": data}
    for name, value in ((ABOUT, about), (EVALUATION, evaluation)):
        (out / name).write_text(json.dumps(value, indent=2, default=float) + "\n", encoding="utf-8")
    (out / CARD).write_text(card_of(out, evaluation), encoding="utf-8")
    return out
