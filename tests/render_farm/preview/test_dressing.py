"""Dressing: trunk and hips are covered on every kind of body, clothes are a function of the seed, shoes hide toes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.models.bodies.meshes import grid_atlas
from sim2pose.render_farm.looks.bodymap import build_body_map
from sim2pose.render_farm.looks.regions import REGIONS, region_of, smpl24_regions
from sim2pose.render_farm.preview import dress_plainly
from sim2pose.render_farm.preview.outfits import plain_clothes
from sim2pose.render_farm.preview.shoes import make_shoes, put_on


@pytest.fixture(scope="module")
def person() -> Body:
    return load_body("open-person")


@pytest.mark.parametrize("atlas", ["its own", "grid"])
@pytest.mark.parametrize("name", ["open-infant", "open-person"])
def test_trunk_and_hips_are_covered_whatever_is_drawn(name: str, atlas: str) -> None:
    body = load_body(name)
    if atlas == "grid":  # a licensed file without texture coordinates
        uv, uv_faces = grid_atlas(len(body.faces))
        body = replace(body, name="no-uv", uv=uv, uv_faces=uv_faces)
    mapped = build_body_map(body, 512)
    p = mapped.texels
    chest = np.isin(p.joint, (0, 3, 6, 9)) & (p.position[:, 1] < mapped.joints[9, 1])
    thighs = np.isin(p.joint, (1, 2)) & (p.leg < 0.15)
    for seed in range(3):
        cover = plain_clothes(np.random.default_rng(seed), mapped).painted.cover
        assert chest.sum() > 1000 and np.all(cover[chest] == 1)
        assert thighs.sum() > 100 and np.all(cover[thighs] == 1)
        assert np.all(cover[(p.joint == 15)] == 0), "and no cloth lies on the face"


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


def test_shoes_fill_the_gaps_between_toes_and_go_along(person: Body) -> None:
    mapped = build_body_map(person, 256)
    foot = np.isin(mapped.vertices.joint, (7, 8, 10, 11)) & (mapped.vertices.leg > 1.03)
    shoes = make_shoes(mapped, foot.astype(np.float32))
    assert len(shoes) == 4, "the back and the front of each"
    worn = put_on(person.template, shoes)
    rows = np.concatenate([shoe.vertices for shoe in shoes])
    outside = np.setdiff1d(np.arange(len(worn)), rows)
    np.testing.assert_array_equal(worn[outside], person.template[outside])
    low, high = person.template[rows].min(0), person.template[rows].max(0)
    assert np.all(worn[rows].min(0) < low) and np.all(worn[rows].max(0) > high)
    turn = np.array([[0, 0, 1.3], [1.3, 0, 0], [0, 1.3, 0]], np.float32)  # a cyclic turn, and larger
    np.testing.assert_allclose(put_on(person.template @ turn.T + 2, shoes), worn @ turn.T + 2, atol=2e-5)


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
