"""What an infant wears and looks like: an outfit and a skin from the job's pools, ready to be posed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...looks.bodymap import BodyMap
from ...looks.config import SkinConfig, WardrobeConfig
from ...looks.patterns import Bytes, rgb_to_lab
from ...looks.sacks import paint_sack
from ...looks.skin import Skins
from ...looks.skirts import paint_skirt
from ...looks.wardrobe import OUTFIT_STREAM, Outfit, Wardrobe, dress

DISTINCT, ALIKE, OUTFIT_TRIES = 20.0, 0.2, 6
"""An outfit gives way to the next of the pool if more than ALIKE of it is nearer (in Lab) to the skin than DISTINCT."""


@dataclass(frozen=True)
class Look:
    """What one infant looks like.

    Attributes:
        texture: (s, s, 3) uint8 of the dressed body. specular: highlight of the skin.
        raised: (3V,) metres as planes (all x, all y, all z): how cloth and hair move the vertices of the rest pose.
        skirt, sack: textures of a skirt and of a bag round the legs, where one is worn.
        asleep: whether the eyes are closed.
    """

    texture: Bytes
    specular: float
    raised: NDArray[np.float32]
    skirt: Bytes | None
    sack: Bytes | None
    asleep: bool


class Looks:
    """The looks of one job for one body."""

    def __init__(self, wardrobe: WardrobeConfig, skin: SkinConfig, body: BodyMap, seed: int) -> None:
        self.map, self.seed = body, seed
        self.wardrobe, self.skins = Wardrobe(wardrobe, body, seed), Skins(skin, body, seed)
        self._normals = np.ascontiguousarray(body.vertices.normal.T).reshape(-1)
        self._cloths: dict[int, Bytes] = {}
        self._swatches: dict[int, NDArray[np.float32]] = {}

    def look(self, rng: np.random.Generator) -> Look:
        """Draw one infant's look."""
        number, pool = int(rng.integers(self.wardrobe.config.pool)), self.wardrobe.config.pool
        skin = self.skins.skin(int(rng.integers(self.skins.config.pool)))
        for _ in range(OUTFIT_TRIES):  # clothes should be seen to be clothes
            outfit = self.wardrobe.outfit(number)
            if np.mean(np.linalg.norm(self._swatch(number, outfit) - skin.colour, axis=1) < DISTINCT) < ALIKE:
                break
            number = (number + 1) % pool
        raised = np.tile(outfit.bulge + skin.bulge, 3) * self._normals
        if outfit.drape is not None:
            raised += outfit.drape.T.reshape(-1)
        return Look(
            texture=dress(skin.texture, outfit),
            specular=skin.specular,
            raised=raised,
            skirt=self._cloth(number, outfit) if outfit.skirt is not None else None,
            sack=self._cloth(number, outfit) if outfit.sack is not None else None,
            asleep=skin.asleep,
        )

    def _swatch(self, number: int, outfit: Outfit) -> NDArray[np.float32]:
        """Lab colours (N, 3) all over entry ``number`` of the wardrobe."""
        if number not in self._swatches:
            cloth, keep = (picture.reshape(-1, 3)[self.map.inside[::131]] for picture in (outfit.cloth, outfit.keep))
            self._swatches[number] = rgb_to_lab(cloth[keep[:, 0] == 0].astype(np.float32))
        return self._swatches[number]

    def _cloth(self, number: int, outfit: Outfit) -> Bytes:
        """Texture of the skirt or bag of entry ``number`` of the wardrobe, painted at first use."""
        if number not in self._cloths:
            own, cutter = np.random.default_rng([self.seed, OUTFIT_STREAM, number, 1]), self.wardrobe.cutter
            if outfit.skirt is not None:
                self._cloths[number] = paint_skirt(own, outfit.skirt, cutter)
            elif outfit.sack is not None:
                self._cloths[number] = paint_sack(own, outfit.sack, 1.5 * cutter.leg_length)
        return self._cloths[number]
