"""A graph of steps as SVG, read from top to bottom: a row for each length of the way that leads to a step.

Lines that pass a row keep a lane of their own there, so that they do not run behind boxes (as in layered drawings after
Sugiyama, Tagawa and Toda, 1981); within a row everything is ordered by the mean place of what leads to it.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT, LANE, ACROSS, DOWN, EDGE = 262, 52, 12, 26, 30, 8  # box, lane, gaps, margin; pixels
ARROW = 6
Node = tuple[str, ...]  # (step,), or (start, stop, row) of a line that passes a row


@dataclass(frozen=True)
class Box:
    """A step as drawn: name, what it is, how it stands, the boxes before it, colours of its inside and its border."""

    name: str
    verb: str
    state: str
    needs: tuple[str, ...]
    fill: str
    line: str


def draw_graph(boxes: Sequence[Box]) -> str:
    """The SVG element; ``boxes`` are in an order in which each comes after those it needs."""
    rows, ways = _layers(boxes)
    centres = _centres(rows, ways)
    left = min(x - _width(node) / 2 for node, (x, _) in centres.items()) - EDGE
    right = max(x + _width(node) / 2 for node, (x, _) in centres.items()) + EDGE
    height = len(rows) * (HEIGHT + DOWN) - DOWN + 2 * EDGE
    lines = [_line([centres[node] for node in way]) for way in ways]
    drawn = "".join([*lines, *(_box(box, *centres[(box.name,)]) for box in boxes)])
    return (
        f'<svg viewBox="{left:.0f} {-EDGE} {right - left:.0f} {height}" style="max-width:{right - left:.0f}px;width:100%;'
        f'margin:14px 0" role="img" font-family="inherit" xmlns="http://www.w3.org/2000/svg">{drawn}</svg>'
    )


def _layers(boxes: Sequence[Box]) -> tuple[list[list[Node]], list[list[Node]]]:
    """Rows of nodes, and each line as the nodes that it passes."""
    depth: dict[str, int] = {}
    for box in boxes:
        depth[box.name] = 1 + max((depth[other] for other in box.needs), default=-1)
    rows: list[list[Node]] = [[] for _ in range(max(depth.values()) + 1)]
    ways: list[list[Node]] = []
    for box in boxes:
        rows[depth[box.name]].append((box.name,))
        for other in box.needs:
            passed = [(other, box.name, str(row)) for row in range(depth[other] + 1, depth[box.name])]
            for node in passed:
                rows[int(node[2])].append(node)
            ways.append([(other,), *passed, (box.name,)])
    return rows, ways


def _centres(rows: Sequence[Sequence[Node]], ways: Sequence[Sequence[Node]]) -> dict[Node, tuple[float, float]]:
    """Middle of each node; each row is centred on 0."""
    above: dict[Node, list[Node]] = {}
    for start, stop in _steps(ways):
        above.setdefault(stop, []).append(start)
    centres: dict[Node, tuple[float, float]] = {}
    for number, row in enumerate(rows):
        ordered = sorted(row, key=lambda node: _mean(above.get(node, ()), centres))
        x = -(sum(map(_width, ordered)) + ACROSS * (len(ordered) - 1)) / 2
        for node in ordered:
            centres[node] = (x + _width(node) / 2, number * (HEIGHT + DOWN) + HEIGHT / 2)
            x += _width(node) + ACROSS
    return centres


def _steps(ways: Sequence[Sequence[Node]]) -> Iterator[tuple[Node, Node]]:
    for way in ways:
        yield from pairwise(way)


def _mean(nodes: Sequence[Node], centres: Mapping[Node, tuple[float, float]]) -> float:
    return sum(centres[node][0] for node in nodes) / len(nodes) if nodes else 0.0


def _width(node: Node) -> int:
    return WIDTH if len(node) == 1 else LANE


def _line(points: Sequence[tuple[float, float]]) -> str:
    """A line from the bottom of the first point's box, straight through lanes, to the top of the last one's."""
    half, x, y = HEIGHT / 2, *points[0]
    path, y = [f"M{x:.1f} {y + half:.1f}"], y + half
    for i, (nx, centre) in enumerate(points[1:], start=1):
        top = centre - half - (ARROW if i == len(points) - 1 else 0)
        middle = (y + top) / 2
        path.append(f"C{x:.1f} {middle:.1f} {nx:.1f} {middle:.1f} {nx:.1f} {top:.1f}")
        if i < len(points) - 1:
            path.append(f"L{nx:.1f} {centre + half:.1f}")
        x, y = nx, centre + half
    tip = points[-1][1] - half
    return (
        f'<path d="{" ".join(path)}" fill="none" stroke="#98a3af" stroke-width="1.4"/>'
        f'<path d="M{x - 4:.1f} {tip - ARROW:.1f} L{x:.1f} {tip:.1f} L{x + 4:.1f} {tip - ARROW:.1f} Z" fill="#98a3af"/>'
    )


def _box(box: Box, centre: float, middle: float) -> str:
    x, y = centre - WIDTH / 2, middle - HEIGHT / 2

    def text(words: str, at: float, down: int, more: str) -> str:
        return f'<text x="{at:.1f}" y="{y + down:.1f}" {more}>{html.escape(words)}</text>'

    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{box.fill}" stroke="{box.line}"/>'
        + text(box.name, x + 12, 21, 'font-size="14" font-weight="600" fill="#1d2733"')
        + text(box.verb, x + 12, 40, 'font-size="12" fill="#5b6875"')
        + text(box.state, x + WIDTH - 12, 40, f'font-size="12" text-anchor="end" fill="{box.line}"')
    )
