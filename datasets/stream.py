"""From a plan to batches: read row groups, decode, crop, augment, collate, in worker processes or in this one.

Sample ``(step, slot)`` is the same whatever the ranks and workers, and batches come in order. A batch is a dict of
tensors (B samples of this rank, J joints, input width W and height H):

==============  =================  ===================================================================================
image           uint8 (B, 3, H, W)  RGB crop, channels-last memory
weak_image      the same            before photometry, same geometry; only with ``weak_view``
keypoints       float32 (B, J, 2)   crop pixels, centres at integers; zero where the sample is unlabelled
weight          float32 (B, J)      1 where labelled (v > 0) and inside the crop, else 0
domain          int64 (B,)          1 source, 0 target
labelled        bool (B,)           whether training may use the keypoints
frame_id        int64 (B,)          and ``person`` int64 (B,): index within the frame
affine          float32 (B, 2, 3)   picture → crop
bbox            float32 (B, 4)      xywh, picture pixels; ``score`` float32 (B,): its confidence, 1 for ground truth
==============  =================  ===================================================================================
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..config import UserError
from . import storage
from .augment import Augmentation, sample_affine
from .crops import apply_affine, decode_for_crop, inside, warp_image
from .persons import PersonDataset
from .photometry import photometric
from .plan import BatchPlan

__all__ = ["Batch", "BatchPlan", "PersonDataset", "StepBatches", "make_loader", "make_sample"]

log = logging.getLogger(__name__)

Batch = dict[str, torch.Tensor]

CACHE_BYTES = 256 << 20
"""Encoded pictures kept in memory by each worker."""


@dataclass
class Sample:
    """One cropped person; arrays as in a batch, without the first axis, pictures as (H, W, 3)."""

    image: np.ndarray
    weak_image: np.ndarray
    keypoints: np.ndarray
    weight: np.ndarray
    affine: np.ndarray


def make_sample(
    data: bytes,
    bbox: np.ndarray,
    keypoints: np.ndarray,
    labelled: bool,
    dataset: PersonDataset,
    augmentation: Augmentation,
    input_wh: tuple[int, int],
    rng: np.random.Generator,
) -> Sample:
    """Decode, crop and augment one person.

    Args:
        data: JPEG or PNG bytes of the frame.
        bbox: (4,) xywh; keypoints: (J, 3); both in picture pixels.
        labelled: False hides the keypoints, from the crop's choice as well.
        dataset: gives the joint set.
        augmentation: what to draw.
        input_wh: crop (width, height).
        rng: source of all chance.

    Raises:
        UserError: if the picture cannot be decoded.
    """
    visible = (keypoints[:, 2] > 0) & labelled
    affine, flip = sample_affine(rng, bbox, keypoints, visible, dataset.joint_set, input_wh, augmentation.geometry)
    picture, from_picture = decode_for_crop(data, affine)
    weak = warp_image(picture, from_picture, input_wh)
    image = weak if augmentation.photometry is None else photometric(weak, rng, augmentation.photometry)
    points = apply_affine(keypoints[:, :2], affine)
    if flip:
        permutation = dataset.flip_permutation
        points, visible = points[permutation], visible[permutation]
    weight = visible & inside(points, input_wh)
    points = np.where(visible[:, None], points, np.float32(0))
    return Sample(image, weak, points, weight.astype(np.float32), affine)


class StepBatches(Dataset[Batch]):
    """This rank's batches by step: ``batches[k]`` is its slice of global batch k.

    Holds a cache of row groups, bounded in bytes, least recently used first out.
    """

    def __init__(
        self,
        datasets: Sequence[PersonDataset],
        plan: BatchPlan,
        augmentations: Augmentation | Sequence[Augmentation],
        input_wh: tuple[int, int],
        rank: int = 0,
        world: int = 1,
        weak_view: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """See :func:`make_loader`."""
        self.datasets = list(datasets)
        if isinstance(augmentations, Augmentation):
            augmentations = [augmentations] * len(self.datasets)
        self.augmentations = list(augmentations)
        if len(self.augmentations) != len(self.datasets):
            raise UserError(f"{len(self.augmentations)} augmentations for {len(self.datasets)} data sets")
        names = {dataset.joint_set.name for dataset in self.datasets}
        if len(names) != 1:
            raise UserError(f"data sets of one training need one joint set, got {sorted(names)}")
        self.plan = plan
        self.input_wh = input_wh
        self.slots = plan.slots(rank, world)
        self.weak_view = weak_view
        self.cache_bytes = cache_bytes
        self.reads = 0
        self._cache: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()
        self._cached = 0
        self._warn_small_cache(world)

    def __getitem__(self, step: int) -> Batch:
        dataset_of, position_of = self.plan.batch(step)
        count, (width, height) = len(self.slots), self.input_wh
        joints = self.datasets[0].joint_set.count
        images = np.empty((count, height, width, 3), np.uint8)
        weak = np.empty_like(images) if self.weak_view else None
        keypoints = np.empty((count, joints, 2), np.float32)
        weight = np.empty((count, joints), np.float32)
        affine = np.empty((count, 2, 3), np.float32)
        for i, slot in enumerate(self.slots):
            d, position = int(dataset_of[slot]), int(position_of[slot])
            sample = self._sample(d, position, self.plan.sample_rng(step, int(slot)))
            images[i], keypoints[i], weight[i], affine[i] = sample.image, sample.keypoints, sample.weight, sample.affine
            if weak is not None:
                weak[i] = sample.weak_image
        batch = {
            "image": _channels_last(images),
            "keypoints": torch.from_numpy(keypoints),
            "weight": torch.from_numpy(weight),
            "affine": torch.from_numpy(affine),
            "score": torch.ones(count),
            **self._columns(dataset_of[self.slots], position_of[self.slots]),
        }
        if weak is not None:
            batch["weak_image"] = _channels_last(weak)
        return batch

    def _columns(self, dataset_of: np.ndarray, position_of: np.ndarray) -> Batch:
        """Columns that come from the data sets' arrays as they are."""
        columns: Batch = {}
        pairs = [(self.datasets[d], p) for d, p in zip(dataset_of, position_of, strict=True)]
        columns["domain"] = torch.tensor([dataset.domain for dataset, _ in pairs])
        for name in ("labelled", "frame_id", "person", "bbox"):
            columns[name] = torch.from_numpy(np.stack([getattr(dataset, name)[p] for dataset, p in pairs]))
        return columns

    def _sample(self, d: int, position: int, rng: np.random.Generator) -> Sample:
        dataset = self.datasets[d]
        data = self._group(d, int(dataset.group[position]))[int(dataset.row[position])]
        try:
            return make_sample(
                data,
                dataset.bbox[position],
                dataset.keypoints[position],
                bool(dataset.labelled[position]),
                dataset,
                self.augmentations[d],
                self.input_wh,
                rng,
            )
        except UserError as error:
            folder, shard, _ = dataset.groups[int(dataset.group[position])]
            path = dataset.folders[folder].path / dataset.folders[folder].shards[shard].file
            raise UserError(
                f"{storage.show(path)}, frame {dataset.frame_id[position]}: {error}; import or render it again"
            ) from error

    def _group(self, d: int, group: int) -> list[bytes]:
        key = (d, group)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        pictures = self.datasets[d].read_group(group)
        self.reads += 1
        self._cache[key] = pictures
        self._cached += sum(map(len, pictures))
        while self._cached > self.cache_bytes and len(self._cache) > 1:
            _, old = self._cache.popitem(last=False)
            self._cached -= sum(map(len, old))
        return pictures

    def _warn_small_cache(self, world: int) -> None:
        """Say so if the row groups that are shuffled together do not fit the cache and will be read again and again."""
        need = 0.0
        for dataset in self.datasets:
            size = sum(entry.bytes for folder in dataset.folders for entry in folder.shards)
            open_groups = min(len(dataset.groups), self.plan.open_groups(world))
            need += size / len(dataset.groups) * open_groups
        if need > self.cache_bytes:
            log.warning(
                "shuffling needs %.0f MB of row groups at a time, the cache of each worker holds %.0f MB: "
                "raise cache_bytes or lower the plan's window",
                need / 2**20,
                self.cache_bytes / 2**20,
            )

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_cache": OrderedDict(), "_cached": 0}


class _Steps(Sampler[int]):
    """Steps start, start + 1, ... up to stop, or without end."""

    def __init__(self, start: int, stop: int | None) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        step = self.start
        while self.stop is None or step < self.stop:
            yield step
            step += 1

    def __len__(self) -> int:
        if self.stop is None:
            raise TypeError("the stream has no end: give stop_step")
        return max(0, self.stop - self.start)


def make_loader(
    datasets: Sequence[PersonDataset],
    plan: BatchPlan,
    augmentations: Augmentation | Sequence[Augmentation],
    input_wh: tuple[int, int],
    *,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
    start_step: int = 0,
    stop_step: int | None = None,
    weak_view: bool = False,
    pin_memory: bool = False,
    prefetch: int = 4,
    cache_bytes: int = CACHE_BYTES,
    start_method: str | None = None,
) -> DataLoader[Batch]:
    """Batches of this rank in the order of the plan, from ``start_step`` on.

    Args:
        datasets: in the plan's order, all of one joint set.
        plan: made for these data sets.
        augmentations: one for all, or one for each data set.
        input_wh: crop (width, height).
        rank, world: this rank's slice; every rank gets ``batch_size / world`` samples each step.
        workers: decoding processes; 0 decodes in this process.
        start_step: resume here: the stream is the same as if it had run from 0.
        stop_step: end before this step; None never ends.
        weak_view: add ``weak_image``, the crop before photometry (for teacher networks).
        pin_memory: copy batches to page-locked memory (CUDA only).
        prefetch: batches each worker prepares ahead.
        cache_bytes: bound of each worker's cache of encoded pictures.
        start_method: of the worker processes (``fork``, ``forkserver``, ``spawn``); None is the platform's.

    Raises:
        UserError: if the batch does not divide among ranks, or the data sets do not fit together. A picture that cannot
            be decoded raises it at its step, naming file and frame.
    """
    batches = StepBatches(datasets, plan, augmentations, input_wh, rank, world, weak_view, cache_bytes)
    return DataLoader(
        batches,
        batch_size=None,
        sampler=_Steps(start_step, stop_step),
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=prefetch if workers else None,
        persistent_workers=workers > 0,
        worker_init_fn=_quiet_worker,
        multiprocessing_context=start_method if workers else None,
        generator=torch.Generator().manual_seed(plan.seed % 2**63),  # leaves torch's global generator untouched
    )


def _quiet_worker(_: int) -> None:
    """One thread a worker: OpenCV and torch would each start as many as there are cores."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _channels_last(images: np.ndarray) -> torch.Tensor:
    """(B, H, W, 3) array as a (B, 3, H, W) tensor on the same memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
