"""What `init` makes of NA and its like: a missing value, or a class or category of that name."""

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dlcli.config import load_config
from dlcli.config.sections.data import MISSING_VALUES, DataConfig
from dlcli.runs.preparation import prepare
from tests.conftest import Command

Drafted = tuple[DataConfig, str]


@pytest.fixture
def draft(dlcli: Command) -> Callable[..., Drafted]:
    """Draft a config for a table of columns, as CSV or Parquet; what it says, and what was told."""

    def drafted(target: str, *, file_format: str = "csv", **columns: list[object]) -> Drafted:
        num_rows = len(columns[target])
        x = [row * 7 % 17 + row / 100 for row in range(num_rows)]
        frame = pl.DataFrame({"x": x, **columns})
        if file_format == "csv":
            frame.write_csv("t.csv")
        else:
            frame.write_parquet("t.parquet")
        outcome = dlcli(
            "init", "--effort", "quick", f"t.{file_format}", "--target", target, "-o", "c.yaml"
        )
        assert outcome.code == 0, outcome.err
        loaded = load_config(Path("c.yaml"))
        assert prepare(loaded).plan, "it can be trained"
        return loaded.config.data, outcome.err

    return drafted


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("word", ["NA", "null"])
def test_a_word_is_a_class_where_it_is_as_frequent_as_one(
    word: str, file_format: str, draft: Callable[..., Drafted]
) -> None:
    data, told = draft("region", file_format=file_format, region=["EU", word, "SA"] * 20)
    assert f"check: 'region' has '{word}' in 20 of 60 rows: treated as a class" in told
    assert f"data.missing_values is without '{word}'" in told
    assert data.missing_values == tuple(value for value in MISSING_VALUES if value != word)
    assert (data.task, data.drop_missing_target) == ("multiclass", False)


def test_beside_a_class_of_that_name_empty_cells_are_missing(draft: Callable[..., Drafted]) -> None:
    data, told = draft("region", region=["EU", "NA", "SA", "EU", ""] * 12)
    assert "'region' has 'NA' in 12 of 60 rows beside 12 empty cells: treated as a class" in told
    assert "12 of 60 rows are left out, without a 'region': it has nothing in 12 (" in told
    assert ("NA" in data.missing_values, data.drop_missing_target) == (False, True)


def test_rows_that_are_left_out_are_told_with_the_word(draft: Callable[..., Drafted]) -> None:
    data, told = draft("y", y=[*["a", "b"] * 20, "NA", "", ""])
    assert (
        "check: 3 of 43 rows are left out, without a 'y': it has 'NA' in 1, nothing in 2 "
        "(data.drop_missing_target; a word that is a class goes out of data.missing_values)" in told
    )
    assert (data.missing_values, data.drop_missing_target) == (MISSING_VALUES, True)


def test_rows_that_are_left_out_for_a_target_that_is_not_a_number_are_told(
    draft: Callable[..., Drafted],
) -> None:
    numbers: list[object] = [row * 7 % 23 + 0.5 for row in range(40)]
    data, told = draft("y", file_format="parquet", y=[*numbers, float("nan"), None])
    assert "check: 2 of 42 rows are left out, without a 'y': it has nothing in 2 (" in told
    assert data.drop_missing_target


def test_a_word_among_numbers_is_a_missing_value(draft: Callable[..., Drafted]) -> None:
    """So it is in the whole file, and a class of that name can't be told from it by the config."""
    gaps = [["1.5", "NA", "2.5", "3"][row % 4] for row in range(60)]
    data, told = draft("region", region=["EU", "NA", "SA"] * 20, z=gaps)
    assert "'region' has 'NA' in 20 of 60 rows: treated as missing, as 'z' has 'NA'" in told
    assert "20 of 60 rows are left out, without a 'region': it has 'NA' in 20" in told
    assert (data.missing_values, data.task) == (MISSING_VALUES, "binary")


@pytest.mark.parametrize("numbers", [["0", "1", "NA"], ["true", "false", "NA"]])
def test_among_numbers_and_booleans_no_word_is_a_class(
    numbers: list[str], draft: Callable[..., Drafted]
) -> None:
    data, told = draft("y", y=numbers * 20)
    assert "20 of 60 rows are left out" in told
    assert (data.missing_values, data.task) == (MISSING_VALUES, "binary")


def test_a_run_learns_the_class_of_that_name(dlcli: Command) -> None:
    regions = ["EU", "NA", "SA"]
    lines = [f"{row % 3 * 4 + row * 7 % 5 / 5},{regions[row % 3]}" for row in range(180)]
    Path("t.csv").write_text("\n".join(["x,region", *lines]) + "\n")
    assert (
        dlcli("init", "--effort", "quick", "t.csv", "--target", "region", "-o", "c.yaml").code == 0
    )
    outcome = dlcli("train", "c.yaml", "--run-dir", "run", "--json")
    assert sum(outcome.json["rows"].values()) == 180
    assert outcome.json["test"]["accuracy"] == 1
    assert dlcli("predict", "run", "t.csv", "-o", "out.csv").code == 0
    assert set(pl.read_csv("out.csv", infer_schema=False)["prediction"]) == set(regions)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_category_of_that_name_is_told_from_empty_cells(
    file_format: str, draft: Callable[..., Drafted]
) -> None:
    country = [["NA", "DE", None, "FR", "NA"][row % 5] for row in range(60)]
    data, told = draft("y", file_format=file_format, country=country, y=["a", "b", "b"] * 20)
    assert "'country' has 'NA' in 24 of 60 rows beside 12 empty cells: treated as a category" in (
        told
    )
    assert "NA" not in data.missing_values
    fitted = prepare(load_config(Path("c.yaml"))).dataset.fitted
    column = next(column for column in fitted.columns if column.name == "country")
    assert column.model_dump()["categories"] == ("DE", "FR", "NA")
    assert column.model_dump()["has_missing"]


def test_without_empty_cells_nothing_is_to_be_told_of_a_category(
    draft: Callable[..., Drafted],
) -> None:
    data, told = draft("y", country=["NA", "DE", "FR"] * 20, y=["a", "b", "b", "a"] * 15)
    assert "'NA'" not in told
    assert data.missing_values == MISSING_VALUES


def test_a_class_that_is_called_none_is_told(draft: Callable[..., Drafted]) -> None:
    data, told = draft("severity", severity=["mild", "None", "severe"] * 20)
    assert "'severity' has 'None' in 20 of 60 rows: treated as a class; if it means missing" in told
    assert (data.task, data.missing_values) == ("multiclass", MISSING_VALUES)


def test_a_word_among_dates_and_numbers_of_any_notation_is_a_missing_value(dlcli: Command) -> None:
    lines = [
        f"{['NA', '', '1,5', '2,5'][row % 4]};{['NA', '', '31.01.2024', '30.12.2023'][row % 4]};"
        f"{'ab'[row * 5 % 7 > 3]}"
        for row in range(60)
    ]
    Path("t.csv").write_text("\n".join(["x;day;y", *lines]) + "\n")
    outcome = dlcli("init", "--effort", "quick", "t.csv", "--target", "y", "-o", "c.yaml")
    assert outcome.code == 0, outcome.err
    assert "'NA' in" not in outcome.err
    assert load_config(Path("c.yaml")).config.data.missing_values == MISSING_VALUES


def test_what_is_advised_about_a_word_leads_to_a_run_without_it(
    draft: Callable[..., Drafted], dlcli: Command
) -> None:
    _, told = draft("region", region=["EU", "NA", "SA"] * 20)
    assert "remove that key if it means missing, and set data.drop_missing_target: true" in told
    text = re.sub(r"(?m)^ *missing_values: .*\n", "", Path("c.yaml").read_text())
    Path("c.yaml").write_text(text)
    command = ("train", "c.yaml", "--run-dir", "run", "--json", "--set", "training.epochs=1")
    outcome = dlcli(*command, "--set", "data.drop_missing_target=true")
    assert outcome.code == 0, outcome.err
    assert sum(outcome.json["rows"].values()) == 40
