"""What a space expands to: a pure function of the file."""

from __future__ import annotations

from sim2pose.tune.space import all_drawn, points, tidy

WEIGHT = "adversarial.weight"


def test_grid_is_crossed_in_the_order_of_the_file() -> None:
    found = points({"a": [1, 2], "b": ["x", "y"]}, 1, 0)
    assert found == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_draws_lie_in_their_range_and_stay_when_more_are_asked_for() -> None:
    space = {"lr": {"loguniform": [1e-5, 1e-2]}, "clip": {"uniform": [1, 2]}, "kind": {"choice": ["p", "q"]}}
    some, more = points(space, 4, 7), points(space, 200, 7)
    assert more[:4] == some
    assert points(space, 4, 8) != some
    assert [p["lr"] for p in points({"lr": space["lr"]}, 4, 7)] == [p["lr"] for p in some], "other keys do not matter"
    assert all(1e-5 <= p["lr"] <= 1e-2 and 1 <= p["clip"] <= 2 for p in more)
    assert {p["kind"] for p in more} == {"p", "q"}
    decades = [sum(10.0**-k <= p["lr"] < 10.0 ** (1 - k) for p in more) for k in (5, 4, 3)]
    assert min(decades) > 40, f"each decade gets its third of a log-uniform draw, got {decades}"
    small = [p["lr"] < 10.0**-5 * 10**0.1 for p in points({"lr": {"uniform": [1e-5, 1e-2]}}, 200, 7)]
    assert sum(small) < 3, "and hardly anything of a uniform one"


def test_every_draw_meets_the_whole_grid() -> None:
    found = points({WEIGHT: [0, 1], "optim.lr": {"uniform": [1, 2]}}, 3, 0)
    assert [p[WEIGHT] for p in found] == [0, 1] * 3
    assert all(found[i]["optim.lr"] == found[i + 1]["optim.lr"] for i in (0, 2, 4))
    assert list(found[0]) == [WEIGHT, "optim.lr"]


def test_random_search_draws_from_lists_too() -> None:
    space = all_drawn({"a": [1, 2], "b": {"uniform": [0, 1]}})
    found = points(space, 50, 0)
    assert {p["a"] for p in found} == {1, 2}
    assert len({p["b"] for p in found}) == 50


def test_values_are_tidied_into_their_range() -> None:
    assert tidy(0.123456, {"uniform": [0, 1]}) == 0.1235
    assert tidy(1.3, {"uniform": [0, 1]}) == 1
    assert tidy("x", ["x", "y"]) == "x"
