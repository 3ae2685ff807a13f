"""What is read from a sweep's figures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from sim2pose.trainers.analysis.figures import dress_panel, new_figure
from sim2pose.tune.insight import importance, pareto
from sim2pose.tune.plots import _axis, draw_dots, draw_front, draw_importance, draw_parallel


def test_importance_finds_the_key_that_matters() -> None:
    rng = np.random.default_rng(0)
    space = {"a": {"uniform": [0, 1]}, "b": {"loguniform": [1e-4, 1]}, "kind": ["x", "y"]}
    points = [{"a": float(rng.uniform()), "b": 10 ** float(rng.uniform(-4, 0)), "kind": "xy"[i % 2]} for i in range(40)]
    shares = importance(points, [3 * p["a"] + 0.1 * (p["kind"] == "y") for p in points], space)
    assert max(shares, key=lambda key: shares[key]) == "a"
    assert shares["a"] > 0.8
    assert sum(shares.values()) <= 1 + 1e-6
    assert importance(points[:3], [1, 2, 3], space) == {}
    assert importance(points, [1.0] * 40, space) == {}


def test_the_front_holds_what_nothing_beats() -> None:
    values = {"a": (0.5, 0.1), "b": (0.4, 0.3), "c": (0.4, 0.2), "d": (0.1, 0.4), "e": (0.1, 0.4)}
    assert pareto(values, "max") == {"a", "b", "d", "e"}
    assert pareto(values, "min") == {"a", "c", "d", "e"}


def test_zero_has_a_place_on_a_logarithmic_axis() -> None:
    heights, ticks = _axis([0, 1e-4, 1e-2], True)
    assert heights == sorted(heights)
    assert heights[0] == 0.0
    assert heights[2] == 1.0
    assert ticks[0] == (0.0, "0")
    assert _axis(["a", "b", "a"], False)[0] == [0.0, 1.0, 0.0]
    assert _axis([3.0, 3.0], False)[0] == [0.5, 0.5]


def test_pictures_are_drawn() -> None:
    points = [{"w": 0.0, "k": "x"}, {"w": 0.1, "k": "y"}, {"w": 0.01, "k": "x"}]
    for picture in (
        draw_parallel(points, [0.1, 0.3, 0.2], ["w"], "AP"),
        draw_importance({"w": 0.7, "k": 0.1}),
        draw_dots({"AP": {"at 33%": [(1e-3, 0.2, 0.1), (2e-1, 0.3, 0.0)], "at 100%": [(2e-1, 0.5, 0.1)]}}, "w", "log"),
        draw_front(
            {"a": (0.1, 0.2), "b": (0.2, 0.1)},
            {"a": (0, 0), "b": (0.1, 0)},
            {"a", "b"},
            {"a": "A", "b": "B"},
            ("x", "y"),
        ),
    ):
        image = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
        assert image.std() > 5


def test_ticks_of_a_logarithmic_axis_stand_apart() -> None:
    figure = new_figure(4, 3)
    narrow, wide, zero = figure.subplots(1, 3)
    for axis, x in ((narrow, [6e-4, 5e-3]), (wide, [1e-5, 1e-2]), (zero, [0.0, 2.0, 500.0])):
        axis.plot(x, x)
    dress_panel(narrow, "AP", "lr", "log")
    dress_panel(wide, "AP", "lr", "log")
    dress_panel(zero, "AP", "count", "symlog")
    figure.canvas.draw()
    shown = [text.get_text() for text in narrow.get_xticklabels()]
    assert {"0.001", "0.002", "0.005"} <= set(shown)
    assert "0.002" not in [text.get_text() for text in wide.get_xticklabels()]
    assert zero.xaxis.get_transform().linthresh == 2.0, "linear up to the smallest value that is drawn"
    assert not narrow.get_xticklabels(minor=True)
