"""A folder that a version is made of, written in milliseconds; and real, tiny runs and frames where one needs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import torch

from sim2pose.cluster.registry.packing import pack_keypoints
from sim2pose.datasets.frames import Frame, Person, dataset_info
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.models.joints import joint_set
from sim2pose.models.keypoints.networks import build_network
from sim2pose.trainers.model_folder import ModelSpec, joints_spec, save_model


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pulled models go under the test's folder."""
    monkeypatch.setenv("SIM2POSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def fake_model() -> Callable[[Path, bytes], Path]:
    """Writes a folder that the registry takes for a network."""

    def write(folder: Path, weights: bytes) -> Path:
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(weights)
        (folder / "model.json").write_text(json.dumps({"network": "hrnet_nano"}))
        return folder

    return write


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with an untrained hrnet_nano for coco17, input 64×64."""
    torch.manual_seed(0)
    joints = joint_set("coco17")
    spec = ModelSpec(network="hrnet_nano", joint_set="coco17", joints=joints_spec(joints), input=(64, 64))
    return save_model(tmp_path_factory.mktemp("model"), build_network("hrnet_nano", 17), spec)


@pytest.fixture(scope="session")
def packed_model(real_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version, whole, made of that model; measured on nothing real."""
    out = tmp_path_factory.mktemp("packed")
    return pack_keypoints(real_model, {"target": {"data": "t", "metrics": {"AP": 0.2}}}, out)


@pytest.fixture(scope="session")
def real_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames of noise with two people each, domain "real", licence "CC0"."""
    rng = np.random.default_rng(0)
    info, made = dataset_info("coco17", {"seed": 0}, licence="CC0"), []
    for i in range(4):
        picture = rng.integers(0, 255, (120, 200, 3), dtype=np.uint8)
        persons = []
        for x in (5, 105):
            box = np.array([x, 10, 70, 90], np.float32)
            points = rng.uniform(0, 1, (17, 2)) * box[2:] + box[:2]
            keypoints = np.concatenate([points, np.full((17, 1), 2)], axis=1).astype(np.float32)
            persons.append(Person(box, keypoints, 4000.0))
        made.append(Frame(i, simplejpeg.encode_jpeg(picture), 120, 200, "real", persons=persons))
    folder = tmp_path_factory.mktemp("frames") / "noise"
    folder.mkdir()
    write_manifest(folder, [publish_shard(folder, 0, made, info)], info)
    return folder


@pytest.fixture
def measured() -> Callable[..., dict[str, dict[str, Any]]]:
    """Evaluation entries with an AP on ``target``, and 0.5 on ``source``."""

    def make(ap: float | None, data: str = "aaaa") -> dict[str, dict[str, Any]]:
        return {"target": {"data": data, "metrics": {"AP": ap}}, "source": {"data": "s", "metrics": {"AP": 0.5}}}

    return make
