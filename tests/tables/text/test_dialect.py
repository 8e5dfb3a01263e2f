"""How a text file is written, as recognised from its first bytes."""

import io

import pytest

from dlcli.errors import DataError
from dlcli.tables.table import Table
from dlcli.tables.text.csv_blocks import read_csv_blocks
from dlcli.tables.text.text_format import TextFormat

MISSING = TextFormat(missing_values=("", "NA"))


def read(text: str | bytes, form: TextFormat = MISSING, *, head_bytes: int = 2**20) -> Table:
    """Return the rows of a file as one block, in plain notation."""
    content = text.encode() if isinstance(text, str) else text
    (table,) = read_csv_blocks(
        io.BytesIO(content), "f.csv", form, block_bytes=2**20, head_bytes=head_bytes
    )
    return table.plainly()


def note(table: Table) -> str | None:
    assert table.dialect is not None
    return table.dialect.note()


def said(**settings: object) -> TextFormat:
    return TextFormat(missing_values=("", "NA"), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        "a,b\n1.5,x\n2.25,y\n",
        'a,b\n"1",x\n',
        "day,b\n2024-01-31,x\n2024-02-01,y\n",
        "when,b\n2024-01-31 12:00:00,x\n2024-01-31T12:00:00Z,y\n",
        "name,b\nO'Brien,1\n",
        "version,b\n1.2.10,x\n1.3.11,y\n",
        "month,b\nmay,1\njune,2\n",
        "a,b\n1.234,2.345\n3.456,4.567\n",
        "town,b\nKöln,1\n",
        "id,tags;more\n1,a;b\n2,c;d\n",
        "0,1,2\n5,5,1\n7,2,2\n".replace("0,1,2", "x0,x1,x2"),
    ],
)
def test_nothing_is_said_of_a_plain_file(text: str) -> None:
    table = read(text)
    assert note(table) is None
    assert table.frame.rows() == [
        tuple(cell.strip('"') for cell in line.split(",")) for line in text.splitlines()[1:]
    ]


@pytest.mark.parametrize(
    ("text", "rows", "words"),
    [
        ("a;b\n1,5;x\n1.640,07;y\n", [("1.5", "x"), ("1640.07", "y")], "'.' between thousands"),
        ("a\tb\n1,5\tx\n", [("1.5", "x")], r"cells separated by '\t'"),
        ("a|b\n1|2\n", [("1", "2")], "cells separated by '|'"),
        ("x;a,b;c\n0,5;u;v\n1,5;w;\n", [("0.5", "u", "v"), ("1.5", "w", "")], "separated by ';'"),
        ('a,b\n"1,234",1.5\n"5",2.5\n', [("1234", "1.5"), ("5", "2.5")], "',' between thousands"),
        ('a,b\n"1,234,567",1\n', [("1234567", "1")], "',' between thousands"),
        ('a,b\n"0,123",1\n"0,5",2\n', [("0.123", "1"), ("0.5", "2")], "',' before decimals"),
        ("a,b\n1'234.50,1\n", [("1234.50", "1")], "between thousands"),
        ("a;b\n1\u202f234,50;1\n", [("1234.50", "1")], "' ' between thousands"),
        ("a;b\n-1.234,5e3;1\n,5;2\n", [("-1234.5e3", "1"), (".5", "2")], "before decimals"),
        ("price\n1,5\n2,5\n", [("1.5",), ("2.5",)], "separated by ';'"),
        ("sep=;\r\na;b\r\n1;2\r\n", [("1", "2")], "separated by ';'"),
        ("'a','b'\n'x,y',1\n", [("x,y", "1")], "quoted by '"),
        ("1,5;2,5\n3,5;4,5\n", [("1.5", "2.5"), ("3.5", "4.5")], "looks like data, not names"),
        ("0,1,2\n5,6,1\n3,3,3\n", [("5", "6", "1"), ("3", "3", "3")], "taken for names"),
        ("land,2020,2021\nDE,1.5,2\n", [("DE", "1.5", "2")], "taken for names"),
        (
            "39.1,?,a\n2,3,b\n5,6,c\n",
            [("39.1", "?", "a"), ("2", "3", "b"), ("5", "6", "c")],
            "data",
        ),
    ],
)
def test_what_is_recognised_is_read_and_said(
    text: str, rows: list[tuple[str, ...]], words: str
) -> None:
    table = read(text)
    assert table.frame.rows() == rows
    assert words in str(note(table))


@pytest.mark.parametrize(
    ("cells", "dates", "layout"),
    [
        (("2012/01/31", "2012/1/5"), ("2012-01-31", "2012-01-05"), "%Y/%m/%d"),
        (("31.12.2021", "1.2.2022 7:30"), ("2021-12-31", "2022-02-01T07:30:00"), "%d.%m.%Y"),
        (("01/31/2024", "02/01/2024"), ("2024-01-31", "2024-02-01"), "%m/%d/%Y"),
        (("31-01-2024", "01-02-2024"), ("2024-01-31", "2024-02-01"), "%d-%m-%Y"),
        (("Jan 1 2000", "December 31 1999"), ("2000-01-01", "1999-12-31"), "%b %d %Y"),
        (("1 May 2000", "2 Sept. 2000"), ("2000-05-01", "2000-09-02"), "%d %b %Y"),
        (("31-Jan-24", "01-Feb-69"), ("2024-01-31", "1969-02-01"), "%d-%b-%y"),
        (("31.12.68", "01.02.69"), ("2068-12-31", "1969-02-01"), "%d.%m.%y"),
        (
            ("1/31/2024 12:05 AM", "1/31/2024 3:04:05 pm"),
            ("2024-01-31T00:05:00", "2024-01-31T15:04:05"),
            "%m/%d/%Y",
        ),
        (("2021-01-01 00:00:00 UTC", "NA"), ("2021-01-01T00:00:00Z", "NA"), "%Y-%m-%d"),
    ],
)
def test_dates_in_other_forms_than_iso_are_read_and_said(
    cells: tuple[str, ...], dates: tuple[str, ...], layout: str
) -> None:
    table = read("when;y\n" + "".join(f"{cell};1\n" for cell in cells))
    assert tuple(table.frame["when"]) == dates
    assert f"dates of 'when' written as {layout} (data.date_formats)" in str(note(table))


def test_dates_that_two_formats_read_alike_are_read() -> None:
    assert [*read("a,y\n01/01/2023,1\n01/01/2024,2\n").frame["a"]] == ["2023-01-01", "2024-01-01"]


def test_a_day_that_does_not_exist_is_no_date() -> None:
    days = [f"{day}.01.2024" for day in range(13, 31)]
    table = read("a,y\n" + "".join(f"{day},1\n" for day in [*days, "31.02.2024"]))
    assert table.frame["a"][-1] == "31.02.2024"
    assert table.frame["a"][0] == "2024-01-13"


@pytest.mark.parametrize(
    ("text", "message", "settings"),
    [
        (
            'a,b\n"1,234",x\n',
            'may be 1234 or 1.234; set data.decimal: "." or data.decimal: ","',
            [({"decimal": ","}, "1.234"), ({"decimal": "."}, "1234")],
        ),
        (
            "a;b\n1.234;x\n2.345;y\n",
            'may be 1234 or 1.234; set data.decimal: "," or data.decimal: "."',
            [({"decimal": ","}, "1234"), ({"decimal": "."}, "1.234")],
        ),
        (
            "a,b\n03/04/2024,x\n",
            'set data.date_formats: ["%d/%m/%Y"] or data.date_formats: ["%m/%d/%Y"]',
            [
                ({"date_formats": ("%d/%m/%Y",)}, "2024-04-03"),
                ({"date_formats": ("%m/%d/%Y",)}, "2024-03-04"),
            ],
        ),
        (
            "a,b\n13/01/2024,x\n01/13/2024,y\n",
            'set data.date_formats: ["%d/%m/%Y", "%m/%d/%Y"]',
            [({"date_formats": ("%d/%m/%Y", "%m/%d/%Y")}, "2024-01-13")],
        ),
    ],
)
def test_a_cell_of_two_readings_is_refused_with_repairs_that_work(
    text: str, message: str, settings: list[tuple[dict[str, object], str]]
) -> None:
    table = read(text)
    assert [*table.column("b")]  # a column that is not asked for does not matter
    with pytest.raises(DataError, match=r"f\.csv, line 2: column 'a' has") as caught:
        table.column("a")
    assert message in str(caught.value)
    for setting, cell in settings:
        assert read(text, said(**setting)).column("a")[0] == cell


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("5,7,2\n3,1,2\n", [({"header": True}, 1), ({"header": False}, 2)]),
        ("a;b,c\nu;v,x\n", [({"separator": ","}, 2), ({"separator": ";"}, 2)]),
    ],
)
def test_a_first_line_of_two_readings_is_refused_with_repairs_that_work(
    text: str, settings: list[tuple[dict[str, object], int]]
) -> None:
    with pytest.raises(DataError, match="may be") as caught:
        read(text)
    for setting, count in settings:
        ((key, value),) = setting.items()
        assert TextFormat().setting(key, value) in str(caught.value)
        table = read(text, said(**setting))
        assert (len(table), table.frame.width)[key == "separator"] == count


def test_a_later_cell_that_breaks_what_was_recognised_is_refused_and_never_misread() -> None:
    text = "a;b\n" + "".join(f"{row},25;{row},5\n" for row in range(300)) + "7.125;1.5\n"
    table = read(text, head_bytes=1000)
    for name, cell, setting in (("a", "7.125", "thousands"), ("b", "1.5", "decimal")):
        with pytest.raises(DataError, match=f"line 302: column '{name}' has '{cell}'") as caught:
            table.column(name)
        assert f'correct it, or set data.{setting}: "."' in str(caught.value)
    grouped = read(text, said(thousands="."), head_bytes=1000)
    assert [*grouped.column("a")][-2:] == ["299.25", "7125"]


def test_a_later_date_of_two_readings_is_refused_unless_both_are_one() -> None:
    text = "a,y\n" + "01/01/2024,1\n" * 200
    assert read(text + "02/02/2024,1\n", head_bytes=500).column("a")[200] == "2024-02-02"
    with pytest.raises(DataError, match="line 202: column 'a' has '02/03/2024', which may be"):
        read(text + "02/03/2024,1\n", head_bytes=500).column("a")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1252", "straße;wert\nMünchen;5 €\n"),
        ("utf-16", "straße;wert\nMünchen;5 €\n"),
        ("utf-16-le", "strasse;wert\nMünchen;5\n"),
        ("utf-16-be", "strasse;wert\nMünchen;5\n"),
        ("utf-32", "straße;wert\nMünchen;5 €\n"),
    ],
)
def test_encodings_are_recognised_and_said(encoding: str, text: str) -> None:
    table = read(text.encode(encoding))
    assert [table.frame.columns, *map(list, table.frame.rows())] == [
        line.split(";") for line in text.splitlines()
    ]
    assert f"{encoding} text (data.encoding)" in str(note(table))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1251", "имя;b\nпривет;2\n"),
        ("mac-roman", "straße;b\nMünchen;2\n"),
        ("cp850", "straße;b\nMünchen;2\n"),
        ("windows-1250", "b;miasto\n1;Białystok\n"),
    ],
)
def test_text_that_is_not_plainly_western_is_refused_with_the_key_that_reads_it(
    encoding: str, text: str
) -> None:
    with pytest.raises(DataError, match="not UTF-8 text, and in windows-1252 it is") as caught:
        read(text.encode(encoding))
    assert f'data.encoding: "{encoding}"' in str(caught.value)
    table = read(text.encode(encoding), said(encoding=encoding))
    assert [table.frame.columns, *map(list, table.frame.rows())] == [
        line.split(";") for line in text.splitlines()
    ]


def test_a_file_that_is_no_text_is_refused_as_such() -> None:
    with pytest.raises(DataError, match=r"f\.csv: not a text file"):
        read(b"\x89\x01\x02\x03,\xff\n")


def test_a_later_byte_of_another_encoding_is_refused_with_its_line() -> None:
    text = b"a;b\n" + b"x;1\n" * 500 + "ü;2\n".encode("cp1252")
    with pytest.raises(DataError, match="line 502: not UTF-8 text") as caught:
        read(text, head_bytes=1000)
    assert 'data.encoding: "windows-1252"' in str(caught.value)
    assert read(text, said(encoding="windows-1252")).frame["a"][-1] == "ü"


def test_bytes_that_the_encoding_has_not_are_refused_with_their_line() -> None:
    with pytest.raises(DataError, match="line 3: not windows-1252 text"):
        read(b"a;b\n\xfc;1\n\x81;2\n", said(encoding="windows-1252"))


@pytest.mark.parametrize(
    ("text", "names", "unnamed"),
    [
        (",a\n0,x\n1,y\n", ["column_1", "a"], ("column_1",)),
        ('"","a"\n"1","x"\n', ["column_1", "a"], ("column_1",)),
        ("a,b,\n1,2,\n", ["a", "b", "column_3"], ("column_3",)),
        ("a,b\n1,2,\n3,4,\n", ["a", "b", "column_3"], ("column_3",)),
        ('"a","b"\n"1",3,x\n"2",5,y\n', ["column_1", "a", "b"], ("column_1",)),
        (",column_1,\n1,2,3\n", ["column_1_", "column_1", "column_3"], ("column_1_", "column_3")),
    ],
)
def test_columns_without_a_name_are_named_by_their_place(
    text: str, names: list[str], unnamed: tuple[str, ...]
) -> None:
    table = read(text)
    assert (table.frame.columns, table.unnamed) == (names, unnamed)


def test_names_are_given_to_a_file_without_a_header_line() -> None:
    table = read("39.1,a\n2,b\n", said(names=("size", "kind")))
    assert table.frame.columns == ["size", "kind"]
    assert [*table.numbers] == [1, 2]
    with pytest.raises(DataError, match=r"data\.names has 3 names, and the first line 2 cells"):
        read("39.1,a\n2,b\n", said(names=("size", "kind", "more")))
    with pytest.raises(DataError, match=r"looks like names, and data\.names is for files without"):
        read("size,kind\n2,b\n", said(names=("size", "kind")))


def test_quotes_that_are_text_are_read_where_that_is_said() -> None:
    text = 'a,b\n5" pipe,1\n7",2\n'
    with pytest.raises(DataError, match="cells contain single quotation marks") as caught:
        read(text)
    assert 'data.quote: "none"' in str(caught.value)
    assert [*read(text, said(quote="")).frame["a"]] == ['5" pipe', '7"']


def test_lines_of_an_old_mac_are_read() -> None:
    assert read("a,b\r1,2\r3,4\r").frame.rows() == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize("block_bytes", [1, 10, 40, 10**6])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_is_recognised_does_not_depend_on_the_size_of_blocks(
    block_bytes: int, newline: str
) -> None:
    lines = ["a;b;c", "5;01.02.2024;x", "7;02.02.2024;y", "1.234,5;31.01.2024;z", ""]
    content = io.BytesIO(newline.join(lines).encode())
    tables = [*read_csv_blocks(content, "f.csv", MISSING, block_bytes=block_bytes)]
    rows = [row for table in tables for row in table.plainly().frame.rows()]
    assert rows == [
        ("5", "2024-02-01", "x"),
        ("7", "2024-02-02", "y"),
        ("1234.5", "2024-01-31", "z"),
    ]
    assert {note(table) for table in tables} == {note(tables[0])}


def test_labels_tell_how_numbers_are_written_where_numbers_alone_do_not() -> None:
    text = "a;y\n" + "1.234;1,5\n2.345;2,5\n"
    table = read(text, said(labels=frozenset({"y"}))).plainly()
    assert table.frame.rows() == [("1234", "1.5"), ("2345", "2.5")]
    text = text.replace("1,5", "low").replace("2,5", "high")
    assert "a" in read(text, said(labels=frozenset({"y"}))).plainly().misread


def test_labels_are_no_evidence_and_stay_as_they_are() -> None:
    table = read('a,b\n"1,5",03/04/2024\n', said(labels=frozenset({"a", "b"})))
    assert table.frame.rows() == [("1,5", "03/04/2024")]


def test_a_missing_value_stays_as_it_is_written() -> None:
    form = TextFormat(missing_values=("31.12.1899", "-999,0"))
    table = read("a;b\n31.12.1899;-999,0\n30.12.2020;1,5\n", form)
    assert table.frame.rows() == [("31.12.1899", "-999,0"), ("2020-12-30", "1.5")]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "above", ["Sales report 2024\n", "# by hand\n\n", '"Sales\n2024"\n', "sep=;\nSales\n"]
)
def test_a_title_above_the_names_is_refused_with_their_line(above: str, separator: str) -> None:
    lines = [separator.join(cells) for cells in (["a", "b", "c"], ["1", "x", "2"], ["3", "y", "4"])]
    table = "\n".join(lines) + "\n"
    line = 1 + above.count("\n")
    with pytest.raises(DataError) as caught:
        read(above + table)
    first = 1 + above.startswith("sep=")
    assert f"f.csv, line {first}: one cell, " in str(caught.value)
    assert f"where line {line} and those after it have 3; if line {line} has" in str(caught.value)
    assert read(table).frame.columns == ["a", "b", "c"]  # as it says


@pytest.mark.parametrize("cell", ["1,234,567", "Paris, FR", "a"])
def test_a_single_column_has_no_title(cell: str) -> None:
    assert read(f"city\n{cell}\n{cell}\n{cell}\n").frame.columns == ["city"]
