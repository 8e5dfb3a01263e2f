"""The interface of all kinds of columns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import BadCells
from dlcli.columns.cells import (
    FEATURE,
    LARGEST,
    ColumnUse,
    read_cells,
    refuse_unparsed,
    to_labels,
    unparsed,
)
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.running_statistics import Sample
from dlcli.columns.scaling.scales import Scale
from dlcli.columns.sequence_settings import SequenceSettings
from dlcli.columns.unseen import UnseenCells
from dlcli.images.settings import ImageSettings
from dlcli.section import Section
from dlcli.tables.names import ColumnName
from dlcli.tables.table import Table
from dlcli.texts.settings import TextSettings

SimpleLayers = tuple[Mapping[str, Any], ...]  # that make features of an input, as in a config
InputField = str  # "numbers", "codes", or a field of the column's own
Axis = Literal["number", "time", "category", "pixels", "positions"]

_FILLED = "missing, although training had none; filled with the training median"


class EncodingSettings(Protocol):
    """What a config's `data` says about encodings."""

    @property
    def scale(self) -> Scale:
        """How numbers are scaled."""

    @property
    def one_hot_max(self) -> int:
        """The maximum number of categories for one-hot encoding."""

    @property
    def embedding_dim(self) -> int | None:
        """Numbers that stand for an embedded category; None: by the number of categories."""

    @property
    def images(self) -> ImageSettings:
        """What image files become."""

    @property
    def text(self) -> TextSettings:
        """What texts are cut into."""

    @property
    def sequence(self) -> SequenceSettings:
        """How much of sequences is kept."""


@dataclass(frozen=True)
class Inference:
    """A column's kind, or None where it can't be used, and why."""

    kind: "type[Column] | None"
    reason: str
    mixed: bool = False  # numbers and something else, which only its owner can settle


@dataclass(frozen=True)
class Embedding:
    """A column that reaches the network as codes 0 to num_codes - 1, looked up in a table."""

    name: str
    num_codes: int
    dim: int


@dataclass(frozen=True)
class NumericInput:
    """A number of a row that is a numeric column's, scaled."""

    index: int  # among the numbers of a row
    edges: tuple[float, ...]  # of bins, upwards; none where no layer asks for bins


@dataclass(frozen=True)
class Tokens:
    """A column that reaches the network as codes, in a row as many as it has.

    They are 0 to num_codes - 1; 0 is what rows are padded with. An embedding layer looks them up.
    """

    column: str
    field: InputField  # int32, ragged
    longest: int  # no row has more, 1 or more
    num_codes: int
    simple_layers: ClassVar[SimpleLayers] = (
        {"type": "embedding", "dim": 32},
        {"type": "pool_time"},
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the longest row, as the first layer gets it: `[length]`."""
        return (self.longest,)


@dataclass(frozen=True)
class Series:
    """A column that reaches the network as numbers at positions, in a row as many as it has."""

    column: str
    field: InputField  # float32 [channels] for each position, ragged
    longest: int  # no row has more, 1 or more
    channels: int
    simple_layers: ClassVar[SimpleLayers] = ({"type": "lstm", "units": 32},)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the longest row, as the first layer gets it: `[channels, length]`."""
        return (self.channels, self.longest)


class Column(Section, ABC):
    """What is fitted to a feature column on the training rows, and how it turns cells into numbers.

    A fitted column is plain data: it travels in the checkpoint as JSON and comes back equal.
    """

    axis: ClassVar[Axis]  # that its values are drawn on
    is_scalar: ClassVar[bool]  # it is one number, but for an indicator of missing values
    accepts_numbers: ClassVar[bool] = False  # that were read as such, rather than as text
    fills_with_median: ClassVar[bool] = False  # which a stream takes from a sample of the rows
    settings: ClassVar[Mapping[str, str]] = {}  # that this kind alone uses: why one may be unused

    kind: str
    name: ColumnName

    @classmethod
    def kind_name(cls) -> str:
        """Return what the config calls it."""
        name: str = cls.model_fields["kind"].default
        return name

    @classmethod
    @abstractmethod
    def parse(cls, cells: pl.Series) -> pl.Series:
        """Return the cells' values, null where one is missing or is not of this kind."""

    @classmethod
    @abstractmethod
    def infer(cls, statistics: ColumnStatistics) -> Inference | None:
        """Return what a column with some value is if it looks like this kind, None if it doesn't.

        It may look like this kind and be of no use: then the inference has a reason alone.
        """

    @classmethod
    @abstractmethod
    def names_rows(cls, cells: pl.Series) -> str | None:
        """Say why cells of some rows, none missing, name the rows and say nothing about them."""

    @classmethod
    @abstractmethod
    def refuse_other(cls, statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
        """Raise DataError where a cell can't be of this kind."""

    @classmethod
    @abstractmethod
    def fit(cls, statistics: ColumnStatistics, settings: EncodingSettings) -> Self:
        """Fit to the statistics of the training rows, none of whose cells are of another kind.

        Raises DataError where there is no way to encode them.
        """

    @abstractmethod
    def encode(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> tuple[np.ndarray, UnseenCells | None]:
        """Return float64 [rows, num_slots], or int32 codes, and the cells unseen in training.

        A column with a field of its own returns that, [rows, *shape].
        Raises CellError where a cell is not of this kind.
        """

    @abstractmethod
    def find_bad(self, rows: Table, missing_values: tuple[str, ...]) -> list[BadCells]:
        """Return the cells for which `encode` raises CellError."""

    @abstractmethod
    def find_unseen(self, statistics: ColumnStatistics) -> list[UnseenCells]:
        """Return what is unseen in training, and `encode` would find in these rows."""

    def notes(self, statistics: ColumnStatistics) -> list[str]:
        """Return what to say of the training rows, whose statistics these are."""
        del statistics
        return []

    @abstractmethod
    def is_constant(self, statistics: ColumnStatistics) -> bool:
        """Say whether it is the same in all of the training rows, whose statistics these are."""

    @property
    @abstractmethod
    def field(self) -> InputField:
        """The input field that its numbers go to."""

    @property
    @abstractmethod
    def num_slots(self) -> int:
        """Numbers a row that it has in that field."""

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """What each of its slots stands for; of an embedded column, each of its codes."""

    @abstractmethod
    def continued(self, before: Self) -> Self:
        """Return it as training goes on with it: with what was fitted to it before.

        So a network that was trained on it means the same by each number. What only these rows
        have, such as new categories, is added.
        """

    @property
    @abstractmethod
    def embedding(self) -> Embedding | None:
        """The table that its codes are looked up in."""

    @property
    def numeric_input(self) -> NumericInput | None:
        """Its number among its slots, where it is a numeric column."""
        return None

    def with_bins(self, sample: Sample, num_bins: int) -> Self:
        """Return it with bins of as many training rows each, where it is a numeric column.

        Bins that it has already, as training goes on with it, stay.
        """
        del sample, num_bins
        return self

    @property
    @abstractmethod
    def indicates_missing(self) -> bool:
        """Whether one of its numbers says that the value is missing."""

    @property
    @abstractmethod
    def saw_missing(self) -> bool:
        """Whether a value was missing in the training rows."""

    @property
    def is_plain_number(self) -> bool:
        """Whether it is a single number: what an array has a place for."""
        return self.is_scalar and not self.indicates_missing

    @property
    def center_and_scale(self) -> tuple[float, float] | None:
        """The c and s where all that becomes of a number x in the data's units is (x - c) / s."""
        return None

    @property
    def sampled(self) -> str | None:
        """What of its numbers is fitted to quantiles, which a stream takes from a sample."""
        return None

    def unscaled(self, numbers: np.ndarray) -> np.ndarray | None:
        """Return what the numbers [rows] of its first slot stand for in the data's units.

        None where a slot stands for no number.
        """
        del numbers
        return None

    def uses(self, setting: str) -> bool:
        """Say whether a setting of the config makes a difference to the column."""
        return setting in self.settings

    def labels(self, rows: Table, missing_values: tuple[str, ...]) -> pl.Series:
        """Return the cells as text, null where missing."""
        return to_labels(read_cells(rows, self.name, missing_values))

    def cell_text(self, cell: object) -> str | None:
        """Return how a page shows a cell; None for a missing one."""
        return None if cell is None else str(cell)

    @abstractmethod
    def encoding_in_short(self, settings: EncodingSettings) -> str:
        """Say how it is encoded, for the screen: "standard", "one-hot of 3"."""

    @abstractmethod
    def encoding_in_full(self) -> str:
        """Say how it is encoded and with which numbers, for a page."""


class OrderedColumn(Column):
    """A kind whose cells are values with an order: numbers, 0 and 1, datetimes in seconds.

    A missing value is `fill`, and `indicator` adds a number that says so.
    """

    expected: ClassVar[str]  # what a cell has to be: "a number"

    fill: float
    indicator: bool

    @classmethod
    def parse_as(cls, cells: pl.Series) -> pl.Series:
        """Return the values of cells of a column that is of this kind, null as `parse` does."""
        return cls.parse(cells)

    @classmethod
    @abstractmethod
    def to_numbers(cls, parsed: pl.Series) -> np.ndarray:
        """Return parsed values as float64 [rows], NaN where null."""

    @classmethod
    def derive(cls, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return further numbers, by name, whose statistics fitting needs, [numbers] each.

        `numbers` has no NaN; the others are NaN where there is none.
        """
        del numbers
        return {}

    @abstractmethod
    def to_cells(self, numbers: np.ndarray) -> pl.Series:
        """Return cells that hold some numbers, [rows]."""

    @abstractmethod
    def scaled(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Return the numbers [rows] that the network gets for known ones."""

    @classmethod
    def refuse_other(cls, statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
        """Raise DataError where a cell can't be of this kind."""
        other = statistics.other_than(cls.kind_name())
        if other.count:
            raise unparsed(
                statistics.name,
                other.cell,
                statistics.place(other),
                cls.expected,
                count=other.count,
                use=use,
            )

    def numbers(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        """Return float64 [rows], NaN where missing: numbers, 0 and 1, or seconds since 1970 UTC.

        Raises CellError where a cell is not of this kind.
        """
        cells = read_cells(rows, self.name, missing_values)
        parsed = self.parse_as(cells)
        refuse_unparsed(rows, cells, parsed, self.expected)
        return self.to_numbers(parsed)

    def find_bad(self, rows: Table, missing_values: tuple[str, ...]) -> list[BadCells]:
        """Return the cells that are of another kind, or that float32 can't hold, scaled or not."""
        cells = read_cells(rows, self.name, missing_values)
        parsed = self.parse_as(cells)
        numbers = self.to_numbers(parsed)
        filled = np.where(np.isnan(numbers), self.fill, numbers)
        with np.errstate(over="ignore"):  # infinite where a number is too large
            scaled = np.column_stack(self.scaled(filled)).astype(np.float32)
        found = {
            f"not {self.expected}": (cells.is_not_null() & parsed.is_null()).to_numpy(),
            "too large for float32": (np.abs(filled) > LARGEST) | ~np.isfinite(scaled).all(axis=1),
        }
        return [BadCells(self.name, why, bad) for why, bad in found.items() if bad.any()]

    def encode(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> tuple[np.ndarray, UnseenCells | None]:
        """Return float64 [rows, num_slots], and the cells unseen in training."""
        numbers = self.numbers(rows, missing_values)
        gaps = np.isnan(numbers)
        first, *others = self.scaled(np.where(gaps, self.fill, numbers))
        unseen = None
        if self.indicator:
            others.insert(0, gaps)
        elif gaps.any():
            places = np.flatnonzero(gaps)
            place = rows.place(int(places[0]))
            unseen = UnseenCells(self.name, _FILLED, len(places), place, len(rows))
        return np.column_stack([first, *others]) if others else first[:, None], unseen

    def find_unseen(self, statistics: ColumnStatistics) -> list[UnseenCells]:
        """Return the cells unseen in training that `encode` would find in these rows."""
        missing = statistics.missing
        if self.indicator or not missing.count:
            return []
        first, num_cells = statistics.place(missing), statistics.num_rows
        return [UnseenCells(self.name, _FILLED, missing.count, first, num_cells)]

    def is_constant(self, statistics: ColumnStatistics) -> bool:
        """Say whether all rows have one and the same value, or none has one."""
        if not statistics.num_known:
            return True
        return not statistics.missing.count and statistics.numbers_of(self.kind).is_constant

    @property
    def field(self) -> InputField:
        """The input field that its numbers go to."""
        return "numbers"

    @property
    def parts(self) -> tuple[str, ...]:
        """The value, and whether it is missing."""
        return ("value", *["missing"] * self.indicator)

    def continued(self, before: Self) -> Self:
        """Return what was fitted before; an indicator where one of both has it."""
        return before.model_copy(update={"indicator": before.indicator or self.indicator})

    @property
    def embedding(self) -> Embedding | None:
        """None: its numbers are no codes."""
        return None

    @property
    def indicates_missing(self) -> bool:
        """Whether one of its numbers says that the value is missing."""
        return self.indicator

    @property
    def saw_missing(self) -> bool:
        """Whether a value was missing in the training rows."""
        return self.indicator

    @property
    def _and_missing(self) -> str:
        return ", median and indicator for missing" if self.indicator else ""
