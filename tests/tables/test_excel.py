"""Sheets of Excel workbooks."""

import datetime
import re
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
import xlsxwriter

from dlcli.errors import DataError
from dlcli.tables.reading import read_table
from dlcli.tables.sources import Selection, find_source
from dlcli.tables.table import Table
from tests.conftest import Command, WriteConfig

Rows = list[list[object]]
WriteWorkbook = Callable[..., None]
DATA: Rows = [
    ["x", "when", "name", "flag"],
    [1 / 3, datetime.datetime(2024, 2, 29, 6), "007", True],
    [],
    [7, None, None, False],
]
NUMBERS = [1e-12, -1 / 3, 123456789.123456, 2**53, 1e300, 5e-324, 0.5]


@pytest.fixture
def write() -> WriteWorkbook:
    """Write a workbook, its sheets given as rows of cells."""

    def workbook(sheets: dict[str, Rows], name: str = "t.xlsx") -> None:
        with xlsxwriter.Workbook(name, {"default_date_format": "yyyy-mm-dd hh:mm"}) as book:
            for sheet, rows in sheets.items():
                page = book.add_worksheet(sheet)
                for row, cells in enumerate(rows):
                    page.write_row(row, 0, cells)

    return workbook


def read(sheet: str | None = None) -> Table:
    return read_table(find_source("t.xlsx", selection=Selection(sheet=sheet)))


def refusal(sheet: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read(sheet)
    return str(caught.value)


def test_cells_are_text_with_all_digits_and_rows_are_numbered_as_excel_does(
    write: WriteWorkbook,
) -> None:
    write({"Notes": [["Made by hand"]], "Data": [[], ["", ""], *DATA]})
    table = read()
    assert table.frame.columns == ["x", "when", "name", "flag"]
    assert table.frame.rows() == [
        ("0.3333333333333333", "2024-02-29 06:00:00", "007", "true"),
        ("7", None, None, "false"),
    ]
    assert table.place(0) == "t.xlsx, sheet 'Data', row 4"
    assert table.place(1) == "t.xlsx, sheet 'Data', row 6"


def test_numbers_beside_text_keep_all_digits_and_text_stays(write: WriteWorkbook) -> None:
    numbers: Rows = [[number, 1] for number in NUMBERS]
    cells: Rows = [["x", ""], *numbers, ["007"], ["0.1234567890123"]]
    write({"A": cells})
    table = read()
    assert table.frame.columns == ["x", "column_2"]
    assert table.unnamed == ("column_2",)
    texts = table.frame["x"].to_list()
    assert [float(text) for text in texts[:-2]] == [float(f"{number:.16g}") for number in NUMBERS]
    assert texts[-2:] == ["007", "0.1234567890123"]


def test_which_of_several_sheets_is_meant_has_to_be_said(write: WriteWorkbook) -> None:
    write({"2023": DATA, "2024": DATA[:2]})
    assert "t.xlsx: several sheets have rows: 2023, 2024; name one with data.sheet" in refusal()
    assert len(read("2024")) == 1
    assert "t.xlsx: no sheet '2025' (data.sheet); its sheets: 2023, 2024" in refusal("2025")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "t.xlsx, sheet 'A': no cells; its first row must name the columns"),
        ([["x", "y"]], "t.xlsx: no rows below the header"),
        ([["x", "x"], [1, 2]], "t.xlsx, sheet 'A': two columns are named 'x'"),
    ],
)
def test_sheets_that_are_no_table_are_refused(rows: Rows, said: str, write: WriteWorkbook) -> None:
    write({"A": rows})
    assert said in refusal()


def test_damaged_workbooks_and_other_archives_are_refused(write: WriteWorkbook) -> None:
    write({"A": DATA})
    whole = Path("t.xlsx").read_bytes()
    Path("t.xlsx").write_bytes(whole[: len(whole) // 2])
    assert "t.xlsx: not an Excel workbook that can be read: " in refusal()


def test_the_sheet_that_is_read_is_said(
    write: WriteWorkbook, dlcli: Command, write_config: WriteConfig
) -> None:
    rows: Rows = [[row % 5, "yes" if row % 5 > 2 else "no"] for row in range(40)]
    write({"Notes": [["Made by hand"]], "Data": [["x", "y"], *rows]})
    config = write_config("t.xlsx", "y", data={"split": {"test": 0.2}})
    trained = dlcli("train", config, "--run-dir", "run")
    assert "the only sheet with rows (data.sheet)" in " ".join(trained.out.split())
    write({"January": [["x"], [1]], "February": [["x"], [2], [3]]}, "new.xlsx")
    refused = dlcli("predict", "run", "new.xlsx", "-o", "out.csv")
    assert (refused.code, "several sheets have rows: January, February" in refused.err) == (3, True)
    option = ["--set", "data.sheet=February"]
    assert dlcli("predict", "run", "new.xlsx", "-o", "out.csv", *option).code == 0
    assert len(Path("out.csv").read_text().splitlines()) == 3


def test_a_workbook_whose_sheets_are_lost_is_refused(write: WriteWorkbook) -> None:
    write({"Data": DATA}, "whole.xlsx")
    with ZipFile("whole.xlsx") as whole, ZipFile("t.xlsx", "w") as damaged:
        for name in whole.namelist():
            text = whole.read(name)
            if name == "xl/workbook.xml":
                text = re.sub(rb"<sheet [^>]*/>", b"", text)
            damaged.writestr(name, text)
    assert refusal() == "t.xlsx: an Excel workbook without sheets; save it anew"
