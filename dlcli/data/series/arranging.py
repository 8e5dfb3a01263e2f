"""Rows of a table → series in the order of time, without gaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.columns.cells import read_cells
from dlcli.config.sections.window import Fill
from dlcli.data.series.time_axis import TimeAxis, read_times
from dlcli.errors import DataError, counted
from dlcli.tables.table import Table

_POSITION, _SERIES, _NUMBER = "dlcli position", "dlcli series", "dlcli number"


@dataclass(frozen=True)
class Series:
    """One or several series, one after another, each step a row."""

    rows: Table
    axis: TimeAxis
    origin: float  # the time at position 0
    positions: np.ndarray  # of each row in time, int64 [rows]
    starts: np.ndarray  # the first row of each series, and the number of rows, int64
    known_stops: np.ndarray  # the row after the last one with a target of each series, int64
    names: tuple[object, ...]  # of the series, as their column has them; one None without one
    notes: tuple[str, ...] = ()  # on what was filled

    @property
    def num_series(self) -> int:
        """How many series there are."""
        return len(self.names)

    def ends(self) -> Iterator[tuple[object, int, int]]:
        """Yield each series' name, its first row, and the row after its last."""
        yield from zip(self.names, self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)

    def text(self, position: int) -> str:
        """Return the time of a position as text."""
        return self.axis.text(self.axis.times(np.array([position]), self.origin))[0]


def find_axis(rows: Table, columns: tuple[str, ...], group: str | None) -> TimeAxis:
    """Return the step of a table's series; DataError where they have none."""
    return TimeAxis.find(rows, columns, _group_codes(rows, group)[0])


def arrange(
    rows: Table, axis: TimeAxis, group: str | None, fill: Fill | None, targets: Sequence[str]
) -> Series:
    """Return the rows of each series in the order of time, its gaps filled where that is wanted.

    No target is filled behind the last row of a series that has one: those rows are to come.
    Raises DataError for two rows of one time, and for a gap that isn't filled.
    """
    codes, names = _group_codes(rows, group)
    positions, origin = axis.positions(rows)
    order = np.lexsort((positions, codes))
    rows, codes, positions = rows.take(order), codes[order], positions[order]
    apart = np.diff(positions, prepend=positions[:1] - 1)
    apart[np.flatnonzero(np.diff(codes, prepend=codes[:1] - 1))] = 1
    twice = np.flatnonzero(apart == 0)
    if len(twice):
        raise _two_at_once(rows, int(twice[0]), axis, group, len(twice))
    gaps = np.flatnonzero(apart > 1)
    notes = []
    if len(gaps):
        lacking = int((apart[gaps] - 1).sum())
        if fill is None:
            raise _gap(rows, int(gaps[0]), int(apart[gaps[0]]) - 1, axis, lacking)
        rows, codes, positions = _with_steps(rows, codes, positions, group)
        how = "without values" if fill == "missing" else "with the values before them"
        notes.append(
            f"{counted(lacking, 'step')} that the table leaves out put in {how} (data.window.fill)"
        )
    starts = np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(rows))
    stops = _known_stops(rows, targets, starts)
    if fill == "previous":
        is_to_come = np.arange(len(rows)) >= np.repeat(stops, np.diff(starts))
        rows, filled = _carried_on(rows, codes, targets, is_to_come)
        filled = [name for name in filled if name not in axis.columns]  # of steps put in
        if filled:
            notes.append(
                f"{', '.join(filled)}: missing values take the last one before (data.window.fill)"
            )
    return Series(rows, axis, origin, positions, starts, stops, names, tuple(notes))


def _known_stops(rows: Table, targets: Sequence[str], starts: np.ndarray) -> np.ndarray:
    """Return the row after the last one that has a target, of each series; its first without."""
    has_any = np.zeros(len(rows), bool)
    for name in targets:
        has_any |= read_cells(rows, name, rows.missing_values or ()).is_not_null().to_numpy()
    last = np.maximum.accumulate(np.where(has_any, np.arange(len(rows)) + 1, 0))
    stops: np.ndarray = np.maximum(last[starts[1:] - 1], starts[:-1])
    return stops


def _group_codes(rows: Table, group: str | None) -> tuple[np.ndarray, tuple[object, ...]]:
    """Return the number of each row's series, int64 [rows], and the names of the series."""
    if group is None:
        return np.zeros(len(rows), np.int64), (None,)
    cells = read_cells(rows, group, rows.missing_values or ())
    if cells.null_count():
        place = rows.place(int(cells.is_null().arg_max() or 0))
        raise DataError(
            f"{place}: '{group}', which tells series apart, is missing (data.window.group): fill "
            "it in, or remove the row"
        )
    names = cells.unique().sort()
    codes = cells.to_frame().join(
        names.to_frame().with_row_index(_SERIES), on=group, how="left", maintain_order="left"
    )
    return codes[_SERIES].to_numpy().astype(np.int64), tuple(names.to_list())


def _two_at_once(rows: Table, row: int, axis: TimeAxis, group: str | None, count: int) -> DataError:
    time = axis.text(np.array([_time_of(rows, row, axis)]))[0]
    way = "" if group else ": name the column that tells series apart in data.window.group"
    return DataError(
        f"{rows.place(row)}: the time {time} is that of {rows.position(row - 1)} too, and so it is "
        f"for {counted(count, 'row')}{way}{', or' if way else ':'} leave one row for each time"
    )


def _gap(rows: Table, row: int, num_steps: int, axis: TimeAxis, lacking: int) -> DataError:
    first, second = (axis.text(np.array([_time_of(rows, at, axis)]))[0] for at in (row - 1, row))
    return DataError(
        f"{rows.place(row)}: {counted(num_steps, 'step')} of {axis.step_text} between {first} and "
        f"{second} {'is' if num_steps == 1 else 'are'} left out, {lacking} in all: set "
        "data.window.fill: previous to carry values on, fill: missing to put such steps in "
        "without values, or add the rows"
    )


def _time_of(rows: Table, row: int, axis: TimeAxis) -> float:
    return float(read_times(rows.take(np.array([row])), axis.columns)[0][0])


def _with_steps(
    rows: Table, codes: np.ndarray, positions: np.ndarray, group: str | None
) -> tuple[Table, np.ndarray, np.ndarray]:
    """Return rows with those that are left out, which have nothing but a series and a time."""
    whole_codes, whole_positions = [], []
    for code in np.unique(codes):
        mine = positions[codes == code]
        steps = np.arange(mine[0], mine[-1] + 1)
        whole_positions.append(steps)
        whole_codes.append(np.full(len(steps), code))
    wanted = pl.DataFrame(
        {_SERIES: np.concatenate(whole_codes), _POSITION: np.concatenate(whole_positions)}
    )
    have = rows.frame.with_columns(
        pl.Series(_SERIES, codes), pl.Series(_POSITION, positions), pl.Series(_NUMBER, rows.numbers)
    )
    joined = wanted.join(have, on=[_SERIES, _POSITION], how="left", maintain_order="left")
    joined = joined.with_columns(pl.col(_NUMBER).forward_fill())
    if group is not None:
        joined = joined.with_columns(pl.col(group).forward_fill())
    numbers = joined[_NUMBER].to_numpy().astype(np.int64)
    frame = joined.select(rows.frame.columns)
    return (
        rows.of_rows(frame, numbers),
        joined[_SERIES].to_numpy(),
        joined[_POSITION].to_numpy(),
    )


def _carried_on(
    rows: Table, codes: np.ndarray, targets: Sequence[str], is_to_come: np.ndarray
) -> tuple[Table, list[str]]:
    """Return rows in which a missing value is the last one before, and the columns with such."""
    series = pl.Series(_SERIES, codes)
    carried = pl.exclude(_SERIES).forward_fill().over(_SERIES)
    filled = rows.frame.with_columns(series).with_columns(carried).drop(_SERIES)
    filled = filled.with_columns(filled[name].set(pl.Series(is_to_come), None) for name in targets)
    before, after = rows.frame.null_count().row(0), filled.null_count().row(0)
    names = [
        name for name, had, has in zip(filled.columns, before, after, strict=True) if has < had
    ]
    return rows.of_rows(filled, rows.numbers), names
