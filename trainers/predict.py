"""Keypoints of every annotated person of a frames folder, in picture coordinates, as COCO results.

Top-down with the annotated boxes: crop, network, optionally the mean with the mirrored crop's heatmaps, decode, back
to the picture by the inverse affine map. Boxes are taken as they are, one prediction each, so no OKS-NMS is needed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ..config import UserError
from ..datasets.coco import person_id
from ..datasets.crops import crop_affine, decode_for_crop, invert_affine, warp_image
from ..datasets.frames import Frame
from ..datasets.shards import FramesFolder
from ..models.keypoints.base import normalise
from ..models.keypoints.heatmaps import DARK_KERNEL, Decoding, decode, flip_heatmaps

log = logging.getLogger(__name__)

KEYPOINT_THRESHOLD = 0.2  # keypoint scores above it make up a person's score (HRNet TEST.IN_VIS_THRE)

_COLUMNS = ("frame_id", "image", "height", "width", "persons", "source")


@dataclass(frozen=True)
class Crop:
    """One person's crop: image (h, w, 3) uint8, affine (2, 3) picture → crop, and whose it is."""

    image: np.ndarray
    affine: np.ndarray
    frame_id: int
    annotation_id: int


def crops(
    folder: FramesFolder,
    input_wh: tuple[int, int],
    labelled_only: bool = True,
    threads: int = 1,
    domains: Sequence[str] | None = None,
    only: Collection[int] | None = None,
) -> Iterator[Crop]:
    """Crops of all persons in the folder's order, unaugmented; decoded ``threads`` at a time, at most ``4 · threads``
    ahead.

    Args:
        folder: frames.
        input_wh: crop (width, height).
        labelled_only: leave out persons without a labelled keypoint, which no evaluation scores.
        threads: decoding threads (JPEG decoding and warping release the interpreter lock).
        domains: only frames of these domains; None for all.
        only: annotation ids of the people wanted; no other picture is decoded. None for all.

    Crowds are left out, boxes without area too, with a warning that names them.

    Raises:
        UserError: if a picture cannot be decoded; names file and frame.
    """
    cv2.setNumThreads(0)  # OpenCV's own threads would come on top of ours
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Any] = deque()
        for frame in folder.iterate(fields=[*_COLUMNS, "domain"]):
            if domains is None or frame.domain in domains:
                ahead.append(pool.submit(_frame_crops, frame, input_wh, labelled_only, folder.path, only))
            while len(ahead) > 4 * threads:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _frame_crops(
    frame: Frame, input_wh: tuple[int, int], labelled_only: bool, path: Path, only: Collection[int] | None
) -> list[Crop]:
    made = []
    for i, person in enumerate(frame.persons):
        if only is not None and person_id(frame, i) not in only:
            continue
        if person.iscrowd or (labelled_only and not (person.keypoints[:, 2] > 0).any()):
            continue
        if min(person.bbox[2:]) <= 0:
            log.warning("%s: frame %d, person %d has a box without area: no prediction", path, frame.frame_id, i)
            continue
        affine = crop_affine(person.bbox, input_wh)
        try:
            picture, from_picture = decode_for_crop(frame.image, affine)
        except UserError as error:
            raise UserError(f"{path}, frame {frame.frame_id}: {error}; import or render it again") from error
        made.append(Crop(warp_image(picture, from_picture, input_wh), affine, frame.frame_id, person_id(frame, i)))
    return made


def heatmaps_of(
    network: nn.Module, images: Tensor, flip_permutation: Sequence[int] | np.ndarray | None, bf16: bool = False
) -> Tensor:
    """Heatmaps ``(b, j, h, w)`` float32 of uint8 crops ``(b, 3, H, W)`` on the network's device.

    Args:
        network: in eval mode; gives (feature, heatmaps).
        images: crops.
        flip_permutation: of the joint set: average with the mirrored crop's heatmaps, mirrored back (with unbiased
            coding no pixel shift belongs here); None for no flip test.
        bf16: run the network in bfloat16 (autocast).
    """
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16):
        inputs = normalise(images)
        heatmaps = network(inputs)[1].float()
        if flip_permutation is not None:
            mirrored = network(inputs.flip(-1))[1].float()
            heatmaps = 0.5 * (heatmaps + flip_heatmaps(mirrored, list(flip_permutation)))
    return heatmaps


@torch.inference_mode()
def predict(
    network: nn.Module,
    folder: FramesFolder | str | Path,
    input_wh: tuple[int, int],
    *,
    batch: int = 64,
    device: str | torch.device | None = None,
    flip_test: bool = True,
    decoding: Decoding = "dark",
    kernel: int = DARK_KERNEL,
    bf16: bool = False,
    labelled_only: bool = True,
    threads: int = 1,
    domains: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """COCO results for the persons of a folder; the network's mode is restored afterwards.

    Args:
        network: gives (feature, heatmaps); moved to ``device``, run in eval mode.
        folder: frames, open or by path.
        input_wh: crop (width, height).
        batch: crops at a time.
        device: default: where the network is.
        flip_test, bf16: see :func:`heatmaps_of`.
        decoding, kernel: see ``heatmaps.decode``.
        labelled_only, threads, domains: see :func:`crops`.

    Returns:
        One entry a person: ``image_id``, ``category_id`` 1, ``annotation_id``, ``keypoints`` 3·J (x, y in picture
            pixels,
        the keypoint's score), ``score`` = box score (1, annotated boxes) × mean of keypoint scores above
        KEYPOINT_THRESHOLD (0 if there is none), as HRNet scores persons.

    Raises:
        UserError: for a picture that cannot be decoded, or a network whose output is not finite.
    """
    frames = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    permutation = _flip_permutation(frames) if flip_test else None
    where = torch.device(device) if device is not None else next(network.parameters()).device
    training = network.training
    network.to(where).eval()
    results: list[dict[str, Any]] = []
    try:
        for group in batched(crops(frames, input_wh, labelled_only, threads, domains), batch):
            heatmaps = heatmaps_of(network, stack(group).to(where, non_blocking=True), permutation, bf16)
            keypoints, scores = decode(heatmaps, input_wh, decoding, kernel)
            results += _results(group, keypoints.cpu().numpy(), scores.cpu().numpy())
    finally:
        network.train(training)
    return results


def _flip_permutation(folder: FramesFolder) -> list[int]:
    permutation = list(range(folder.info.joint_count))
    for left, right in folder.info.flip_pairs:
        permutation[left], permutation[right] = right, left
    return permutation


def stack(group: Sequence[Crop]) -> Tensor:
    """Crops as one uint8 tensor ``(b, 3, h, w)``, channels-last memory."""
    return torch.from_numpy(np.stack([crop.image for crop in group])).permute(0, 3, 1, 2)


def batched(items: Iterable[Crop], size: int) -> Iterator[list[Crop]]:
    """Lists of ``size`` crops; the last may be shorter."""
    group: list[Crop] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _results(group: Sequence[Crop], keypoints: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    """COCO results of one batch from crop keypoints (b, J, 2) and scores (b, J)."""
    rows = []
    for crop, points, confidence in zip(group, keypoints, scores, strict=True):
        if not (np.isfinite(points).all() and np.isfinite(confidence).all()):
            raise UserError(
                f"the network's output for frame {crop.frame_id}, person {crop.annotation_id} is not finite: "
                "its weights have diverged; use an earlier checkpoint or a lower learning rate"
            )
        back = invert_affine(crop.affine).astype(np.float64)
        picture = points.astype(np.float64) @ back[:, :2].T + back[:, 2]
        strong = confidence[confidence > KEYPOINT_THRESHOLD]
        rows.append(
            {
                "image_id": crop.frame_id,
                "category_id": 1,
                "annotation_id": crop.annotation_id,
                "keypoints": np.concatenate([picture, confidence[:, None]], axis=1).reshape(-1).tolist(),
                "score": float(strong.mean()) if len(strong) else 0.0,
            }
        )
    return rows


@torch.no_grad()
def reestimate_bn(
    network: nn.Module, batches: Iterable[Tensor | Mapping[str, Tensor]], limit: int | None = None
) -> int:
    """Replace BatchNorm statistics by those of other pictures, in place (AdaBN, Li et al. 2016, arXiv:1603.04779).

    Statistics become the plain average over the batches given, those of frozen layers too; weights stay. Unlabelled
    pictures do. The network's mode, and each layer's momentum, are restored.

    Args:
        network: gives anything; only its BatchNorm layers matter.
        batches: uint8 crops ``(b, 3, H, W)``, or batches of the stream (their ``image``), any device.
        limit: use at most this many batches, for endless streams.

    Returns:
        The number of pictures used.

    Raises:
        UserError: if there is no BatchNorm to estimate, or no batch.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        raise UserError("the network has no BatchNorm layers whose statistics could be re-estimated")
    device = next(network.parameters()).device
    modes = [(module, module.training) for module in network.modules()]
    momenta = [norm.momentum for norm in norms]
    used = 0
    try:
        network.eval()
        for norm in norms:
            norm.train()
            norm.momentum = None  # cumulative average
        for number, given in enumerate(batches):
            if number == limit:
                break
            images = given["image"] if isinstance(given, Mapping) else given
            if number == 0:
                for norm in norms:
                    norm.reset_running_stats()
            network(normalise(images.to(device)))
            used += len(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode
    if not used:
        raise UserError("no pictures to re-estimate BatchNorm statistics from")
    return used


def crop_batches(
    folder: FramesFolder | str | Path,
    input_wh: tuple[int, int],
    batch: int = 64,
    threads: int = 1,
    domains: Sequence[str] | None = None,
) -> Iterator[Tensor]:
    """All persons of a folder, labels unseen, as uint8 batches for :func:`reestimate_bn`; the last may be smaller."""
    frames = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    for group in batched(crops(frames, input_wh, False, threads, domains), batch):
        yield stack(group)
