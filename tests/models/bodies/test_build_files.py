"""The committed open bodies, measured from their files alone: growth, landmarks, extra vertices, hands, sizes."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import smplx
import torch

from sim2pose.models.bodies.build import anthropometry as measures
from sim2pose.models.bodies.build.landmarks import YAWS, closest_on_mesh
from sim2pose.models.bodies.files import OPEN_BODIES
from sim2pose.models.joints import JOINT_SETS

Arrays = dict[str, np.ndarray]
SMPLX = JOINT_SETS["smplx55"]


@pytest.fixture(scope="module")
def infant() -> Arrays:
    return dict(np.load(OPEN_BODIES["open-infant"]))


@pytest.fixture(scope="module")
def person() -> Arrays:
    return dict(np.load(OPEN_BODIES["open-person"]))


def points_on(arrays: Arrays, triangles: np.ndarray, weights: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Places (..., 3) of barycentric points on a mesh."""
    return np.einsum("...k,...kc->...c", weights, vertices[arrays["f"].astype(int)[triangles]])


def landmarks(arrays: Arrays, vertices: np.ndarray) -> np.ndarray:
    """iBUG's points 17 to 67 by their numbers: (68, 3) with the first 17 not a number."""
    found = points_on(arrays, arrays["lmk_faces_idx"], arrays["lmk_bary_coords"], vertices)
    return np.concatenate([np.full((17, 3), np.nan), found])


@pytest.mark.parametrize("name", ["open-infant", "open-person"])
def test_mesh_is_symmetric_and_weights_sum_to_one(name: str) -> None:
    arrays = np.load(OPEN_BODIES[name])
    template, mirror = arrays["v_template"], arrays["mirror"].astype(int)
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))
    assert np.abs(template[mirror] * (-1, 1, 1) - template).max() < 1e-5
    assert np.allclose(arrays["weights"].sum(1), 1, atol=1e-6)
    assert np.allclose(arrays["J_regressor"].sum(1), 1, atol=1e-4)
    assert np.abs(arrays["J_regressor"][0] @ template).max() < 1e-3  # the pelvis is the origin
    faces = arrays["f"].astype(int)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed


def test_all_bodies_together_stay_small() -> None:
    sizes = {name: path.stat().st_size / 1e6 for name, path in OPEN_BODIES.items()}
    assert sizes["open-person"] <= 6
    assert sum(sizes.values()) <= 15


def test_infants_follow_who_medians(infant: Arrays) -> None:
    """By mesh volume times a density of 1030 kg/m^3, on the file's own mean infants."""
    report = json.loads(str(infant["meta"]))["report"]
    assert report["density_kg_m3"] == measures.DENSITY == 1030
    betas = np.array([row["betas"] for row in report["growth"]])
    assert tuple(row["months"] for row in report["growth"]) == measures.WHO_MONTHS == (0, 6, 12, 24)
    length, weight, head = measures.shape_measures(infant, betas)
    assert length == pytest.approx(measures.WHO_LENGTH_CM, rel=0.05)
    assert head == pytest.approx(measures.WHO_HEAD_CM, rel=0.05)
    assert weight == pytest.approx(measures.WHO_WEIGHT_KG, rel=0.12)
    for row, values in zip(report["growth"], zip(length, weight, head, strict=True), strict=True):
        assert (row["length_cm"], row["weight_kg"], row["head_cm"]) == pytest.approx(values, abs=0.06)


def test_sampled_infants_grow_as_who_medians(infant: Arrays) -> None:
    """The population that ``sample_betas`` draws from has the same means, as far as few members near an age tell."""
    betas = np.stack(
        [
            measures.mean_betas(infant["population_betas"], infant["population_months"], month, 3)
            for month in (6, 12, 23)
        ]
    )
    length, weight, head = measures.shape_measures(infant, betas)
    months = measures.WHO_MONTHS
    assert length == pytest.approx(np.interp((6, 12, 23), months, measures.WHO_LENGTH_CM), rel=0.05)
    assert head == pytest.approx(np.interp((6, 12, 23), months, measures.WHO_HEAD_CM), rel=0.05)
    assert weight == pytest.approx(np.interp((6, 12, 23), months, measures.WHO_WEIGHT_KG), rel=0.12)


def test_people_grow_as_published(person: Arrays) -> None:
    ages = np.array([3.0, 10.0, 40.0, 75.0])
    betas = np.stack([measures.mean_betas(person["population_betas"], person["population_years"], y, 4) for y in ages])
    length, weight, head = measures.shape_measures(person, betas, density=985)
    assert length == pytest.approx((95, 138, 171, 169), rel=0.05)
    assert head == pytest.approx((48.6, 52.8, 56.3, 56.3), rel=0.05)
    assert weight / (length / 100) ** 2 == pytest.approx((15.6, 16.5, 24.2, 24.5), rel=0.12)


def test_line_through_a_population() -> None:
    ages = np.linspace(0, 24, 200)
    betas = np.stack([0.1 * ages - 1, np.zeros(200)], 1)
    assert measures.mean_betas(betas, ages, 0.0, 3.0) == pytest.approx([-1, 0])
    assert measures.mean_betas(betas, ages, 20.0, 3.0) == pytest.approx([1, 0])


def test_smplx_itself_reads_open_person(person: Arrays) -> None:
    report = json.loads(str(person["meta"]))
    layer = smplx.SMPLX(
        str(OPEN_BODIES["open-person"]), num_betas=report["num_betas"], num_expression_coeffs=10, use_pca=True,
        num_pca_comps=6, use_face_contour=True, flat_hand_mean=False,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    betas = torch.from_numpy(rng.standard_normal((1, report["num_betas"]))).float()
    expression = torch.from_numpy(rng.standard_normal((1, 10))).float()
    with torch.no_grad():
        found = layer(betas=betas, expression=expression, return_verts=True)
    columns = person["shapedirs"]
    wanted = person["v_template"] + columns[:, :, : report["num_betas"]] @ betas[0].numpy()
    wanted = wanted + columns[:, :, 300:310] @ expression[0].numpy()
    on_head = person["weights"][:, SMPLX.index("head")] > 0.999  # hands rest curled
    assert on_head.sum() > 500
    assert np.abs(found.vertices[0].numpy() - wanted)[on_head].max() < 1e-5
    assert found.joints.shape[1] == 55 + 21 + 51 + 17


def test_shape_columns_have_smplx_layout(person: Arrays) -> None:
    size = np.abs(person["shapedirs"]).max((0, 1))
    report = json.loads(str(person["meta"]))
    assert person["shapedirs"].shape[2] == 400
    used = [*range(report["num_betas"]), *range(300, 310)]
    assert np.flatnonzero(size).tolist() == used
    assert report["num_betas"] >= 10
    faces = np.abs(person["shapedirs"][:, :, 300:310]).max((1, 2)) > 1e-3
    on_head = person["weights"][:, [SMPLX.index("head"), SMPLX.index("jaw")]].sum(1)
    assert on_head[faces].min() > 0.5  # expressions move the face alone


def test_landmarks_lie_where_they_should(person: Arrays) -> None:
    template = person["v_template"].astype(np.float64)
    points = landmarks(person, template)
    assert np.allclose(person["lmk_bary_coords"].sum(1), 1, atol=1e-5) and (person["lmk_bary_coords"] >= -1e-6).all()
    pairs = ((17, 26), (21, 22), (31, 35), (36, 45), (39, 42), (48, 54), (60, 64), (61, 63), (67, 65), (50, 52))
    for right, left in pairs:
        assert points[right] == pytest.approx(points[left] * (-1, 1, 1), abs=5e-4)
        assert points[left][0] > 0.003
    for midline in (27, 28, 29, 30, 33, 51, 57, 62, 66):
        assert abs(points[midline][0]) < 5e-4
    heights = [points[n][1] for n in (24, 43, 47, 30, 33, 51, 62, 57)]
    assert heights == sorted(heights, reverse=True)  # brow, lids, nose, lips
    nose = template[json.loads(str(person["extra_vertices"]))["nose"]]
    assert np.linalg.norm(points[30] - nose) < 0.012  # COCO's nose is above the tip
    eye = template[json.loads(str(person["extra_vertices"]))["leye"]]
    assert points[42][0] < eye[0] < points[45][0] and points[47][1] < eye[1] < points[43][1]


def test_lips_part_when_the_jaw_opens(person: Arrays) -> None:
    """The upper lip's points stay with the head, the lower lip's go with the jaw."""
    jaw = person["weights"][:, SMPLX.index("jaw")]
    corners = person["f"].astype(int)[person["lmk_faces_idx"]]
    share = (jaw[corners] * person["lmk_bary_coords"]).sum(1)
    by_number = dict(zip(range(17, 68), share, strict=True))
    assert max(by_number[n] for n in (50, 51, 52, 61, 62, 63)) < 0.2
    assert min(by_number[n] for n in (56, 57, 58, 65, 66, 67)) > 0.7


def test_jaw_line_follows_the_outline(person: Arrays) -> None:
    template = person["v_template"].astype(np.float64)
    triangles, weights = person["dynamic_lmk_faces_idx"], person["dynamic_lmk_bary_coords"]
    assert triangles.shape == (79, 17) and weights.shape == (79, 17, 3) and len(YAWS) == 79
    ahead = points_on(person, triangles[0], weights[0], template)
    assert (np.diff(ahead[3:14, 0]) > 0).all()  # from the right ear to the left
    assert ahead[:4, 0].max() < -0.05 and ahead[13:, 0].min() > 0.05
    assert ahead[8, 1] == ahead[:, 1].min() or abs(ahead[8, 1] - ahead[:, 1].min()) < 2e-3  # the chin is lowest
    assert ahead[0] == pytest.approx(ahead[16] * (-1, 1, 1), abs=3e-3)
    head = template[person["weights"][:, SMPLX.index("head")] > 0.5]
    for row in (30, 39, 69, 78):
        yaw = np.radians(YAWS[row])
        across = np.array([np.cos(yaw), 0, np.sin(yaw)])
        outline = points_on(person, triangles[row], weights[row], template)
        far = outline[:5] if yaw < 0 else outline[12:]  # of a head turned to its right, the right cheek
        for point in far:
            near = head[np.abs(head[:, 1] - point[1]) < 0.006]
            front = near[near[:, 2] > 0.02]  # not the back of the head
            edge = (front @ across).min() if yaw < 0 else (front @ across).max()
            assert abs(point @ across - edge) < 0.006


@pytest.mark.parametrize("name", ["open-infant", "open-person"])
def test_extra_vertices_are_at_the_ends(name: str) -> None:
    arrays = np.load(OPEN_BODIES[name])
    named = json.loads(str(arrays["extra_vertices"]))
    template, mirror = arrays["v_template"], arrays["mirror"].astype(int)
    fingers = ("thumb", "index", "middle", "ring", "pinky")
    assert set(named) == {
        "nose", *(f"{s}{part}" for s in "lr" for part in ("eye", "ear", *fingers)),
        *(f"{s}{part}" for s in "LR" for part in ("BigToe", "SmallToe", "Heel")),
    }  # fmt: skip
    for left in [n for n in named if n[0] in "lL"]:
        assert named[("r" if left[0] == "l" else "R") + left[1:]] == mirror[named[left]]
        assert template[named[left], 0] > 0
    place = {key: template[vertex] for key, vertex in named.items()}
    crown, sole = template[:, 1].max(), template[:, 1].min()
    assert place["nose"][2] > place["leye"][2] > place["lear"][2]
    assert place["LBigToe"][2] > place["LHeel"][2] and place["LSmallToe"][0] > place["LBigToe"][0]
    assert max(place[f"L{part}"][1] for part in ("BigToe", "SmallToe", "Heel")) < sole + 0.05 * (crown - sole)
    if name == "open-person":
        assert place["lmiddle"][0] > template[:, 0].max() - 0.005
        assert min(place[f"l{finger}"][0] for finger in fingers) > 0.8 * template[:, 0].max()


def test_hands_of_left_and_right_mirror_each_other(person: Arrays) -> None:
    mirror = np.tile((1, -1, -1), 15)
    assert np.allclose(person["hands_meanl"], person["hands_meanr"] * mirror)
    assert np.allclose(person["hands_componentsl"], person["hands_componentsr"] * mirror)
    components = person["hands_componentsr"].astype(np.float64)
    assert np.allclose(components @ components.T, np.eye(45), atol=1e-5)
    for finger in range(4):  # all but the thumb curl towards the palm: about +Z on the right
        assert person["hands_meanr"].reshape(15, 3)[3 * finger, 2] > 0.1


def test_reports_keep_their_promise() -> None:
    """What the builder measured against Anny on held-out shapes and poses."""
    for name, limit in (("open-infant", 0.6), ("open-person", 1.0), ("open-hand-left", 0.5), ("open-hand-right", 0.5)):
        report = json.loads(str(np.load(OPEN_BODIES[name])["meta"]))["report"]
        assert report["vertex_mean_mm"] <= limit


def test_documented_growth_is_that_of_the_file(infant: Arrays) -> None:
    page = (Path(__file__).parents[3] / "docs" / "bodies.md").read_text()
    for row in json.loads(str(infant["meta"]))["report"]["growth"]:
        line = next(
            text for text in page.splitlines() if text.startswith(f"| {row['months']:.0f} | {row['length_who']:.1f} |")
        )
        cells = [cell.split()[0] for cell in line.strip("| ").split("|")]
        body = [f"{row['length_cm']:.1f}", f"{row['weight_kg']:.2f}", f"{row['head_cm']:.1f}"]
        assert [cells[2], cells[4], cells[6]] == body


def test_nearest_place_on_a_triangle() -> None:
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]])
    faces = np.array([[0, 1, 2], [1, 2, 3]])
    places = np.array([[0.2, 0.3, 0.7], [-1, -1, 0], [0.5, -2, 0]])
    triangles, weights = closest_on_mesh(places, points, faces)
    assert triangles.tolist() == [0, 0, 0]
    assert weights == pytest.approx(np.array([[0.5, 0.2, 0.3], [1, 0, 0], [0.5, 0.5, 0]]))


@pytest.mark.soak
def test_committed_person_follows_anny_on_new_people_and_poses() -> None:
    if importlib.util.find_spec("anny") is None:
        pytest.skip("anny is not installed (pip install 'sim2pose[bodies]')")
    from sim2pose.models.bodies.build.person import recheck

    error = recheck(count=64)
    assert error["vertex_mean_mm"] <= 1.05
    assert error["vertex_p99_mm"] <= 5
    assert error["joint_mean_mm"] <= 1
    assert error["keypoint_mean_mm"] <= 1.1
