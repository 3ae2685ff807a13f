"""Puts people together: who stands where and faces whom, without anybody inside of anybody else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...poses.angles import choose
from .config import PeopleConfig

Floats = NDArray[np.float64]
_CELL, _TRIES = 0.06, 14
_SHAPE = (304, 24, 304)
_SIZE, _MIDDLE, _LAST = (
    np.array(values)[:, None] for values in ((_CELL, 2 * _CELL, _CELL), (152, 1, 152), (303, 23, 303))
)


@dataclass(frozen=True)
class Spot:
    """Where a person goes: yaw in radians about +Y, then a move (2,) along x and z, metres."""

    yaw: float
    move: Floats

    @cached_property
    def turn(self) -> Floats:
        """(3, 3) of the yaw."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])

    def place(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points (..., 3) of somebody about the origin who faces +Z, at the spot."""
        placed = np.asarray(points, np.float32) @ self.turn.T.astype(np.float32)
        return np.asarray(placed + np.array([self.move[0], 0.0, self.move[1]], np.float32))


class Footprint:
    """Cells of the space about the origin that people and furniture fill so far."""

    def __init__(self) -> None:
        self._taken = np.zeros(_SHAPE, np.bool_)

    def add(self, points: NDArray[np.floating]) -> None:
        """Take the cells of points (P, 3), and those beside them."""
        x, y, z = self._cells(points)
        for a in (-1, 0, 1):
            for b in (-1, 0, 1):
                self._taken[x + a, y, z + b] = True

    def free(self, points: NDArray[np.floating]) -> bool:
        """Whether none of the cells of points (P, 3) is taken; what lies beyond 9 m is free."""
        return not bool(self._taken[self._cells(points)].any())

    def _cells(self, points: NDArray[np.floating]) -> tuple[NDArray[np.intp], ...]:
        cells = np.floor(np.asarray(points).T / _SIZE).astype(np.intp) + _MIDDLE
        inside = ((cells >= 1) & (cells < _LAST)).all(0)
        return tuple(cells[:, inside])


def place_people(
    rng: np.random.Generator, config: PeopleConfig, people: list[NDArray[np.floating]]
) -> tuple[list[Spot | None], Footprint]:
    """Draw the spots of a frame's people; the first stands at the origin.

    Args:
        people: points (P, 3) of each, about the origin, facing +Z; enough of them to stand for the body.

    Returns:
        spots, None for somebody who found no room (and is left out), and what is taken.
    """
    group = choose(rng, config.groups)
    taken = Footprint()
    first = Spot(float(rng.uniform(-np.pi, np.pi)), np.zeros(2))
    spots: list[Spot | None] = [first]
    taken.add(first.place(people[0]))
    reach = [float(np.quantile(np.hypot(points[:, 0], points[:, 2]), 0.95)) for points in people]
    for number, points in enumerate(people[1:], start=1):
        spot = None
        for attempt in range(_TRIES):
            gap = rng.uniform(*config.gap) + 0.06 * attempt
            tried = _spot(rng, group, number, first.yaw, 0.8 * (reach[0] + reach[number]) * (number + 1) / 2 + gap)
            if taken.free(tried.place(points)):
                spot = tried
                break
        spots.append(spot)
        if spot is not None:
            taken.add(spot.place(points))
    return spots, taken


def _spot(rng: np.random.Generator, group: str, number: int, yaw: float, apart: float) -> Spot:
    """A spot ``apart`` metres from the first person, who faces ``yaw``; sides alternate with the number."""
    side = 1 if (number % 2) ^ (rng.random() < 0.1) else -1
    if group == "row":  # shoulder to shoulder
        direction, turn = yaw + side * np.pi / 2 + rng.normal(0, 0.25), yaw + rng.normal(0, 0.3)
    elif group == "talk":  # round a middle in front of the first
        direction = yaw + side * rng.uniform(0.0, 1.3) * (number > 1) + rng.normal(0, 0.35)
        turn = direction + np.pi + rng.normal(0, 0.3)
    elif group == "depth":  # before or behind, far apart
        direction = yaw + (np.pi if rng.random() < 0.6 else 0.0) + rng.normal(0, 0.5)
        apart, turn = apart * rng.uniform(1.0, 3.5), yaw + rng.normal(0, 0.9)
    else:
        direction, turn = rng.uniform(-np.pi, np.pi), rng.uniform(-np.pi, np.pi)
        apart *= rng.uniform(1.0, 2.0)
    move = np.array([np.sin(direction), np.cos(direction)]) * apart
    return Spot(float(turn), move)
