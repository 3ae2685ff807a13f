"""People of all ages, their faces and hands: what a body with fingers and expressions can show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...models.bodies.body import Body
from ...models.joints import joint_set
from .draw import draw_bodies
from .dressing import Dress, dress_plainly
from .lineup import betas_at_age, lineup
from .media import Bytes, labelled, strip
from .standing import at_ease, posed, set_hand, turned
from .views import frame_points

Singles = NDArray[np.float32]
AGES = {"child, 6 years": 6.0, "youth, 14 years": 14.0, "adult, 30 years": 30.0, "old, 75 years": 75.0}
"""People shown of a body whose file names no examples."""
_SEEDS = (11, 3, 7, 12, 5, 9)
_TILE = (220, 250)
_WIDTH = 1340


def examples(body: Body) -> dict[str, Singles]:
    """Betas of typical people by name: those that the body's file names, else its population's by age."""
    named: dict[str, list[float]] = body.meta.get("examples", {})
    if named:
        return {name: np.asarray(betas, np.float32) for name, betas in named.items()}
    return {name: betas_at_age(body, age) for name, age in AGES.items()}


def people_sheet(body: Body, seed: int = 0) -> Bytes:
    """People from the front and the side before a height chart; beneath them expressions and gestures."""
    people, names, pose = [], [], at_ease(body)
    shown = examples(body)
    shapes = list(shown.values())
    for k, (name, betas) in enumerate(shown.items()):
        style, hair = "old" if name.startswith("old") else "adult", "long" if "woman" in name else "short"
        dress = dress_plainly(body, style, seed + _SEEDS[k % len(_SEEDS)], hair=hair)
        points = posed(body, betas, pose)
        people += [(dress, points), (dress, turned(points, 90.0))]
        names += [f"{name}, {100 * float(np.ptp(points[:, 1])):.0f} cm", ""]
    upper = lineup(people, names, _WIDTH, mark=0.20, gap=0.16)
    faces = _faces(body, shapes[1:3], [people[2][0], people[4][0]])
    lower = strip(faces, gap=4)
    return np.concatenate([upper, np.pad(lower, ((6, 0), (0, _WIDTH - lower.shape[1]), (0, 0)), constant_values=250)])


def _faces(body: Body, shapes: list[Singles], dresses: list[Dress]) -> list[Bytes]:
    """Four expressions and two gestures, captioned."""
    names = joint_set(body.joint_set).joints
    strong = 2.0 * np.eye(body.num_expressions, dtype=np.float32)
    jaw = at_ease(body)
    jaw[names.index("jaw")] = (0.30, 0, 0)
    calm = at_ease(body)
    looks = (
        ("expression 0 = +2", calm, strong[0]),
        ("expression 0 = -2", calm, -strong[0]),
        ("expression 1 = +2", calm, strong[1]),
        ("jaw open", jaw, 0 * strong[0]),
    )
    images, texts = [], []
    head = body.weights[:, [names.index(n) for n in ("head", "jaw", "left_eyeball", "right_eyeball")]].sum(1) > 0.5
    for k, (text, pose, expression) in enumerate(looks):
        points = posed(body, shapes[k % 2], pose, expression)
        images.append(_close_up(body, points, dresses[k % 2], head, (18.0, 2.0)))
        texts.append(text)
    hand = body.weights[:, [k for k, n in enumerate(names) if n.startswith("left_") and n[-1] in "123"]].sum(1) > 0.2
    for name in ("pinch", "victory"):
        pose = np.zeros((len(names), 3), np.float32)
        set_hand(body, pose, "left", name)
        points = posed(body, shapes[1], pose)[:, [1, 0, 2]] * np.array(
            [-1, 1, 1], np.float32
        )  # the arm's way up, palm to +X
        images.append(_close_up(body, points, dresses[1], hand, (55.0, 8.0)))
        texts.append(name)
    return labelled(images, texts)


def _close_up(body: Body, points: Singles, dress: Dress, part: NDArray, view: tuple[float, float]) -> Bytes:
    """A tile that the vertices ``part`` (V,) of a body (V, 3) fill."""
    camera = frame_points(points[part], view, *_TILE, margin=0.10)
    return draw_bodies(body, points[None], _TILE, camera, dress=dress, ground=None)[0]
