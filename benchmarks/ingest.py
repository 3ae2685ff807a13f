"""``sim2pose bench ingest``: the Parquet stream beside a COCO folder behind a DataLoader, same augmentation, one core."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import torch
from pydantic import Field
from torch.utils.data import DataLoader

from ..config import Config
from ..datasets.augment import LEVELS
from ..datasets.coco import import_coco
from ..datasets.persons import PersonDataset
from ..datasets.plan import BatchPlan
from ..datasets.stream import make_loader
from .coco_folder import BATCH, CocoFolder, albumentations_look, write_coco
from .rows import Row, compare, one_core, rates


class BenchConfig(Config):
    """How much to measure."""

    size: tuple[int, int] = Field((256, 256), description="width and height of the stored pictures")
    input: tuple[int, int] = Field((192, 256), description="width and height of the crops")
    frames: int = Field(512, ge=64)
    samples: int = Field(1920, ge=BATCH, description="samples a round")
    rounds: int = Field(3, ge=1)


def run(config: BenchConfig) -> list[Row]:
    """Images a second by augmentation level; the baseline reads one JPEG file a sample with ``cv2.imread``."""
    one_core()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        annotations = write_coco(Path(scratch) / "coco", config.frames, config.size)
        import_coco(annotations, annotations.parent / "images", Path(scratch) / "frames")
        people = PersonDataset(Path(scratch) / "frames", domain=1)
        plan = BatchPlan.make([people], BATCH, seed=0)
        batches = config.samples // BATCH
        for level in ("plain", "strong"):
            look = albumentations_look() if level == "strong" else None
            folder = DataLoader(CocoFolder(annotations, LEVELS[level], config.input, look), BATCH, shuffle=True)
            stream = partial(make_loader, [people], plan, LEVELS[level], config.input, stop_step=batches)
            work = {
                f"stream, {level}": partial(_count, stream, batches),
                "COCO folder + DataLoader": partial(_count, partial(_endless, folder), batches),
            }
            found = rates(work, config.rounds)
            rows.append(compare(f"stream, {level}", "images/s", found, "COCO folder + DataLoader"))
    return rows


def _count(make: Callable[[], Iterable[dict[str, Any]]], limit: int) -> int:
    return sum(len(batch["image"]) for batch in islice(make(), limit))


def _endless(loader: DataLoader[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    while True:
        yield from loader
