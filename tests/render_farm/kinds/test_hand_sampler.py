"""Scenes of hands: a function of (seed, index) alone, plausible grasps, closed wrists, labels that the body gives back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.hand_draws import OVERLAP_MM, hand_mirrored, overlap
from sim2pose.render_farm.config import BLOCK
from sim2pose.render_farm.kinds.hand.arms import forearm
from sim2pose.render_farm.kinds.hand.config import HandConfig
from sim2pose.render_farm.kinds.hand.hands import PosedHand, Wanted, pose_hands
from sim2pose.render_farm.kinds.hand.objects import MAKERS, make_thing, stack_solids
from sim2pose.render_farm.kinds.hand.pair import check_sides, describe_inputs, load_hands
from sim2pose.render_farm.kinds.hand.sampler import HandSampler
from sim2pose.render_farm.kinds.registry import KINDS, load_render_config
from sim2pose.render_farm.renderers.mesh import _is_closed
from sim2pose.render_farm.scenes.scene import OCCLUDER, Scene

SMALL = {"skin": {"pool": 2, "texture": 256}, "backgrounds": {"pool": 2}}


def _sampler(seed: int = 3, **parts: dict) -> HandSampler:
    scene = {name: {**SMALL.get(name, {}), **parts.get(name, {})} for name in {*SMALL, *parts}}
    config = load_render_config("hand", {"scene": scene, "width": 96, "height": 96, "seed": seed})
    sampler = KINDS["hand"].sampler(config)
    assert isinstance(sampler, HandSampler)
    return sampler


@pytest.fixture(scope="module")
def sampler() -> HandSampler:
    return _sampler(shape={"two": 0.3}, covers={"share": 0.4})


@pytest.fixture(scope="module")
def scenes(sampler: HandSampler) -> list[Scene]:
    return sampler.scenes(32)


def _numbers(scene: Scene) -> list[np.ndarray]:
    camera, lights = scene.camera, scene.lights
    found = [camera.K, camera.R, camera.t, lights.direction, lights.colour, scene.backdrop]
    for person in scene.persons:
        found += [person.betas, person.pose, person.transl, person.keypoints_3d, person.surface.vertices]
    for surface, _ in scene.surfaces():
        found += [surface.vertices, surface.texture]
    return found


def test_a_block_is_a_function_of_seed_and_index(scenes: list[Scene]) -> None:
    other = _sampler(shape={"two": 0.3}, covers={"share": 0.4})
    other.scenes(0)  # another order of work, other pool entries drawn first
    again = other.scenes(32)
    assert len(again) == BLOCK
    for a, b in zip(scenes, again, strict=True):
        assert a.source == b.source and a.sensor == b.sensor
        for x, y in zip(_numbers(a), _numbers(b), strict=True):
            np.testing.assert_array_equal(x, y)
    assert not np.array_equal(_sampler(seed=4).scenes(32)[0].persons[0].pose, scenes[0].persons[0].pose)


def test_the_body_gives_back_vertices_and_points(scenes: list[Scene]) -> None:
    bodies = {side: load_body(f"open-hand-{side}") for side in ("left", "right")}
    seen = set()
    for scene in scenes:
        for person in scene.persons:
            side = person.body.removeprefix("open-hand-")
            out = bodies[side](
                *(torch.from_numpy(np.float32(x))[None] for x in (person.betas, person.pose, person.transl))
            )
            np.testing.assert_allclose(out.vertices[0].numpy(), person.surface.vertices, atol=2e-6)
            np.testing.assert_allclose(out.joints[0].numpy(), person.joints, atol=2e-6)
            points = bodies[side].points(out, "freihand21")[0].numpy()
            np.testing.assert_allclose(points, person.keypoints_3d, atol=2e-6)
            assert person.skeleton == "mano16" and person.pose.shape == (16, 3)
            assert set(np.unique(person.surface.topology.part_ids)) <= set(range(1, 17))
            seen.add((side, len(scene.persons)))
    assert {side for side, _ in seen} == {"left", "right"} and {count for _, count in seen} == {1, 2}


def test_two_hands_are_one_persons(scenes: list[Scene]) -> None:
    pairs = [scene.persons for scene in scenes if len(scene.persons) == 2]
    assert pairs
    for a, b in pairs:
        assert {a.body, b.body} == {"open-hand-left", "open-hand-right"}
        np.testing.assert_array_equal(a.betas, b.betas)
        gap = np.linalg.norm(a.surface.vertices[::5, None] - b.surface.vertices[None, ::5], axis=-1).min()
        assert 0.001 < gap < 0.25, "hands that neither meet nor are far away"


def test_wrists_have_no_hole(sampler: HandSampler, scenes: list[Scene]) -> None:
    for tailor in sampler.tailors.values():
        assert _is_closed(tailor._both.faces.astype(np.int64)), "hand and forearm together have an open edge"
    for scene in scenes:
        arms = [s for s in scene.occluders if s.topology.name.startswith("forearm")]
        assert len(arms) >= len(scene.persons)
        for person, arm in zip(scene.persons, arms, strict=False):
            ring = sampler.tailors[person.body.removeprefix("open-hand-")].ring
            np.testing.assert_array_equal(person.surface.vertices[ring], arm.vertices[: len(ring)])
            assert person.surface.normals is not None and arm.normals is not None
            np.testing.assert_array_equal(person.surface.normals[ring], arm.normals[: len(ring)])


def test_arms_leave_the_picture(sampler: HandSampler) -> None:
    """The end of an arm is a flat cap; nearly no picture may show one."""
    shown, count = 0, 0
    for start in (64, 96):
        for scene in sampler.scenes(start):
            camera = scene.camera
            for arm in (s for s in scene.occluders if s.topology.name.startswith("forearm")):
                end = arm.vertices[-20:] @ camera.R.T + camera.t
                pixels = end[:, :2] / np.maximum(end[:, 2:], 0.01) * camera.K[0, 0] + camera.K[:2, 2]
                inside = (end[:, 2] > 0.02) & (pixels > 0).all(1) & (pixels < (camera.width, camera.height)).all(1)
                shown, count = shown + bool(inside.any()), count + 1
    assert shown <= 0.03 * count, f"{shown} of {count} arms end in the picture"


def _held(sampler: HandSampler, kinds: list[str]) -> list[PosedHand]:
    wanted = []
    for k, kind in enumerate(kinds):
        rng, side = np.random.default_rng([7, k]), ("left", "right")[k // len(MAKERS) % 2]
        betas = sampler.models[side].body.sample_betas(rng, 1, (48, 960))[0]
        wanted.append(Wanted(k, side, betas, rng, kind))
    with torch.no_grad():
        return pose_hands(sampler.models, sampler.config, wanted, sampler.counts)


def test_fingers_close_round_things(sampler: HandSampler) -> None:
    hands = _held(sampler, list(MAKERS) * 4)
    holding = [hand for hand in hands if hand.thing is not None]
    assert len(holding) >= 0.8 * len(hands)
    assert len({hand.thing.kind for hand in holding if hand.thing}) >= len(MAKERS)
    for hand in holding:
        assert hand.thing is not None and hand.turn is not None and hand.place is not None
        np.testing.assert_allclose(hand.turn @ hand.turn.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(hand.turn) > 0
        local = (hand.vertices - hand.place) @ hand.turn
        distance = stack_solids([hand.thing]).distance(local[None])[0]
        assert distance.min() > -sampler.config.grasp.penetration - 0.0015, "every other vertex was looked at"
        owner = sampler.models[hand.side].owner
        touching = {(k - 1) // 3 for k in owner[(distance < 0.004) & (owner > 0)]}
        assert 4 in touching and len(touching) >= 2, "the thumb and a finger are on it"


def test_a_grasp_that_sinks_in_is_not_taken() -> None:
    strict = _sampler(grasp={"penetration": 1e-6})
    hands = _held(strict, ["mug"] * 6)
    assert sum(hand.thing is not None for hand in hands) <= 1
    assert strict.counts["grasps_rejected"] >= 5 and strict.counts["grasps_given_up"] >= 5
    free = np.stack([hand.pose.ravel() for hand in hands if hand.thing is None])
    sides = np.array([hand.side == "left" for hand in hands if hand.thing is None])
    assert overlap(np.where(sides[:, None], hand_mirrored(free), free)).max() <= OVERLAP_MM + 1e-6


@pytest.mark.parametrize("kind", list(MAKERS))
def test_things_are_closed_meshes_of_their_solids(kind: str) -> None:
    for seed in range(3):
        thing = make_thing(np.random.default_rng(seed), kind, 1.0)
        corner = thing.vertices[thing.topology.faces]
        volume = np.einsum("ij,ij->i", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])).sum() / 6
        assert 3e-6 < volume < 1e-3, "faces look outwards"
        assert np.all(thing.topology.part_ids == OCCLUDER)
        inside = stack_solids([thing]).distance(np.array([s.centre for s in thing.solids])[None])
        assert inside.max() < 0
        reflected = thing.vertices * (-1, 1, 1)
        gap = np.abs(reflected[:, None] - thing.vertices[None]).max(-1).min(1).max()
        assert gap < 0.002, "left hands hold the mirrored thing"


def test_a_change_of_one_subsystem_leaves_the_others(sampler: HandSampler, scenes: list[Scene]) -> None:
    changed = _sampler(
        shape={"two": 0.3}, covers={"share": 0.4}, lights={"kelvin": [3000, 3100]}, sensor={"severity": 3.0}
    )
    for a, b in zip(scenes, changed.scenes(32), strict=True):
        np.testing.assert_array_equal(a.camera.R, b.camera.R)
        np.testing.assert_array_equal(a.persons[0].surface.vertices, b.persons[0].surface.vertices)
    assert any(not np.array_equal(a.lights.colour, b.lights.colour) for a, b in pairwise(scenes))


def test_forearms_are_never_thinner_than_their_wrist(sampler: HandSampler) -> None:
    hand = _held(sampler, ["ball"])[0]
    from sim2pose.render_farm.kinds.hand.arms import Arm

    tailor = sampler.tailors[hand.side]
    arm = Arm(hand.vertices[tailor.ring] * tailor.model.mirror, np.radians([35.0, -10.0]), hand.scale)
    count = len(tailor.ring)
    rings = forearm(arm, 0.25)[:-1].reshape(-1, count, 3)
    widths = np.linalg.norm(rings - rings.mean(1, keepdims=True), axis=-1).max(1)
    assert widths.min() > 0.9 * widths[0] and widths[-1] > 1.2 * widths[0]


def test_wrong_configs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"grasp\.objects"):
        load_render_config("hand", {"scene": {"grasp": {"objects": {"holds_nothing": 1.0}}}})
    with pytest.raises((UserError, ValidationError), match=r"\{side\}"):
        HandConfig(body="open-hand-left", out=tmp_path)
    bodies, infant = load_hands(HandConfig(out=tmp_path)), load_body("open-infant")
    with pytest.raises(UserError, match="other side"):
        check_sides({"left": bodies["right"], "right": bodies["left"]})
    with pytest.raises(UserError, match="MANO"):
        HandSampler(HandConfig(out=tmp_path).scene, {"left": infant, "right": infant}, 0)
    with pytest.raises(UserError, match="nose"):
        describe_inputs(HandConfig(out=tmp_path, joint_sets=("coco17",)))


def test_cameras_look_down_on_desks() -> None:
    desks = _sampler(
        backgrounds={"places": {"desk": 1.0}}, camera={"views": {"allocentric": 1.0}, "elevation": [-15.0, 0.0]}
    )
    for scene in desks.scenes(0):
        assert scene.ground is not None and scene.camera.position[1] > scene.persons[0].joints[:, 1].min()
        assert np.degrees(np.arcsin(-scene.camera.R[2, 1])) == pytest.approx(14, abs=0.01)
