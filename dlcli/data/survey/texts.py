"""Recognising columns of texts, by their words and by how many of them differ."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from dlcli.columns.cells.sequences import seem_sequences
from dlcli.columns.text import are_sentences, words_in
from dlcli.texts.family import TokenizerType

_MIN_ROWS = 50
_DIFFERENT_SENTENCES, _DIFFERENT_NAMES = 0.2, 0.4  # of the rows
_LETTERS = r"^[\p{L}\p{M}\s.'’-]+$"


@dataclass(frozen=True)
class SeenText:
    """A column of texts."""

    tokens: TokenizerType  # to cut it into
    finding: str


def recognise_texts(
    columns: Mapping[str, pl.Series], *, has_images: bool = False
) -> dict[str, SeenText]:
    """Return the columns that hold texts, null where missing: several words, mostly different.

    A column of single words is one where there is no other, nor images: names, most of which
    differ.
    """
    found = {}
    for name, cells in columns.items():
        if cells.dtype != pl.String or cells.count() < _MIN_ROWS:
            continue
        if seem_sequences(cells.drop_nulls()):
            continue  # told so where it is no feature or is taken as categories
        num_known, num_different = cells.count(), cells.drop_nulls().n_unique()
        is_text = are_sentences(cells) and num_different >= _DIFFERENT_SENTENCES * num_known
        if not is_text and len(columns) == 1 and not has_images:
            is_text = num_different >= _DIFFERENT_NAMES * num_known and _are_letters(cells)
        if is_text:
            words = words_in(cells)
            tokens = "words" if are_sentences(cells) else "characters"
            found[name] = SeenText(
                tokens,
                f"'{name}' has {words:.1f} words a row and {num_different:,} different values in "
                f"{num_known:,} rows: read as text, cut into {tokens} (data.kinds, data.text); "
                "leave it out of data.features where it only names the row",
            )
    return found


def _are_letters(cells: pl.Series) -> bool:
    known = cells.drop_nulls()
    return int(known.str.contains(_LETTERS).sum()) > 0.9 * len(known)
