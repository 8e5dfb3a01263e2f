"""What messages about files say to do leads on."""

import bz2
import lzma
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from dlcli.errors import DataError
from dlcli.tables import reading
from dlcli.tables.sources import Selection, find_source
from dlcli.tables.table import Table

TEXT = "x,y\n1,a\n2,b\n"


def read(path: str, query: str | None = None) -> Table:
    return reading.read_table(find_source(path, selection=Selection(query)))


def refusal(path: str, query: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read(path, query)
    return str(caught.value)


@pytest.mark.parametrize("other", ["README.md", "more/3.csv"])
def test_a_pattern_names_the_parts_among_other_files(other: str) -> None:
    for name in ("parts/1.csv", "parts/2.csv", f"parts/{other}"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(TEXT)
    pattern = re.search(r"as in (\S+)", refusal("parts"))
    assert pattern is not None
    assert len(read(pattern[1])) == (2 if other.startswith("more") else 4)


@pytest.mark.parametrize(("compress", "suffix"), [(bz2.compress, "bz2"), (lzma.compress, "xz")])
def test_the_command_that_decompresses_does(
    compress: Callable[[bytes], bytes], suffix: str
) -> None:
    Path(f"t.csv.{suffix}").write_bytes(compress(TEXT.encode()))
    command = refusal(f"t.csv.{suffix}").partition("decompress it: ")[2].split()
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} isn't installed here")
    subprocess.run(command, check=True)
    assert len(read("t.csv")) == 2


def test_a_late_key_that_the_first_object_has_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 32)
    lines = [f'{{"x": {row}}}' for row in range(20)] + ['{"x": 20, "late": "a"}']
    Path("t.jsonl").write_text("\n".join(lines))
    assert "line 21: has the key 'late'" in (said := refusal("t.jsonl"))
    assert said.endswith("give it to the first object too, as null")
    Path("t.jsonl").write_text("\n".join(['{"x": 0, "late": null}', *lines[1:]]))
    assert read("t.jsonl").frame["late"].to_list() == [None] * 20 + ["a"]


def test_a_column_that_a_folder_has_is_left_out_of_the_file() -> None:
    for year in (2023, 2024):
        folder = Path(f"sales/year={year}")
        folder.mkdir(parents=True)
        pl.DataFrame({"x": [1, 2], "year": [year, 2024]}).write_parquet(folder / "0.parquet")
    said = refusal("sales")
    assert "row 2: column 'year' has 2024, but the folder is named year=2023; leave" in said
    for file in Path("sales").rglob("*.parquet"):
        pl.read_parquet(file).drop("year").write_parquet(file)
    assert read("sales").frame["year"].to_list() == ["2023"] * 2 + ["2024"] * 2


@pytest.mark.parametrize(
    ("query", "said", "repaired"),
    [
        ("SELECT x, x FROM t", "rename one with AS", "SELECT x, x AS z FROM t"),
        ("SELECT y FROM t", "CAST it in the query", "SELECT CAST(y AS TEXT) AS y FROM t"),
        ("CREATE TABLE u (a)", "the query can't be answered", "SELECT x FROM t"),
        ("PRAGMA user_version = 3", "the query can't be answered", "SELECT x FROM t"),
    ],
)
def test_a_repaired_query_is_answered(query: str, said: str, repaired: str) -> None:
    with closing(sqlite3.connect("t.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE t (x, y)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, b"a"), (2, "b")])
    assert said in refusal("t.sqlite", query)
    assert len(read("t.sqlite", repaired)) == 2


def test_numbers_beside_text_in_other_files_are_written_alike() -> None:
    Path("parts").mkdir()
    pl.DataFrame({"x": [1, 2]}).write_parquet("parts/1.parquet")
    pl.DataFrame({"x": ["1", "b"]}).write_parquet("parts/2.parquet")
    assert "column 'x' is of type String, but Int64 in parts/1.parquet" in refusal("parts")
    pl.DataFrame({"x": ["1", "2"]}).write_parquet("parts/1.parquet")
    assert read("parts").frame["x"].to_list() == ["1", "2", "1", "b"]
