"""Looks of children and adults: pools of outfits and heads of a job, put together into a texture and a dressed rest shape.

    looks = AdultLooks(AdultsConfig(), load_body("open-person"), seed=0)
    look = looks.entry(5)                       # a function of (seed, 5)
    look.texture, look.offset                   # (s, s, 3) uint8, (V, 3) metres on the template

An outfit's thickness, shoes, hanging cloth and hair are one displacement of the template. It enters skinning with
the shape (``worn`` of :func:`~sim2pose.models.bodies.blocks.skin_blocks`), so that dressing costs next to nothing.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from ...models.bodies.body import Body
from ...models.bodies.skinning import SkinnedMesh
from ..poses.angles import choose
from ..scenes.bodies import body_topology
from .adults_config import AdultsConfig
from .adults_drape import measure_hang, neighbour_mean, smoothed
from .adults_faces import dark_mouth, grow_beard, hair_volume
from .adults_outfits import adult_cutter, draw_clothes
from .adults_shoes import make_shoes
from .bodymap import BodyMap, build_body_map
from .config import SkinConfig
from .faces import Face, find_face
from .patterns import Bytes, Singles
from .skin import Skin, draw_skin, scalp
from .skirts import paint_skirt, skirt_mesh, skirt_topology
from .wardrobe import Outfit, as_textures, dress

OUTFIT_STREAM, HEAD_STREAM = 221, 321
DISTINCT, TRIES = 26.0, 8
"""An outfit whose colour on chest or legs is nearer (in Lab) to the skin's than this gives way to the next of the pool."""
LONG = 2.3
"""Half eye distances by which long hair hangs lower than short hair."""
_CLOTH_SMOOTH = 0.35
# Lab of hair: black, dark brown, brown, light brown, blond, red; and grey, white.
_HAIR = np.array([[10, 1, 2], [17, 4, 6], [27, 7, 12], [40, 8, 20], [64, 5, 28], [36, 22, 28]], np.float32)
_GREY = np.array([[62, 0, 2], [84, 0, 3], [44, 0, 1]], np.float32)


@dataclass(frozen=True)
class AdultOutfit:
    """An entry of the pool of outfits.

    Attributes:
        outfit: its paint; ``bulge`` is that of the cloth. offset: (V, 3) metres of shoes, smoothing and cloth on the
            template. names: top, bottom and outer garment. skirt: its texture, or None. hatted: (V,) 0..1 beneath a hat.
        legs: (3,) Lab of the cloth on the legs. cloth: (V,) 0..1 beneath cloth.
    """

    outfit: Outfit
    offset: Singles
    names: tuple[str, str, str]
    skirt: Bytes | None
    hatted: Singles
    legs: Singles
    cloth: Singles


@dataclass(frozen=True)
class AdultHead:
    """An entry of the pool of heads: skin, face and hair. ``offset``: (V, 3) metres by which hair stands out."""

    skin: Skin
    offset: Singles
    hair: str


@dataclass(frozen=True)
class AdultLook:
    """What one person looks like.

    Attributes:
        texture: (s, s, 3) uint8 sRGB of skin, face, hair and clothes.
        offset: (V, 3) float32 metres from the template to the dressed rest shape: cloth, shoes, hair.
        specular, wrap: see :class:`~sim2pose.render_farm.scenes.scene.Surface`.
        skirt: texture of a skirt, a layer of its own (:attr:`AdultLooks.skirt_mesh`), or None.
        names: top, bottom, outer garment and hair.
    """

    texture: Bytes
    offset: Singles
    specular: float
    wrap: float
    skirt: Bytes | None
    names: tuple[str, ...]


class AdultLooks:
    """The outfits and heads of one job for one body, drawn at first use.

    Args:
        config: what is drawn. body: any whole SMPL-family body with texture coordinates. seed: of the job.
        texture: side of the textures, where the config leaves it open.

    Attributes:
        map: of the body. topology: of its surface. skirt_mesh, skirt_topology: of the skirts that looks may have; pose
            the mesh with the body's betas and pose.

    Raises:
        UserError: for a body that is a hand or has no texture coordinates.
    """

    def __init__(self, config: AdultsConfig, body: Body, seed: int, texture: int = 512) -> None:
        self.config, self.seed = config, seed
        self.map: BodyMap = build_body_map(body, config.texture or texture)
        self.topology = body_topology(body)
        cutter = adult_cutter(self.map)
        self.skirt_mesh: SkinnedMesh = skirt_mesh(body, cutter)
        self.skirt_topology = skirt_topology(f"{body.name}-skirt")
        self._cutter, self._face, self._hang = cutter, find_face(self.map), measure_hang(self.map)
        self._mean = neighbour_mean(self.topology)
        self._outfits: dict[int, AdultOutfit] = {}
        self._heads: dict[int, AdultHead] = {}

    def with_config(self, config: AdultsConfig, seed: int | None = None) -> AdultLooks:
        """Other pools for the same body and texture size, whose map is shared."""
        other = copy(self)
        other.config, other.seed = config, self.seed if seed is None else seed
        other._outfits, other._heads = {}, {}
        return other

    @property
    def drawn_heads(self) -> tuple[int, ...]:
        """Entries of the pool of heads that have been drawn so far."""
        return tuple(self._heads)

    def entry(self, index: int) -> AdultLook:
        """Outfit and head ``index`` of the pools (which they wrap round): a pure function of (seed, index)."""
        return self.look(index % self.config.outfits, index % self.config.heads)

    def pick(self, rng: np.random.Generator, woman: bool, grey: bool) -> AdultLook:
        """Draw somebody's look: clothes of a woman or man that are seen to be clothes on the skin, grey hair or not."""
        config = self.config
        head = int(rng.integers(config.heads // 10)) * 10 + int(rng.integers(4)) * 2
        head = (head - head % 10 + 8 if grey else head) + (not woman)
        half = config.outfits // 2
        number = int(rng.integers(half))
        skin = self.head(head).skin
        for _ in range(TRIES):
            outfit = 2 * number + (not woman)
            worn = self.outfit(outfit)
            if min(float(np.linalg.norm(cloth - skin.colour)) for cloth in (worn.outfit.colour, worn.legs)) > DISTINCT:
                break
            number = (number + 1) % half
        return self.look(outfit, head)

    def look(self, outfit: int, head: int) -> AdultLook:
        """The outfit and the head of these entries on one body."""
        clothes, person = self.outfit(outfit), self.head(head)
        hair = person.offset * (1 - clothes.hatted)[:, None]
        return AdultLook(
            texture=dress(person.skin.texture, clothes.outfit),
            offset=clothes.offset + hair,
            specular=0.4 * person.skin.specular,
            wrap=0.3,
            skirt=clothes.skirt,
            names=(*clothes.names, person.hair),
        )

    def outfit(self, index: int) -> AdultOutfit:
        """Entry ``index`` of the outfits: even ones a woman's, odd ones a man's."""
        if index not in self._outfits:
            rng = np.random.default_rng([self.seed, OUTFIT_STREAM, index])
            self._outfits[index] = self._draw_outfit(rng, index % 2 == 0)
        return self._outfits[index]

    def head(self, index: int) -> AdultHead:
        """Entry ``index`` of the heads: even ones a woman's, odd ones a man's, and those with 8 or 9 at the end grey."""
        if index not in self._heads:
            rng = np.random.default_rng([self.seed, HEAD_STREAM, index])
            self._heads[index] = draw_head(rng, self.config, self.map, self._face, index % 2 == 0, index % 10 >= 8)
        return self._heads[index]

    def _draw_outfit(self, rng: np.random.Generator, woman: bool) -> AdultOutfit:
        clothes = draw_clothes(rng, self.config, self.map, self._hang, woman)
        cloth, keep = as_textures(clothes.painted, self.map)
        chest = np.isin(self.map.texels.joint, (3, 6, 9)) & (clothes.painted.cover >= 1)
        colour = clothes.painted.colour[chest].mean(0)  # by which it is told from skin
        thighs = np.isin(self.map.texels.joint, (1, 2, 4, 5)) & (clothes.painted.cover >= 1)
        legs = clothes.painted.colour[thighs].mean(0)
        template = self.map.vertices.position
        points = template.copy()
        for shoe in make_shoes(self.map, clothes.shoe):
            points[shoe.vertices] += shoe.offset
        points = smoothed(self._mean, _CLOTH_SMOOTH * clothes.cloth * (1 - clothes.shoe), points)
        bulge = np.maximum(clothes.painted.bulge, 0) * (1 - clothes.shoe) + clothes.loose
        offset = points - template + bulge[:, None] * self.map.vertices.normal
        skirt = None if clothes.skirt is None else paint_skirt(rng, clothes.skirt, self._cutter)
        outfit = Outfit(clothes.names[1], cloth, keep, bulge, colour)
        return AdultOutfit(outfit, offset.astype(np.float32), clothes.names, skirt, clothes.hat, legs, clothes.cloth)


def draw_head(
    rng: np.random.Generator, config: AdultsConfig, mapped: BodyMap, face: Face, woman: bool, grey: bool
) -> AdultHead:
    """Draw skin, face, hair and beard of one person."""
    step = rng.uniform(*config.tone)
    dark = float(np.clip((step - 3) / 5, 0, 1))
    weights = np.array([0.5 + 3 * dark, 1.0, 1.0, 0.7, 0.6, 0.2]) * np.where(np.arange(6) > 1, 1.02 - dark, 1)
    colour = _GREY[rng.integers(3)] if grey else _HAIR[rng.choice(6, p=weights / weights.sum())]
    colour = (colour + rng.normal(0, (2.5, 0.8, 1.5))).astype(np.float32)
    style = choose(rng, config.hair_woman if woman else config.hair_man)
    beard, kind = rng.random() < config.beard, choose(rng, {"stubble": 3, "full": 3, "goatee": 1, "moustache": 1})
    length = LONG * rng.uniform(0.6, 1.0) if style == "long" else 0.0
    skin = SkinConfig(
        tone=(step, step), blotches=(0.15, 0.7), eyes_closed=config.eyes_closed,
        hair=(0.0, 0.05) if style == "bald" else (0.93, 1.0),
    )  # fmt: skip
    drawn = draw_skin(rng, skin, mapped, face, colour, length)
    texture = dark_mouth(mapped, face, drawn.texture)
    if beard and not woman:
        texture = grow_beard(rng, mapped, face, texture, colour, kind)
    amount = {
        "bald": 0.0,
        "short": rng.uniform(0.25, 0.7),
        "full": rng.uniform(0.8, 1.5),
        "long": rng.uniform(0.8, 1.6),
    }
    volume = drawn.bulge + hair_volume(mapped, face, amount[style], length)
    combed = np.clip(scalp(mapped.vertices, face, 0.0, length) / (0.5 * face.unit), 0, 1)
    offset = (volume * np.maximum(combed, volume > 0))[:, None] * mapped.vertices.normal
    return AdultHead(replace(drawn, texture=texture, bulge=volume), offset.astype(np.float32), style)
