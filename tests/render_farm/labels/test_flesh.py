"""Every point of every joint set that a body has lies in flesh that is said to surround it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import Body, load_body
from sim2pose.models.bodies.points import point_weights
from sim2pose.models.joints import JOINT_SETS, joint_set
from sim2pose.render_farm.labels.flesh import flesh, own_parts

BODIES = {"open-infant": "smpl24", "open-person": "smplx55", "open-hand-right": "mano16"}


@pytest.fixture(scope="module", params=BODIES)
def body(request: pytest.FixtureRequest) -> Body:
    return load_body(request.param)


def test_points_lie_in_their_flesh(body: Body) -> None:
    """At rest, most of the skin nearest to a point belongs to the parts that surround it."""
    rest = body(torch.zeros(1, body.num_betas), torch.zeros(1, body.joint_count, 3), torch.zeros(1, 3))
    middles = rest.vertices[0].numpy()[body.faces].mean(1)
    applicable = 0
    for name in JOINT_SETS:
        weights = point_weights(body, name)
        if weights.missing:
            continue
        applicable += 1
        points = weights(rest.vertices, rest.joints)[0].numpy()
        own = own_parts((name,), body.joint_set)
        for point, place, parts in zip(weights.names, points, own, strict=True):
            near = np.argsort(np.linalg.norm(middles - place, axis=1))[:40]
            share = parts[body.part_ids[near]].mean()
            assert share > 0.6, f"{name} {point}: {share:.0%} of the nearest skin"
    assert applicable >= 3


@pytest.mark.parametrize("skeleton", ["smpl24", "smplh52", "smplx55", "mano16"])
def test_flesh_is_a_small_part_of_the_body(skeleton: str) -> None:
    joints = joint_set(skeleton).joints
    for name in joints:
        own = flesh(name, skeleton)
        assert name in own or name == "neck", f"{name} in {own}"
        assert set(own) <= set(joints)
        assert len(own) <= 8


def test_sides_do_not_mix() -> None:
    for name in ("coco_wholebody133", "openpose25", "smplx127"):
        for point in joint_set(name).joints:
            side, _, rest = point.partition("_")
            if side in ("left", "right") and rest not in ("eye", "ear", "eyeball", "hip"):
                other = "right" if side == "left" else "left"
                assert not any(part.startswith(other) for part in flesh(point, "smplx55")), point


def test_fingers_of_a_body_without_fingers_are_its_hand() -> None:
    assert flesh("left_index_tip", "smpl24") == ("left_wrist", "left_hand")
    assert flesh("left_index_tip", "smplx55") == ("left_index1", "left_index2", "left_index3")
    assert flesh("index_tip", "mano16") == ("index1", "index2", "index3")


def test_sets_that_do_not_apply_are_refused() -> None:
    with pytest.raises(UserError, match=r"coco17.*mano16.*nothing around 'nose'"):
        own_parts(("coco17",), "mano16")
