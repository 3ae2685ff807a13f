"""What lies on and round the infants of a scene: bedding and furniture, toys, leads, a pacifier, adults' arms."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...looks.bodymap import BodyMap
from ...scenes.arms import Arms
from ...scenes.backgrounds import Backgrounds, Setting
from ...scenes.cloths import HeightMap, drape_blanket, height_map
from ...scenes.clutter import Heaps
from ...scenes.config import OccluderConfig
from ...scenes.cots import Woods, cot, mattress_edge, nest
from ...scenes.leads import Mouths, lead
from ...scenes.occluders import cot_rail, table
from ...scenes.scene import Camera, Surface
from ...scenes.toys import Toys, place_toy
from .people import Infant

Rng = np.random.Generator
_FEET = (7, 8)
_THIN = 0.018  # metres, of mats and rugs
_LEGS_DOWN = 0.15  # metres: knees and ankles above that carry no blanket


class Around:
    """One scene, as far as it is known before anything is laid round the infants."""

    def __init__(self, camera: Camera, view: str, infants: list[Infant], setting: Setting) -> None:
        self.camera, self.view, self.infants = camera, view, infants
        self.ground, self.bedding = setting.ground, setting.bedding
        self.first = infants[0]
        self.joints: NDArray[np.floating] = np.asarray(self.first.person.joints)
        self.covered = False  # by a blanket

    @cached_property
    def vertices(self) -> NDArray[np.float32]:
        """(V, 3) of all infants and their wide garments."""
        surfaces = [s for infant in self.infants for s in (infant.person.surface, *infant.person.layers)]
        return np.concatenate([surface.vertices for surface in surfaces])

    @cached_property
    def bumps(self) -> HeightMap:
        """Heights of all infants over the bed."""
        return height_map(self.vertices)


class Surroundings:
    """Draws what surrounds the infants of one job; pools hang on (seed, entry).

    Args:
        config: the ranges. body: the infants' body. backgrounds: whose cloths make blankets and cushions.
    """

    def __init__(self, config: OccluderConfig, body: BodyMap, backgrounds: Backgrounds, seed: int) -> None:
        self.config, self.backgrounds = config, backgrounds
        self.toys, self.woods, self.heaps = Toys(seed), Woods(seed), Heaps(seed)
        self.arms, self.mouths = Arms(config, seed), Mouths(body)

    def around(
        self,
        streams: Mapping[str, Rng],
        camera: Camera,
        view: str,
        infants: list[Infant],
        setting: Setting,
    ) -> list[Surface]:
        """The occluders of one scene.

        Args:
            streams: a generator for each kind of things, so that a change to one moves no other.
            setting: what they lie on and before.
        """
        scene = Around(camera, view, infants, setting)
        return [
            *self._things(streams["occluders"], scene),
            *self._furniture(streams["furniture"], scene),
            *self._clutter(streams["clutter"], scene),
            *self._leads(streams["leads"], scene),
            *(
                self.arms.reach(streams["arms"], camera, scene.bumps, scene.joints)
                if self._arms(streams["arms"])
                else []
            ),
        ]

    def _arms(self, rng: Rng) -> bool:
        return bool(rng.random() < self.config.arms)

    def _things(self, rng: Rng, scene: Around) -> list[Surface]:
        """A table to stand at, a blanket or a toy, single bars."""
        config, first, joints = self.config, scene.first, scene.joints
        legs_down = float(joints[[4, 5, 7, 8], 1].max()) < _LEGS_DOWN  # others have kicked it off
        blanket = rng.random() < config.blanket and first.lying and legs_down
        toy, rail = rng.random() < config.toy, rng.random() < config.rail and scene.view != "above" and scene.bedding
        low = float(joints[20:24, 1].min()) < 0.8 * float(joints[9, 1])  # hands below the chest: nothing hides behind
        stands = rng.random() < config.support and first.plan.table.flat_feet and low
        cloth, look = int(rng.integers(config.pool)), int(rng.integers(config.pool))
        more = rng.random() < config.more_toys
        surfaces: list[Surface] = []
        if stands:
            surfaces.append(table(rng, joints, self.woods.texture(look)))
        scene.covered = blanket
        if blanket:
            feet, texture = joints[list(_FEET)].mean(0), self.backgrounds.cloth(cloth).texture
            surfaces.append(drape_blanket(rng, config, scene.bumps, feet, joints[15], texture))
        elif toy:
            for number in range(2 if more else 1):
                texture = self.toys.texture((look + number) % config.pool)
                surfaces.append(place_toy(rng, config, scene.bumps, joints, texture, first.lying))
        if rail:
            surfaces += cot_rail(rng, scene.camera, joints[0], scene.ground, self.woods.texture(look))
        return surfaces

    def _furniture(self, rng: Rng, scene: Around) -> list[Surface]:
        """The edge of the mattress, a cot round it, or a nest round those who lie."""
        config, ground, joints = self.config, scene.ground, scene.joints
        edge, thickness = rng.random() < config.edge, rng.uniform(*config.thickness)
        caged, nested, basket = rng.random() < config.cot, rng.random() < config.nest, rng.random() < 0.4
        wood, cloth = (int(rng.integers(config.pool)) for _ in range(2))
        surfaces: list[Surface] = []
        bounded, caged = ground is not None and ground.half_size is not None, caged and scene.bedding
        if not scene.bedding:  # mats and rugs are thin
            thickness = min(thickness, _THIN)
        if ground is not None and bounded and (edge or caged):
            surfaces.append(mattress_edge(ground, max(thickness, 0.06) if caged else thickness))
        if ground is not None and bounded and caged:
            surfaces.append(cot(rng, config, scene.camera, ground, self.woods.texture(wood)))
        elif nested and not scene.covered and all(infant.lying for infant in scene.infants):
            long = joints[15] - joints[list(_FEET)].mean(0)
            texture = self.backgrounds.cloth(cloth).texture
            surfaces += nest(rng, scene.vertices, long, texture, basket)
        return surfaces

    def _clutter(self, rng: Rng, scene: Around) -> list[Surface]:
        """A cushion or cloth beside them."""
        if rng.random() >= self.config.clutter:
            return []
        texture = self.backgrounds.cloth(int(rng.integers(self.config.pool))).texture
        return self.heaps.beside(rng, scene.bumps, scene.vertices, texture)

    def _leads(self, rng: Rng, scene: Around) -> list[Surface]:
        """Leads from chest or foot, and pacifiers."""
        config, surfaces = self.config, list[Surface]()
        wired, count = rng.random() < config.leads, int(rng.integers(1, 4))
        if wired and scene.first.lying:
            chest = scene.first.plan.posture == "supine" and rng.random() < 0.7
            away, foot = rng.uniform(-np.pi, np.pi), _FEET[int(rng.integers(2))]
            origin = scene.joints[9 if chest else foot][[0, 2]]
            for _ in range(count if chest else 1):
                start = origin + rng.normal(0, 0.022 if chest else 0.004, 2)
                surfaces.append(lead(rng, scene.bumps, start, away + rng.normal(0, 0.2), chest))
        for infant in scene.infants:
            look, worn = int(rng.integers(config.pool)), rng.random() < config.pacifier
            if worn:
                surfaces.append(self.mouths.pacifier(infant.person.surface.vertices, self.toys.texture(look)))
        return surfaces
