"""Where a frame's time goes: stages of the pipeline timed by wrapping the functions that do them.

A stage's time is its own: what a stage inside it takes is not counted twice. Nothing in the pipeline knows of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from typing import Any

ROOT = "sim2pose.render_farm"
# Stage: functions "module:name" or methods "module:Class.name" of all kinds of frames and all renderers. A function is
# named where it is called: in the module that imported it.
STAGES: dict[str, tuple[str, ...]] = {
    "sampling: looks": (
        "kinds.infant.sampler:InfantSampler._look",
        "looks.adults:AdultLooks.pick",
        "looks.hands:HandSkins.skin",
        "kinds.clip.figures:Figures._look",
    ),
    "sampling: poses": (
        "poses.posing:Poser.pose",
        "kinds.person.posing:Poser.pose",
        "kinds.hand.sampler:pose_hands",
        "kinds.clip.sampler:ClipSampler._person",
    ),
    "sampling: body forward": (
        "kinds.infant.people:People._made",
        "kinds.person.crowd:Crowds.draw",
        "kinds.hand.model:HandModel.pose",
        "kinds.clip.figures:Figures.people",
    ),
    "sampling: camera": (
        "kinds.infant.sampler:sample_camera",
        "kinds.person.sampler:sample_view",
        "kinds.hand.sampler:aim",
        "kinds.hand.sampler:place_camera",
        "kinds.clip.sampler:sample_trajectory",
    ),
    "sampling: background": (
        "scenes.backgrounds:Backgrounds.surround",
        "kinds.person.sampler:PersonSampler._setting",
        "kinds.hand.sampler:draw_setting",
        "kinds.clip.panorama:Panoramas.draw",
        "kinds.clip.grounds:Grounds.look",
        "scenes.surroundings:Surroundings.backdrop",
    ),
    "sampling: occluders": (
        "kinds.infant.surroundings:Surroundings.around",
        "kinds.person.sampler:PersonSampler._things",
        "kinds.hand.showing:Showing.surfaces",
        "kinds.hand.sampler:covering_thing",
        "kinds.clip.sampler:ClipSampler._props",
    ),
    "sampling: rest": (
        "kinds.infant.sampler:InfantSampler.scenes",
        "kinds.person.sampler:PersonSampler.scenes",
        "kinds.hand.sampler:HandSampler.scenes",
        "kinds.clip.sampler:ClipSampler.scenes",
    ),
    "normals, vertex light": ("renderers.vertices:VertexLight.light",),
    "shadow on the ground": ("renderers.shading:_ground_map",),
    "checks, texture levels": ("renderers.opengl:prepare", "renderers.raycast:prepare", "renderers.pyrender:prepare"),
    "gather vertices": ("renderers.opengl:OpenGLRenderer._fill",),
    "upload textures": ("renderers.opengl:OpenGLRenderer._texture", "renderers.opengl:OpenGLRenderer._pyramid"),
    "draw": ("renderers.opengl:OpenGLRenderer._draw", "renderers.pyrender:PyrenderRenderer._draw"),
    "trees": ("renderers.device_scenes:DeviceScenes._refit",),
    "cast": ("renderers.raycast:RaycastRenderer._find",),
    "hard shadow": ("renderers.raycast:RaycastRenderer._hard_shadow",),
    "ground": ("renderers.raycast:view_ground", "renderers.raycast:paint_ground"),
    "paint": ("renderers.raycast:RaycastRenderer._cast",),
    "readback": ("renderers.opengl:OpenGLRenderer._read",),
    "backdrop, soft edges": ("renderers.opengl:finish", "renderers.raycast:finish", "renderers.pyrender:finish"),
    "rest of the renderer": (
        "renderers.opengl:OpenGLRenderer.render",
        "renderers.raycast:RaycastRenderer.render",
        "renderers.pyrender:PyrenderRenderer.render",
    ),
    "labels": ("kinds.frames:SceneFrames._persons",),
    "encode parts, depth, normals": ("labels:encode_parts", "labels:encode_depth", "labels:encode_normals"),
    "lens": ("kinds.frames:photograph",),
    "sensor": ("scenes.sensor:develop",),
    "JPEG": ("scenes.sensor:apply_sensor",),
    "frame record": ("kinds.frames:SceneFrames._frame",),
    "Parquet": ("farm.job:publish_shard",),
}


@dataclass
class StageTimes:
    """Seconds of CPU time by stage; ``total`` is that of the whole work."""

    seconds: dict[str, float] = field(default_factory=dict)
    total: float = 0.0

    def table(self, frames: int) -> list[tuple[str, float, float]]:
        """Rows of stage, milliseconds a frame and per cent, in the order of the pipeline; the rest last."""
        rows = [(name, self.seconds[name]) for name in STAGES if name in self.seconds]
        rows.append(("everything else", self.total - sum(value for _, value in rows)))
        rows.append(("all", self.total))
        return [(name, 1e3 * value / frames, 100 * value / self.total) for name, value in rows]


def profile(work: Callable[[], Any]) -> StageTimes:
    """Do ``work`` with the stages timed."""
    times, running = StageTimes(), [0.0]
    with _wrapped(times.seconds, running):
        begin = time.process_time()
        work()
        times.total = time.process_time() - begin
    return times


@contextmanager
def _wrapped(seconds: dict[str, float], running: list[float]) -> Iterator[None]:
    places = [(stage, *find(place)) for stage, places in STAGES.items() for place in places]
    try:
        for stage, owner, name, original in places:
            setattr(owner, name, _timed(original, stage, seconds, running))
        yield
    finally:
        for _, owner, name, original in reversed(places):
            setattr(owner, name, original)


def find(place: str) -> tuple[Any, str, Callable[..., Any]]:
    """Where the function ``place`` can be wrapped: its module or class, its name there, and itself.

    Raises:
        LookupError: if it is not there, so that a stage whose function has moved is not left out of the table.
    """
    module_name, _, path = place.partition(":")
    try:
        owner: Any = import_module(f"{ROOT}.{module_name}")
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        return owner, name, vars(owner)[name]
    except (ModuleNotFoundError, AttributeError, KeyError) as error:
        raise LookupError(
            f"no '{place}' in {ROOT}: STAGES in benchmarks/stages.py must name where it is now"
        ) from error


def _timed(
    function: Callable[..., Any], stage: str, seconds: dict[str, float], running: list[float]
) -> Callable[..., Any]:
    """``function`` with its CPU time, less that of stages within it, added to ``seconds[stage]``.

    ``running``: seconds spent in stages within each stage that is being timed, the innermost last.
    """

    @wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        running.append(0.0)
        begin = time.process_time()
        try:
            result = function(*args, **kwargs)
            if stage == "draw":
                _wait(args[0])
            return result
        finally:
            spent = time.process_time() - begin
            seconds[stage] = seconds.get(stage, 0.0) + spent - running.pop()
            running[-1] += spent

    return timed


def _wait(renderer: Any) -> None:
    """Let a renderer that draws behind our back finish, so that drawing is not counted as reading."""
    context: Any = getattr(renderer, "_context", None)
    if context is not None:
        context.finish()
