"""The kinds of columns: the one place that names them all."""

from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field

from dlcli.columns.base import Column, Inference, OrderedColumn
from dlcli.columns.boolean import BooleanColumn
from dlcli.columns.categorical import CategoricalColumn
from dlcli.columns.cells import has_encoding, read_cells
from dlcli.columns.cells.sequences import read_sequence_cells
from dlcli.columns.column_statistics import ColumnStatistics, compute_statistics
from dlcli.columns.datetime import DatetimeColumn, is_mostly_dates
from dlcli.columns.image import ImageColumn
from dlcli.columns.numeric import NumbersWithLogs, NumericColumn, is_mixed
from dlcli.columns.sequence import SequenceColumn
from dlcli.columns.text import TextColumn
from dlcli.tables.table import Table
from dlcli.texts.settings import TextSettings

KINDS: tuple[type[Column], ...] = (
    NumericColumn,
    BooleanColumn,
    ImageColumn,
    CategoricalColumn,
    DatetimeColumn,
    TextColumn,
    SequenceColumn,
)

if TYPE_CHECKING:
    ColumnKind = str
    FittedColumn = Column
else:
    ColumnKind = Literal[tuple(kind.kind_name() for kind in KINDS)]
    FittedColumn = Annotated[reduce(or_, KINDS), Field(discriminator="kind")]

_ORDERED = [kind for kind in KINDS if issubclass(kind, OrderedColumn)]
_ORDERED_WITH_LOGS = [NumbersWithLogs if kind is NumericColumn else kind for kind in _ORDERED]


def kind_named(name: ColumnKind) -> type[Column]:
    """Return the kind that a config calls so."""
    return next(kind for kind in KINDS if kind.kind_name() == name)


def column_statistics(
    table: Table,
    name: str,
    missing_values: tuple[str, ...],
    *,
    kind: ColumnKind | None = None,
    wants_labels: bool = False,
    wants_logs: bool = False,
    weights: np.ndarray | None = None,
    text: TextSettings | None = None,
) -> ColumnStatistics:
    """Return a column's statistics, all rows its sample; DataError where there is no such column.

    Rows count as often as `weights` [rows] says; once without.
    Labels are gathered where they are wanted, for a kind without an order, and for text that is not
    of one kind throughout: it can be categorical only. Texts are cut into tokens as `text` says.
    """
    cells = table.column(name)
    are_sequences = kind == SequenceColumn.kind_name()
    if are_sequences:
        cells = read_sequence_cells(table, name, missing_values)
    elif kind is not None or wants_labels or has_encoding(cells.dtype):
        cells = read_cells(table, name, missing_values, takes_lists=wants_labels)
    kinds = _ORDERED_WITH_LOGS if wants_logs else _ORDERED
    given = next((item for item in kinds if item.kind_name() == kind), None)
    is_text = kind == TextColumn.kind_name()
    wants_labels |= kind is not None and given is None and not (is_text or are_sequences)
    may_be_images = kind is None and not wants_labels
    return compute_statistics(
        cells,
        table,
        kinds,
        given=given,
        wants_labels=wants_labels,
        wants_logs=wants_logs,
        weights=weights,
        names_images=None if may_be_images else kind == ImageColumn.kind_name(),
        text=(text or TextSettings()).of(name) if is_text else None,
        are_sequences=are_sequences,
    )


def statistics_of_cells(cells: pl.Series, *, wants_labels: bool = False) -> ColumnStatistics:
    """Return the statistics of cells that are null where missing and come from no table."""
    rows = Table(cells.to_frame(), "", np.arange(len(cells)), "row")
    return compute_statistics(cells, rows, _ORDERED, wants_labels=wants_labels)


def infer_kind(cells: pl.Series) -> Inference:
    """Tell a column's kind from cells in which null stands for what is missing."""
    return infer_from(statistics_of_cells(cells))


def infer_from(statistics: ColumnStatistics) -> Inference:
    """Tell a column's kind from its statistics, labels among them where it may be categorical."""
    if not statistics.num_known:
        return Inference(None, "no value in any training row")
    if is_mostly_dates(statistics):
        dates, other = statistics.cells_of("datetime").count, statistics.other_than("datetime").cell
        reason = f"{dates} of {statistics.num_known} are dates, but not {other!r}"
        return Inference(None, reason, mixed=True)
    for kind in KINDS:
        inference = kind.infer(statistics)
        if inference is not None:
            return inference
    return Inference(None, no_encoding(statistics.name, statistics.dtype))


def no_encoding(name: str, dtype: pl.DataType) -> str:
    """Say that cells of a type are left out, and which kind they can be given."""
    reason = f"its type, {dtype}, has no encoding"
    if isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_numeric():
        kind = SequenceColumn.kind_name()
        return f"{reason}; to read its lists of numbers, set data.kinds: {{{name}: {kind}}}"
    return reason


def needs_labels(statistics: ColumnStatistics) -> bool:
    """Say whether only a column's labels tell whether it is categorical."""
    if not statistics.is_text or is_mixed(statistics):
        return False
    return not statistics.is_one_kind or statistics.doubtful.count > 0


def unused_settings(columns: Sequence[Column], given: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each given setting of an encoding that no column uses, and why it is unused."""
    for kind in KINDS:
        for setting, reason in kind.settings.items():
            if setting in given and not any(column.uses(setting) for column in columns):
                yield setting, reason
