"""Many generators at once: each equal to ``np.random.default_rng([seed, index, stream, ...])``, for a third of its cost.

numpy hashes a seed with :class:`numpy.random.SeedSequence` (O'Neill's seed_seq_fe, https://www.pcg-random.org), which takes
some 10 microseconds; here one pass in arrays hashes the keys of a whole block. Its constants are fixed by numpy's promise that
streams of a seed never change (NEP 19), and a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.random import PCG64, Generator
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

Words = NDArray[np.uint32]
_POOL = 4
_INIT_A, _MULT_A, _INIT_B, _MULT_B = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
_MIX_LEFT, _MIX_RIGHT, _SHIFT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715), np.uint32(16)
_MASK = 0xFFFFFFFF


class _Hashed(ISeedSequence):
    """A seed that has been hashed: its four 64-bit words."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> NDArray[np.uint64]:
        """The words of PCG64's state."""
        assert n_words == len(self._words) and dtype == np.uint64
        return self._words


def generators(keys: Sequence[Sequence[int]]) -> list[Generator]:
    """Generators of keys (seed, index, stream, ...) of non-negative integers."""
    found: list[Generator] = [None] * len(keys)  # type: ignore[list-item]
    words = [_words(key) for key in keys]
    for length in {len(each) for each in words}:  # numbers beyond 32 bits take two words
        rows = [k for k, each in enumerate(words) if len(each) == length]
        states = _hashed(np.array([words[k] for k in rows], np.uint32).T)
        for k, state in zip(rows, states, strict=True):
            found[k] = Generator(PCG64(_Hashed(state)))  # type: ignore[arg-type]
    return found


def _words(key: Sequence[int]) -> list[int]:
    """32-bit words of a key's numbers, the lowest first."""
    words = []
    for number in key:
        words.append(number & _MASK)
        while number := number >> 32:
            words.append(number & _MASK)
    return words


class _Hash:
    """SeedSequence's hash, whose constant changes with each use."""

    def __init__(self, constant: int, factor: int) -> None:
        self._constant, self._factor = constant, factor

    def __call__(self, value: Words) -> Words:
        value = value ^ np.uint32(self._constant)
        self._constant = self._constant * self._factor & _MASK
        value = value * np.uint32(self._constant)
        return value ^ (value >> _SHIFT)


def _hashed(words: Words) -> NDArray[np.uint64]:
    """States (B, 4) of PCG64 from words (W, B)."""
    mix = _Hash(_INIT_A, _MULT_A)
    blank = np.zeros_like(words[0])
    pool = [mix(words[k] if k < len(words) else blank) for k in range(_POOL)]
    pairs = [(a, b) for a in range(_POOL) for b in range(_POOL) if a != b]
    for source, target in pairs:
        pool[target] = _mixed(pool[target], mix(pool[source]))
    for word in words[_POOL:]:
        for target in range(_POOL):
            pool[target] = _mixed(pool[target], mix(word))
    out = _Hash(_INIT_B, _MULT_B)
    state = np.stack([out(pool[k % _POOL]) for k in range(2 * _POOL)], 1)
    return np.ascontiguousarray(state).view("<u8").astype(np.uint64)


def _mixed(a: Words, b: Words) -> Words:
    value = _MIX_LEFT * a - _MIX_RIGHT * b
    return value ^ (value >> _SHIFT)


class Streams:
    """The generators of one job, those of a block hashed together."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._ready: dict[tuple[int, ...], Generator] = {}

    def prepare(self, keys: Iterable[tuple[int, ...]]) -> None:
        """Make ready for a first use of generators of (index, stream, ...); what was ready before is forgotten."""
        wanted = list(dict.fromkeys(keys))
        self._ready = dict(zip(wanted, generators([(self.seed, *key) for key in wanted]), strict=True))

    def __call__(self, *key: int) -> Generator:
        """A fresh ``default_rng([seed, index, stream, ...])``, whether or not it was made ready."""
        return self._ready.pop(key, None) or np.random.default_rng([self.seed, *key])
