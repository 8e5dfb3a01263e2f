"""What a path names: files, lists, patterns, folders of parts, compressed ones."""

import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import polars as pl
import pytest
from backports import zstd

from dlcli.config import LoadedConfig
from dlcli.data import memory_estimate
from dlcli.data.dataset import load_dataset
from dlcli.errors import DataError
from dlcli.tables.reading import checksum, read_table
from dlcli.tables.sources import find_source
from dlcli.tables.table import Table
from tests.conftest import Command

FRAME = pl.DataFrame({"x": [1.5, 2.5, None, 4.0], "y": ["a", "b", "b", "a"]})


def read(*words: str) -> Table:
    return read_table(find_source(words[0] if len(words) == 1 else words))


def refusal(*words: str) -> str:
    with pytest.raises(DataError) as caught:
        read(*words)
    return str(caught.value)


@pytest.fixture
def parts() -> Path:
    """Three parts of a table, the second one without rows."""
    folder = Path("parts")
    folder.mkdir()
    (folder / "1.csv").write_text("x,y\n1.5,a\n2.5,b\n")
    (folder / "2.csv").write_text("x,y\n")
    (folder / "3.csv").write_text("y,x\nb,\na,4.0\n")
    return folder


@pytest.mark.parametrize("words", [["parts"], ["parts/*.csv"], ["parts/1.csv", "parts/[23].csv"]])
def test_rows_of_several_files_are_one_table_and_keep_their_places(
    words: list[str], parts: Path
) -> None:
    (parts / "_SUCCESS").touch()
    (parts / ".1.csv.crc").write_bytes(b"crc")
    table = read(*words)
    assert table.frame.rows() == [("1.5", "a"), ("2.5", "b"), ("", "b"), ("4.0", "a")]
    places = [table.place(row) for row in range(4)]
    assert places == [f"parts/{place}" for place in PLACES]
    assert table.take(pl.Series([3, 0]).to_numpy()).place(0) == "parts/3.csv, line 3"


PLACES = ["1.csv, line 2", "1.csv, line 3", "3.csv, line 2", "3.csv, line 3"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_columns_of_typed_files_become_types_that_hold_all_their_cells(suffix: str) -> None:
    write = pl.DataFrame.write_parquet if suffix == "parquet" else pl.DataFrame.write_ipc
    write(pl.DataFrame({"x": [1, 2], "y": [None, None]}), f"1.{suffix}")
    write(FRAME, f"2.{suffix}")
    table = read(f"*.{suffix}")
    assert table.frame["x"].to_list() == [1.0, 2.0, *FRAME["x"]]
    assert table.frame["y"].to_list() == [None, None, *FRAME["y"]]
    write(FRAME.with_columns(x=pl.lit("1")), f"3.{suffix}")
    assert "3." in (said := refusal(f"*.{suffix}"))
    assert f"column 'x' is of type String, but Float64 in 2.{suffix}" in said


def test_numbers_that_would_change_among_fractions_are_refused() -> None:
    pl.DataFrame({"x": [1, 2**53 + 1]}).write_parquet("1.parquet")
    pl.DataFrame({"x": [0.5]}).write_parquet("2.parquet")
    assert "1.parquet, row 2: column 'x' has 9007199254740993, which" in refusal("*.parquet")


def test_names_of_folders_are_columns() -> None:
    for year, country in [("2023", "a%2Fb"), ("2024", "__HIVE_DEFAULT_PARTITION__")]:
        folder = Path(f"sales/year={year}/la\u0308nder={country}")
        folder.mkdir(parents=True)
        FRAME.head(1).write_parquet(folder / "part-0.parquet")
    expected = [(1.5, "a", "2023", "a/b"), (1.5, "a", "2024", None)]
    for path in ("sales", "sales/*/*/*.parquet", "sales/year=202?/*/*"):
        table = read(path)
        assert table.frame.columns == ["x", "y", "year", "länder"]
        assert table.frame.rows() == expected
    assert read("sales/year=2023/la\u0308nder=a%2Fb").frame.columns == ["x", "y"]
    Path("sales/year=2024/more.parquet").write_bytes(b"")
    assert "lie in folders with different columns in their names" in refusal("sales")


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.txt.zst", "t"])
def test_compressed_text_is_recognised_whatever_its_name(
    name: str, compress: Callable[[bytes], bytes]
) -> None:
    text = FRAME.write_csv().encode()
    Path(name).write_bytes(compress(text[:10]) + compress(text[10:]))
    assert read(name).frame.rows()[1] == ("2.5", "b")


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
def test_compressed_files_that_are_cut_off_are_refused(compress: Callable[[bytes], bytes]) -> None:
    whole = compress("".join(f"{row},{row**3}\n" for row in range(9999)).encode())
    Path("t.csv.gz").write_bytes(whole[: len(whole) // 2])
    assert "t.csv.gz: damaged" in (said := refusal("t.csv.gz"))
    assert "cut off before its end; copy or download it anew" in said


def test_a_file_that_is_compressed_twice_and_an_empty_one_are_refused() -> None:
    Path("t.csv").write_bytes(gzip.compress(zstd.compress(b"x,y\n1,2\n")))
    assert refusal("t.csv") == "t.csv: compressed twice; decompress it once"
    Path("t.parquet").touch()
    assert refusal("t.parquet") == "t.parquet: the file is empty"


def test_a_zip_archive_is_told_from_a_workbook_by_whoever_has_no_reader_of_excel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with ZipFile("t.zip", "w") as archive:
        archive.writestr("t.csv", "x,y\n1,2\n")
    assert refusal("t.zip") == "t.zip: a zip archive; unpack it, and name a file that was in it"


def test_a_missing_column_is_told_with_how_many_others_there_are() -> None:
    Path("t.csv").write_text(f"{','.join(f'c{n}' for n in range(26))}\n{'1,' * 25}1\n")
    with pytest.raises(DataError, match=r"its columns: c0, .*, c19 and 6 more$"):
        read("t.csv").column("price")


def test_any_form_may_be_compressed() -> None:
    written = io.BytesIO()
    FRAME.write_parquet(written)
    Path("t.parquet.gz").write_bytes(gzip.compress(written.getvalue()))
    assert read("t.parquet.gz").frame.equals(FRAME)


def test_json_lines_are_cells_of_text() -> None:
    Path("t.jsonl").write_text(
        '{"x": 1.50, "y": "a", "z": true}\n\n{"y": "b\\n", "x": null}\n'
        '{"x": 1e-7, "y": [1, 2.50, {"ü": ["1", null, true]}]}\n{"x": 10E4, "y": "10E4"}'
    )
    table = read("t.jsonl")
    assert table.frame.rows() == [
        ("1.50", "a", "true"),
        (None, "b\n", None),
        ("1e-07", '[1, 2.50, {"ü": ["1", null, true]}]', None),
        ("100000.0", "10E4", None),  # a number, and text that may be a code
    ]
    assert table.numbers.tolist() == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"x": 1}\n{"x": 1', "t.jsonl, line 2: not a JSON object"),
        ('{"x": 1}\n[1]', "t.jsonl, line 2: not a JSON object; each row must be an object on"),
        ("x,y\n1,2", "t.jsonl, line 1: not a JSON object: Expecting value; each line must"),
        ('{"x": 1, "x": 2}', "t.jsonl, line 1: not a JSON object: the key 'x' stands there twice"),
        ('{"x": "\\u0000"}\n\xff', "t.jsonl, line 2: not"),
        ("\n\n", "t.jsonl: the file is empty"),
    ],
)
def test_lines_that_are_no_objects_are_refused(text: str, said: str) -> None:
    Path("t.jsonl").write_bytes(text.encode("latin-1"))
    assert said in refusal("t.jsonl")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("*.parquet", "*.parquet: no file matches this pattern; . has 1.csv, mixed, other"),
        ("nowhere/*.csv", "nowhere/*.csv: no file matches this pattern: there is no folder"),
        ("mixed", "mixed: files of several forms: mixed/1.csv is a CSV file, mixed/2.jsonl is"),
        ("other", "other/2.csv: not the columns of other/1.csv: it lacks 'y' and also has 'z'"),
        ("https://example.org/t.csv", "an address on the web (https), which dlcli doesn't read"),
        ("s3://bucket/t.csv", "an address on the web (s3)"),
        ("mongodb://host/t", "an address (mongodb), which dlcli doesn't read; download it, and"),
        ("file:///t.csv", "file:///t.csv: an address; name the file by its path"),
        (" ", "an empty path names no file; name one, or a folder of parts"),
        ("a\0b", r"'a\x00b': there is no such file"),
        ("t.json", "t.json: JSON is read as JSON Lines"),
        ("t.ods", "t.ods: not a table by its name; what is read: .csv .tsv"),
        ("renamed.parquet", "renamed.parquet: not a Parquet file, whatever its name says"),
    ],
)
def test_what_is_wrong_with_a_path_is_said(path: str, said: str) -> None:
    for name, text in [
        ("1.csv", "x,y\n1,a\n"),
        ("mixed/1.csv", "x,y\n1,a\n"),
        ("mixed/2.jsonl", '{"x": 1, "y": 2}'),
        ("other/1.csv", "x,y\n1,a\n"),
        ("other/2.csv", "x,z\n1,a\n"),
        *[(name, "x,y\n1,2\n") for name in (path,) if path.startswith(("t.", "renamed"))],
    ]:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    assert said in refusal(path)


def test_the_checksum_covers_all_parts(parts: Path) -> None:
    one = checksum(find_source("parts/1.csv"))
    assert checksum(find_source("parts/1*.csv")) == one
    before = checksum(find_source("parts"))
    assert checksum(find_source("parts/*.csv")) == before
    (parts / "2.csv").write_text("x,y\n7,a\n")
    assert checksum(find_source("parts")) != before
    (parts / "2.csv").unlink()
    assert checksum(find_source("parts")) != before


def test_standard_input_is_recognised_by_its_first_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    FRAME.write_ipc(written)
    for sent in (written.getvalue(), gzip.compress(FRAME.write_ndjson().encode())):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent)))
        assert read("-").frame["y"].to_list() == FRAME["y"].to_list()


MEASURE = """
import resource, sys
from pathlib import Path
from zipfile import ZipFile
from dlcli.tables import reading
from dlcli.tables.sources import Source
reading.BLOCK_BYTES, reading.BLOCK_ROWS = 2**20, 2**14
for name in sys.argv[1:]:
    print(sum(len(block) for block in reading.read_blocks(Source.of(Path(name)))))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_the_memory_of_reading_blocks_does_not_grow_with_the_file() -> None:
    names = []
    for size, num_rows in (("small", 20_000), ("large", 600_000)):
        rows = pl.select(x=pl.int_range(num_rows) / 7, y=pl.int_range(num_rows) % 10)
        text = rows.write_csv().encode()
        Path(f"{size}.csv.gz").write_bytes(gzip.compress(text, 1))
        Path(f"{size}.csv.zst").write_bytes(zstd.compress(text))
        rows.write_ipc(f"{size}.arrow", record_batch_size=2**14)
        rows.head(num_rows // 4).write_ndjson(f"{size}.jsonl")
        names.append([f"{size}.{form}" for form in ("csv.gz", "csv.zst", "arrow", "jsonl")])
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, *names[0], *names[1]],
        capture_output=True,
        text=True,
        check=True,
    )
    counts, peaks = ([int(line) for line in measured.stdout.split()[start::2]] for start in (0, 1))
    assert counts == [20_000] * 3 + [5_000] + [600_000] * 3 + [150_000]
    # In kilobytes. The text of the large files is 15 MB each.
    assert peaks[-1] - peaks[3] < 9_000


@pytest.mark.parametrize(
    ("path", "is_streamed"), [("parts", True), ("t.csv.gz", True), ("t.jsonl", True), ("1", False)]
)
def test_the_memory_that_files_would_take_is_estimated(
    path: str,
    is_streamed: bool,
    load: Callable[..., LoadedConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = pl.select(x=pl.int_range(4000) % 7, y=pl.int_range(4000) % 2)
    Path("parts").mkdir()
    for name in ("parts/1.csv", "parts/2.csv", "1"):
        rows.write_csv(name)
    Path("t.csv.gz").write_bytes(gzip.compress(2 * rows.write_csv(include_header=False).encode()))
    pl.concat([rows, rows]).write_ndjson("t.jsonl")
    monkeypatch.setattr(memory_estimate, "free_bytes", lambda: 1_000_000)
    names = ["x", "y"] if path.endswith("gz") else None
    header = {} if names is None else {"header": False, "names": names}
    loaded = load(path, "y", data=header)
    dataset = load_dataset(loaded)
    assert (dataset.stream is not None) == is_streamed
    assert dataset.num_rows["train"] == (8000 if is_streamed else 4000)


def test_standard_input_is_refused_for_training(load: Callable[..., LoadedConfig]) -> None:
    with pytest.raises(DataError, match=r"data\.path: standard input can be read only once"):
        load_dataset(load("-", "y"))


def test_a_file_that_is_named_twice_is_refused(parts: Path) -> None:
    said = refusal("parts/1.csv", f"../{Path.cwd().name}/{parts}/1.csv")
    assert "parts/1.csv: listed twice, so its rows would count twice" in said


def test_init_drafts_the_same_config_for_the_same_rows_in_any_files(dlcli: Command) -> None:
    frame = pl.select(x=pl.int_range(60) * 7 % 60 / 4, y=pl.int_range(60) % 2)
    frame.write_csv("t.csv")
    frame.write_csv("t.tsv", separator="\t")
    for name, compress in (("t.csv.gz", gzip.compress), ("renamed.csv", zstd.compress)):
        Path(name).write_bytes(compress(frame.write_csv().encode()))
    Path("parts").mkdir()
    frame[:30].write_csv("parts/1.csv")
    frame[30:].write_csv("parts/2.csv")
    drafts = set()
    for path in ("t.csv", "t.tsv", "t.csv.gz", "renamed.csv", "parts", "parts/*.csv"):
        drafted = dlcli("init", "--effort", "quick", path, "--target", "y")
        assert drafted.code == 0, drafted.err
        assert "from 1 column of 60 rows" in drafted.out
        drafts.add(drafted.out.replace(path, "PATH"))
    assert len(drafts - {draft for draft in drafts if "separator" in draft}) == 1


def test_parts_may_be_written_in_different_ways_which_is_said(dlcli: Command) -> None:
    Path("parts").mkdir()
    rows = [(row / 4, "yes" if row % 8 > 3 else "no") for row in range(60)]
    lines = [f"{x},{y}" for x, y in rows]
    Path("parts/1.csv").write_text("\n".join(["x,y", *lines]))
    lines = [f"{y};{x}".replace(".", ",") for x, y in rows]
    Path("parts/2.csv").write_text("\n".join(["y;x", *lines]), encoding="utf-16")
    drafted = dlcli("init", "--effort", "quick", "parts", "--target", "y", "-o", "c.yaml")
    assert "parts/2.csv: " in drafted.err, drafted.err
    assert dlcli("train", "c.yaml", "--run-dir", "run", "--set", "training.epochs=1").code == 0
    predicted = dlcli("predict", "run", "parts/1.csv", "parts/2.csv", "-o", "out.csv")
    assert "parts/2.csv: " in predicted.err, predicted.err
    written = pl.read_csv("out.csv", schema_overrides={"x": pl.String})
    assert written["x"][60:64].to_list() == ["0,0", "0,25", "0,5", "0,75"]
    assert written["probability_yes"][:60].equals(written["probability_yes"][60:])
