"""Rows as they are in their files: some of each part."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dlcli.data.fields import Field
from dlcli.data.splits import judged_part
from dlcli.tables.reading import concatenate
from dlcli.tables.table import Table

MAX_ROWS = 10_000  # of each part in a report; more rows take long and hardly change it

_MAX_BYTES = 2**28  # that these rows take, encoded
_MIN_ROWS = 100

KeptParts = Literal["none", "judged", "all"]  # "judged": the one that the network is judged on


def parts_to_keep(kept: KeptParts, parts: Collection[str]) -> Collection[str]:
    """Return which of the parts that there are have rows that are kept."""
    match kept:
        case "none":
            return ()
        case "judged":
            return (judged_part(parts),)
        case "all":
            return parts


def max_rows_of(fields: Iterable[Field]) -> int:
    """Return how many rows of some fields a report has of each part: of large images, fewer."""
    row_bytes = sum(field.num_bytes for field in fields)
    return min(MAX_ROWS, max(_MIN_ROWS, _MAX_BYTES // max(1, row_bytes)))


def choose_evenly(num_rows: int, max_rows: int = MAX_ROWS) -> np.ndarray | None:
    """Return so many rows, evenly taken from all, int64; None: all of them."""
    if num_rows <= max_rows:
        return None
    return np.linspace(0, num_rows - 1, max_rows).astype(np.int64)


@dataclass(frozen=True)
class KeptRows:
    """Up to `max_rows` rows of each part, or of some parts."""

    max_rows: int = MAX_ROWS
    parts: Collection[str] | None = None  # None: all
    _tables: dict[str, list[Table]] = field(default_factory=dict)

    def keep_evenly(self, part: str, rows: Table) -> None:
        """Keep rows of a whole part, evenly taken from all of them."""
        if self.parts is None or part in self.parts:
            chosen = choose_evenly(len(rows), self.max_rows)
            self._tables[part] = [rows if chosen is None else rows.take(chosen)]

    def keep_first(self, part: str, rows: Table) -> None:
        """Keep rows of a block of a part, until there are enough."""
        lacking = self.max_rows - self._num_rows(part)
        if lacking and (self.parts is None or part in self.parts):
            few = rows if len(rows) <= lacking else rows.take(np.arange(lacking))
            self._tables.setdefault(part, []).append(few)

    def is_full(self, part: str) -> bool:
        """Whether no more rows of a part are kept."""
        return self._num_rows(part) == self.max_rows

    def table(self, part: str) -> Table | None:
        """Return the rows of a part, in the order of their files; None where none are kept."""
        tables = self._tables.get(part)
        return concatenate(tables) if tables else None

    def _num_rows(self, part: str) -> int:
        return sum(map(len, self._tables.get(part, ())))
