"""What became of the steps of a pipeline, and why a step must run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .address import differences
from .folder import latest_record
from .plan import Plan, Step

State = Literal["waiting", "unchanged", "made", "failed", "left out", "not asked for"]


@dataclass
class Outcome:
    """What became of a step.

    Attributes:
        reasons: why it ran, or failed.
        facts: figures of its product.
        seconds: what making it took, whenever that was; None if it is not made.
    """

    state: State = "waiting"
    reasons: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Result:
    """A pipeline that has run: its plan and what became of each step."""

    plan: Plan
    outcomes: dict[str, Outcome]

    @property
    def whole(self) -> bool:
        """Whether nothing failed."""
        return not any(outcome.state in ("failed", "left out") for outcome in self.outcomes.values())


def reasons_to_run(step: Step, plan: Plan, forced: bool = False) -> list[str]:
    """Why a step must run; [] if its product is whole and made from what its steps made last."""
    product = step.product
    record = product.record()
    if record is None:
        if product.begun() is not None:
            return ["was not finished"]
        before = latest_record(product.out, step.name)
        if before is None or before["address"] == step.key.address:
            return ["not made yet"]
        return differences(before["key"], step.key) or ["another now"]
    if forced:
        return ["asked for by --from"]
    if changed := product.changed(plan.digests):
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return [f"its product was changed after it was made: {changed[0]}{more}"]
    others = [n for n in step.uses if record["uses"].get(n) != plan.steps[n].product.digest()]
    return [f"'{other}' came out otherwise when it was made again" for other in others]


def short(facts: Mapping[str, Any]) -> str:
    """Figures in one line."""
    return ", ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items()
    )
