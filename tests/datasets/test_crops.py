"""Crop geometry against hand-worked numbers, and decoding at reduced size against decoding at full size."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import simplejpeg

from sim2pose.config import UserError
from sim2pose.datasets import crops


def test_box_of_the_crops_size_is_a_pure_translation() -> None:
    affine = crops.crop_affine(np.array([10, 20, 192, 256]), (192, 256), padding=1.0)
    np.testing.assert_allclose(affine, [[1, 0, -10], [0, 1, -20]], atol=1e-5)


def test_worked_example() -> None:
    """Box 40×20 at (100, 50): centre (119.5, 59.5); aspect 1 and padding 1.25 make the region 50 wide; zoom 2."""
    affine = crops.crop_affine(np.array([100, 50, 40, 20]), (100, 100))
    centre, right = crops.apply_affine(np.array([[119.5, 59.5], [120.5, 59.5]]), affine)
    np.testing.assert_allclose(centre, [49.5, 49.5], atol=1e-4)
    np.testing.assert_allclose(right, [51.5, 49.5], atol=1e-4)


def test_rotation_is_clockwise_on_the_screen_and_flip_mirrors() -> None:
    box = np.array([0, 0, 101, 101])
    turned = crops.crop_affine(box, (101, 101), padding=1, rotation_deg=90)
    np.testing.assert_allclose(crops.apply_affine(np.array([100.0, 50.0]), turned), [50, 100], atol=1e-3)
    flipped = crops.crop_affine(box, (101, 101), padding=1, flip=True)
    np.testing.assert_allclose(crops.apply_affine(np.array([100.0, 30.0]), flipped), [0, 30], atol=1e-3)


def test_scale_and_shift_are_fractions_of_the_region() -> None:
    box = np.array([0, 0, 101, 101])
    affine = crops.crop_affine(box, (101, 101), padding=1, scale=2, shift=(0.25, 0))
    assert affine[0, 0] == pytest.approx(0.5)
    np.testing.assert_allclose(crops.apply_affine(np.array([50 + 0.25 * 202, 50]), affine), [50, 50], atol=1e-3)


@pytest.mark.parametrize("flip", [False, True])
def test_inverse_returns_points(flip: bool) -> None:
    rng = np.random.default_rng(0)
    affine = crops.crop_affine(np.array([30, 40, 80, 150]), (192, 256), 1.25, 33.0, 1.2, (0.1, -0.05), flip)
    points = rng.uniform(0, 300, (50, 2)).astype(np.float32)
    back = crops.apply_affine(crops.apply_affine(points, affine), crops.invert_affine(affine))
    np.testing.assert_allclose(back, points, atol=2e-3)


def test_warp_moves_a_pixel_where_the_map_says() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[25, 40] = 255
    affine = crops.crop_affine(np.array([20, 5, 40, 40]), (80, 80), padding=1.0, rotation_deg=90)
    for channels in (3, 4):
        source = np.concatenate([image, image[:, :, :1]], axis=2)[:, :, :channels]
        out = crops.warp_image(source, affine, (80, 80)).astype(float)
        assert out.shape == (80, 80, 3)
        y, x = np.mgrid[:80, :80]
        total = out[:, :, 0].sum()
        found = [(x * out[:, :, 0]).sum() / total, (y * out[:, :, 0]).sum() / total]
        np.testing.assert_allclose(found, crops.apply_affine(np.array([40.0, 25.0]), affine), atol=0.05)


@pytest.mark.parametrize("zoom", [0.5, 0.3, 0.2, 0.11])
@pytest.mark.parametrize("wh", [(641, 483), (640, 480), (1001, 700)])
def test_reduced_decoding_keeps_the_map_exact(zoom: float, wh: tuple[int, int]) -> None:
    """Blobs must land on the same crop pixels (to a few hundredths) as from the full picture, averaged properly."""
    width, height = wh
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.zeros((height, width, 3), np.uint8)
    at = [(width * 0.3, height * 0.35), (width * 0.62, height * 0.71)]
    for channel, (cx, cy) in enumerate(at):
        image[:, :, channel] = 250 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (4 / zoom) ** 2))
    data = simplejpeg.encode_jpeg(image, 95, "RGB", "444")
    input_wh = (round(width * zoom), round(height * zoom))
    affine = crops.crop_affine(np.array([0, 0, width, height]), input_wh, padding=1.0, rotation_deg=10)
    small, from_small = crops.decode_for_crop(data, affine)
    assert small.shape[0] < height * 0.51, "the JPEG should be decoded at reduced size"
    crop = crops.warp_image(small, from_small, input_wh).astype(np.float64)
    v, u = np.mgrid[: input_wh[1], : input_wh[0]]
    for channel, centre in enumerate(at):
        mass = np.where(crop[:, :, channel] > 20, crop[:, :, channel], 0)
        found = np.array([(u * mass).sum(), (v * mass).sum()]) / mass.sum()
        np.testing.assert_allclose(found, crops.apply_affine(np.array(centre), affine), atol=0.1)


def test_a_crop_that_magnifies_decodes_in_full() -> None:
    data = simplejpeg.encode_jpeg(np.zeros((100, 120, 3), np.uint8), 90, "RGB", "420")
    affine = crops.crop_affine(np.array([10, 10, 30, 30]), (96, 96))
    image, same = crops.decode_for_crop(data, affine)
    assert image.shape == (100, 120, 4)
    np.testing.assert_array_equal(same, affine)


def test_png_and_jpeg_decode_to_rgb() -> None:
    image = np.zeros((32, 40, 3), np.uint8)
    image[:, :, 0] = 200
    _, png = cv2.imencode(".png", image[:, :, ::-1])
    np.testing.assert_array_equal(crops.decode_image(png.tobytes()), image)
    assert crops.decode_image(png.tobytes(), fourth_channel=True).shape == (32, 40, 4)
    jpeg = crops.decode_image(simplejpeg.encode_jpeg(image, 95, "RGB", "444"))
    assert abs(jpeg.astype(int) - image).max() < 4


def test_exif_rotation_is_ignored() -> None:
    """Annotations refer to the stored pixels: a picture that asks to be turned must not be."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (40, 20)).save(file, "jpeg", exif=exif)
    assert crops.decode_image(file.getvalue()).shape == (20, 40, 3)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff\xe0 nothing", b"\x89PNG\r\n\x1a\n nothing"])
def test_broken_pictures_are_refused(data: bytes) -> None:
    with pytest.raises(UserError, match=r"JPEG|PNG"):
        crops.decode_image(data)


def test_truncated_jpeg_is_refused() -> None:
    data = simplejpeg.encode_jpeg(np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8), 90, "RGB", "420")
    with pytest.raises(UserError, match="broken JPEG"):
        crops.decode_image(data[: len(data) // 2])
