"""`predict --bad-rows`: a cell that can't be what its column is doesn't hold back the others."""

import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dlcli.cli.app import run as run_dlcli
from tests.conftest import Command

HEADER = "a,day,ok,colour"
GOOD = "0.5,2024-03-01,true,red"
COLUMNS = ["prediction", "probability_no", "probability_yes"]
BAD = {
    "text": ("a", "-,2024-03-01,true,red", "is not a number"),
    "inf": ("a", "inf,2024-03-01,true,red", "is too large for float32"),
    "too large": ("a", "1e39,2024-03-01,true,red", "is too large for float32"),
    "too large once scaled": ("a", "3.4e38,2024-03-01,true,red", "is too large for float32"),
    "no date": ("day", "0.5,2024-02-30,true,red", "is not a date such as"),
    "no boolean": ("ok", "0.5,2024-03-01,maybe,red", "is not true or false"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    rows = [
        f"{number % 9 / 50},2024-0{1 + number % 9}-11,{['true', 'false'][number % 2]},"
        f"{['red', 'blue', 'green'][number % 3]},{['no', 'yes'][number % 9 > 4]}"
        for number in range(60)
    ]
    (folder / "t.csv").write_text("\n".join([f"{HEADER},y", *rows]))
    (folder / "c.yaml").write_text(
        "data: {path: t.csv, target: y}\nmodel: {layers: [{type: dense}]}\nreport: false\n"
        "training: {epochs: 2}\n"
    )
    before = Path.cwd()
    os.chdir(folder)
    assert run_dlcli(["train", "c.yaml", "--run-dir", "run"]) == 0
    os.chdir(before)
    return folder / "run"


def write(name: str, *rows: str) -> None:
    Path(name).write_text("\n".join([HEADER, *rows]) + "\n")


@pytest.mark.parametrize("case", BAD)
def test_a_bad_cell_is_refused_with_the_way_on(case: str, run: Path, dlcli: Command) -> None:
    _, bad, _ = BAD[case]
    write("new.csv", GOOD, bad, GOOD)
    outcome = dlcli("predict", run, "new.csv", "-o", "out.csv")
    assert outcome.code == 3
    assert "new.csv, line 3: " in outcome.err
    assert "predict with --bad-rows missing, " in outcome.err
    assert "or --bad-rows skip, which leaves the predictions of their rows empty" in outcome.err
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("case", BAD)
def test_a_bad_cell_can_count_as_missing(case: str, run: Path, dlcli: Command) -> None:
    column, bad, reason = BAD[case]
    write("new.csv", GOOD, bad, GOOD)
    outcome = dlcli("predict", run, "new.csv", "-o", "out.csv", "--bad-rows", "missing")
    assert outcome.code == 0, outcome.err
    assert f"column '{column}': 1 cell {reason}" in outcome.err
    assert ", treated as missing; first at new.csv, line 3\n" in outcome.err
    assert "3 rows predicted, to out.csv" in outcome.err
    index = HEADER.split(",").index(column)
    emptied = [cell if place != index else "" for place, cell in enumerate(bad.split(","))]
    write("emptied.csv", GOOD, ",".join(emptied), GOOD)
    assert dlcli("predict", run, "emptied.csv", "-o", "expected.csv").code == 0
    ours, theirs = (pl.read_csv(name, infer_schema=False) for name in ("out.csv", "expected.csv"))
    assert ours.select(COLUMNS).equals(theirs.select(COLUMNS))
    assert ",".join(ours.row(1)[:4]) == bad, "the file's own cells come back"


@pytest.mark.parametrize("case", BAD)
def test_the_row_of_a_bad_cell_can_be_left_without_a_prediction(
    case: str, run: Path, dlcli: Command
) -> None:
    column, bad, reason = BAD[case]
    rows = [f"{number / 50},2024-03-01,true,blue" for number in range(6)]
    write("new.csv", *rows[:2], bad, *rows[2:])
    outcome = dlcli("predict", run, "new.csv", "-o", "out.csv", "--bad-rows", "skip")
    assert outcome.code == 0, outcome.err
    assert f"column '{column}': 1 cell {reason}" in outcome.err
    assert ", prediction left empty; first at new.csv, line 4\n" in outcome.err
    assert "6 of 7 rows predicted, the others left empty, to out.csv" in outcome.err
    lines = Path("out.csv").read_text().splitlines()
    assert lines.pop(3) == f"{bad},,,"
    outcome = dlcli("predict", run, "new.csv", "-o", "all.csv", "--bad-rows", "missing")
    others = Path("all.csv").read_text().splitlines()
    others.pop(3)
    assert lines == others, "the other rows have the same predictions, to the bit"


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_bad_cells_of_a_parquet_file_are_counted_by_column_and_reason_over_all_blocks(
    out: str, run: Path, dlcli: Command
) -> None:
    num_rows = 150_000  # more than two blocks
    a = np.zeros(num_rows)
    a[[7, 149_000]] = np.inf
    frame = pl.DataFrame({"a": a, "colour": ["red"] * num_rows}).with_columns(
        day=pl.lit("2024-03-01"), ok=pl.lit("true")
    )
    frame[100_000, "ok"] = "no"
    frame[149_000, "ok"] = "no"
    frame.write_parquet("new.parquet")
    outcome = dlcli("predict", run, "new.parquet", "-o", out, "--bad-rows", "skip")
    assert outcome.code == 0, outcome.err
    assert "column 'a': 2 cells are too large for float32, " in outcome.err
    assert "first at new.parquet, row 8\n" in outcome.err
    assert "column 'ok': 2 cells are not true or false, " in outcome.err
    assert "first at new.parquet, row 100001\n" in outcome.err
    assert "149,997 of 150,000 rows predicted" in outcome.err
    read = pl.read_parquet if out == "out.parquet" else pl.read_csv
    written = read(out, columns=COLUMNS)
    assert len(written) == num_rows
    empty = written["prediction"].is_null()
    assert empty.arg_true().to_list() == [7, 100_000, 149_000]
    assert (written["probability_yes"].is_null() == empty).all()


def test_a_number_that_is_written_otherwise_than_the_others_is_a_bad_cell(
    run: Path, dlcli: Command
) -> None:
    good = [f"0,{row};2024-03-01;true;red" for row in range(1, 9)]
    bad = ["1.5;2024-03-01;true;red", "-;2024-03-01;true;red"]
    Path("new.csv").write_text("\n".join(["a;day;ok;colour", *good, *bad]) + "\n")
    command = ("predict", run, "new.csv", "-o", "out.csv", "--set", 'data.decimal=","')
    outcome = dlcli(*command)
    assert outcome.code == 3
    assert "line 10: column 'a' has '1.5', where numbers are written with the decimal mark ','" in (
        outcome.err
    )
    assert ", or predict with --bad-rows missing" in outcome.err
    outcome = dlcli(*command, "--bad-rows", "skip")
    assert outcome.code == 0, outcome.err
    assert "column 'a': 1 cell is not written as the file's other numbers, " in outcome.err
    assert "column 'a': 1 cell is not a number, " in outcome.err
    assert "8 of 10 rows predicted" in outcome.err
    written = Path("out.csv").read_text().splitlines()
    assert written[9:] == [f"{line};;;" for line in bad]


def test_the_advice_about_decimal_marks_is_one_that_predict_takes(
    run: Path, dlcli: Command
) -> None:
    lines = ["a;day;ok;colour", "0,5;2024-03-01;true;red", "1.5;2024-03-01;true;red"]
    Path("new.csv").write_text("\n".join(lines) + "\n")
    outcome = dlcli("predict", run, "new.csv", "-o", "out.csv")
    assert outcome.code == 3
    told = re.search(r"as in --set '(data\.decimal=.*?)', or", outcome.err)
    assert told, outcome.err
    Path("new.csv").write_text("\n".join(lines).replace("1.5", "1,5") + "\n")
    assert dlcli("predict", run, "new.csv", "-o", "out.csv", "--set", told[1]).code == 0


def test_bad_cells_are_counted_for_programs_too(run: Path, dlcli: Command) -> None:
    write("new.csv", GOOD, *["-,2024-03-01,true,red"] * 3)
    outcome = dlcli("predict", run, "new.csv", "-o", "out.csv", "--bad-rows", "skip", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["bad"] == [
        {
            "column": "a",
            "reason": "not a number",
            "count": 3,
            "first": "new.csv, line 3",
            "treatment": "prediction left empty",
        }
    ]


def test_all_rows_may_be_bad(run: Path, dlcli: Command) -> None:
    write("new.csv", *["-,2024-03-01,true,red"] * 3)
    outcome = dlcli("predict", run, "new.csv", "-o", "out.csv", "--bad-rows", "skip")
    assert outcome.code == 0, outcome.err
    assert "column 'a': 3 cells are not a number" in outcome.err
    assert "0 of 3 rows predicted" in outcome.err
    assert Path("out.csv").read_text().splitlines()[1:] == ["-,2024-03-01,true,red,,,"] * 3


def test_a_prediction_that_is_not_finite_is_left_empty(dlcli: Command) -> None:
    Path("c.yaml").write_text(
        "data: {path: t.csv, target: y, task: regression, scale: none, target_scale: none}\n"
        "model: {layers: [{type: dense, initial: {weight: [[3.0e+38]]}}]}\n"
    )
    Path("t.csv").write_text("x,y\n" + "".join(f"{row},{row}\n" for row in range(9)))
    Path("far.csv").write_text("x\n0\n1e9\n1\n")
    predict = ("predict", "c.yaml", "far.csv", "--untrained", "-o", "out.csv")
    outcome = dlcli(*predict)
    assert outcome.code == 5
    assert "--bad-rows skip leaves the predictions of such rows empty" in outcome.err
    for option in ("skip", "missing"):
        outcome = dlcli(*predict, "--bad-rows", option)
        assert outcome.code == 0, outcome.err
        told = "1 row is without a finite prediction, prediction left empty; first at far.csv, "
        assert told + "line 3" in outcome.err
        predictions = [line.split(",")[1] for line in Path("out.csv").read_text().splitlines()]
        assert [text == "" for text in predictions] == [False, False, True, False]


@pytest.mark.parametrize("option", ["missing", "skip"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0.5,2024-03-01,true,red,9"], "line 2: 5 cells where the header has 4"),
        (["0.5,2024-03-01"], "line 2: 2 cells where the header has 4"),
    ],
)
def test_a_row_with_another_number_of_cells_is_refused_as_before(
    option: str, rows: list[str], message: str, run: Path, dlcli: Command
) -> None:
    """Which of its cells is in which column, nobody knows, and no output has room for it."""
    write("new.csv", *rows)
    outcome = dlcli("predict", run, "new.csv", "--bad-rows", option)
    assert outcome.code == 3
    assert message in outcome.err


def test_a_column_that_is_bad_nearly_throughout_is_told_loudly_and_refused_by_strict(
    run: Path, dlcli: Command
) -> None:
    write("new.csv", GOOD, *["-,2024-03-01,true,red"] * 9)
    options = ["predict", run, "new.csv", "-o", "out.csv", "--bad-rows", "missing"]
    outcome = dlcli(*options, "--json")
    assert outcome.code == 0, outcome.err
    (warning,) = outcome.json["warnings"]
    assert "'a'" in warning
    assert "9 of 10" in warning
    assert warning in outcome.err.replace("\n", " ")
    Path("out.csv").unlink()
    assert dlcli(*options, "--strict").code == 3
    assert not Path("out.csv").exists()


def test_evaluate_advises_nothing_that_only_training_can_do(run: Path, dlcli: Command) -> None:
    Path("new.csv").write_text(f"{HEADER},y\n{GOOD},yes\n{GOOD},\n")
    outcome = dlcli("evaluate", run, "new.csv")
    assert outcome.code == 3
    assert "data.drop_missing_target" not in outcome.err
    assert "fill it in, or remove the rows without it from the file" in outcome.err
    Path("new.csv").write_text(f"{HEADER},y\n{GOOD},yes\n")
    assert dlcli("evaluate", run, "new.csv").code == 0


def test_a_folder_that_is_missing_is_named(run: Path, dlcli: Command) -> None:
    write("new.csv", GOOD)
    outcome = dlcli("predict", run, "new.csv", "-o", "nowhere/out.csv")
    assert outcome.code == 7
    assert "nowhere/out.csv: cannot write it: there is no folder nowhere" in outcome.err
