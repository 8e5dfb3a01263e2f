"""Columns of categories."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
import polars as pl
from pydantic import Field

from dlcli.columns.bad_cells import BadCells
from dlcli.columns.base import (
    Axis,
    Column,
    Embedding,
    EncodingSettings,
    Inference,
    InputField,
)
from dlcli.columns.cells import FEATURE, ColumnUse, read_cells, to_labels
from dlcli.columns.cells.sequences import seem_sequences
from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.labels import MAX_LABELS, find_labels
from dlcli.columns.text import are_sentences
from dlcli.columns.unseen import UnseenCells
from dlcli.errors import DataError
from dlcli.section import Size
from dlcli.tables.table import Table

_UNSEEN = "unseen in training"
_NEARLY_ALL = 0.9
_MANY = 100  # categories, of which some may be sentences


@final
class CategoricalColumn(Column):
    """A code for each category: 0 for one never seen, then the categories, then missing.

    One-hot where `embedding_dim` is None: a column for each code but 0, so that an unseen category
    has a pattern of its own (zeros throughout) and no weight that training never touched.
    Embedded otherwise, by a table in which code 0 is a vector of zeros for the same reason.
    """

    axis: ClassVar[Axis] = "category"
    is_scalar: ClassVar[bool] = False
    settings: ClassVar[Mapping[str, str]] = {
        "one_hot_max": "no feature is categorical",
        "embedding_dim": "no feature is embedded; see data.one_hot_max",
    }

    kind: Literal["categorical"] = "categorical"
    categories: Annotated[tuple[str, ...], Field(strict=False)]
    has_missing: bool  # there was a missing value among the training rows: a category of its own
    embedding_dim: Size | None

    @property
    def num_codes(self) -> int:
        """Codes, the one for unseen categories included."""
        return 1 + len(self.categories) + self.has_missing

    @classmethod
    def parse(cls, cells: pl.Series) -> pl.Series:
        """Return text, null where missing."""
        return to_labels(cells)

    @classmethod
    def infer(cls, statistics: ColumnStatistics) -> Inference | None:
        """Take text that is neither all numbers, all true or false, nor all dates."""
        if not statistics.is_text or statistics.is_one_kind:
            return None
        labels = statistics.labels
        assert labels is not None, "the labels of what may be categorical are gathered"
        code = statistics.code
        what = code or "text"
        if labels.are_too_many:
            return Inference(None, f"{what} with more than {MAX_LABELS:,} different values")
        num_labels = to_labels(labels.cells).n_unique()
        words = ""
        if code is None and num_labels > _MANY and are_sentences(labels.cells):
            words = f"; to read its words, set data.kinds: {{{statistics.name}: text}}"
        if code is None and num_labels > _MANY and seem_sequences(labels.cells):
            words = f"; to read its numbers, set data.kinds: {{{statistics.name}: sequence}}"
        if num_labels == statistics.num_known:
            return Inference(None, f"{what} with a different value in every row{words}")
        if code is not None:
            return Inference(cls, f"{code} (data.kinds)")
        return Inference(cls, f"text with {num_labels} different values{words}")

    @classmethod
    def names_rows(cls, cells: pl.Series) -> str | None:
        """Say so of text that differs in nearly all rows."""
        num_values, num_rows = cells.n_unique(), len(cells)
        if num_values <= _NEARLY_ALL * num_rows:
            return None
        return f"text with {num_values:,} different values in {num_rows:,} rows"

    @classmethod
    def refuse_other(cls, statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
        """Refuse nothing: any cell can be a category."""

    @classmethod
    def fit(cls, statistics: ColumnStatistics, settings: EncodingSettings) -> Self:
        """Fit the categories, sorted; DataError where they are more than can be held."""
        labels = statistics.labels
        assert labels is not None, "they are gathered for such a column"
        if labels.are_too_many:
            raise DataError(
                f"{statistics.source}: column '{statistics.name}' has more than {MAX_LABELS:,} "
                "different values, too many to tell apart: leave it out of data.features"
            )
        categories = tuple(sorted(to_labels(labels.cells).unique()))
        has_missing = statistics.missing.count > 0
        is_one_hot = len(categories) + has_missing <= settings.one_hot_max
        return cls(
            name=statistics.name,
            categories=categories,
            has_missing=has_missing,
            embedding_dim=None
            if is_one_hot
            else settings.embedding_dim or _embedding_dim(len(categories)),
        )

    def encode(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> tuple[np.ndarray, UnseenCells | None]:
        """Return float64 [rows, num_slots], or int32 codes [rows, 1], and the unseen cells."""
        cells = read_cells(rows, self.name, missing_values)
        missing = self.num_codes - 1 if self.has_missing else 0
        found = find_labels(cells, self.categories, first=1)
        codes = found.set(cells.is_null(), missing).to_numpy()
        unseen, places = None, np.flatnonzero(codes == 0)
        if len(places):
            num_cells = len(cells) - self.has_missing * cells.null_count()
            first = rows.place(int(places[0]))
            unseen = UnseenCells(self.name, _UNSEEN, len(places), first, num_cells)
        if self.embedding_dim is not None:
            return codes[:, None], unseen
        return (codes[:, None] == np.arange(1, self.num_codes)).astype(np.float64), unseen

    def find_bad(self, rows: Table, missing_values: tuple[str, ...]) -> list[BadCells]:
        """Return none: any cell can be a category."""
        del rows, missing_values
        return []

    def find_unseen(self, statistics: ColumnStatistics) -> list[UnseenCells]:
        """Return the cells unseen in training that `encode` would find in these rows."""
        labels = statistics.labels
        assert labels is not None, "they are gathered for such a column"
        unseen = CellCount() if self.has_missing else statistics.missing
        num_cells = statistics.num_known + unseen.count
        if labels.are_too_many:
            least = unseen.count + MAX_LABELS + 1 - len(self.categories)
            return [UnseenCells(self.name, _UNSEEN, least, None, num_cells)]
        codes = find_labels(labels.cells, self.categories, first=1)
        for code, count, number in zip(codes, labels.counts, labels.numbers, strict=True):
            if not code:
                unseen += CellCount(int(count), int(number))
        if not unseen.count:
            return []
        first = statistics.place(unseen)
        return [UnseenCells(self.name, _UNSEEN, unseen.count, first, num_cells)]

    def is_constant(self, statistics: ColumnStatistics) -> bool:
        """Say whether there is one category, or nothing but missing values."""
        del statistics
        return self.num_codes == 2

    @property
    def field(self) -> InputField:
        """The input field that its numbers go to."""
        return "numbers" if self.embedding_dim is None else "codes"

    @property
    def num_slots(self) -> int:
        """One for its code, or one for each code but that of unseen categories."""
        return self.num_codes - 1 if self.embedding_dim is None else 1

    @property
    def parts(self) -> tuple[str, ...]:
        """The categories, then missing; before them, of an embedded column, the unseen ones."""
        missing = ("missing",) if self.has_missing else ()
        unseen = () if self.embedding_dim is None else ("unseen",)
        return (*unseen, *(f"= {category}" for category in self.categories), *missing)

    def continued(self, before: Self) -> Self:
        """Return the categories of both, encoded in the same way as before."""
        return before.model_copy(
            update={
                "categories": tuple(sorted({*before.categories, *self.categories})),
                "has_missing": before.has_missing or self.has_missing,
            }
        )

    @property
    def embedding(self) -> Embedding | None:
        """The table that its codes are looked up in."""
        if self.embedding_dim is None:
            return None
        return Embedding(self.name, self.num_codes, self.embedding_dim)

    @property
    def indicates_missing(self) -> bool:
        """No: a missing value is a category of its own."""
        return False

    @property
    def saw_missing(self) -> bool:
        """Whether a value was missing in the training rows."""
        return self.has_missing

    def uses(self, setting: str) -> bool:
        """Say whether a setting of the config makes a difference to the column."""
        if setting == "embedding_dim":
            return self.embedding_dim is not None
        return setting in self.settings

    def encoding_in_short(self, settings: EncodingSettings) -> str:
        """Say how it is encoded, for the screen."""
        del settings
        if self.embedding_dim is None:
            return f"one-hot of {self.num_slots}"
        return f"{self.num_codes - 1} categories, embedded in {self.embedding_dim}"

    def encoding_in_full(self) -> str:
        """Say how it is encoded, for a page."""
        if self.embedding_dim is None:
            return f"{len(self.categories)} categories, one-hot"
        return f"{len(self.categories)} categories, embedded in {self.embedding_dim} numbers"


def _embedding_dim(num_categories: int) -> int:
    """Return 1.6 × categories^0.56, at most 50: fastai's rule of thumb, at tables' sizes."""
    return min(50, round(1.6 * math.pow(num_categories, 0.56)))
