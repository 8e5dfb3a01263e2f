"""A table of text, for a screen or a page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextTable:
    """Rows under their titles; the first column names the row, the others hold values."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""  # how to read it
