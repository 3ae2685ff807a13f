"""What a run would do, and why; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping

from ...config import UserError, nearest
from .children import typed
from .config import PipelineConfig
from .graph import descendants
from .plan import make_plan
from .state import reasons_to_run
from .verbs import Verb


def foresee(
    pipeline: PipelineConfig, verbs: Mapping[str, Verb], begin: str | None = None
) -> list[tuple[str, str, str | None]]:
    """Each step with what will become of it, and its command if it will run.

    Raises:
        UserError: whatever is wrong with the pipeline, or an unknown step to begin from.
    """
    plan = make_plan(pipeline, verbs)
    if begin is not None and begin not in plan.steps:
        raise UserError(f"--from: no step '{begin}': {nearest(begin, plan.steps)}")
    graph = {name: step.uses for name, step in plan.steps.items()}
    forced = descendants(graph, begin) if begin else set[str]()
    found: list[tuple[str, str, str | None]] = []
    anew: list[str] = []
    for name, step in plan.steps.items():
        reasons = reasons_to_run(step, plan, name in forced)
        if reasons:
            anew.append(name)
            found.append((name, "; ".join(reasons), typed(plan.words(name))))
        elif again := [other for other in step.uses if other in anew]:
            anew.append(name)
            found.append((name, f"unchanged if '{again[0]}' comes out as it was", None))
        else:
            found.append((name, "unchanged", None))
    return found
