"""What is fitted to a feature column on the training rows, and how it turns cells into numbers.

Every fitted column is plain data: it travels in the checkpoint as JSON and comes back equal.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field

from dlcli.columns.cells import (
    float32_overflow_error,
    numbers_in,
    parse_booleans,
    parse_datetimes,
    read_cells,
    refuse_unparsed,
    to_labels,
    to_seconds,
    unparsed,
)
from dlcli.columns.column_statistics import CYCLE_SECONDS, CellCount, ColumnStatistics, Cycle, look
from dlcli.columns.labels import MAX_LABELS
from dlcli.columns.running_statistics import RunningStatistics
from dlcli.config.sections.data import ColumnKind, DataConfig, Scale
from dlcli.errors import DataError
from dlcli.section import Section, Size
from dlcli.tables.table import Table

_A_TRUTH = "true or false"
_A_MOMENT = "a date such as 2024-01-31 or 2024-01-31T12:00:00"
_FILLED = "missing, none in training, filled with the training median"
_UNSEEN = "values that training never saw"

Strings = Annotated[tuple[str, ...], Field(strict=False)]


class NumericColumn(Section):
    """(x - center) / scale; a missing number is `fill`, and `indicator` adds a column for that."""

    kind: Literal["numeric"] = "numeric"
    name: str
    center: float
    scale: float
    fill: float
    indicator: bool


class BooleanColumn(Section):
    """0 or 1; a missing value is `fill`, and `indicator` adds a column for that."""

    kind: Literal["boolean"] = "boolean"
    name: str
    fill: float
    indicator: bool


class DatetimeColumn(Section):
    """Standardised seconds, and a sine and cosine for each cycle that varies."""

    kind: Literal["datetime"] = "datetime"
    name: str
    center: float  # seconds since 1970 UTC
    scale: float
    fill: float
    indicator: bool
    cycles: Annotated[tuple[Cycle, ...], Field(strict=False)]


class CategoricalColumn(Section):
    """A code for each category: 0 for one never seen, then the categories, then missing.

    One-hot where `embedding_dim` is None: a column for each code but 0, so that an unseen category
    has a pattern of its own (zeros throughout) and no weight that training never touched.
    Embedded otherwise, by a table in which code 0 is a vector of zeros for the same reason.
    """

    kind: Literal["categorical"] = "categorical"
    name: str
    categories: Strings
    has_missing: bool  # there was a missing value among the training rows: a category of its own
    embedding_dim: Size | None

    @property
    def num_codes(self) -> int:
        """Codes, the one for unseen categories included."""
        return 1 + len(self.categories) + self.has_missing


@dataclass(frozen=True)
class UnseenCells:
    """Cells of a column that training gave no example of."""

    column: str
    what: str
    count: int
    first: str  # the place of the first one

    def __str__(self) -> str:
        return f"column '{self.column}': {self.count} {self.what}; the first: {self.first}"


FittedColumn = Annotated[
    NumericColumn | BooleanColumn | DatetimeColumn | CategoricalColumn,
    Field(discriminator="kind"),
]


def fit_column(name: str, kind: ColumnKind, rows: Table, config: DataConfig) -> FittedColumn:
    """Fit a column's encoding to the training rows; DataError where a cell is not of the kind."""
    return fit_to_facts(look(rows, name, config.missing_values, kind=kind), kind, config)


def fit_to_facts(facts: ColumnStatistics, kind: ColumnKind, config: DataConfig) -> FittedColumn:
    """Fit to what the training rows have shown; DataError where a cell is not of the kind."""
    refuse_other(facts, kind)
    name, indicator = facts.name, facts.missing.count > 0
    match kind:
        case "numeric":
            center, scale = _center_and_scale(facts.spread, config.scale)
            return NumericColumn(
                name=name,
                center=center,
                scale=scale,
                fill=_median(facts.sample),
                indicator=indicator,
            )
        case "boolean":
            fill = float(0 < facts.num_known <= 2 * facts.num_true)
            return BooleanColumn(name=name, fill=fill, indicator=indicator)
        case "datetime":
            center, scale = _center_and_scale(facts.spread, "standard")
            return DatetimeColumn(
                name=name,
                center=center,
                scale=scale,
                fill=_median(facts.sample),
                indicator=indicator,
                cycles=tuple(
                    cycle
                    for cycle, spread in facts.cycles.items()
                    if not spread.is_constant and facts.spread.deviation > CYCLE_SECONDS[cycle] / 10
                ),
            )
        case "categorical":
            assert facts.labels is not None, "they are gathered for such a column"
            if facts.labels.are_too_many:
                raise DataError(
                    f"{facts.source}: column '{name}' has more than {MAX_LABELS:,} different "
                    "values, too many to tell apart: leave it out of data.features"
                )
            categories = tuple(sorted(to_labels(facts.labels.cells).unique()))
            has_missing = facts.missing.count > 0
            one_hot = len(categories) + has_missing <= config.one_hot_max
            return CategoricalColumn(
                name=name,
                categories=categories,
                has_missing=has_missing,
                embedding_dim=None
                if one_hot
                else config.embedding_dim or _embedding_dim(len(categories)),
            )


def refuse_other(facts: ColumnStatistics, kind: ColumnKind, *, is_target: bool = False) -> None:
    """Raise DataError where a cell is not of a kind, or has no room in float32."""
    match kind:
        case "numeric":
            wanted, other = "a number", facts.other_than("numbers")
        case "boolean":
            wanted, other = _A_TRUTH, facts.other_than("booleans")
        case "datetime":
            wanted, other = _A_MOMENT, facts.other_than("moments")
        case "categorical":
            return
    if other.count:
        place, name = facts.place(other), facts.name
        raise unparsed(name, other.cell, place, wanted, count=other.count, is_target=is_target)
    if kind == "numeric" and facts.endless.count:
        raise float32_overflow_error(facts.name, facts.endless.cell, facts.place(facts.endless))


def find_unseen_cells(column: FittedColumn, facts: ColumnStatistics) -> UnseenCells | None:
    """Return what `encode_column` would find odd about the rows that the facts are of."""
    if not isinstance(column, CategoricalColumn):
        if column.indicator or not facts.missing.count:
            return None
        return UnseenCells(column.name, _FILLED, facts.missing.count, facts.place(facts.missing))
    assert facts.labels is not None, "they are gathered for such a column"
    odd = CellCount() if column.has_missing else facts.missing
    if not facts.labels.are_too_many:
        known = set(column.categories)
        for cell, count, number in zip(
            to_labels(facts.labels.cells), facts.labels.counts, facts.labels.numbers, strict=True
        ):
            if cell not in known:
                odd += CellCount(int(count), int(number), cell)
    return UnseenCells(column.name, _UNSEEN, odd.count, facts.place(odd)) if odd.count else None


def encode_column(
    column: FittedColumn, rows: Table, missing_values: tuple[str, ...]
) -> tuple[np.ndarray, UnseenCells | None]:
    """Return float64 [rows, width], and what is odd about the cells.

    An embedded column gives one number a row, its code. Raises DataError where a cell is not of
    the column's kind.
    """
    match column:
        case NumericColumn():
            numbers = numbers_in(rows, column.name, missing_values)
            return _fill_and_scale(column, rows, numbers, column.center, column.scale)
        case BooleanColumn():
            truths = _booleans(rows, column.name, missing_values)
            return _fill_and_scale(column, rows, truths, 0.0, 1.0)
        case DatetimeColumn():
            seconds = _seconds(rows, column.name, missing_values)
            block, odd = _fill_and_scale(column, rows, seconds, column.center, column.scale)
            filled = np.where(np.isnan(seconds), column.fill, seconds)
            angles = [2 * np.pi * filled / CYCLE_SECONDS[cycle] for cycle in column.cycles]
            waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
            return np.column_stack([block, *waves]), odd
        case CategoricalColumn():
            codes, odd = _codes(column, rows, missing_values)
            if column.embedding_dim is not None:
                return codes[:, None].astype(np.float64), odd
            return (codes[:, None] == np.arange(1, column.num_codes)).astype(np.float64), odd


def _booleans(rows: Table, name: str, missing_values: tuple[str, ...]) -> np.ndarray:
    cells = read_cells(rows, name, missing_values)
    values = parse_booleans(cells)
    refuse_unparsed(rows, cells, values, _A_TRUTH)
    return values.cast(pl.Float64).to_numpy()


def _seconds(rows: Table, name: str, missing_values: tuple[str, ...]) -> np.ndarray:
    cells = read_cells(rows, name, missing_values)
    moments = parse_datetimes(cells)
    refuse_unparsed(rows, cells, moments, _A_MOMENT)
    return to_seconds(moments)


def _center_and_scale(spread: RunningStatistics, how: Scale) -> tuple[float, float]:
    """Return what to subtract and to divide by; a constant column is divided by 1."""
    if not spread.count or how == "none":
        return 0.0, 1.0
    if how == "minmax":
        return spread.least, spread.greatest - spread.least or 1.0
    if spread.is_constant:  # the mean of equal numbers can differ from them by rounding
        return spread.least, 1.0
    return spread.mean, spread.deviation


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0
    middle = [(len(known) - 1) // 2, len(known) // 2]
    return float(np.partition(known, middle)[middle].mean())  # np.median would import numpy.ma


def _embedding_dim(num_categories: int) -> int:
    """Return 1.6 × categories^0.56, at most 50: fastai's rule of thumb, at tables' sizes."""
    return min(50, round(1.6 * math.pow(num_categories, 0.56)))


def _fill_and_scale(
    column: NumericColumn | BooleanColumn | DatetimeColumn,
    rows: Table,
    values: np.ndarray,
    center: float,
    scale: float,
) -> tuple[np.ndarray, UnseenCells | None]:
    gaps = np.isnan(values)
    scaled = (np.where(gaps, column.fill, values) - center) / scale
    if column.indicator:
        return np.column_stack([scaled, gaps]), None
    return scaled[:, None], _oddity(column.name, _FILLED, np.flatnonzero(gaps), rows)


def _codes(
    column: CategoricalColumn, rows: Table, missing_values: tuple[str, ...]
) -> tuple[np.ndarray, UnseenCells | None]:
    labels = to_labels(read_cells(rows, column.name, missing_values))
    known = {category: code for code, category in enumerate(column.categories, start=1)}
    missing = column.num_codes - 1 if column.has_missing else 0
    found = labels.replace_strict(known, default=0, return_dtype=pl.Int64)
    codes = found.set(labels.is_null(), missing).to_numpy()
    return codes, _oddity(column.name, _UNSEEN, np.flatnonzero(codes == 0), rows)


def _oddity(name: str, what: str, odd: np.ndarray, rows: Table) -> UnseenCells | None:
    return UnseenCells(name, what, len(odd), rows.place(int(odd[0]))) if len(odd) else None
