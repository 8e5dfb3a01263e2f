"""What is fitted to a feature column on the training rows, and how it turns cells into numbers.

Every fitted column is plain data: it travels in the checkpoint as JSON and comes back equal.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field

from dlcli.config.data import ColumnKind, DataConfig, Scale
from dlcli.config.section import Section, Size
from dlcli.data.cells import (
    numbers_in,
    parse_booleans,
    parse_moments,
    read_cells,
    refuse_unparsed,
    to_labels,
)
from dlcli.data.table import Table

Cycle = Literal["year", "week", "day"]
_CYCLE_SECONDS: dict[Cycle, float] = {"year": 365.2425 * 86400, "week": 7 * 86400, "day": 86400}

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
class Oddity:
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
    match kind:
        case "numeric":
            values = numbers_in(rows, name, config.missing_values)
            center, scale = _center_and_scale(values, config.scale)
            return NumericColumn(
                name=name, center=center, scale=scale, fill=_median(values), indicator=_gaps(values)
            )
        case "boolean":
            values = _booleans(rows, name, config.missing_values)
            return BooleanColumn(
                name=name, fill=float(_median(values) >= 0.5), indicator=_gaps(values)
            )
        case "datetime":
            values = _seconds(rows, name, config.missing_values)
            center, scale = _center_and_scale(values, "standard")
            return DatetimeColumn(
                name=name,
                center=center,
                scale=scale,
                fill=_median(values),
                indicator=_gaps(values),
                cycles=tuple(
                    cycle
                    for cycle, seconds in _CYCLE_SECONDS.items()
                    if np.nanstd(values % seconds) > 0 and np.nanstd(values) > seconds / 10
                ),
            )
        case "categorical":
            labels = to_labels(read_cells(rows, name, config.missing_values))
            categories = tuple(sorted(labels.drop_nulls().unique()))
            has_missing = labels.null_count() > 0
            one_hot = len(categories) + has_missing <= config.one_hot_max
            return CategoricalColumn(
                name=name,
                categories=categories,
                has_missing=has_missing,
                embedding_dim=None
                if one_hot
                else config.embedding_dim or _embedding_dim(len(categories)),
            )


def encode_column(
    column: FittedColumn, rows: Table, missing_values: tuple[str, ...]
) -> tuple[np.ndarray, Oddity | None]:
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
            angles = [2 * np.pi * filled / _CYCLE_SECONDS[cycle] for cycle in column.cycles]
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
    refuse_unparsed(rows, cells, values, "true or false")
    return values.cast(pl.Float64).to_numpy()


def _seconds(rows: Table, name: str, missing_values: tuple[str, ...]) -> np.ndarray:
    cells = read_cells(rows, name, missing_values)
    moments = parse_moments(cells)
    refuse_unparsed(rows, cells, moments, "a date such as 2024-01-31 or 2024-01-31T12:00:00")
    return (moments.dt.epoch("us").cast(pl.Float64) / 1e6).to_numpy()


def _center_and_scale(values: np.ndarray, how: Scale) -> tuple[float, float]:
    """Return what to subtract and to divide by; a constant column is divided by 1."""
    known = values[~np.isnan(values)]
    if not len(known) or how == "none":
        return 0.0, 1.0
    if how == "minmax":
        return float(known.min()), float(np.ptp(known)) or 1.0
    if known.min() == known.max():  # the mean of equal numbers can differ from them by rounding
        return float(known[0]), 1.0
    return float(known.mean()), float(known.std())


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0
    middle = [(len(known) - 1) // 2, len(known) // 2]
    return float(np.partition(known, middle)[middle].mean())  # np.median would import numpy.ma


def _gaps(values: np.ndarray) -> bool:
    return bool(np.isnan(values).any())


def _embedding_dim(num_categories: int) -> int:
    """Return 1.6 × categories^0.56, at most 50: fastai's rule of thumb, at tables' sizes."""
    return min(50, round(1.6 * math.pow(num_categories, 0.56)))


def _fill_and_scale(
    column: NumericColumn | BooleanColumn | DatetimeColumn,
    rows: Table,
    values: np.ndarray,
    center: float,
    scale: float,
) -> tuple[np.ndarray, Oddity | None]:
    gaps = np.isnan(values)
    scaled = (np.where(gaps, column.fill, values) - center) / scale
    if column.indicator:
        return np.column_stack([scaled, gaps]), None
    what = "missing, none in training, filled with the training median"
    return scaled[:, None], _oddity(column.name, what, np.flatnonzero(gaps), rows)


def _codes(
    column: CategoricalColumn, rows: Table, missing_values: tuple[str, ...]
) -> tuple[np.ndarray, Oddity | None]:
    labels = to_labels(read_cells(rows, column.name, missing_values))
    known = {category: code for code, category in enumerate(column.categories, start=1)}
    missing = column.num_codes - 1 if column.has_missing else 0
    found = labels.replace_strict(known, default=0, return_dtype=pl.Int64)
    codes = found.set(labels.is_null(), missing).to_numpy()
    what = "values that training never saw"
    return codes, _oddity(column.name, what, np.flatnonzero(codes == 0), rows)


def _oddity(name: str, what: str, odd: np.ndarray, rows: Table) -> Oddity | None:
    return Oddity(name, what, len(odd), rows.place(int(odd[0]))) if len(odd) else None
