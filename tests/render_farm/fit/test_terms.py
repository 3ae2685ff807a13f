import numpy as np
import pytest
import torch

from sim2pose.models.bodies.body import Body
from sim2pose.render_farm.fit import FitConfig
from sim2pose.render_farm.fit.config import FitInterpenetrationConfig
from sim2pose.render_farm.fit.priors import pose_prior
from sim2pose.render_farm.fit.setup import Setup, prepare
from sim2pose.render_farm.fit.targets import make_targets
from sim2pose.render_farm.fit.terms import robust
from sim2pose.render_farm.fit.variables import Targets, Variables, Weights

WEIGHTS = {
    "plain": Weights(),
    "all": Weights(pose=2.0, shape=3.0, bending=0.7, depth=5.0, interpenetration=0.5, noise=2.0),
    "coordinate": Weights(per_coordinate=True),
}


@pytest.fixture(scope="module")
def setup(precise: Body) -> Setup:
    config = FitConfig(interpenetration=FitInterpenetrationConfig(weight=0.5))
    return prepare(precise, "smpl24", pose_prior(config, precise), config)


@pytest.fixture(scope="module")
def case(setup: Setup, precise: Body, scene) -> tuple[Variables, Targets]:
    to = make_targets(setup, scene.people(precise.to(dtype=torch.float32), "smpl24", noise=30.0)[:3], FitConfig(), None)
    pose = torch.from_numpy(scene.pose[:3])
    from sim2pose.render_farm.fit.kinematics import exponential

    betas, transl = torch.from_numpy(scene.betas[:3].copy()), torch.from_numpy(scene.transl[:3].copy())
    log_focal = torch.full((3,), 0.1, dtype=torch.float64)
    return Variables(exponential(pose[:, 0])[0], pose[:, 1:].contiguous(), betas, transl, log_focal), to


def test_geman_mcclure_by_the_formula() -> None:
    value, weight = robust(torch.tensor([0.0, 9.0, 1e12]), torch.tensor(3.0))
    assert torch.allclose(value, torch.tensor([0.0, 4.5, 9.0]))
    assert torch.allclose(weight, torch.tensor([1.0, 0.25, 0.0]), atol=1e-10)
    square = torch.linspace(0, 50, 7, dtype=torch.float64, requires_grad=True)
    value, weight = robust(square, torch.tensor(4.0))
    assert torch.allclose(torch.autograd.grad(value.sum(), square)[0], weight)


@pytest.mark.parametrize("name", WEIGHTS)
def test_terms_sum_to_the_loss(setup: Setup, case, name: str) -> None:
    at, to = case
    terms = setup.objective.terms(at, to, WEIGHTS[name])
    assert torch.allclose(sum(terms.values()), setup.objective(at, to, WEIGHTS[name]).loss)


@pytest.mark.parametrize("name", WEIGHTS)
def test_gradient_is_half_that_of_the_loss(setup: Setup, case, name: str) -> None:
    at, to = case
    found = setup.objective(at, to, WEIGHTS[name]).gradient
    step = torch.zeros_like(found).requires_grad_()
    total = sum(setup.objective.terms(setup.objective.move(at, step), to, WEIGHTS[name]).values())
    (wanted,) = torch.autograd.grad(total.sum(), step)
    assert torch.allclose(found, wanted / 2, rtol=1e-6, atol=1e-6 * wanted.abs().max())


def test_spheres_that_meet_are_counted(setup: Setup, case) -> None:
    at, to = case
    folded = at.pose.clone()
    folded[:, 3] = torch.tensor([2.6, 0.0, 0.0])  # left knee, bent through the thigh
    folded[:, 0] = torch.tensor([-2.6, 0.0, 0.0])
    from dataclasses import replace

    at = replace(at, betas=torch.zeros_like(at.betas))
    spread = replace(at, pose=torch.zeros_like(at.pose))
    values = [
        setup.objective.terms(x, to, WEIGHTS["all"])["interpenetration"] for x in (spread, replace(at, pose=folded))
    ]
    assert torch.equal(values[0], torch.zeros(3, dtype=torch.float64))
    assert (values[1] > 1.0).all()


def test_behind_the_camera_is_refused(setup: Setup, case) -> None:
    from dataclasses import replace

    at, to = case
    hidden = replace(at, transl=at.transl - torch.tensor([0.0, 0.0, 3.0]))
    assert setup.objective(hidden, to, Weights()).loss.isinf().all()


def test_confidence_weighs_squared(setup: Setup, case) -> None:
    from dataclasses import replace

    at, to = case
    half = replace(to, weight=to.weight / 2)
    whole, quarter = (setup.objective.terms(at, x, Weights())["data"] for x in (to, half))
    assert np.allclose(whole, 4 * quarter)
