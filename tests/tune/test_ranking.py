"""How settings are ranked: by means over seeds, pair by pair, and not at all where seeds cannot tell."""

from __future__ import annotations

from typing import Any

import pytest

from sim2pose.tune.ledger import Report
from sim2pose.tune.ranking import Score, rank, rows, verdict


def scored(**by_point: list[float]) -> tuple[dict[str, dict[str, Any]], list[Score]]:
    found = {name: {"w": name} for name in by_point}
    return found, [Score(n, s, v) for n, scores in by_point.items() for s, v in enumerate(scores)]


def test_points_are_ranked_by_mean_not_by_a_lucky_seed() -> None:
    found, scores = scored(lucky=[0.9, 0.1, 0.1], steady=[0.4, 0.5, 0.45], short=[0.8, 0.8])
    standings = rank(found, [0, 1, 2], scores, "max")
    assert [(s.rank, s.point["w"]) for s in standings] == [(1, "steady"), (2, "lucky"), (None, "short")]
    best, lucky, short = standings
    assert best.mean == pytest.approx(0.45)
    assert best.sd == pytest.approx(0.05)
    assert lucky.sd == pytest.approx(0.4619, abs=1e-4), "sample deviation"
    assert lucky.to_best is not None
    assert lucky.to_best.mean == pytest.approx(0.45 - 0.45 - 0.45 + 1.1 / 3)
    assert lucky.like_best, "its seeds spread too far to tell"
    assert short.mean == pytest.approx(0.8)
    assert not short.like_best
    assert rank(found, [0, 1, 2], scores, "min")[0].point["w"] == "lucky"
    table = rows(standings, 3)
    assert table[0][:4] == (1, "w=steady", "0.4500 ± 0.0500", "3/3")
    assert table[1][1] == "w=lucky *"
    assert table[2][3] == "2/3"


def test_paired_seeds_tell_apart_what_spreads_cannot() -> None:
    """Every seed gains .01, while seeds differ by .2: unpaired they overlap, pair by pair they do not."""
    found, scores = scored(plain=[0.3, 0.5, 0.4], better=[0.31, 0.51, 0.4101])
    standings = rank(found, [0, 1, 2], scores, "max", {"w": "plain"})
    best, plain = standings
    assert best.point["w"] == "better"
    assert best.to_control is not None
    assert plain.to_control is None
    assert best.to_control.mean == pytest.approx(0.01003, abs=1e-5)
    assert best.to_control.excludes_zero()
    assert not plain.like_best
    assert "over 3 seeds" in verdict(standings, "AP", 3)


def test_the_verdict_says_what_the_seeds_cannot_tell() -> None:
    found, scores = scored(a=[0.40, 0.42], b=[0.41, 0.40])
    standings = rank(found, [0, 1], scores, "max")
    assert verdict(standings, "AP", 2).startswith("best AP 0.41 ± 0.014 at w=a; 2 seeds do not tell it from w=b")
    many, close = scored(a=[0.40, 0.42], b=[0.41, 0.40], c=[0.40, 0.41], d=[0.41, 0.39])
    said = verdict(rank(many, [0, 1], close, "max"), "AP", 2)
    assert said.endswith("do not tell it from w=b; w=c; 1 more (paired t test, 95%)")
    single = rank(found, [0], scores, "max")
    assert single[0].sd is None
    assert "one seed does not rank" in verdict(single, "AP", 1)
    assert "nothing is ranked" in verdict(rank(found, [0, 1, 2], scores, "max"), "AP", 3)


def test_stopped_settings_come_after_whole_ones_the_later_the_better() -> None:
    found, scores = scored(whole=[0.1, 0.1])
    found |= {name: {"w": name} for name in ("early", "late", "never")}
    stopped = {name: report(share, value) for name, share, value in (("early", 0.1, 0.9), ("late", 0.5, 0.2))}
    standings = rank(found, [0, 1], scores, "max", stopped=stopped)
    assert [s.name for s in standings] == ["whole", "late", "early", "never"]
    assert [s.rank for s in standings] == [1, None, None, None]
    assert standings[1].to_best is None, "measured at another share: not comparable"
    assert rows(standings, 2)[1][3] == "2/2, stopped at 50%"


def report(share: float, value: float) -> Report:
    seeds = {0: value, 1: value}
    return Report(1, share, value, seeds, {}, {"w": "x"}, {0: "a", 1: "b"}, {0: 1, 1: 1})
