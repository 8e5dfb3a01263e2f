"""Which kind of column it is, told from its cells, with the reason."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.columns.column_statistics import ColumnStatistics, look_at
from dlcli.columns.labels import MAX_LABELS
from dlcli.config.sections.data import ColumnKind

_MOSTLY = 0.8


@dataclass(frozen=True)
class Inference:
    """A column's kind, or None where it can't be used, and why."""

    kind: ColumnKind | None
    reason: str
    mixed: bool = False  # numbers and something else, which only its owner can settle


def infer_kind(cells: pl.Series) -> Inference:
    """Tell a column's kind from cells in which null stands for what is missing."""
    return infer_from(look_at(cells, np.arange(len(cells))))


def infer_from(facts: ColumnStatistics) -> Inference:
    """Tell a column's kind from its facts, labels among them where it may be categorical."""
    if not facts.num_known:
        return Inference(None, "no value in any training row")
    if facts.dtype.is_numeric():
        return Inference("numeric", "numbers")
    if facts.dtype == pl.Boolean:
        return Inference("boolean", "true and false")
    if facts.dtype.is_temporal() and facts.dtype not in (pl.Time, pl.Duration):
        return Inference("datetime", "dates")
    if facts.dtype != pl.String:
        return Inference(None, f"its type, {facts.dtype}, has no encoding")
    return _infer_from_text(facts)


def is_mixed(facts: ColumnStatistics) -> bool:
    """Say whether text is mostly numbers: what the rest means, only its owner can settle."""
    if not facts.is_text or facts.numbers.count == facts.num_known:
        return False
    if facts.num_known in (facts.booleans.count, facts.moments.count):
        return False
    return (facts.numbers.count + facts.num_written_otherwise) / facts.num_known >= _MOSTLY


def needs_labels(facts: ColumnStatistics) -> bool:
    """Say whether only a column's labels tell whether it is categorical."""
    pure = (facts.numbers.count, facts.booleans.count, facts.moments.count)
    return facts.is_text and facts.num_known not in (0, *pure) and not is_mixed(facts)


def _infer_from_text(facts: ColumnStatistics) -> Inference:
    known, labels = facts.num_known, facts.labels
    if facts.numbers.count == known:
        return Inference("numeric", "numbers")
    if facts.booleans.count == known:
        return Inference("boolean", "true and false")
    if facts.moments.count == known:
        return Inference("datetime", "ISO 8601 dates")
    if is_mixed(facts):
        other, count = facts.other_than("numbers").cell, facts.numbers.count
        return Inference(None, f"{count} of {known} are numbers, but not {other!r}", True)
    assert labels is not None, "the labels of what may be categorical are gathered"
    if labels.are_too_many:
        return Inference(None, f"text with more than {MAX_LABELS:,} different values")
    num_labels = len(labels.cells)
    if num_labels == known:
        return Inference(None, "text with a value of its own in each row")
    return Inference("categorical", f"text with {num_labels} different values")
