"""Looks of adults: trunk and hips are covered whatever is drawn, pools are functions of (seed, entry), shoes hide toes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.blocks import blocked, pose_joints, skin_blocks
from sim2pose.models.bodies.body import Body
from sim2pose.models.bodies.meshes import grid_atlas
from sim2pose.render_farm.looks.adults import AdultLooks
from sim2pose.render_farm.looks.adults_config import BOTTOMS, OUTERS, TOPS, AdultsConfig
from sim2pose.render_farm.looks.adults_drape import measure_hang
from sim2pose.render_farm.looks.adults_outfits import draw_clothes
from sim2pose.render_farm.looks.adults_shoes import make_shoes, put_on
from sim2pose.render_farm.looks.bodymap import BodyMap, build_body_map


@pytest.fixture(scope="module")
def person() -> Body:
    return load_body("open-person")


@pytest.fixture(scope="module")
def looks(person: Body) -> AdultLooks:
    return AdultLooks(AdultsConfig(texture=256), person, 3)


def _lap_and_chest(mapped: BodyMap) -> np.ndarray:
    p = mapped.texels
    chest = np.isin(p.joint, (0, 3, 6, 9)) & (p.position[:, 1] < mapped.joints[9, 1])
    thighs = np.isin(p.joint, (1, 2)) & (p.leg < 0.15)
    assert chest.sum() > 1000 and thighs.sum() > 100
    return chest | thighs


@pytest.mark.parametrize("atlas", ["its own", "grid"])
@pytest.mark.parametrize("name", ["open-infant", "open-person"])
def test_trunk_and_hips_are_covered_on_every_body(name: str, atlas: str) -> None:
    body = load_body(name)
    if atlas == "grid":  # a licensed file without texture coordinates
        uv, uv_faces = grid_atlas(len(body.faces))
        body = replace(body, name="no-uv", uv=uv, uv_faces=uv_faces)
    mapped = build_body_map(body, 512 if atlas == "grid" else 256)
    hang, covered = measure_hang(mapped), _lap_and_chest(mapped)
    for seed in range(2):
        cover = draw_clothes(np.random.default_rng(seed), AdultsConfig(), mapped, hang, seed == 0).painted.cover
        assert np.all(cover[covered] == 1)
        assert np.all(cover[(mapped.texels.joint == 15) & (mapped.texels.position[:, 1] < mapped.landmarks[0, 1])] == 0)


@pytest.mark.parametrize("top", TOPS)
def test_every_cut_covers_trunk_and_hips(looks: AdultLooks, top: str) -> None:
    covered = _lap_and_chest(looks.map)
    for bottom in BOTTOMS:
        table = {bottom: 1.0}
        for outer in OUTERS:
            config = AdultsConfig(
                texture=256, tops={top: 1.0}, outers={outer: 1.0}, bottoms_woman=table, bottoms_man=table, outfits=10
            )
            outfit = looks.with_config(config, seed=1).outfit(3)
            keep = outfit.outfit.keep.reshape(-1, 3)[looks.map.inside]
            assert np.all(keep[covered] == 0), (top, bottom, outer)
            assert (outfit.skirt is not None) == (bottom == "skirt")


def test_entries_are_functions_of_seed_and_entry(person: Body, looks: AdultLooks) -> None:
    again = AdultLooks(AdultsConfig(texture=256), person, 3)
    again.entry(7)  # another order
    for k in (4, 7):
        np.testing.assert_array_equal(looks.entry(k).texture, again.entry(k).texture)
        np.testing.assert_array_equal(looks.entry(k).offset, again.entry(k).offset)
    other = looks.with_config(looks.config, seed=4).entry(4)
    assert not np.array_equal(looks.entry(4).texture, other.texture)


def test_picks_suit_who_is_dressed(looks: AdultLooks) -> None:
    for woman in (True, False):
        for grey in (True, False):
            fresh, rng = looks.with_config(looks.config), np.random.default_rng([woman, grey])
            for _ in range(3):
                fresh.pick(rng, woman, grey)
            assert all(k % 2 == (not woman) and (k % 10 >= 8) == grey for k in fresh.drawn_heads), "heads of that kind"


def test_dressed_rest_shape_goes_along_with_the_pose(person: Body, looks: AdultLooks) -> None:
    offsets = np.stack([looks.entry(k).offset for k in range(2)])
    assert np.isfinite(offsets).all() and 0.005 < np.linalg.norm(offsets, axis=-1).max() < 0.12
    shape, pose = torch.zeros(2, person.num_betas), torch.zeros(2, person.joint_count, 3)
    pose[:, 18] = torch.tensor([0.0, -1.2, 0.0])
    columns, mesh = person.shape_columns(shape), blocked(person.mesh)
    skeleton, worn = pose_joints(person.mesh, columns, pose), torch.from_numpy(offsets).transpose(1, 2)
    dressed, bare = skin_blocks(mesh, skeleton, columns, worn), skin_blocks(mesh, skeleton, columns)
    moved = (dressed - bare).norm(dim=2).numpy()
    assert np.quantile(np.abs(moved - np.linalg.norm(offsets, axis=-1)), 0.95) < 0.002


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


def test_bare_feet_and_hands_alone(person: Body) -> None:
    mapped = build_body_map(person, 256)
    assert make_shoes(mapped, np.zeros(len(person.template), np.float32)) == ()
    with pytest.raises(UserError, match="is a hand"):
        AdultLooks(AdultsConfig(), load_body("open-hand-left"), 0)


@pytest.mark.parametrize("bad", [{"tops": {"toga": 1.0}}, {"bottoms_man": {"trousers": -1.0}}, {"tone": (5, 2)}])
def test_impossible_configs_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match=r"toga|negative|low <= high"):
        AdultsConfig(**bad)
