"""A text without one of its words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.columns.cells import read_cells, to_labels
from dlcli.columns.ragged import RaggedColumn, TextReading
from dlcli.tables.table import Table
from dlcli.texts.splitting import normalise


@dataclass(frozen=True)
class CutText:
    """A text as the network's tokens are cut from it, in words; together they are the text."""

    words: tuple[str, ...]
    gaps: tuple[str, ...]  # the blanks in front of each word

    def distinct(self, at_most: int) -> list[str]:
        """Return its words, each once, in their order; the first ones of many."""
        return list(dict.fromkeys(self.words))[:at_most]

    def without(self, word: str | None) -> str:
        """Return the text without a word, wherever it stands."""
        found: list[str] = []
        joins = False  # whether what is left out stood between the last word and this one
        for gap, each in zip(self.gaps, self.words, strict=True):
            if each == word:
                joins = True
                continue
            found += [" " if joins and not gap and found else gap, each]
            joins = False
        return "".join(found)


def cut_texts(column: RaggedColumn, rows: Table, missing_values: tuple[str, ...]) -> list[CutText]:
    """Return the texts of rows; a missing one has no words."""
    reading = _reading(column)
    cells = to_labels(read_cells(rows, column.name, missing_values)).fill_null("")
    texts = normalise(cells, lowercase=reading.lowercase)
    return [
        _cut(text, words or ())
        for text, words in zip(texts, reading.tokenizer.words(texts).to_list(), strict=True)
    ]


def encode_texts(column: RaggedColumn, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return codes, int32 [texts, longest] with zeros behind each end, and lengths, int64."""
    codes, lengths = _reading(column).tokenizer.encode(pl.Series(texts, dtype=pl.String))
    width = max(column.sequence.longest, int(lengths.max(initial=0)))
    padded = np.zeros((len(texts), width), np.int32)
    padded[np.arange(width) < lengths[:, None]] = codes
    return padded[:, : column.sequence.longest], np.minimum(lengths, column.sequence.longest)


def _reading(column: RaggedColumn) -> TextReading:
    reading = column.reading
    assert reading is not None, "its cells are texts"
    return reading


def _cut(text: str, words: Sequence[str]) -> CutText:
    gaps, end = [], 0
    for word in words:
        start = text.index(word, end)
        gaps.append(text[end:start])
        end = start + len(word)
    return CutText(tuple(words), tuple(gaps))
