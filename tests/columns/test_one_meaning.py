"""A cell means the same in every kind of file, for features and targets, in every command."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter

from dlcli.columns.cells import clean, read_cells, to_labels
from dlcli.columns.family import FittedColumn, column_statistics, infer_from, infer_kind
from dlcli.config import LoadedConfig
from dlcli.data.dataset import load_dataset
from dlcli.tables.table import Table
from dlcli.targets.class_target import ClassTarget
from tests.conftest import Command, WriteConfig
from tests.data.test_streaming import blocks_of, refuse_difference, streamed

Write = Callable[..., Path]


def rows_of(cells: list[Any] | pl.Series) -> Table:
    frame = pl.DataFrame({"x": cells})
    return Table(frame, "f", np.arange(1, 1 + len(cells)), "row")


@pytest.mark.parametrize(
    ("label", "cells"),
    [
        ("1", [["1", "1.0", "1.00", "1.", "1e0"], [1], [1.0], [pl.Series([1], dtype=pl.UInt8)[0]]]),
        ("-2.5", [["-2.5", "-2.50", "-2.5e0", "-25.0e-1"], [-2.5]]),
        ("0", [["0", "-0", "0.0", "-0.0", ".0", "0E+00"], [0], [-0.0]]),
        ("0.0000001", [["1e-7", "1E-7", "1e-07", "0.00000010"], [1e-7]]),
        ("100000", [["1e+05", "1E+05", "1.0E5", "100000.0"], [100_000], [1e5]]),
        ("100000000000000000000", [["1e20", "1e+20", "1" + "0" * 20], [1e20]]),
        ("1152921504606846976", [["1.152921504606847e+18"], [2**60], [2.0**60]]),
        ("1152921504606846977", [[str(2**60 + 1)], [2**60 + 1]]),
        ("12345678901234567890123.25", [["12345678901234567890123.250"]]),
        ("true", [["true", "True", "TRUE"], [True]]),
        ("false", [["false", "False"], [False]]),
        (
            "2024-01-31",
            [
                ["2024-01-31", "2024-01-31T00:00:00", "2024-01-31 00:00"],
                ["2024-01-31T01:00:00+01:00"],
                [date(2024, 1, 31)],
                [datetime(2024, 1, 31)],
            ],
        ),
        (
            "2024-01-31T12:30:00.250",
            [["2024-01-31 12:30:00.25"], [datetime(2024, 1, 31, 12, 30, 0, 250000)]],
        ),
    ],
)
def test_one_value_has_one_label_however_it_is_written(label: str, cells: list[list[Any]]) -> None:
    for some in cells:
        assert {*to_labels(pl.Series(some))} == {label}


@pytest.mark.parametrize(
    "codes",
    [
        ["01201", "1201", "1201.50", "001201"],
        ["1E5", "10E4", "100000", "10e4", "1E05"],
        ["0.1", "0.10000000000000001", "1e400", "1e-400", "0"],
        ["1", "+1", "1,0", "1 ", "0x1"],
        ["2024-01-31", "2024-1-31", "31.1.2024", "2024-01-31T00:00:01"],
    ],
)
def test_codes_and_digits_that_differ_stay_apart(codes: list[str]) -> None:
    assert to_labels(pl.Series(codes)).n_unique() == len(codes)


def test_a_label_is_its_own_label() -> None:
    texts = ["1.50", "1E+05", "True", "2024-01-31 10:00", "007", "x", "1e-9", "-0.0"]
    labels = to_labels(pl.Series(texts))
    assert to_labels(labels).to_list() == labels.to_list()


@pytest.mark.parametrize(
    ("missing", "gone", "kept"),
    [
        ("-999", [["-999", "-999.0", "-9.99e2"], [-999], [-999.0]], [["-998", "0999"], [999]]),
        ("-999.90", [["-999.9"], pl.Series([-999.9], dtype=pl.Float32), [-999.9]], [["-999"]]),
        ("inf", [["inf"], [np.inf]], [["-inf", "1e300"], [-np.inf, 1e300]]),
        ("9999999999999999999", [["9999999999999999999.0"]], [["9999999999999999998"]]),
        ("0", [["0", "0.00"], [0], [False - 0.0]], [["00", "false"], [False]]),
        ("1900-01-01", [["1900-01-01T00:00"], [date(1900, 1, 1)]], [[date(1900, 1, 2)]]),
        ("FALSE", [["False"], [False]], [["0"], [True], [0]]),
        ("none", [["none"], [" none "]], [["None"]]),
    ],
)  # fmt: skip
def test_a_missing_value_is_missing_in_each_form_and_type(
    missing: str, gone: list[Any], kept: list[Any]
) -> None:
    for cells, is_gone in [*((some, True) for some in gone), *((some, False) for some in kept)]:
        rows = rows_of(cells)
        for found in (read_cells(rows, "x", ("", missing)), clean(rows, ("", missing)).column("x")):
            assert found.is_null().to_list() == [is_gone] * len(rows)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_same_rows_give_the_same_fit_with_a_number_that_means_missing(
    streaming: bool, load: Callable[..., LoadedConfig]
) -> None:
    values = [[1.5, -999.0, 3.25, np.inf][row % 4] for row in range(40)]
    frame = pl.DataFrame({"x": values, "z": range(40), "y": ["a", "b", "b", "a"] * 10})
    frame.write_csv("t.csv")
    frame.write_parquet("t.parquet")
    data = {"missing_values": ["-999", "inf"], "streaming": streaming}
    found = [
        load_dataset(load(Path(name).absolute(), "y", data=data)) for name in ("t.csv", "t.parquet")
    ]
    assert found[0].fitted == found[1].fitted
    assert [column.num_missing for column in found[0].columns] == [20, 0]


def table_of(write: Write, cells: list[str], name: str = "t.csv") -> Path:
    lines = [f"{cell},{row},{'ab'[row % 2]}" for row, cell in enumerate(cells)]
    return write("x,z,y", *lines, name=name)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["01201", "1201", "02139", "10001"] * 10, "codes with zeros in front, such as '01201'"),
        (["1201"] * 20 + ["007", "8"] * 10, "codes with zeros in front, such as '007'"),
        (["1E5", "2E7", "10E4", "3E1"] * 10, "codes that read as powers of ten, such as '10E4'"),
        (["1E5", "2E7", "100000", "3E1"] * 10, "codes that read as powers of ten, such as '1E5'"),
        (["1E5", "2E7", "1.0E5", ""] * 10, "codes that read as powers of ten, such as '1E5'"),
        (["0", "0.5", "-07", "10"] * 10, None),
        (["1E5", "2E7", "1e+06", "1.5E3"] * 10, None),
        (["1e5", "10e4", "1.0e5", "100000"] * 10, None),
    ],
)
def test_codes_are_no_numbers_held_or_streamed(
    cells: list[str], reason: str | None, table: Write, load: Callable[..., LoadedConfig]
) -> None:
    loaded = load(table_of(table, cells), "y")
    held = load_dataset(loaded)
    assert held.columns[0].kind == ("numeric" if reason is None else "categorical")
    assert held.columns[0].reason == ("numbers" if reason is None else f"{reason} (data.kinds)")
    for num_bytes in (60, 10**7):
        with blocks_of(num_bytes):
            refuse_difference(held, load_dataset(streamed(loaded)))
    numeric = load(table_of(table, cells), "y", data={"kinds": {"x": "numeric"}})
    assert load_dataset(numeric).columns[0].kind == "numeric"
    with blocks_of(60):
        refuse_difference(load_dataset(numeric), load_dataset(streamed(numeric)))


def test_codes_that_differ_in_every_row_are_left_out_as_such(
    table: Write, load: Callable[..., LoadedConfig]
) -> None:
    dataset = load_dataset(load(table_of(table, [f"{row:05}" for row in range(40)]), "y"))
    assert dataset.columns[0].reason == (
        "codes with zeros in front, such as '00000' with a different value in every row"
    )


def test_a_target_of_codes_is_classes(table: Write, load: Callable[..., LoadedConfig]) -> None:
    lines = [f"{row},{row % 25:03}" for row in range(100)]
    dataset = load_dataset(load(table("x,y", *lines), "y"))
    assert dataset.task == "multiclass"
    assert dataset.fitted.target.class_names[:2] == ("000", "001")
    assert any("25 different labels: codes with zeros in front" in note for note in dataset.notes)
    as_numbers = load(table("x,y", *lines), "y", data={"task": "regression"})
    assert load_dataset(as_numbers).task == "regression"


def test_numbers_with_codes_among_them_are_not_called_mixed() -> None:
    assert infer_kind(pl.Series("x", ["01", "2", "3", "4", "5", "?"] * 2)).kind is not None


@pytest.mark.parametrize("streaming", [False, True])
def test_ones_and_zeros_are_true_and_false_where_training_had_these(
    streaming: bool, dlcli: Command, table: Write, write_config: WriteConfig
) -> None:
    lines = [f"{['True', 'FALSE'][row % 2]},{row % 5},{'ab'[row % 2]}" for row in range(40)]
    path = table("x,z,y", *lines)
    other = [f"{row % 2},{row % 5},{'ba'[row % 2]}" for row in range(40)]
    table("x,z,y", *other, name="other.csv")
    data = {"validation_path": "other.csv", "streaming": streaming}
    config = write_config(path, "y", data=data, optimizer={"type": "adam", "lr": 0.5})
    assert dlcli("train", config, "--run-dir", "run", "--set", "training.epochs=20").code == 0
    for name in ("t", "other"):
        figures = dlcli("evaluate", "run", f"{'table' if name == 't' else name}.csv", "--json").json
        assert figures["data"]["accuracy"] == 1
    wrong = table("x,z", "1,1", "2,1", name="wrong.csv")
    outcome = dlcli("predict", "run", wrong)
    assert outcome.code == 3
    assert "line 3: column 'x' has '2' where true or false is expected" in outcome.err


def test_a_boolean_class_is_evaluated_on_ones_and_zeros(
    dlcli: Command, table: Write, write_config: WriteConfig
) -> None:
    path = table("x,y", *[f"{row % 2},{bool(row % 2)}" for row in range(40)])
    config = write_config(path, "y", optimizer={"type": "adam", "lr": 0.5})
    assert dlcli("train", config, "--run-dir", "run", "--set", "training.epochs=20").code == 0
    table("x,y", "1,1", "0,0", "1,1.0", name="digits.csv")
    assert dlcli("evaluate", "run", "digits.csv", "--json").json["data"]["accuracy"] == 1


LABELLED = pl.DataFrame(
    {
        "store": [["1", "2", "3", "4"][row % 4] for row in range(40)],
        "size": [["1.50", "2.25", "3.00", "0.75"][row % 4] for row in range(40)],
        "sold": [["True", "False", "Unknown", "True"][row % 4] for row in range(40)],
        "day": [f"2024-01-0{1 + row % 4}" for row in range(40)],
        "y": ["pqqp"[row % 4] for row in range(40)],
    }
)
KINDS = dict.fromkeys(("store", "size", "sold", "day"), "categorical")
OTHERWISE: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "numbers as pandas writes them beside a gap": lambda frame: frame.with_columns(
        pl.col("store") + ".0", pl.col("size").str.replace("0$", "")
    ),
    "other spellings": lambda frame: frame.with_columns(
        pl.col("sold").replace("True", "TRUE"), pl.col("day") + " 00:00"
    ),
    "types": lambda frame: frame.with_columns(
        pl.col("store").cast(pl.Float64),
        pl.col("size").cast(pl.Float32),
        pl.col("day").str.to_datetime("%Y-%m-%d"),
    ),
    "other types": lambda frame: frame.with_columns(
        pl.col("store").cast(pl.UInt8),
        pl.col("size").cast(pl.Float64),
        pl.col("day").str.to_date(),
    ),
}


@pytest.mark.parametrize("is_reversed", [False, True])
def test_labels_that_are_written_otherwise_are_recognised_by_a_run(
    is_reversed: bool, dlcli: Command, write_config: WriteConfig
) -> None:
    """Trained on one form and evaluated on all, also where training has numbers and dates."""
    LABELLED.write_csv("t.csv")
    names = ["t.csv"]
    for number, change in enumerate(OTHERWISE.values()):
        names.append(f"{number}.{'csv' if number < 2 else 'parquet'}")
        frame = change(LABELLED)
        frame.write_csv(names[-1]) if number < 2 else frame.write_parquet(names[-1])
    config = write_config(
        names[-2 if is_reversed else 0],
        "y",
        data={"kinds": KINDS},
        training={"epochs": 20},
        optimizer={"type": "adam", "lr": 0.5},
    )
    assert dlcli("train", config, "--run-dir", "run").code == 0
    losses = set()
    for name in names:
        outcome = dlcli("evaluate", "run", name, "--json")
        assert outcome.code == 0, outcome.err
        assert "unseen" not in outcome.err
        assert outcome.json["data"]["accuracy"] == 1
        losses.add(outcome.json["data"]["loss"])
    assert len(losses) == 1, "the same predictions, to the bit"


@pytest.mark.parametrize(
    "codes", [("01201", "1201", "2139", "02139"), ("1E5", "10E4", "2E7", "20E6")]
)
def test_codes_that_are_one_number_are_two_categories(
    codes: tuple[str, ...], dlcli: Command, table: Write, write_config: WriteConfig
) -> None:
    path = table("x,z,y", *[f"{codes[row % 4]},1.5,{'abab'[row % 4]}" for row in range(80)])
    adam = {"type": "adam", "lr": 0.5}
    config = write_config(path, "y", training={"epochs": 20}, optimizer=adam)
    found = []
    for kinds in ("{}", "{x: numeric}"):
        trained = dlcli("train", config, "--run-dir", kinds, "--set", f"data.kinds={kinds}")
        assert trained.code == 0, trained.err
        found.append(dlcli("evaluate", kinds, path, "--json").json["data"]["accuracy"])
    assert found == [1, 0.5]  # each number has as many rows of either class


def test_the_number_of_classes_is_that_of_labels_not_of_ways_to_write_them(
    table: Write, load: Callable[..., LoadedConfig]
) -> None:
    dataset = load_dataset(load(table("x,y", *["1,0", "2,0.0", "3,1", "4,1.00"] * 10), "y"))
    assert dataset.task == "binary"
    assert dataset.fitted.target.class_names == ("0", "1")


OLD_COLUMN = {
    "kind": "categorical",
    "name": "x",
    "categories": ("1.0", "1.50", "2", "True", "2024-01-31 00:00:00.000000"),
    "has_missing": False,
    "embedding_dim": 3,
}


def test_categories_of_older_checkpoints_keep_their_codes_and_match_by_meaning() -> None:
    column = TypeAdapter(FittedColumn).validate_python(OLD_COLUMN)

    def codes(cells: list[Any]) -> list[int]:
        encoded, _ = column.encode(rows_of(cells), ())
        return [int(code) for code in encoded[:, 0]]

    assert codes([*OLD_COLUMN["categories"]]) == [1, 2, 3, 4, 5]  # type: ignore[misc]
    assert codes(["1", "1.5", "2.0", "true", "2024-01-31", "x"]) == [1, 2, 3, 4, 5, 0]
    assert codes([1, 2]) == [1, 3]
    assert codes([1.5, 2.0]) == [2, 3]
    assert codes([datetime(2024, 1, 31)]) == [5]
    both = TypeAdapter(FittedColumn).validate_python({**OLD_COLUMN, "categories": ("1", "1.0")})
    assert both.encode(rows_of(["1", "1.0", "1.00"]), ())[0][:, 0].tolist() == [1, 2, 1]


def test_classes_of_older_checkpoints_are_found_by_meaning_too() -> None:
    target = ClassTarget.model_validate(
        {"name": "x", "classes": ("1.50", "True"), "counts": (1, 1), "label_type": "text"}
    )
    assert target.encode(rows_of(["1.50", "1.5", "True", "true"]), ()).tolist() == [0, 0, 1, 1]


def test_a_column_of_floats_has_the_labels_of_a_column_of_text() -> None:
    text = column_statistics(rows_of(["1.0", "2.50", ""]), "x", ("",), kind="categorical")
    typed = column_statistics(rows_of([1.0, 2.5, None]), "x", ("",), kind="categorical")
    assert infer_from(text).kind is not None
    assert text.labels is not None
    assert typed.labels is not None
    assert to_labels(text.labels.cells).to_list() == to_labels(typed.labels.cells).to_list()
