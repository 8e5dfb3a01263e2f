"""Cells that a fitted column can't encode."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dlcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

BadRows = Literal["refuse", "missing", "skip"]


class CellError(DataError):
    """A cell that can't be encoded: `what` says which one and why, the message also what to do.

    `repair` is for training; `new_file`, for a file that a trained network is used on. If it
    `is_needed`, nothing stands for a missing one.
    """

    def __init__(
        self,
        what: str,
        repair: str,
        *,
        new_file: str = "correct the file",
        is_needed: bool = False,
    ) -> None:
        super().__init__(f"{what}; {repair}")
        self.what = what
        self.new_file = new_file
        self.is_needed = is_needed


@dataclass(frozen=True)
class BadCells:
    """The cells of a column, or the rows, that can't be used for one reason."""

    column: str | None  # None: the rows as a whole
    reason: str  # "not a number"
    rows: "np.ndarray"  # bool [rows]
    is_needed: bool = False  # nothing stands for a missing value: its row has no prediction
