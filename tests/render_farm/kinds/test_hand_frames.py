"""The whole way of hand frames, in both renderers that every machine can have: masks, visibility, and what the body says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
import torch

from sim2pose.config import UserError
from sim2pose.datasets.frames import Frame
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.models.geometry import distort
from sim2pose.render_farm.kinds.frames import SceneFrames, render_info
from sim2pose.render_farm.kinds.registry import load_render_config
from sim2pose.render_farm.labels import decode_png, label_person
from sim2pose.render_farm.renderers import make_renderer
from sim2pose.render_farm.scenes.scene import OCCLUDER, Scene, Surface, Topology

SETS = ("freihand21", "mano21", "mano16")
SMALL = {
    "skin": {"pool": 2, "texture": 256},
    "backgrounds": {"pool": 2},
    "covers": {"share": 0.3},
    "shape": {"two": 0.3},
}


@pytest.fixture(scope="module", params=["raycast", "opengl"])
def maker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SceneFrames]:
    try:
        make_renderer(request.param).close()
    except UserError as error:
        pytest.skip(str(error))
    values = {"renderer": request.param, "scene": SMALL, "depth": True, "width": 128, "height": 112, "seed": 5}
    config = load_render_config("hand", {**values, "joint_sets": list(SETS)})
    maker = SceneFrames(config.model_copy(update={"out": tmp_path_factory.mktemp("hand")}))
    yield maker
    maker.close()


@pytest.fixture(scope="module")
def frames(maker: SceneFrames) -> list[Frame]:
    return list(maker.frames(0, 32))


@pytest.fixture(scope="module")
def bodies() -> dict[str, Body]:
    return {f"open-hand-{side}": load_body(f"open-hand-{side}") for side in ("left", "right")}


def _pixels(points: np.ndarray, frame: Frame) -> np.ndarray:
    assert frame.camera is not None
    lens = np.zeros(5) if frame.distortion is None else frame.distortion
    return distort(points[:, :2] / points[:, 2:], lens) @ frame.camera[:2, :2].T + frame.camera[:2, 2]


def test_labels_close_the_loop(frames: list[Frame], bodies: dict[str, Body]) -> None:
    """Parameters of the labels, through the body and the camera: on the hand's mask, and on its keypoints to 0.1 px."""
    for frame in frames:
        assert frame.parts is not None
        parts = decode_png(frame.parts)
        assert simplejpeg.decode_jpeg(frame.image).std() > 2
        for person in frame.persons:
            assert (person.keypoints.shape, person.pose.shape, person.body) == ((21, 3), (48,), person.body)
            assert person.more_keypoints is not None and person.more_keypoints.shape == (21 + 16, 3)
            body = bodies[person.body]
            out = body(*(torch.from_numpy(x)[None] for x in (person.betas, person.pose, person.transl)))
            points = body.points(out, "freihand21")[0].numpy()
            np.testing.assert_allclose(points, person.keypoints_3d, atol=1e-5)
            inside = person.keypoints[:, 2] > 0
            np.testing.assert_allclose(_pixels(points, frame)[inside], person.keypoints[inside, :2], atol=0.1)
            at = np.round(_pixels(out.vertices[0].numpy(), frame)).astype(int)
            at = at[(at >= 1).all(1) & (at < (frame.width - 1, frame.height - 1)).all(1)]
            near = cv2.dilate(
                (parts > 0).astype(np.uint8), np.ones((3, 3), np.uint8)
            )  # a vertex on the outline may round off
            assert near[at[:, 1], at[:, 0]].mean() > 0.995
            assert 0 < person.area <= np.isin(parts, np.arange(1, 17)).sum()


def test_visible_keypoints_lie_on_the_hand(frames: list[Frame]) -> None:
    visible, on_hand, hidden = 0, 0, 0
    for frame in frames:
        assert frame.parts is not None
        hand = cv2.dilate(
            np.isin(decode_png(frame.parts), np.arange(1, 17)).astype(np.uint8), np.ones((3, 3), np.uint8)
        )
        for person in frame.persons:
            seen = person.keypoints[person.keypoints[:, 2] == 2]
            at = np.round(seen[:, :2]).astype(int)
            on_hand += int(hand[at[:, 1], at[:, 0]].sum())
            visible += len(seen)
            hidden += int((person.keypoints[:, 2] == 1).sum())
    assert visible > 150 and hidden > 60
    assert on_hand > 0.985 * visible


def test_a_card_before_the_hand_hides_it(maker: SceneFrames) -> None:
    """Cards and phones are thinner than the margin that clothed bodies need: hands have one of their own."""
    scene: Scene = next(scene for scene in maker._sampler.scenes(0) if len(scene.persons) == 1)
    alone, renderer = replace(scene, occluders=[], ground=None), maker._renderer
    person, camera = scene.persons[0], scene.camera
    seen = person.surface.vertices @ camera.R.T + camera.t
    z = float(seen[:, 2].min()) - 0.002
    flat = seen[:, :2] / seen[:, 2:] * z
    (left, top), (right, bottom) = flat.min(0) - 0.01, flat.max(0) + 0.01
    corners = np.array([(left, top, z), (right, top, z), (right, bottom, z), (left, bottom, z)])
    faces = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    topology = Topology("test-card", faces, np.zeros((4, 2), np.float32), faces, np.full(2, OCCLUDER, np.uint8), True)
    vertices = ((corners - camera.t) @ camera.R).astype(np.float32)
    covered = replace(alone, occluders=[Surface(topology, vertices, np.full((4, 4, 3), 99, np.uint8))])
    first, after = (label_person(each, 0, renderer.render(each), SETS) for each in (alone, covered))
    assert first is not None and (first.keypoints[:, 2] == 2).sum() > 5
    shown = 0 if after is None else int((after.keypoints[:, 2] == 2).sum())
    near = int((seen[:, 2].min() + 0.006 > (person.keypoints_3d[:21] @ camera.R.T + camera.t)[:, 2]).sum())
    assert shown <= near, f"{shown} keypoints are said to be visible through a card"


def test_arms_and_things_are_no_part_of_the_hand(frames: list[Frame]) -> None:
    shares = []
    for frame in frames:
        assert frame.parts is not None
        parts = decode_png(frame.parts)
        assert set(np.unique(parts)) <= {*range(17), OCCLUDER}
        shares.append(float((parts == OCCLUDER).mean()))
    assert np.mean(np.array(shares) > 0.01) > 0.9, "nearly every picture shows an arm"


def test_a_frame_depends_on_its_index_alone(maker: SceneFrames, frames: list[Frame]) -> None:
    list(maker.frames(32, 33))
    again = next(iter(maker.frames(0, 1)))
    assert (again.image, again.parts, again.depth) == (frames[0].image, frames[0].parts, frames[0].depth)
    np.testing.assert_array_equal(again.persons[0].pose, frames[0].persons[0].pose)


def test_info_names_both_hands(tmp_path: Path) -> None:
    config = load_render_config("hand", {"out": tmp_path})
    info = render_info(config)
    assert {"body_left_digest", "body_right_digest"} <= set(info.config)
    assert "CC0" in info.licence
