"""References between steps, and the order that follows from them."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...config import UserError, nearest
from .config import PipelineConfig
from .verbs import Verb

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
Lookup = Callable[[str, str], Any]


def references(value: Any) -> Iterator[str]:
    """Everything between ``${`` and ``}`` in a nested value, keys included."""
    if isinstance(value, str):
        yield from (match.strip() for match in _REFERENCE.findall(value))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from references(key)
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)


def substitute(value: Any, lookup: Lookup) -> Any:
    """Put values in place of references; one that stands alone keeps its type (a number stays a number)."""
    if isinstance(value, str):
        alone = _REFERENCE.fullmatch(value)
        if alone:
            return lookup(*_parts(alone[1]))
        return _REFERENCE.sub(lambda match: str(lookup(*_parts(match[1]))), value)
    if isinstance(value, Mapping):
        return {substitute(key, lookup): substitute(each, lookup) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [substitute(each, lookup) for each in value]
    return value


def _parts(text: str) -> tuple[str, str]:
    owner, _, name = text.strip().partition(".")
    return owner, name


def uses(pipeline: PipelineConfig, verbs: Mapping[str, Verb]) -> dict[str, tuple[str, ...]]:
    """Step name → the steps whose products it uses, in an order in which they can run (``after`` included).

    Raises:
        UserError: for an unknown verb, step, variable or output (nearest named), a variable without a value, or a circle.
    """
    for text in references(pipeline.vars):
        raise UserError(f"vars: ${{{text}}}: variables hold plain values; refer to steps where the value is used")
    found: dict[str, tuple[str, ...]] = {}
    for name, step in pipeline.steps.items():
        if step.verb not in verbs:
            raise UserError(f"step '{name}': unknown verb '{step.verb}': {nearest(step.verb, verbs)}")
        where = [step.args, step.with_, step.flags]
        owners = [owner for text in references(where) if (owner := _check(pipeline, verbs, name, text)) != "vars"]
        for other in step.after:
            if other not in pipeline.steps:
                raise UserError(f"step '{name}' is after an unknown step '{other}': {nearest(other, pipeline.steps)}")
        found[name] = tuple(dict.fromkeys(owners))
    try:
        before = {name: (*others, *pipeline.steps[name].after) for name, others in found.items()}
        order = list(graphlib.TopologicalSorter(before).static_order())
    except graphlib.CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise UserError(f"the steps go in a circle: {circle}; each may only use what is made before it") from None
    return {name: found[name] for name in order}


def _check(pipeline: PipelineConfig, verbs: Mapping[str, Verb], step: str, text: str) -> str:
    """The owner of a reference, known to exist."""
    owner, name = _parts(text)
    here = f"step '{step}': ${{{text}}}"
    if owner == "vars":
        if name not in pipeline.vars:
            raise UserError(f"{here}: no such variable; {nearest(name, pipeline.vars)}")
        if pipeline.vars[name] is None:
            raise UserError(f"the variable '{name}' must be given: {name}=VALUE (step '{step}' uses it)")
        return owner
    if owner not in pipeline.steps:
        raise UserError(f"{here}: no such step; {nearest(owner, [*pipeline.steps, 'vars'])}")
    verb = pipeline.steps[owner].verb
    outputs = verbs[verb].outputs if verb in verbs else {}  # an unknown verb is told of at its own step
    if outputs and name not in outputs:
        raise UserError(f"{here}: '{verb}' has no output '{name}': {nearest(name, outputs)}")
    return owner


def descendants(graph: Mapping[str, tuple[str, ...]], start: str) -> set[str]:
    """A step and all that use it, at once or through others; ``graph`` is in order."""
    found = {start}
    for name, before in graph.items():
        if found & set(before):
            found.add(name)
    return found
