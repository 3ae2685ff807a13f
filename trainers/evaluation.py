"""COCO keypoint evaluation with its baselines, its collapse check, and its caveats said aloud.

AP and AR are COCO's (computed by faster-coco-eval, held to pycocotools by the tests), at the joint set's OKS sigmas.
Beside them stand what AP hides: mean OKS, PCK, errors by keypoint, left/right confusion, and how much predictions vary.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from ..config import UserError
from ..datasets.coco import degenerate_area
from ..models.joints import JointSet
from ..models.joints import joint_set as find_joint_set
from . import keypoint_metrics
from .coco_files import GroundTruth, Json, read_ground_truth, read_results
from .keypoint_metrics import Matched, box_normalised, keypoint_oks

log = logging.getLogger(__name__)

MATCH_OKS = 0.1  # a prediction that names no annotation belongs to none of those it resembles less
STATS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")  # in COCOeval's order
_SIZES = {"m": "32² to 96²", "l": "above 96²"}


def evaluate_results(
    gt: Json | str | Path,
    results: Sequence[Json] | str | Path,
    joint_set: JointSet | str = "coco17",
    sigmas: Sequence[float] | None = None,
) -> Json:
    """Score COCO keypoint results.

    A result belongs to the annotation it names by ``annotation_id`` or, without one, greedily by score to the free
    annotation of its image with the highest OKS, if that is MATCH_OKS or more. That matching serves the figures below;
    AP does its own.

    Args:
        gt: COCO annotations, a path or the content. Persons without labelled keypoints and crowds are not scored.
        results: COCO results, a path or the content.
        joint_set: of both files.
        sigmas: (J,) OKS sigmas in place of the joint set's.

    Returns:
        ``AP … ARl`` (None where undefined, then ``notes`` says why); ``oks``, ``pck@0.1 / 0.2 / 0.5``, ``error_px``,
        ``error_box``, ``per_keypoint`` (see ``keypoint_metrics.accuracy``); ``left_right_confusion`` (rate),
        ``left_right`` (its counts); ``output_variance_ratio``, ``collapsed``, ``output_variance``; ``counts``;
        ``area``: "annotation" or "box", the object scale of OKS; ``box_area``: the STATS with box areas where ``area``
        is degenerate, else None; ``notes``: sentences.

    Raises:
        UserError: for files that do not fit together, or sigmas of another number.
    """
    joints = find_joint_set(joint_set) if isinstance(joint_set, str) else joint_set
    truth = read_ground_truth(gt, joints)
    rows = read_results(results, truth, joints)
    given = joints.sigmas if sigmas is None else tuple(sigmas)
    if given is not None and len(given) != joints.count:
        raise UserError(f"{len(given)} OKS sigmas for the {joints.count} joints of '{joints.name}'")
    kappa = None if given is None else np.asarray(given, np.float64)
    notes: list[str] = []
    if not truth.scored.any():
        notes.append("no annotation has a labelled keypoint: nothing to score")
    problem, fatal = check_area(truth)
    if problem:
        notes.append(f"{problem}; figures with box areas stand beside them" if not fatal else problem)
        log.warning("%s", notes[-1])
    box_area = truth.bbox[:, 2] * truth.bbox[:, 3]
    area = box_area if fatal else truth.area
    report: Json = dict.fromkeys(STATS)
    if kappa is None:
        notes.append(f"joint set '{joints.name}' has no OKS sigmas: AP, AR and OKS need 'sigmas'")
    else:
        report = coco_stats(truth, rows, kappa, area, notes)
    matched, unmatched = match(truth, rows, area, kappa)
    missed = (truth.keypoints[unmatched, :, 2] > 0).sum(axis=0)
    report.update(keypoint_metrics.accuracy(matched, missed, joints, kappa))
    report["left_right"] = keypoint_metrics.left_right_confusion(matched, joints.flip_pairs)
    report["left_right_confusion"] = report["left_right"]["rate"]
    report["output_variance"] = keypoint_metrics.output_variance(matched, joints)
    report["output_variance_ratio"] = report["output_variance"]["ratio"]
    report["collapsed"] = report["output_variance"]["collapsed"]
    report["area"] = "box" if fatal else "annotation"
    report["box_area"] = None
    if problem and not fatal and kappa is not None:
        report["box_area"] = coco_stats(truth, rows, kappa, box_area, [])
    report["counts"] = {
        "images": len(truth.coco["images"]),
        "annotations": len(truth.ids),
        "people": int(truth.scored.sum()),
        "crowd": int(truth.crowd.sum()),
        "without_keypoints": int((~truth.crowd & ~truth.scored).sum()),
        "results": len(rows),
        "matched": len(matched.area),
        "unmatched": len(unmatched),
    }
    report["notes"] = notes
    return report


def check_area(truth: GroundTruth) -> tuple[str | None, bool]:
    """Whether the annotations' ``area`` can serve as OKS scale: (what is wrong or None, whether it is unusable).

    Unusable are areas that are absent or nowhere above zero. Others that look wrong (see ``coco.degenerate_area``)
    are used, since published figures were made with them, but not alone.
    """
    area, bbox = truth.area[truth.scored], truth.bbox[truth.scored]
    absent = int(np.isnan(area).sum())
    if absent:
        return f"'area' is absent in {absent} of {len(area)} annotations: OKS uses box areas instead", True
    problem = degenerate_area(area, bbox)
    if problem and (area <= 0).all():
        return f"{problem}: OKS uses box areas instead", True
    return problem, False


def coco_stats(
    truth: GroundTruth, results: Sequence[Json], sigmas: np.ndarray, area: np.ndarray, notes: list[str]
) -> Json:
    """COCOeval's ten keypoint statistics with the given areas ``(A,)``; None for −1, with a note why."""
    scale = np.nan_to_num(area)  # absent areas remain only in annotations that are not scored
    annotations = [{**a, "area": float(s)} for a, s in zip(truth.coco["annotations"], scale, strict=True)]
    reference = COCO({**truth.coco, "annotations": annotations})
    # an empty list has no rows to tell the kind of result by, so loadRes cannot read it
    found = reference.loadRes([dict(row) for row in results]) if results else COCO({**truth.coco, "annotations": []})
    evaluation = COCOeval_faster(reference, found, "keypoints", kpt_oks_sigmas=sigmas, print_function=log.debug)
    evaluation.run()
    stats: Json = {}
    for name, value in zip(STATS, evaluation.stats, strict=True):
        stats[name] = None if value == -1 else float(value)  # −1 is COCOeval's "there is no ground truth"
        if value == -1 and name[-1] in _SIZES and name.startswith("AP"):
            notes.append(f"{name} is undefined: no scored annotation has an area of {_SIZES[name[-1]]} square pixels")
    return stats


def match(
    truth: GroundTruth, results: Sequence[Json], area: np.ndarray, sigmas: np.ndarray | None
) -> tuple[Matched, np.ndarray]:
    """Give each scored annotation its prediction (see :func:`evaluate_results`).

    Without sigmas, nearness is judged by OKS with σ = 0.1 for every joint; only the order of distances matters here.

    Returns:
        The matched persons, and positions (U,) of scored annotations that got none.
    """
    count = truth.keypoints.shape[1]
    scored = np.flatnonzero(truth.scored)
    points = np.array([r["keypoints"] for r in results], np.float64).reshape(-1, count, 3)[..., :2]
    position = {int(truth.ids[a]): int(a) for a in scored}
    free: dict[int, list[int]] = {}
    for a in scored:
        free.setdefault(int(truth.image_ids[a]), []).append(int(a))
    kappa = np.full(count, 0.1) if sigmas is None else sigmas
    pairs: list[tuple[int, int]] = []  # (annotation, result)
    order = sorted(range(len(results)), key=lambda r: (results[r].get("annotation_id") is None, -results[r]["score"]))
    for r in order:
        named, candidates = results[r].get("annotation_id"), free.get(results[r]["image_id"], [])
        if named is not None:
            candidates = [a for a in candidates if a == position.get(named)]
        if not candidates:
            continue
        labelled = truth.keypoints[candidates, :, 2] > 0
        distance = np.linalg.norm(points[r] - truth.keypoints[candidates, :, :2], axis=-1)
        oks = keypoint_oks(distance, np.nan_to_num(area[candidates]), kappa)
        mean = (oks * labelled).sum(axis=1) / labelled.sum(axis=1)
        if named is None and mean.max() < MATCH_OKS:
            continue
        best = candidates[int(np.argmax(mean))]
        free[results[r]["image_id"]].remove(best)
        pairs.append((best, r))
    chosen = np.array([a for a, _ in pairs], np.int64)
    keypoints = truth.keypoints[chosen]
    matched = Matched(
        predicted=points[np.array([r for _, r in pairs], np.int64)],
        truth=keypoints[..., :2],
        labelled=keypoints[..., 2] > 0,
        bbox=truth.bbox[chosen],
        area=area[chosen],
    )
    return matched, np.setdiff1d(scored, chosen)


def mean_pose(bbox: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Mean of box-normalised labelled keypoints of training persons.

    Args:
        bbox: (P, 4) xywh; keypoints: (P, J, 3) with v.

    Returns:
        (J, 2) in box units; the box centre (0.5, 0.5) for a keypoint that is never labelled.
    """
    labelled = np.logical_and(keypoints[..., 2] > 0, (bbox[:, 2:] > 0).all(axis=1, keepdims=True))
    points = np.where(labelled[..., None], box_normalised(keypoints[..., :2].astype(np.float64), bbox), 0.0)
    count = labelled.sum(axis=0)[:, None]
    return np.where(count > 0, points.sum(axis=0) / np.maximum(count, 1), 0.5)


def baselines(
    gt: Json | str | Path,
    mean: np.ndarray | None,
    joint_set: JointSet | str = "coco17",
    sigmas: Sequence[float] | None = None,
) -> dict[str, Json]:
    """What knowing nothing of the picture scores, given the true boxes.

    Args:
        gt: as in :func:`evaluate_results`.
        mean: (J, 2) mean pose of the **training** data in box units (:func:`mean_pose`), or None to leave it out.
        joint_set, sigmas: as in :func:`evaluate_results`.

    Returns:
        ``zero`` (every keypoint at its box's centre) and ``mean_pose`` (the mean pose stretched to each box), each as
        :func:`evaluate_results` reports.
    """
    joints = find_joint_set(joint_set) if isinstance(joint_set, str) else joint_set
    truth = read_ground_truth(gt, joints)
    poses = {"zero": np.full((joints.count, 2), 0.5)}
    if mean is not None:
        poses["mean_pose"] = np.asarray(mean, np.float64)
    reports = {}
    for name, pose in poses.items():
        rows = [constant_result(truth, int(a), pose) for a in np.flatnonzero(truth.scored)]
        reports[name] = evaluate_results(gt, rows, joints, sigmas)
    return reports


def constant_result(truth: GroundTruth, annotation: int, pose: np.ndarray) -> Json:
    """A result with ``pose`` (J, 2), in box units, placed in the box of one annotation (position in the file)."""
    x, y, w, h = truth.bbox[annotation]
    points = np.concatenate([pose * (w, h) + (x, y), np.ones((len(pose), 1))], axis=1)
    return {
        "image_id": int(truth.image_ids[annotation]),
        "category_id": truth.coco["annotations"][annotation]["category_id"],
        "annotation_id": int(truth.ids[annotation]),
        "keypoints": points.reshape(-1).tolist(),
        "score": 1.0,
    }
