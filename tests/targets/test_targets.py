"""Each target: fitted, encoded, and back in its own units."""

from typing import Any, get_args

import numpy as np
import polars as pl
import pytest

from dlcli.columns.family import column_statistics, statistics_of_cells
from dlcli.config.sections.data import DataConfig
from dlcli.errors import DataError
from dlcli.tables.table import Table
from dlcli.targets.base import Target, TargetScale
from dlcli.targets.family import TARGETS, fit_target, infer_task, target_type
from dlcli.targets.number_target import NumberTarget
from dlcli.targets.task import Task


def table(*cells: object) -> Table:
    frame = pl.DataFrame({"y": pl.Series(cells)})
    return Table(frame, "f.csv", np.arange(2, 2 + len(cells)), "line")


def fit(
    task: Task,
    rows: Table,
    *,
    scale: TargetScale = "standard",
    order: tuple[str, ...] | None = None,
) -> Any:
    statistics = column_statistics(rows, "y", (), wants_labels=True, wants_logs=scale == "log")
    config = DataConfig(path="f.csv", target="y", target_scale=scale, order=order)
    return fit_target(statistics, task, config.settings_of("y"))


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
    statistics = statistics_of_cells(pl.Series("y", cells), wants_labels=True)
    assert infer_task(statistics)[0] == task


def test_classes_are_sorted_numbers_by_size() -> None:
    target = fit("multiclass", table("10", "9", "2", "9"))
    assert target.classes == ("2", "9", "10")
    assert target.counts == (1, 2, 1)


def test_a_class_is_the_same_in_either_file_format() -> None:
    target = fit("binary", table("1", "0", "1"))
    assert target.encode(table(1.0, 0.0), ()).tolist() == [1, 0]
    target = fit("binary", table(True, False, True))
    assert target.encode(table("True", "false"), ()).tolist() == [1, 0]


def test_a_number_is_standardised_and_comes_back() -> None:
    rows = table("10", "20", "60")
    target = fit("regression", rows)
    values = target.encode(rows, ())
    assert values.mean() == pytest.approx(0)
    assert values.std() == pytest.approx(1)
    assert values * target.scale + target.center == pytest.approx([10, 20, 60])


def test_a_number_can_be_left_as_it_is() -> None:
    rows = table("10", "20", "60")
    target = fit("regression", rows, scale="none")
    assert target.encode(rows, ()).tolist() == [10, 20, 60]


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
        target.encode(table("a", "c"), ())


CELLS: dict[Task, list[object]] = {
    "binary": ["no", "yes", "no", "yes"],
    "multiclass": ["3", "1", "2", "1"],
    "multilabel": [["b", "a"], [], ["a"], ["c", "a"]],
    "ordinal": ["10", "9", "10", "0"],
    "regression": [1.5, 2.5, -4.0, 8.0],
    "forecast": [1.5, 2.5, -4.0, 8.0],  # of one step
}
ARE_NUMBERS = ("regression", "forecast")


@pytest.mark.parametrize("task", get_args(Task))
def test_each_task_has_one_target_that_says_so(task: Task) -> None:
    target = fit(task, table(*CELLS[task]))
    assert [type(target)] == [member for member in TARGETS if task in member.tasks()]
    assert target.task == task
    assert len(target.class_names) == len(target.class_counts)
    assert bool(target.score_names) == (task not in ARE_NUMBERS)
    assert bool(target.class_names) == target.has_classes


@pytest.mark.parametrize("task", get_args(Task))
def test_encoded_targets_come_back_in_their_own_units(task: Task) -> None:
    rows = table(*CELLS[task])
    target = fit(task, rows)
    encoded = target.encode(rows, ()).astype(target.dtype)
    truth = target.truth(encoded)
    if task == "multilabel":
        assert encoded.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 1]]
        [column, *_] = target.prediction_columns(truth)
        assert column.to_list() == [["a", "b"], [], ["a"], ["a", "c"]]
        assert (target.labels, target.totals, target.total) == (("a", "b", "c"), (3, 1, 1), 4)
        return
    if task in ARE_NUMBERS:
        assert truth.ravel() == pytest.approx(np.array(CELLS[task]), rel=1e-6)
        assert target.to_target_units(np.array([1.0])) == pytest.approx(
            target.to_target_units(np.array([0.0])) + target.unit
        )
    else:
        assert [target.class_names[index] for index in truth] == CELLS[task]
        assert target.unit == 1.0
        assert [target.class_counts[index] for index in np.unique(truth)] == list(
            np.bincount(encoded)
        )
    values, counts = target.training_values(encoded)
    assert np.sort(np.repeat(values, 1 if counts is None else counts)) == pytest.approx(
        np.sort(encoded.ravel())
    )


@pytest.mark.parametrize("task", get_args(Task))
def test_predictions_are_written_in_the_words_of_the_data(task: Task) -> None:
    target = fit(task, table(*CELLS[task]))
    if task in ARE_NUMBERS:
        (column,) = target.prediction_columns(np.array([0.5, 2.0]))
        assert column.to_list() == [0.5, 2.0]
        return
    num_classes = len(target.score_names)
    columns = target.prediction_columns(np.eye(num_classes))
    assert [column.name for column in columns] == [
        "prediction", *(f"probability_{name}" for name in target.score_names)
    ]  # fmt: skip
    words = columns[0].explode() if task == "multilabel" else columns[0]
    assert [str(cell) for cell in words] == list(target.score_names)


@pytest.mark.parametrize("task", get_args(Task))
def test_a_fitted_target_survives_the_checkpoint(task: Task) -> None:
    target: Target = fit(task, table(*CELLS[task]))
    assert type(target).model_validate_json(target.model_dump_json()) == target


@pytest.mark.parametrize("task", get_args(Task))
def test_other_rows_are_refused_by_their_statistics_as_by_their_cells(task: Task) -> None:
    target, other = fit(task, table(*CELLS[task])), table("no", "what")
    with pytest.raises(DataError) as by_cells:
        target.encode(other, ())
    statistics = column_statistics(other, "y", (), wants_labels=True)
    with pytest.raises(DataError) as by_statistics:
        target.refuse_unfit(statistics)
    assert str(by_cells.value) == str(by_statistics.value)


class TestOrder:
    def test_numbers_are_in_order_by_size_and_text_as_the_config_says(self) -> None:
        assert fit("ordinal", table("9", "10", "-1", "9")).classes == ("-1", "9", "10")
        rows = table("small", "large", "medium", "small")
        target = fit("ordinal", rows, order=("small", "medium", "large"))
        assert target.encode(rows, ()).tolist() == [0, 2, 1, 0]
        assert target.counts == (2, 1, 1)
        assert fit("ordinal", table(1, 2, 2), order=("2", "1")).classes == ("2", "1")

    @pytest.mark.parametrize(
        ("order", "message"),
        [
            (None, "is text, which has no order of its own; list its classes in data.order"),
            (("a", "b"), "has the class 'c', which is not in data.order"),
            (("a", "b", "c", "d"), "no training row of the class 'd' of data.order"),
        ],
    )
    def test_an_order_that_is_not_known_or_not_that_of_the_classes_is_refused(
        self, order: tuple[str, ...] | None, message: str
    ) -> None:
        with pytest.raises(DataError, match=message):
            fit("ordinal", table("a", "b", "c", "a"), order=order)


class TestLabels:
    @pytest.mark.parametrize(
        ("cells", "sets"),
        [
            (["b;a", ";", "a", "c ; a"], ["a;b", ";", "a", "a;c"]),
            (["b|a", "|", "a", "c|a"], ["a|b", "|", "a", "a|c"]),
            (["b,a", "[]", "a", "c,a"], ["a,b", ",", "a", "a,c"]),
            (['["b", "a"]', "[]", '["a"]', '["c", "a"]'], [["a", "b"], [], ["a"], ["a", "c"]]),
        ],
    )
    def test_they_are_read_and_written_as_the_cells_have_them(
        self, cells: list[str], sets: list[object]
    ) -> None:
        rows = table(*cells)
        target = fit("multilabel", rows)
        encoded = target.encode(rows, ())
        assert encoded.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 1]]
        assert target.prediction_columns(encoded)[0].to_list() == sets
        statistics = column_statistics(rows, "y", (), wants_labels=True)
        said = [*target.notes(statistics)]
        assert said == [] or "are separated by" in said[0]

    def test_a_list_of_labels_asks_for_the_task(self) -> None:
        statistics = column_statistics(table(["a"], ["b", "a"], []), "y", (), wants_labels=True)
        assert infer_task(statistics) == ("multilabel", "lists of labels, 3 different ones")

    def test_a_list_is_not_missing_where_it_is_empty_and_is_where_it_is_not_there(self) -> None:
        target = fit("multilabel", table(["a"], ["b"], []))
        assert target.encode(table([], ["a"]), ()).tolist() == [[0, 0], [1, 0]]
        with pytest.raises(DataError, match="line 3: the target 'y' is missing here"):
            target.encode(table(["a"], None), ())

    def test_labels_may_hold_any_characters(self) -> None:
        words = ['say "no"', "a\\b", "x,y", "ü"]
        rows = table(words, [words[1]])
        target = fit("multilabel", rows)
        assert sorted(target.labels) == sorted(words)
        assert target.prediction_columns(target.encode(rows, ()))[0].to_list() == [
            sorted(words), [words[1]]
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (["a", "b"], "has one label in each cell, such as 'a': where labels are separated by"),
            ([[], []], "has no label in any training row"),
            ([["a"], ["a"]], r'is \["a"\] in every training row'),
        ],
    )
    def test_what_can_not_be_learned_is_refused(self, cells: list[object], message: str) -> None:
        with pytest.raises(DataError, match=message):
            fit("multilabel", table(*cells))

    def test_each_part_gets_its_share_of_the_rarest_labels(self) -> None:
        cells = pl.Series(["a;b", "a", "a;c", "b;c", ";", "a;b"])
        config = DataConfig(path="f.csv", target="y")
        strata = target_type("multilabel").strata(cells, config.settings_of("y"))
        assert strata is not None
        # b is in three rows, c in two, a in four: c goes before b, b before a.
        assert [["", "a", "b", "c"][code] for code in strata] == ["b", "a", "c", "c", "", "b"]


class TestLogarithms:
    ROWS = table("1", "10", "100", "1000")

    def test_the_logarithm_is_standardised_and_comes_back(self) -> None:
        target = fit("regression", self.ROWS, scale="log")
        values = target.encode(self.ROWS, ())
        assert values.mean() == pytest.approx(0)
        assert values.std() == pytest.approx(1)
        assert np.diff(values) * target.unit == pytest.approx(np.log(10))
        assert target.truth(values.astype(np.float32)) == pytest.approx([1, 10, 100, 1000])
        assert target.loss_quantity == "log(y)"
        assert any("medians" in note for note in target.notes(None))
        assert type(target).model_validate_json(target.model_dump_json()) == target

    def test_a_prediction_is_never_larger_than_a_target_can_be(self) -> None:
        target = fit("regression", self.ROWS, scale="log")
        assert np.isfinite(target.to_target_units(np.array([1e6, -1e6]))).all()

    @pytest.mark.parametrize("cell", ["0", "-2.5"])
    def test_a_number_without_a_logarithm_is_refused_with_its_line(self, cell: str) -> None:
        rows = table("1", cell, "3", cell)
        message = (
            rf"f\.csv, line 3: the target 'y' is {cell} where only numbers above 0 have a "
            r"logarithm, and 1 more such row; set data\.target_scale: standard"
        )
        with pytest.raises(DataError, match=message):
            fit("regression", rows, scale="log")
        target = fit("regression", self.ROWS, scale="log")
        with pytest.raises(DataError, match=message):
            target.encode(rows, ())
        with pytest.raises(DataError, match=message):
            target.refuse_unfit(column_statistics(rows, "y", (), wants_logs=True))

    def test_a_target_of_an_earlier_checkpoint_is_no_logarithm(self) -> None:
        old = NumberTarget.model_validate_json(
            '{"name": "y", "kind": "number", "center": 2.0, "scale": 3.0}'
        )
        assert old.to_target_units(np.array([1.0])).tolist() == [5.0]
