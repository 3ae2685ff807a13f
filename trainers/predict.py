"""Keypoints of every person of a frames folder, in picture coordinates, as COCO results.

Top-down with the annotated boxes or a detector's: crop, network, optionally the mean with the mirrored crop's heatmaps,
decode, back to the picture by the inverse affine map. Each box gives one prediction; a detector's several boxes of one
person are sorted out by ``oks_nms`` afterwards.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ..config import UserError
from ..datasets.coco import person_id
from ..datasets.crops import crop_affine, decode_for_crop, invert_affine, warp_image
from ..datasets.detections import Detections
from ..datasets.frames import Frame
from ..datasets.shards import FramesFolder
from ..models.keypoints.base import normalise
from ..models.keypoints.heatmaps import DARK_KERNEL, Decoding, decode, flip_heatmaps

log = logging.getLogger(__name__)

KEYPOINT_THRESHOLD = 0.2  # keypoint scores above it make up a person's score (HRNet TEST.IN_VIS_THRE)

_COLUMNS = ("frame_id", "image", "height", "width", "persons", "source")


@dataclass(frozen=True)
class Crop:
    """One person's crop: image (h, w, 3) uint8, affine (2, 3) picture → crop, and whose it is.

    ``annotation_id`` is None and ``box_score`` the detector's where the box is a detector's.
    """

    image: np.ndarray
    affine: np.ndarray
    frame_id: int
    annotation_id: int | None
    box_score: float = 1.0

    @property
    def area(self) -> float:
        """Squared pixels of the picture that the crop shows: the box, padded and brought to the crop's aspect."""
        height, width = self.image.shape[:2]
        return height * width / abs(float(np.linalg.det(self.affine[:, :2])))


def crops(
    folder: FramesFolder,
    input_wh: tuple[int, int],
    labelled_only: bool = True,
    threads: int = 1,
    domains: Sequence[str] | None = None,
    detections: Detections | None = None,
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
        detections: boxes to take instead of the annotated ones.
        only: annotation ids of the people wanted; no other picture is decoded. None for all.

    Annotated crowds are left out, boxes without area too, with a warning that names them.

    Raises:
        UserError: if a picture cannot be decoded; names file and frame.
    """
    cv2.setNumThreads(0)  # OpenCV's own threads would come on top of ours
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Any] = deque()
        for frame in folder.iterate(fields=[*_COLUMNS, "domain"]):
            if domains is None or frame.domain in domains:
                boxes = (
                    _annotated(frame, labelled_only, folder.path, only)
                    if detections is None
                    else _found(frame, detections)
                )
                if boxes:
                    ahead.append(pool.submit(_frame_crops, frame, boxes, input_wh, folder.path))
            while len(ahead) > 4 * threads:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


Box = tuple[np.ndarray, int | None, float]  # xywh (4,), annotation id, box score


def _annotated(frame: Frame, labelled_only: bool, path: Path, only: Collection[int] | None) -> list[Box]:
    boxes: list[Box] = []
    for i, person in enumerate(frame.persons):
        if only is not None and person_id(frame, i) not in only:
            continue
        if person.iscrowd or (labelled_only and not (person.keypoints[:, 2] > 0).any()):
            continue
        if min(person.bbox[2:]) <= 0:
            log.warning("%s: frame %d, person %d has a box without area: no prediction", path, frame.frame_id, i)
            continue
        boxes.append((person.bbox, person_id(frame, i), 1.0))
    return boxes


def _found(frame: Frame, detections: Detections) -> list[Box]:
    return [(box[:4], None, float(box[4])) for box in detections.boxes.get(frame.frame_id, ())]


def _frame_crops(frame: Frame, boxes: list[Box], input_wh: tuple[int, int], path: Path) -> list[Crop]:
    made = []
    for bbox, annotation_id, score in boxes:
        affine = crop_affine(bbox, input_wh)
        try:
            picture, from_picture = decode_for_crop(frame.image, affine)
        except UserError as error:
            raise UserError(f"{path}, frame {frame.frame_id}: {error}; import or render it again") from error
        image = warp_image(picture, from_picture, input_wh)
        made.append(Crop(image, affine, frame.frame_id, annotation_id, score))
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
    detections: Detections | None = None,
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
        labelled_only, threads, domains, detections: see :func:`crops`.

    Returns:
        One entry a box: ``image_id``, ``category_id`` 1, ``annotation_id`` (of annotated boxes), ``keypoints`` 3·J (x, y in
        picture pixels, the keypoint's score), ``score`` = box score (1 of annotated boxes) × mean of keypoint scores above
        KEYPOINT_THRESHOLD (0 if there is none), as HRNet scores persons; ``area``: squared pixels of the padded box,
        HRNet's object scale of OKS-NMS.

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
        for group in batched(crops(frames, input_wh, labelled_only, threads, domains, detections), batch):
            heatmaps = heatmaps_of(network, stack(group).to(where, non_blocking=True), permutation, bf16)
            keypoints, scores = decode(heatmaps, input_wh, decoding, kernel)
            results += results_of(group, keypoints.cpu().numpy(), scores.cpu().numpy())
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


Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items; the last may be shorter."""
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def results_of(group: Sequence[Crop], keypoints: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    """COCO results of one batch from crop keypoints (b, J, 2) and scores (b, J), as :func:`predict` returns them."""
    rows = []
    for crop, points, confidence in zip(group, keypoints, scores, strict=True):
        if not (np.isfinite(points).all() and np.isfinite(confidence).all()):
            raise UserError(
                f"the network's output for frame {crop.frame_id}, person {crop.annotation_id or '(detected)'} is not finite: "
                "its weights have diverged; use an earlier checkpoint or a lower learning rate"
            )
        back = invert_affine(crop.affine).astype(np.float64)
        picture = points.astype(np.float64) @ back[:, :2].T + back[:, 2]
        strong = confidence[confidence > KEYPOINT_THRESHOLD]
        row: dict[str, Any] = {"image_id": crop.frame_id, "category_id": 1}
        if crop.annotation_id is not None:
            row["annotation_id"] = crop.annotation_id
        row["keypoints"] = np.concatenate([picture, confidence[:, None]], axis=1).reshape(-1).tolist()
        row["score"] = crop.box_score * float(strong.mean()) if len(strong) else 0.0
        row["area"] = crop.area
        rows.append(row)
    return rows


def crop_batches(
    folder: FramesFolder | str | Path,
    input_wh: tuple[int, int],
    batch: int = 64,
    threads: int = 1,
    domains: Sequence[str] | None = None,
) -> Iterator[Tensor]:
    """All persons of a folder, labels unseen, as uint8 batches; the last may be smaller."""
    frames = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    for group in batched(crops(frames, input_wh, False, threads, domains), batch):
        yield stack(group)
