"""What a run starts from, and what is said about it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from safetensors.torch import save_file

from sim2pose.config import validate
from sim2pose.models.keypoints.networks import build_network
from sim2pose.trainers.initial_weights import load_start
from sim2pose.trainers.keypoint_config import KeypointConfig


@pytest.mark.parametrize("start", ["run", "run/checkpoints/step_00000010"])
def test_another_size_of_crops_is_said(tmp_path: Path, start: str, caplog: pytest.LogCaptureFixture) -> None:
    network = build_network("hrnet_nano", 17)
    (tmp_path / start).mkdir(parents=True)
    save_file(network.state_dict(), tmp_path / start / "pose.safetensors")
    (tmp_path / "run" / "config.yaml").write_text("data: {input: [96, 128]}\n")
    for size, said in (((96, 128), False), ((96, 96), True)):
        caplog.clear()
        data = {"source": "s", "input": size}
        cfg = validate(KeypointConfig, {"name": "x", "steps": 2, "init_from": str(tmp_path / start), "data": data})
        with caplog.at_level(logging.WARNING):
            load_start(cfg, network, True)
        assert ("was trained on crops of 96×128, this run takes 96×96" in caplog.text) == said
