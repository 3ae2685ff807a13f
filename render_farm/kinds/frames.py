"""From a job's config to labelled frames, for every kind alike.

One frame: scene (sampler) → picture, depth and part ids (renderer) → lens → labels → sensor and JPEG. All of it in one
process; a block of 32 scenes shares one forward pass of the body model.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from ...config import UserError
from ...datasets import storage
from ...datasets.frames import DatasetInfo, Frame, Person, dataset_info
from ...datasets.publish import Hooks
from ..config import BLOCK, RenderConfig
from ..farm.job import FarmJob
from ..scenes.lens import photograph
from ..scenes.scene import Rendered, Scene
from .registry import KINDS, Inputs

RUN_FIELDS = ("out", "frames", "workers", "deadline_s", "max_attempts", "max_quarantine")
"""Fields of the config that change no frame; all others must agree for a folder to be continued."""


class SceneFrames:
    """Makes the frames of a job (a :class:`..farm.job.FrameMaker`).

    Attributes:
        counts: rejected draws of the present call of :meth:`frames` by reason, see the samplers.

    Args:
        config: the job, its renderer named (not "auto").
        device: of the renderer: "cuda" where the worker was given a GPU, else "cpu".
        inputs: digests of the files that the driver saw (body, poses, ...); None takes any.

    Raises:
        UserError: if the renderer does not work here, or other files lie under the names on this machine.
    """

    def __init__(self, config: RenderConfig, device: str = "cpu", inputs: Inputs | None = None) -> None:
        import torch

        from ..renderers import make_renderer

        # One core a worker; and sums run in one order in every process, so that labels agree to the last bit.
        self._threads = torch.get_num_threads(), cv2.getNumThreads()
        self._blas = threadpool_limits(1)
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        self._config = config
        kind = KINDS[config.kind]
        if inputs is not None:
            _check_inputs(config, inputs, kind.inputs(config))
        self._sampler = kind.sampler(config)
        self._renderer = make_renderer(config.renderer, device, config.normals, config.shadow, config.ambient_shadow)
        self.counts: dict[str, int] = {}

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """Frames start..stop-1, sampled in whole blocks of 32. A frame in which nobody is visible has no persons."""
        self.counts = {}
        before = Counter(self._sampler.counts)
        for first in range(start - start % BLOCK, stop, BLOCK):
            for index, scene in zip(range(first, min(first + BLOCK, stop)), self._sampler.scenes(first), strict=False):
                if index >= start:
                    yield self._frame(index, scene, photograph(self._renderer.render, scene))
            self.counts = dict(Counter(self._sampler.counts) - before)

    def _frame(self, index: int, scene: Scene, rendered: Rendered) -> Frame:
        from ..labels import encode_depth, encode_normals, encode_parts
        from ..scenes.sensor import apply_sensor

        config, camera = self._config, scene.camera
        return Frame(
            frame_id=index,
            image=apply_sensor(rendered.rgb, scene.sensor),
            height=rendered.rgb.shape[0],
            width=rendered.rgb.shape[1],
            domain=config.domain,
            camera=np.asarray(camera.K, np.float32),
            persons=self._persons(scene, rendered),
            parts=encode_parts(rendered.parts) if config.parts else None,
            depth=encode_depth(rendered.depth) if config.depth else None,
            normals=encode_normals(rendered.normals) if rendered.normals is not None else None,
            distortion=None if camera.distortion is None else np.asarray(camera.distortion, np.float32),
            world_to_camera=np.column_stack([camera.R, camera.t]).astype(np.float32),
            clip=scene.clip,
            time=scene.time,
            source=scene.source,
        )

    def _persons(self, scene: Scene, rendered: Rendered) -> list[Person]:
        from ..labels import label_person

        sets, masks = self._config.joint_sets, self._config.parts
        people = [label_person(scene, i, rendered, sets, masks) for i in range(len(scene.persons))]
        return [person for person in people if person is not None]

    def close(self) -> None:
        """Release the renderer and give torch, OpenCV and BLAS their threads back."""
        import torch

        self._renderer.close()
        self._blas.restore_original_limits()
        torch.set_num_threads(self._threads[0])
        cv2.setNumThreads(self._threads[1])


def _check_inputs(config: RenderConfig, driver: Inputs, here: Inputs) -> None:
    for name, digest in driver.digests.items():
        if here.digests.get(name) != digest:
            raise UserError(
                f"{name} of this {config.kind} job on {socket.gethostname()} is not the driver's: nodes must have the same "
                "files, and they must not change while a job runs"
            )


def render_info(config: RenderConfig, inputs: Inputs | None = None) -> DatasetInfo:
    """The info that lies in every shard: all that determines the frames, as plain JSON values.

    That is the config without the fields of the run, digests of the files it names, which may change under their names,
    and the version, which stands for the code: whoever edits the code in place should begin another folder.
    """
    inputs = inputs or KINDS[config.kind].inputs(config)
    content = config.model_dump(mode="json", exclude=set(RUN_FIELDS))
    content |= {"version": version("sim2pose"), **{f"{name}_digest": value for name, value in inputs.digests.items()}}
    first, *more = config.joint_sets
    return dataset_info(first, content, inputs.licence, more_joint_sets=tuple(more))


def render_job(config: RenderConfig, device: str = "cpu", hooks: Hooks | None = None) -> FarmJob:
    """The job of a config; "auto" becomes the renderer that works here, so that all workers and a later run agree.

    Raises:
        UserError: if the renderer, a joint set or a file cannot be had.
    """
    if config.renderer == "auto":
        config = config.model_copy(update={"renderer": working_renderer(device, config.shadow)})
    inputs = KINDS[config.kind].inputs(config)
    return FarmJob(
        folder=storage.absolute(config.out),
        frames=config.frames,
        shard_frames=config.shard_frames,
        info=render_info(config, inputs),
        make=partial(SceneFrames, config, device, inputs),
        hooks=hooks,
        shard_mb=config.shard_mb,
        max_quarantine=config.max_quarantine,
    )


def working_renderer(device: str = "cpu", shadow: str = "soft") -> str:
    """Name of the renderer that "auto" means on this machine: opengl where an EGL context opens, else raycast.

    Raises:
        UserError: if none works, with the reasons.
    """
    from ..renderers import make_renderer

    renderer = make_renderer("auto", device, shadow=shadow)
    renderer.close()
    return renderer.name
