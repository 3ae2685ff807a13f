"""A pipeline resolved: each step's words, config, address and product, before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .address import Key, code_hashes, make_key
from .command import positional, resolve, words_of
from .config import PipelineConfig, StepConfig
from .digests import Digests
from .folder import Product
from .graph import substitute, uses
from .verbs import Verb


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        name: of the step.
        uses: steps whose products it uses: what they are counts.
        key: what its product depends on.
        product: where it lies.
    """

    name: str
    config: StepConfig
    verb: Verb
    uses: tuple[str, ...]
    key: Key
    product: Product

    @property
    def needs(self) -> tuple[str, ...]:
        """Steps it uses, and those that it merely comes after."""
        return tuple(dict.fromkeys([*self.uses, *self.config.after]))


@dataclass(frozen=True)
class Plan:
    """Steps in an order in which they can run."""

    pipeline: PipelineConfig
    steps: dict[str, Step]
    digests: Digests

    def words(self, name: str) -> list[str]:
        """The words of a step's command now; outputs that are known only once they are made are put in if they are."""
        step = self.steps[name]
        lookup = _lookup(self.pipeline, {other: each.product for other, each in self.steps.items()}, late=True)
        return words_of(name, step.config, step.verb, self.pipeline, step.product.folder, lookup)


def make_plan(pipeline: PipelineConfig, verbs: Mapping[str, Verb]) -> Plan:
    """Resolve every step.

    Raises:
        UserError: whatever is wrong with any step: reference, verb, key, file; nothing has run then.
    """
    graph = uses(pipeline, verbs)
    digests = Digests(pipeline.out / ".pipeline" / "digests.json")
    steps: dict[str, Step] = {}
    for name, used in graph.items():
        products = {other: steps[other].product for other in steps}
        steps[name] = _step(pipeline, name, verbs, used, products, digests)
    return Plan(pipeline, steps, digests)


def _step(
    pipeline: PipelineConfig,
    name: str,
    verbs: Mapping[str, Verb],
    used: tuple[str, ...],
    products: Mapping[str, Product],
    digests: Digests,
) -> Step:
    config = pipeline.steps[name]
    verb = verbs[config.verb]
    lookup = _lookup(pipeline, products)
    placed = [(place, str(substitute(word, lookup))) for place, word in positional(name, config, verb)]
    preset = next((word for place, word in placed if place == "PRESET"), None)
    nowhere = pipeline.out / f"{name}-address"  # its own folder is named after the address, which this leads to
    words = words_of(name, config, verb, pipeline, nowhere, lookup)
    resolved = resolve(name, config, verb, words, preset).model_dump(mode="json")
    folders = {other: (products[other].folder, products[other].address) for other in used}
    flags = substitute(config.flags, lookup)
    code = code_hashes(verb, digests, pipeline.code)
    key = make_key(name, config, verb, resolved, placed, flags, folders, code, digests)
    return Step(name, config, verb, used, key, Product(pipeline.out, name, key.address, verb))


def _lookup(pipeline: PipelineConfig, products: Mapping[str, Product], late: bool = False) -> Callable[[str, str], Any]:
    """Values of references. What only a finished step can tell stays a reference, unless ``late`` and it is finished: an
    address must not depend on whether it is."""

    def find(owner: str, name: str) -> Any:
        if owner == "vars":
            return pipeline.vars[name]
        product = products[owner]
        output = product.verb.outputs[name]
        if isinstance(output, str):
            return output.format(dir=product.folder)
        file, key = output
        path = product.folder / file
        if not late or product.record() is None or not path.is_file():
            return f"${{{owner}.{name}}}"
        return json.loads(path.read_text(encoding="utf-8"))[key]

    return find
