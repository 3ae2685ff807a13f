"""Keypoints in photographs: decoding, cropping and drawing go on in threads while the network works.

Crops are made as evaluation makes them (``predict``), so a picture gives here what it gives there. A batch's results are
taken up when the next batch is under way, so a GPU never waits for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
import torch
from torch import Tensor, nn

from ..config import UserError
from ..datasets.crops import crop_affine, decode_for_crop, warp_image
from ..datasets.detections import Detections
from ..datasets.draw import draw_keypoints
from ..datasets.photographs import Photograph, decode_upright, orientation, stored_to_upright, upright_size
from ..models.joints import JointSet
from ..models.keypoints.heatmaps import Decoding, decode
from .oks_nms import THRESHOLD, Suppression, suppress
from .predict import KEYPOINT_THRESHOLD, Crop, batched, heatmaps_of, results_of, stack

Json = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How to predict and draw; see ``cluster.using.PredictConfig``."""

    input_wh: tuple[int, int]
    batch: int = 32
    flip: bool = True
    decoding: Decoding = "dark"
    bf16: bool = False
    threads: int = 1
    nms: Suppression = "oks"
    nms_oks: float = THRESHOLD
    min_keypoint: float = KEYPOINT_THRESHOLD
    quality: int = 90


@dataclass
class Found:
    """What came of it: COCO ``results``; ``images`` (id, file_name, width, height) of the pictures that could be read;
    ``unreadable``: name → why.
    """

    results: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass
class _Loaded:
    """A picture on its way: its crops, and the results that have come back so far."""

    photograph: Photograph
    data: bytes
    size: tuple[int, int]
    crops: list[Crop]
    rows: list[Json] = field(default_factory=list)


@torch.inference_mode()
def predict_photographs(
    network: nn.Module,
    joints: JointSet,
    photographs: Sequence[Photograph],
    settings: Settings,
    detections: Detections | None = None,
    draw_into: Path | None = None,
) -> Found:
    """Predict, and draw where a folder is given.

    Args:
        network: gives (feature, heatmaps); in eval mode, on its device.
        joints: its joint set.
        photographs: what to look at.
        settings: how.
        detections: boxes of people in upright pixels; None: each whole picture is one person's box.
        draw_into: folder for pictures with skeletons, named as the photographs (``.jpg`` appended to other formats).

    Raises:
        UserError: for a network whose output is not finite, boxes without NMS sigmas, or a folder that cannot be written.
    """
    cv2.setNumThreads(0)  # OpenCV's own threads would come on top of ours
    found, waiting = Found(), deque[_Loaded]()
    with ThreadPoolExecutor(settings.threads) as pool:
        drawing = _Drawing(pool, joints, settings, draw_into)
        loaded = _load_ahead(pool, photographs, settings, detections, found, waiting)
        for group, rows in _rows_of_batches(network, joints, settings, batched(loaded, settings.batch)):
            for (owner, _), row in zip(group, rows, strict=True):
                owner.rows.append(row)
            while waiting and len(waiting[0].rows) == len(waiting[0].crops):
                _conclude(waiting.popleft(), found, drawing, joints, settings, detections is not None)
        while waiting:  # without a box, after the last batch
            _conclude(waiting.popleft(), found, drawing, joints, settings, detections is not None)
        drawing.finish()
    return found


def _load_ahead(
    pool: ThreadPoolExecutor,
    photographs: Sequence[Photograph],
    settings: Settings,
    detections: Detections | None,
    found: Found,
    waiting: deque[_Loaded],
) -> Iterator[tuple[_Loaded, Crop]]:
    """Crops with their picture, in order; two batches of pictures are loaded ahead. Fills ``waiting`` and ``unreadable``."""
    ahead: deque[tuple[Photograph, Future[_Loaded]]] = deque()
    rest = iter(photographs)
    while True:
        while len(ahead) < 2 * settings.batch and (photograph := next(rest, None)) is not None:
            boxes = None if detections is None else detections.boxes[photograph.id]
            ahead.append((photograph, pool.submit(_load, photograph, boxes, settings.input_wh)))
        if not ahead:
            return
        photograph, future = ahead.popleft()
        try:
            picture = future.result()
        except (UserError, OSError) as error:
            found.unreadable[photograph.name] = str(error)
            continue
        waiting.append(picture)
        yield from ((picture, crop) for crop in picture.crops)


def _load(photograph: Photograph, boxes: np.ndarray | None, input_wh: tuple[int, int]) -> _Loaded:
    """Read a file and cut its crops: (n, 5) boxes xywh and score, or the whole picture."""
    data = photograph.path.read_bytes()
    turned, stored = orientation(data)
    size = upright_size(turned, stored)
    if boxes is None:
        boxes = np.array([[0.0, 0.0, *size, 1.0]])
    to_upright = stored_to_upright(turned, stored)
    crops = []
    for box in boxes:
        affine = crop_affine(box[:4], input_wh)
        picture, from_picture = decode_for_crop(data, _after(affine, to_upright))
        image = warp_image(picture, from_picture, input_wh)
        crops.append(Crop(image, affine, photograph.id, None, float(box[4])))
    if not crops:
        decode_upright(data)  # a broken picture is found out here, not when it is drawn
    return _Loaded(photograph, data, size, crops)


def _after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The affine map (2, 3) that does ``first``, then ``second``."""
    a, b = second.astype(np.float64), first.astype(np.float64)
    return np.concatenate([a[:, :2] @ b[:, :2], a[:, :2] @ b[:, 2:] + a[:, 2:]], axis=1).astype(np.float32)


Group = list[tuple[_Loaded, Crop]]


def _rows_of_batches(
    network: nn.Module, joints: JointSet, settings: Settings, groups: Iterator[Group]
) -> Iterator[tuple[Group, list[Json]]]:
    """COCO results of each batch, handed out once the next one has been started."""
    started: tuple[Group, _OnItsWay] | None = None
    device = next(network.parameters()).device
    for group in groups:
        now = group, _start(network, [crop for _, crop in group], joints, settings, device)
        if started is not None:
            yield started[0], started[1].rows()
        started = now
    if started is not None:
        yield started[0], started[1].rows()


@dataclass
class _OnItsWay:
    """A batch that the device may still work on."""

    crops: list[Crop]
    keypoints: Tensor
    scores: Tensor
    done: torch.cuda.Event | None

    def rows(self) -> list[Json]:
        """Its results, when it is through."""
        if self.done is not None:
            self.done.synchronize()
        return results_of(self.crops, self.keypoints.numpy(), self.scores.numpy())


def _start(
    network: nn.Module, crops: list[Crop], joints: JointSet, settings: Settings, device: torch.device
) -> _OnItsWay:
    images = stack(crops)
    if device.type == "cuda":
        images = images.pin_memory()
    permutation = joints.flip_permutation() if settings.flip else None
    heatmaps = heatmaps_of(network, images.to(device, non_blocking=True), permutation, settings.bf16)
    keypoints, scores = decode(heatmaps, settings.input_wh, settings.decoding)
    keypoints, scores = keypoints.to("cpu", non_blocking=True), scores.to("cpu", non_blocking=True)
    done = None
    if device.type == "cuda":
        done = torch.cuda.Event()
        done.record()
    return _OnItsWay(crops, keypoints, scores, done)


def _conclude(
    picture: _Loaded, found: Found, drawing: _Drawing, joints: JointSet, settings: Settings, detected: bool
) -> None:
    """All boxes of a picture are through: sort doubles out, keep the results, have it drawn."""
    rows = suppress(picture.rows, joints.sigmas, settings.nms, settings.nms_oks) if detected else picture.rows
    found.results += rows
    width, height = picture.size
    name = picture.photograph.name
    found.images.append({"id": picture.photograph.id, "file_name": name, "width": width, "height": height})
    drawing.add(name, picture.data, rows)


class _Drawing:
    """Pictures with skeletons, drawn and written by the pool's threads; few wait at a time."""

    def __init__(self, pool: ThreadPoolExecutor, joints: JointSet, settings: Settings, folder: Path | None) -> None:
        self.pool, self.joints, self.settings, self.folder = pool, joints, settings, folder
        self.futures: deque[Future[None]] = deque()

    def add(self, name: str, data: bytes, rows: list[Json]) -> None:
        """Have a picture drawn."""
        if self.folder is None:
            return
        target = self.folder / (name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg")
        people = [np.array(row["keypoints"], np.float64).reshape(-1, 3) for row in rows]
        self.futures.append(self.pool.submit(self._draw, target, data, people))
        while len(self.futures) > 2 * self.settings.batch:
            self.futures.popleft().result()

    def finish(self) -> None:
        """Wait for all."""
        while self.futures:
            self.futures.popleft().result()

    def _draw(self, target: Path, data: bytes, people: list[np.ndarray]) -> None:
        image = decode_upright(data)
        for keypoints in people:
            shown = keypoints.copy()
            shown[:, 2] = 2.0 * (keypoints[:, 2] > self.settings.min_keypoint)
            image = draw_keypoints(image, shown, self.joints)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=self.settings.quality))
