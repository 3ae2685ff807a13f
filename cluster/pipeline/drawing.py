"""A graph of steps as SVG: one column for each length of the way that leads to a step, read from left to right."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 158, 58, 44, 18, 2  # of a box, the gaps between boxes, the margin; pixels


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
    places = _places(boxes)
    right = max(x for x, _ in places.values()) + WIDTH + EDGE
    bottom = max(y for _, y in places.values()) + HEIGHT + EDGE
    lines = [_edge(places[other], places[box.name]) for box in boxes for other in box.needs]
    drawn = "".join([*lines, *(_box(box, *places[box.name]) for box in boxes)])
    return (
        f'<svg viewBox="0 0 {right} {bottom}" style="max-width:{right}px;width:100%;margin:14px 0" role="img" '
        f'font-family="inherit" xmlns="http://www.w3.org/2000/svg">{drawn}</svg>'
    )


def _places(boxes: Sequence[Box]) -> Mapping[str, tuple[int, int]]:
    """Left upper corner of each box; within a column ordered by the mean height of what it needs, so lines cross less."""
    columns: dict[int, list[Box]] = {}
    depth: dict[str, int] = {}
    for box in boxes:
        depth[box.name] = 1 + max((depth[other] for other in box.needs), default=-1)
        columns.setdefault(depth[box.name], []).append(box)
    tallest = max(len(column) for column in columns.values())
    places: dict[str, tuple[int, int]] = {}
    for number in sorted(columns):
        ordered = sorted(columns[number], key=lambda box: _mean([places[other][1] for other in box.needs]))
        top = (tallest - len(ordered)) * (HEIGHT + DOWN) // 2
        for i, box in enumerate(ordered):
            places[box.name] = (EDGE + number * (WIDTH + ACROSS), EDGE + top + i * (HEIGHT + DOWN))
    return places


def _mean(heights: Sequence[int]) -> float:
    return sum(heights) / len(heights) if heights else 0.0


def _edge(start: tuple[int, int], stop: tuple[int, int]) -> str:
    x0, y0 = start[0] + WIDTH, start[1] + HEIGHT // 2
    x1, y1 = stop[0], stop[1] + HEIGHT // 2
    bend = max(ACROSS // 2, (x1 - x0) // 2)
    return (
        f'<path d="M{x0} {y0} C{x0 + bend} {y0} {x1 - bend} {y1} {x1 - 6} {y1}" fill="none" stroke="#adb5bd" '
        f'stroke-width="1.4"/><path d="M{x1 - 7} {y1 - 4} L{x1 - 1} {y1} L{x1 - 7} {y1 + 4} Z" fill="#adb5bd"/>'
    )


def _box(box: Box, x: int, y: int) -> str:
    def text(words: str, down: int, size: float, more: str) -> str:
        return f'<text x="{x + 10}" y="{y + down}" font-size="{size}" {more}>{html.escape(words)}</text>'

    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{box.fill}" stroke="{box.line}"/>'
        + text(box.name, 19, 13.5, 'font-weight="600" fill="#1d2733"')
        + text(box.verb, 35, 11.5, 'fill="#5b6875"')
        + text(box.state, 50, 11.5, f'fill="{box.line}"')
    )
