"""Pose priors are versions, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sim2pose.cluster import registry, using
from sim2pose.cluster.evaluations import model_folder, register_run
from sim2pose.config import UserError
from sim2pose.models.joints import joint_set
from sim2pose.models.priors import GaussianDensity, PoseSpace
from sim2pose.models.priors.files import load_density


def prior_run(folder: Path, nats: float | None, seed: int = 0) -> Path:
    """What a run of the recipe ``prior`` leaves: a Gaussian of drawn poses, its config and its figures."""
    folder.mkdir(parents=True)
    joints = joint_set("smplx55").joints[1:22]
    pose = 0.3 * torch.randn(200, len(joints), 3, generator=torch.Generator().manual_seed(seed))
    density = GaussianDensity(space := PoseSpace.fit(pose, joints, "smplx55"), full=False, shrinkage=0.0)
    density.initialise(space.standardise(space.to_coordinates(pose))[0])
    density.eval().save(folder / "prior.safetensors")
    config = {"recipe": "prior", "name": folder.name, "steps": 5, "data": {"train": ["poses/walks"]}}
    (folder / "config.yaml").write_text(json.dumps(config))
    metrics = {} if nats is None else {"val/nats_per_dim": nats, "uniform/nats_per_dim": 1.5, "roundtrip/error": 0.1}
    (folder / "done.json").write_text(json.dumps({"metrics": metrics}))
    return folder


def test_priors_are_registered_promoted_and_pulled(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    first = register_run(uri, prior_run(tmp_path / "a", -0.5))
    assert (first.reference, first.kind) == ("sim2pose-priors@1", "prior")
    assert registry.promote(uri, first).promoted
    assert not registry.promote(uri, register_run(uri, prior_run(tmp_path / "b", -0.4, 1))).promoted, "less is better"
    assert registry.promote(uri, register_run(uri, prior_run(tmp_path / "c", -0.6, 2))).promoted
    pulled = using.pull(uri, "sim2pose-priors@champion", tmp_path / "pulled")
    assert load_density(pulled / "prior.safetensors").space.dim == 63
    text = using.card(uri, "sim2pose-priors@1")
    assert "| **this model** | -0.500 |" in text
    assert "| uniform | 1.500 |" in text
    assert "| walks |" in text
    with pytest.raises(UserError, match="sim2pose-priors@3 is a prior, not a network"):
        model_folder("sim2pose-priors@champion", uri)
    with pytest.raises(UserError, match="is not empty"):
        using.pull(uri, "sim2pose-priors@1", tmp_path / "pulled")
    with pytest.raises(UserError, match="has no nats_per_dim on held-out people"):
        register_run(uri, prior_run(tmp_path / "d", None))
