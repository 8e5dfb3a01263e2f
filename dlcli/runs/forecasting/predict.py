"""`dlcli predict` with a forecast: the rows to come after the last ones of each series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import BadRows, CellError
from dlcli.data.fitted import FittedData
from dlcli.data.series.arranging import Series
from dlcli.data.series.fitted_window import FittedWindow
from dlcli.data.signature import NUMBERS
from dlcli.data.text_files import recognition_notes
from dlcli.data.windows.fitting import encode_series, read_series
from dlcli.errors import ConfigError, DataError, DivergedError, counted
from dlcli.losses import Loss
from dlcli.tables.reading import read_table
from dlcli.tables.sources import Source
from dlcli.tables.text.text_format import TextFormat
from dlcli.training.device import Placement
from dlcli.training.evaluation import compute_outputs
from dlcli.training.rows.batches import to_tensors

if TYPE_CHECKING:
    from torch import nn


class Forecaster(Protocol):
    """A network that forecasts, or one of an ensemble."""

    @property
    def network(self) -> "nn.Module":
        """The network."""

    @property
    def fitted(self) -> FittedData:
        """How its inputs are encoded, and its outputs decoded."""

    @property
    def loss(self) -> Loss:
        """What it minimised."""

    @property
    def placement(self) -> Placement:
        """Where it computes."""

    @property
    def share(self) -> float:
        """How much its forecasts count."""


@dataclass(frozen=True)
class ForecastRows:
    """The rows to come, with the prediction's columns."""

    frame: pl.DataFrame
    separator: str  # of the cells of a text file, as the table has it
    notes: tuple[str, ...]


def forecast(
    members: Sequence[Forecaster], source: Source, *, bad_rows: BadRows, said: TextFormat
) -> ForecastRows:
    """Return the steps after the last known target of each series, with their times.

    The forecasts of several networks are averaged by their shares.

    Series that are too short are refused, or left out with `bad_rows` "skip". Raises DataError,
    StorageError.
    """
    if bad_rows == "missing":
        raise ConfigError(
            "--bad-rows missing: a forecast's rows are its past; correct the file, or train with "
            "data.window.fill"
        )
    fitted = members[0].fitted
    window = fitted.window
    assert window is not None, "it forecasts"
    table = fitted.clean(read_table(source, fitted.text_format(said)))
    notes = [*recognition_notes([table])]
    series = read_series(fitted, table)
    notes += series.notes
    origins, indices = [], []
    for index, (name, start, stop) in enumerate(series.ends()):
        origin = int(series.known_stops[index])
        if origin - start < window.past:
            of = "it" if name is None else f"'{name}'"
            lacking = (
                f"{of} has {counted(origin - start, 'step')} up to its last target, and a forecast "
                f"is made from {window.past}: add earlier rows"
            )
            if bad_rows != "skip" or name is None:
                skip = "" if name is None else ", or predict with --bad-rows skip"
                raise DataError(f"{table.source}: {lacking}{skip}")
            notes.append(f"left out: {lacking}")
            continue
        if window.known and stop - origin < window.horizon:
            of = "" if name is None else f" of '{name}'"
            last = series.text(int(series.positions[origin - 1]))
            raise DataError(
                f"{table.source}: {', '.join(window.known)} must be known ahead: add the "
                f"{window.horizon} rows{of} after {last}, with the targets left empty"
            )
        origins.append(origin)
        indices.append(index)
    if not origins:
        raise DataError(
            f"{table.source}: no series has {window.past} steps with a target at the end"
        )
    columns = _predicted(members, series, np.array(origins))
    if not all(np.isfinite(column.to_numpy()).all() for column in columns):
        raise DivergedError("the network's forecast is not finite: its weights are too large")
    frame = pl.DataFrame([*_coming(series, origins, indices, window), *columns])
    names = {name: written for name, written in table.written.items() if name in frame.columns}
    of = f", of {len(origins):,} series" if window.group else ""
    notes.append(f"{counted(window.horizon, 'step')} of {window.axis.step_text} ahead{of}")
    separator = "," if table.dialect is None else table.dialect.separator
    return ForecastRows(frame.rename(names), separator, tuple(notes))


def _predicted(
    members: Sequence[Forecaster], series: Series, origins: np.ndarray
) -> list[pl.Series]:
    """Return the columns of the mean forecast from some origins, and of its bounds."""
    target = members[0].fitted.target
    totals: list[np.ndarray] = []  # of predictions and, if there are some, bounds
    for member in members:
        try:
            encoded = encode_series(member.fitted, series)
        except CellError as error:
            raise DataError(f"{error.what}; {error.new_file}") from None
        inputs = to_tensors({NUMBERS: encoded.inputs_at(origins)}, member.placement.device)
        outputs = compute_outputs(member.network, inputs, member.placement)
        found = [member.loss.predictions(outputs), *(member.loss.bounds(outputs) or ())]
        shares = [member.fitted.target.to_target_units(one) * member.share for one in found]
        totals = [*map(np.add, totals, shares)] if totals else shares
    predictions, *bounds = totals
    columns = target.prediction_columns(predictions)
    return [*columns, *(target.bound_columns(*bounds) if bounds else [])]


def _coming(
    series: Series, origins: list[int], indices: list[int], window: FittedWindow
) -> list[pl.Series]:
    """Return the columns of times, and of series, of the steps to come."""
    ahead = np.arange(1, window.horizon + 1)
    positions = series.positions[np.array(origins) - 1][:, None] + ahead
    found = series.axis.as_columns(series.axis.times(positions.ravel(), series.origin))
    if window.group is not None:
        names = [series.names[index] for index in indices for _ in ahead]
        found.append(pl.Series(window.group, names))
    return found
