"""Small folders of frames whose pictures tell which frame they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from sim2pose.datasets.frames import Frame, Person, dataset_info
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder

MakeFolder = Callable[..., FramesFolder]


def picture(number: int, wh: tuple[int, int] = (64, 48)) -> bytes:
    """A JPEG of one grey level per frame with a gradient in red."""
    image = np.full((wh[1], wh[0], 3), (number * 37) % 200 + 20, np.uint8)
    image[:, :, 0] = np.linspace(0, 255, wh[0]).astype(np.uint8)
    return simplejpeg.encode_jpeg(image, 90, "RGB", "444")


def person(rng: np.random.Generator, wh: tuple[int, int] = (64, 48), labelled: int = 17) -> Person:
    """A person whose box and keypoints lie inside the picture."""
    size = rng.uniform(12, 30, 2)
    corner = rng.uniform(0, np.array(wh) - size)
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[:labelled, :2] = rng.uniform(corner, corner + size - 1, (labelled, 2))
    keypoints[:labelled, 2] = 2
    return Person(np.concatenate([corner, size]).astype(np.float32), keypoints, float(size.prod()))


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """``make_folder(frames=200, shard=96, persons=1, ...)`` writes a folder; ``edit(i, frame)`` alters frames."""
    made = 0

    def make(
        frames: int = 200,
        shard: int = 96,
        persons: int = 1,
        domain: str = "synthetic",
        seed: int = 0,
        edit: Callable[[int, Frame], None] | None = None,
    ) -> FramesFolder:
        nonlocal made
        made += 1
        folder = tmp_path / f"frames{made}"
        folder.mkdir()
        rng = np.random.default_rng(seed)
        rows = []
        for i in range(frames):
            rows.append(Frame(1000 + i, picture(i), 48, 64, domain, persons=[person(rng) for _ in range(persons)]))
            if edit is not None:
                edit(i, rows[-1])
        info = dataset_info("coco17", {"seed": seed})
        chunks = [rows[start : start + shard] for start in range(0, frames, shard)]
        entries = [publish_shard(folder, i, chunk, info) for i, chunk in enumerate(chunks)]
        write_manifest(folder, entries, info)
        return FramesFolder.open(folder)

    return make
