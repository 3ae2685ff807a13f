"""Resampled AP is what COCOeval finds on a data set that holds every image as often as it was drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim2pose.benchmarks.shift.bootstrap import average_precision, coco_matches, interval, resamples
from sim2pose.models.joints import joint_set
from sim2pose.trainers.evaluation import evaluate_results

JOINTS = joint_set("coco17")
SIGMAS = JOINTS.sigmas
assert SIGMAS is not None


def _person(rng: np.random.Generator, image: int, number: int, labelled: int = 17) -> dict[str, Any]:
    points = np.concatenate([rng.uniform(0, 100, (17, 2)), np.full((17, 1), 2.0)], axis=1)
    points[labelled:] = 0
    return {
        "id": 10 * image + number,
        "image_id": image,
        "category_id": 1,
        "bbox": [0.0, 0.0, 100.0, 100.0],
        "area": 10000.0,
        "iscrowd": 0,
        "keypoints": points.reshape(-1).tolist(),
        "num_keypoints": labelled,
    }


def _scene(images: int = 12, seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Pictures with none to two people, one of whom may be unlabelled, and detections near, far and superfluous."""
    rng = np.random.default_rng(seed)
    people, found = [], []
    for image in range(1, images + 1):
        for number in range(1, 1 + int(rng.integers(0, 3))):
            person = _person(rng, image, number, 0 if rng.random() < 0.15 else 17)
            people.append(person)
            points = np.asarray(person["keypoints"]).reshape(17, 3)
            points[:, :2] += rng.normal(0, rng.choice([1, 8, 40]), 2)
            found.append({"image_id": image, "category_id": 1, "keypoints": points.reshape(-1).tolist()})
        if rng.random() < 0.4:
            found.append({"image_id": image, "category_id": 1, "keypoints": rng.uniform(0, 100, 51).tolist()})
    for image in range(1, images + 1):
        own = [row for row in found if row["image_id"] == image]
        for row, score in zip(own, rng.permutation(6), strict=False):  # ties, but none within an image
            row["score"] = float(score) / 5
    categories = [{"id": 1, "name": "person", "keypoints": list(JOINTS.joints), "skeleton": []}]
    pictures = [{"id": i, "width": 100, "height": 100} for i in range(1, images + 1)]
    return {"images": pictures, "annotations": people, "categories": categories}, found


def _copied(
    truth: dict[str, Any], found: list[dict[str, Any]], counts: np.ndarray
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The data set with image i ``counts[i]`` times, its copies next to one another."""
    copy: dict[str, Any] = {**truth, "images": [], "annotations": []}
    rows = []
    for image, count in zip(truth["images"], counts, strict=True):
        for k in range(count):
            new = image["id"] * 100 + k
            copy["images"].append({**image, "id": new})
            own = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
            copy["annotations"] += [{**a, "id": a["id"] * 100 + k, "image_id": new} for a in own]
            rows += [{**r, "image_id": new} for r in found if r["image_id"] == image["id"]]
    return copy, rows


@pytest.mark.parametrize("seed", range(4))
def test_resampled_ap_equals_cocoeval_on_copies(seed: int) -> None:
    truth, found = _scene(seed=seed)
    matches = coco_matches(truth, found, SIGMAS)
    counts = np.concatenate([np.ones((1, 12), np.int64), resamples(12, 5, seed)])
    values = average_precision(matches, counts)
    for count, value in zip(counts, values, strict=True):
        whole, rows = _copied(truth, found, count)
        expected = average_precision(coco_matches(whole, rows, SIGMAS), np.ones((1, len(whole["images"])), np.int64))
        assert value == pytest.approx(expected[0], abs=1e-12)
        assert value == pytest.approx(evaluate_results(whole, rows, JOINTS)["AP"], abs=1e-12)


def test_nobody_drawn_is_no_figure_and_intervals_skip_it() -> None:
    truth, found = _scene()
    assert np.isnan(average_precision(coco_matches(truth, found, SIGMAS), np.zeros((1, 12), np.int64)))[0]
    assert interval(np.array([np.nan, *np.linspace(0, 1, 101)])) == pytest.approx((0.025, 0.975))


def test_resamples_draw_as_many_images_and_are_the_same_each_time() -> None:
    drawn = resamples(50, 20)
    assert (drawn.sum(axis=1) == 50).all() and (drawn == resamples(50, 20)).all() and len(np.unique(drawn)) > 2
