"""Cells, or tokens in them, that the training rows had no example of."""

from collections.abc import Iterable
from dataclasses import dataclass

from dlcli.errors import DataError, are, counted


@dataclass(frozen=True)
class UnseenCells:
    """Cells of a column, or tokens in them, that the training rows had no example of."""

    column: str
    what: str
    count: int
    first: str | None  # the place of the first one; None: too many to tell, `count` or more
    num_cells: int  # of the column; cells that are missing, as some were in training, don't count
    unit: str = "cell"  # what is counted: cells, texts, or tokens in them
    is_lost: bool = True  # whether the network gets nothing of them

    @property
    def are_most(self) -> bool:
        """Whether the column holds nothing, or almost nothing, that training saw."""
        return self.is_lost and 2 * self.count > self.num_cells

    @property
    def warning(self) -> str:
        """What to say loudly where they are most."""
        least = "at least " if self.first is None else ""
        first = "" if self.first is None else f"; first at {self.first}"
        almost = "nothing" if self.count >= self.num_cells else "almost nothing"
        return (
            f"column '{self.column}' holds {almost} that training saw: {least}{self.count:,} of "
            f"{self.num_cells:,} {self.unit}s {are(self.count)} {self.what}{first}. Results say "
            "little: check that the column is what it was in training, and written alike"
        )

    @property
    def as_json(self) -> dict[str, str | int | None]:
        """The same for programs; the unit where tokens or texts are counted."""
        found: dict[str, str | int | None] = {
            "column": self.column,
            "what": self.what,
            "count": self.count,
            "first": self.first,
            "num_cells": self.num_cells,
        }
        return found if self.unit == "cell" else {**found, "unit": self.unit}

    def __str__(self) -> str:
        cells = f"{counted(self.count, self.unit)} {self.what}"
        if self.unit != "cell":
            cells = f"{self.count:,} of {counted(self.num_cells, self.unit)} {self.what}"
        if self.first is None:
            return f"column '{self.column}': at least {cells}"
        return f"column '{self.column}': {cells}; first at {self.first}"


def refuse_mostly_unseen(found: Iterable[UnseenCells]) -> None:
    """Raise DataError where a column holds nothing, or almost nothing, that training saw."""
    warnings = [cells.warning for cells in found if cells.are_most]
    if warnings:
        raise DataError("\n".join([*warnings, "refused, as --strict says; nothing is written"]))


def unseen_by_both(one: list[UnseenCells], other: list[UnseenCells]) -> list[UnseenCells]:
    """Return cells that training saw in neither, as far as their numbers tell."""
    found = {(cells.column, cells.what): cells for cells in other}
    return [
        min(cells, found[key], key=lambda one: one.count)
        for cells in one
        if (key := (cells.column, cells.what)) in found
    ]
