"""Joint sets and their maps as Markdown tables: the body of ``docs/joint_sets.md``."""

from __future__ import annotations

from collections.abc import Iterable

from .maps import conversion
from .sets import JOINT_SETS


def sets_table() -> str:
    """One row a joint set: number of points, flip pairs, where its OKS sigmas are from, what it is."""
    rows = [
        (
            f"`{joints.name}`",
            str(joints.count),
            "one hand" if joints.one_hand else str(len(joints.flip_pairs)),
            "none published" if joints.sigmas is None else "published",
            joints.about,
        )
        for joints in JOINT_SETS.values()
    ]
    return _table(("set", "points", "flip pairs", "OKS sigmas", "what it is"), rows)


def conversion_table() -> str:
    """From row to column: points that are the same, ≈ approximate, + derived; nothing for the rest.

    Single hands are taken for a person's left.
    """
    rows = [(f"`{source}`", *(_cell(source, target) for target in JOINT_SETS)) for source in JOINT_SETS]
    head = [f"`{name}`" for name in JOINT_SETS]
    return _table(("from ↓ to →", *head), rows)


def _cell(source: str, target: str) -> str:
    if source == target:
        return "="
    made = conversion(source, target, side="left")
    counts = (("", made.exact), ("≈", made.approximate), ("+", made.derived))
    return " ".join(f"{sign}{len(points)}" for sign, points in counts if points) or "–"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(sets_table(), conversion_table(), sep="\n\n")
