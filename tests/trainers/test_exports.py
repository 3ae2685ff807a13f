"""Exports, read back by what reads them elsewhere, give the network's heatmaps for any batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sim2pose.config import UserError
from sim2pose.models.keypoints.networks import build_network
from sim2pose.trainers import exports
from sim2pose.trainers.exports import export_model
from sim2pose.trainers.model_folder import ModelSpec, load_model, save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose heatmaps are of the order of 1, as trained ones are."""
    torch.manual_seed(0)
    network = build_network("hrnet_nano", 17)
    nn.init.normal_(network.final_layer.weight, std=0.3)
    return save_model(tmp_path_factory.mktemp("m"), network, ModelSpec(network="hrnet_nano", input=(32, 64)))


def test_both_formats_give_the_networks_heatmaps(model: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    gaps = export_model(model, tmp_path)
    assert set(gaps) == {"pt2", "onnx"}
    assert max(gaps.values()) < 1e-4
    network, _ = load_model(model)
    program = torch.export.load(tmp_path / "model.pt2").module()
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        images = torch.randn(batch, 3, 64, 32)
        with torch.inference_mode():
            expected = network(images)[1]
            assert expected.abs().max() > 0.1
            torch.testing.assert_close(program(images), expected, atol=1e-4, rtol=0)
        (got,) = session.run(None, {"image": images.numpy()})
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-4)
    told = json.loads((tmp_path / "model_io.json").read_text())
    assert told["input"]["shape"] == ["batch", 3, 64, 32]
    assert told["output"]["shape"] == ["batch", *expected.shape[1:]]
    assert told["joints"][0] == "nose"
    assert told["files"] == {"pt2": "model.pt2", "onnx": "model.onnx"}


def test_an_export_that_differs_is_refused_and_removed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(module: nn.Module, spec: ModelSpec, file: Path) -> exports.Runner:
        file.write_bytes(b"export")
        return lambda images: module(images) + (2e-4 if len(images) == 5 else 0.0)

    monkeypatch.setattr(exports, "_write_pt2", off)
    with pytest.raises(UserError, match=r"differs from the network by 2\.00e-04"):
        export_model(model, tmp_path, ("pt2",))
    assert not list(tmp_path.iterdir())
