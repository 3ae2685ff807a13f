"""Bootstrap of AP over images: pycocotools matches once, every resample only accumulates again.

A resample that draws an image k times counts its detections and its people k times. That is what COCOeval finds on a data
set that holds k copies: copies of a detection have equal scores and follow one another, and of the points of the precision
curve within such a run the envelope takes the best, which is an end. (Detections of one image with exactly equal scores
would alternate in copies; top-down results have one detection a person, with scores that differ.)
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MAX_DETECTIONS = 20  # of an image, COCO's for keypoints
CHUNK = 64  # resamples accumulated at a time


@dataclass(frozen=True)
class Matches:
    """Detections of all images, by falling score (D), and what they met at T OKS thresholds.

    Attributes:
        image: (D,) index of the detection's image.
        hit: (T, D) bool, matched to a person that counts.
        counts: (T, D) bool, not to be left out (matched to an ignored one).
        people: (I,) people to be found in each image.
        recalls: (R,) recall thresholds of the precision curve.
    """

    image: np.ndarray
    hit: np.ndarray
    counts: np.ndarray
    people: np.ndarray
    recalls: np.ndarray


def coco_matches(truth: dict[str, Any], results: Sequence[dict[str, Any]], sigmas: Sequence[float]) -> Matches:
    """Match once, by pycocotools, over all sizes.

    Args:
        truth: COCO annotations; results: COCO keypoint results; sigmas: (J,) of OKS.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes([dict(row) for row in results]), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.asarray(sigmas)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
    position = {image: i for i, image in enumerate(evaluation.params.imgIds)}
    found = [one for one in evaluation.evalImgs if one is not None]
    people = np.zeros(len(position), np.int64)
    for one in found:
        people[position[one["image_id"]]] += int((np.asarray(one["gtIgnore"]) == 0).sum())
    scores = np.concatenate([one["dtScores"][:MAX_DETECTIONS] for one in found])
    order = np.argsort(-scores, kind="mergesort")  # stable, as COCOeval sorts
    image = np.concatenate([np.full(len(one["dtScores"][:MAX_DETECTIONS]), position[one["image_id"]]) for one in found])
    matched = np.concatenate([one["dtMatches"][:, :MAX_DETECTIONS] for one in found], axis=1)[:, order] != 0
    ignored = np.concatenate([one["dtIgnore"][:, :MAX_DETECTIONS] for one in found], axis=1)[:, order] != 0
    return Matches(image[order], matched & ~ignored, ~ignored, people, np.asarray(evaluation.params.recThrs))


def average_precision(matches: Matches, weights: np.ndarray) -> np.ndarray:
    """AP of resamples: image counts ``(B, I)`` → ``(B,)``, NaN where a resample has nobody to be found."""
    return np.concatenate([_chunk(matches, weights[i : i + CHUNK]) for i in range(0, len(weights), CHUNK)])


def _chunk(matches: Matches, weights: np.ndarray) -> np.ndarray:
    people = (weights * matches.people).sum(axis=1).astype(np.float64)
    each = weights[:, None, matches.image].astype(np.float64)  # (B, 1, D)
    hits = np.cumsum(each * matches.hit, axis=2)
    precision = hits / np.maximum(np.cumsum(each * matches.counts, axis=2), np.spacing(1))
    recall = hits / np.maximum(people, 1)[:, None, None]
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
    envelope = np.concatenate([envelope, np.zeros((*envelope.shape[:2], 1))], axis=2)  # recall never reached: 0
    found = np.empty(envelope.shape[:2])
    for b, t in np.ndindex(*found.shape):
        found[b, t] = envelope[b, t, np.searchsorted(recall[b, t], matches.recalls, side="left")].mean()
    return np.where(people > 0, found.mean(axis=1), np.nan)


def resamples(images: int, count: int, seed: int = 0) -> np.ndarray:
    """``(count, images)`` int64: how often each image is drawn when as many are drawn with replacement.

    The same for every method on the same test set, so that differences are between the same images.
    """
    rng = np.random.default_rng([seed, images])
    return rng.multinomial(images, np.full(images, 1 / images), size=count)


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap values (B,)."""
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
