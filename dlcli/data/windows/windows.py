"""Windows over encoded series: examples that are cut from one array when they are needed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from dlcli.data.fields import Examples
from dlcli.data.series.arranging import Series
from dlcli.data.series.time_axis import TimeAxis
from dlcli.data.signature import NUMBERS


@dataclass(frozen=True)
class EncodedSeries:
    """One or several series, one after another, as a network sees them."""

    inputs: np.ndarray  # float32 [steps, channels]
    targets: np.ndarray  # float32 [steps, numbers], NaN where one is missing
    past: int
    horizon: int
    times: np.ndarray  # of each step, as its axis has them, float64 [steps]
    starts: np.ndarray  # the first step of each series, and the number of steps, int64
    names: tuple[object, ...]  # of the series; one None where there is one

    def place_of(self, step: int, axis: TimeAxis) -> str:
        """Say when a step is, and of which series."""
        time = axis.text(self.times[step : step + 1])[0]
        name = self.names[int(np.searchsorted(self.starts, step, side="right")) - 1]
        return time if name is None else f"{time}, {name}"

    def inputs_at(self, origins: np.ndarray) -> np.ndarray:
        """Return the past of origins, float32 [windows, channels × past]."""
        steps = origins[:, None] + np.arange(-self.past, 0)
        return self.inputs[steps].transpose(0, 2, 1).reshape(len(origins), -1)

    def targets_at(self, origins: np.ndarray) -> np.ndarray:
        """Return what comes from origins on, float32 [windows, numbers × horizon]."""
        steps = origins[:, None] + np.arange(self.horizon)
        return self.targets[steps].transpose(0, 2, 1).reshape(len(origins), -1)


@dataclass(frozen=True)
class Windows(Examples):
    """Examples: the steps before an origin, and the targets of the steps from it on.

    Arrays of all of them are made anew each time that they are asked for.
    """

    series: EncodedSeries = field(kw_only=True)
    origins: np.ndarray = field(kw_only=True)  # the first step that is forecast, int64 [windows]
    target: str = field(kw_only=True)  # the field of what is predicted

    @classmethod
    def of(cls, series: EncodedSeries, origins: np.ndarray, target: str) -> "Windows":
        """Return the windows at some origins; no number is copied."""
        inputs = _Gathered(NUMBERS, partial(series.inputs_at, origins))
        targets = _Gathered(target, partial(series.targets_at, origins))
        return cls(inputs, targets, len(origins), series=series, origins=origins, target=target)

    def take(self, rows: np.ndarray) -> "Windows":
        """Return some windows, by their indices, int64 [chosen]; no number is copied."""
        return self.of(self.series, self.origins[rows], self.target)


class _Gathered(Mapping[str, np.ndarray]):
    """A single array by name, made when it is asked for."""

    def __init__(self, name: str, gather: Callable[[], np.ndarray]) -> None:
        self._name, self._gather = name, gather

    def __getitem__(self, name: str) -> np.ndarray:
        if name != self._name:
            raise KeyError(name)
        return self._gather()

    def __iter__(self) -> Iterator[str]:
        return iter((self._name,))

    def __len__(self) -> int:
        return 1


def find_origins(
    series: Series, encoded: EncodedSeries, *, first: int, end: int
) -> tuple[np.ndarray, int]:
    """Return the origins whose targets are all from position `first` to before `end`, int64.

    The past may reach back before `first`, within its series. Returns how many are left out, too,
    because a target is missing.
    """
    past, horizon = encoded.past, encoded.horizon
    missing = np.concatenate([[0], np.cumsum(np.isnan(encoded.targets).any(axis=1))])
    found, num_missing = [np.empty(0, np.int64)], 0
    for start, stop in zip(series.starts[:-1], series.known_stops, strict=True):
        origins = np.arange(start + past, stop - horizon + 1)
        at = series.positions[origins]
        origins = origins[(at >= first) & (at + horizon <= end)]
        has_all = missing[origins + horizon] == missing[origins]
        found.append(origins[has_all])
        num_missing += int((~has_all).sum())
    return np.concatenate(found), num_missing
