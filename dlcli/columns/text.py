"""Columns of text."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self, final

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import BadCells
from dlcli.columns.base import Axis, EncodingSettings, Inference, Tokens
from dlcli.columns.cells import FEATURE, ColumnUse, read_cells, to_labels
from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.ragged import RaggedColumn, RaggedValues, TextReading
from dlcli.columns.unseen import UnseenCells
from dlcli.errors import counted
from dlcli.section import PositiveInt
from dlcli.tables.table import Table
from dlcli.texts.family import FittedTokenizer
from dlcli.texts.splitting import normalise
from dlcli.texts.tokenizer import NUM_SPECIAL, UNKNOWN

_CUT = "longer than data.text.max_length or than any training text: cut off behind it"

_MIN_WORDS = 2.5  # a cell, on average: more than names of categories have


def words_in(cells: pl.Series) -> float:
    """Return how many words text cells, null where missing, have on average."""
    return sum(cells.str.count_matches(r"\S+").drop_nulls()) / max(1, cells.count())


def are_sentences(cells: pl.Series) -> bool:
    """Say whether text cells, null where missing, have several words each."""
    return words_in(cells) >= _MIN_WORDS


@final
class TextColumn(RaggedColumn):
    """Tokens of texts, each a code; a missing text has none."""

    axis: ClassVar[Axis] = "positions"
    cell: ClassVar[str] = "text"
    settings: ClassVar[Mapping[str, str]] = {"text": "no feature is text (data.kinds)"}

    kind: Literal["text"] = "text"
    tokenizer: FittedTokenizer
    lowercase: bool
    longest: PositiveInt  # tokens that a row has at most
    has_missing: bool  # a text was missing in the training rows

    @classmethod
    def parse(cls, cells: pl.Series) -> pl.Series:
        """Return text, null where missing."""
        return to_labels(cells)

    @classmethod
    def infer(cls, statistics: ColumnStatistics) -> Inference | None:
        """Take none: a config says which columns are texts; `dlcli init` recognises them."""
        del statistics
        return None

    @classmethod
    def names_rows(cls, cells: pl.Series) -> str | None:
        """Say of none: texts may all be different."""
        del cells
        return None

    @classmethod
    def refuse_other(cls, statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
        """Refuse nothing: any cell can be text."""

    @classmethod
    def fit(cls, statistics: ColumnStatistics, settings: EncodingSettings) -> Self:
        """Fit the vocabulary, and the length of the longest text; ConfigError without a library."""
        texts, chosen = statistics.texts, settings.text.of(statistics.name)
        assert texts is not None, "they are gathered for such a column"
        return cls(
            name=statistics.name,
            tokenizer=chosen.fit(texts),
            lowercase=chosen.lowercase,
            longest=max(1, min(texts.lengths.longest, chosen.max_length)),
            has_missing=statistics.missing.count > 0,
        )

    def encode_rows(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> tuple[RaggedValues, list[UnseenCells]]:
        """Return codes, int32 [tokens], and the unknown tokens and texts that are cut off."""
        texts = to_labels(read_cells(rows, self.name, missing_values))
        codes, lengths = self.tokenizer.encode(normalise(texts, lowercase=self.lowercase))
        unseen = []
        unknown = np.flatnonzero(codes == UNKNOWN)
        if len(unknown):
            first = int(np.searchsorted(np.cumsum(lengths), unknown[0], side="right"))
            unseen.append(self._unknown(len(unknown), rows.place(first), len(codes)))
        cut = np.flatnonzero(lengths > self.longest)
        if len(cut):
            unseen.append(self._cut(len(cut), rows.place(int(cut[0])), len(rows)))
            starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
            codes = codes[np.arange(len(codes)) - starts < self.longest]
            lengths = np.minimum(lengths, self.longest)
        return RaggedValues(codes, lengths), unseen

    def find_unseen(self, statistics: ColumnStatistics) -> list[UnseenCells]:
        """Return the unknown tokens, and the texts that are cut off."""
        texts, unseen = statistics.texts, []
        assert texts is not None, "they are gathered for such a column"
        unknown, cut = self.tokenizer.unknown(texts), texts.lengths.above(self.longest)
        if unknown.count:
            place = statistics.place(CellCount(unknown.count, unknown.number))
            unseen.append(self._unknown(unknown.count, place, texts.tokens.num_tokens))
        if cut.count and self.tokenizer.has_exact_lengths:
            place = statistics.place(CellCount(cut.count, cut.number))
            unseen.append(self._cut(cut.count, place, statistics.num_rows))
        return unseen

    def _unknown(self, count: int, first: str, num_tokens: int) -> UnseenCells:
        what = "unseen in training, or rarer than data.text.min_count"
        return UnseenCells(self.name, what, count, first, num_tokens, self.element)

    def _cut(self, count: int, first: str, num_cells: int) -> UnseenCells:
        return UnseenCells(self.name, _CUT, count, first, num_cells, "text", is_lost=False)

    def notes(self, statistics: ColumnStatistics) -> list[str]:
        """Say how many texts are cut off, and whether tokens were counted roughly."""
        texts, notes = statistics.texts, []
        assert texts is not None, "they are gathered for such a column"
        if self.tokenizer.has_exact_lengths and (cut := texts.lengths.above(self.longest)).count:
            notes.append(
                f"'{self.name}': {counted(cut.count, 'training text')} cut off behind "
                f"{counted(self.longest, self.element)} (data.text.max_length)"
            )
        if texts.tokens.are_pruned:
            notes.append(
                f"'{self.name}' has so many different {self.element}s that rare ones were counted "
                "roughly (data.text.tokens)"
            )
        return notes

    def find_bad(self, rows: Table, missing_values: tuple[str, ...]) -> list[BadCells]:
        """Return none: any cell can be text."""
        del rows, missing_values
        return []

    def is_constant(self, statistics: ColumnStatistics) -> bool:
        """Say whether all rows have the same text, or none has one."""
        texts = statistics.texts
        assert texts is not None, "they are gathered for such a column"
        return texts.first == texts.last and (texts.first is None or not self.has_missing)

    @property
    def element(self) -> str:
        """A token."""
        return self.tokenizer.noun

    @property
    def reading(self) -> TextReading:
        """In tokens, in small letters or as they are."""
        return TextReading(self.tokenizer, self.lowercase)

    @property
    def sequence(self) -> Tokens:
        """Its codes."""
        return Tokens(self.name, f"text {self.name}", self.longest, self.tokenizer.num_codes)

    def token_names(self, codes: np.ndarray) -> tuple[str, ...]:
        """Return tokens of the vocabulary, and a word for those that are not in it."""
        names = ("(padding)", "(unknown)", *self.tokenizer.vocabulary)
        return tuple(names[code] for code in codes.tolist())

    @property
    def parts(self) -> tuple[str, ...]:
        """A token."""
        return ("token",)

    def continued(self, before: Self) -> Self:
        """Return what was fitted before: the network knows its tokens alone."""
        return before

    @property
    def saw_missing(self) -> bool:
        """Whether a text was missing in the training rows."""
        return self.has_missing

    def encoding_in_short(self, settings: EncodingSettings) -> str:
        """Say how it is encoded, for the screen."""
        del settings
        return f"{self._vocabulary}, at most {self.longest:,} a row"

    def encoding_in_full(self) -> str:
        """Say how it is encoded, for a page."""
        return f"{self._vocabulary}, at most {self.longest:,} a row, in their order"

    @property
    def _vocabulary(self) -> str:
        case = ", lower case" if self.lowercase else ""
        return f"{self.tokenizer.num_codes - NUM_SPECIAL:,} different {self.tokenizer.noun}s{case}"
