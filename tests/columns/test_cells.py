from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dlcli.config import load_config
from dlcli.data.dataset import load_dataset
from tests.conftest import Command, WriteConfig

ODD = {
    "list": pl.Series([[row] for row in range(40)]),
    "binary": pl.Series([bytes([row]) for row in range(40)]),
    "struct": pl.Series([{"a": row} for row in range(40)]),
    "duration": pl.Series([timedelta(row) for row in range(40)]),
}
Y = ["a", "b", "b", "a"] * 10


def write(name: str, **columns: object) -> Path:
    pl.DataFrame(columns).write_parquet(name)
    return Path(name).absolute()


@pytest.mark.parametrize("kind", ODD)
def test_types_without_an_encoding_are_left_out_or_refused(
    kind: str, dlcli: Command, write_config: WriteConfig
) -> None:
    path = write("odd.parquet", a=range(40), odd=ODD[kind], y=Y)
    outcome = dlcli("validate", write_config(path, "y"))
    assert outcome.code == 0, outcome.err
    assert "'odd' is left out: its type, " in outcome.out
    for data in ({"kinds": {"odd": "categorical"}}, {"kinds": {"odd": "numeric"}}):
        outcome = dlcli("validate", write_config(path, "y", data=data))
        assert outcome.code == 3
        assert "column 'odd' is of type" in outcome.err
    refused = [("odd", {}), ("y", {"split": {"column": "odd"}})]
    for target, data in refused[kind == "list" :]:  # lists can be a target: of several labels
        outcome = dlcli("validate", write_config(path, target, data=data))
        assert outcome.code == 3
        assert "column 'odd' is of type" in outcome.err


@pytest.mark.parametrize(
    "cells", [[date(2024, 1, 1) + timedelta(row) for row in range(40)], [True, False] * 20]
)
def test_dates_and_truths_are_no_numbers(
    cells: list[object], dlcli: Command, write_config: WriteConfig
) -> None:
    path = write("numbers.parquet", a=range(40), y=Y)
    assert dlcli("train", write_config(path, "y"), "--run-dir", "run").code == 0
    outcome = dlcli("predict", "run", write("other.parquet", a=cells))
    assert outcome.code == 3
    assert "column 'a' has" in outcome.err
    assert "where a number is expected" in outcome.err


def test_whole_numbers_too_long_for_floats_stay_apart(
    dlcli: Command, write_config: WriteConfig
) -> None:
    labels = [2**60, 2**60 + 1] * 20
    path = write("long.parquet", a=range(40), y=labels)
    dlcli("train", write_config(path, "y"), "--run-dir", "run")
    answers = dlcli("predict", "run", path).out.splitlines()
    assert answers[0].endswith(f"probability_{2**60},probability_{2**60 + 1}")
    assert {line.split(",")[2] for line in answers[1:]} <= set(map(str, labels))


def test_codes_with_zeros_in_front_stay_as_they_are(
    dlcli: Command, write_config: WriteConfig
) -> None:
    Path("codes.csv").write_text("a,y\n" + "1,007\n2,08\n" * 20)
    dlcli("train", write_config(Path("codes.csv").absolute(), "y"), "--run-dir", "run")
    assert dlcli("predict", "run", "codes.csv").out.startswith(
        "a,y,prediction,probability_007,probability_08\n"
    )


def test_classes_that_are_written_in_several_ways_are_said(write_config: WriteConfig) -> None:
    Path("ways.csv").write_text("a,y\n" + "1,1\n2,1.0\n3,2\n" * 20)
    dataset = load_dataset(load_config(write_config(Path("ways.csv").absolute(), "y")))
    assert dataset.fitted.target.classes == ("1", "2")  # type: ignore[union-attr]
    assert "classes are written 1, 2 in results, where the data has 1.0 too" in dataset.notes


def test_a_column_is_constant_by_its_numbers_not_by_its_text(write_config: WriteConfig) -> None:
    rows = "".join(f"{row},{10**20 + row},{'ab'[row % 2]}\n" for row in range(20))
    Path("long.csv").write_text(f"a,long,y\n{rows}")
    dataset = load_dataset(load_config(write_config(Path("long.csv").absolute(), "y")))
    assert any(note.endswith("so of no use: long") for note in dataset.notes)
    assert np.isfinite(dataset.parts["train"].inputs["numbers"]).all()


def test_a_parquet_column_named_like_a_pattern_is_refused(
    dlcli: Command, write_config: WriteConfig
) -> None:
    path = write("odd.parquet", **{"^a.*$": range(40)}, ab=range(40), y=Y)
    outcome = dlcli("validate", write_config(path, "y"))
    assert outcome.code == 3
    assert "a column is named '^a.*$', which" in outcome.err
