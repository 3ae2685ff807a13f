"""Which steps scored best, and whether to go on waiting for a better one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Scores:
    """The validation scores of a run that matter later; goes through checkpoints.

    Attributes:
        best: the best (score, step), best first; of equal scores the earlier one is better.
        waited: validations since the score last rose enough.
        risen_to: to which score it rose then.
    """

    best: list[tuple[float, int]] = field(default_factory=list)
    waited: int = 0
    risen_to: float | None = None

    def enter(self, score: float, step: int, keep: int, min_delta: float, counts: bool) -> bool:
        """Take a score.

        Args:
            score, step: of a validation.
            keep: how many of the best to remember.
            min_delta: a rise must be larger to end the waiting.
            counts: whether this validation without a rise is waited for; not in a pre-phase, where nothing can rise.

        Returns:
            Whether it is among the ``keep`` best.
        """
        if self.risen_to is None or score > self.risen_to + min_delta:
            self.risen_to, self.waited = score, 0
        elif counts:
            self.waited += 1
        self.best = sorted([*self.best, (score, step)], key=lambda entry: (-entry[0], entry[1]))[:keep]
        return (score, step) in self.best

    def verdict(self, patience: int | None, min_delta: float, name: str) -> str | None:
        """Why to stop early, or None; ``name`` is the score's."""
        if patience is None or self.waited < patience:
            return None
        score, step = self.best[0]
        rise = f" by more than {min_delta:g}" if min_delta else ""
        return f"early stop: {name} has not risen{rise} in {self.waited} validations; best {score:.4g} at step {step}"

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"best": [list(entry) for entry in self.best], "waited": self.waited, "risen_to": self.risen_to}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Scores:
        """Restore :meth:`state_dict`."""
        return cls([(score, step) for score, step in state["best"]], state["waited"], state["risen_to"])
