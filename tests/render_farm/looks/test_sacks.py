"""Bags and skirts: nothing that is in them pokes through, whatever the pose."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.config import load_config
from sim2pose.models.bodies import load_body
from sim2pose.render_farm.kinds.infant.config import InfantScene
from sim2pose.render_farm.kinds.infant.people import Infant, People
from sim2pose.render_farm.looks.sacks import COLUMNS, RINGS, fits, sack_content, sack_topology, span_sack

SMALL = {"wardrobe": {"pool": 3}, "skin": {"pool": 2}}


def _people(cut: str) -> People:
    scene = {**SMALL, "wardrobe": {"pool": 3, "cuts": {cut: 1.0}}, "poses": {"postures": {"supine": 1, "side": 1}}}
    return People(load_config(InfantScene, None, scene), load_body("open-infant"), 3, ("coco17",))


def _block(people: People) -> list[Infant]:
    looks = [people.looks.look(np.random.default_rng([3, k])) for k in range(32)]
    return people.block(range(32), looks)


@pytest.fixture(scope="module")
def sacks() -> People:
    return _people("sleep_sack")


def _inside(points: np.ndarray, mesh: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Winding numbers (P,) of points about a mesh, 1 inside of it."""
    a, b, c = (mesh[faces[:, k]][None] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
    volume = np.einsum("pfi,pfi->pf", a, np.cross(b, c))
    ab, bc, ca = (np.einsum("pfi,pfi->pf", x, y) for x, y in ((a, b), (b, c), (c, a)))
    return np.arctan2(volume, la * lb * lc + ab * lc + bc * la + ca * lb).sum(1) / (2 * np.pi)


def test_legs_stay_within_the_bag(sacks: People) -> None:
    worn = 0
    for infant in _block(sacks)[:16]:
        person = infant.person
        if not person.layers:
            continue
        worn += 1
        (bag,) = person.layers
        legs = np.isin(sacks.map.vertices.joint, (4, 5, 7, 8, 10, 11))
        points = person.surface.vertices[legs][::29]
        points = points[points[:, 1] > 0.004]  # what sinks into the mattress lies beneath the bag, too
        lid = np.array([[0, k + 1, k] for k in range(1, COLUMNS - 2)])  # closes it at the waist
        around = np.abs(_inside(points, bag.vertices, np.concatenate([bag.topology.faces, lid])))
        assert np.mean(around > 0.5) > 0.99, "legs and feet lie inside"
        assert np.isfinite(bag.vertices).all() and bag.vertices[:, 1].min() > 0
        assert np.ptp(bag.vertices, axis=0).max() < 0.75, "a bag of an infant's size"
    assert worn >= 4, "most lying infants can wear one"


def test_bags_carry_body_parts_and_need_legs_together(sacks: People) -> None:
    topology = sack_topology("test-sack")
    assert set(np.unique(topology.part_ids)) == {1, 2, 3, 5, 6, 8, 9}
    assert topology.vertex_count == (RINGS + 1) * COLUMNS
    joints = sacks.map.joints.copy()
    assert fits(joints, sacks.map.height)
    joints[7, 0] += 0.5 * sacks.map.height
    assert not fits(joints, sacks.map.height), "not astride"


def test_a_bag_follows_the_body(sacks: People) -> None:
    content, rim = sack_content(sacks.map.vertices)
    rest, joints = sacks.map.vertices.position, sacks.map.joints
    shift = np.array([0.3, 0.2, -0.1], np.float32)
    high = np.float32([0, 1, 0])  # off the ground, which would flatten it
    here = span_sack(rest + high, joints + high, content, rim, 1.0)
    there = span_sack(rest + high + shift, joints + high + shift, content, rim, 1.0)
    np.testing.assert_allclose(here + shift, there, atol=1e-5)


def test_thighs_do_not_poke_through_skirts() -> None:
    people = _people("dress")
    thighs = [np.flatnonzero(people.map.vertices.joint == k) for k in (1, 2)]
    for infant in _block(people)[:12]:
        person = infant.person
        (skirt,) = person.layers
        outer = skirt.vertices[: len(skirt.vertices) // 2]
        for (hip, knee), flesh in zip(((1, 4), (2, 5)), thighs, strict=True):
            line = person.joints[knee] - person.joints[hip]
            length = np.linalg.norm(line)
            line = line / length

            def tube(points: np.ndarray, start: np.ndarray, line: np.ndarray = line) -> tuple[np.ndarray, np.ndarray]:
                along = (points - start) @ line
                return along, np.linalg.norm(points - start - along[:, None] * line, axis=1)

            skin_along, girth = tube(person.surface.vertices[flesh], person.joints[hip])
            typical = np.median(girth[(skin_along > 0.3 * length) & (skin_along < 0.9 * length)])
            along, distance = tube(outer, person.joints[hip])
            near = (along > 0.35 * length) & (along < 0.9 * length)
            assert np.mean(distance[near] > 0.8 * typical) > 0.97, (
                "but between thighs that touch, none runs through the flesh"
            )
