"""The target's look on the source's pictures: Fourier domain adaptation (Yang & Soatto, CVPR 2020, eq. 3-4)."""

from __future__ import annotations

import torch
from torch import Tensor


def fourier_transfer(source: Tensor, target: Tensor, beta: float) -> Tensor:
    """Give source pictures the low-frequency amplitudes of target pictures and leave their phases, hence their shapes.

    Args:
        source, target: ``(b, c, h, w)`` float grey values, 0 black: the mean is one of the amplitudes.
        beta: half side of the exchanged square of frequencies, as a fraction of the spectrum (the paper's β).

    Returns:
        ``(b, c, h, w)`` in the source's scale; no value is clipped.
    """
    h, w = source.shape[-2:]
    ours, theirs = torch.fft.rfft2(source.float()), torch.fft.rfft2(target.float())
    rows = torch.fft.fftfreq(h, device=source.device).abs() <= beta
    columns = torch.fft.rfftfreq(w, device=source.device) <= beta
    low = rows[:, None] & columns[None, :]
    amplitude = torch.where(low, theirs.abs(), ours.abs())
    return torch.fft.irfft2(torch.polar(amplitude, ours.angle()), s=(h, w)).to(source.dtype)


def exchange_style(images: Tensor, sources: int, chosen: Tensor, beta: float) -> Tensor:
    """Pictures of a batch, the chosen source ones in the look of its target pictures.

    Args:
        images: uint8 ``(b, 3, h, w)``, source samples first.
        sources: how many are of the source.
        chosen: ``(n,)`` indices of source samples; the i-th takes the look of target sample i, round and round.
        beta: see :func:`fourier_transfer`.

    Returns:
        float32 ``(b, 3, h, w)`` in [0, 255].
    """
    images = images.float()
    targets = len(images) - sources
    if not targets or not len(chosen):
        return images
    models = images[sources + torch.arange(len(chosen), device=chosen.device) % targets]
    return images.index_copy(0, chosen, fourier_transfer(images[chosen], models, beta).clamp_(0, 255))
