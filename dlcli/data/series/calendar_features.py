"""Where in the day, the week and the year times are: what is known of the future."""

import math
from typing import Literal, get_args

import numpy as np

from dlcli.data.series.time_axis import TimeAxis

Cycle = Literal["hour of the day", "day of the week", "time of the year"]

_DAY = 86_400e6  # in microseconds
_LENGTHS: dict[Cycle, float] = {
    "hour of the day": _DAY,
    "day of the week": 7 * _DAY,
    "time of the year": 365.2425 * _DAY,
}
_MONDAY = 4 * _DAY  # the first one after 1970 began, on a Thursday
SLOTS = 2  # numbers of a cycle: a point on a circle


def cycles_of(axis: TimeAxis, num_steps: int) -> tuple[Cycle, ...]:
    """Return the cycles that have several steps, and of which training saw a whole one."""
    if axis.unit == "plain":
        return ()
    step = axis.step * (_DAY * 365.2425 / 12 if axis.unit == "month" else 1)
    cycles: tuple[Cycle, ...] = get_args(Cycle)
    return tuple(one for one in cycles if step * 1.5 < _LENGTHS[one] <= step * num_steps)


def encode_cycles(cycles: tuple[Cycle, ...], times: np.ndarray) -> np.ndarray:
    """Return sine and cosine of where times are in each cycle, float64 [times, 2 × cycles]."""
    found = [np.empty((len(times), 0))]
    for cycle in cycles:
        shift = _MONDAY if cycle == "day of the week" else 0.0
        angle = 2 * math.pi * ((times - shift) / _LENGTHS[cycle] % 1.0)
        # Of standard deviation 1, as numeric columns are.
        found.append(math.sqrt(2) * np.column_stack([np.sin(angle), np.cos(angle)]))
    return np.concatenate(found, axis=1)
