"""The ingest baseline: a COCO folder (JSON and JPEG files) behind a plain map-style data set, as a user would write it.

``cv2.imread``, the same geometry through ``cv2.warpAffine``, and an albumentations pipeline of the same kinds of change.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from ..datasets.augment import Augmentation, sample_affine
from ..datasets.crops import apply_affine, inside, warp_image
from ..datasets.photometry import photometric
from ..models.joints import joint_set

BATCH = 64


def write_coco(folder: Path, frames: int, size: tuple[int, int], seed: int = 0) -> Path:
    """Write procedural pictures (noise of many octaves, JPEG quality 92), one labelled box each; no people in them."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    width, height = size
    for i in range(frames):
        picture = np.zeros((height, width, 3), np.float32)
        for octave in range(2, 8):
            coarse = rng.standard_normal((2**octave, 2**octave, 3)).astype(np.float32)
            picture += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) * 60 * 0.55 ** (octave - 2)
        picture += rng.standard_normal((height, width, 1)) * 3
        name = f"{i:06d}.jpg"
        pixels = np.clip(picture + 128, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / name), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
        w, h = (rng.uniform(0.35, 0.7) * width, rng.uniform(0.5, 0.9) * height)
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        points = np.stack([rng.uniform(x, x + w, 17), rng.uniform(y, y + h, 17), np.full(17, 2)], axis=1)
        images.append({"id": i, "file_name": name, "width": width, "height": height})
        keypoints = [round(float(v), 2) for v in points.reshape(-1)]
        annotations.append(
            {"id": i + 1, "image_id": i, "category_id": 1, "bbox": [x, y, w, h], "keypoints": keypoints, "area": w * h}
        )
    path = folder / "person_keypoints.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


class CocoFolder(Dataset[dict[str, torch.Tensor]]):
    """The baseline: one JPEG file a picture, read and decoded whole for every sample."""

    def __init__(
        self,
        annotations: Path,
        level: Augmentation,
        input_wh: tuple[int, int],
        look: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        data = json.loads(annotations.read_text())
        self.files = {image["id"]: str(annotations.parent / "images" / image["file_name"]) for image in data["images"]}
        self.annotations = data["annotations"]
        self.level, self.input_wh, self.look = level, input_wh, look
        self.joints = joint_set("coco17")
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        entry = self.annotations[i]
        read = cv2.imread(self.files[entry["image_id"]])
        assert read is not None, "the benchmark wrote this file itself"
        image = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
        keypoints = np.array(entry["keypoints"], np.float32).reshape(-1, 3)
        visible = keypoints[:, 2] > 0
        bbox = np.array(entry["bbox"])
        affine, flip = sample_affine(
            self.rng, bbox, keypoints, visible, self.joints, self.input_wh, self.level.geometry
        )
        image = warp_image(image, affine, self.input_wh)
        if self.look is not None:
            image = self.look(image)
        elif self.level.photometry is not None:
            image = photometric(image, self.rng, self.level.photometry)
        points = apply_affine(keypoints[:, :2], affine)
        if flip:
            permutation = self.joints.flip_permutation()
            points, visible = points[permutation], visible[permutation]
        return {
            "image": torch.from_numpy(image.transpose(2, 0, 1).copy()),
            "keypoints": torch.from_numpy(points),
            "weight": torch.from_numpy((visible & inside(points, self.input_wh)).astype(np.float32)),
            "affine": torch.from_numpy(affine),
        }


def albumentations_look() -> Callable[[np.ndarray], np.ndarray] | None:
    """The same kinds of change as the strong level, by albumentations; None where it is not installed."""
    try:
        import albumentations as A
    except ImportError:
        return None
    steps = [
        A.RandomBrightnessContrast(0.25, 0.45, p=0.9),
        A.HueSaturationValue(18, 60, 0, p=0.9),
        A.RGBShift(p=0.9),
        A.ToGray(p=0.1),
        A.RandomGamma((55, 180), p=0.5),
        A.CoarseDropout(num_holes_range=(1, 4), hole_height_range=(0.08, 0.35), hole_width_range=(0.08, 0.35), p=0.4),
        A.GaussianBlur((3, 9), p=0.25),
        A.MotionBlur((3, 9), p=0.1),
        A.Downscale((0.33, 0.9), p=0.15),
        A.GaussNoise((0.01, 0.06), p=0.5),
        A.ImageCompression(quality_range=(15, 80), p=0.3),
    ]
    pipeline = A.Compose(steps, seed=0)
    return lambda image: pipeline(image=image)["image"]
