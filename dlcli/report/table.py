"""A table of text, for a screen or a page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextTable:
    """Rows under their titles; the first column names the row, the others hold values."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""  # how to read it

    def transposed(self) -> "TextTable":
        """Return it with a row for each title but the first, and a column for each row."""
        titles, *rows = zip(self.titles, *self.rows, strict=True)
        return TextTable(titles, tuple(rows), self.note)
