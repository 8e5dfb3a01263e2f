"""A table of text, for a screen or a page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextTable:
    """Rows under their titles; the first column names the row, the others are figures."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""  # what one must know to read it
