"""Prediction on photographs over the bare network: ``sim2pose bench predict``.

Both see the same number of people with the same network, batch and flip test, in turn, in one process. The bare network has
its batches ready; prediction reads and decodes files, crops, reads keypoints from heatmaps, draws and writes pictures. On a
CPU the seconds are the process's (all its threads together, so that overlap hides nothing); on a GPU those of the clock.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from pydantic import Field

from ..config import Config
from ..datasets.photographs import find_photographs
from ..models.joints import joint_set
from ..models.keypoints.base import normalise
from ..models.keypoints.networks import build_network
from ..models.threads import torch_threads
from ..trainers.context import pick_device
from ..trainers.photographs import Settings, predict_photographs
from .rows import Row


class BenchConfig(Config):
    """Size of the measurement."""

    network: str = "hrnet_w32"
    input: tuple[int, int] = (192, 256)
    batch: int = Field(default=32, ge=1)
    pictures: int = Field(default=64, ge=1, description="pictures a turn, one person each")
    size: tuple[int, int] = Field(default=(640, 480), description="width and height of the pictures")
    rounds: int = Field(default=3, ge=1)
    flip: bool = True
    bf16: bool = False
    draw: bool = True
    threads: int = Field(default=1, ge=1, description="of torch")
    helpers: int = Field(default=1, ge=1, description="threads that decode and draw")
    device: str = Field(default="cpu", description="cpu or cuda")


def soft_pictures(folder: Path, count: int, wh: tuple[int, int]) -> Path:
    """JPEG files of soft random colours, as quick to decode as photographs are: work for a benchmark, not data."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(count):
        picture = cv2.resize(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), wh, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i:05d}.jpg"), picture)
    return folder


def run(config: BenchConfig) -> list[Row]:
    """Measure; one row: people a second of prediction over those of the bare network."""
    device = pick_device(config.device)  # type: ignore[arg-type]
    joints = joint_set("coco17")
    torch.manual_seed(0)
    network = build_network(config.network, joints.count).to(device).eval()
    settings = Settings(
        input_wh=config.input,
        batch=config.batch,
        flip=config.flip,
        bf16=config.bf16,
        threads=config.helpers,
        min_keypoint=-1.0,  # an untrained network's keypoints are drawn, too
    )
    with tempfile.TemporaryDirectory() as scratch, torch_threads(config.threads):
        photographs = find_photographs(soft_pictures(Path(scratch) / "in", config.pictures, config.size))
        drawn = Path(scratch) / "out" if config.draw else None
        turns: dict[str, Callable[[], object]] = {
            "bare": lambda: _bare(network, config, device),
            "predict": lambda: predict_photographs(network, joints, photographs, settings, None, drawn),
        }
        seconds: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(config.rounds + 1):
            for name, turn in turns.items():
                took = _seconds(turn, device)
                if number:  # the first warms caches up
                    seconds[name].append(took)
    ratio = statistics.median(bare / ours for bare, ours in zip(seconds["bare"], seconds["predict"], strict=True))
    width, height = config.input
    what = f"predict, {config.network} {width}×{height}, batch {config.batch}, flip {config.flip}, {device.type}"
    fastest = {name: config.pictures / min(values) for name, values in seconds.items()}
    return [Row(what, fastest["predict"], "people/s", f"bare network: {fastest['bare']:.2f}", ratio)]


@torch.inference_mode()
def _bare(network: torch.nn.Module, config: BenchConfig, device: torch.device) -> None:
    """The network on a ready batch, as often as there are pictures for; twice each with the flip test."""
    width, height = config.input
    crops = torch.zeros(config.batch, height, width, 3, dtype=torch.uint8, device=device)
    left = config.pictures
    while left > 0:
        inputs = normalise(crops[:left].permute(0, 3, 1, 2))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.bf16):
            for _ in range(2 if config.flip else 1):
                network(inputs)
        left -= config.batch


def _seconds(turn: Callable[[], object], device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    begin = clock()
    turn()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - begin
