import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.errors import DataError
from dlcli.tables.table import Table
from dlcli.tables.text.csv_blocks import read_csv_blocks
from dlcli.tables.text.text_format import TextFormat

PLAIN = TextFormat(separator=",", quote='"', header=True)


def blocks(text: bytes, *, block_bytes: int = 2**20, form: TextFormat = PLAIN) -> list[Table]:
    stream = io.BytesIO(text)
    size = block_bytes
    return list(read_csv_blocks(stream, "f.csv", form, block_bytes=size, head_bytes=size))


def rows(tables: list[Table]) -> list[tuple[str, ...]]:
    return [row for table in tables for row in table.frame.rows()]


CELL = st.text(st.characters(exclude_characters="\r", codec="utf-8"), max_size=5)


@given(
    table=st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=6
        )
    ),
    block_bytes=st.integers(1, 40),
)
def test_every_quoted_table_comes_back_in_blocks_of_any_size(
    table: list[list[str]], block_bytes: int
) -> None:
    header = [f"c{index}" for index in range(len(table[0]))]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([header, *table])
    read = blocks(text.getvalue().encode(), block_bytes=block_bytes)
    assert rows(read) == [tuple(row) for row in table]
    assert read[0].frame.columns == header


def test_each_row_knows_its_line_behind_cells_of_several_lines() -> None:
    tables = blocks(b'a,b\n1,"x\ny\nz"\n2,w\n', block_bytes=5)
    assert [number for table in tables for number in table.numbers] == [2, 5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a,b\r\n1,2\r\n", [("1", "2")]),
        (b"\xef\xbb\xbfa,b\n1,2", [("1", "2")]),
        (b"a,b\n1,2\n\n\n", [("1", "2")]),
        (b'a,b\n1,""\n3,\n', [("1", ""), ("3", "")]),
        (b'a,b\n1,"x,""y"""\n', [("1", 'x,"y"')]),
        (b"a\n1\n\n3\n", [("1",), ("",), ("3",)]),
        (b"a,b\n", []),
    ],
)
def test_what_a_spreadsheet_writes_is_read(text: bytes, expected: list[tuple[str, ...]]) -> None:
    assert rows(blocks(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "f.csv: the file is empty"),
        (b"\n\n", "f.csv: the file is empty"),
        (b"a,b\n1,2\n3\n", "f.csv, line 3: an empty line, or one cell, where the header has 2"),
        (b"a,b\n1,2,3\n4,5,6\n", "f.csv, line 2: 3 cells where the header has 2, and 1 more"),
        (b'a,b\n"x\ny",1\n2\n', "f.csv, line 4: an empty line, or one cell"),
        (b"a,b,c\n1,2,3\n4\n1,2,3,4,5\n", "line 3: an empty line, or one cell, where the header"),
        (b"^a.*$,ab\n1,2\n", "f.csv, line 1: a column is named '^a.*$', which"),
        (b"*,b\n1,2\n", "f.csv, line 1: a column is named '*', which"),
        (b"a,a\n1,2\n", "f.csv, line 1: two columns are named 'a'"),
        (b'"a"x,"b"\n1,2\n', "f.csv, line 1: a quotation mark within a cell; write the cell as"),
        (b"a,b\n1,2\n1,\x81\n", "f.csv, line 3: not UTF-8 text"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "f.csv, line 3: a quote is opened here and never closed"),
        (b'a,b\n1,x"y\n2,z"\n', "cells contain single quotation marks"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(text: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        blocks(text)
    assert message in str(caught.value)


def test_a_given_separator_is_used() -> None:
    assert rows(blocks(b"a;b\n1,5;2\n", form=TextFormat(separator=";"))) == [("1,5", "2")]


def test_a_given_separator_that_is_not_there_is_refused_with_the_one_that_is() -> None:
    with pytest.raises(DataError, match=r"by ';', set data.separator: \";\""):
        blocks(b"a;b\n1;2\n")
