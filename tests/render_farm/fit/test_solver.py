from dataclasses import replace

import pytest
import torch

from sim2pose.models.bodies.body import Body
from sim2pose.render_farm.fit import FitConfig
from sim2pose.render_farm.fit.priors import pose_prior
from sim2pose.render_farm.fit.setup import Setup, prepare
from sim2pose.render_farm.fit.solver import minimise
from sim2pose.render_farm.fit.targets import make_targets
from sim2pose.render_farm.fit.variables import Targets, Variables, Weights

ALMOST_NO_PRIOR = Weights(pose=1e-4, shape=1e-4, free=("root", "pose", "transl"))


@pytest.fixture(scope="module")
def setup(precise: Body) -> Setup:
    config = FitConfig()
    return prepare(precise, "smpl24", pose_prior(config, precise), config)


@pytest.fixture(scope="module")
def case(setup: Setup, infant: Body, scene) -> tuple[Variables, Targets]:
    from sim2pose.render_farm.fit.kinematics import exponential

    to = make_targets(setup, scene.people(infant, "smpl24"), FitConfig(), scene.K)
    pose = torch.from_numpy(scene.pose)
    betas, transl = torch.from_numpy(scene.betas.copy()), torch.from_numpy(scene.transl.copy())
    zero = torch.zeros(len(pose), dtype=torch.float64)
    return Variables(exponential(pose[:, 0])[0], pose[:, 1:].contiguous(), betas, transl, zero), to


def test_returns_to_the_truth_from_nearby(setup: Setup, case) -> None:
    truth, to = case
    generator = torch.Generator().manual_seed(0)
    off = replace(
        truth, pose=truth.pose + 0.1 * torch.randn(truth.pose.shape, generator=generator, dtype=torch.float64)
    )
    found = minimise(setup.objective, off, to, ALMOST_NO_PRIOR, 60, 1e-5)
    assert found.converged.sum() >= 11
    data = setup.objective.terms(found.at, to, ALMOST_NO_PRIOR)["data"]
    assert data.max() < 0.05


def test_people_do_not_depend_on_their_batch(setup: Setup, case) -> None:
    truth, to = case
    off = replace(truth, pose=torch.zeros_like(truth.pose))
    together = minimise(setup.objective, off, to, Weights(), 30, 1e-4)
    rows = torch.tensor([5])
    alone = minimise(setup.objective, off.take(rows), to.take(rows), Weights(), 30, 1e-4)
    assert torch.allclose(together.loss[rows], alone.loss, rtol=1e-6)
    assert torch.equal(together.iterations[rows], alone.iterations)


def test_loss_never_rises(setup: Setup, case) -> None:
    truth, to = case
    off = replace(truth, pose=torch.zeros_like(truth.pose))
    losses = [minimise(setup.objective, off, to, Weights(), n, 1e-12).loss for n in (1, 3, 9, 27)]
    start = setup.objective(off, to, Weights()).loss
    for before, after in zip([start, *losses[:-1]], losses, strict=True):
        assert (after <= before + 1e-9).all()


def test_hopeless_start_is_not_called_converged(setup: Setup, case) -> None:
    truth, to = case
    hidden = replace(truth, transl=truth.transl - 5.0)
    found = minimise(setup.objective, hidden, to, Weights(), 8, 1e-4)
    assert not found.converged.any()
    assert found.loss.isinf().all()


def test_start_is_left_alone(setup: Setup, case) -> None:
    truth, to = case
    before = truth.pose.clone()
    minimise(setup.objective, truth, to, Weights(), 5, 1e-4)
    assert torch.equal(truth.pose, before)
