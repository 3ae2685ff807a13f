"""The cuts: which garments an outfit is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..poses.angles import choose
from .bodymap import Points, Singles
from .config import WardrobeConfig
from .cutting import FAR, Cutter, Field, Piece, band_field, diaper_field, hat_field, sock_field
from .patterns import draw_palette, lab_to_rgb, rgb_to_lab

_LIMBS = ("left_arm", "right_arm", "left_leg", "right_leg")
FOOTED = ("sleepsuit", "sleep_sack")


@dataclass(frozen=True)
class _Cloth:
    """Print, palette and span of a cloth."""

    kind: str
    colours: Singles
    span: float


@dataclass(frozen=True)
class _Measures:
    """What a cut leaves open, drawn once for an outfit; metres, or shares of arm and leg."""

    front: float
    back: float
    width: float
    sleeve: float
    hem: float
    waist: float
    leg: float
    footed: bool
    mitts: bool
    cuff: bool
    placket: bool
    drop: float
    loose: float


def _fabric(rng: np.random.Generator, config: WardrobeConfig, patterned: bool = True) -> _Cloth:
    kind = choose(rng, config.patterns)
    colours = draw_palette(rng, config.lightness, config.chroma)
    colours = np.stack([unlike_skin(colour) for colour in colours])
    span = float(rng.uniform(0.07, 0.16)) * (2.2 if kind == "blocks" else 1.0)
    return _Cloth(kind if patterned else "plain", colours, span)


def unlike_skin(colour: Singles) -> Singles:
    """A cloth's Lab colour (3,), changed where it could be taken for skin of any tone under warm or cool light.

    The Monk scale lies between hues of 40 and 85 degrees with a chroma up to 30; lamps and flush widen that. What lies
    there gets another hue; so do pale pinks, and greys turn a little blue, for warm lamps make skin of both.
    """
    colour = rgb_to_lab(lab_to_rgb(colour))  # as far as pictures can show it: pale orange is peach
    hue, chroma = np.degrees(np.arctan2(colour[2], colour[1])), np.hypot(colour[1], colour[2])
    if chroma < 5:
        return colour if not 30 < colour[0] < 88 else np.array([colour[0], -2, -8], np.float32)
    most = 38 if colour[0] > 65 else 52  # deep reds and browns are tan at a glance
    if not (8 < hue < 95 and chroma < most) and not (-60 < hue < 95 and chroma < 16):
        return colour
    strong = chroma >= 16
    part = (hue - 8) / 87 if strong else (hue + 60) / 155
    to = (110, 160, 235, 290, 300, 350) if strong else (110, 165, 225, 260, 260, 295)  # greens, blues, and purples
    other = np.radians(np.interp(part, (0, 0.3, 0.301, 0.6, 0.601, 1), to))
    return np.array([colour[0], chroma * np.cos(other), chroma * np.sin(other)], np.float32)


def _measure(rng: np.random.Generator, config: WardrobeConfig, c: Cutter, drop: float) -> _Measures:
    s = c.scale
    front, back, width = rng.uniform(0.008, 0.030) * s, rng.uniform(-0.008, 0.004) * s, rng.uniform(0.042, 0.062) * s
    short = float(choose(rng, {"-0.18": 0.25, "0.3": 0.45, "0.95": 0.3}))
    return _Measures(
        front=front,
        back=back,
        width=width,
        sleeve=short + rng.uniform(-0.04, 0.08) if short > 0 else short,
        hem=c.hip - rng.uniform(-0.02, 0.035) * s,
        waist=c.pelvis + rng.uniform(0.35, 0.7) * (c.chest - c.pelvis),
        leg=rng.uniform(0.28, 0.5) if rng.random() < 0.4 else rng.uniform(0.8, 0.98),
        footed=bool(rng.random() < 0.6),
        mitts=bool(rng.random() < config.mitts),
        cuff=bool(rng.random() < 0.4),
        placket=bool(rng.random() < 0.6),
        drop=drop,
        loose=float(rng.uniform(*config.loose)) * s,
    )


def cut_pieces(rng: np.random.Generator, config: WardrobeConfig, cut: str, cutter: Cutter) -> list[Piece]:
    """The garments of a cut from the skin outwards; the diaper first, always.

    Args:
        cut: one of :data:`.config.CUTS`.
    """
    c, s = cutter, cutter.scale
    light = np.array(
        [[rng.uniform(86, 97), *rng.normal(0, 2, 2)], [70, *rng.normal(0, 22, 2)], [60, *rng.normal(0, 25, 2)]]
    )
    rise, drop = rng.uniform(0, 0.012) * s, rng.uniform(0, 0.006) * s
    printed = "plain" if rng.random() < 0.5 else choose(rng, {"dots": 1, "stars": 1, "hearts": 1, "stripes": 0.5})
    diaper = Piece(
        lambda p: diaper_field(c, p, rise, drop),
        printed,
        light.astype(np.float32),
        span=0.06,
        thickness=0.006 * s,
        hem=0.005 * s,
        cuff=printed == "plain",
        bridge=0.6,
    )
    m = _measure(rng, config, c, drop)
    top, bottom = _fabric(rng, config), _fabric(rng, config, rng.random() < 0.35)
    return [diaper, *_garments(cut, c, m, top, bottom), *_extras(rng, config, cut, c, m)]


def _garments(cut: str, c: Cutter, m: _Measures, top: _Cloth, bottom: _Cloth) -> list[Piece]:
    s, thick = c.scale, 0.0022 * c.scale
    plain = top.kind in ("plain", "heather")  # what covers all of the body in one colour needs its edges to be seen

    def shirt(p: Points, hem: float = m.hem, sleeve: float = m.sleeve) -> Singles:
        return np.minimum(np.minimum(c.neckline(p, m.front, m.back, m.width), c.sleeves(p, sleeve)), c.above(p, hem))

    def bodysuit(p: Points, sleeve: float = m.sleeve) -> Singles:
        upper = np.minimum(c.neckline(p, m.front, m.back, m.width), c.sleeves(p, sleeve))
        return np.minimum(upper, np.where(p.arm > -1, FAR, c.leg_opening(p, m.drop + 0.002 * s)))

    def suit(p: Points, arms: float, legs: float, front: float = 0.6 * m.front) -> Singles:
        upper = np.minimum(c.neckline(p, front, m.back, m.width), c.sleeves(p, arms))
        return np.minimum(upper, c.legs(p, legs))

    def sleepsuit(p: Points) -> Singles:
        return suit(p, 2.5 if m.mitts else 0.98, 3.0 if m.footed else 0.99)

    def trousers(p: Points, leg: float = m.leg) -> Singles:
        return np.minimum(c.below(p, m.waist), c.legs(p, leg))

    def bib(p: Points) -> Singles:
        """Trousers whose front reaches up the chest between two straps."""
        x, y = np.abs(p.position[:, 0]), p.position[:, 1]
        top_edge = c.chest + np.where(p.position[:, 2] > c.middle, 0.30, 0.05) * (c.neck - c.chest)
        panel = np.minimum(0.62 * c.shoulder - x, top_edge - y)
        above = np.maximum(panel, 0.013 * s - np.abs(x - 0.50 * c.shoulder))
        field = np.where(y > m.waist, above, c.legs(p, m.leg))
        return np.where((p.arm > 0.05) | np.isin(p.joint, (12, 15)), -FAR, field).astype(np.float32)

    def flare(leg: float, sleeve: float, amount: float) -> Field:
        """Slack that grows towards the hems of legs and sleeves, and over the belly."""

        def slack(p: Points) -> Singles:
            limb = np.clip(np.maximum(p.leg / max(leg, 0.2), p.arm / max(sleeve, 0.2)), 0, 1)
            return (amount * np.where((p.leg > 0) | (p.arm > 0), 0.25 + 0.75 * limb, 0.45)).astype(np.float32)

        return slack

    def gathered(amount: float) -> Field:
        """Slack along the legs that closes again at the ankles."""
        return lambda p: (amount * np.clip(p.leg / 0.3, 0, 1) * np.clip((0.95 - p.leg) / 0.2, 0, 1)).astype(np.float32)

    upper = Piece(
        shirt, top.kind, top.colours, top.span, 1.4 * thick, slack=flare(1, m.sleeve, m.loose), cuff=m.cuff, bridge=0.8
    )
    if cut == "bodysuit":
        return [Piece(bodysuit, top.kind, top.colours, top.span, thick, cuff=m.cuff, bridge=0.8)]
    if cut == "sleepsuit":
        return [
            Piece(sleepsuit, top.kind, top.colours, top.span, 1.5 * thick, placket=m.placket or plain,
                  slack=gathered(0.8 * m.loose), cuff=m.cuff or plain, bridge=1.0)
        ]  # fmt: skip
    if cut == "shirt_diaper":
        return [upper]
    if cut == "shirt_trousers":
        legs = gathered(m.loose) if m.leg > 0.7 else flare(m.leg, 1, m.loose)
        return [Piece(trousers, bottom.kind, bottom.colours, bottom.span, 1.4 * thick, slack=legs, bridge=0.8), upper]
    if cut == "romper":
        leg, sleeve = min(0.5 * m.leg, 0.42), min(m.sleeve, 0.34)
        return [
            Piece(lambda p: suit(p, sleeve, leg, m.front), top.kind, top.colours, top.span, 1.3 * thick,
                  placket=m.placket, slack=flare(leg, sleeve, 1.3 * m.loose), cuff=m.cuff, bridge=0.8)
        ]  # fmt: skip
    if cut == "dungarees":
        under = Piece(
            lambda p: bodysuit(p, max(m.sleeve, 0.3)), top.kind, top.colours, top.span, thick, cuff=m.cuff, bridge=0.8
        )
        over = Piece(bib, bottom.kind, bottom.colours, bottom.span, 1.8 * thick, hem=0.006 * s,
                     slack=gathered(m.loose) if m.leg > 0.7 else flare(m.leg, 1, m.loose), bridge=0.8)  # fmt: skip
        return [under, over]
    if cut == "sleep_sack":
        under = Piece(lambda p: suit(p, 0.97, 3.0), top.kind, top.colours, top.span, thick, bridge=1.0)
        over = Piece(lambda p: suit(p, -0.12, 3.0, m.front), bottom.kind, bottom.colours, bottom.span, 2.4 * thick,
                     placket=m.placket, cuff=True, hem=0.008 * s, bridge=1.0)  # fmt: skip
        return [under, over]
    if cut == "dress":
        over = Piece(lambda p: shirt(p, c.hip - 0.01 * s, min(m.sleeve, 0.4)), top.kind, top.colours, top.span,
                     1.2 * thick, cuff=m.cuff, bridge=0.8)  # fmt: skip
        return [over]
    assert cut == "diaper", f"no cut is called {cut}"
    return []


def _extras(rng: np.random.Generator, config: WardrobeConfig, cut: str, c: Cutter, m: _Measures) -> list[Piece]:
    """Socks, a hat, a hospital's band."""
    s, thick, pieces = c.scale, 0.0022 * c.scale, []
    sock, start = _fabric(rng, config, False), rng.uniform(0.66, 0.86)
    if rng.random() < config.socks and not (cut in FOOTED and (m.footed or cut == "sleep_sack")):
        field: Field = lambda p: sock_field(c, p, start)  # noqa: E731
        pieces.append(Piece(field, sock.kind, sock.colours, sock.span, 1.2 * thick, bridge=1.0))
    hat, low = _fabric(rng, config), rng.uniform(-0.004, 0.010)
    if rng.random() < config.hat:
        hatted: Field = lambda p: hat_field(c, p, low)  # noqa: E731
        pieces.append(
            Piece(hatted, hat.kind, hat.colours, hat.span, 2.5 * thick, hem=0.02 * s, cuff=m.cuff, bridge=1.0)
        )
    limb, tint, worn = _LIMBS[int(rng.integers(4))], rng.uniform(-12, 6), rng.random() < config.band
    hidden = cut in FOOTED or ("leg" in limb and len(pieces) > 0) or ("arm" in limb and m.sleeve > 0.8)
    if worn and not hidden:
        white = np.array([[94, 0, 1], [62, tint, -2 + tint], [30, 0, 0]], np.float32)
        place = 0.94 if "arm" in limb else 0.95
        banded: Field = lambda p: band_field(c, p, limb, place, 0.011 * s)  # noqa: E731
        pieces.append(Piece(banded, "heather", white, 0.03, 0.0012 * s, hem=0.001 * s))
    return pieces
