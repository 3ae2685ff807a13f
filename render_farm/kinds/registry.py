"""The kinds of frames by name: config, sampler and the files each reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from ...config import UserError, merge, nearest, parse_overrides, read_preset, validate
from ..config import RenderConfig
from ..scenes.scene import Scene


class Sampler(Protocol):
    """Draws scenes: frame i of a job is a function of (config, i) alone.

    Attributes:
        counts: rejected draws by reason, added up since the sampler was made.
    """

    counts: Counter[str]

    def scenes(self, start: int) -> list[Scene]:
        """The 32 scenes of the block that begins at ``start``, a multiple of 32."""


@dataclass(frozen=True)
class Inputs:
    """What a job reads besides its config.

    Attributes:
        digests: by name ("body", "poses", ...), 16 hex digits of the content.
        licence: note on what may be done with the pictures.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of frames.

    Attributes:
        config: its config class, a :class:`RenderConfig` with a ``scene``.
        sampler: makes the sampler of a config. inputs: describes the files that a config names; called on every machine.
    """

    config: Callable[[], type[RenderConfig]]
    sampler: Callable[[Any], Sampler]
    inputs: Callable[[Any], Inputs]


def _kind(name: str, config_class: str, inputs_in: str = "sampler") -> Kind:
    """The kind in the package ``name``; its modules are imported when they are used, since samplers need torch."""

    def config() -> type[RenderConfig]:
        found: type[RenderConfig] = getattr(import_module(f".{name}.config", __package__), config_class)
        return found

    def sampler(of: RenderConfig) -> Sampler:
        made: Sampler = import_module(f".{name}.sampler", __package__).make_sampler(of)
        return made

    def inputs(of: RenderConfig) -> Inputs:
        described: Inputs = import_module(f".{name}.{inputs_in}", __package__).describe_inputs(of)
        return described

    return Kind(config, sampler, inputs)


KINDS: dict[str, Kind] = {
    "infant": _kind("infant", "InfantConfig"),
    "person": _kind("person", "PersonConfig"),
    "hand": _kind("hand", "HandConfig", inputs_in="pair"),
    "clip": _kind("clip", "ClipConfig"),
}


def load_render_config(preset: str | None = None, overrides: Sequence[str] | Mapping[str, Any] = ()) -> RenderConfig:
    """Resolve a render job: its ``kind`` says which config class checks it.

    Args:
        preset: name or path of a preset, or None.
        overrides: ``key=value`` items or a nested dict. ``poses=SOURCE`` (or a mapping of sources to shares) is short for
            ``scene.poses.sources``, of infants and people.

    Raises:
        UserError: for an unknown preset, kind or key (nearest named) or a value of the wrong kind.
    """
    over = dict(overrides) if isinstance(overrides, Mapping) else parse_overrides(overrides)
    poses = over.pop("poses", None)
    values = merge(read_preset(preset) if preset else {}, over)
    kind = values.get("kind", "infant")
    if kind not in KINDS:
        raise UserError(f"unknown kind of frames '{kind}': {nearest(str(kind), KINDS)}")
    if poses is not None:
        values = _with_sources(values, kind, poses)
    return validate(KINDS[kind].config(), values)


def _with_sources(values: Mapping[str, Any], kind: str, poses: Any) -> dict[str, Any]:
    """A config's values with ``poses=`` where it belongs.

    Raises:
        UserError: for a kind whose people do not take poses from sources, or sources that are given twice.
    """
    if kind not in ("infant", "person"):
        raise UserError(f"poses= names where poses of infants and people come from; frames of kind '{kind}' have none")
    scene = values.get("scene")
    own = scene.get("poses") if isinstance(scene, Mapping) else None
    if isinstance(own, Mapping) and {"source", "sources"} & set(own):
        raise UserError("poses= and scene.poses.source(s)= are given: name all sources in one of them")
    sources = poses if isinstance(poses, Mapping) else {str(poses): 1.0}
    return merge(values, {"scene": {"poses": {"sources": sources}}})
