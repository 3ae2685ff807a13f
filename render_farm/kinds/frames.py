"""The infant job: from a :class:`RenderConfig` to labelled frames of dressed infants.

One frame: scene (sampler) → picture, depth and part ids (renderer) → labels → sensor and JPEG. All of it in one
process; a block of 32 scenes shares one forward pass of the body model.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from ...config import UserError
from ...datasets.frames import DatasetInfo, Frame, dataset_info
from ...datasets.publish import Hooks
from ..config import BLOCK, RenderConfig
from ..farm.job import FarmJob
from ..scenes.scene import Rendered, Scene

if TYPE_CHECKING:  # loading torch can wait until there is something to draw
    from ...models.bodies import Body

JOINT_SET = "coco17"
RUN_FIELDS = ("out", "frames", "workers", "deadline_s", "max_attempts")
"""Fields of the config that change no frame; all others must agree for a folder to be continued."""


class InfantFrames:
    """Makes the frames of an infant job (a :class:`render_farm.job.FrameMaker`).

    Args:
        config: the job, its renderer named (not "auto").
        device: of the renderer: "cuda" where the worker was given a GPU, else "cpu".
        digest: of the body that the driver saw; None takes any.
        poses_digest: of the source of poses that the driver saw; None takes any.

    Raises:
        UserError: if the renderer does not work here, or another body or source of poses lies under the name.
    """

    def __init__(
        self, config: RenderConfig, device: str = "cpu", digest: str | None = None, poses_digest: str | None = None
    ) -> None:
        import torch

        from ...models.bodies import load_body
        from ..renderers import make_renderer
        from .infant import SceneSampler

        # One core a worker; and sums run in one order in every process, so that labels agree to the last bit.
        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self._config = config
        body = load_body(config.body)
        if digest is not None and body_digest(body) != digest:
            raise UserError(
                f"body '{config.body}' on {socket.gethostname()} is not the driver's: nodes must have the same file, "
                "and it must not change while a job runs"
            )
        self._sampler = SceneSampler(config.scene, body, config.seed, config.width, config.height)
        source = self._sampler.source
        if source is not None and poses_digest not in (None, source.digest):
            raise UserError(
                f"poses at {config.scene.poses.source} on {socket.gethostname()} are not the driver's: nodes must have the "
                "same files, and they must not change while a job runs"
            )
        self._renderer = make_renderer(config.renderer, device)

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """Frames start..stop-1; start must be a multiple of 32. A frame in which nobody is visible has no persons."""
        assert start % BLOCK == 0, f"shards start at multiples of {BLOCK}, found {start}"
        for first in range(start, stop, BLOCK):
            for index, scene in zip(range(first, min(first + BLOCK, stop)), self._sampler.scenes(first), strict=False):
                yield self._frame(index, scene, self._renderer.render(scene))

    def _frame(self, index: int, scene: Scene, rendered: Rendered) -> Frame:
        from ..labels import encode_depth, encode_parts, label_person
        from ..scenes.sensor import apply_sensor

        people = [label_person(scene, i, rendered) for i in range(len(scene.persons))]
        return Frame(
            frame_id=index,
            image=apply_sensor(rendered.rgb, scene.sensor),
            height=rendered.rgb.shape[0],
            width=rendered.rgb.shape[1],
            domain=self._config.domain,
            camera=np.asarray(scene.camera.K, np.float32),
            persons=[person for person in people if person is not None],
            parts=encode_parts(rendered.parts) if self._config.parts else None,
            depth=encode_depth(rendered.depth) if self._config.depth else None,
            source=scene.source,
        )

    def close(self) -> None:
        """Release the renderer and give torch its threads back."""
        import torch

        self._renderer.close()
        torch.set_num_threads(self._threads)


def body_digest(body: Body) -> str:
    """16 hex digits that tell bodies apart, whatever their files are called."""
    parts = [body.template, body.weights, body.faces, body.mesh.shapedirs.numpy(), body.keypoint_regressor.numpy()]
    parts += [] if body.population is None else [body.population]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def infant_info(config: RenderConfig) -> DatasetInfo:
    """The info that lies in every shard: all that determines the frames, as plain JSON values.

    That is the config without the fields of the run, a digest of the body, whose file may change under its name, and
    the version, which stands for the code: whoever edits the code in place should begin another folder.
    """
    from ...models.bodies import load_body

    body = load_body(config.body)
    content = config.model_dump(mode="json", exclude=set(RUN_FIELDS))
    content |= {"version": version("sim2pose"), "body_digest": body_digest(body)}
    if config.scene.poses.source is not None:
        from ..poses.source import load_pose_source

        content["poses_digest"] = load_pose_source(config.scene.poses.source).digest
    return dataset_info(JOINT_SET, content, body.licence)


def infant_job(config: RenderConfig, device: str = "cpu", hooks: Hooks | None = None) -> FarmJob:
    """The job of a config; "auto" becomes the renderer that works here, so that all workers and a later run agree.

    Raises:
        UserError: if the renderer or the joint set cannot be had.
    """
    if config.renderer == "auto":
        config = config.model_copy(update={"renderer": working_renderer(device)})
    info = infant_info(config)
    return FarmJob(
        folder=config.out.absolute(),
        frames=config.frames,
        shard_frames=config.shard_frames,
        info=info,
        make=partial(InfantFrames, config, device, info.config["body_digest"], info.config.get("poses_digest")),
        hooks=hooks,
    )


def working_renderer(device: str = "cpu") -> str:
    """Name of the renderer that "auto" means on this machine: opengl where an EGL context opens, else raycast.

    Raises:
        UserError: if none works, with the reasons.
    """
    from ..renderers import make_renderer

    renderer = make_renderer("auto", device)
    renderer.close()
    return renderer.name
