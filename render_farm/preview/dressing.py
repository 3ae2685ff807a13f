"""Dress any body for pictures: infants from the farm's wardrobe, others in plain clothes, hands in their skin."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ...config import UserError, nearest
from ...models.bodies.body import Body
from ..looks.adults import LONG
from ..looks.adults_config import AdultsConfig
from ..looks.adults_drape import measure_hang, neighbour_mean, smoothing
from ..looks.adults_faces import dark_mouth, hair_volume
from ..looks.adults_outfits import draw_clothes
from ..looks.adults_shoes import Shoe, make_shoes, put_on
from ..looks.bodymap import BodyMap, build_body_map
from ..looks.config import SkinConfig, WardrobeConfig
from ..looks.faces import find_face
from ..looks.patterns import lab_to_rgb, noise
from ..looks.skin import Skin, draw_skin, scalp, tone
from ..looks.wardrobe import Outfit, Wardrobe, as_textures, dress
from ..renderers.mesh import vertex_normals
from ..scenes.scene import Surface, Topology

Singles = NDArray[np.float32]
STYLES = ("auto", "infant", "adult", "old", "hand")
HAIR = ("auto", "short", "long")
INFANT_HEIGHT = 1.0
"""Bodies whose template is lower than this, in metres, are dressed as infants."""
_OUTFITS = 12
_DISTINCT, _COLOURFUL = 30.0, 14.0  # the first of so many outfits that is so far (in Lab) from the skin, and from grey
_GREY = np.array([72, 0, 2], np.float32)
_PLAIN = AdultsConfig(
    tops={"tshirt": 0.6, "longsleeve": 0.4}, bottoms_man={"trousers": 0.85, "shorts": 0.15}, outers={"none": 1.0},
    patterns={"plain": 0.6, "stripes": 0.25, "heather": 0.15}, emblem=0.0, neutral=0.15, lightness=(32, 88), chroma=(10, 42),
    looseness=(0.3, 0.5), folds=(0.5, 0.9), barefoot=0.0, hat=0.0,
)  # fmt: skip


_KEPT: OrderedDict[tuple[str, str, int, int, str], Dress] = OrderedDict()
_MOST_KEPT = 12


@dataclass(frozen=True)
class Dress:
    """What turns a body's bare vertices into a dressed surface.

    Attributes:
        topology: of the body's mesh, under a name of its own.
        texture: (s, s, 3) uint8 sRGB of skin, face, hair and clothes.
        bulge: (V,) metres by which clothes and hair raise each vertex along its normal.
        smooth: (V, V) sparse matrix that evens the surface beneath cloth out, or None.
        shoes: what the feet wear, if anything.
        specular, wrap: see :class:`~sim2pose.render_farm.scenes.scene.Surface`.
        height: of the body's template, metres (of a hand 1.8 lengths); sets the scale of scenes and their shadows.
    """

    topology: Topology
    texture: NDArray[np.uint8]
    bulge: Singles
    smooth: scipy.sparse.csr_matrix | None
    specular: float
    wrap: float
    height: float
    shoes: tuple[Shoe, ...] = ()

    def surface(self, vertices: NDArray[np.floating], scale: float = 1.0) -> Surface:
        """The dressed surface of bare posed vertices (V, 3) in metres, everything multiplied by ``scale``."""
        points = put_on(np.asarray(vertices, np.float32), self.shoes)
        if self.smooth is not None:
            points = self.smooth @ points
        points = points + self.bulge[:, None] * vertex_normals(self.topology, points)
        points = np.ascontiguousarray(points * np.float32(scale))
        return Surface(self.topology, points, self.texture, self.specular, self.wrap)


def dress_plainly(body: Body, style: str = "auto", seed: int = 0, size: int = 1024, hair: str = "auto") -> Dress:
    """Draw clothes, skin, face and hair for a body; a function of the body, the style and the seed.

    Args:
        style: "infant", "adult" (children too), "old" (grey hair), "hand" (bare skin), or "auto": by the body's format
            and the height of its template.
        seed: another seed, other clothes and another skin.
        size: side of the texture in texels.
        hair: "short" or "long" of adults, "auto" leaves it to the seed.

    Raises:
        UserError: for an unknown style or hair, or a style that does not fit the body.
    """
    if style not in STYLES:
        raise UserError(f"unknown style '{style}': {nearest(style, STYLES)}")
    if hair not in HAIR:
        raise UserError(f"unknown hair '{hair}': {nearest(hair, HAIR)}")
    height = float(np.ptp(body.template, axis=0).max() if body.format == "mano" else np.ptp(body.template[:, 1]))
    if style == "auto":
        style = "hand" if body.format == "mano" else "infant" if height < INFANT_HEIGHT else "adult"
    if (style == "hand") != (body.format == "mano"):
        raise UserError(f"body '{body.name}' ({body.format}) cannot be shown in the style '{style}': use style=auto")
    topology = _topology(body)
    key = (topology.name, style, seed, size, hair)
    if key in _KEPT:
        _KEPT.move_to_end(key)
        return _KEPT[key]
    _KEPT[key] = made = _dress(body, topology, style, seed, size, hair, height)
    while len(_KEPT) > _MOST_KEPT:
        _KEPT.popitem(last=False)
    return made


def _dress(body: Body, topology: Topology, style: str, seed: int, size: int, hair: str, height: float) -> Dress:
    rng = np.random.default_rng([seed, 401])
    if style == "hand":
        texture, specular = _bare_hand(rng, min(size, 512))
        return Dress(topology, texture, np.zeros(len(body.template), np.float32), None, specular, 0.2, 1.8 * height)
    mapped = build_body_map(body, size)
    smooth, shoes = None, tuple[Shoe, ...]()
    if style == "infant":
        outfit, skin = _infant(rng, seed, mapped)
    else:
        outfit, skin, smooth, shoes = _grown(rng, mapped, topology, style == "old", hair)
    texture = dress(skin.texture, outfit)
    return Dress(topology, texture, outfit.bulge + skin.bulge, smooth, 0.4 * skin.specular, 0.3, height, shoes)


def _topology(body: Body) -> Topology:
    """The mesh under a name made of its content, since renderers keep buffers by name."""
    parts = (body.template, body.weights, body.faces, body.uv, body.uv_faces)
    content = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    name = f"{body.name}-{hashlib.sha256(content).hexdigest()[:8]}"
    return Topology(name, body.faces, body.uv, body.uv_faces, body.part_ids)


def _infant(rng: np.random.Generator, seed: int, mapped: BodyMap) -> tuple[Outfit, Skin]:
    """From the farm's wardrobe, in one of its whole cuts; cloth that is plainly no skin."""
    config = WardrobeConfig(cuts={"bodysuit": 0.4, "sleepsuit": 0.4, "shirt_trousers": 0.2}, hat=0.0)
    skin = draw_skin(rng, SkinConfig(eyes_closed=0.0, hair=(0.5, 0.9), tone=(1.5, 8.0)), mapped, find_face(mapped))
    wardrobe = Wardrobe(config, mapped, seed)
    for number in range(_OUTFITS):
        outfit = wardrobe.outfit(number)
        if np.linalg.norm(outfit.colour - skin.colour) > _DISTINCT and np.hypot(*outfit.colour[1:]) > _COLOURFUL:
            break
    return outfit, skin


def _grown(
    rng: np.random.Generator, mapped: BodyMap, topology: Topology, old: bool, hair: str
) -> tuple[Outfit, Skin, scipy.sparse.csr_matrix, tuple[Shoe, ...]]:
    hang = measure_hang(mapped)
    clothes = draw_clothes(rng, _PLAIN, mapped, hang, woman=False)
    config = SkinConfig(eyes_closed=0.0, hair=(0.97, 1.0), tone=(2.5, 8.0), blotches=(0.1, 0.4))
    grey = _GREY + rng.normal(0, (6, 0.5, 1)).astype(np.float32) if old else None
    drawn = rng.random() < 0.5
    length = LONG if hair == "long" or (hair == "auto" and drawn) else 0.0
    face = find_face(mapped)
    skin = draw_skin(rng, config, mapped, face, grey, length)
    skin = replace(skin, texture=dark_mouth(mapped, face, skin.texture))
    cloth, keep = as_textures(clothes.painted, mapped)
    colour = clothes.painted.colour[clothes.painted.cover >= 1].mean(0)
    bulge = np.maximum(clothes.painted.bulge, 0) * (1 - clothes.shoe) + clothes.loose  # shoes bring their own
    outfit = Outfit("plain", cloth, keep, bulge, colour)
    combed = np.clip(scalp(mapped.vertices, face, 0.0, length) / (0.5 * face.unit), 0, 1) * (length > 0)
    smooth = smoothing(neighbour_mean(topology), np.maximum(0.35 * clothes.cloth * (1 - clothes.shoe), combed))
    volume = hair_volume(mapped, face, float(rng.uniform(0.4, 1.0)) + 0.6 * (length > 0), length)
    return outfit, replace(skin, bulge=skin.bulge + volume), smooth, make_shoes(mapped, clothes.shoe)


def _bare_hand(rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], float]:
    """Skin of a hand: a tone and a little mottling, alike all over."""
    base = tone(rng.uniform(3.5, 7.0)) - np.array([6, 0, 0], np.float32)
    base[1] += 5.5 * np.clip((base[0] - 35) / 50, 0, 1)
    lab = base + np.array([0.7, 0.9, 0.2], np.float32) * noise(rng, size, 9)[..., None]
    return np.round(lab_to_rgb(lab)).astype(np.uint8), 0.05
