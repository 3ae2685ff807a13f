"""Checks that need more than one person's labels at a time: bodies of one shape, and the parameters themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...config import UserError
from ...datasets.frames import Frame, Person
from ...models.bodies import Body, load_body
from ...models.joints import JointSet
from .checks import Tally, limb_lengths

MOST_SHAPES = 20_000
"""Shapes that are followed; further ones are not looked at, so that memory stays flat."""


@dataclass
class SameShape:
    """Whether limbs of one body keep their lengths: smallest and largest length of each limb by (body, betas)."""

    tally: Tally = field(
        default_factory=lambda: Tally(
            "limbs, same body", "limbs keep their length in frames of one shape", 0.2, "share"
        )
    )
    _seen: dict[tuple[str, bytes], np.ndarray] = field(default_factory=dict)

    def add(self, person: Person, joints: JointSet, position: int, number: int) -> None:
        """Compare a person with those of the same shape before it; the first of a shape is not counted."""
        found = limb_lengths(person, joints)
        if found is None or person.betas is None:
            return
        key, lengths = (person.body, person.betas.tobytes()), np.concatenate(found)
        before = self._seen.get(key)
        if before is None:
            if len(self._seen) < MOST_SHAPES:
                self._seen[key] = np.stack([lengths, lengths])
            return
        before[0], before[1] = np.minimum(before[0], lengths), np.maximum(before[1], lengths)
        self.tally.add(float(((before[1] - before[0]) / before.mean(0)).max()), position, number)


@dataclass
class Parameters:
    """Whether a body with the labelled parameters has its points where the labels say, in batches by body."""

    joint_set: str
    tally: Tally = field(
        default_factory=lambda: Tally("parameters", "body(betas, pose, transl) has the 3D keypoints", 2.0, "mm")
    )
    _bodies: dict[str, Body | None] = field(default_factory=dict)

    def add(self, frames: Sequence[tuple[int, Frame]]) -> None:
        """Compare all persons of some frames, given with their positions, that have parameters of a body found here."""
        groups: dict[str, list[tuple[int, int, Person]]] = {}
        for position, frame in frames:
            for number, person in enumerate(frame.persons):
                if person.pose is not None and person.keypoints_3d is not None and person.body:
                    groups.setdefault(person.body, []).append((position, number, person))
        for name, people in groups.items():
            body = self._body(name)
            if body is not None:
                self._compare(body, people)

    @property
    def unknown(self) -> list[str]:
        """Names of bodies that could not be loaded here, so that nothing was compared."""
        return sorted(name for name, body in self._bodies.items() if body is None)

    def _body(self, name: str) -> Body | None:
        if name not in self._bodies:
            try:
                self._bodies[name] = load_body(name)
            except UserError:  # a licensed file that is not here
                self._bodies[name] = None
        return self._bodies[name]

    def _compare(self, body: Body, people: list[tuple[int, int, Person]]) -> None:
        import torch

        weights = body.point_weights(self.joint_set)
        columns = [np.stack([np.asarray(getattr(p, key)) for _, _, p in people]) for key in ("betas", "pose", "transl")]
        betas, pose, transl = (torch.from_numpy(column.astype(np.float32)) for column in columns)
        told = [p.expression for _, _, p in people if p.expression is not None]
        expression = torch.from_numpy(np.stack(told)) if len(told) == len(people) else None
        with torch.no_grad():
            out = body(betas, pose, transl, expression)
            points = weights(out.vertices, out.joints).numpy()
        for (position, number, person), found in zip(people, points, strict=True):
            assert person.keypoints_3d is not None
            apart = np.linalg.norm(found - person.keypoints_3d, axis=1).max()
            self.tally.add(1000 * float(apart), position, number)
