"""Clips from config to frames: alignment, determinism, the closed loop, tracks over time, small pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch
from pydantic import ValidationError

from sim2pose.config import UserError
from sim2pose.datasets.clips import ClipFolder, world_parameters
from sim2pose.datasets.frames import Frame
from sim2pose.models.bodies import load_body
from sim2pose.models.geometry import project
from sim2pose.render_farm.kinds.clip.beside import APART, OFF_CAMERA
from sim2pose.render_farm.kinds.clip.config import ClipConfig
from sim2pose.render_farm.kinds.clip.sampler import ClipSampler, make_sampler
from sim2pose.render_farm.kinds.frames import SceneFrames
from sim2pose.render_farm.kinds.registry import load_render_config
from sim2pose.render_farm.preview.clips import show_clip
from sim2pose.render_farm.preview.media import count_frames
from sim2pose.render_farm.render import render
from sim2pose.render_farm.scenes.scene import Scene

SCENE = {"looks": {"outfits": 10, "heads": 10, "texture": 256}, "second": 1.0, "props": {"count": (2, 2)}}


def make_config(out: Path = Path("unused"), **changes: object) -> ClipConfig:
    values = {"frames": 160, "shard_frames": 96, "clip_frames": 64, "width": 96, "height": 72, "renderer": "raycast"}
    return ClipConfig.model_validate({**values, "scene": SCENE, "out": out, **changes})


@pytest.fixture(scope="module")
def sampler() -> ClipSampler:
    return make_sampler(make_config())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ClipFolder:
    config = make_config(tmp_path_factory.mktemp("clip") / "frames", joint_sets=("coco17", "smplx127"))
    render(config, progress=False)
    return ClipFolder.open(config.out)


def signature(scenes: list[Scene]) -> list[np.ndarray]:
    parts = []
    for scene in scenes:
        parts += [scene.camera.K, scene.camera.R, scene.camera.t, scene.backdrop, scene.lights.direction]
        parts += [person.surface.vertices for person in scene.persons] + [thing.vertices for thing in scene.occluders]
        parts += [np.array([scene.sensor.noise_offset, scene.sensor.jpeg])]
    return parts


def test_the_preset_and_blocks_and_clips_agree() -> None:
    config = load_render_config("clip", ["frames=64"])
    assert isinstance(config, ClipConfig) and config.clip_frames % 32 == 0
    with pytest.raises(ValidationError, match="multiple of 32"):
        make_config(clip_frames=48)
    with pytest.raises(UserError, match="did you mean 'walk'"):
        load_render_config("clip", ["scene.motion.actions.wlak=1"])


def test_frames_know_their_clip_and_time_and_its_look_stays(sampler: ClipSampler) -> None:
    first, second, next_clip = (sampler.scenes(start) for start in (0, 32, 64))
    scenes = [*first, *second, *next_clip]
    assert [scene.clip for scene in scenes] == [0] * 64 + [1] * 32
    np.testing.assert_allclose([s.time for s in scenes], [*np.arange(64) / 30, *np.arange(32) / 30])
    for scene in (*first, *second):
        assert len(scene.persons) == 2 and scene.lights is first[0].lights and scene.ground is first[0].ground
        assert scene.occluders is first[0].occluders
        for person, began in zip(scene.persons, first[0].persons, strict=True):
            assert person.surface.texture is began.surface.texture and np.array_equal(person.betas, began.betas)
    assert len({scene.sensor.noise_offset for scene in first}) == 32
    assert not np.array_equal(first[0].persons[0].betas, next_clip[0].persons[0].betas)
    joints = np.stack([scene.persons[0].joints for scene in (*first, *second)])
    speed = np.diff(joints, axis=0) * 30
    assert np.linalg.norm(np.diff(speed, axis=0) * 30, axis=-1).max() < 80, "no jump between the blocks of a clip"


def test_a_block_is_the_same_alone_in_any_order_and_in_any_process(sampler: ClipSampler) -> None:
    fresh = make_sampler(make_config())
    there = signature(fresh.scenes(96))
    sampler.scenes(32)
    here = signature(sampler.scenes(96))
    assert len(here) == len(there) and all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))
    other = signature(make_sampler(make_config(seed=1)).scenes(96))
    assert not all(a.shape == b.shape and np.array_equal(a, b) for a, b in zip(here, other, strict=False))


def test_the_loop_closes(folder: ClipFolder) -> None:
    """Body of the world's parameters, through T_w2c and K, gives the keypoints of the labels."""
    body, checked = load_body("open-person"), 0
    for frame in folder.read(0)[::9]:
        assert frame.world_to_camera is not None and frame.camera is not None
        R, t = frame.world_to_camera[:, :3].astype(np.float64), frame.world_to_camera[:, 3].astype(np.float64)
        for person in frame.persons:
            world = world_parameters(frame, person, body)
            assert person.expression is not None
            out = body(*(torch.from_numpy(x)[None] for x in (world.betas, world.pose, world.transl, person.expression)))
            points = out.keypoints[0].numpy() @ R.T + t
            assert person.keypoints_3d is not None
            np.testing.assert_allclose(points, person.keypoints_3d, atol=2e-5)
            shown = person.keypoints[:, 2] > 0
            pixels = project(points, frame.camera.astype(np.float64))
            np.testing.assert_allclose(pixels[shown], person.keypoints[shown, :2], atol=0.02)
            assert (out.vertices[0, :, 1] > -0.03).all(), "nobody sinks into the floor"
            checked += int(shown.sum())
    assert checked > 100


def test_world_parameters_undo_the_labels(folder: ClipFolder) -> None:
    clip = folder.clip(1)
    sampler = make_sampler(make_config(joint_sets=("coco17", "smplx127")))
    plan = sampler.plan(1)
    for track in clip.tracks:
        number = next(k for k, f in enumerate(plan.figures) if np.array_equal(f.betas, track.betas))
        seen = track.present
        motion = plan.motions[number]
        np.testing.assert_allclose(track.transl_world[seen], motion.transl[seen], atol=1e-5)
        np.testing.assert_allclose(track.pose_world[seen][:, 1:], motion.pose[seen][:, 1:], atol=1e-6)
        assert np.abs(track.pose_world[seen][:, 0] - motion.pose[seen][:, 0]).max() < 1e-4
    np.testing.assert_allclose(clip.K, plan.trajectory.K, atol=1e-3)
    np.testing.assert_allclose(clip.world_to_camera[:, :, :3], plan.trajectory.R, atol=1e-6)


def test_a_folder_is_read_as_sequences(folder: ClipFolder, tmp_path: Path) -> None:
    clips = list(folder.clips())
    assert [clip.number for clip in clips] == [0, 1, 2] == list(folder.numbers)
    assert [len(clip.times) for clip in clips] == [64, 64, 32], "the last clip ends with the frames"
    ids = np.concatenate([clip.frame_ids for clip in clips])
    assert np.array_equal(ids, np.arange(160))
    for clip in clips:
        count = len(clip.times)
        assert clip.fps == 30 and clip.K.shape == (count, 3, 3) and clip.world_to_camera.shape == (count, 3, 4)
        assert 1 <= len(clip.tracks) <= 2
        track = clip.tracks[0]
        assert track.present.mean() > 0.85 and track.pose_world.shape == (count, 55, 3)
        assert track.keypoints.shape == (count, 17 + 127, 3) and track.keypoints_3d.shape == (count, 17 + 127, 3)
        assert np.isnan(track.transl_world[~track.present]).all() and np.isfinite(track.keypoints[track.present]).all()
    with pytest.raises(UserError, match="no clip 7"):
        folder.clip(7)
    whole = next(clip for clip in clips if clip.tracks[0].present.all())
    assert len(whole.poses()) == len(whole.times)
    with pytest.raises(UserError, match="person 5"):
        whole.poses(5)
    video = show_clip(folder, whole.number, tmp_path / "clip.mp4")
    assert count_frames(video) == len(whole.times)
    assert show_clip(folder, whole.number, tmp_path / "clip.npz").is_file()
    assert show_clip(folder, whole.number, tmp_path / "clip.png").is_file()
    with pytest.raises(UserError, match="shown as"):
        show_clip(folder, whole.number, tmp_path / "clip.txt")


def test_pictures_show_dressed_people_before_a_world_that_moves(folder: ClipFolder) -> None:
    frames = folder.read(0, images=True)
    pictures = [simplejpeg.decode_jpeg(frame.image) for frame in frames[::21]]
    assert pictures[0].shape == (72, 96, 3) and all(picture.std() > 12 for picture in pictures)
    assert sum(person.area > 60 for frame in frames for person in frame.persons) > 40


def test_refused_draws_count_once_a_clip() -> None:
    crowded = make_sampler(make_config(frames=640, scene={**SCENE, "motion": {"actions": {"walk": 1.0}}}))
    for start in (0, 32, 32, 64):
        crowded.scenes(start)
    assert crowded.counts == crowded.plan(0).rejected + crowded.plan(1).rejected


def test_infants_kick_on_their_backs() -> None:
    sampler = make_sampler(make_config(body="open-infant", clip_frames=32))
    scenes = sampler.scenes(0)
    vertices = np.stack([scene.persons[0].surface.vertices for scene in scenes])
    assert vertices[..., 1].min() > -0.05 and np.percentile(vertices[..., 1].min(1), 50) < 0.0
    joints = np.stack([scene.persons[0].joints for scene in scenes])
    assert joints[:, 15, 1].max() < 0.25 and np.ptp(joints[:, 7], axis=0).max() > 0.03
    assert scenes[0].persons[0].skeleton == "smpl24" and scenes[0].persons[0].expression is None


def test_inputs_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(simplejpeg.encode_jpeg(np.zeros((32, 32, 3), np.uint8)))
    with pytest.raises(UserError, match="clips need panoramas"):
        make_sampler(make_config(scene={**SCENE, "panoramas": tmp_path}))
    with pytest.raises(UserError, match="is a hand"):
        SceneFrames(make_config(body="open-hand-left"))
    with pytest.raises(UserError, match="no world_to_camera"):
        world_parameters(Frame(0, b"", 1, 1, "real"), None)  # type: ignore[arg-type]


def test_second_people_do_not_fill_the_cameras_view(sampler: ClipSampler) -> None:
    seconds = 0
    for number in range(5):
        plan = sampler.plan(number)
        if len(plan.motions) < 2:
            continue
        seconds += 1
        eyes = plan.trajectory.positions[:, [0, 2]]
        apart = np.linalg.norm(plan.motions[1].joints[:, :22, [0, 2]] - eyes[:, None], axis=-1)
        assert apart.min() > OFF_CAMERA * APART * min(figure.height for figure in plan.figures) - 1e-6
    assert seconds >= 2
