"""COCO keypoint annotations and results as the evaluation wants them: checked row by row, nothing dropped or mended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import UserError
from ..models.joints import JointSet

Json = dict[str, Any]


@dataclass(frozen=True)
class GroundTruth:
    """A checked COCO keypoint file as arrays over its A annotations, in file order.

    Attributes:
        coco: the images, annotations and categories, completed where COCO's own tools need a field.
        ids, image_ids: (A,) int64. keypoints: (A, J, 3). bbox: (A, 4). area: (A,); NaN where absent. crowd: (A,) bool.
    """

    coco: Json
    ids: np.ndarray
    image_ids: np.ndarray
    keypoints: np.ndarray
    bbox: np.ndarray
    area: np.ndarray
    crowd: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """(A,) bool: persons that count: not a crowd, at least one labelled keypoint."""
        return ~self.crowd & (self.keypoints[..., 2] > 0).any(axis=1)


def _read_json(source: Any, what: str) -> Any:
    if not isinstance(source, str | Path):
        return source
    try:
        return json.loads(Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {what} {source}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{what} {source} is not JSON: {error}") from error


def read_ground_truth(source: Json | str | Path, joints: JointSet) -> GroundTruth:
    """Check a COCO keypoint annotation file (or its content) and complete missing ``num_keypoints`` and categories.

    Raises:
        UserError: for a file that is no COCO JSON, or an annotation without id, image or box, of an unknown image, or
            with another number of keypoints than the joint set.
    """
    content = _read_json(source, "annotations")
    if not isinstance(content, Mapping) or not {"images", "annotations"} <= content.keys():
        raise UserError("annotations must be COCO JSON: an object with 'images' and 'annotations'")
    images = {image["id"] for image in content["images"]}
    annotations: list[Json] = []
    for row, given in enumerate(content["annotations"]):
        where = f"annotation {row} (id {given.get('id')})"
        for key in ("id", "image_id", "bbox"):
            if key not in given:
                raise UserError(f"{where} has no '{key}'")
        if given["image_id"] not in images:
            raise UserError(f"{where} is of image {given['image_id']}, which is not among 'images'")
        keypoints = given.get("keypoints") or [0] * (3 * joints.count)
        if len(keypoints) != 3 * joints.count:
            raise UserError(
                f"{where} has {len(keypoints) // 3} keypoints, joint set '{joints.name}' has {joints.count}: "
                "name the right joint set"
            )
        labelled = sum(v > 0 for v in keypoints[2::3])
        annotations.append({"category_id": 1, "iscrowd": 0, "num_keypoints": labelled, **given, "keypoints": keypoints})
    categories = content.get("categories") or [
        {"id": c, "name": "person"} for c in {a["category_id"] for a in annotations}
    ]
    return GroundTruth(
        coco={"images": list(content["images"]), "annotations": annotations, "categories": categories},
        ids=np.array([a["id"] for a in annotations], np.int64),
        image_ids=np.array([a["image_id"] for a in annotations], np.int64),
        keypoints=np.array([a["keypoints"] for a in annotations], np.float64).reshape(-1, joints.count, 3),
        bbox=np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4),
        area=np.array([np.nan if a.get("area") is None else a["area"] for a in annotations], np.float64),
        crowd=np.array([bool(a["iscrowd"]) for a in annotations], bool),
    )


def read_results(source: Sequence[Json] | str | Path, truth: GroundTruth, joints: JointSet) -> list[Json]:
    """Check COCO keypoint results (a JSON list or its content) against the ground truth; nothing is dropped or mended.

    Raises:
        UserError: naming the row: a key is missing, image or category or ``annotation_id`` is unknown, the number of
            values is not 3·J, or a value is not finite.
    """
    rows = _read_json(source, "results")
    if not isinstance(rows, list):
        raise UserError("results must be a JSON list of {image_id, category_id, keypoints, score}")
    images = {image["id"] for image in truth.coco["images"]}
    categories = {category["id"] for category in truth.coco["categories"]}
    image_of = dict(zip(truth.ids.tolist(), truth.image_ids.tolist(), strict=True))
    for number, row in enumerate(rows):
        where = f"result row {number}"
        if not isinstance(row, dict):
            raise UserError(f"{where} is a {type(row).__name__}, expected an object")
        for key in ("image_id", "category_id", "keypoints", "score"):
            if key not in row:
                raise UserError(f"{where} has no '{key}'")
        if row["image_id"] not in images:
            raise UserError(f"{where}: image_id {row['image_id']} is not in the annotations")
        if row["category_id"] not in categories:
            raise UserError(
                f"{where}: category_id {row['category_id']} is not in the annotations ({sorted(categories)})"
            )
        if len(row["keypoints"]) != 3 * joints.count:
            given, needed = len(row["keypoints"]), 3 * joints.count
            raise UserError(f"{where} has {given} keypoint values, joint set '{joints.name}' needs {needed}")
        if not np.isfinite([*row["keypoints"], row["score"]]).all():
            raise UserError(f"{where} holds NaN or infinite numbers")
        if row.get("annotation_id") is not None and image_of.get(row["annotation_id"]) != row["image_id"]:
            raise UserError(
                f"{where}: annotation_id {row['annotation_id']} is no annotation of image {row['image_id']}"
            )
    return rows
