"""Excel workbooks: a sheet of them, read whole.

Its cells are text, as a CSV file's are: a number with all of its digits, a date as ISO 8601, `true`
and `false`. An empty cell, and one with an error such as #DIV/0!, is null.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from dlcli.errors import ConfigError, DataError
from dlcli.tables.formats.base import BlockSize, Content, Format
from dlcli.tables.table import Table
from dlcli.tables.text.headers import read_names

if TYPE_CHECKING:
    from fastexcel import ExcelReader


class ExcelFormat(Format):
    """An Excel workbook: the first row of a sheet that isn't blank names the columns."""

    name = "an Excel workbook"
    suffixes = (".xlsx",)
    magic = b"PK\x03\x04"
    is_stream = False
    is_typed = False
    settings = ("sheet",)

    def blocks(self, content: Content, size: BlockSize) -> Iterator[Table]:
        """Yield the rows of a sheet that aren't blank, numbered as Excel does."""
        workbook = _open(content)
        sheet, cells = _choose_sheet(workbook, content)
        name = f"{content.name}, sheet '{sheet}'"
        notes: tuple[str, ...] = ()
        if content.sheet is None and len(workbook.sheet_names) > 1:
            notes = (f"{name}: the only sheet with rows (data.sheet)",)
        filled = cells.select(~pl.all_horizontal(pl.all().is_null())).to_series().arg_true()
        if not len(filled):
            raise DataError(f"{name}: no cells; its first row must name the columns")
        first, rows = int(filled[0]), filled[1:].to_numpy().astype(np.int64)
        cells = cells.select(column for column in cells if column.null_count() < len(column))
        header = read_names([str(cell or "") for cell in cells.row(first)], name)
        frame = cells[rows.tolist()]
        frame.columns = header.names
        table = replace(
            Table(frame, name, rows + 1, "row", written=header.written, notes=notes),
            unnamed=header.unnamed,
        )
        num_taken = size.rows_of(frame.width)
        for start in range(0, max(1, len(frame)), num_taken):
            taken = slice(start, start + num_taken)
            yield table.of_rows(frame[taken], table.numbers[taken])


def _open(content: Content) -> "ExcelReader":
    if content.path.suffix.lower() != ".xlsx" and not _is_workbook(content.path):
        raise DataError(f"{content.name}: a zip archive; unpack it, and name a file that was in it")
    try:
        import fastexcel
    except ImportError:
        raise ConfigError(
            f"{content.name}: Excel needs the library fastexcel: pip install 'dlcli[excel]'"
        ) from None
    try:
        return fastexcel.read_excel(content.path)
    except fastexcel.FastExcelError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{content.name}: not an Excel workbook that can be read: {reason}"
        ) from None


def _is_workbook(file: Path) -> bool:
    """Whether a zip archive holds what every Excel workbook does."""
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(file) as archive:
            return "[Content_Types].xml" in archive.namelist()
    except (BadZipFile, OSError):
        return False


def _choose_sheet(workbook: "ExcelReader", content: Content) -> tuple[str, pl.DataFrame]:
    """Return the sheet that is named, or the only one with rows; DataError where none is meant."""
    names = workbook.sheet_names
    if not names:
        raise DataError(f"{content.name}: an Excel workbook without sheets; save it anew")
    if content.sheet is not None:
        if content.sheet not in names:
            raise DataError(
                f"{content.name}: no sheet '{content.sheet}' (data.sheet); its sheets: "
                + ", ".join(names)
            )
        return content.sheet, _cells(workbook, content.sheet, content)
    sheets = {name: _cells(workbook, name, content) for name in names}
    found = {name: cells for name, cells in sheets.items() if len(cells) > 1}
    if len(found) > 1:
        raise DataError(
            f"{content.name}: several sheets have rows: {', '.join(found)}; name one with "
            f"data.sheet, as in data.sheet: {next(iter(found))}"
        )
    return next(iter((found or sheets).items()))


def _cells(workbook: "ExcelReader", sheet: str, content: Content) -> pl.DataFrame:
    """Return all cells of a sheet as text, row 1 first.

    The library writes numbers with 9 decimals at most; where that isn't all of one, it is written
    from the number itself.
    """
    from fastexcel import FastExcelError

    def load(kind: Literal["string", "float"]) -> pl.DataFrame:
        sheet_cells = workbook.load_sheet(sheet, header_row=None, skip_rows=0, dtypes=kind)
        return sheet_cells.to_polars()

    try:
        text, numbers = load("string"), load("float")
    except FastExcelError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{content.name}: sheet '{sheet}' can't be read: {reason}") from None
    is_cut = [
        (cells.cast(pl.Float64, strict=False) != number).fill_null(value=False)
        for cells, number in zip(text, numbers, strict=True)
    ]
    return pl.DataFrame(
        [
            number.cast(pl.String).zip_with(cut, cells).alias(cells.name)
            for cells, number, cut in zip(text, numbers, is_cut, strict=True)
        ]
    )
