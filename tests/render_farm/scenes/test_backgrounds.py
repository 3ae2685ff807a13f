"""Bedding, rooms and folders of pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sim2pose.config import UserError, load_config
from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.looks.config import PATTERNS
from sim2pose.render_farm.looks.patterns import draw_palette, finish, noise, tile
from sim2pose.render_farm.scenes.backgrounds import Backgrounds, Pictures, look_into
from sim2pose.render_farm.scenes.config import SURFACES, BackgroundConfig
from sim2pose.render_farm.scenes.scene import Camera

REAL = Path(__file__).parents[3] / "shared" / "data" / "backgrounds"


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


def test_photographs_are_cropped_to_the_picture(tmp_path: Path) -> None:
    photo = np.zeros((200, 300, 3), np.uint8)
    photo[..., 2] = 200  # red in OpenCV's order
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    (tmp_path / "notes.txt").write_text("no picture")
    pictures = Pictures(tmp_path, 0)
    backdrop = pictures.backdrop(np.random.default_rng(0), _camera((0, 0, -1)))
    assert backdrop.shape == (48, 64, 3) and backdrop.dtype == np.uint8
    np.testing.assert_array_equal(backdrop[10, 10], (200, 0, 0))
    np.testing.assert_array_equal(backdrop, pictures.backdrop(np.random.default_rng(0), _camera((0, 0, -1))))


def test_panoramas_are_seen_through_the_camera() -> None:
    panorama = np.zeros((64, 128, 3), np.float32)
    panorama[:32, :, 2] = 5.0  # sky
    panorama[32:, :, 1] = 5.0  # ground
    panorama[30:34, 60:68, 0] = 50.0  # a lamp in the middle column, towards -Z
    ahead = look_into(panorama, _camera((0, 0, -1)), 0.0, 0.3)
    assert ahead.shape == (24, 32, 3)
    assert ahead[2, 5, 2] > 100 > ahead[2, 5, 1] and ahead[-3, 5, 1] > 100 > ahead[-3, 5, 2]
    assert ahead[11:13, 14:18, 0].mean() > 120
    assert look_into(panorama, _camera((0, 0, 1)), 0.0, 0.3)[..., 0].max() < 60, "behind us: no lamp"
    assert look_into(panorama, _camera((0, 0, 1)), np.pi, 0.3)[11:13, 14:18, 0].mean() > 120, "until we turn the room"
    below = look_into(panorama, _camera((0.01, -1, 0)), 0.0, 0.3)
    assert below[..., 1].min() > 100


def test_bad_folders_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        Pictures(tmp_path / "nowhere", 0)
    with pytest.raises(UserError, match=r"no \.jpg"):
        Pictures(tmp_path, 0)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    with pytest.raises(UserError, match=r"broken\.jpg"):
        Pictures(tmp_path, 0).backdrop(np.random.default_rng(0), _camera((0, 0, -1)))
    (tmp_path / "broken.jpg").unlink()
    (tmp_path / "broken.hdr").write_bytes(b"#?RADIANCE\nbroken")
    with pytest.raises(UserError, match=r"broken\.hdr"):
        Pictures(tmp_path, 0).backdrop(np.random.default_rng(0), _camera((0, 0, -1)))


def test_folder_shorthand_in_the_config(tmp_path: Path) -> None:
    config = load_config(InfantConfig, None, [f"scene.backgrounds={tmp_path}"])
    assert config.scene.backgrounds.folder == tmp_path


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/backgrounds")
def test_real_panoramas() -> None:
    pictures = Pictures(REAL, 0)
    for seed in range(4):
        backdrop = pictures.backdrop(np.random.default_rng(seed), _camera((0.3, -0.4, -1)))
        assert 20 < backdrop.mean() < 240 and backdrop.std() > 5
