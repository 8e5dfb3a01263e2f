"""Names of columns are the same ones in every format and in the config."""

from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from tests.conftest import Command, WriteConfig

COMPOSED, DECOMPOSED = "Größe", "Gro\u0308ße"


def write(name: str, columns: dict[str, object]) -> Path:
    frame = pl.DataFrame(columns)
    frame.write_csv(name) if name.endswith(".csv") else frame.write_parquet(name)
    return Path(name).absolute()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_spaces_and_unicode_forms_of_names_are_no_matter_and_come_back(
    suffix: str, dlcli: Command, write_config: WriteConfig
) -> None:
    labels = ["a", "b"] * 10
    path = write(f"t.{suffix}", {" x": range(20), DECOMPOSED: range(20), "y ": labels})
    features, kinds = ["x ", COMPOSED], {f" {COMPOSED}": "numeric"}
    config = write_config(path, " y", data={"features": features, "kinds": kinds})
    outcome = dlcli("train", config, "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    for name in ("x", COMPOSED):
        assert f"│ {name}" in outcome.out
    for other in ("csv", "parquet"):
        new = write(f"new.{other}", {COMPOSED: range(3), "x\t": range(3), "z ": range(3)})
        assert dlcli("predict", "run", new, "-o", f"out.{other}").code == 0
        found = pl.read_csv("out.csv") if other == "csv" else pl.read_parquet("out.parquet")
        assert found.columns[:4] == [COMPOSED, "x\t", "z ", "prediction"]


def test_names_on_two_lines_and_with_fixed_spaces_are_names_in_every_format(
    dlcli: Command, write_config: WriteConfig
) -> None:
    columns: dict[str, object] = {"hours\nper week": range(20), "a\u00a0b": range(20)}
    with xlsxwriter.Workbook("new.xlsx") as workbook:
        workbook.add_worksheet().write_row(0, 0, [*columns])
    write("new.csv", columns)
    path = write("t.parquet", {**columns, "y": ["a", "b"] * 10})
    assert dlcli("train", write_config(path, "y"), "--run-dir", "run").code == 0
    for name in ("new.csv", "new.xlsx"):
        outcome = dlcli("predict", "run", name, "-o", "out.csv")
        assert outcome.code == 0, outcome.err
        assert pl.read_csv("out.csv").columns[:2] == [*columns]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("first", "second"), [("x", "x "), (COMPOSED, DECOMPOSED)])
def test_two_names_that_become_one_are_refused_with_both(
    first: str, second: str, suffix: str, dlcli: Command, write_config: WriteConfig
) -> None:
    path = write(f"t.{suffix}", {first: range(20), second: range(20), "y": ["a", "b"] * 10})
    outcome = dlcli("validate", write_config(path, "y"))
    assert outcome.code == 3
    assert f"the columns {first!a} and {second!a} are both named '{first}'" in outcome.err


def test_two_keys_of_a_config_that_name_one_column_are_refused(
    dlcli: Command, write_config: WriteConfig
) -> None:
    path = write("t.csv", {"x": range(20), "y": ["a", "b"] * 10})
    kinds = {"x": "numeric", "x ": "categorical"}
    outcome = dlcli("validate", write_config(path, "y", data={"kinds": kinds}))
    assert outcome.code == 2
    assert "data.kinds: 'x' and 'x ' name one column; leave one out" in outcome.err


def test_a_target_on_the_command_line_is_the_same_name_too(dlcli: Command) -> None:
    write("t.csv", {"x": [str(row % 7) for row in range(40)], DECOMPOSED: ["a", "b"] * 20})
    outcome = dlcli(
        "init", "--effort", "quick", "t.csv", "--target", f"{COMPOSED} ", "-o", "c.yaml"
    )
    assert outcome.code == 0, outcome.err
    assert dlcli("validate", "c.yaml").code == 0


def test_a_byte_order_mark_twice_is_no_part_of_a_name(
    dlcli: Command, write_config: WriteConfig
) -> None:
    path = write("t.csv", {"\ufeff\ufeffx": range(20), "y": ["a", "b"] * 10})
    assert dlcli("train", write_config(path, "y"), "--run-dir", "run").code == 0
    new = write("new.csv", {"x": range(3)})
    assert dlcli("predict", "run", new, "-o", "out.csv").code == 0
