"""OKS-NMS: of several predictions of one person, keep the surest. Needed where boxes come from a detector.

Greedy suppression as in the evaluation of HRNet (Sun et al., CVPR 2019) and Papandreou et al., "Towards Accurate
Multi-person Pose Estimation in the Wild", CVPR 2017, section 3.2; the soft form follows Bodla et al., "Soft-NMS",
ICCV 2017, equation 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..config import UserError
from .keypoint_metrics import keypoint_oks

Json = dict[str, Any]
Suppression = Literal["oks", "soft", "none"]

THRESHOLD = 0.9  # HRNet's TEST.OKS_THRE
SOFT_LIMIT = 20  # people a picture that the soft form keeps: as many as COCO's evaluation looks at


def oks_to(keypoints: np.ndarray, others: np.ndarray, area: float, areas: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """OKS between one prediction and others: mean over all keypoints, object scale the mean of both areas.

    Args:
        keypoints: (J, 2); others: (n, J, 2), pixels.
        area, areas: scalar and (n,), squared pixels.
        sigmas: (J,).

    Returns:
        (n,) in [0, 1].
    """
    distance = np.linalg.norm(others - keypoints, axis=-1)
    return keypoint_oks(distance, (area + areas) / 2, sigmas).mean(axis=-1)


def oks_nms(
    keypoints: np.ndarray, scores: np.ndarray, areas: np.ndarray, sigmas: np.ndarray, threshold: float = THRESHOLD
) -> np.ndarray:
    """Greedy suppression: the surest prediction goes, all that resemble it by more than ``threshold`` go with it.

    Args:
        keypoints: (n, J, 2) pixels, of one picture. scores: (n,). areas: (n,) squared pixels. sigmas: (J,).
        threshold: OKS above which two predictions are of one person.

    Returns:
        Indices (m,) of what stays, surest first; of equal scores the first in the list.
    """
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        overlap = oks_to(keypoints[best], keypoints[order], areas[best], areas[order], sigmas)
        order = order[overlap <= threshold]
    return np.array(kept, np.int64)


def soft_oks_nms(
    keypoints: np.ndarray, scores: np.ndarray, areas: np.ndarray, sigmas: np.ndarray, threshold: float = THRESHOLD
) -> tuple[np.ndarray, np.ndarray]:
    """Soft suppression: what resembles a surer prediction loses score, ``s · exp(−OKS² / threshold)``, and stays.

    Args:
        keypoints, scores, areas, sigmas: as :func:`oks_nms`.
        threshold: width of the decay.

    Returns:
        Indices (m,), surest first, at most :data:`SOFT_LIMIT`, and their lowered scores (m,).
    """
    left, lowered = np.arange(len(scores)), scores.astype(np.float64)
    kept: list[int] = []
    while len(left) and len(kept) < SOFT_LIMIT:
        best = left[np.argmax(lowered[left])]
        left = left[left != best]
        kept.append(int(best))
        overlap = oks_to(keypoints[best], keypoints[left], areas[best], areas[left], sigmas)
        lowered[left] *= np.exp(-(overlap**2) / threshold)
    return np.array(kept, np.int64), lowered[kept]


def suppress(
    results: Sequence[Json], sigmas: Sequence[float] | None, kind: Suppression = "oks", threshold: float = THRESHOLD
) -> list[Json]:
    """Suppress predictions picture by picture.

    Args:
        results: COCO results with ``area``, the squared pixels of the region each was predicted in (``predict.predict``).
        sigmas: (J,) OKS sigmas.
        kind: ``oks`` greedy, ``soft`` lowered scores, ``none`` leaves all as they are.
        threshold: see :func:`oks_nms`, :func:`soft_oks_nms`.

    Returns:
        The results that stay, pictures in the order of their first result, surest first; soft ones with lowered scores.

    Raises:
        UserError: without sigmas.
    """
    if kind == "none":
        return list(results)
    if sigmas is None:
        raise UserError("OKS-NMS needs the joint set's OKS sigmas: give sigmas=[…], or nms=none")
    kappa = np.asarray(sigmas, np.float64)
    pictures: dict[int, list[Json]] = {}
    for row in results:
        pictures.setdefault(row["image_id"], []).append(row)
    stay: list[Json] = []
    for rows in pictures.values():
        keypoints = np.array([row["keypoints"] for row in rows], np.float64).reshape(len(rows), -1, 3)[..., :2]
        scores = np.array([row["score"] for row in rows], np.float64)
        areas = np.array([row["area"] for row in rows], np.float64)
        if kind == "oks":
            stay += [rows[i] for i in oks_nms(keypoints, scores, areas, kappa, threshold)]
        else:
            kept, lowered = soft_oks_nms(keypoints, scores, areas, kappa, threshold)
            stay += [{**rows[i], "score": float(score)} for i, score in zip(kept, lowered, strict=True)]
    return stay
