"""Clothes: the diaper always covers, pools are functions of (seed, entry), garments end where they should."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.models.bodies import load_body
from sim2pose.render_farm.looks.bodymap import BodyMap, build_body_map
from sim2pose.render_farm.looks.config import CUTS, SkinConfig, WardrobeConfig
from sim2pose.render_farm.looks.cuts import unlike_skin
from sim2pose.render_farm.looks.faces import find_face
from sim2pose.render_farm.looks.painting import blend_tile
from sim2pose.render_farm.looks.patterns import draw_palette, lab_to_rgb, rgb_to_lab
from sim2pose.render_farm.looks.skin import MONK, Skins, tone
from sim2pose.render_farm.looks.wardrobe import Wardrobe, diaper_field, dress


@pytest.fixture(scope="module")
def body_map() -> BodyMap:
    return build_body_map(load_body("open-infant"), 256)


def _show(body_map: BodyMap, picture: np.ndarray) -> np.ndarray:
    """The texels of a texture that lie on the body, (T, 3)."""
    return picture.reshape(-1, picture.shape[-1])[body_map.inside]


@pytest.mark.parametrize("cut", CUTS)
def test_what_the_diaper_covers_never_shows_skin(body_map: BodyMap, cut: str) -> None:
    wardrobe = Wardrobe(WardrobeConfig(cuts={cut: 1.0}), body_map, 3)
    covered = diaper_field(wardrobe.cutter, body_map.texels) > 0
    magenta = np.full((256, 256, 3), (255, 0, 255), np.uint8)
    for entry in range(12):
        outfit = wardrobe.outfit(entry)
        assert outfit.cut == cut
        assert np.all(_show(body_map, outfit.keep)[covered] == 0)
        shown = _show(body_map, dress(magenta, outfit))[covered]
        np.testing.assert_array_equal(shown, _show(body_map, outfit.cloth)[covered])
        assert shown.mean() > 5, "the cloth itself is not black"


def test_the_diaper_covers_hips_and_crotch(body_map: BodyMap) -> None:
    cutter = Wardrobe(WardrobeConfig(), body_map, 0).cutter
    p = body_map.texels
    field = diaper_field(cutter, p)
    x, y, _ = p.position.T
    trunk = np.isin(p.joint, (0, 1, 2, 3))
    middle = trunk & (np.abs(x) < 0.012) & (y < cutter.pelvis) & (y > body_map.crotch)
    assert middle.sum() > 200 and np.all(field[middle] > 0), "all of the lap, front and back"
    hips = trunk & (y < cutter.pelvis + 0.01) & (y > cutter.hip - 0.01)
    assert hips.sum() > 100 and np.all(field[hips] > 0), "all round at the height of the hips"
    assert np.all(field[np.isin(p.joint, (7, 8, 15, 18, 19, 20, 21))] <= 0), "and nothing far from it"


def test_garments_cover_what_their_names_say(body_map: BodyMap) -> None:
    def covered(cut: str, mask: np.ndarray) -> float:
        wardrobe = Wardrobe(WardrobeConfig(cuts={cut: 1.0}, socks=0.0, hat=0.0), body_map, 5)
        keep = [_show(body_map, wardrobe.outfit(k).keep)[mask, 0] for k in range(6)]
        return float(np.mean([np.mean(k == 0) for k in keep]))

    p = body_map.texels
    chest = (p.joint == 9) & (np.abs(p.position[:, 0]) < 0.03) & (p.position[:, 1] < 0.14)
    shins = np.isin(p.joint, (4, 5)) & (p.leg > 0.6) & (p.leg < 0.75)
    forearms, face = np.isin(p.joint, (18, 19)) & (p.arm < 0.9), p.joint == 15
    assert covered("diaper", chest) == 0 and covered("diaper", shins) == 0
    assert covered("bodysuit", chest) > 0.95 and covered("bodysuit", shins) == 0
    assert covered("sleepsuit", shins) == 1 and covered("sleepsuit", forearms) > 0.95
    for cut in CUTS:
        assert covered(cut, face) == 0


def test_no_cloth_has_a_colour_of_skin() -> None:
    rng = np.random.default_rng(4)
    skins = np.array([tone(step) + np.array([0, red, 0]) for step in np.arange(3, 7.5, 0.5) for red in (0.0, 5.0)])
    drawn = np.concatenate([draw_palette(rng, (25, 96), (3, 48)) for _ in range(400)] + [[[91, 31.8, 26.1]]])  # peach
    worn = np.array([rgb_to_lab(lab_to_rgb(unlike_skin(colour))) for colour in drawn.astype(np.float32)])
    nearest = np.linalg.norm(worn[:, None] - skins, axis=2).min(1)
    assert nearest.min() > 5 > 3 > np.linalg.norm(drawn[:, None] - skins, axis=2).min()
    np.testing.assert_array_equal(unlike_skin(np.array([40, -5, -30], np.float32)).round(), [40, -5, -30])


def test_prints_have_no_jagged_edges() -> None:
    stripes = np.repeat(np.array([[0.0], [100.0]], np.float32), 8, 0)[:, None].repeat(16, 1)
    across = np.stack([np.full(400, 0.03), np.linspace(0, 0.1, 400)], 1).astype(np.float32)
    found = blend_tile(stripes, across, 0.1)[:, 0]
    assert found.min() == 0 and found.max() == 100 and np.abs(np.diff(found)).max() < 6, "steps are ramps"
    np.testing.assert_allclose(found[0], found[-1], atol=4)


def test_eyes_are_dark_round_the_iris_and_the_nape_has_hair(body_map: BodyMap) -> None:
    face, p = find_face(body_map), body_map.texels
    skin = Skins(SkinConfig(tone=(2, 2), hair=(1, 1), eyes_closed=0.0), body_map, 3).skin(1)
    lab = rgb_to_lab(_show(body_map, skin.texture).astype(np.float32))
    ball = body_map.eyeball == 1
    dx, dy, _ = (p.position[ball] - face.eyes[0]).T / face.unit
    radius = np.hypot(dx, dy)
    assert lab[ball][radius < 0.34, 0].min() < 45 < lab[ball, 0].max() < 97, "even where a texel is as large as an iris"
    assert np.median(lab[ball][(radius > 0.42) & (dy < 0.3), 0]) < 78, "in the shade of the lids"
    depth, height = ((face.eyes.mean(0) - p.position) / face.unit).T[[2, 1]]
    nape = (p.joint == 12) & (depth > 3.4) & (height < 1.6)
    throat = (p.joint == 12) & (depth < 1.5)
    assert nape.any() and lab[nape, 0].mean() < lab[throat, 0].mean() - 10


def test_pools_are_functions_of_seed_and_entry(body_map: BodyMap) -> None:
    first, second = Wardrobe(WardrobeConfig(), body_map, 1), Wardrobe(WardrobeConfig(), body_map, 1)
    second.outfit(7)  # another order
    for k in (2, 3):
        np.testing.assert_array_equal(first.outfit(k).cloth, second.outfit(k).cloth)
        np.testing.assert_array_equal(first.outfit(k).bulge, second.outfit(k).bulge)
    assert not np.array_equal(first.outfit(2).cloth, Wardrobe(WardrobeConfig(), body_map, 2).outfit(2).cloth)
    skins, again = Skins(SkinConfig(), body_map, 1), Skins(SkinConfig(), body_map, 1)
    again.skin(0)
    np.testing.assert_array_equal(skins.skin(4).texture, again.skin(4).texture)


def test_clothes_raise_the_skin_and_hair_only_the_head(body_map: BodyMap) -> None:
    vertices = body_map.vertices
    for k in range(4):
        bulge = Wardrobe(WardrobeConfig(hat=0.0), body_map, 1).outfit(k).bulge
        assert 0.004 < bulge.max() < 0.03 and np.all(bulge >= 0)
        assert np.all(bulge[vertices.joint == 15] == 0)
    hair = Skins(SkinConfig(hair=(0.9, 1.0)), body_map, 1).skin(0).bulge
    assert hair.max() > 0.0005 and np.all(hair[vertices.joint != 15] == 0)


def test_tones_span_the_scale(body_map: BodyMap) -> None:
    lightness = [tone(k)[0] for k in range(1, 11)]
    assert len(MONK) == 10 and lightness[0] > 93 and lightness[-1] < 16
    means = []
    for step in (1.0, 5.5, 10.0):
        texture = Skins(SkinConfig(tone=(step, step), hair=(0, 0)), body_map, 1).skin(0).texture
        means.append(_show(body_map, texture).mean())
    assert means[0] > means[1] + 30 > means[2] + 60


def test_the_map_knows_where_its_texels_lie(body_map: BodyMap) -> None:
    p = body_map.texels
    assert np.isfinite(p.position).all() and np.allclose(np.linalg.norm(p.normal, axis=1), 1, atol=1e-4)
    hand = p.joint == 22
    assert p.arm[hand].min() > 0.9 and np.all(p.position[hand, 0] > 0), "SMPL's joint 22 is the left hand, at +x"
    assert set(np.unique(body_map.eyeball)) == {0, 1, 2}
    assert np.all(p.position[body_map.eyeball == 1, 0] > 0)
    spread = body_map.spread(np.arange(len(body_map.inside)))
    np.testing.assert_array_equal(spread.reshape(-1)[body_map.inside], np.arange(len(body_map.inside)))
