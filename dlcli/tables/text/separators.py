"""Recognising what separates the cells of a text file, and what quotes them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.errors import DataError
from dlcli.tables.notation.numbers import look_like_numbers
from dlcli.tables.text.records import find_records, first_record_end, outside_quotes
from dlcli.tables.text.text_format import TextFormat

SEPARATORS = ",;\t|"
_SAID = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE)  # a first line that Excel writes and reads


@dataclass(frozen=True)
class Marks:
    """What separates cells, what quotes them ("": nothing), and the first line's bytes to skip."""

    separator: str
    quote: str
    skipped: bytes


def recognise_marks(head: bytes, form: TextFormat, source: str) -> Marks:
    """Return the marks of a text whose first records these are.

    DataError where two separators fit it equally well.
    """
    said, skipped = None, b""
    if found := _SAID.match(head):
        said, skipped = found.group(1).decode("latin-1"), found.group()
        head = head[len(skipped) :]
    quote = form.quote
    separator = form.separator or (said if said and said in SEPARATORS else None)
    if quote is None:
        quote = "'" if _has_single_quotes(head, separator) else '"'
    if separator is None:
        separator = _recognise_separator(head, quote, form, source)
    return Marks(separator, quote, skipped)


def _has_single_quotes(head: bytes, separator: str | None) -> bool:
    """Say whether some cells are in single quotes, and none in double ones."""
    if b"'" not in head or b'"' in head:
        return False
    marks = re.escape((separator or SEPARATORS).encode())
    first, *_ = head.split(b"\n", 1)
    cells = re.split(b"[" + marks + b"]", first.strip())
    lines = head.split(b"\n", 50)[1:50]
    quoted = re.compile(b"(?:^|[" + marks + b"])'[^']*'(?:$|[" + marks + b"\r])")
    return all(_is_quoted(cell) for cell in cells) or (
        len(lines) > 1 and all(quoted.search(line) for line in lines if line.strip())
    )


def _is_quoted(cell: bytes) -> bool:
    return len(cell) > 1 and cell[:1] == cell[-1:] == b"'"


def _recognise_separator(head: bytes, quote: str, form: TextFormat, source: str) -> str:
    if not head.endswith(b"\n"):
        head += b"\n"
    first = head[: first_record_end(head, quote)]
    if not first:
        return ","  # a quote is never closed, as the reader will say
    present = [mark for mark in SEPARATORS if len(outside_quotes(first, mark, quote))]
    if present == [","]:
        return ","  # as most files are: a row with other cells will be refused
    cells = {mark: find_records(head, mark, quote)[1] for mark in SEPARATORS}
    same = {mark: float(np.mean(counts == counts[0])) for mark, counts in cells.items()}
    if not present:  # a single column, whose cells may have decimal commas
        return max(SEPARATORS, key=lambda mark: same[mark])
    best = max(same[mark] for mark in present)
    fitting = [mark for mark in present if same[mark] == best]
    if len(fitting) > 1:
        counts = {mark: _count_cells(head, mark, fitting, quote) for mark in fitting}
        if any(numbers for numbers, _ in counts.values()):
            scores = {mark: numbers - strange for mark, (numbers, strange) in counts.items()}
            fitting = [mark for mark in fitting if scores[mark] == max(scores.values())]
    if len(fitting) > 1:
        raise DataError(
            f"{source}, line 1: its cells may be separated by "
            f"{' or by '.join(map(repr, fitting))}; {form.advice('separator', *fitting)}"
        )
    return fitting[0]


def _count_cells(head: bytes, separator: str, marks: Sequence[str], quote: str) -> tuple[int, int]:
    """Return how many cells of the first records are numbers, and how many are strange.

    A cell is strange that has another of the marks and is no number, as 1,5 is one.
    """
    lines = head.decode("utf-8", "replace").splitlines()[:50]
    cells = [cell.strip(quote + " ") for line in lines for cell in line.split(separator)]
    text = pl.Series(cells, dtype=pl.String)
    are_numbers = look_like_numbers(text)
    others = "".join(mark for mark in marks if mark != separator)
    are_strange = text.str.contains(f"[{re.escape(others)}]") & ~are_numbers
    return int(are_numbers.sum()), int(are_strange.sum())
