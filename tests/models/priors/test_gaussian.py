import pickle

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.joints import joint_set
from sim2pose.models.priors import GaussianPrior

BODY = joint_set("smpl24").joints[1:]


def prior(joints: tuple[str, ...] = ("left_hip", "left_knee"), seed: int = 0) -> GaussianPrior:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((3 * len(joints), 3 * len(joints)))
    return GaussianPrior(rng.standard_normal(3 * len(joints)), root @ root.T + np.eye(len(root)), joints)


def test_moments_of_draws_come_back() -> None:
    wanted = prior()
    learned = GaussianPrior.from_samples(wanted.draw(np.random.default_rng(1), 40_000), wanted.joints, floor=0.0)
    assert np.allclose(learned.mean, wanted.mean, atol=0.02)
    assert np.allclose(np.linalg.inv(learned.precision), np.linalg.inv(wanted.precision), atol=0.02)


def test_what_never_moves_stays_soft() -> None:
    learned = GaussianPrior.from_samples(np.zeros((5, 3)), ("left_hip",), floor=0.1)
    assert np.allclose(learned.precision, 100 * np.eye(3))


def test_file_returns_what_was_saved(tmp_path) -> None:
    wanted = prior()
    wanted.save(tmp_path / "prior.npz")
    found = GaussianPrior.from_file(tmp_path / "prior.npz")
    assert found.joints == wanted.joints
    assert np.allclose(found.precision, wanted.precision)


class Mahalanobis:
    def __init__(self, mean, prec, prefix) -> None:
        self.mean, self.prec, self.prefix = mean, prec, prefix


@pytest.mark.parametrize("prefix", [3])
def test_smil_pickle_is_read_without_running_it(tmp_path, prefix: int) -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((69, 69)) + 8 * np.eye(69)
    content = Mahalanobis(rng.standard_normal(69), root, prefix)
    (tmp_path / "prior.pkl").write_bytes(pickle.dumps(content, protocol=2))
    found = GaussianPrior.from_file(tmp_path / "prior.pkl")
    pose = rng.standard_normal(69)
    distance = (pose - found.mean) @ found.precision @ (pose - found.mean)
    assert found.joints == BODY
    assert distance == pytest.approx(np.sum(((pose - content.mean) @ root) ** 2))  # SMPLify: |(x - mean) L|^2


def test_malicious_pickle_is_refused(tmp_path) -> None:
    (tmp_path / "prior.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(UserError, match="system"):
        GaussianPrior.from_file(tmp_path / "prior.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("mean", "precision", "message"),
    [
        (np.zeros(5), np.eye(6), "needs mean"),
        (np.full(6, np.nan), np.eye(6), "finite"),
        (np.zeros(6), np.diag([1, 1, 1, 1, 1, 0.0]), "positive definite"),
        (np.zeros(6), np.triu(np.ones((6, 6))) + 6 * np.eye(6), "symmetric"),
    ],
)
def test_priors_that_are_none_are_refused(mean, precision, message) -> None:
    with pytest.raises(UserError, match=message):
        GaussianPrior(mean, precision, ("left_hip", "left_knee"))


def test_files_that_are_none_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="no pose prior at"):
        GaussianPrior.from_file(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", pose=np.zeros(3))
    with pytest.raises(UserError, match="needs mean and precision"):
        GaussianPrior.from_file(tmp_path / "other.npz")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(UserError, match=r"not a readable \.npz"):
        GaussianPrior.from_file(tmp_path / "cut.npz")
    np.savez(tmp_path / "wide.npz", mean=np.zeros(12), precision=np.eye(12))
    with pytest.raises(UserError, match="width 12"):
        GaussianPrior.from_file(tmp_path / "wide.npz")
