"""What fits take: mixtures learned from samples."""

from __future__ import annotations

import numpy as np
import torch

from sim2pose.models.joints import joint_set
from sim2pose.models.priors import PartMixture, PoseDensity, PoseSpace, PriorEnergy, build_density
from sim2pose.models.priors.energy import PosePrior
from sim2pose.models.priors.fit_prior import mixture_of

from .conftest import trained


def test_a_hand_and_a_jaw_are_parts_of_their_own() -> None:
    names = joint_set("smplx55").joints[20:40]  # wrists, jaw, eyes, the left hand
    samples = 0.2 * np.random.default_rng(0).standard_normal((150, 3 * len(names)))
    mixture = mixture_of(samples, names, 0.04, 0)
    widths = sorted(len(part.columns) // 3 for part in mixture.parts)
    assert widths == [1, 1, 1, 1, 1, 15]
    assert np.allclose(mixture.mean, samples.mean(0), atol=0.03)


def test_a_body_gets_its_parts_and_classes() -> None:
    names = joint_set("smplx55").joints[1:23]
    samples = 0.2 * np.random.default_rng(0).standard_normal((300, 3 * len(names)))
    mixture = mixture_of(samples, names, 0.04, 0)
    assert isinstance(mixture, PartMixture) and len(mixture.parts) == 6 and len(mixture.classes) > 1
    assert mixture.exemplars is not None and mixture.exemplars.shape == (300, 66)


def test_a_flows_prior_prefers_the_flows_poses(space: PoseSpace) -> None:
    flow = trained("global_flow", space)
    prior: PosePrior = flow.to_fit_prior(count=500)
    energy = PriorEnergy(prior.parts, prior.classes, np.arange(18), torch.device("cpu"), torch.float64)
    likely = energy(flow.sample(200).double().flatten(1))[0].mean()
    assert likely < energy(torch.randn(200, 18, dtype=torch.float64))[0].mean() - 50
    again: PosePrior = flow.to_fit_prior(count=500)
    assert np.array_equal(again.mean, prior.mean), "a seed decides"


def test_the_gaussian_needs_no_samples(space: PoseSpace) -> None:
    gaussian = trained("gaussian", space)
    closed, learned = gaussian.to_fit_prior(), PoseDensity.to_fit_prior(gaussian, count=20_000)
    assert np.abs(closed.mean - learned.mean).max() < 0.03
    found, wanted = (np.sqrt(np.diag(np.linalg.inv(prior.precision))) for prior in (closed, learned))
    assert np.abs(found - wanted).max() < 0.06, "linearised: wide Gaussians bend a little in the chart"
    assert build_density("gaussian", space).to_fit_prior().joints == space.joints
