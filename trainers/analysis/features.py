"""Features of validation people, streamed to Parquet: ``<run>/features/step_00000400.parquet``, one row a person.

Each batch becomes a row group as it leaves the network, so memory holds one batch of it. A file appears when it is
whole. Columns: ``step``, ``epoch``, ``split`` ("val"), ``domain`` (name of the validation folder), ``frame_id``,
``person`` (index within the frame), ``annotation_id`` (as in predictions), ``loss``, ``oks``, ``feature``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from ...config import UserError
from ...datasets.crops import apply_affine
from ...datasets.parquet import open_shard, read_columns
from ...datasets.shards import FramesFolder
from ...models.joints import JointSet
from ...models.keypoints.base import normalise
from ...models.keypoints.heatmaps import decode, encode
from ..keypoint_metrics import keypoint_oks
from ..predict import Crop, batched, crops, stack

FOLDER = "features"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class People:
    """A fixed sample of one validation folder's people, with their labels.

    Attributes:
        domain: name of the folder.
        labels: annotation id → (index within its frame, COCO annotation).
    """

    domain: str
    folder: FramesFolder
    labels: dict[int, tuple[int, Mapping[str, Any]]]


@dataclass(frozen=True)
class Rows:
    """What one batch of people gives.

    Attributes (b people, c channels):
        frame_id, person, annotation_id (b,) int64; feature (b, 2c) float32: mean and deviation over the map;
        loss (b,): JointsMSE of the person; oks (b,): mean keypoint OKS; both NaN without labelled keypoints (or sigmas).
    """

    frame_id: np.ndarray
    person: np.ndarray
    annotation_id: np.ndarray
    feature: np.ndarray
    loss: np.ndarray
    oks: np.ndarray


def sample_people(domain: str, folder: FramesFolder, truth: Mapping[str, Any], count: int, seed: int = 0) -> People:
    """Draw ``count`` people of a folder (all if it has no more): the same ones at every validation of every run.

    Args:
        domain: name of the folder.
        folder: its frames.
        truth: its COCO annotations (``coco_export.frames_to_coco``); crowds and boxes without area are not drawn.
        count: people.
        seed: of the draw.
    """
    seen: dict[int, int] = {}
    usable = []
    for annotation in truth["annotations"]:
        index = seen.get(annotation["image_id"], 0)
        seen[annotation["image_id"]] = index + 1
        if not annotation.get("iscrowd") and min(annotation["bbox"][2:]) > 0:
            usable.append((index, annotation))
    drawn = np.random.default_rng([seed, len(usable)]).permutation(len(usable))[:count]
    return People(domain, folder, {int(usable[i][1]["id"]): usable[i] for i in drawn})


def pool(feature: Tensor) -> Tensor:
    """Mean and deviation over the map of each channel: ``(b, c, h, w)`` → ``(b, 2c)`` float32."""
    feature = feature.float()
    return torch.cat([feature.mean((2, 3)), feature.std((2, 3))], dim=1)


@torch.inference_mode()
def collect(
    network: nn.Module,
    people: People,
    joints: JointSet,
    input_wh: tuple[int, int],
    sigma: float,
    *,
    device: torch.device,
    batch: int = 64,
    bf16: bool = False,
) -> Iterator[Rows]:
    """Features, losses and OKS of the sampled people, batch by batch.

    Args:
        network: in eval mode; gives (feature, heatmaps).
        people: whom to look at.
        joints: their joint set.
        input_wh: crop (width, height); sigma: of the target heatmaps.
        device: of the network; batch: crops at a time; bf16: autocast.
    """
    for group in batched(crops(people.folder, input_wh, labelled_only=False, only=people.labels.keys()), batch):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            feature, heatmaps = network(normalise(stack(group).to(device)))
        annotated = [crop.annotation_id for crop in group if crop.annotation_id is not None]  # all: no detector's boxes
        labels = [people.labels[annotation] for annotation in annotated]
        keypoints = np.stack([_keypoints(annotation, joints.count) for _, annotation in labels])
        found, _ = decode(heatmaps.float(), input_wh)
        yield Rows(
            np.array([crop.frame_id for crop in group], np.int64),
            np.array([index for index, _ in labels], np.int64),
            np.array(annotated, np.int64),
            pool(feature).cpu().numpy(),
            person_losses(heatmaps.float(), _in_crops(keypoints, group), input_wh, sigma),
            person_oks(found.cpu().numpy(), keypoints, group, [a for _, a in labels], joints.sigmas),
        )


def person_losses(heatmaps: Tensor, keypoints: np.ndarray, input_wh: tuple[int, int], sigma: float) -> np.ndarray:
    """(b,) JointsMSE (see ``models.keypoints.losses``) of each person; NaN for people without labelled keypoints.

    Args:
        heatmaps: ``(b, j, h, w)``.
        keypoints: ``(b, j, 3)`` x, y in crop pixels and v.
        input_wh: crop size; sigma: of the target Gaussians, heatmap pixels.
    """
    weight = torch.from_numpy((keypoints[..., 2] > 0).astype(np.float32)).to(heatmaps.device)
    points = torch.from_numpy(keypoints[..., :2].astype(np.float32)).to(heatmaps.device)
    size = (heatmaps.shape[-1], heatmaps.shape[-2])
    target = encode(points, weight, input_wh, size, sigma)
    loss = 0.5 * (weight[..., None, None] * (heatmaps - target)).square().mean((1, 2, 3))
    return torch.where(weight.any(1), loss, torch.nan).cpu().numpy()


def person_oks(
    found: np.ndarray,
    truth: np.ndarray,
    group: Sequence[Crop],
    annotations: Sequence[Mapping[str, Any]],
    sigmas: Sequence[float] | None,
) -> np.ndarray:
    """(b,) mean keypoint OKS over labelled keypoints; the scale is the area, or the box's where that is not positive.

    Args:
        found: ``(b, j, 2)`` crop pixels; truth: ``(b, j, 3)`` picture pixels and v.
        group: one crop a person; annotations: COCO; sigmas: of the joint set, None gives NaN.
    """
    labelled = truth[..., 2] > 0
    if sigmas is None:
        return np.full(len(truth), np.nan, np.float32)
    scale = np.array(
        [crop.affine[0, 0] ** 2 + crop.affine[1, 0] ** 2 for crop in group]
    )  # squared pixels, crop/picture
    distance = np.linalg.norm(found - _in_crops(truth, group)[..., :2], axis=-1)
    boxes = [annotation["bbox"][2] * annotation["bbox"][3] for annotation in annotations]
    areas = [annotation.get("area") or 0.0 for annotation in annotations]
    area = np.array([a if a > 0 else box for a, box in zip(areas, boxes, strict=True)])
    oks = keypoint_oks(np.where(labelled, distance, 0.0), area * scale, np.asarray(sigmas))
    count = labelled.sum(axis=1)
    mean = (oks * labelled).sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan).astype(np.float32)


def _keypoints(annotation: Mapping[str, Any], count: int) -> np.ndarray:
    points = annotation.get("keypoints") or [0.0] * (3 * count)
    return np.asarray(points, np.float64).reshape(count, 3)


def _in_crops(keypoints: np.ndarray, group: Sequence[Crop]) -> np.ndarray:
    """``(b, j, 3)`` picture pixels and v as crop pixels and v."""
    points = [apply_affine(k[:, :2], crop.affine) for k, crop in zip(keypoints, group, strict=True)]
    return np.concatenate([np.stack(points), keypoints[..., 2:]], axis=-1)


class FeatureWriter:
    """Writes one validation's rows, a row group a batch; the file appears when the ``with`` block ends without error."""

    def __init__(self, run_dir: Path, step: int, epoch: float) -> None:
        self.step, self.epoch = step, epoch
        self.path = run_dir / FOLDER / f"step_{step:08d}.parquet"
        self._aside = self.path.with_suffix(".tmp")
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> FeatureWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, domain: str, rows: Rows) -> None:
        """Append one batch of a domain as a row group."""
        table = self._table(domain, rows)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._aside, table.schema, compression="zstd", write_page_checksum=True)
        self._writer.write_table(table)

    def _table(self, domain: str, rows: Rows) -> pa.Table:
        count, width = rows.feature.shape
        flat = pa.array(np.ascontiguousarray(rows.feature, np.float32).reshape(-1))
        columns: dict[str, pa.Array] = {
            "step": pa.array(np.full(count, self.step, np.int64)),
            "epoch": pa.array(np.full(count, self.epoch, np.float32)),
            "split": pa.array(["val"] * count),
            "domain": pa.array([domain] * count),
            "frame_id": pa.array(rows.frame_id),
            "person": pa.array(rows.person),
            "annotation_id": pa.array(rows.annotation_id),
            "loss": pa.array(rows.loss.astype(np.float32)),
            "oks": pa.array(rows.oks.astype(np.float32)),
            "feature": pa.FixedSizeListArray.from_arrays(flat, width),
        }
        meta = {"schema_version": SCHEMA_VERSION, "feature": "mean and deviation over the map of each channel"}
        return pa.table(columns).replace_schema_metadata({"sim2pose": json.dumps(meta)})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            if kind is None:
                self._aside.replace(self.path)
            else:
                self._aside.unlink()


def feature_files(run_dir: Path, last_step: int | None = None) -> list[tuple[int, Path]]:
    """(step, file) of a run's whole feature files, first to last; none later than ``last_step``."""
    found = [(int(path.stem.removeprefix("step_")), path) for path in (run_dir / FOLDER).glob("step_*.parquet")]
    return sorted((step, path) for step, path in found if last_step is None or step <= last_step)


def read_features(path: Path, limit: int | None = None, domains: Sequence[str] | None = None) -> dict[str, pa.Table]:
    """A feature file's rows by domain, at most ``limit`` of each; reads row group by row group and no further.

    Raises:
        UserError: if the file is damaged.
    """
    kept: dict[str, list[pa.Table]] = {}
    counts: dict[str, int] = {}
    with open_shard(path) as file:
        if "feature" not in file.schema_arrow.names:
            raise UserError(f"{path} holds no features: its columns are {', '.join(file.schema_arrow.names)}")
        for group in range(file.num_row_groups):
            domain = file.metadata.row_group(group).column(_DOMAIN_COLUMN).statistics.min
            have = counts.get(domain, 0)
            if (domains is not None and domain not in domains) or (limit is not None and have >= limit):
                continue
            table = read_columns(file, path, group, None)
            table = table if limit is None else table.slice(0, limit - have)
            kept.setdefault(domain, []).append(table)
            counts[domain] = have + len(table)
    return {domain: pa.concat_tables(tables) for domain, tables in kept.items()}


_DOMAIN_COLUMN = 3  # a row group holds people of one domain


def matrix(table: pa.Table) -> np.ndarray:
    """(n, d) float32 of the ``feature`` column."""
    column = table.column("feature").combine_chunks()
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(len(table), -1)
