"""How one text file is written, recognised from its first bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

from dlcli.tables.notation.dates import have_rivals
from dlcli.tables.notation.notation import Notation
from dlcli.tables.text.headers import Header, shown
from dlcli.tables.text.text_format import TextFormat

_MAX_SHOWN = 20  # columns that a message names


@dataclass(frozen=True)
class Dialect:
    """How a text file is written, and what of it nobody said."""

    separator: str
    quote: str  # "": quotation marks are text
    encoding: str
    header: Header
    notation: Notation
    form: TextFormat

    def findings(self) -> Iterator[tuple[str, object, str]]:
        """Yield what was recognised and is not as in a plain CSV file: key, value, words."""
        form = self.form
        if form.encoding is None and self.encoding != "utf-8":
            yield "encoding", self.encoding, f"{self.encoding} text"
        if form.separator is None and self.separator != ",":
            yield "separator", self.separator, f"cells separated by {self.separator!r}"
        if form.quote is None and self.quote != '"':
            yield "quote", self.quote, f"cells quoted by {self.quote}"
        if self.header.is_recognised:
            yield from self._header_findings()
        yield from self._number_findings()
        if form.date_formats is None:
            yield from self._date_findings()

    @property
    def num_placed(self) -> int | None:
        """How many columns are called by their place; None: they have names."""
        is_placed = self.header.first_cells is not None and self.form.names is None
        return len(self.header.names) if is_placed else None

    def header_hint(self) -> str | None:
        """Say so where the first line was taken for data: a column by its name isn't there."""
        if self.header.first_cells is None or self.form.names is not None:
            return None
        naming = "name the columns by data.names"
        if len(self.header.names) <= _MAX_SHOWN:
            naming = f"name the columns, as in {self.form.setting('names', self.header.names)}"
        if not self.header.is_recognised:
            return naming
        return (
            f"the first line looks like data, not names ({shown(self.header.first_cells)}): "
            f"{naming}, or, if it is one of names, {self.form.advice('header', True)}"
        )

    def _header_findings(self) -> Iterator[tuple[str, object, str]]:
        header = self.header
        if header.first_cells is None:
            yield "header", True, f"the first line, {shown(header.names)}, taken for names"
            return
        called = f"columns called {header.names[0]} to {header.names[-1]}, data.names to name them"
        yield (
            "header",
            False,
            f"the first line looks like data, not names ({shown(header.first_cells)}): {called}",
        )

    def _number_findings(self) -> Iterator[tuple[str, object, str]]:
        numbers = self.notation.numbers
        decimals = {reading.decimal for reading in numbers}
        thousands = {reading.thousands for reading in numbers}
        if len(decimals) == 1 and self.form.decimal is None and decimals != {"."}:
            (mark,) = decimals
            yield "decimal", mark, f"numbers written with {mark!r} before decimals"
        if len(thousands) == 1 and self.form.thousands is None and thousands != {""}:
            (mark,) = thousands
            yield "thousands", mark, f"{mark!r} between thousands"

    def _date_findings(self) -> Iterator[tuple[str, object, str]]:
        dates = {name: reading.formats for name, reading in self.notation.dates.items()}
        formats = list(dict.fromkeys(layout for some in dates.values() for layout in some))
        if formats and all(len(some) == 1 for some in dates.values()):
            columns = {
                layout: [name for name in dates if layout in dates[name]] for layout in formats
            }
            written = (
                f"dates of {', '.join(map(repr, names))} written as {layout}"
                for layout, names in columns.items()
            )
            yield "date_formats", formats, "; ".join(written)

    def settings(self) -> dict[str, object]:
        """Return all that is known of how the file is written, by the keys of `data`.

        Formats of dates are left out where one could be taken for another.
        """
        numbers, form = self.notation.numbers, self.form
        decimals, thousands = (
            {getattr(reading, mark) for reading in numbers} for mark in ("decimal", "thousands")
        )
        found: dict[str, object] = {
            "separator": self.separator,
            "encoding": self.encoding,
            "quote": self.quote or "none",
            "header": self.header.first_cells is None,
        }
        if len(decimals) == 1:
            found["decimal"] = decimals.pop()
        if len(thousands) == 1:
            found["thousands"] = thousands.pop() or "none"
        if form.names is not None:
            found["names"] = form.names
        readings = self.notation.dates.values()
        formats = tuple(dict.fromkeys(layout for item in readings for layout in item.formats))
        if form.date_formats is not None:
            found["date_formats"] = form.date_formats
        elif not any(map(have_rivals, (item.formats for item in readings))) and not have_rivals(
            formats
        ):
            found["date_formats"] = formats
        return found

    def note(self) -> str | None:
        """Say what was recognised, and the keys that override it; None of a plain file."""
        parts = [f"{words} (data.{key})" for key, _, words in self.findings()]
        return ", ".join(parts) or None
