"""The benchmark of tables: what it reads, how it splits, and what it makes of results."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
import pytest

from benchmarks import tables
from benchmarks.table_files import BenchmarkTable, listed_tables, timed_table
from benchmarks.table_results import Result, read_ledger
from benchmarks.tables_page import page_lines


@pytest.fixture
def listed() -> list[BenchmarkTable]:
    rows = [f" {index},{'?' if index % 7 else 'b'},c{index % 2}" for index in range(40)]
    Path("a.csv").write_text("\n".join([*rows, "7,b,rare"]), "utf-8")
    Path("n.csv").write_text(
        "\n".join(["x,id,y", *(f"{n},{n},{n * n}" for n in range(30))]), "utf-8"
    )
    Path("tables.yaml").write_text(
        "- {file: a.csv, target: 3, header: false}\n"
        "- {file: [n.csv, n.csv], target: y, drop: [id], role: choose, name: twice}\n",
        "utf-8",
    )
    return [*listed_tables(Path())]  # where all tests run: a folder of their own


def test_tables_are_read_as_their_list_says(listed: list[BenchmarkTable]) -> None:
    classes, numbers = listed
    assert (classes.name, classes.task, classes.role) == ("a", "classes", "judge")
    assert len(classes.frame) == 40  # without the class of a single row
    assert classes.categorical == ["column_2"]
    assert classes.frame["column_2"].null_count() == 34
    assert classes.frame.schema["column_1"] == pl.Float64
    assert set(classes.frame[classes.target]) == {"class c0", "class c1"}
    assert (numbers.name, numbers.task, numbers.role) == ("twice", "numbers", "choose")
    assert numbers.frame.columns == ["x", "y"]
    assert len(numbers.frame) == 60


def test_splits_are_the_same_for_every_program_and_others_for_choosing(
    listed: list[BenchmarkTable],
) -> None:
    table = listed[0]
    train, test = table.split(3)
    assert (len(train), len(test)) == (32, 8)
    assert test[table.target].value_counts()["count"].to_list() == [4, 4]
    assert table.split(3)[1].equals(test)
    assert not table.split(4)[1].equals(test)
    assert not replace(table, role="choose").split(3)[1].equals(test)
    assert train.vstack(test).sort("column_1").equals(table.frame.sort("column_1"))


def test_errors_are_log_loss_and_rmse(listed: list[BenchmarkTable]) -> None:
    classes, numbers = listed
    test = pl.DataFrame({classes.target: ["class c0", "class c1"]})
    predicted = pl.DataFrame({"class c0": [0.5, 1.0]})
    assert tables.score(classes, test, predicted) == pytest.approx((0.693147 + 16.118096) / 2)
    found = pl.DataFrame({"prediction": [1.0, 6.0]})
    assert tables.score(numbers, pl.DataFrame({"y": [1.0, 2.0]}), found) == pytest.approx(8**0.5)


def result(table: str, program: str, error: float | None, split: int = 0) -> Result:
    about = (table, f"digest {table}", "classes", "judge", 100)
    return Result(*about, split, program, "1", error, seconds=2.0)


def test_the_page_has_ratios_of_means_and_says_what_is_missed() -> None:
    programs = ["dlcli standard", "hgb", "realmlp"]
    results = [
        *(result("a", name, error) for name, error in zip(programs, (0.4, 0.5, 0.5), strict=True)),
        *(result("b", name, error) for name, error in zip(programs, (0.6, 0.5, None), strict=True)),
        replace(result("c", "hgb", 0.1), role="choose"),
        replace(result("made", "dlcli standard", 0.1), role="time"),
    ]
    lines, are_met = page_lines(results, programs, 1, "here")
    page = "\n".join(lines)
    assert not are_met
    pair = "| dlcli, standard / HistGradientBoosting |"
    assert f"{pair} at least as good | ≥ 65% | 50% | missed |" in page
    pair_of_networks = "| dlcli, standard / RealMLP-TD for log-loss |"
    assert f"{pair_of_networks} mean of the ratios | ≤ 0.97 | 0.800 | met |" in page
    timed = "| dlcli, standard, 10,000 made rows × 20, split 0 |"
    assert f"{timed} seconds | ≤ 60 | 2 | met |" in page
    assert f"{pair} 2 | 1 | 1.000 | 1.000 | 1.200 |" in page
    assert "| a | 100 | log-loss | **0.4** | 0.5 | 0.5 |" in page
    assert "were chosen on c," in page
    # Of a table whose splits are not all done, there is no mean.
    assert "| a | 100 | log-loss | – | – | – |" in "\n".join(
        page_lines(results, programs, 2, "")[0]
    )


def test_a_measurement_goes_on_from_its_ledger(
    listed: list[BenchmarkTable],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    version = tables.versions(Path(sys.executable), ["hgb"])["hgb"]
    done = replace(result("a", "hgb", 0.25), digest=listed[0].digest, version=version)
    older = replace(done, version="scikit-learn 0.1", error=9.0)
    lines = [json.dumps(asdict(one)) for one in (older, done)]
    Path("ledger.jsonl").write_text("\n".join([*lines, lines[0][:50]]), "utf-8")
    words = ["tables", "--tables", ".", "--without-packaged", "--programs", "hgb", "--splits", "1"]
    words += ["--peers", sys.executable, "--ledger", "ledger.jsonl", "--report", "--cores", "1"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        tables.main()
    assert ended.value.code == 0
    assert "| a | 100 | log-loss | **0.25** |" in capsys.readouterr().out


def test_programs_that_are_one_for_numbers_are_measured_once(
    listed: list[BenchmarkTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("realmlp", "realmlp defaults"):
        monkeypatch.setitem(tables.PACKAGES, name, "scikit-learn")
    version = tables.versions(Path(sys.executable), ["realmlp"])["realmlp"]
    numbers = listed[1]
    about = (numbers.name, numbers.digest, "numbers", "judge", len(numbers.frame))
    done = Result(*about, 0, "realmlp", version, 0.25, 2.0)
    Path("ledger.jsonl").write_text(json.dumps(asdict(done)) + "\n", "utf-8")
    words = ["tables", "--tables", ".", "--without-packaged", "--only", "twice", "--splits", "1"]
    words += ["--programs", "realmlp,realmlp defaults", "--cores", "1"]
    words += ["--peers", sys.executable, "--ledger", "ledger.jsonl"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        tables.main()
    assert [one.error for one in read_ledger(Path("ledger.jsonl"))] == [0.25, 0.25]


def test_the_table_that_is_timed_trains_on_10000_rows_of_20_columns() -> None:
    train, test = timed_table().split(0)
    assert train.drop("y").shape == (10_000, 20)
    assert test.drop("y").shape == (2_500, 20)
