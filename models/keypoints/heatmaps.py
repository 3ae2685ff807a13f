"""Heatmap coding: unbiased Gaussian targets, DARK or argmax decoding, the flip; vectorised, on the tensors' device.

Pixel centres lie at integer coordinates in the crop and in the heatmap. Both grids span the same picture, corner pixel
centre to corner pixel centre, so ``x_heatmap = x_crop · (w_heatmap − 1) / (w_crop − 1)`` and a horizontal flip maps one
grid onto itself without a shift (Huang et al., "The Devil is in the Details: Delving into Unbiased Data Processing",
CVPR 2020). Sizes are ``(width, height)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ...config import UserError, nearest

Decoding = Literal["dark", "argmax"]
LONGEST_STEP = 3.0  # heatmap pixels: 1.5 σ of DARK's blur
DARK_KERNEL = 11  # blur of the published DARK decoder (DarkPose TEST.BLUR_KERNEL)


def _scale(input_wh: tuple[int, int], heatmap_wh: tuple[int, int], like: Tensor) -> Tensor:
    """Heatmap pixels per crop pixel ``(2,)``."""
    factors = [(heatmap_wh[i] - 1) / (input_wh[i] - 1) for i in (0, 1)]
    return torch.tensor(factors, dtype=torch.float32, device=like.device)


def encode(
    keypoints: Tensor, weight: Tensor, input_wh: tuple[int, int], heatmap_wh: tuple[int, int], sigma: float
) -> Tensor:
    """Gaussian heatmaps of peak 1 at unquantised centres.

    Args:
        keypoints: ``(b, j, 2)`` x, y in crop pixels; anything, NaN included, where the weight is 0.
        weight: ``(b, j)``; where it is 0 the heatmap is all zero.
        input_wh: crop size, pixels.
        heatmap_wh: heatmap size, pixels.
        sigma: standard deviation in heatmap pixels.

    Returns:
        ``(b, j, h, w)`` float32 on the device of ``keypoints``. Separable: exp of a row
        times exp of a column.
    """
    present = weight > 0
    centre = torch.where(present[..., None], keypoints.float(), 0.0) * _scale(input_wh, heatmap_wh, keypoints)

    def profile(size: int, axis: int) -> Tensor:
        grid = torch.arange(size, dtype=torch.float32, device=keypoints.device)
        return torch.exp((grid - centre[..., axis, None]).square() * (-0.5 / sigma**2))

    columns, rows = profile(heatmap_wh[0], 0), profile(heatmap_wh[1], 1) * present[..., None]
    return rows[..., :, None] * columns[..., None, :]


def decode(
    heatmaps: Tensor, input_wh: tuple[int, int], method: Decoding = "dark", kernel: int = DARK_KERNEL
) -> tuple[Tensor, Tensor]:
    """Keypoints and scores from heatmaps.

    ``argmax`` takes the highest pixel. ``dark`` refines it (Zhang et al., "Distribution-Aware Coordinate
    Representation", CVPR 2020): blur by a zero-padded ``kernel``² Gaussian, rescale to the old maximum, logarithm,
    then one Newton step ``μ − H⁻¹∇`` with central differences, for peaks at least two pixels inside the border; each
    component of the step is held to three.

    Args:
        heatmaps: ``(b, j, h, w)``, any float type.
        input_wh: crop size, pixels.
        method: "dark" or "argmax".
        kernel: odd width of DARK's blur; its σ is 0.3·((kernel − 1)/2 − 1) + 0.8 (OpenCV's rule; 2 for 11).

    Returns:
        keypoints ``(b, j, 2)`` in crop pixels and scores ``(b, j)`` (the unblurred maxima). A heatmap without a
        positive value gives (0, 0).

    Raises:
        UserError: for an unknown method.
    """
    if method not in ("dark", "argmax"):
        raise UserError(f"unknown decoding '{method}': {nearest(method, ('dark', 'argmax'))}")
    heatmaps = heatmaps.float()
    height, width = heatmaps.shape[-2:]
    scores, index = heatmaps.flatten(2).max(dim=-1)
    column, row = index % width, index // width
    peak = torch.stack((column, row), dim=-1).float()
    if method == "dark":
        peak = peak + _newton_step(_log_modulated(heatmaps, kernel), row, column)
    peak = torch.where(scores[..., None] > 0, peak, 0.0)
    return peak / _scale(input_wh, (width, height), heatmaps), scores


def _log_modulated(heatmaps: Tensor, kernel: int) -> Tensor:
    """Blurred heatmaps, each rescaled to its old maximum, as logarithms ``(b, j, h, w)``."""
    height, width = heatmaps.shape[-2:]
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    offset = torch.arange(kernel, dtype=torch.float32, device=heatmaps.device) - (kernel - 1) / 2
    total = torch.exp(-0.5 * (offset / sigma).square()).sum()

    def blur(size: int) -> Tensor:  # banded (size, size): as products, a CPU blurs one channel many times faster
        place = torch.arange(size, dtype=torch.float32, device=heatmaps.device)
        distance = place[:, None] - place
        return torch.exp(-0.5 * (distance / sigma).square()) / total * (distance.abs() <= kernel // 2)

    blurred = blur(height) @ heatmaps @ blur(width)
    ratio = heatmaps.amax((-2, -1), keepdim=True) / blurred.amax((-2, -1), keepdim=True).clamp_min(1e-10)
    return (blurred * ratio).clamp_min(1e-10).log()


def _newton_step(log: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Offset ``−H⁻¹∇`` (x, y) of the maximum at each peak ``(b, j, 2)``; zero near the border and for singular H.

    Flat or noisy heatmaps have nearly singular Hessians, whose steps ended hundreds of pixels outside of the picture: each
    component is held to :data:`LONGEST_STEP`.
    """
    height, width = log.shape[-2:]
    inside = (column > 1) & (column < width - 2) & (row > 1) & (row < height - 2)
    flat = log.flatten(2)

    def at(dx: int, dy: int) -> Tensor:
        x, y = (column + dx).clamp(0, width - 1), (row + dy).clamp(0, height - 1)
        return flat.gather(-1, (y * width + x)[..., None])[..., 0]

    centre = at(0, 0)
    gx, gy = 0.5 * (at(1, 0) - at(-1, 0)), 0.5 * (at(0, 1) - at(0, -1))
    xx = 0.25 * (at(2, 0) - 2 * centre + at(-2, 0))
    yy = 0.25 * (at(0, 2) - 2 * centre + at(0, -2))
    xy = 0.25 * (at(1, 1) - at(-1, 1) - at(1, -1) + at(-1, -1))
    det = xx * yy - xy * xy
    usable = inside & (det != 0)
    safe = torch.where(usable, det, 1.0)
    step = torch.stack(((xy * gy - yy * gx) / safe, (xy * gx - xx * gy) / safe), dim=-1)
    return torch.where(usable[..., None], step.clamp(-LONGEST_STEP, LONGEST_STEP), 0.0)


def flip_heatmaps(heatmaps: Tensor, flip_permutation: Sequence[int]) -> Tensor:
    """Heatmaps ``(b, j, h, w)`` of a mirrored picture, brought back: mirrored, left and right joints exchanged."""
    return heatmaps.flip(-1)[:, torch.as_tensor(flip_permutation, device=heatmaps.device)]
