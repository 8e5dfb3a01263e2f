"""The same table gives the same fitted state and the same predictions, whatever file it is in.

A form of file is a function in WRITERS: it writes a frame into a folder and returns the keys of a
config's `data` that name it. DLCLI_FORM_EXAMPLES sets how many tables are tried.
"""

import gzip
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xlsxwriter
import yaml
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlcli.cli.app import run as run_dlcli
from dlcli.config import LoadedConfig, load_config
from dlcli.data.dataset import load_dataset
from dlcli.errors import DlcliError
from dlcli.runs.predict import Predictor, predict, untrained_predictor
from dlcli.runs.preparation import prepare
from dlcli.tables.sources import Selection, find_source

NUM_EXAMPLES = int(os.environ.get("DLCLI_FORM_EXAMPLES", "5"))
Writer = Callable[[pl.DataFrame, Path], dict[str, Any]]


def write_csv(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    frame.write_csv(folder / "t.csv")
    return {"path": "t.csv"}


def write_european_csv(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    frame.write_csv(
        folder / "e.csv",
        separator=";",
        decimal_comma=True,
        quote_style="always",
        datetime_format="%Y-%m-%d %H:%M:%S",
    )
    return {"path": "e.csv"}


def write_tsv(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    frame.write_csv(folder / "t.tsv", separator="\t", null_value="NA")
    return {"path": "t.tsv"}


def write_gzip(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    (folder / "t.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode()))
    return {"path": "t.csv.gz"}


def write_parquet(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    frame.write_parquet(folder / "t.parquet")
    return {"path": "t.parquet"}


def write_parts(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    (folder / "parts").mkdir()
    for number, rows in enumerate((frame[:9], frame[9:])):
        rows.write_parquet(folder / "parts" / f"{number}.parquet")
    return {"path": "parts"}


def write_arrow(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    frame.write_ipc(folder / "t.arrow")
    return {"path": "t.arrow"}


def write_json_lines(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    frame.write_ndjson(folder / "t.jsonl")
    return {"path": "t.jsonl"}


def write_zstd(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    (folder / "renamed.csv").write_bytes(zstd.compress(frame.write_csv().encode()))
    return {"path": "renamed.csv"}


def write_excel(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    """Write cells of their types, but for whole numbers that Excel, of floats alone, can't hold."""
    options = {"default_date_format": "yyyy-mm-dd hh:mm", "strings_to_numbers": False}
    with xlsxwriter.Workbook(folder / "t.xlsx", options) as workbook:
        sheet = workbook.add_worksheet("Rows")
        for column, cells in enumerate(frame):
            sheet.write_string(0, column, cells.name)
            for row, cell in enumerate(cells, 1):
                if isinstance(cell, str) or (isinstance(cell, int) and abs(cell) > 2**53):
                    sheet.write_string(row, column, str(cell))
                elif cell is not None:
                    sheet.write(row, column, cell)
    return {"path": "t.xlsx"}


def write_sqlite(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    """Write numbers and text: SQLite has no booleans and no dates."""
    has_no_type = (pl.Boolean, pl.Date, pl.Datetime)
    cells = frame.select(
        column.cast(pl.String) if column.dtype in has_no_type else column for column in frame
    )
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in frame.columns)
    marks = ", ".join("?" * frame.width)
    with closing(sqlite3.connect(folder / "t.sqlite")) as connection, connection:
        connection.execute(f"CREATE TABLE t ({names})")
        connection.executemany(f"INSERT INTO t VALUES ({marks})", cells.rows())
    return {"path": "t.sqlite", "query": "SELECT * FROM t ORDER BY rowid"}


WRITERS: dict[str, Writer] = {
    "csv": write_csv,
    "european csv": write_european_csv,
    "tsv": write_tsv,
    "gzip": write_gzip,
    "parquet": write_parquet,
    "parts": write_parts,
    "arrow": write_arrow,
    "json lines": write_json_lines,
    "zstd": write_zstd,
    "excel": write_excel,
    "sqlite": write_sqlite,
}

NUM_ROWS = 24
FOLDS = ["train"] * 18 + ["validation"] * 6
NAMES = ["x", " x2", "Gro\u0308ße", "a,b", 'say "a"', "42", "total €", "true", "x;y", "1.5 "]
WORDS = ["a", "B", "b c", "ü", "it's", 'a "b"', "x,y", "x;y", "NA", "nan", "1.50", "01201", "True"]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-5, 5),
    "long": st.sampled_from([2**53 + 1, 2**60, 2**60 + 1, -(2**40)]),
    "float": st.floats(-1e6, 1e6).map(lambda number: round(number, 6)),
    "wide float": st.sampled_from([1.0, 2.5, 1e20, 1e-7, 123456789.125, -0.0, 1e5]),
    "boolean": st.booleans(),
    "word": st.sampled_from(WORDS),
    "code": st.sampled_from(["01201", "1201", "02139", "90210"]),
    "power": st.sampled_from(["1E5", "10E4", "2E7", "3"]),
    "date": st.integers(0, 400).map(lambda day: date(2024, 1, 1) + timedelta(day)),
    "datetime": st.integers(0, 10**6).map(lambda n: datetime(2024, 1, 1) + timedelta(minutes=n)),
    "days": st.integers(0, 3).map(lambda day: datetime(2024, 1, 1) + timedelta(day)),
    "nothing": st.none(),
}
TYPES: dict[str, Any] = {"date": pl.Date, "datetime": pl.Datetime("us"), "days": pl.Datetime("us")}
TYPES |= {"integer": pl.Int32, "long": pl.Int64, "boolean": pl.Boolean}
TYPES |= {"float": pl.Float64, "wide float": pl.Float64}


@st.composite
def columns(draw: st.DrawFn, sort: str, *, may_miss: bool) -> pl.Series:
    """A column of a sort, with cells missing or without."""
    values = VALUES[sort]
    if may_miss and draw(st.booleans()):
        values = st.one_of(values, st.none())
    cells = draw(st.lists(values, min_size=NUM_ROWS, max_size=NUM_ROWS))
    return pl.Series(cells, dtype=TYPES.get(sort, pl.String))


@st.composite
def tables(draw: st.DrawFn) -> tuple[pl.DataFrame, dict[str, Any]]:
    """A frame of some sorts of columns, and what a config says about it."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    # Numbers with decimals: what a file shows of how it writes them.
    frame = {"steady": pl.Series([row + 0.5 for row in range(NUM_ROWS)])}
    kinds = {}
    for name in names:
        sort = draw(st.sampled_from(sorted(VALUES)))
        frame[name] = draw(columns(sort, may_miss=True))
        if sort != "nothing" and draw(st.integers(0, 3)) == 0:
            kinds[name] = "categorical"
    target = draw(st.sampled_from(["word", "integer", "float", "boolean", "code", "wide float"]))
    frame["y"] = draw(columns(target, may_miss=False))
    frame["fold"] = pl.Series(FOLDS)
    data: dict[str, Any] = {"target": "y", "kinds": kinds, "split": {"column": "fold"}}
    data["drop_missing_target"] = True  # NA is a word, too
    data["one_hot_max"] = draw(st.sampled_from([2, 10]))
    return pl.DataFrame(frame), data


def configure(folder: Path, data: dict[str, Any], name: str) -> LoadedConfig:
    config = {
        "data": data,
        "model": {"layers": [{"type": "dense", "units": 3}, {"type": "dense"}]},
        "training": {"epochs": 2},
        "report": False,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return load_config(path)


def outcome(loaded: LoadedConfig) -> tuple[Any, Predictor | None]:
    """Return all that is fitted and encoded, as bytes, and a predictor; or the error's type."""
    try:
        dataset = load_dataset(loaded)
        predictor = untrained_predictor(prepare(loaded, dataset))
    except DlcliError as error:
        return type(error).__name__, None
    encoded = {
        (part, name): values.tobytes()
        for part, examples in dataset.parts.items()
        for name, values in {**examples.inputs, **examples.targets}.items()
    }
    return (dataset.fitted.model_dump_json(), encoded, dataset.task), predictor


def predictions(predictor: Predictor, data: dict[str, Any], folder: Path) -> list[Any]:
    """Return the columns of predictions, as bytes where they are numbers."""
    out = folder / "out.parquet"
    selection = Selection(data.get("query"))
    predict(predictor, find_source(data["path"], folder, selection), out)
    frame = pl.read_parquet(out)
    found = [name for name in frame.columns if name.startswith(("prediction", "probability_"))]
    return [
        (name, cells.to_list() if cells.dtype == pl.String else cells.to_numpy().tobytes())
        for name, cells in zip(found, frame.select(found), strict=True)
    ]


@given(drawn=tables())
@settings(
    max_examples=NUM_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_same_table_is_fitted_and_predicted_alike_from_any_file(
    drawn: tuple[pl.DataFrame, dict[str, Any]],
) -> None:
    frame, said = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        named = {form: write(frame, folder) for form, write in WRITERS.items()}
        found = {
            form: outcome(configure(folder, {**said, **data}, form)) for form, data in named.items()
        }
        fitted, predictor = found["csv"]
        for form, (other, _) in found.items():
            assert other == fitted, form
        if predictor is None:
            return
        expected = predictions(predictor, named["csv"], folder)
        for form, data in named.items():
            assert predictions(predictor, data, folder) == expected, form


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "csv"])
def test_training_on_any_file_and_predicting_on_another_gives_the_same_bits(
    form: str, csv_run: tuple[pl.DataFrame, Path], tmp_path: Path
) -> None:
    frame, run = csv_run
    data = {**WRITERS[form](frame, tmp_path), **SAID}
    configure(tmp_path, data, "c")
    assert run_dlcli(["train", "c.yaml", "--run-dir", "run"]) == 0
    option = ["--set", f"data.query={data['query']}"] if "query" in data else []
    for other in (run, Path("run")):
        assert run_dlcli(["predict", str(other), data["path"], "-o", "out.parquet", *option]) == 0
        found = pl.read_parquet("out.parquet").select("prediction", "^probability_.*$")
        assert found.equals(pl.read_parquet(run.parent / "out.parquet").select(found.columns))
    assert run_dlcli(["predict", "run", str(run.parent / "t.csv"), "-o", "again.parquet"]) == 0
    assert pl.read_parquet("again.parquet").select(found.columns).equals(found)


SAID = {
    "target": "y",
    "split": {"column": "fold"},
    "kinds": {"store": "categorical", "day": "categorical"},
    "missing_values": ["", "NA", "-999"],
}


@pytest.fixture(scope="module")
def csv_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, Path]:
    """A table with cells of every kind, and a run on its CSV file with predictions."""
    folder, before = tmp_path_factory.mktemp("forms"), Path.cwd()
    rows = np.arange(NUM_ROWS)
    frame = pl.DataFrame(
        {
            " amount": [-999.0 if row % 5 == 0 else row / 4 for row in rows],
            "Gro\u0308ße": [None if row % 7 == 0 else float(row**2) for row in rows],
            "store": [None if row % 6 == 0 else float(row % 4) for row in rows],
            "open": [bool(row % 3) for row in rows],
            "day": [datetime(2024, 1, 1 + row % 3) for row in rows],
            "since": [datetime(2024, 1, 1) + timedelta(hours=int(row) * 31) for row in rows],
            "zip": [["01201", "1201", "90210"][row % 3] for row in rows],
            "y": [["a;b", "c,d"][row % 2] for row in rows],
            "fold": FOLDS,
        }
    )
    os.chdir(folder)
    configure(folder, {**write_csv(frame, folder), **SAID}, "c")
    assert run_dlcli(["train", "c.yaml", "--run-dir", "run"]) == 0
    assert run_dlcli(["predict", "run", "t.csv", "-o", "out.parquet"]) == 0
    os.chdir(before)
    return frame, folder / "run"
