from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.models.geometry import procrustes_align
from sim2pose.models.priors import GaussianPrior
from sim2pose.render_farm.fit import FitConfig, fit_people
from sim2pose.render_farm.fit.choice import best_other
from sim2pose.render_farm.fit.config import FitCameraConfig, FitDataConfig, FitInterpenetrationConfig, FitPriorConfig
from sim2pose.render_farm.fit.hypotheses import view_directions
from sim2pose.render_farm.fit.priors import own_prior


@dataclass
class Loose:
    """Keypoints that no reader has checked."""

    id: str
    joint_set: str
    keypoints: np.ndarray
    width: int = 640
    height: int = 480


def joints_of(body: Body, result) -> np.ndarray:
    arrays = (torch.as_tensor(x, dtype=torch.float32) for x in (result.betas, result.pose, result.transl))
    return body(*arrays).joints.double().numpy()


def pa_mpjpe(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return 1000 * np.linalg.norm(procrustes_align(found, wanted) - wanted, axis=-1).mean(1)


@pytest.mark.parametrize("points", ["coco17", "smpl24"])
@pytest.mark.parametrize("known", [True, False])
def test_finds_infants_again(infant: Body, scene, points: str, known: bool) -> None:
    result = fit_people(infant, scene.people(infant, points, noise=2.0), FitConfig(), scene.K if known else None)
    assert result.ids == tuple(f"p{k}" for k in range(12))
    assert not result.failed
    assert np.median(result.reprojection_px) < 2.5
    assert np.median(pa_mpjpe(joints_of(infant, result), scene.joints)) < 25
    if known:
        assert np.allclose(result.K, scene.K)


def test_result_explains_itself(infant: Body, scene) -> None:
    people = scene.people(infant)
    result = fit_people(infant, people)
    count = len(people)
    assert result.pose.shape == (count, 24, 3) and result.betas.shape == (count, infant.num_betas)
    assert result.transl.shape == (count, 3) and result.K.shape == (count, 3, 3)
    assert set(result.terms) >= {"data", "pose", "shape", "focal"}
    assert all(np.isfinite(values).all() for values in result.terms.values())
    arrays = (torch.as_tensor(x, dtype=torch.float32) for x in (result.betas, result.pose, result.transl))
    points = infant(*arrays).keypoints.double().numpy()
    for k, person in enumerate(people):  # what is reported is what the body, given the result, does
        flat = points[k] @ result.K[k].T
        error = np.linalg.norm(flat[:, :2] / flat[:, 2:] - person.keypoints[:, :2], axis=1).mean()
        box = np.linalg.norm(np.ptp(person.keypoints[:, :2], axis=0))
        assert result.reprojection_px[k] == pytest.approx(error, abs=0.02)
        assert result.reprojection_box[k] == pytest.approx(error / box, abs=1e-4)


@pytest.mark.parametrize("turn", [0.0, 90.0, 180.0, 270.0])
def test_finds_which_side_faces_the_camera(infant: Body, scene, turn: float) -> None:
    spun = np.radians(turn) * np.array([0.0, 1.0, 0.0])
    from scipy.spatial.transform import Rotation

    turned = type(scene)(infant, scene.pose[:4, 1:].reshape(4, -1))
    turned.pose[:, 0] = (Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_rotvec(spun)).as_rotvec()
    turned.output = infant(
        *(torch.as_tensor(x, dtype=torch.float32) for x in (turned.betas, turned.pose, turned.transl))
    )
    result = fit_people(infant, turned.people(infant, "smpl24"), K=turned.K)
    found = Rotation.from_rotvec(result.pose[:, 0])
    apart = (Rotation.from_rotvec(turned.pose[:, 0]).inv() * found).magnitude()
    assert np.degrees(np.median(apart)) < 30


def test_outlier_is_ignored(infant: Body, scene) -> None:
    people = scene.people(infant, "smpl24")[:4]
    wrong = [replace(p, keypoints=p.keypoints.copy()) for p in people]
    for person in wrong:
        person.keypoints[20, :2] = (5.0, 5.0)
    clean, dirty = fit_people(infant, people), fit_people(infant, wrong)
    found, wanted = joints_of(infant, dirty), joints_of(infant, clean)
    assert np.median(pa_mpjpe(found[:, :18], wanted[:, :18])) < 15


def test_order_and_batches_do_not_matter(infant: Body, scene) -> None:
    people = scene.people(infant)[:5]
    whole = fit_people(infant, people, FitConfig(batch=5))
    parts = fit_people(infant, people[::-1], FitConfig(batch=2))
    assert parts.ids == whole.ids[::-1]
    assert np.allclose(parts.pose[::-1], whole.pose, atol=1e-3)


def test_who_cannot_be_fitted_is_named(infant: Body, scene) -> None:
    good = scene.people(infant)[0]
    points = good.keypoints

    def changed(**kept: float) -> np.ndarray:
        result = points.copy()
        for key, value in kept.items():
            result[{"few": slice(3, None), "all": slice(None)}[key], 2] = value
        return result

    broken = points.copy()
    broken[4, 0] = np.nan
    people = [
        Loose("count", "coco17", points[:16]),
        Loose("nan", "coco17", broken),
        Loose("blank", "coco17", changed(all=0.0)),
        Loose("few", "coco17", changed(few=0.0)),
        Loose("size", "coco17", points, 0, 0),
        Loose("set", "coco18", points),
        Loose("foreign", "mano21", np.ones((21, 3))),
        Loose("spot", "coco17", np.ones_like(points)),
        good,
    ]
    result = fit_people(infant, people)
    assert result.ids == ("p0",)
    reasons = dict(result.failed)
    wanted = {"count": "16", "nan": "finite", "blank": "all confidences are zero", "few": "3 usable", "size": "size"}
    wanted |= {"set": "coco18", "foreign": "mano21", "spot": "two pixels"}
    assert set(reasons) == set(wanted)
    for name, word in wanted.items():
        assert word in reasons[name], reasons[name]


def test_nonsense_is_reported_not_returned(infant: Body, scene) -> None:
    rng = np.random.default_rng(0)
    noise = Loose("noise", "smpl24", np.concatenate([rng.uniform(0, 400, (24, 2)), np.ones((24, 1))], 1))
    result = fit_people(infant, [noise, scene.people(infant, "smpl24")[0]], FitConfig(limit=0.05))
    assert result.ids == ("p0",)
    assert "misses the keypoints" in dict(result.failed)["noise"]


def test_nobody(infant: Body) -> None:
    result = fit_people(infant, [])
    assert result.ids == () and result.pose.shape == (0, 24, 3) and not result.failed


def test_smplify_recipe_has_the_references_settings(infant: Body, scene) -> None:
    result = fit_people(infant, scene.people(infant)[:4], FitConfig(recipe="smplify"))
    assert np.allclose(result.K[:, 0, 0], 1800)
    assert np.allclose(result.K[:, 0, 2], 319.5)
    assert result.terms["bending"].min() > 0
    assert np.median(result.reprojection_px) < 40


def test_focal_length_moves_unless_held(infant: Body, scene) -> None:
    people = scene.people(infant)[:3]
    free, held = (
        fit_people(infant, people),
        fit_people(infant, people, FitConfig(camera=FitCameraConfig(focal=900, focal_spread=0))),
    )
    assert np.ptp(free.K[:, 0, 0]) > 1
    assert np.allclose(held.K[:, 0, 0], 900)


def test_prior_from_a_file(infant: Body, scene, tmp_path) -> None:
    prior = own_prior(infant)
    GaussianPrior(prior.mean, (prior.precision + prior.precision.T) / 2, prior.joints).save(tmp_path / "own.npz")
    config = FitConfig(prior=FitPriorConfig(path=tmp_path / "own.npz"))
    result = fit_people(infant, scene.people(infant)[:4], config)
    assert len(result.ids) == 4 and np.median(result.reprojection_px) < 4


def test_interpenetration_term_is_reported(infant: Body, scene) -> None:
    config = FitConfig(interpenetration=FitInterpenetrationConfig(weight=0.1))
    result = fit_people(infant, scene.people(infant)[:2], config)
    assert np.isfinite(result.terms["interpenetration"]).all()


def test_person_with_hands_and_face_at_rest() -> None:
    person = load_body("open-person")
    prior = own_prior(person)
    assert prior.exemplars is not None
    rest = np.zeros((3, 55, 3))
    rest[:, 1:22] = prior.exemplars[:3].reshape(3, 21, 3)
    rest[:, 0] = (np.pi, 0, 0)
    output = person(torch.zeros(3, person.num_betas), torch.from_numpy(rest).float(), torch.tensor([[0, 0, 3.5]] * 3))
    points = output.keypoints.double().numpy()
    pixels = 700 * points[..., :2] / points[..., 2:] + np.array([319.5, 239.5])
    people = [Loose(str(k), "coco17", np.concatenate([p, np.ones((17, 1))], 1)) for k, p in enumerate(pixels)]
    result = fit_people(person, people)
    assert not result.failed
    assert np.median(result.reprojection_px) < 2.5
    hands = result.pose[:, 25:]
    assert np.allclose(hands, hands[:1])  # no keypoint tells of fingers


def test_mistakes_of_the_caller_are_refused(infant: Body, scene, tmp_path) -> None:
    people = scene.people(infant)[:2]
    with pytest.raises(UserError, match="share the id 'p0'"):
        fit_people(infant, [people[0], people[0]])
    with pytest.raises(UserError, match="cameras K"):
        fit_people(infant, people, K=np.eye(3)[None])
    with pytest.raises(UserError, match="left_toe"):
        fit_people(infant, people, FitConfig(data=FitDataConfig(drop=("left_toe",))))
    with pytest.raises(UserError, match=r"no prior .*absent\.npz"):
        fit_people(infant, people, FitConfig(prior=FitPriorConfig(path=tmp_path / "absent.npz")))


def test_view_directions_are_rotations_all_round() -> None:
    views = view_directions(60)
    assert np.allclose(views @ views.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(views), 1)
    assert np.linalg.norm(views[:, 2].mean(0)) < 0.05


def test_margin_is_to_the_best_that_is_turned_otherwise() -> None:
    score = torch.tensor([[1.0, 2.0, 7.0], [4.0, 3.0, 5.0]])
    turned = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    roots = torch.stack([torch.eye(3), torch.eye(3), turned, torch.eye(3), torch.eye(3), torch.eye(3)])
    other = best_other(score, roots, torch.eye(3).expand(2, 3, 3))
    assert other.tolist() == [7.0, float("inf")]
