"""Statistics of a column's cells, block by block: all that is fitted follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Protocol

import numpy as np
import polars as pl

from dlcli.columns.cells import LARGEST, collide, describe_code, find_codes, has_encoding, to_labels
from dlcli.columns.cells.named_files import NamedFiles, files_in
from dlcli.columns.cells.repairs import NUMBER_WRITTEN_OTHERWISE
from dlcli.columns.cells.sequences import parse_sequences
from dlcli.columns.labels import Labels
from dlcli.columns.running_statistics import RunningStatistics, Sample
from dlcli.columns.sequence_statistics import SequenceStatistics
from dlcli.tables.table import Table, place_of, position_of
from dlcli.texts.counts import TextStatistics
from dlcli.texts.settings import TokenSettings


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
    are_names: bool  # whether cells are names, even if they look like numbers
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
    images: NamedFiles | None = None  # that cells name; None: the cells don't all name images
    texts: TextStatistics | None = None  # None: the cells are not read as texts
    sequences: SequenceStatistics | None = None  # None: they are not read as sequences

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
        return next(iter(self.kinds), None) if self.num_known and self.is_one_kind else None

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

    def position_of(self, number: int) -> str:
        """Say where the row with a number stands within the table."""
        return position_of(self.files, self.unit, number)

    def __add__(self, later: "ColumnStatistics") -> "ColumnStatistics":
        """Return those of both; the sample, which only their reader can draw, is `later`'s."""
        kinds = {
            kind: self.kinds.get(kind, KindStatistics()) + later.kinds.get(kind, KindStatistics())
            for kind in {**self.kinds, **later.kinds}
        }
        labels = None
        if self.labels is not None and later.labels is not None:
            labels = self.labels + later.labels
        images = None
        if self.images is not None and later.images is not None:
            images = self.images + later.images
        texts = None
        if self.texts is not None and later.texts is not None:
            texts = self.texts + later.texts
        sequences = None
        if self.sequences is not None and later.sequences is not None:
            sequences = self.sequences + later.sequences
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
            images=images,
            texts=texts,
            sequences=sequences,
        )


def compute_statistics(
    cells: pl.Series,
    rows: Table,
    kinds: Sequence[CellKind],
    *,
    given: CellKind | None = None,
    wants_labels: bool = False,
    wants_logs: bool = False,
    weights: np.ndarray | None = None,
    names_images: bool | None = False,
    text: TokenSettings | None = None,
    are_sequences: bool = False,
) -> ColumnStatistics:
    """Return the statistics of a column of some rows, whose cells are null where missing.

    `given` is the kind that the column has, if that is known: its cells are looked for first.
    Whether its text `names_images`, which are looked at then, may be unknown: None. Cells that are
    read as `text` are cut into tokens, and neither parsed nor gathered; nor are those that
    `are_sequences`.
    With `weights` [rows], above 0, the statistics of numbers and labels count each row that many
    times; cells of a sort are counted by rows all the same.
    """
    numbers = rows.numbers
    if text is not None:
        cells, kinds = to_labels(cells), ()
    parsed = parse_sequences(cells) if are_sequences else None
    if parsed is None:
        found = _sort(cells, numbers, kinds if has_encoding(cells.dtype) else (), given, weights)
    else:
        others = cells.is_not_null() & parsed.is_null()
        found = _Sorted({}, np.full(len(cells), np.nan), others)
    is_text, has_others = cells.dtype == pl.String, bool(found.others.any())
    codes = find_codes(cells, has_exponents=rows.has_exponents) if is_text and found.kinds else None
    is_one_kind = not has_others and len(found.kinds) == 1 and codes is None

    def count(mask: pl.Series) -> CellCount:
        return _count(cells, numbers, mask)

    def count_at(places: np.ndarray) -> CellCount:
        if not len(places):
            return CellCount()
        first = int(places[0])
        return CellCount(len(places), int(numbers[first]), cells[first])

    return ColumnStatistics(
        name=cells.name,
        source=rows.source,
        unit=rows.unit,
        files=rows.files,
        dtype=cells.dtype,
        are_names=cells.name in rows.labels,
        num_rows=len(cells),
        missing=count(cells.is_null()) if cells.null_count() else CellCount(),
        kinds=found.kinds,
        others=count(found.others),
        num_written_otherwise=_num_written_otherwise(cells.filter(found.others))
        if has_others and is_text and text is None
        else 0,
        codes=CellCount() if codes is None else count(codes.codes),
        doubtful=CellCount() if codes is None else count(codes.doubtful),
        too_large=count_at(np.flatnonzero(np.abs(found.values) > LARGEST)),
        not_positive=count_at(np.flatnonzero(found.values <= 0)) if wants_logs else CellCount(),
        sample=Sample(found.values, weights),
        labels=None
        if text is not None or are_sequences
        else Labels.of(cells, numbers, weights)
        if wants_labels or cells.null_count() == len(cells) or (is_text and not is_one_kind)
        else None,
        images=None
        if names_images is False or not is_text or (names_images is None and found.kinds)
        else files_in(cells, rows, are_images=bool(names_images)),
        texts=None if text is None else text.statistics(cells, numbers, weights),
        sequences=None if parsed is None else SequenceStatistics.of(parsed, numbers, weights),
    )


@dataclass(frozen=True)
class _Sorted:
    """Cells told apart by what they are."""

    kinds: dict[str, KindStatistics]  # by name, those that there are cells of
    values: np.ndarray  # float64 [rows], NaN for a cell of no ordered kind
    others: pl.Series  # Boolean [rows], the known cells of no ordered kind


def _sort(
    cells: pl.Series,
    numbers: np.ndarray,
    kinds: Sequence[CellKind],
    given: CellKind | None,
    weights: np.ndarray | None,
) -> _Sorted:
    """Look for each kind among the cells that are of none before it, the `given` one first."""
    found: dict[str, KindStatistics] = {}
    values, others = np.full(len(cells), np.nan), _are_known(cells)
    if given is not None:
        kinds = [given, *(kind for kind in kinds if kind is not given)]
    for kind in kinds:
        if not others.any():
            break
        parsed = kind.parse_as(cells) if kind is given else kind.parse(cells)
        if found:
            parsed = parsed.set(~others, None)
        if parsed.null_count() == len(cells):
            continue
        are_parsed = _are_known(parsed)
        of_kind = kind.to_numbers(parsed)
        values = np.where(are_parsed.to_numpy(), of_kind, values) if found else of_kind
        count = _count(cells, numbers, are_parsed)
        found[kind.kind_name()] = _of_kind(kind, count, of_kind, weights)
        others &= ~are_parsed
    return _Sorted(found, values, others)


def _are_known(cells: pl.Series) -> pl.Series:
    """Return which cells are not null, Boolean [rows]."""
    if cells.null_count():
        return cells.is_not_null()
    return pl.Series([True]).new_from_index(0, len(cells))  # the usual case, in less time


def _count(cells: pl.Series, numbers: np.ndarray, mask: pl.Series) -> CellCount:
    """Return how many cells a mask [rows] holds for, and the first of them."""
    if not mask.any():
        return CellCount()
    first = int(mask.arg_max() or 0)
    return CellCount(int(mask.sum()), int(numbers[first]), cells[first])


def _of_kind(
    kind: CellKind, cells: CellCount, numbers: np.ndarray, weights: np.ndarray | None
) -> KindStatistics:
    known, of_known = _without_nan(numbers, weights)
    derived = {
        name: RunningStatistics.of(*_without_nan(some, of_known))
        for name, some in kind.derive(known).items()
    }
    return KindStatistics(cells, RunningStatistics.of(known, of_known), derived)


def _without_nan(
    numbers: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the numbers that are not NaN, with their weights."""
    is_known = ~np.isnan(numbers)
    if is_known.all():
        return numbers, weights
    return numbers[is_known], None if weights is None else weights[is_known]


def _num_written_otherwise(cells: pl.Series) -> int:
    """Return how many cells of no kind are meant as numbers."""
    return int(cells.str.contains(NUMBER_WRITTEN_OTHERWISE).sum())
