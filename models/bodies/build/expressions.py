"""Facial expressions: a distribution over Anny's facial actions, and the ten directions that explain most of it.

The jaw, the eyeballs and the gaze are joints in SMPL-X, so the actions that move them are left out.
"""

from __future__ import annotations

import numpy as np

from .anny_source import AnnySource

COUNT = 10

_BOTH = {
    "smile": {"mouthSmile": 1.0, "cheekSquint": 0.5},
    "frown": {"mouthFrown": 1.0},
    "stretch": {"mouthStretch": 1.0, "mouthDimple": 0.6},
    "press": {"mouthPress": 1.0},
    "upper lip": {"mouthUpperUp": 1.0, "noseSneer": 0.7},
    "lower lip": {"mouthLowerDown": 1.0},
    "brow up": {"browOuterUp": 1.0, "eyeWide": 0.4},
    "brow down": {"browDown": 1.0, "eyeSquint": 0.8},
    "blink": {"eyeBlink": 1.0},
    "wide": {"eyeWide": 1.0},
    "squint": {"eyeSquint": 1.0, "cheekSquint": 0.6},
}
"""Gestures of both halves of the face; each action exists left and right."""

_MIDDLE = {
    "pucker": {"mouthPucker": 1.0},
    "funnel": {"mouthFunnel": 1.0},
    "roll": {"mouthRollLower": 0.7, "mouthRollUpper": 0.7},
    "shrug": {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.8},
    "puff": {"cheekPuff": 1.0},
    "worry": {"browInnerUp": 1.0},
}
_SIDEWAYS = ("mouthLeft", "mouthRight")

_ACTIVE = 0.3
"""Chance that a gesture takes part in an expression."""


def action_labels() -> list[str]:
    """Names of the facial actions as Anny knows them."""
    both = dict.fromkeys(action for parts in _BOTH.values() for action in parts)
    middle = dict.fromkeys(action for parts in _MIDDLE.values() for action in parts)
    return [*(f"{action}{side}" for action in both for side in ("Left", "Right")), *middle, *_SIDEWAYS]


def sample(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Facial actions of ``count`` expressions, each name with its values (count,) in [0, 1].

    An expression blends about a third of the gestures at random strengths, a little uneven between the halves.
    """

    def strength() -> np.ndarray:
        return (rng.random(count) < _ACTIVE) * rng.beta(2, 1.5, count)

    values = {label: np.zeros(count) for label in action_labels()}
    for parts in _BOTH.values():
        strong = strength()
        uneven = np.where(rng.random(count) < 0.25, rng.uniform(-0.6, 0.6, count), rng.uniform(-0.1, 0.1, count))
        for action, gain in parts.items():
            values[f"{action}Left"] += gain * strong * (1 + np.minimum(uneven, 0))
            values[f"{action}Right"] += gain * strong * (1 - np.maximum(uneven, 0))
    for parts in _MIDDLE.values():
        strong = strength()
        for action, gain in parts.items():
            values[action] += gain * strong
    sideways = (rng.random(count) < 0.15) * rng.uniform(-0.8, 0.8, count)
    values["mouthLeft"], values["mouthRight"] = np.maximum(sideways, 0), np.maximum(-sideways, 0)
    return {label: np.clip(value, 0, 1) for label, value in values.items()}


def directions(source: AnnySource, kept: np.ndarray, mirror: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """Expression columns (V, 3, 10) of the vertices ``kept``, metres, and the share of variance that they explain.

    Principal directions about the neutral face, which is zero; one unit of each is its root mean square over expressions,
    and its positive sense is the commoner one. Each direction is symmetric or its mirror image's opposite.

    Args:
        kept: (V,) source vertices. mirror: (V,) permutation among them.
    """
    labels = action_labels()
    drawn = sample(np.random.default_rng(seed), 20000)
    strengths = np.stack([drawn[label] for label in labels], 1)
    moves = np.stack([source.change(label)[kept] for label in labels])
    opposite = [labels.index(_opposite(label)) for label in labels]
    moves = (moves + (moves[opposite][:, mirror] * (-1.0, 1.0, 1.0))) / 2
    size = len(kept)
    flat = moves.reshape(len(labels), -1)
    both = np.concatenate([strengths, strengths[:, opposite]])
    spread, axes = np.linalg.eigh(both.T @ both / len(both))
    root = axes * np.sqrt(np.maximum(spread, 0))
    gram = root.T @ (flat @ flat.T) @ root
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    columns = flat.T @ root @ vectors[:, :COUNT]
    common = np.sign(both.mean(0) @ flat @ columns)
    common[common == 0] = 1
    return (columns * common).reshape(size, 3, COUNT), float(values[:COUNT].sum() / values.sum())


def _opposite(label: str) -> str:
    """The action of the other half of the face."""
    if label.endswith("Left"):
        return label[:-4] + "Right"
    return label[:-5] + "Left" if label.endswith("Right") else label
