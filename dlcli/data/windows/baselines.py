"""Forecasts that need no network: the last value, the last season, a ridge on the past."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dlcli.data.fitted import FittedData
from dlcli.data.series.fitted_window import FittedWindow
from dlcli.data.series.time_axis import TimeAxis
from dlcli.data.windows.windows import EncodedSeries, Windows
from dlcli.errors import counted

Forecast = Callable[[np.ndarray], np.ndarray]  # origins [windows] → [windows, numbers × horizon]

_BLOCK = 2048  # windows at once
_MAX_FEATURES = 1536  # of a ridge
_PENALTIES = np.logspace(-4, 0, 5)  # per window
_SEASONS = {"microsecond": (3_600e6, 86_400e6, 7 * 86_400e6, 365.25 * 86_400e6), "month": (12,)}
_MAX_SEASON = 1_000  # steps
_NEAR = 0.02  # of a step, by which a season may be no whole number of them


@dataclass(frozen=True)
class Baseline:
    """A forecast beside that of the network."""

    name: str
    explanation: str
    forecast: Forecast  # as the network sees numbers


def baselines(fitted: FittedData, train: Windows, validation: Windows | None) -> list[Baseline]:
    """Return the baselines that the windows allow; the ridge is fitted to training windows.

    They forecast windows of the series that these windows are of.
    """
    return [*simple_baselines(fitted, train.series), _ridge(train, validation)]


def simple_baselines(fitted: FittedData, series: EncodedSeries) -> Iterator[Baseline]:
    """Yield the baselines that are fitted to nothing."""
    window = fitted.window
    assert window is not None, "rows are steps of series"
    known = _last_known(series.targets)
    yield Baseline("last value", "the last value repeated", lambda at: _last(known, at, series, 1))
    if window.season is not None and window.season > 1:
        season = window.season
        text = "" if window.axis.unit == "plain" else f" ({window.axis.span_text(season)})"
        yield Baseline(
            "last season",
            f"the last {counted(season, 'step')}{text} repeated",
            lambda at: _last(known, at, series, season),
        )


def choose_season(fitted: FittedData, train: Windows) -> int | None:
    """Return the season with the smallest squared error on training windows; None without one.

    Seasons are an hour, a day, a week and a year of the step, where they are whole numbers of steps
    and no longer than the past.
    """
    window = fitted.window
    assert window is not None, "rows are steps of series"
    known = _last_known(train.series.targets)
    errors = {}
    for season in seasons_of(window):
        total = 0.0
        for origins in blocks(train.origins):
            found = _last(known, origins, train.series, season)
            total += float(((found - train.series.targets_at(origins)) ** 2).sum(dtype=np.float64))
        errors[season] = total
    return min(errors, key=errors.__getitem__, default=None)


def seasons_of(window: FittedWindow) -> list[int]:
    """Return how many steps the usual seasons have that are no longer than the past."""
    return [season for season in seasons_of_axis(window.axis) if season <= window.past]


def seasons_of_axis(axis: TimeAxis) -> list[int]:
    """Return how many steps an hour, a day, a week and a year are, as far as several."""
    found = []
    for length in _SEASONS.get(axis.unit, ()):
        steps = length / axis.step
        whole = round(steps)
        if 1 < whole <= _MAX_SEASON and abs(steps - whole) < _NEAR * whole:
            found.append(whole)
    return found


def blocks(origins: np.ndarray) -> Iterator[np.ndarray]:
    """Yield some origins at a time."""
    for start in range(0, len(origins), _BLOCK):
        yield origins[start : start + _BLOCK]


def _last_known(targets: np.ndarray) -> np.ndarray:
    """Return targets [steps, numbers] in which a missing one is the last before, or the mean."""
    places = np.where(np.isnan(targets), 0, np.arange(len(targets))[:, None])
    filled = np.take_along_axis(targets, np.maximum.accumulate(places), axis=0)
    known: np.ndarray = np.nan_to_num(filled)
    return known


def _last(known: np.ndarray, origins: np.ndarray, series: EncodedSeries, season: int) -> np.ndarray:
    """Return the last `season` steps before origins, as often as the horizon takes."""
    back = np.arange(series.horizon) % season - season
    found: np.ndarray = known[origins[:, None] + back].transpose(0, 2, 1)
    return found.reshape(len(origins), -1)


def _ridge(train: Windows, validation: Windows | None) -> Baseline:
    """Fit a ridge regression on the past by sums over windows.

    The penalty is the one with the least error on the validation windows, or else on the last fifth
    of the training windows. Of many channels, or a long past, it sees as much as it can take.
    """
    series = train.series
    num_channels, num_numbers = series.inputs.shape[1], series.targets.shape[1]
    table, what = series.inputs, "all channels"
    if num_channels * series.past > _MAX_FEATURES:
        table, what = _last_known(series.targets), "the targets"
    past = max(1, min(series.past, _MAX_FEATURES // table.shape[1]))
    origins, held = train.origins, None if validation is None else validation.origins
    if held is None:
        origins, held = np.split(origins, [len(origins) - len(origins) // 5])
    lags = np.arange(-1, -past - 1, -1)

    def features(at: np.ndarray) -> np.ndarray:
        found: np.ndarray = table[at[:, None] + lags].reshape(len(at), -1)
        return found

    size, count = table.shape[1] * past, len(origins)
    sum_x, sum_y = np.zeros(size), np.zeros(num_numbers * series.horizon)
    products, newest = np.zeros((size, len(sum_y))), np.zeros((table.shape[1], size))
    for some in blocks(origins):
        x, y = features(some), series.targets_at(some)
        sum_x += x.sum(axis=0, dtype=np.float64)
        sum_y += y.sum(axis=0, dtype=np.float64)
        products += x.T @ y
        newest += x[:, : table.shape[1]].T @ x
    mean_x, mean_y = sum_x / count, sum_y / count
    squares = _squares_of_lags(table, origins, newest, past) - count * np.outer(mean_x, mean_x)
    products -= count * np.outer(mean_x, mean_y)
    found = {
        penalty: np.linalg.solve(squares + penalty * count * np.eye(size), products)
        for penalty in _PENALTIES
    }
    errors = dict.fromkeys(found, 0.0)
    for some in blocks(held):
        x, y = features(some) - mean_x, series.targets_at(some) - mean_y
        for penalty, weights in found.items():
            errors[penalty] += float(((x @ weights - y) ** 2).sum())
    best = min(errors, key=errors.__getitem__)
    weights = found[best]
    return Baseline(
        "ridge",
        f"a linear model on the last {counted(past, 'step')} of {what}, with an L2 penalty of "
        f"{best:.2g} per window",
        lambda at: (features(at) - mean_x) @ weights + mean_y,
    )


def _squares_of_lags(
    table: np.ndarray, origins: np.ndarray, newest: np.ndarray, past: int
) -> np.ndarray:
    """Return the summed products of all features, from those of the newest step with all.

    Features are the steps before an origin, the newest first. One step further back, the products
    of a run of origins are the same sums, but for those of its two ends.
    """
    ends = np.flatnonzero(np.diff(origins) != 1)
    firsts = origins[np.append(0, ends + 1)]
    lasts = origins[np.append(ends, len(origins) - 1)]
    width = table.shape[1]
    lags = np.arange(-1, -past - 1, -1)
    entering, leaving = (
        table[at[:, None] + lags].astype(np.float64) for at in (firsts - 1, lasts)
    )  # [runs, past, channels]
    squares = np.empty((past * width, past * width))
    squares[:width] = newest
    for lag in range(1, past):
        here = slice(lag * width, (lag + 1) * width)
        squares[here, :width] = newest[:, here].T
        before = squares[(lag - 1) * width : lag * width, : (past - 1) * width]
        squares[here, width:] = before + _products(entering, lag) - _products(leaving, lag)
    return squares


def _products(steps: np.ndarray, lag: int) -> np.ndarray:
    """Return the products of one step before each origin with all but the last, summed."""
    rest = steps[:, :-1].reshape(len(steps), -1)
    found: np.ndarray = steps[:, lag - 1].T @ rest
    return found
