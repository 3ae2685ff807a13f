"""Hands in the world as surfaces: skin, forearm, sleeve and what they hold, and the labelled ones as persons."""

from __future__ import annotations

import cv2
import numpy as np

from ...scenes.scene import Camera, PersonInScene, Surface
from .arms import REACH
from .composing import Placed
from .dressing import CLOTHS, Tailor, Wardrobe, held, screen
from .placing import way_out
from .shade import reaching, spheres


class Showing:
    """Makes the surfaces of one job's hands.

    Args:
        tailors: by side. wardrobe: surfaces of cloth and things. seed: of the job.
    """

    def __init__(self, tailors: dict[str, Tailor], wardrobe: Wardrobe, seed: int) -> None:
        self.tailors, self.wardrobe, self.seed = tailors, wardrobe, seed

    def surfaces(
        self, rng: np.random.Generator, placed: list[Placed], labelled: int, camera: Camera
    ) -> tuple[list[PersonInScene], list[Surface]]:
        """Labelled hands and everything else that is drawn, shaded by each other.

        Args:
            rng: of surfaces. labelled: the first so many hands have labels.
        """
        balls = [spheres(each.hand.joints, each.hand.tips, each.hand.scale) for each in placed]
        centres = np.concatenate([each.world(c) for each, (c, _) in zip(placed, balls, strict=True)])
        radii = np.concatenate([r for _, r in balls])
        persons: list[PersonInScene] = []
        others: list[Surface] = []
        for number, each in enumerate(placed):
            tailor, hand = self.tailors[each.hand.side], each.hand
            length = self._length(each, camera)
            body, forearm = tailor.bare(hand, each.arm, length, each.turn, each.place, number >= labelled)
            body.texture, forearm.texture = each.skin.textures[hand.side], each.skin.arm
            body.specular = forearm.specular = each.skin.specular
            surfaces = [forearm, *tailor.worn(each.arm, each.wear, length, each.turn, each.place, self.wardrobe)]
            if hand.thing is not None:
                own = np.random.default_rng([self.seed, int(rng.integers(CLOTHS))])
                texture = (
                    screen(own) if hand.thing.kind == "phone" else self.wardrobe.surface(int(rng.integers(CLOTHS)))
                )
                thing = held(hand, each.turn, each.place, texture)
                surfaces.append(thing)
            assert body.normals is not None
            body.shade = reaching(body.vertices, body.normals, centres, radii)
            if number < labelled:
                persons.append(self._person(each, body))
            else:
                surfaces.append(body)
            others += surfaces
        return persons, others

    def _length(self, placed: Placed, camera: Camera) -> float:
        """Length of a forearm that has left the picture at its end."""
        mirror = self.tailors[placed.hand.side].model.mirror
        direction = placed.turn @ (placed.arm.direction() * mirror)
        start = placed.world((placed.arm.border.mean(0) * mirror)[None])[0]
        longest = REACH * placed.hand.scale
        wide = 0.055 * placed.hand.scale
        return max(way_out(camera, start, direction, wide, longest) + 0.01, 0.03)

    def _person(self, placed: Placed, body: Surface) -> PersonInScene:
        hand = placed.hand
        orient = cv2.Rodrigues(placed.turn)[0].T
        return PersonInScene(
            surface=body,
            keypoints_3d=placed.world(hand.keypoints),
            joints=placed.world(hand.joints),
            betas=hand.betas,
            pose=np.concatenate([orient, hand.pose]),
            transl=placed.place - hand.root,
            body=self.tailors[hand.side].model.body.name,
            skeleton="mano16",
        )
