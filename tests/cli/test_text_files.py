"""Text files as other programs write them: by init, train, predict and evaluate."""

import json
import os
import re
from pathlib import Path

import polars as pl
import pytest
import yaml
from safetensors import safe_open

from dlcli.cli.app import run as run_dlcli
from dlcli.data.fitted import FittedData
from tests.conftest import Command

NUM_ROWS = 60
PLAIN = "plain.csv"
GERMAN = "german.csv"


def cells(number: int) -> tuple[float, str, str, float]:
    """Return an area, a side, a day and a price that grows with the area."""
    area = 1000 + number * 37 % 97 * 7.5
    day = f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}"
    return area, ["Süd", "Nord"][number % 3 == 0], day, area * 3.5 + (number % 3 == 0) * 100


def as_german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def write_files() -> None:
    """Write the same rows as a plain file, and as a German spreadsheet does."""
    plain, german = ["area,side,day,price"], ["area;side;day;price"]
    for number in range(NUM_ROWS):
        area, side, day, price = cells(number)
        plain.append(f"{area},{side},{day},{price}")
        year, month, date = day.split("-")
        german.append(f"{as_german(area)};{side};{date}.{month}.{year};{as_german(price)}")
    Path(PLAIN).write_text("\n".join(plain) + "\n", encoding="utf-8")
    Path(GERMAN).write_bytes(("\r\n".join(german) + "\r\n").encode("cp1252"))


def write_config(path: str, **data: object) -> str:
    config = {
        "data": {"path": path, "target": "price", "split": {"test": 0.2}, **data},
        "model": {"layers": [{"type": "dense"}]},
        "training": {"epochs": 2},
        "report": False,
    }
    Path("c.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return "c.yaml"


def fitted_in(run: Path | str) -> FittedData:
    with safe_open(Path(run) / "best.safetensors", framework="np") as file:
        about = json.loads(file.metadata()["dlcli"])
    return FittedData.model_validate(about["fitted"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run of a network that was trained on the plain file."""
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    write_files()
    assert run_dlcli(["train", write_config(PLAIN), "--run-dir", "run"]) == 0
    os.chdir(before)
    return folder / "run"


@pytest.mark.parametrize("streaming", ["false", "true"])
def test_a_german_spreadsheet_trains_the_network_that_a_plain_file_does(
    trained: Path, streaming: str, dlcli: Command
) -> None:
    write_files()
    outcome = dlcli(
        *("train", write_config(GERMAN), "--run-dir", "run", "--set"),
        f"data.streaming={streaming}",
    )
    assert outcome.code == 0, outcome.err
    said = (
        "german.csv: windows-1252 text (data.encoding), cells separated by ';' (data.separator), "
        "numbers written with ',' before decimals (data.decimal), '.' between thousands "
        "(data.thousands), dates of 'day' written as %d.%m.%Y (data.date_formats)"
    )
    assert re.sub(r"\s+", " ", outcome.out).count(said) == 1
    if streaming == "false":
        assert fitted_in("run") == fitted_in(trained)
        summaries = [Path(run) / "summary.json" for run in ("run", trained)]
        one, other = (json.loads(file.read_text())["test"] for file in summaries)
        assert one == other


def test_predictions_are_the_same_whatever_wrote_the_file_and_written_as_it_is(
    trained: Path, dlcli: Command
) -> None:
    write_files()
    for name in (PLAIN, GERMAN):
        outcome = dlcli("predict", trained, name, "-o", f"out-{name}")
        assert outcome.code == 0, outcome.err
    assert "german.csv: windows-1252 text (data.encoding)" in outcome.err
    plain = pl.read_csv(f"out-{PLAIN}")
    german = pl.read_csv(f"out-{GERMAN}", separator=";", infer_schema=False)
    assert [float(cell) for cell in german["prediction"]] == [*plain["prediction"]]
    lines = Path(GERMAN).read_bytes().decode("cp1252").splitlines()
    written = Path(f"out-{GERMAN}").read_text("utf-8").splitlines()
    assert all(line.startswith(before) for line, before in zip(written, lines, strict=True))


@pytest.mark.parametrize(
    "layout", ["%b %d %Y", "%Y/%m/%d", "%m/%d/%Y", "%d.%m.%y", "%Y-%m-%d 00:00:00 UTC"]
)
def test_a_date_is_the_same_date_however_it_is_written(
    layout: str, trained: Path, dlcli: Command
) -> None:
    frame = pl.DataFrame(
        {"area": 1500.5, "side": "Nord", "day": [f"2025-0{row}-1{row}" for row in range(1, 9)]}
    )
    frame.write_csv(PLAIN)
    frame.with_columns(pl.col("day").str.to_date().dt.strftime(layout)).write_csv("t.csv")
    found = []
    for name in (PLAIN, "t.csv"):
        assert dlcli("predict", trained, name, "-o", "out.parquet").code == 0
        found.append(pl.read_parquet("out.parquet")["prediction"].to_list())
    assert found[0] == found[1]
    assert len(set(found[0])) == len(frame), "later dates than those of training are no one value"


def test_evaluate_recognises_a_file_anew(trained: Path, dlcli: Command) -> None:
    write_files()
    one, other = (dlcli("evaluate", trained, name, "--json") for name in (PLAIN, GERMAN))
    assert one.json == other.json
    assert "german.csv: windows-1252" in other.err


def test_init_writes_what_it_found_and_that_trains(dlcli: Command) -> None:
    write_files()
    outcome = dlcli("init", "--effort", "quick", GERMAN, "--target", "price", "-o", "i.yaml")
    assert outcome.code == 0, outcome.err
    assert "check: german.csv: windows-1252 text (data.encoding), " in outcome.err
    data = yaml.safe_load(Path("i.yaml").read_text("utf-8"))["data"]
    assert {key: data.get(key) for key in ("separator", "decimal", "thousands", "encoding")} == {
        "separator": ";",
        "decimal": ",",
        "thousands": ".",
        "encoding": "windows-1252",
    }
    assert data["date_formats"] == ["%d.%m.%Y"]
    assert dlcli("validate", "i.yaml").code == 0
    assert dlcli("init", "--effort", "quick", PLAIN, "--target", "price", "-o", "p.yaml").code == 0
    plain = yaml.safe_load(Path("p.yaml").read_text("utf-8"))["data"]
    assert not {*plain} & {"separator", "decimal", "thousands", "encoding", "date_formats"}


def test_the_config_of_a_run_says_how_its_file_is_written(trained: Path, dlcli: Command) -> None:
    data = yaml.safe_load((trained / "config.yaml").read_text("utf-8"))["data"]
    assert (data["separator"], data["decimal"], data["thousands"]) == (",", ".", "none")
    assert (data["encoding"], data["quote"], data["header"]) == ("utf-8", '"', True)
    assert data["date_formats"] == []
    assert dlcli("evaluate", trained, "--json").code == 0


def test_a_checkpoint_with_a_separator_still_loads() -> None:
    target = {"kind": "number", "name": "y", "center": 0.0, "scale": 1.0}
    column = {"kind": "numeric", "name": "x", "center": 0.0, "scale": 1.0, "fill": 0.0}
    fitted = {
        "columns": [{**column, "indicator": False}],
        "target": target,
        "shape": None,
        "missing_values": [""],
    }
    assert FittedData.model_validate({**fitted, "separator": ";"}) == FittedData.model_validate(
        fitted
    )


def test_only_how_a_file_is_read_can_be_set_where_a_network_is_trained(
    trained: Path, dlcli: Command
) -> None:
    write_files()
    for command in ("predict", "evaluate"):
        outcome = dlcli(command, trained, PLAIN, "--set", "data.scale=none")
        assert outcome.code == 2
        assert (
            "what can be set is how the file is read: data.separator, data.decimal" in outcome.err
        )
    outcome = dlcli("predict", trained, PLAIN, "--set", "data.encoding=klingon")
    assert outcome.code == 2
    assert "--set data.encoding=klingon: encoding: 'klingon' is no encoding of text" in outcome.err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decimal": ",", "thousands": ","}, "`decimal` and `thousands` can't both be ','"),
        ({"header": True, "names": ["a"]}, "`names` are for files without a header line"),
        ({"names": ["a", "a"]}, "`names` has duplicates: a"),
        ({"encoding": "base64"}, "'base64' is no encoding of text"),
        ({"date_formats": ["%d.%m"]}, "'%d.%m' needs a year, a month and a day"),
        ({"date_formats": ["%d.%m.%Y %q"]}, "'%q' in '%d.%m.%Y %q' is not known"),
        ({"date_formats": ["%d.%m.%Y %d"]}, "names a part of the date twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, object], message: str, dlcli: Command
) -> None:
    write_files()
    outcome = dlcli("validate", write_config(PLAIN, **settings))
    assert outcome.code == 2
    assert message in outcome.err


def test_settings_of_text_do_nothing_for_a_file_with_types(dlcli: Command) -> None:
    write_files()
    pl.read_csv(PLAIN).write_parquet("t.parquet")
    outcome = dlcli("validate", write_config("t.parquet", decimal=","))
    assert outcome.code == 2
    assert "data.decimal: does nothing: no file is a text file" in outcome.err


def test_options_about_other_files_are_refused_as_settings_are(
    trained: Path, dlcli: Command
) -> None:
    write_files()
    pl.read_csv(PLAIN).write_parquet("t.parquet")
    for command in (
        ("init", "t.parquet", "--target", "price", "-o", "c.yaml"),
        ("predict", trained, "t.parquet", "-o", "out.csv"),
        ("evaluate", trained, "t.parquet"),
    ):
        outcome = dlcli(*command, "--set", "data.decimal=','", "--set", "data.sheet=Rows")
        assert outcome.code == 2
        assert "--set data.decimal: does nothing: no file is a text file" in outcome.err
        assert "--set data.sheet: does nothing: the rows come from no workbook" in outcome.err
    outcome = dlcli("evaluate", trained, "--set", "data.decimal=','")
    assert outcome.code == 2
    assert "--set data.decimal: says how DATA is read, and the run's own rows are" in outcome.err


@pytest.mark.parametrize("form", ["pandas", "r", "trailing", "parquet"])
def test_a_column_without_a_name_is_left_out_and_that_is_said(
    form: str, trained: Path, dlcli: Command
) -> None:
    write_files()
    header, *rows = Path(PLAIN).read_text("utf-8").splitlines()
    name = "column_1"
    if form == "parquet":
        name, path = "__index_level_0__", "t.parquet"
        pl.read_csv(PLAIN).with_row_index(name).write_parquet(path)
    else:
        path = "t.csv"
        lines = [f",{header}", *(f"{index},{row}" for index, row in enumerate(rows))]
        if form == "r":
            quoted = ",".join(f'"{cell}"' for cell in ["", *header.split(",")])
            lines = [quoted, *(f'"{index}",{row}' for index, row in enumerate(rows))]
        if form == "trailing":
            name, lines = "column_5", [f"{line}," for line in (header, *rows)]
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = dlcli("init", "--effort", "quick", path, "--target", "price", "-o", "i.yaml")
    assert outcome.code == 0, outcome.err
    assert f"check: '{name}' is left out: it " in outcome.err
    outcome = dlcli("train", write_config(path), "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    assert f"'{name}' " in outcome.out
    assert fitted_in("run") == fitted_in(trained)
    assert dlcli("predict", trained, path, "-o", "out.csv").code == 0
    first = Path("out.csv").read_text("utf-8").split("\n")[0]
    assert (
        first
        == {
            "pandas": f'"",{header},prediction',
            "r": f'"",{header},prediction',
            "trailing": f'{header},"",prediction',
            "parquet": f"{name},{header},prediction",
        }[form]
    )


def test_a_file_without_a_header_line_is_told_and_can_be_named(
    trained: Path, dlcli: Command
) -> None:
    write_files()
    _, *rows = Path(PLAIN).read_text("utf-8").splitlines()
    Path("t.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    outcome = dlcli("init", "--effort", "quick", "t.csv", "--target", "price")
    assert outcome.code == 2
    assert "the first line looks like data, not names (1000.0, Nord, 2024-01-01, 3600.0)" in (
        outcome.err
    )
    assert '--set \'data.names=["column_1", "column_2", "column_3", "column_4"]\'' in outcome.err
    names = ["area", "side", "day", "price"]
    told = f"data.names={json.dumps(names)}"
    assert (
        dlcli(
            "init", "--effort", "quick", "t.csv", "--target", "price", "-o", "i.yaml", "--set", told
        ).code
        == 0
    )
    assert yaml.safe_load(Path("i.yaml").read_text())["data"]["names"] == names
    outcome = dlcli("train", write_config("t.csv", names=names), "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    assert fitted_in("run") == fitted_in(trained)
    assert dlcli("predict", trained, "t.csv", "-o", "out.csv", "--set", told).code == 0
    assert pl.read_csv("out.csv").columns == [*names, "prediction"]
    assert len(pl.read_csv("out.csv")) == NUM_ROWS
    unnamed = dlcli("train", write_config("t.csv", target="column_4"), "--run-dir", "run2")
    assert "the first line looks like data, not names" in unnamed.out


def test_places_of_a_file_with_other_columns_are_not_taken_for_those_of_training(
    dlcli: Command,
) -> None:
    rows = [f"{number * 7 % 60}.5,{number % 5},{number % 9}.5,8" for number in range(60)]
    Path("t.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    config = write_config("t.csv", target="column_1", features=["column_2", "column_3"])
    assert dlcli("train", config, "--run-dir", "run").code == 0
    assert dlcli("predict", "run", "t.csv", "-o", "all.csv").code == 0
    without = [row.partition(",")[2] for row in rows]  # the target stands first: places move
    Path("new.csv").write_text("\n".join(without) + "\n", encoding="utf-8")
    outcome = dlcli("predict", "run", "new.csv", "-o", "new-out.csv")
    assert outcome.code == 3
    assert "3 columns without names, where training had 4" in outcome.err
    (told,) = re.findall(r"use --set '(.*)'", outcome.err)
    assert dlcli("predict", "run", "new.csv", "-o", "new-out.csv", "--set", told).code == 0
    predicted = [pl.read_csv(f, has_header=True)["prediction"] for f in ("all.csv", "new-out.csv")]
    assert predicted[0].equals(predicted[1])
    Path("few.csv").write_text("0.5,1\n1.5,2\n", encoding="utf-8")
    assert "2 columns without names" in dlcli("predict", "run", "few.csv").err


def test_a_last_target_without_a_name_may_be_absent(dlcli: Command) -> None:
    rows = [f"{number % 5}.5,{number % 9},{number * 7 % 60}.5" for number in range(60)]
    Path("t.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert dlcli("train", write_config("t.csv", target="column_3"), "--run-dir", "run").code == 0
    Path("new.csv").write_text("0.5,1\n1.5,2\n", encoding="utf-8")
    assert dlcli("predict", "run", "new.csv", "-o", "out.csv").code == 0


def test_an_ambiguous_file_to_predict_on_is_refused_with_options_that_work(
    trained: Path, dlcli: Command
) -> None:
    Path("new.csv").write_text("area;side;day\n1.234;Nord;03/04/2024\n", encoding="utf-8")
    outcome = dlcli("predict", trained, "new.csv", "-o", "out.csv")
    assert outcome.code == 3
    given: list[str] = []
    while outcome.code == 3:
        told = re.search(r"use (--set '[^']*(?:'\"'\"'[^']*)*')", outcome.err)
        assert told is not None, outcome.err
        given += [word for word in re.split(r"--set '|'$", told[1]) if word]
        options = [part for option in given for part in ("--set", option)]
        outcome = dlcli("predict", trained, "new.csv", "-o", "out.csv", *options)
    assert outcome.code == 0, outcome.err
    assert len(given) == 2
    assert (
        Path("out.csv").read_text().startswith("area;side;day;prediction\n1.234;Nord;03/04/2024;")
    )


def test_text_that_is_mostly_dates_is_refused_with_repairs_that_work(dlcli: Command) -> None:
    write_files()
    text = Path(PLAIN).read_text("utf-8").replace("2024-05-05", "unknown")
    Path("t.csv").write_text(text, encoding="utf-8")
    outcome = dlcli("validate", write_config("t.csv"))
    assert outcome.code == 3
    assert "column 'day' has 'unknown' where a date such as 2024-01-31" in outcome.err
    assert dlcli("validate", write_config("t.csv", missing_values=["unknown"])).code == 0
    assert dlcli("validate", write_config("t.csv", kinds={"day": "categorical"})).code == 0
    outcome = dlcli("init", "--effort", "quick", "t.csv", "--target", "price", "-o", "i.yaml")
    assert "'day' has 'unknown' among its dates" in outcome.err
    assert dlcli("validate", "i.yaml").code == 0


@pytest.mark.parametrize("first", [PLAIN, GERMAN])
@pytest.mark.parametrize("streaming", ["false", "true"])
def test_the_parts_of_a_folder_may_be_written_differently_which_is_said(
    streaming: str, first: str, dlcli: Command
) -> None:
    write_files()
    Path("parts").mkdir()
    for name in (PLAIN, GERMAN):
        Path(name).rename(Path("parts") / f"{2 - (name == first)}-{name}")
    options = ("--set", f"data.streaming={streaming}")
    outcome = dlcli("train", write_config("parts"), "--run-dir", "run", *options)
    assert outcome.code == 0, outcome.err
    assert "-german.csv: windows-1252 text (data.encoding), " in outcome.out
    assert ("-plain.csv: a plain CSV file" in outcome.out) == (first == GERMAN)
    assert dlcli("evaluate", "run", "--json").code == 0
    assert dlcli("predict", "run", "parts", "-o", "out.parquet").code == 0
    predictions = pl.read_parquet("out.parquet")["prediction"]
    assert [*predictions[:NUM_ROWS]] == [*predictions[NUM_ROWS:]]
