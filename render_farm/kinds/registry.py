"""The kinds of frames by name: config, sampler and the files each reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


def _infant_config() -> type[RenderConfig]:
    from .infant.config import InfantConfig

    return InfantConfig


def _infant_sampler(config: Any) -> Sampler:
    from .infant.sampler import make_sampler

    return make_sampler(config)


def _infant_inputs(config: Any) -> Inputs:
    from .infant.sampler import describe_inputs

    return describe_inputs(config)


def _person_config() -> type[RenderConfig]:
    from .person.config import PersonConfig

    return PersonConfig


def _person_sampler(config: Any) -> Sampler:
    from .person.sampler import make_sampler

    return make_sampler(config)


def _person_inputs(config: Any) -> Inputs:
    from .person.sampler import describe_inputs

    return describe_inputs(config)


def _clip_config() -> type[RenderConfig]:
    from .clip.config import ClipConfig

    return ClipConfig


def _clip_sampler(config: Any) -> Sampler:
    from .clip.sampler import make_sampler

    return make_sampler(config)


def _clip_inputs(config: Any) -> Inputs:
    from .clip.sampler import describe_inputs

    return describe_inputs(config)


KINDS: dict[str, Kind] = {
    "infant": Kind(_infant_config, _infant_sampler, _infant_inputs),
    "person": Kind(_person_config, _person_sampler, _person_inputs),
    "clip": Kind(_clip_config, _clip_sampler, _clip_inputs),
}


def load_render_config(preset: str | None = None, overrides: Sequence[str] | Mapping[str, Any] = ()) -> RenderConfig:
    """Resolve a render job: its ``kind`` says which config class checks it.

    Args:
        preset: name or path of a preset, or None.
        overrides: ``key=value`` items or a nested dict.

    Raises:
        UserError: for an unknown preset, kind or key (nearest named) or a value of the wrong kind.
    """
    over = dict(overrides) if isinstance(overrides, Mapping) else parse_overrides(overrides)
    values = merge(read_preset(preset) if preset else {}, over)
    kind = values.get("kind", "infant")
    if kind not in KINDS:
        raise UserError(f"unknown kind of frames '{kind}': {nearest(str(kind), KINDS)}")
    return validate(KINDS[kind].config(), values)
