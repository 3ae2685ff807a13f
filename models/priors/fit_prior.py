"""The mixtures that fits take, learned from samples of any density."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..joints import joint_set
from .gaussian import Floats, Part
from .mixture import ARM, LEG, TRUNK, PartMixture

COMPONENTS = {"trunk": 6, "arm": 8, "leg": 8, "class": 8}
"""Components of a body's mixtures: enough for modes of arms and legs, few enough for a fit's every step."""

HAND_COMPONENTS = 4

_BODY = joint_set("smpl24").joints[1:]
_GROUPED = {*TRUNK, *(f"{side}_{joint}" for side in ("left", "right") for joint in (*ARM, *LEG))}


def mixture_of(samples: Floats, joints: Sequence[str], floor: float, seed: int) -> PartMixture:
    """A mixture over poses (N, 3J), radians: body parts, each hand, and what else there is, apart from each other.

    Args:
        samples: axis-angle poses. joints: the J joints. floor: radians added to every direction. seed: of the learning.
    """
    names = tuple(joints)
    body = [j for j, name in enumerate(names) if name in _GROUPED]
    parts: list[Part] = []
    classes = np.zeros(1)
    exemplars = samples[: min(512, len(samples))]
    if {"left_shoulder", "left_hip", "spine1"} <= {names[j] for j in body}:
        columns = _columns(body)
        whole = PartMixture.from_samples(samples[:, columns], [names[j] for j in body], COMPONENTS, 0, floor, seed)
        classes = whole.classes
        parts += [Part(columns[part.columns], part.log_weights, part.means, part.covariances) for part in whole.parts]
    else:
        body = []
    rest = [j for j in range(len(names)) if j not in body]
    for side in ("left", "right"):
        hand = [j for j in rest if names[j].startswith(f"{side}_") and names[j] not in _BODY and "eye" not in names[j]]
        if hand:
            parts.append(_part(samples, hand, HAND_COMPONENTS, floor, seed))
            rest = [j for j in rest if j not in hand]
    parts += [_part(samples, [j], 1, floor, seed) for j in rest]
    return PartMixture(names, tuple(parts), classes, exemplars)


def _columns(joints: Sequence[int]) -> np.ndarray:
    return np.concatenate([np.arange(3 * j, 3 * j + 3) for j in joints])


def _part(samples: Floats, joints: Sequence[int], components: int, floor: float, seed: int) -> Part:
    """A mixture over some joints, the same in all classes."""
    from sklearn.mixture import GaussianMixture  # heavy, and of no use to who only scores

    columns = _columns(joints)
    mixture = GaussianMixture(components, reg_covar=floor**2, random_state=seed, max_iter=60).fit(samples[:, columns])
    return Part(columns, np.log(mixture.weights_)[None], mixture.means_, mixture.covariances_)
