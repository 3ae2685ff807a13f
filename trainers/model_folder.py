"""A model folder: what a trained keypoint network is outside of its run.

::

    model.safetensors   weights, trainable
    model.json          ModelSpec: how to build the network, what goes in and out, where it came from
    model.pt2           inference export (torch.export), any batch size; made when a model is registered
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from .. import __version__
from ..config import Config, UserError, config_hash, validate
from ..datasets.persons import PersonDataset
from ..datasets.shards import FramesFolder
from ..models.joints import JointSet, add_joint_set, joint_set
from ..models.keypoints.base import HeatmapNetwork
from ..models.keypoints.networks import build_network
from ..models.keypoints.weights import load_weights
from . import checkpoints
from .evaluation import mean_pose
from .initial_weights import find_weights
from .recipes import keypoint_run

log = logging.getLogger(__name__)

WEIGHTS, SPEC, EXPORT = "model.safetensors", "model.json", "model.pt2"


class JointsSpec(Config):
    """A joint set whole, so that a model carries its own to where it is not known; fields as in ``JointSet``."""

    joints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] | None = None
    skeleton: tuple[tuple[int, int], ...] = ()


class ModelSpec(Config):
    """Everything needed to rebuild and use a network.

    Attributes:
        network: name in ``models.keypoints.networks.NETWORKS``; ``args`` are its arguments.
        joint_set: names and order of the keypoints that come out.
        joints: that joint set; None in models of before it was written down.
        input: crop (width, height) in pixels.
        mean_pose: mean training keypoints J×2 in units of the box (0 = left/top edge, 1 = right/bottom), for the baseline
            that stands beside every figure; None if the training data had no labels.
        trained_on: data set name to manifest hash.
        config_hash: of the training config; checkpoint: the step folder the weights come from.
    """

    network: str
    args: dict[str, Any] = {}
    joint_set: str = "coco17"
    joints: JointsSpec | None = None
    input: tuple[int, int]
    mean_pose: list[tuple[float, float]] | None = None
    trained_on: dict[str, str] = {}
    config_hash: str = ""
    checkpoint: str = ""
    code_version: str = __version__


def joints_spec(joints: JointSet) -> JointsSpec:
    """A joint set as ``model.json`` holds it."""
    return JointsSpec(
        joints=joints.joints, flip_pairs=joints.flip_pairs, sigmas=joints.sigmas, skeleton=joints.skeleton
    )


def save_model(folder: Path, network: nn.Module, spec: ModelSpec) -> Path:
    """Write weights and spec into ``folder`` (made if absent). Weights are stored contiguous, on the CPU."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    (folder / SPEC).write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return folder


def load_model(path: str | Path, device: str = "cpu") -> tuple[HeatmapNetwork, ModelSpec]:
    """Load a model folder, or the model of a run folder (made from its best checkpoint), in eval mode.

    Raises:
        UserError: if neither is there, or the weights do not fit the spec.
    """
    folder = find_model(Path(path))
    try:
        values = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{folder / SPEC} is not JSON: {error}") from error
    unknown = sorted(set(values) - set(ModelSpec.model_fields))
    if unknown:  # of a later version: they matter only if the weights then do not fit
        log.warning("%s: keys that this sim2pose does not know are left aside: %s", folder / SPEC, ", ".join(unknown))
    spec = validate(ModelSpec, {key: value for key, value in values.items() if key not in unknown})
    if spec.joints is not None:
        given = spec.joints
        add_joint_set(JointSet(spec.joint_set, given.joints, given.flip_pairs, given.sigmas, given.skeleton))
    network = build_network(spec.network, joint_set(spec.joint_set).count, **spec.args)
    load_weights(network, folder / WEIGHTS)
    return network.to(device).eval(), spec


def find_model(path: Path) -> Path:
    """The model folder that ``path`` is; of a run folder its ``model/``, made if it is not there or not up to date."""
    if (path / SPEC).is_file() and (path / WEIGHTS).is_file():
        return path
    if not path.exists():
        raise UserError(f"no model at {path}: name a run folder, a model folder or a registered NAME@VERSION")
    if not (path / "config.yaml").is_file():
        raise UserError(f"{path} is neither a model folder ({SPEC}, {WEIGHTS}) nor a run folder (config.yaml)")
    return model_of_run(path)


def model_of_run(run_dir: Path) -> Path:
    """Write ``<run>/model`` from the run's best checkpoint (the last, where none was scored); averaged weights if any.

    Raises:
        UserError: if the run has no whole checkpoint yet, or trained no keypoint network.
    """
    cfg = keypoint_run(run_dir)
    checkpoint = checkpoints.best_checkpoint(run_dir)
    if checkpoint is None:
        raise UserError(f"{run_dir} has no checkpoint yet: go on with it (sim2pose train … --resume)")
    folder = run_dir / "model"
    label = checkpoint.name
    if (folder / SPEC).is_file() and json.loads((folder / SPEC).read_text(encoding="utf-8"))["checkpoint"] == label:
        return folder
    sources = [FramesFolder.open(path) for path in cfg.training_folders]
    people = PersonDataset(sources, domain=1)
    network = build_network(cfg.model.network, people.joint_set.count, **cfg.model.args)
    load_weights(network, find_weights(checkpoint))
    spec = ModelSpec(
        network=cfg.model.network,
        args=cfg.model.args,
        joint_set=people.joint_set.name,
        joints=joints_spec(people.joint_set),
        input=cfg.data.input,
        mean_pose=[(float(x), float(y)) for x, y in mean_pose(people.bbox, people.keypoints)],
        trained_on={folder.path.name: data_hash(folder) for folder in sources},
        config_hash=config_hash(cfg),
        checkpoint=label,
    )
    return save_model(folder, network, spec)


def data_hash(folder: FramesFolder) -> str:
    """Short hash of a frames folder's content, from the SHA-256 of its shards."""
    return config_hash({"shards": [shard.sha256 for shard in folder.shards]})
