"""Bedding, rooms and folders of pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sim2pose.config import UserError, load_config, validate
from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.looks.config import PATTERNS
from sim2pose.render_farm.looks.patterns import creases, draw_palette, finish, noise, tile
from sim2pose.render_farm.scenes.backgrounds import Backgrounds, Setting
from sim2pose.render_farm.scenes.config import SURFACES, BackgroundConfig, LightsConfig
from sim2pose.render_farm.scenes.pictures import Pictures
from sim2pose.render_farm.scenes.rooms import draw_room
from sim2pose.render_farm.scenes.scene import Camera

BODY = np.array([[-0.2, 0.0, -0.3], [0.2, 0.2, 0.3]])


def _camera(target: tuple[float, float, float], width: int = 64, height: int = 48) -> Camera:
    rotation, translation = look_at(np.zeros(3), np.array(target, float))
    return Camera(camera_matrix(50.0, width, height), rotation, translation, width, height)


@pytest.mark.parametrize("kind", SURFACES)
def test_surfaces_are_seamless_and_repeatable(kind: str) -> None:
    config = BackgroundConfig(surfaces={kind: 1.0})
    look, again = Backgrounds(config, 3).surface(1), Backgrounds(config, 3).surface(1)
    assert look.kind == kind and look.texture.shape == (256, 256, 3) and 0.2 < look.tile < 2
    np.testing.assert_array_equal(look.texture, again.texture)
    assert not np.array_equal(look.texture, Backgrounds(config, 4).surface(1).texture)
    assert look.texture.mean() > 15
    picture = look.texture.astype(float)
    if kind in ("sheet", "towel", "muslin"):  # soft things: no jump where the texture repeats
        inner = np.abs(np.diff(picture, axis=0)).mean(axis=(1, 2))
        assert np.abs(picture[0] - picture[-1]).mean() < inner.max() + 3


@pytest.mark.parametrize("kind", PATTERNS)
def test_prints_are_seamless(kind: str) -> None:
    rng = np.random.default_rng(2)
    picture = tile(rng, kind, draw_palette(rng, (40, 90), (5, 40)), 64)
    assert picture.shape == (64, 64, 3)
    steps = np.abs(np.diff(picture, axis=1)).mean(axis=(0, 2))
    assert np.abs(picture[:, 0] - picture[:, -1]).mean() <= steps.max() + 1e-3
    if kind != "plain":
        assert picture.std(axis=(0, 1)).max() > 1


def test_noise_is_seamless_with_unit_variance() -> None:
    field = noise(np.random.default_rng(0), 64, 4)
    assert field.mean() == pytest.approx(0, abs=1e-5) and field.std() == pytest.approx(1, abs=1e-4)
    assert np.abs(field[0] - field[-1]).max() < 1.5 * np.abs(np.diff(field, axis=0)).max()


def test_finish_shades_in_linear_light() -> None:
    lab = np.full((2, 2, 3), (60, 0, 0), np.float32)
    full, half = (finish(lab, np.full((2, 2), s, np.float32)).astype(float) / 255 for s in (1.0, 0.5))
    linear = [((v + 0.055) / 1.055) ** 2.4 for v in (full[0, 0, 0], half[0, 0, 0])]
    assert linear[1] / linear[0] == pytest.approx(0.5, abs=0.02)


def test_folder_shorthand_in_the_config(tmp_path: Path) -> None:
    config = load_config(InfantConfig, None, [f"scene.backgrounds={tmp_path}"])
    assert config.scene.backgrounds.folder == tmp_path


def _surround(
    config: BackgroundConfig, seed: int = 0, night: bool = False, towards: tuple[float, float, float] = (0.3, -0.4, -1)
) -> Setting:
    rngs = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    camera, long = _camera(towards), np.array([0.0, 0, 1])
    return Backgrounds(config, 3).surround(*rngs, LightsConfig(), camera, "oblique", BODY, long, night)


def _write_panorama(folder: Path) -> None:
    light = np.full((32, 64, 3), 0.4, np.float32)
    light[4:8, 10:14] = 60.0
    cv2.imwrite(str(folder / "a.hdr"), light)


def test_a_panorama_gives_light_backdrop_and_floor(tmp_path: Path) -> None:
    _write_panorama(tmp_path)
    setting = _surround(BackgroundConfig(folder=tmp_path, folder_ground=0.0))
    assert setting.around is not None and setting.ground is not None and setting.lights.environment is not None
    assert setting.ground.texture is setting.around.panorama.floor
    on_mat = _surround(BackgroundConfig(folder=tmp_path, folder_ground=1.0))
    assert on_mat.ground is not None and on_mat.ground.texture.shape == (256, 256, 3) and on_mat.around is not None
    assert on_mat.ground.half_size is not None and on_mat.lights.environment is not None


def test_matching_folder_and_night_are_switches(tmp_path: Path) -> None:
    _write_panorama(tmp_path)
    apart = _surround(BackgroundConfig(folder=tmp_path, folder_ground=0.0, matched=0.0))
    assert apart.around is not None and apart.ground is None and apart.lights.environment is None
    for setting in (
        _surround(BackgroundConfig(folder=tmp_path), night=True),
        _surround(BackgroundConfig(folder=tmp_path, folder_share=0.0)),
        _surround(BackgroundConfig()),
    ):
        assert setting.around is None and setting.lights.environment is None and setting.ground is not None


def test_distant_pictures_have_light_but_no_floor(tmp_path: Path) -> None:
    _write_panorama(tmp_path)
    pools = Backgrounds(BackgroundConfig(folder=tmp_path), 3)
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    setting = pools.distant(*rngs, LightsConfig(), _camera((0.3, -0.4, -1)))
    assert setting.ground is None and setting.around is not None and setting.around.reach == np.inf
    assert setting.lights.environment is not None and setting.backdrop.shape == (24, 32, 3)


def test_photographs_lie_behind_bedding_or_flat_beneath(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 90, 3), (10, 20, 200), np.uint8))
    config = BackgroundConfig(folder=tmp_path, folder_ground=0.0)
    setting = _surround(config)
    assert setting.ground is not None and setting.around is None, "nobody floats before a photograph"
    np.testing.assert_array_equal(setting.backdrop[10, 10], (200, 20, 10))
    assert np.ptp(setting.ground.texture, axis=(0, 1)).max() > 0, "a bed's"
    flat = _surround(config, towards=(0.1, -1.0, -0.1)).ground
    assert flat is not None and flat.half_size is None and np.all(flat.texture == (200, 20, 10))


def test_a_flat_photograph_has_its_middle_at_the_origin(tmp_path: Path) -> None:
    photo = np.zeros((64, 96, 3), np.uint8)
    photo[28:36, 44:52] = 255
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    pictures = Pictures(tmp_path, 1)
    ground = pictures.floor(0, 0.3)
    assert ground.texture is pictures.floor(0, 0.9).texture, "kept, for graphics cards keep it, too"
    assert ground.yaw == 0.3 and ground.texture[:8, :8].min() > 200 and ground.texture[256].max() == 0


def test_wood_never_ends_and_only_cloth_is_bedding() -> None:
    for kind in SURFACES:
        setting = _surround(BackgroundConfig(surfaces={kind: 1.0}, bounded=1.0))
        assert setting.ground is not None and setting.bedding == (kind in ("sheet", "quilt", "muslin", "towel"))
        assert (setting.ground.half_size is None) == (kind == "wood")


def test_white_bedding_is_white_in_its_share() -> None:
    def means(white: float) -> np.ndarray:
        config = BackgroundConfig(surfaces={"sheet": 1.0}, lightness=(20, 40), white=white, print_share=0.0)
        pool = Backgrounds(config, 5)
        return np.array([pool.surface(k).texture.mean() for k in range(6)])

    assert means(0.0).max() < 120 < 190 < means(1.0).min()


def test_rooms_have_contrast_and_differ() -> None:
    rooms = [draw_room(np.random.default_rng([3, k])) for k in range(12)]
    np.testing.assert_array_equal(rooms[4], draw_room(np.random.default_rng([3, 4])))
    light = [cv2.cvtColor(room.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[..., 0] for room in rooms]
    assert 14 < np.mean([plane.std() for plane in light]) < 32, "as photographs of rooms have"
    assert np.std([plane.mean() for plane in light]) > 4 and len({room.tobytes() for room in rooms}) == 12


def test_creases_run_on_over_the_border() -> None:
    for seed in range(6):
        slope = np.abs(np.diff(np.pad(creases(np.random.default_rng(seed), 64, 3.0), 3, mode="wrap"), 2, axis=0)).mean(
            1
        )
        assert slope[[1, 2, 3]].max() < 1.6 * slope.max(initial=0, where=np.arange(len(slope)) > 6)


@pytest.mark.parametrize(
    ("key", "value"), [("panorama_height", (1.8, 1.2)), ("panorama_reach", (1, 2)), ("balance", (0.9, 0.1))]
)
def test_impossible_ranges_name_their_key(key: str, value: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=key):
        validate(BackgroundConfig, {key: value})
