"""Axes: limits, the place of a value, round numbers as ticks."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.report.charts.chart import (
    Axis,
    Band,
    Boxes,
    Dots,
    Label,
    Line,
    Mark,
    Panel,
    Raster,
    Rule,
    Spans,
)

_MARGIN = 0.04  # of the range, beyond the outermost values
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_WHOLE_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """Where the values of an axis lie, from 0 (its low end) to 1."""

    axis: Axis
    low: float
    high: float

    def place(self, values: object) -> np.ndarray:
        """Return places of values; not finite where a value is not, or has no logarithm."""
        found = np.asarray(values, np.float64)
        ends = np.array([self.low, self.high])
        if self.axis.is_log:
            with np.errstate(divide="ignore", invalid="ignore"):
                found, ends = np.log(found), np.log(ends)
        places: np.ndarray = (found - ends[0]) / (ends[1] - ends[0])
        return 1.0 - places if self.axis.is_flipped else places

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Values that are marked, and how they are written."""
        if self.axis.ticks is not None:
            return list(self.axis.ticks)
        if self.axis.is_log:
            return [(value, tick_text(value)) for value in self._log_ticks()]
        steps = _WHOLE_STEPS if self.axis.is_integer else _STEPS
        step = _round_step((self.high - self.low) / self.axis.max_ticks, steps)
        if self.axis.is_integer:
            step = max(1.0, step)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [number * step for number in range(first, last + 1)]
        return list(zip(values, _written(values, step), strict=True))

    def _log_ticks(self) -> list[float]:
        decades = math.log10(self.high / self.low)
        every = max(1, math.ceil(decades / self.axis.max_ticks))
        factors: tuple[float, ...] = (1, 2, 5) if 3 * decades <= self.axis.max_ticks else (1,)
        if decades < 0.7:
            factors = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        values = [
            float(f"{factor}e{power}")
            for power in range(first, last + 1)
            if power % every == 0
            for factor in factors
        ]
        return [value for value in values if 0.999 * self.low <= value <= 1.001 * self.high]


def scales_of(panel: Panel) -> tuple[Scale, Scale]:
    """Return the scales of a panel's axes."""
    x = _scale(panel.x, np.concatenate([[], *(part[0] for part in _extents(panel.marks))]))
    y = _scale(panel.y, np.concatenate([[], *(part[1] for part in _extents(panel.marks))]))
    return x, y


def _extents(marks: Sequence[Mark]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the values along x and y that each mark needs room for."""
    for mark in marks:
        match mark:
            case Line() | Dots():
                yield np.asarray(mark.x, np.float64), np.asarray(mark.y, np.float64)
            case Band():
                yield np.asarray(mark.x, np.float64), np.concatenate([mark.low, mark.high])
            case Spans():
                yield np.concatenate([mark.x0, mark.x1]), np.concatenate([mark.y0, mark.y1])
            case Boxes():
                ends = np.array([(box.x0, box.x1, box.y0, box.y1) for box in mark.boxes])
                ends = ends.reshape(-1, 4)
                yield ends[:, :2].ravel(), ends[:, 2:].ravel()
            case Raster():
                yield np.array([mark.x0, mark.x1]), np.array([mark.y0, mark.y1])
            case Label():
                yield np.array([mark.x]), np.array([mark.y])
            case Rule():
                at = np.array([mark.at])
                yield (at, np.array([])) if mark.axis == "x" else (np.array([]), at)


def _scale(axis: Axis, values: np.ndarray) -> Scale:
    known = values[np.isfinite(values)]
    if axis.is_log:
        known = known[known > 0]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if axis.is_log:
        low, high = (low, high) if low > 0 else (0.1, 1.0)
        margin = (high / low) ** _MARGIN if high > low else 2.0
        low, high = low / margin, high * margin
    else:
        margin = _MARGIN * (high - low) or abs(high) / 2 or 1.0
        low, high = low - margin, high + margin
    low = low if axis.low is None else axis.low
    high = high if axis.high is None else axis.high
    return Scale(axis, low, high if high > low else low + 1.0)


def _round_step(least: float, steps: Sequence[float]) -> float:
    """Return the smallest round number that is no smaller."""
    unit = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(step * unit for step in steps if step * unit >= least * (1 - 1e-9))


def _written(values: Sequence[float], step: float) -> list[str]:
    """Write ticks with the same number of decimals."""
    largest = max(map(abs, values), default=0.0)
    if largest >= 1e6 or (0 < largest < 1e-3):
        return [tick_text(float(f"{value:.6g}")) for value in values]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**decimals, 6) % 1:  # 2.5
        decimals += 1
    return [f"{value:,.{decimals}f}" for value in np.array(values) + 0.0]


def tick_text(value: float) -> str:
    """Write a number plainly where that is short."""
    if value == 0:
        return "0"
    text = f"{value:g}"
    if 1e-3 <= abs(value) < 1e6 and "e" not in text:
        return f"{value:,g}"
    mantissa, power = f"{value:.3e}".split("e")
    return f"{float(mantissa):g}e{int(power)}"
