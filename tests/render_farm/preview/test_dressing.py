"""Dressing: clothes are a function of the seed and lie over the body; regions; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.render_farm.looks.bodymap import build_body_map
from sim2pose.render_farm.looks.regions import REGIONS, region_of, smpl24_regions
from sim2pose.render_farm.preview import dress_plainly


@pytest.fixture(scope="module")
def person() -> Body:
    return load_body("open-person")


def test_clothes_are_a_function_of_the_seed(person: Body) -> None:
    first, again, other = (dress_plainly(person, seed=seed, size=256, hair="short") for seed in (1, 1, 2))
    assert first is again, "drawn once, kept"
    assert not np.array_equal(first.texture, other.texture)
    raised = dress_plainly(person, seed=1, size=256, hair="long")
    assert raised.bulge.max() > 0.01 and np.all(first.bulge >= 0) and np.isfinite(raised.bulge).all()


def test_the_dressed_surface_lies_over_the_bare_one(person: Body) -> None:
    dress = dress_plainly(person, seed=1, size=256)
    moved = dress.surface(person.template).vertices - person.template
    chest = person.weights[:, 9] > 0.5
    assert 0 < np.linalg.norm(moved[chest], axis=1).mean() < 0.02
    np.testing.assert_allclose(
        dress.surface(person.template, 0.5).vertices, 0.5 * dress.surface(person.template).vertices
    )


def test_regions_sum_fingers_into_hands(person: Body) -> None:
    weights, joints = smpl24_regions(person)
    assert weights.shape == (len(person.template), 24) and joints.shape == (24, 3)
    np.testing.assert_allclose(weights.sum(1), person.weights.sum(1), atol=1e-5)
    hand = REGIONS.index("left_hand")
    assert weights[person.template[:, 0].argmax()].argmax() == hand
    assert joints[REGIONS.index("left_wrist"), 0] < joints[hand, 0] < person.template[:, 0].max()
    assert region_of("right_index2") == "right_hand" and region_of("jaw") == region_of("left_eyeball") == "head"
    infant = load_body("open-infant")
    assert smpl24_regions(infant)[0] is infant.weights


def test_what_does_not_fit_is_refused(person: Body) -> None:
    hand = load_body("open-hand-left")
    assert dress_plainly(hand).texture.shape == (512, 512, 3)
    with pytest.raises(UserError, match="unknown style 'adlt': did you mean 'adult'"):
        dress_plainly(person, "adlt")
    with pytest.raises(UserError, match="unknown hair"):
        dress_plainly(person, hair="curly")
    for body, style in ((hand, "adult"), (person, "hand")):
        with pytest.raises(UserError, match="cannot be shown in the style"):
            dress_plainly(body, style)
    with pytest.raises(UserError, match="is a hand"):
        build_body_map(hand, 256)
