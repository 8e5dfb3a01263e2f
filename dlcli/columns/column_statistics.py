"""Statistics of a column's cells, block by block: all that is fitted follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Protocol

import numpy as np
import polars as pl

from dlcli.columns.cells import LARGEST, collide, describe_code, find_codes, has_encoding
from dlcli.columns.cells.repairs import NUMBER_WRITTEN_OTHERWISE
from dlcli.columns.labels import Labels
from dlcli.columns.running_statistics import RunningStatistics, Sample
from dlcli.tables.table import place_of


class CellKind(Protocol):
    """A kind of cells that are values with an order."""

    def kind_name(self) -> str:
        """Return its name."""

    def parse(self, cells: pl.Series, /) -> pl.Series:
        """Return the cells' values, null where one is missing or of another kind."""

    def parse_as(self, cells: pl.Series, /) -> pl.Series:
        """Return the values of cells of a column that is of this kind, null as above."""

    def to_numbers(self, parsed: pl.Series, /) -> np.ndarray:
        """Return parsed values as float64 [rows], NaN where null."""

    def derive(self, numbers: np.ndarray, /) -> dict[str, np.ndarray]:
        """Return further numbers, by name, whose statistics are wanted; NaN where there is none."""


@dataclass(frozen=True)
class CellCount:
    """How many cells of one sort there are, and the first of them."""

    count: int = 0
    number: int = 0  # of its row in the file
    cell: object = None

    def __add__(self, other: "CellCount") -> "CellCount":
        if not (self.count and other.count):
            return self if self.count else other
        first = self if self.number < other.number else other
        return replace(first, count=self.count + other.count)


@dataclass(frozen=True)
class KindStatistics:
    """The cells of one kind."""

    cells: CellCount = field(default_factory=CellCount)
    numbers: RunningStatistics = field(default_factory=RunningStatistics)
    derived: dict[str, RunningStatistics] = field(default_factory=dict)

    def __add__(self, other: "KindStatistics") -> "KindStatistics":
        derived = {
            name: self.derived.get(name, RunningStatistics())
            + other.derived.get(name, RunningStatistics())
            for name in {**self.derived, **other.derived}
        }
        return KindStatistics(self.cells + other.cells, self.numbers + other.numbers, derived)


@dataclass(frozen=True)
class ColumnStatistics:
    """A column of some rows. Each cell is missing, of one of the ordered kinds, or of none."""

    name: str
    source: str
    unit: str  # of row numbers: "line" or "row"
    files: tuple[str, ...]  # of several: their names
    dtype: pl.DataType
    num_rows: int
    missing: CellCount
    kinds: dict[str, KindStatistics]  # by name, those that there are cells of
    others: CellCount  # of no ordered kind
    num_written_otherwise: int  # others that are meant as numbers
    codes: CellCount  # text that reads as a number and is none: 01201, 10E4
    doubtful: CellCount  # text like 1E5, a code if another cell is the same number
    too_large: CellCount  # numbers too large for float32
    not_positive: CellCount  # numbers without a logarithm, where logarithms are wanted
    sample: Sample  # the numbers of cells of some rows, NaN elsewhere
    labels: Labels | None  # None: they were not gathered

    @property
    def num_known(self) -> int:
        """The cells that are not missing."""
        return self.num_rows - self.missing.count

    @property
    def is_text(self) -> bool:
        """Whether cells are text that something was parsed from."""
        return self.dtype == pl.String

    @property
    def is_one_kind(self) -> bool:
        """Whether all cells that are not missing are of one ordered kind."""
        return not self.others.count and len(self.kinds) <= 1 and self.code is None

    @property
    def only_kind(self) -> str | None:
        """The name of the ordered kind that all cells that are not missing are of."""
        return next(iter(self.kinds)) if self.num_known and self.is_one_kind else None

    @property
    def code(self) -> str | None:
        """What sort of codes there are among the cells, None if none: then they are no numbers."""
        if self.codes.count:
            return describe_code(self.codes.cell)
        labels = self.labels
        if not self.doubtful.count or labels is None or labels.are_too_many:
            return None
        return describe_code(self.doubtful.cell) if collide(labels.cells) else None

    def cells_of(self, kind: str) -> CellCount:
        """Return the cells of an ordered kind."""
        return self.kinds.get(kind, KindStatistics()).cells

    def numbers_of(self, kind: str) -> RunningStatistics:
        """Return the statistics of an ordered kind's numbers."""
        return self.kinds.get(kind, KindStatistics()).numbers

    def derived_of(self, kind: str) -> dict[str, RunningStatistics]:
        """Return those of the numbers that an ordered kind derives; nothing without cells."""
        return self.kinds.get(kind, KindStatistics()).derived

    def other_than(self, kind: str) -> CellCount:
        """Return the cells that are not missing and not of a kind."""
        others = (found.cells for name, found in self.kinds.items() if name != kind)
        return reduce(add, others, self.others)

    def place(self, cells: CellCount) -> str:
        """Say where the first of some cells stands."""
        return place_of(self.source, self.files, self.unit, cells.number)

    def __add__(self, later: "ColumnStatistics") -> "ColumnStatistics":
        """Return those of both; the sample, which only their reader can draw, is `later`'s."""
        kinds = {
            kind: self.kinds.get(kind, KindStatistics()) + later.kinds.get(kind, KindStatistics())
            for kind in {**self.kinds, **later.kinds}
        }
        labels = None
        if self.labels is not None and later.labels is not None:
            labels = self.labels + later.labels
        return replace(
            later,
            num_rows=self.num_rows + later.num_rows,
            missing=self.missing + later.missing,
            kinds=kinds,
            others=self.others + later.others,
            num_written_otherwise=self.num_written_otherwise + later.num_written_otherwise,
            codes=self.codes + later.codes,
            doubtful=self.doubtful + later.doubtful,
            too_large=self.too_large + later.too_large,
            not_positive=self.not_positive + later.not_positive,
            labels=labels,
        )


def compute_statistics(
    cells: pl.Series,
    numbers: np.ndarray,
    kinds: Sequence[CellKind],
    *,
    source: str = "",
    unit: str = "row",
    files: tuple[str, ...] = (),
    given: CellKind | None = None,
    wants_labels: bool = False,
    wants_logs: bool = False,
    weights: np.ndarray | None = None,
    has_exponents: bool = True,
) -> ColumnStatistics:
    """Return the statistics of cells that are null where missing, in rows numbered [rows].

    `given` is the kind that the column has, if that is known: its cells are looked for first.
    With `weights` [rows], above 0, the statistics of numbers and labels count each row that many
    times; cells of a sort are counted by rows all the same.
    """

    def count(mask: pl.Series) -> CellCount:
        if not mask.any():
            return CellCount()
        first = int(mask.arg_max() or 0)
        return CellCount(int(mask.sum()), int(numbers[first]), cells[first])

    def count_rows(rows: np.ndarray) -> CellCount:
        if not len(rows):
            return CellCount()
        return CellCount(len(rows), int(numbers[rows[0]]), cells[int(rows[0])])

    found: dict[str, KindStatistics] = {}
    num_known = num_left = len(cells) - cells.null_count()
    values = np.full(len(cells), np.nan)
    others = cells.is_not_null()
    if given is not None:
        kinds = [given, *(kind for kind in kinds if kind is not given)]
    for kind in kinds if has_encoding(cells.dtype) else ():
        if not num_left:
            break
        parsed = kind.parse_as(cells) if kind is given else kind.parse(cells)
        if found:
            parsed = parsed.set(~others, None)
        if num_parsed := len(cells) - parsed.null_count():
            is_parsed = parsed.is_not_null()
            of_kind = kind.to_numbers(parsed)
            values = np.where(is_parsed.to_numpy(), of_kind, values) if found else of_kind
            found[kind.kind_name()] = _of_kind(kind, count(is_parsed), of_kind, weights)
            others &= ~is_parsed
            num_left -= num_parsed
    is_text, is_one_kind = cells.dtype == pl.String, not num_left and len(found) == 1
    codes = None
    if is_text and found:
        codes = find_codes(cells, pl.Series(values), has_exponents=has_exponents)
    return ColumnStatistics(
        name=cells.name,
        source=source,
        unit=unit,
        files=files,
        dtype=cells.dtype,
        num_rows=len(cells),
        missing=count(cells.is_null()) if cells.null_count() else CellCount(),
        kinds=found,
        others=count(others) if num_left else CellCount(),
        num_written_otherwise=_num_written_otherwise(cells, others) if num_left and is_text else 0,
        codes=CellCount() if codes is None else count(codes.codes),
        doubtful=CellCount() if codes is None else count(codes.doubtful),
        too_large=count_rows(np.flatnonzero(np.abs(values) > LARGEST)),
        not_positive=count_rows(np.flatnonzero(values <= 0)) if wants_logs else CellCount(),
        sample=Sample(values, weights),
        labels=Labels.of(cells, numbers, weights)
        if wants_labels or not num_known or (is_text and not is_one_kind) or codes is not None
        else None,
    )


def _of_kind(
    kind: CellKind, cells: CellCount, numbers: np.ndarray, weights: np.ndarray | None
) -> KindStatistics:
    def known_of(values: np.ndarray, weights: np.ndarray | None) -> RunningStatistics:
        is_known = ~np.isnan(values)
        return RunningStatistics.of(
            values[is_known], None if weights is None else weights[is_known]
        )

    is_known = ~np.isnan(numbers)
    known, of_known = numbers[is_known], None if weights is None else weights[is_known]
    derived = {name: known_of(some, of_known) for name, some in kind.derive(known).items()}
    return KindStatistics(cells, RunningStatistics.of(known, of_known), derived)


def _num_written_otherwise(cells: pl.Series, others: pl.Series) -> int:
    """Return how many cells of no kind are meant as numbers."""
    return int((cells.str.contains(NUMBER_WRITTEN_OTHERWISE).fill_null(value=False) & others).sum())
