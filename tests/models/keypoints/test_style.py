"""Fourier domain adaptation: the target's colours and shading, the source's shapes."""

from __future__ import annotations

import torch

from sim2pose.models.keypoints.style import exchange_style, fourier_transfer


def pictures(seed: int, level: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return level + 0.3 * torch.randn(3, 3, 32, 48, generator=generator)


def test_level_follows_the_target_and_detail_stays() -> None:
    source, target = pictures(0, 0.2), pictures(1, 1.5)
    source[:, :, 10:14, 20:30] += 2  # an edge
    moved = fourier_transfer(source, target, 0.02)
    torch.testing.assert_close(moved.mean((2, 3)), target.mean((2, 3)), rtol=1e-3, atol=1e-3)
    centred = [(x - x.mean((2, 3), keepdim=True)).flatten() for x in (source, moved)]
    assert torch.nn.functional.cosine_similarity(*centred, dim=0) > 0.9


def test_nothing_is_exchanged_with_itself() -> None:
    source = pictures(0, 0.2)
    torch.testing.assert_close(fourier_transfer(source, source, 0.1), source, rtol=1e-4, atol=1e-5)


def test_only_chosen_source_pictures_change() -> None:
    images = (torch.cat([pictures(0, 0.6), pictures(1, 1.6)[:2]]) * 100).clamp(0, 255).to(torch.uint8)
    out = exchange_style(images, 3, torch.tensor([0, 2]), 0.02)
    changed = [not torch.equal(a.float(), b) for a, b in zip(images, out, strict=True)]
    assert changed == [True, False, True, False, False]
    torch.testing.assert_close(out[2].mean((1, 2)), images[4].float().mean((1, 2)), rtol=0.05, atol=1.0)
    assert out.min() >= 0
    assert out.max() <= 255
    assert torch.equal(exchange_style(images[:3], 3, torch.tensor([0]), 0.02), images[:3].float())
