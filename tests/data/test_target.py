import numpy as np
import polars as pl
import pytest

from dlcli.config.sections.data import DataConfig
from dlcli.data.target import FittedTarget, encode_target, fit_target, infer_task
from dlcli.errors import DataError
from dlcli.tables.table import Table
from dlcli.targets.task import Task


def table(*cells: object) -> Table:
    frame = pl.DataFrame({"y": pl.Series(cells)})
    return Table(frame, "f.csv", np.arange(2, 2 + len(cells)), "line")


def fit(task: Task, rows: Table, **options: object) -> FittedTarget:
    config = DataConfig.model_validate({"path": "f.csv", "target": "y", **options})
    return fit_target(rows, task, config)


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["a", "b", "a"], "binary"),
        (["a", "b", "c"], "multiclass"),
        (["0", "1", "1"], "binary"),
        (["1", "2", "3"] * 3, "multiclass"),
        (["1", "2", "3"], "regression"),
        ([True, False], "binary"),
        (["1.5", "2"], "regression"),
        ([0.5, 1.0, 1.5], "regression"),
        ([str(number) for number in range(21)], "regression"),
        ([str(number) for number in range(20)] * 3, "multiclass"),
    ],
)
def test_the_task_is_told_from_the_target(cells: list[object], task: str) -> None:
    assert infer_task(pl.Series("y", cells))[0] == task


def test_classes_are_sorted_numbers_by_size() -> None:
    target = fit("multiclass", table("10", "9", "2", "9"))
    assert target.kind == "classes"
    assert target.classes == ("2", "9", "10")
    assert target.counts == (1, 2, 1)


def test_a_class_is_the_same_in_either_file_format() -> None:
    target = fit("binary", table("1", "0", "1"))
    assert encode_target(target, table(1.0, 0.0), ()).tolist() == [1, 0]
    target = fit("binary", table(True, False, True))
    assert encode_target(target, table("True", "false"), ()).tolist() == [1, 0]


def test_a_number_is_standardised_and_comes_back() -> None:
    rows = table("10", "20", "60")
    target = fit("regression", rows)
    assert target.kind == "number"
    values = encode_target(target, rows, ())
    assert values.mean() == pytest.approx(0)
    assert values.std() == pytest.approx(1)
    assert values * target.scale + target.center == pytest.approx([10, 20, 60])


def test_a_number_can_be_left_as_it_is() -> None:
    rows = table("10", "20", "60")
    target = fit("regression", rows, target_scale="none")
    assert encode_target(target, rows, ()).tolist() == [10, 20, 60]


@pytest.mark.parametrize(
    ("task", "cells", "message"),
    [
        ("binary", ["a", "a"], "the target 'y' has one class, 'a'"),
        ("binary", ["a", "b", "c", "c"], "has 3 classes .* and data.task is binary"),
        ("multiclass", ["a", "b", "c"], "a different class in every training row"),
        ("regression", ["5", "5"], "the target 'y' is 5 in every training row"),
        ("regression", ["5", "x"], "f.csv, line 3: column 'y' has 'x' where a number"),
    ],
)
def test_what_cannot_be_learned_is_refused(task: Task, cells: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(task, table(*cells))


def test_a_class_that_training_lacks_is_refused_with_its_line() -> None:
    target = fit("binary", table("a", "b", "a"))
    with pytest.raises(DataError, match=r"f\.csv, line 3: the class 'c' of 'y' is not among"):
        encode_target(target, table("a", "c"), ())
