"""The whole way of a frame with the real body, sampler and renderer: small pictures, small pools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from sim2pose.config import UserError
from sim2pose.datasets.frames import Frame
from sim2pose.datasets.manifest import read_manifest
from sim2pose.datasets.shards import FramesFolder
from sim2pose.models.bodies import load_body
from sim2pose.models.geometry import distort
from sim2pose.render_farm.kinds.frames import SceneFrames, render_info, render_job
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.kinds.registry import Inputs
from sim2pose.render_farm.render import render

POOLS = {
    "wardrobe": {"pool": 2, "texture": 256},
    "skin": {"pool": 2},
    "backgrounds": {"pool": 2, "texture": 256},
    "lens": {"distorted": 0.4, "panned": 0.3},
    "twins": 0.0,
}


def make_config(out: Path, **changes: object) -> InfantConfig:
    values = {"frames": 40, "shard_frames": 32, "width": 64, "height": 48, "renderer": "raycast", "scene": POOLS}
    return InfantConfig.model_validate({**values, "depth": True, "out": out, **changes})


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> InfantConfig:
    return make_config(tmp_path_factory.mktemp("infant") / "frames")


@pytest.fixture(scope="module")
def maker(config: InfantConfig) -> Iterator[SceneFrames]:
    with threadpool_limits(2, "blas"):  # whatever the environment says
        threads = torch.get_num_threads(), cv2.getNumThreads(), blas_threads()
        assert set(threads[2]) == {2}
        maker = SceneFrames(config)
        assert torch.get_num_threads() == cv2.getNumThreads() == 1
        assert set(blas_threads()) == {1}
        yield maker
        maker.close()
        assert (torch.get_num_threads(), cv2.getNumThreads(), blas_threads()) == threads


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture(scope="module")
def frames(config: InfantConfig) -> list[Frame]:
    render(config, progress=False)
    return list(FramesFolder.open(config.out, joint_set="coco17", verify=True).iterate())


def test_frames_are_labelled_pictures(frames: list[Frame]) -> None:
    assert [frame.frame_id for frame in frames] == list(range(40))
    visible = 0
    for frame in frames:
        picture = simplejpeg.decode_jpeg(frame.image)
        assert picture.shape == (48, 64, 3) == (frame.height, frame.width, 3)
        assert picture.std() > 3, "a blank picture"
        assert frame.parts is not None
        assert frame.depth is not None
        parts = cv2.imdecode(np.frombuffer(frame.parts, np.uint8), cv2.IMREAD_UNCHANGED)
        depth = cv2.imdecode(np.frombuffer(frame.depth, np.uint8), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16
        body = (parts >= 1) & (parts <= 24)
        for person in frame.persons:
            assert person.area == body.sum()
            rows, columns = np.nonzero(body)
            box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
            assert tuple(person.bbox) == box
            assert (depth[body] > 0).all()
            visible += int((person.keypoints[:, 2] == 2).sum())
    assert visible > 40 * 4


def test_parameters_give_the_body_in_the_camera_frame(frames: list[Frame]) -> None:
    body = load_body("open-infant")
    for frame in frames[::7]:
        for person in frame.persons:
            parameters = (torch.from_numpy(v)[None] for v in (person.betas, person.pose, person.transl))
            with torch.no_grad():
                keypoints = body(*parameters).keypoints[0].numpy()
            np.testing.assert_allclose(keypoints, person.keypoints_3d, atol=2e-4)
            rays = keypoints[:, :2] / keypoints[:, 2:]
            rays = rays if frame.distortion is None else distort(rays, frame.distortion)
            uv = rays @ frame.camera[:2, :2].T + frame.camera[:2, 2]
            inside = person.keypoints[:, 2] > 0
            np.testing.assert_allclose(uv[inside], person.keypoints[inside, :2], atol=0.1)
    assert any(frame.distortion is not None for frame in frames[::7])


def test_a_frame_depends_on_its_index_alone(frames: list[Frame], maker: SceneFrames) -> None:
    """Drawn by another maker, in another order, at the head of a range: the same bytes."""
    again = [*maker.frames(32, 36), *maker.frames(0, 2)]
    for frame, first in zip(again, [*frames[32:36], *frames[0:2]], strict=True):
        assert (frame.frame_id, frame.parts, frame.depth, frame.image) == (
            *(first.frame_id, first.parts, first.depth, first.image),
        )
        for mine, theirs in zip(frame.persons, first.persons, strict=True):
            assert mine.keypoints.tobytes() == theirs.keypoints.tobytes()
            assert mine.pose.tobytes() == theirs.pose.tobytes()


def test_continuing_needs_the_same_content_only(config: InfantConfig, frames: list[Frame]) -> None:
    finished = config.model_copy(update={"workers": 3, "deadline_s": 7.0, "max_attempts": 2})
    assert render(finished, progress=False).num_frames == 40  # nothing to do, so no Ray either
    other = InfantConfig.model_validate({**config.model_dump(), "scene": {**POOLS, "sensor": {"jpeg": [50, 60]}}})
    with pytest.raises(UserError, match=r"scene.sensor.jpeg is \[72, 96\] there, \[50, 60\] is asked"):
        render(other, progress=False)


def test_another_body_on_a_node_is_refused(config: InfantConfig) -> None:
    with pytest.raises(UserError, match=r"body of this infant job on .* is not the driver's"):
        SceneFrames(config, inputs=Inputs({"body": "0123456789abcdef"}))


def test_info_names_what_determines_the_frames(config: InfantConfig, frames: list[Frame]) -> None:
    info = read_manifest(config.out).info
    assert info == render_info(config)
    assert info.config["renderer"] == "raycast"
    assert len(info.config["body_digest"]) == 16
    assert not {"out", "workers", "frames"} & set(info.config)
    assert info.licence


def test_auto_is_settled_before_the_run(tmp_path: Path) -> None:
    assert render_job(make_config(tmp_path, renderer="auto")).info.config["renderer"] in ("opengl", "raycast")
    with pytest.raises(UserError, match="open-infnat"):
        render_job(make_config(tmp_path, body="open-infnat"))
