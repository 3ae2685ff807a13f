"""Generators that are hashed together are numpy's own, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.render_farm.streams import Streams, generators

KEYS = [
    (0, 0),
    (0, 0, 0),
    (7, 5, 3),
    (2**31 + 5, 1 << 40, 2),
    (2**32, 2**32 - 1, 2**64 + 1),
    (123456789012345, 3, 4, 5, 6),
    (5, (1 << 40) + 77, 20),
]


def _draws(rng: np.random.Generator) -> list[float]:
    return [*rng.random(3), *rng.integers(1000, size=5), *rng.standard_normal(3), rng.integers(1 << 40)]


@pytest.mark.filterwarnings("error")
def test_generators_are_those_of_default_rng() -> None:
    keys = KEYS + [(11, index, stream) for index in range(40) for stream in range(6)]
    for key, rng in zip(keys, generators(keys), strict=True):
        assert _draws(rng) == _draws(np.random.default_rng(list(key))), key


def test_a_stream_begins_anew_whether_or_not_it_was_made_ready() -> None:
    streams, expected = Streams(9), _draws(np.random.default_rng([9, 4, 2]))
    streams.prepare([(4, 2), (4, 2), (4, 3)])
    assert _draws(streams(4, 2)) == expected
    assert _draws(streams(4, 2)) == expected, "the second asks for a fresh one"
    streams.prepare([(5, 2)])
    assert _draws(streams(4, 2)) == expected
