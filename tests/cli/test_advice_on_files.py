"""Advice about files works: each `--set` that a message names is carried out as it stands there."""

import os
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
import yaml

from dlcli.cli.app import run as run_dlcli
from tests.conftest import Command, Outcome

NUM_ROWS = 40
NAMES = ["x", "z", "day"]
# Each can be read in two ways, or has no names; the last cell of each row is the target.
FILES = {
    "decimal": ("x;z;day;y", "{a}.{b};{c};2024-{m:02}-{d:02};{y}"),
    "separator": ("x;z,y", "u{c};v{c},w{c}"),
    "date_formats": ("x,z,day,y", "{a}.5,{c},{m:02}/{d:02}/2024,{y}"),
    "names": (None, "{a}.5,{c},2024-{m:02}-{d:02},{y}"),
    "quote": ("x,z,day,y", '{a}.5,{c},2024-{m:02}-{d:02},it"s {y}'),
}


def write(name: str, header: str | None, row: str) -> None:
    lines = [
        row.format(
            a=1 + number * 7 % 11,
            b=100 + number,
            c=number % 5,
            m=1 + number % 12,
            d=1 + number % 11,
            y="ab"[number * 5 % 7 > 3],
        )
        for number in range(NUM_ROWS)
    ]
    Path(name).write_text("\n".join([*([header] if header else []), *lines]) + "\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    write("plain.csv", "x,z,day,w,y", "{a}.5,{c},2024-{m:02}-{d:02},{c},{y}")
    config = {
        "data": {"path": "plain.csv", "target": "y", "weight": "w"},
        "model": {"layers": [{"type": "dense"}]},
        "training": {"epochs": 1},
        "report": False,
    }
    Path("c.yaml").write_text(yaml.safe_dump(config))
    assert run_dlcli(["train", "c.yaml", "--run-dir", "run"]) == 0
    os.chdir(before)
    return folder / "run"


def options_in(message: str) -> list[str]:
    """Return the values of the options --set that a message names, as a shell reads them."""
    return [shlex.split(option)[1] for option in re.findall(r"--set (?:'[^']*'|\S+)", message)]


@pytest.mark.parametrize("key", ["decimal", "date_formats", "names", "quote"])
def test_predict_takes_the_option_that_it_names(key: str, trained: Path, dlcli: Command) -> None:
    write("new.csv", *FILES[key])
    refused = dlcli("predict", trained, "new.csv", "-o", "out.csv")
    assert refused.code == 3
    options = [item for item in options_in(refused.err) if item.startswith(f"data.{key}=")]
    assert options
    for index, option in enumerate(options):
        if key == "names":  # as an example: these are the names that the file has none of
            option = f"data.names={[*NAMES, 'y']}"
        out = f"out{index}.csv"
        outcome = dlcli("predict", trained, "new.csv", "-o", out, "--set", option)
        assert outcome.code == 0, outcome.err
        frame = pl.read_csv(out, separator=";" if key == "decimal" else ",", infer_schema=False)
        assert len(frame) == NUM_ROWS
        assert frame["prediction"].null_count() == 0
    if key in ("decimal", "date_formats"):
        first, second = (Path(f"out{index}.csv").read_text() for index in (0, 1))
        assert len(options) == 2
        assert first != second, "the readings differ"


@pytest.mark.parametrize("key", ["decimal", "date_formats"])
def test_evaluate_takes_it_too(key: str, trained: Path, dlcli: Command) -> None:
    write("new.csv", *FILES[key])
    once = ("--set", "data.weight=null")
    refused = dlcli("evaluate", trained, "new.csv", *once)
    assert refused.code == 3
    options = [item for item in options_in(refused.err) if item.startswith(f"data.{key}=")]
    assert len(options) == 2
    for option in options:
        outcome = dlcli("evaluate", trained, "new.csv", *once, "--set", option)
        assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("key", ["decimal", "date_formats", "quote", "separator"])
def test_training_takes_the_key_that_it_names(key: str, dlcli: Command) -> None:
    write("t.csv", *FILES[key])
    data: dict[str, object] = {"path": "t.csv", "target": "y"}

    def validate(**more: object) -> Outcome:
        config = {"data": {**data, **more}, "model": {"layers": [{"type": "dense"}]}}
        Path("c.yaml").write_text(yaml.safe_dump(config))
        return dlcli("validate", "c.yaml")

    refused = validate()
    assert refused.code == 3, refused.out
    found = re.findall(rf"data\.{key}: (\[[^\]]*\]|\"[^\"]*\")", refused.err)
    assert found
    for value in map(yaml.safe_load, found):
        outcome = validate(**{key: value})
        if value == ";":  # so read, the names are others
            assert "has no column 'y'; its columns: x, z,y" in outcome.err
            data["target"] = "z,y"
            outcome = validate(**{key: value})
        assert outcome.code == 0, outcome.err


def test_evaluate_without_the_weights_that_it_lacks(trained: Path, dlcli: Command) -> None:
    write("new.csv", "x,z,day,y", "{a}.5,{c},2024-{m:02}-{d:02},{y}")
    refused = dlcli("evaluate", trained, "new.csv")
    assert refused.code == 3
    (option,) = options_in(refused.err)
    outcome = dlcli("evaluate", trained, "new.csv", "--set", option)
    assert outcome.code == 0, outcome.err


def test_a_file_is_named_where_a_run_has_no_held_out_rows(trained: Path, dlcli: Command) -> None:
    refused = dlcli("evaluate", trained)
    assert refused.code == 3
    assert "name a file to evaluate on" in refused.err
    assert dlcli("evaluate", trained, trained.parent / "plain.csv").code == 0


def test_a_column_is_renamed_that_is_called_as_predictions_are(
    trained: Path, dlcli: Command
) -> None:
    write("new.csv", "x,z,day,prediction", "{a}.5,{c},2024-{m:02}-{d:02},{y}")
    refused = dlcli("predict", trained, "new.csv", "-o", "out.csv")
    assert refused.code == 3
    assert "it has a column 'prediction' already; rename it" in refused.err
    write("new.csv", "x,z,day,before", "{a}.5,{c},2024-{m:02}-{d:02},{y}")
    assert dlcli("predict", trained, "new.csv", "-o", "out.csv").code == 0


def test_json_goes_with_a_file_for_the_predictions(trained: Path, dlcli: Command) -> None:
    write("new.csv", "x,z,day", "{a}.5,{c},2024-{m:02}-{d:02}")
    refused = dlcli("predict", trained, "new.csv", "--json")
    assert refused.code == 2
    assert "name a file with -o" in refused.err
    assert dlcli("predict", trained, "new.csv", "--json", "-o", "out.csv").json["rows"] == NUM_ROWS


def test_columns_without_an_encoding_are_left_to_data_features(dlcli: Command) -> None:
    frame = pl.DataFrame({"x": range(NUM_ROWS), "tags": [["a"]] * NUM_ROWS, "y": ["u", "v"] * 20})
    frame.write_parquet("t.parquet")
    config = {
        "data": {"path": "t.parquet", "target": "y", "kinds": {"tags": "categorical"}},
        "model": {"layers": [{"type": "dense"}]},
    }
    Path("c.yaml").write_text(yaml.safe_dump(config))
    refused = dlcli("validate", "c.yaml")
    assert refused.code == 3
    assert "turn it into numbers or text, or name the columns to use in data.features" in (
        refused.err
    )
    config["data"] = {"path": "t.parquet", "target": "y", "features": ["x"]}
    Path("c.yaml").write_text(yaml.safe_dump(config))
    assert dlcli("validate", "c.yaml").code == 0
