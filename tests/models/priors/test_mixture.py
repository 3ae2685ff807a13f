import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from sim2pose.config import UserError
from sim2pose.models.joints import joint_set
from sim2pose.models.priors import Part, PartMixture, PriorEnergy, complete

BODY = joint_set("smpl24").joints[1:22]
SIZES = {"trunk": 2, "arm": 3, "leg": 2, "class": 2}


def poses(count: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.3 * rng.standard_normal((count, 63)) + np.where(rng.random((count, 1)) < 0.5, 0.5, -0.5)


@pytest.fixture(scope="module")
def learned() -> PartMixture:
    return PartMixture.from_samples(poses(), BODY, SIZES, exemplars=20)


def density(prior: PartMixture, pose: np.ndarray) -> float:
    """Log density by the book: sum over classes of the product over parts of sums over components."""
    by_class = []
    for z, weight in enumerate(prior.classes):
        total = weight
        for part in prior.parts:
            each = [
                multivariate_normal(m, c).logpdf(pose[part.columns])
                for m, c in zip(part.means, part.covariances, strict=True)
            ]
            total += logsumexp(part.log_weights[z] + np.array(each))
        by_class.append(total)
    return float(logsumexp(by_class))


def test_energy_is_twice_the_negative_log_density(learned: PartMixture) -> None:
    energy = PriorEnergy(learned.parts, learned.classes, np.arange(63), torch.device("cpu"), torch.float64)
    points = poses(3, 1)
    values = energy(torch.from_numpy(points))[0].numpy()
    wanted = [-2 * density(learned, point) for point in points]
    assert np.allclose(np.diff(values), np.diff(wanted))  # up to a constant


def test_gradient_is_half_that_of_the_value(learned: PartMixture) -> None:
    energy = PriorEnergy(learned.parts, learned.classes, np.arange(63), torch.device("cpu"), torch.float64)
    pose = torch.from_numpy(poses(4, 2)).requires_grad_()
    value, gradient, hessian = energy(pose)
    (wanted,) = torch.autograd.grad(value.sum(), pose)
    assert torch.allclose(gradient, wanted / 2)
    assert (torch.linalg.eigvalsh(hessian) > 0).all()


def test_marginal_density_of_some_columns(learned: PartMixture) -> None:
    columns = np.array([0, 1, 2, 3, 30, 31, 36, 37])
    energy = PriorEnergy(learned.parts, learned.classes, columns, torch.device("cpu"), torch.float64)
    draws = learned.draw(np.random.default_rng(0), 4000)
    value = energy(torch.from_numpy(draws[:, columns]))[0]
    assert value.isfinite().all()
    assert value.mean() < energy(torch.full((1, 8), 4.0, dtype=torch.float64))[0]


def test_left_and_right_are_mirror_images(learned: PartMixture) -> None:
    left, right = learned.parts[1], learned.parts[2]
    assert np.allclose(right.means, left.means * np.tile([1, -1, -1], left.means.shape[1] // 3))
    assert np.array_equal(right.columns - left.columns, np.full(len(left.columns), 3))


def test_completion_is_the_conditional_mean() -> None:
    covariance = np.array([[1.0, 0.8, 0], [0.8, 1, 0], [0, 0, 1]])
    part = Part(np.arange(3), np.zeros((1, 1)), np.zeros((1, 3)), covariance[None])
    filled = complete((part,), np.zeros(1), np.array([[2.0, 9, 9]]), np.array([True, False, False]))
    assert np.allclose(filled, [[2.0, 1.6, 0.0]])


def test_completion_keeps_what_is_known(learned: PartMixture) -> None:
    known = np.arange(63) % 5 > 0
    given = poses(5, 3)
    filled = complete(learned.parts, learned.classes, given, known)
    assert np.array_equal(filled[:, known], given[:, known])
    assert not np.allclose(filled[:, ~known], given[:, ~known])


def test_file_returns_what_was_saved(tmp_path, learned: PartMixture) -> None:
    learned.save(tmp_path / "prior.npz")
    found = PartMixture.from_file(tmp_path / "prior.npz")
    assert found.joints == learned.joints
    assert found.exemplars is not None and found.exemplars.shape == (20, 63)
    assert np.allclose(found.mean, learned.mean, atol=1e-6)
    assert np.allclose(found.precision, learned.precision, rtol=1e-3)


def test_draws_have_the_priors_moments(learned: PartMixture) -> None:
    draws = learned.draw(np.random.default_rng(0), 20_000)
    assert np.allclose(draws.mean(0), learned.mean, atol=0.03)
    assert np.allclose(draws.std(0), np.sqrt(np.diag(np.linalg.inv(learned.precision))), atol=0.03)


def test_parts_must_cover_all_columns() -> None:
    part = Part(np.arange(2), np.zeros((1, 1)), np.zeros((1, 2)), np.eye(2)[None])
    with pytest.raises(UserError, match="cover each"):
        PartMixture(("left_hip",), (part,), np.zeros(1))


def test_poses_of_another_width_are_refused() -> None:
    with pytest.raises(UserError, match="63"):
        PartMixture.from_samples(np.zeros((5, 60)), BODY, SIZES)


def test_file_that_is_none_is_refused(tmp_path) -> None:
    np.savez(tmp_path / "other.npz", mean=np.zeros(3))
    with pytest.raises(UserError, match="no mixture prior"):
        PartMixture.from_file(tmp_path / "other.npz")
