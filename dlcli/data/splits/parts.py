"""The parts, and rows whose part a column names."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from dlcli.columns.cells import read_cells, to_labels
from dlcli.errors import DataError
from dlcli.tables.table import Table

PartName = Literal["train", "validation", "test"]
PARTS: tuple[str, ...] = get_args(PartName)


def judged_part(parts: Container[str]) -> PartName:
    """Return which part to judge a network on, of those that there are."""
    if "test" in parts:
        return "test"
    return "validation" if "validation" in parts else "train"


@dataclass(frozen=True)
class Split:
    """Row indices of each part, in the order of the file, int64."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, parts: np.ndarray) -> "Split":
        """Return the rows of each part, from the index of each row's part in PARTS, [rows]."""
        return cls(*(np.flatnonzero(parts == part) for part in range(len(PARTS))))

    def by_part(self) -> dict[str, np.ndarray]:
        """Return the rows of each part by its name."""
        return dict(zip(PARTS, (self.train, self.validation, self.test), strict=True))


def split_by_column(table: Table, column: str) -> Split:
    """Read the parts from a column; DataError where a cell names none."""
    cells = to_labels(read_cells(table, column, table.missing_values or ()))
    unknown = (~cells.is_in(PARTS)).fill_null(True).arg_true()
    if len(unknown):
        raise DataError(
            f"{table.place(unknown[0])}: the split column '{column}' has "
            f"{cells[int(unknown[0])]!r} where train, validation or test is expected"
        )
    return Split(*((cells == part).arg_true().to_numpy().astype(np.int64) for part in PARTS))


def wanted_parts(validation: float, test: float) -> Sequence[str]:
    """Return the parts that fractions ask for."""
    return [PARTS[0], *(["validation"] if validation else []), *(["test"] if test else [])]
