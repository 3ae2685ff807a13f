"""What lies on and round the infants of a scene: bedding and furniture, toys, leads, a pacifier, adults' arms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...looks.bodymap import BodyMap
from ...scenes import occluders as things
from ...scenes.backgrounds import Backgrounds
from ...scenes.config import OccluderConfig
from ...scenes.scene import Camera, Ground, Surface
from .people import Infant


class Surroundings:
    """Draws what surrounds the infants of one job."""

    def __init__(self, config: OccluderConfig, body: BodyMap, backgrounds: Backgrounds, seed: int) -> None:
        self.config, self.backgrounds = config, backgrounds
        self.toys = things.Toys(seed)

    def around(
        self,
        streams: Mapping[str, np.random.Generator],
        camera: Camera,
        view: str,
        infants: list[Infant],
        ground: Ground | None,
    ) -> list[Surface]:
        """The occluders of one scene.

        Args:
            streams: a generator for each kind of things, so that a change to one moves no other.
        """
        config, first = self.config, infants[0]
        rng, joints = streams["occluders"], np.asarray(first.person.joints)
        blanket = rng.random() < config.blanket and first.lying
        toy, rail = rng.random() < config.toy, rng.random() < config.rail and view != "above"
        low = float(joints[20:24, 1].min()) < 0.8 * float(joints[9, 1])  # hands below the chest: nothing hides behind
        table = rng.random() < config.support and first.plan.table.flat_feet and low
        cloth, look = int(rng.integers(config.pool)), int(rng.integers(config.pool))
        surfaces: list[Surface] = []
        if table:
            surfaces.append(things.table(rng, joints, self.toys.texture(look)))
        if blanket or toy:
            vertices = np.concatenate([infant.person.surface.vertices for infant in infants])
            bumps = things.height_map(vertices)
            if blanket:
                feet = joints[[7, 8]].mean(0)
                texture = self.backgrounds.cloth(cloth).texture
                surfaces.append(things.drape_blanket(rng, config, bumps, feet, joints[15], texture))
            else:
                surfaces.append(things.place_toy(rng, config, bumps, joints, self.toys.texture(look), first.lying))
        if rail:
            surfaces += things.cot_rail(rng, camera, joints[0], self.toys.texture(look))
        return surfaces
