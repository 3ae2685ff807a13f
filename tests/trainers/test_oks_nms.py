"""OKS-NMS against a plain reference, and what it must keep."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.joints import joint_set
from sim2pose.trainers.oks_nms import SOFT_LIMIT, oks_nms, oks_to, soft_oks_nms, suppress

SIGMAS = np.array(joint_set("coco17").sigmas)


def people(rng: np.random.Generator, count: int, copies: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``copies`` predictions of each of ``count`` people, from nearly equal to rather different."""
    points = rng.uniform(0, 300, (count, 1, 17, 2)) + rng.normal(0, 1, (count, copies, 17, 2)) * rng.uniform(
        0.5, 8, (count, copies, 1, 1)
    )
    n = count * copies
    return points.reshape(n, 17, 2), np.round(rng.random(n), 3), rng.uniform(5e3, 4e4, n)


def plain_oks(a: np.ndarray, b: np.ndarray, area: float) -> float:
    total = 0.0
    for j in range(17):
        d2 = (a[j, 0] - b[j, 0]) ** 2 + (a[j, 1] - b[j, 1]) ** 2
        total += np.exp(-d2 / (2 * area * (2 * SIGMAS[j]) ** 2))
    return total / 17


def plain_nms(points: np.ndarray, scores: np.ndarray, areas: np.ndarray, threshold: float) -> list[int]:
    """Keep a prediction unless a surer one that was kept resembles it by more than the threshold."""
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(plain_oks(points[i], points[k], (areas[i] + areas[k]) / 2) <= threshold for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_greedy_equals_a_plain_reference(seed: int, threshold: float) -> None:
    points, scores, areas = people(np.random.default_rng(seed), 6, 5)
    found = oks_nms(points, scores, areas, SIGMAS, threshold)
    assert found.tolist() == plain_nms(points, scores, areas, threshold)
    assert 6 <= len(found) < 30


def test_oks_is_symmetric_and_one_for_equals() -> None:
    points, _, areas = people(np.random.default_rng(0), 2, 3)
    table = np.array([oks_to(p, points, a, areas, SIGMAS) for p, a in zip(points, areas, strict=True)])
    np.testing.assert_allclose(table, table.T)
    np.testing.assert_allclose(np.diag(table), 1)
    assert table[0, 3] == pytest.approx(plain_oks(points[0], points[3], (areas[0] + areas[3]) / 2))


def test_soft_lowers_the_scores_of_doubles_alone_and_keeps_as_many_as_coco_looks_at() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 3000, (30, 17, 2))
    points[1] = points[0] + 0.5  # a double, and 28 others
    scores = np.linspace(1, 0.5, 30)
    kept, lowered = soft_oks_nms(points, scores, np.full(30, 2e4), SIGMAS, 0.9)
    assert len(kept) == SOFT_LIMIT
    assert kept[0] == 0
    assert 1 not in kept, "its score fell under the others'"
    np.testing.assert_allclose(lowered, scores[kept], rtol=0.02)
    two, both = soft_oks_nms(points[:2], scores[:2], np.full(2, 2e4), SIGMAS, 0.9)
    overlap = plain_oks(points[0], points[1], 2e4)
    assert two.tolist() == [0, 1]
    assert both[1] == pytest.approx(scores[1] * np.exp(-(overlap**2) / 0.9))


def test_pictures_do_not_suppress_each_other() -> None:
    points, scores, areas = people(np.random.default_rng(2), 1, 4)
    rows = [
        {
            "image_id": i % 2,
            "keypoints": np.concatenate([p, np.ones((17, 1))], axis=1).ravel().tolist(),
            "score": float(s),
            "area": float(a),
        }
        for i, (p, s, a) in enumerate(zip(np.repeat(points[:1], 4, 0), scores, areas, strict=True))
    ]
    kept = suppress(rows, SIGMAS)
    assert [row["image_id"] for row in kept] == [0, 1]
    assert [row["score"] for row in kept] == [max(scores[::2]), max(scores[1::2])]
    assert len(suppress(rows, SIGMAS, "soft")) == 4
    assert suppress(rows, None, "none") == rows
    with pytest.raises(UserError, match="OKS-NMS needs the joint set's OKS sigmas"):
        suppress(rows, None)
    assert suppress([], SIGMAS) == []
