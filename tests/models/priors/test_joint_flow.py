"""The joint flow depends along the tree and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.joints import PARENTS, joint_set
from sim2pose.models.priors import PoseSpace, build_density
from sim2pose.models.priors.joint_flow import JointFlow

from .conftest import JOINTS, trained, walk


def test_noise_depends_on_the_parent_and_the_joint_itself_alone(space: PoseSpace) -> None:
    flow = trained("joint_flow", space).double()
    t = torch.randn(space.dim, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda one: flow.encode_standard(one[None])[0], t)
    above = {"left_knee": "left_hip", "left_ankle": "left_knee", "spine2": "spine1"}
    for d, j in enumerate(space.owner.tolist()):
        for e, k in enumerate(space.owner.tolist()):
            own = JOINTS[j], JOINTS[k]
            wanted = (j == k and e <= d) or above.get(own[0]) == own[1]
            assert (jacobian[d, e] != 0).item() == wanted, f"{own[0]} on {own[1]}"


@pytest.mark.parametrize("name", sorted(PARENTS))
def test_the_true_tree_of_each_joint_set(name: str) -> None:
    joints = joint_set(name).joints
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(50, len(joints), 3, generator=generator)
    flow = build_density("joint_flow", PoseSpace.fit(pose, joints, name), hidden=4, bins=4)
    assert isinstance(flow, JointFlow)
    for d, row in enumerate(flow.tree.inputs):
        parents = {e // 3 for e in row[:3] if e < flow.dim}
        assert parents == ({PARENTS[name][d // 3]} - {-1}), joints[d // 3]


def test_a_still_parent_is_passed_over() -> None:
    pose = walk()
    pose[:, 1] = 0.0  # the knee
    flow = build_density("joint_flow", PoseSpace.fit(pose, JOINTS), hidden=4, bins=4)
    assert isinstance(flow, JointFlow)
    ankle = [d for d, j in enumerate(flow.space.owner.tolist()) if JOINTS[j] == "left_ankle"]
    assert flow.tree.inputs[ankle[0]][:3] == [0, 1, 2], "the ankle is conditioned on the hip"


def test_missing_leaves_are_drawn_given_their_parents(space: PoseSpace) -> None:
    """Ancestral completion: known columns stay, and noise of the drawn ones is N(0, I) given the known."""
    flow = trained("joint_flow", space)
    known = torch.tensor([True, True, False, True, False, True])
    pose = space.to_pose(space.to_coordinates(walk(3)))
    generator = torch.Generator().manual_seed(0)
    drawn = flow.complete(pose, known, 500, generator)
    assert drawn.shape == (500, 3, 6, 3)
    assert torch.equal(drawn[:, :, known], pose[:, known].expand(500, -1, -1, -1))
    columns = known[space.owner]
    noise = flow.encode(drawn[:, 0])
    assert torch.allclose(noise[:, columns], flow.encode(pose)[0, columns].expand(500, -1), atol=1e-3)
    assert noise[:, ~columns].mean(0).abs().max() < 0.2
    assert noise[:, ~columns].std(0).sub(1).abs().max() < 0.15


def test_sets_without_a_tree_are_refused(space: PoseSpace) -> None:
    with pytest.raises(UserError, match=r"'coco17' has no kinematic tree"):
        build_density("joint_flow", replace(space, joint_set="coco17"))
    with pytest.raises(UserError, match=r"'smpl24' has no joint 'jaw'"):
        build_density("joint_flow", replace(space, joint_set="smpl24"))
    with pytest.raises(UserError, match=r"unknown coupling 'splines'"):
        build_density("joint_flow", space, coupling="splines")
