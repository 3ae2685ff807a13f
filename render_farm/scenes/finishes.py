"""What furniture and cars are covered with: small textures of wood, leaves, cloth, paint and glass, uint8 sRGB."""

from __future__ import annotations

import numpy as np

from ..looks.patterns import Bytes, draw_colour, draw_palette, finish, noise, tile
from ..poses.angles import choose

# Lab of cars: white, silver, grey, black, blue, red, green, sand.
_PAINTS = np.array(
    [[92, 0, 1], [72, 0, -1], [42, 0, -2], [10, 0, 0], [28, 4, -28], [38, 48, 30], [30, -12, 4], [66, 3, 12]],
    np.float32,
)


def draw_finish(rng: np.random.Generator, kind: str) -> Bytes:
    """One of the kinds that :meth:`.furniture.Things.texture` names, (64, 64, 3)."""
    size = 64
    if kind == "wood":
        base = np.array([rng.uniform(22, 78), rng.uniform(3, 13), rng.uniform(10, 30)], np.float32)
        grain = noise(rng, size, 8, aspect=7.0)
        return finish(np.broadcast_to(base, (size, size, 3)).copy(), (1 + 0.12 * grain).astype(np.float32))
    if kind == "leaf":
        base = np.array([rng.uniform(22, 50), rng.uniform(-24, -4), rng.uniform(10, 32)], np.float32)
        shade = 1 + 0.30 * noise(rng, size, 12) + 0.15 * noise(rng, size, 25)
        return finish(np.broadcast_to(base, (size, size, 3)).copy(), shade.astype(np.float32))
    if kind in ("paint", "glass"):
        colour = _PAINTS[rng.integers(len(_PAINTS))] if kind == "paint" else np.array([14, 0, -3], np.float32)
        shade = np.linspace(1.15, 0.8, size, dtype=np.float32)[:, None] * np.ones((1, size), np.float32)
        return finish(np.broadcast_to(colour, (size, size, 3)).copy(), shade)
    if rng.random() < 0.7:
        colour = draw_colour(rng, (8, 90), (0, 42 if rng.random() < 0.5 else 10))
        picture = np.broadcast_to(colour, (size, size, 3)).copy()
    else:
        name = choose(rng, {"stripes": 1, "checks": 1, "heather": 3})
        picture = tile(rng, name, draw_palette(rng, (15, 85), (2, 26)), size)
    return finish(picture.astype(np.float32), (1 + 0.04 * noise(rng, size, 10)).astype(np.float32))
