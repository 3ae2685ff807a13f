"""Tables of a page: what stands out, what is aligned, what may be wider than the text."""

from __future__ import annotations

import re

from sim2pose.datasets.html import WIDE, Report


def _page(header: tuple[str, ...], *rows: list[object], best: tuple[int, ...] = ()) -> str:
    page = Report("page")
    page.table(header, rows, best)
    return page.parts[0]


def test_the_best_stands_out_only_where_shown_numbers_differ() -> None:
    shown = _page(("", "AP", "OKS"), ["a", 0.0001, 0.2], ["b", 0.0, 0.4], ["c", None, 0.1], best=(1, 2))
    assert re.findall(r'class="best">([^<]*)', shown) == ["0.400"]


def test_words_stand_left_and_numbers_right() -> None:
    shown = _page(("", "what", "AP", "change"), ["a", "λ = 0", "0.1 ± 0.2", "+0.3"], ["b", "joint", "–", None])
    assert re.findall(r'<td class="text">([^<]*)', shown) == ["a", "λ = 0", "b", "joint"]
    assert re.findall(r'<th class="text">([^<]*)', shown) == ["", "what"]


def test_a_wide_table_leaves_the_column() -> None:
    for count in (WIDE - 1, WIDE):
        assert ("<div class=wide>" in _page(tuple("x" * count), [1.0] * count)) == (count == WIDE)
