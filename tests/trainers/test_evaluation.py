"""Evaluation against pycocotools on real files, and what it must say about files and networks that are off."""

import contextlib
import copy
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sim2pose.config import UserError
from sim2pose.models.joints import JointSet, joint_set
from sim2pose.trainers.coco_files import read_ground_truth
from sim2pose.trainers.evaluation import STATS, baselines, evaluate_results, mean_pose
from sim2pose.trainers.oks_nms import suppress

FILES = {
    "mini": ("coco/mini/person_keypoints.json", "coco/mini/perturbed_predictions.json"),
    "xtcoco": ("coco/xtcoco/example_coco_val.json", "coco/xtcoco/example_coco_preds.json"),
    "wholebody_body": ("coco/xtcoco/example_wholebody_val.json", "coco/xtcoco/example_wholebody_preds.json"),
}


def oracle(gt, results):
    """The published evaluation, called as its demo does."""
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(str(gt))
        evaluation = COCOeval(reference, reference.loadRes(str(results)), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("name", sorted(FILES))
def test_equals_pycocotools(shared_data: Path, name: str, capsys):
    gt, results = (shared_data / part for part in FILES[name])
    report = evaluate_results(gt, results)
    for stat, value in zip(STATS, oracle(gt, results).stats, strict=True):
        assert report[stat] == pytest.approx(value, abs=1e-9) if value >= 0 else report[stat] is None
    assert capsys.readouterr().out == ""
    assert report["area"] == "annotation"
    assert report["box_area"] is None


def guesses(gt, copies: int, seed: int = 0):
    """``copies`` predictions of each person, of different quality, as top-down prediction in detected boxes gives them."""
    rng = np.random.default_rng(seed)
    rows = []
    for a in gt["annotations"]:
        x, y, w, h = a["bbox"]
        truth = np.array(a["keypoints"], float).reshape(17, 3)
        unknown = rng.uniform(0, 1, (17, 2)) * (w, h) + (x, y)
        truth[:, :2] = np.where(truth[:, 2:] > 0, truth[:, :2], unknown)
        for _ in range(copies):
            spread = np.sqrt(w * h) * rng.choice([0.002, 0.01, 0.03, 0.1])
            points = np.concatenate([truth[:, :2] + rng.normal(0, spread, (17, 2)), rng.random((17, 1))], axis=1)
            row = {"image_id": a["image_id"], "category_id": 1, "keypoints": points.ravel().tolist()}
            rows.append({**row, "score": float(np.round(rng.random(), 2)), "area": 1.5 * w * h})
    return rows


@pytest.mark.parametrize("nms", ["none", "oks", "soft"])
def test_val2017_after_nms_equals_pycocotools(shared_data: Path, tmp_path: Path, nms):
    """533 pictures, 2192 annotations with crowds, unlabelled people and tied scores."""
    path = shared_data / "coco/val2017_subset/person_keypoints_val2017.json"
    gt = json.loads(path.read_text())
    everything = guesses(gt, 3)
    results = suppress(everything, joint_set("coco17").sigmas, nms)
    (tmp_path / "rows.json").write_text(json.dumps(results))
    report = evaluate_results(gt, results)
    for stat, value in zip(STATS, oracle(path, tmp_path / "rows.json").stats, strict=True):
        assert report[stat] == pytest.approx(value, abs=1e-9)
    assert 0.1 < report["AP"] < 0.9
    if nms == "oks":
        assert len(results) < len(everything)
        assert report["AP"] > evaluate_results(gt, everything)["AP"]


def test_whole_bodies_equal_pycocotools(shared_data: Path):
    """133 keypoints and sigmas: the file names its parts apart."""
    folder, parts = shared_data / "coco/xtcoco", ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    gt = json.loads((folder / "example_wholebody_val.json").read_text())
    results = json.loads((folder / "example_wholebody_preds.json").read_text())
    for row in (*gt["annotations"], *results):
        row["keypoints"] = [*row["keypoints"], *(value for part in parts for value in row.pop(part))]
    for a in gt["annotations"]:
        a["num_keypoints"] = sum(v > 0 for v in a["keypoints"][2::3])
    whole = joint_set("coco_wholebody133")
    report = evaluate_results(gt, results, whole)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = copy.deepcopy(gt)
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(copy.deepcopy(results)), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(whole.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    for stat, value in zip(STATS, evaluation.stats, strict=True):
        assert report[stat] == pytest.approx(value, abs=1e-9) if value >= 0 else report[stat] is None
    assert 0.3 < report["AP"] < 1


def test_cocoapis_own_fake_results(shared_data: Path):
    """Those of its pictures that are here (three): the rest is refused by name, not left out in silence."""
    path = shared_data / "coco/val2017_subset/person_keypoints_val2017.json"
    gt = json.loads(path.read_text())
    everything = shared_data / "coco/cocoapi_results/person_keypoints_val2014_fakekeypoints100_results.json"
    with pytest.raises(UserError, match=r"result row 0: image_id \d+ is not in the annotations"):
        evaluate_results(gt, everything)
    here = {image["id"] for image in gt["images"]}
    rows = [row for row in json.loads(everything.read_text()) if row["image_id"] in here]
    kept = {row["image_id"] for row in rows}
    gt["images"] = [image for image in gt["images"] if image["id"] in kept]
    gt["annotations"] = [a for a in gt["annotations"] if a["image_id"] in kept]
    report = evaluate_results(gt, rows)
    assert report["counts"]["images"] == 3
    assert report["AP"] is not None and report["AP"] > 0.2


def test_mean_oks_equals_pycocotools_pairs(shared_data: Path):
    gt, results = (shared_data / part for part in FILES["mini"])
    evaluation = oracle(gt, results)
    best = []
    for (image, category), ious in evaluation.ious.items():
        for column, annotation in enumerate(evaluation._gts[image, category]):
            if not annotation["ignore"] and len(ious):
                best.append(float(np.asarray(ious)[:, column].max()))
    # The perturbed predictions stay nearest to their own persons, so the greedy matching takes nearly these pairs.
    assert evaluate_results(gt, results)["oks"] == pytest.approx(np.mean(best), abs=5e-3)


def people(count: int = 6, seed: int = 0):
    """A small ground truth: one person an image, boxes of different sizes, all keypoints labelled."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for i in range(count):
        x, y, w, h = rng.uniform(20, 60), rng.uniform(20, 60), rng.uniform(80, 200), rng.uniform(80, 200)
        points = rng.uniform(0, 1, (17, 2)) * (w, h) + (x, y)
        keypoints = np.concatenate([points, np.full((17, 1), 2)], axis=1).reshape(-1).tolist()
        images.append({"id": i, "width": 320, "height": 320})
        box = {"bbox": [x, y, w, h], "area": w * h * 0.5, "iscrowd": 0, "num_keypoints": 17}
        annotations.append({"id": 100 + i, "image_id": i, "category_id": 1, "keypoints": keypoints, **box})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def as_results(gt, change=None, named: bool = True):
    rows = []
    for a in gt["annotations"]:
        points = np.array(a["keypoints"]).reshape(-1, 3)
        if change is not None:
            points = change(points.copy(), np.array(a["bbox"]))
        row = {"image_id": a["image_id"], "category_id": 1, "keypoints": points.reshape(-1).tolist(), "score": 0.9}
        rows.append(row | ({"annotation_id": a["id"]} if named else {}))
    return rows


@pytest.mark.parametrize("named", [True, False])
def test_perfect_predictions(named):
    gt = people()
    report = evaluate_results(gt, as_results(gt, named=named))
    assert report["AP"] == report["oks"] == report["pck@0.1"] == 1
    assert report["left_right_confusion"] == report["error_px"] == 0
    assert report["output_variance_ratio"] == pytest.approx(1)
    assert not report["collapsed"]
    assert report["counts"]["people"] == report["counts"]["matched"] == 6


def test_figures_by_hand():
    gt = people(2)
    gt["annotations"][0].update(bbox=[0, 0, 100, 50], area=5000.0)
    rows = as_results(gt)
    rows[0]["keypoints"][0] += 15  # the nose, 15 px off: 0.15 of the longer side
    report = evaluate_results(gt, rows)
    nose = report["per_keypoint"]["nose"]
    oks = np.exp(-(15**2) / (2 * 5000 * (2 * 0.026) ** 2))
    assert nose["oks"] == pytest.approx((1 + oks) / 2, abs=1e-9)
    assert report["oks"] == pytest.approx(((16 + oks) / 17 + 1) / 2, abs=1e-9)
    assert (nose["pck@0.1"], nose["pck@0.2"], nose["labelled"]) == (0.5, 1.0, 2)
    assert nose["error_px"] == pytest.approx(7.5)
    assert nose["error_box"] == pytest.approx(0.075)
    assert report["pck@0.1"] == pytest.approx(33 / 34)


def test_swapped_sides_are_seen():
    gt = people(20)
    permutation = joint_set("coco17").flip_permutation()
    swapped = evaluate_results(gt, as_results(gt, lambda p, box: p[permutation]))
    assert swapped["left_right_confusion"] == 1.0
    assert swapped["left_right"]["counted"] > 200
    half = as_results(gt)[:10] + as_results(gt, lambda p, box: p[permutation])[10:]
    assert 0.3 < evaluate_results(gt, half)["left_right_confusion"] < 0.7


def test_people_without_predictions_are_misses():
    gt = people(4)
    report = evaluate_results(gt, as_results(gt)[:1])
    assert report["pck@0.2"] == 0.25
    assert report["oks"] == 1.0
    assert (report["counts"]["matched"], report["counts"]["unmatched"]) == (1, 3)
    assert report["AR"] == pytest.approx(0.25)
    nothing = evaluate_results(gt, [])
    assert (nothing["AP"], nothing["AR"], nothing["pck@0.2"], nothing["oks"]) == (0, 0, 0, None)


def test_crowds_and_people_without_keypoints_are_counted_not_scored():
    gt = people(4)
    gt["annotations"][0]["iscrowd"] = 1
    gt["annotations"][1].update(keypoints=[0] * 51, num_keypoints=0)
    report = evaluate_results(gt, as_results(gt)[2:])
    assert (report["counts"]["people"], report["counts"]["crowd"], report["counts"]["without_keypoints"]) == (2, 1, 1)
    assert report["AP"] == report["pck@0.1"] == 1


def test_undefined_ap_of_sizes_is_none_with_a_reason():
    gt = people()
    for i, a in enumerate(gt["annotations"]):
        a["area"] = 96.0**2 + 1 + i
    report = evaluate_results(gt, as_results(gt))
    assert report["APm"] is None
    assert report["ARm"] is None
    assert report["APl"] == 1
    assert report["notes"] == ["APm is undefined: no scored annotation has an area of 32² to 96² square pixels"]


def test_constant_area_is_reported_with_second_figures(shared_data: Path, caplog):
    gt, results = (shared_data / part for part in FILES["mini"])
    content = json.loads(gt.read_text())
    boxed = copy.deepcopy(content)
    for a, b in zip(content["annotations"], boxed["annotations"], strict=True):
        a["area"], b["area"] = 1500.0, b["bbox"][2] * b["bbox"][3]
    with caplog.at_level(logging.WARNING):
        report = evaluate_results(content, results)
    assert "1500 for all 84 persons" in caplog.text
    assert "figures with box areas" in report["notes"][0]
    second = evaluate_results(boxed, results)
    assert report["AP"] < 0.5 * second["AP"]
    assert report["box_area"] == {stat: second[stat] for stat in STATS}


def test_an_area_that_most_people_share_is_reported_too():
    gt = people(8)
    for a in gt["annotations"][:6]:
        a["area"] = 900.0
    report = evaluate_results(gt, as_results(gt))
    assert report["notes"][0].startswith("area is 900 for 6 of 8 persons although their boxes differ")
    assert report["box_area"] is not None
    for a in gt["annotations"][:6]:
        a["bbox"] = [10, 10, 30, 30]  # the same box for all: no reason to wonder
    assert evaluate_results(gt, as_results(gt))["box_area"] is None


@pytest.mark.parametrize("value", [None, 0.0])
def test_absent_or_zero_area_falls_to_boxes_and_says_so(value):
    gt = people()
    for a in gt["annotations"]:
        a["area"] = value
        if value is None:
            del a["area"]
    report = evaluate_results(gt, as_results(gt))
    assert report["area"] == "box"
    assert report["AP"] == 1
    assert "box areas instead" in report["notes"][0]


def test_other_joint_sets_and_sigmas(shared_data: Path):
    folder = shared_data / "coco/xtcoco"
    content = json.loads((folder / "example_crowdpose_val.json").read_text())
    names = tuple(content["categories"][0]["keypoints"])
    pairs = tuple((names.index(n), names.index(n.replace("left", "right"))) for n in names if n.startswith("left"))
    crowdpose = JointSet("crowdpose", names, pairs, None, ())
    results = folder / "example_crowdpose_preds.json"
    without = evaluate_results(content, results, crowdpose)
    assert without["AP"] is None
    assert without["pck@0.2"] > 0.5
    assert "has no OKS sigmas" in " ".join(without["notes"])
    sigmas = np.array([0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79]) / 10
    scored = evaluate_results(content, results, crowdpose, sigmas)
    assert 0.3 < scored["AP"] < 1
    assert scored["area"] == "box"  # CrowdPose has no areas
    loose = evaluate_results(content, results, crowdpose, sigmas * 3)
    assert loose["AP"] > scored["AP"]
    with pytest.raises(UserError, match="17 OKS sigmas for the 14 joints"):
        evaluate_results(content, results, crowdpose, [0.1] * 17)


def broken(**change):
    row = {"image_id": 0, "category_id": 1, "keypoints": [1.0] * 51, "score": 0.5}
    return [dict(row), {k: v for k, v in {**row, **change}.items() if v is not None}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (broken(score=None), "row 1 has no 'score'"),
        (broken(image_id=77), "row 1: image_id 77 is not in the annotations"),
        (broken(category_id=9), "row 1: category_id 9"),
        (broken(keypoints=[1.0] * 50), "row 1 has 50 keypoint values, joint set 'coco17' needs 51"),
        (broken(keypoints=[float("nan")] * 51), "row 1 holds NaN"),
        (broken(annotation_id=103), "row 1: annotation_id 103 is no annotation of image 0"),
        ([[]], "row 0 is a list"),
        ({"annotations": []}, "must be a JSON list"),
    ],
)
def test_results_that_do_not_fit_are_refused(rows, message):
    with pytest.raises(UserError, match=message):
        evaluate_results(people(), rows)


def test_ground_truth_that_does_not_fit_is_refused(tmp_path: Path):
    (tmp_path / "gt.json").write_text("{")
    for gt, message in (
        (tmp_path / "gt.json", "is not JSON"),
        (tmp_path / "no.json", "cannot read"),
        ([], "must be COCO JSON"),
        (people() | {"images": []}, "annotation 0 .* is of image 0"),
    ):
        with pytest.raises(UserError, match=message):
            evaluate_results(gt, [])
    with pytest.raises(UserError, match="has 17 keypoints, joint set 'smpl24' has 24"):
        evaluate_results(people(), [], "smpl24")


def test_baselines_by_hand():
    gt = people(8)
    truth = read_ground_truth(gt, joint_set("coco17"))
    mean = mean_pose(truth.bbox, truth.keypoints)
    normalised = (truth.keypoints[..., :2] - truth.bbox[:, None, :2]) / truth.bbox[:, None, 2:]
    np.testing.assert_allclose(mean, normalised.mean(axis=0))
    reports = baselines(gt, mean)
    centre = truth.bbox[:, :2] + truth.bbox[:, 2:] / 2
    distance = np.linalg.norm(truth.keypoints[..., :2] - centre[:, None], axis=-1)
    assert reports["zero"]["error_px"] == pytest.approx(distance.mean())
    assert reports["mean_pose"]["error_px"] < reports["zero"]["error_px"]
    for report in reports.values():
        assert report["collapsed"]
        assert report["output_variance_ratio"] == pytest.approx(0, abs=1e-12)
        assert report["counts"]["matched"] == 8
    assert list(baselines(gt, None)) == ["zero"]


def test_mean_pose_ignores_unlabelled_and_flat_boxes():
    bbox = np.array([[0, 0, 10, 20], [10, 0, 10, 10], [0, 0, 0, 10]], float)
    keypoints = np.array([[[5, 5, 2], [9, 9, 0]], [[20, 5, 1], [0, 0, 0]], [[7, 7, 2], [0, 0, 0]]], float)
    np.testing.assert_allclose(mean_pose(bbox, keypoints), [[0.75, 0.375], [0.5, 0.5]])


def test_collapse_is_told_from_small_errors():
    gt = people(30)
    rng = np.random.default_rng(1)

    def blurred(points, box):
        points[:, :2] += rng.normal(0, 8, (17, 2))
        return points

    def almost_constant(points, box):
        points[:, :2] = box[:2] + box[2:] * (0.5 + 0.1 * ((points[:, :2] - box[:2]) / box[2:] - 0.5))
        return points

    assert not evaluate_results(gt, as_results(gt, blurred))["collapsed"]
    report = evaluate_results(gt, as_results(gt, almost_constant))
    assert report["output_variance_ratio"] == pytest.approx(0.01, rel=1e-6)
    assert report["collapsed"]
