"""Numbers on matched keypoints: OKS, PCK, errors, left/right confusion, collapse. Arrays in, numbers out; numpy only.

N persons, J joints; pixels of the picture. The box-normalised errors and PCK divide by the longer side of the box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.joints import JointSet

PCK_THRESHOLDS = (0.1, 0.2, 0.5)
SWAP_TOLERANCE = 0.1  # of the box's longer side: this near to the partner's truth counts as sitting on it
SWAP_SEPARATION = 0.05  # pairs whose true positions are nearer than this cannot be told apart and are left out
COLLAPSE_RATIO = 0.05  # variance of predictions over that of labels, below which a network is called collapsed


@dataclass(frozen=True)
class Matched:
    """Predictions with the truth they belong to.

    Attributes:
        predicted, truth: (N, J, 2); truth is arbitrary where not labelled.
        labelled: (N, J) bool.
        bbox: (N, 4) xywh.
        area: (N,) squared pixels, the object scale of OKS.
    """

    predicted: np.ndarray
    truth: np.ndarray
    labelled: np.ndarray
    bbox: np.ndarray
    area: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """(N, J) pixels between prediction and truth."""
        return np.linalg.norm(self.predicted - self.truth, axis=-1)

    @property
    def side(self) -> np.ndarray:
        """(N, 1) longer side of each box, at least one pixel."""
        return np.maximum(self.bbox[:, 2:].max(axis=1), 1.0)[:, None]


def keypoint_oks(distance: np.ndarray, area: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """OKS of single keypoints ``exp(−d² / (2 · area · (2σ)²))``, as pycocotools computes it.

    Args:
        distance: (..., J) pixels; area: (...,) squared pixels; sigmas: (J,).

    Returns:
        (..., J) in [0, 1].
    """
    variance = (2 * np.asarray(sigmas)) ** 2
    return np.exp(-(distance**2) / variance / (area[..., None] + np.spacing(1)) / 2)


def _mean(values: np.ndarray, where: np.ndarray, axis: int | None = None) -> Any:
    """Mean over ``where``; NaN where there is nothing to average."""
    count = where.sum(axis=axis)
    total = np.where(where, values, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def accuracy(matched: Matched, missed: np.ndarray, joints: JointSet, sigmas: np.ndarray | None) -> dict[str, Any]:
    """Errors and accuracies, overall and by keypoint.

    Args:
        matched: matched persons.
        missed: (J,) labelled keypoints of persons without a prediction; they are misses of PCK and enter nothing else.
        joints: names the keypoints.
        sigmas: (J,), or None to leave OKS out.

    Returns:
        ``oks``: mean over persons of their mean keypoint OKS; ``pck@t``: share of labelled keypoints within t · longer
        box side; ``error_px`` and ``error_box`` (over the longer side): mean distance; ``per_keypoint``: the same by
        name, with the number labelled. None where nothing is labelled.
    """
    distance, labelled = matched.distance, matched.labelled
    columns: dict[str, np.ndarray] = {}
    overall: dict[str, Any] = {"oks": None}
    if sigmas is not None:
        oks = keypoint_oks(distance, matched.area, sigmas)
        overall["oks"] = _number(_mean(_mean(oks, labelled, 1), np.asarray(labelled.any(axis=1))))
        columns["oks"] = _mean(oks, labelled, 0)
    for name, values in (("error_px", distance), ("error_box", distance / matched.side)):
        overall[name] = _number(_mean(values, labelled))
        columns[name] = _mean(values, labelled, 0)
    total = labelled.sum(axis=0) + missed
    for threshold in PCK_THRESHOLDS:
        hits = (labelled & (distance <= threshold * matched.side)).sum(axis=0)
        overall[f"pck@{threshold}"] = float(hits.sum() / total.sum()) if total.sum() else None
        columns[f"pck@{threshold}"] = np.divide(hits, total, out=np.full(len(hits), np.nan), where=total > 0)
    overall["per_keypoint"] = {
        joint: {"labelled": int(total[j]), **{name: _number(column[j]) for name, column in columns.items()}}
        for j, joint in enumerate(joints.joints)
    }
    return overall


def left_right_confusion(matched: Matched, flip_pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """How often a left keypoint sits on the right one's true position, or the reverse.

    Counted are keypoints of mirror pairs of which both are labelled and lie further apart than SWAP_SEPARATION. One is
    confused if the prediction is nearer to its partner's truth than to its own, and within SWAP_TOLERANCE of it (both
    are fractions of the box's longer side).

    Returns:
        ``rate`` (None if nothing could be counted), ``counted``, ``confused``.
    """
    if not flip_pairs:
        return {"rate": None, "counted": 0, "confused": 0}
    own = np.array([i for pair in flip_pairs for i in pair])
    other = np.array([i for left, right in flip_pairs for i in (right, left)])
    apart = np.linalg.norm(matched.truth[:, own] - matched.truth[:, other], axis=-1) > SWAP_SEPARATION * matched.side
    counted = matched.labelled[:, own] & matched.labelled[:, other] & apart
    to_other = np.linalg.norm(matched.predicted[:, own] - matched.truth[:, other], axis=-1)
    confused = counted & (to_other < matched.distance[:, own]) & (to_other <= SWAP_TOLERANCE * matched.side)
    total, wrong = int(counted.sum()), int(confused.sum())
    return {"rate": wrong / total if total else None, "counted": total, "confused": wrong}


def box_normalised(points: np.ndarray, bbox: np.ndarray) -> np.ndarray:
    """Points (N, J, 2) in units of their boxes (N, 4): (0, 0) is the top-left corner, (1, 1) the bottom-right one."""
    return (points - bbox[:, None, :2]) / np.maximum(bbox[:, None, 2:], 1e-6)


def output_variance(matched: Matched, joints: JointSet) -> dict[str, Any]:
    """Collapse check: variance over persons of box-normalised predictions divided by that of the labels.

    A network that says the same whatever it sees (zero heatmaps, a mean pose) has a ratio near 0, a working one near 1.

    Returns:
        ``ratio``: over all keypoints together (None with fewer than two labelled persons a keypoint), ``per_keypoint``,
        ``collapsed``: ratio below COLLAPSE_RATIO.
    """
    weight = matched.labelled[..., None]
    variances = []
    for points in (matched.predicted, matched.truth):
        x = box_normalised(points, matched.bbox)
        where = np.broadcast_to(weight, x.shape)
        variances.append(_mean((x - _mean(x, where, 0)) ** 2, where, 0).sum(axis=-1))
    usable = (matched.labelled.sum(axis=0) > 1) & (np.nan_to_num(variances[1]) > 1e-12)
    per_joint = np.divide(variances[0], variances[1], out=np.full(joints.count, np.nan), where=usable)
    ratio = float(variances[0][usable].sum() / variances[1][usable].sum()) if usable.any() else None
    return {
        "ratio": ratio,
        "collapsed": ratio is not None and ratio < COLLAPSE_RATIO,
        "per_keypoint": {joint: _number(per_joint[j]) for j, joint in enumerate(joints.joints)},
    }
