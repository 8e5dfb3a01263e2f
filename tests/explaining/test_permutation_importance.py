"""Permutation importance, against what algebra says of networks with given weights."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dlcli.data.fields import Slots
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons import permutation_importance as module
from dlcli.explaining.reasons.permutation import ShufflePlan, measure_loss_increase
from dlcli.explaining.reasons.permutation_importance import (
    ColumnImportance,
    PermutationImportance,
    measure_importance,
)
from dlcli.explaining.unavailable import Unavailable
from dlcli.training.engines.threads import using_threads
from tests.explaining.made import Layers, dense, make_model

RAW: dict[str, Any] = {"scale": "none", "target_scale": "none"}


def measured(
    model: ExplainedModel, max_work: float = module.SECONDS * module._PRODUCTS
) -> PermutationImportance:
    found = measure_importance(model, seconds=max_work / module._PRODUCTS)
    assert isinstance(found, PermutationImportance)
    return found


def by_name(found: PermutationImportance) -> dict[str, ColumnImportance]:
    return {own.name: own for own in found.columns}


def planted(num_rows: int = 400, **data: Any) -> ExplainedModel:
    """Return a network that knows two of ten columns, and listens a little to the others."""
    random = np.random.default_rng(1)
    x = random.standard_normal((num_rows, 10)).round(4)
    y = 3 * x[:, 2] - 2 * x[:, 7] + random.standard_normal(num_rows)
    weights = np.full(10, 0.02)
    weights[[2, 7]] = 3, -2
    columns = {f"x{index}": x[:, index].tolist() for index in range(10)}
    network = [dense([weights.tolist()], [0.0])]
    return make_model({**columns, "y": y.tolist()}, "y", network, **RAW, **data)


def test_the_planted_columns_are_the_most_important_ones() -> None:
    found = measured(planted())
    assert (found.sample.part, len(found.sample), found.num_shuffles) == ("test", 200, 10)
    first, second, *others = found.columns
    assert (first.name, second.name) == ("x2", "x7")
    assert first.is_clear
    assert second.is_clear
    assert min(first.low, second.low) > max(own.high for own in others)
    assert all(own.low <= 0 or own.increase < 0.1 for own in others)
    # 2 w² Var(x), where other columns and the noise are independent of it
    assert first.increase == pytest.approx(18, rel=0.2)
    assert second.increase == pytest.approx(8, rel=0.2)
    assert found.loss == pytest.approx(1.0, abs=0.2)


def test_the_rise_is_in_the_targets_units_whatever_its_scale() -> None:
    random = np.random.default_rng(2)
    x = random.standard_normal(300)
    columns = {"x": x.tolist(), "y": (1000 * x).tolist()}
    found = measured(make_model(columns, "y", [dense([[1.0]], [0.0])]))
    assert found.columns[0].increase == pytest.approx(2e6, rel=0.2)
    found = measured(make_model(columns, "y", [dense([[1.0]], [0.0])], loss="mae"))
    assert found.columns[0].increase == pytest.approx(1000 * 2 / np.pi**0.5, rel=0.2)


def test_intervals_hold_what_is_true_of_all_rows() -> None:
    model = planted(6400)
    rows = model.parts["test"].encoded
    random = np.random.default_rng(3)
    held = []
    for start in range(0, 3200, 32):
        shuffle_plan = ShufflePlan(10, random.permutation(32))
        found = measure_loss_increase(
            model, rows.cut(start, start + 32), [Slots("numbers", (2,))], shuffle_plan
        )
        held.append(abs(found.mean[0] - 18) < found.reach[0])
    assert 86 <= sum(held) <= 100


def test_intervals_are_over_groups_whose_rows_say_the_same() -> None:
    model = planted(400)
    once = model.parts["test"].encoded.head(60)
    thrice = once.take(torch.arange(60).repeat_interleave(3))
    order = np.random.default_rng(1).permutation(180)
    slots, plan = [Slots("numbers", (2,))], ShufflePlan(20, order)
    groups = np.arange(60).repeat(3)
    rows, whole = (
        measure_loss_increase(model, thrice, slots, plan, some) for some in (None, groups)
    )
    assert whole.mean == rows.mean
    assert whole.reach[0] == pytest.approx(3**0.5 * rows.reach[0], rel=0.1)


def test_intervals_hold_what_is_true_of_all_groups() -> None:
    """Of 4 equal rows each: taken for independent, they would say twice as much as they do."""
    random = np.random.default_rng(5)
    x = np.repeat(random.uniform(-(3**0.5), 3**0.5, 2400), 4)  # of variance 1
    columns = {"x": x.tolist(), "y": (3 * x).tolist()}
    model = make_model(columns, "y", [dense([[3.0]], [0.0])], split={}, **RAW)
    rows, slots = model.parts["train"].encoded, [Slots("numbers", (0,))]
    # 2 w² Var(x), but for pairs of a group, which are equal
    truth, of_groups, of_rows = 18 * (1 - 3 / 95), 0, 0
    groups = np.repeat(np.arange(24), 4)
    for start in range(0, 9600, 96):
        some, plan = rows.cut(start, start + 96), ShufflePlan(10, random.permutation(96))
        found = measure_loss_increase(model, some, slots, plan, groups)
        of_groups += abs(found.mean[0] - truth) < found.reach[0]
        found = measure_loss_increase(model, some, slots, plan)
        of_rows += abs(found.mean[0] - truth) < found.reach[0]
    assert 90 <= of_groups <= 100
    assert of_rows < 80


def test_rows_that_are_split_by_groups_have_the_intervals_of_groups() -> None:
    x = np.repeat(np.random.default_rng(2).normal(size=40), 5)
    columns = {"x": x.tolist(), "y": (2 * x).tolist(), "shop": np.repeat(range(40), 5).tolist()}
    split = {"group": "shop", "test": 0.5}
    model = make_model(columns, "y", [dense([[2.0]], [0.0])], split=split)
    found, of_rows = measured(model), measured(replace(model, group=None))
    assert (found.num_groups, of_rows.num_groups) == (20, None)
    (column,), (other,) = found.columns, of_rows.columns
    assert column.increase == other.increase
    widths = column.high - column.low, other.high - other.low
    # 5 equal rows say what one does; of Student's t there are 19 degrees of freedom, not 99
    assert widths[0] / widths[1] == pytest.approx(5**0.5 * 2.093 / 1.984, rel=0.1)


def test_a_cell_never_comes_from_its_own_row_and_each_gives_as_often_as_it_takes() -> None:
    donors = ShufflePlan(4, np.random.default_rng(0).permutation(5)).donors()
    every = np.tile(np.arange(5), (5, 1))
    with_own = np.vstack([donors, np.arange(5)])
    assert np.array_equal(np.sort(with_own, axis=0), every.T)
    assert np.array_equal(np.sort(with_own, axis=1), every)


def test_a_category_is_shuffled_with_all_that_it_is_encoded_as() -> None:
    random = np.random.default_rng(4)
    city = random.choice(["a", "b", "c"], 600)
    effect = np.select([city == "a", city == "b"], [0.0, 4.0], 9.0)
    x = random.standard_normal(600)
    columns = {"x": x.tolist(), "city": city.tolist(), "y": (effect + x).tolist()}
    found = measured(make_model(columns, "y", [dense([[1.0, 0.0, 4.0, 9.0]], [0.0])], **RAW))
    assert [own.name for own in found.columns] == ["city", "x"]
    held_out = found.sample.rows.encoded.inputs["numbers"].numpy() @ [0.0, 0.0, 4.0, 9.0]
    assert found.columns[0].increase == pytest.approx(2 * held_out.var(), rel=0.1)


def test_embedded_columns_and_indicators_of_gaps_are_found_where_they_stand() -> None:
    random = np.random.default_rng(5)
    many = [f"k{index}" for index in random.integers(0, 30, 400)]
    x = random.standard_normal(400)
    gaps = [None if index % 3 == 0 else float(value) for index, value in enumerate(x)]
    columns = {"many": many, "x": x.tolist(), "gaps": gaps, "y": random.normal(size=400).tolist()}
    # x, gaps, whether that is missing, and two numbers for a category
    network = [dense([[0.0, 0.0, 2.0, 5.0, 5.0]], [0.0])]
    model = make_model(columns, "y", network, embedding_dim=2)
    assert model.fitted.slots() == {
        "many": Slots("codes", (0,)),
        "x": Slots("numbers", (0,)),
        "gaps": Slots("numbers", (1, 2)),
    }
    found = by_name(measured(model))
    assert found["many"].low < found["many"].high
    assert found["gaps"].low < found["gaps"].high
    assert (found["x"].increase, found["x"].low, found["x"].high) == (0, 0, 0)


def test_a_column_whose_shuffling_makes_endless_answers_has_no_figure() -> None:
    # Each row's sum is finite, as the two are of opposite sign: of other rows' they are not.
    far = [3e38 * (-1) ** index for index in range(20)]
    columns = {"a": far, "b": [-cell for cell in far], "y": list(range(20))}
    model = make_model(columns, "y", [dense([[1.0, 1.0]], [0.0])], loss="mae", **RAW)
    found = measured(model)
    assert found.columns == ()
    assert found.not_finite == ("a", "b")


def test_rounding_is_no_importance() -> None:
    random = np.random.default_rng(9)
    x, y = random.standard_normal(100), random.normal(50, 5, 100)
    columns = {"x": x.tolist(), "y": y.tolist()}
    (own,) = measured(make_model(columns, "y", [dense([[1e-6]], [0.0])], **RAW)).columns
    assert (own.increase, own.low, own.high) == (0, 0, 0)


def test_columns_that_say_the_same_are_named() -> None:
    random = np.random.default_rng(6)
    x = random.standard_normal(200)
    columns = {
        "x": x.tolist(),
        "copy": np.exp(-3 * x).tolist(),
        "other": random.standard_normal(200).tolist(),
        "still": [1.0] * 200,
        "y": x.tolist(),
    }
    found = measured(make_model(columns, "y", [{"type": "dense"}]))
    (pair,) = found.correlated
    assert {pair.first, pair.second} == {"x", "copy"}
    assert pair.correlation == pytest.approx(-1)


def test_the_result_is_the_same_twice() -> None:
    model = planted()
    assert measured(model).columns == measured(model).columns


def test_training_rows_stand_in_for_held_out_ones_and_a_single_row_for_none() -> None:
    assert measured(planted(50, split={})).sample.part == "train"
    alone = make_model({"x": [1.0, 2.0, 4.0], "y": [1.0, 3.0, 2.0]}, "y", [{"type": "dense"}],
                         split={"test": 0.3})  # fmt: skip
    assert isinstance(measure_importance(alone), Unavailable)


def test_five_hundred_columns_take_seconds_by_fewer_shuffles() -> None:
    random = np.random.default_rng(7)
    x = random.standard_normal((900, 500)).round(3)
    columns = {f"x{index}": x[:, index].tolist() for index in range(500)}
    network: Layers = [{"type": "dense", "units": 64, "activation": "relu"}, {"type": "dense"}]
    model = make_model({**columns, "y": x[:, 0].tolist()}, "y", network)
    with using_threads(1):
        started = time.process_time()
        found = measured(model)
    assert time.process_time() - started < 6  # 2 where nothing else runs
    assert len(found.columns) == 500
    assert found.num_shuffles == 3


def test_where_time_is_short_rows_and_then_columns_are_chosen() -> None:
    model = planted(1000)
    found = measured(model, 10 * (module._WORK_PER_COLUMN + 300 * 200))
    assert 100 <= len(found.sample) < found.sample.num_held == 500
    assert found.num_shuffles == 2
    assert len(found.columns) == found.num_columns == 10
    found = measured(model, 4.2 * module._WORK_PER_COLUMN)
    assert (len(found.columns), found.num_columns) == (4, 10)
    assert [own.name for own in found.columns[:2]] == ["x2", "x7"]


def images(work: float) -> PermutationImportance:
    """Return what a network loses that looks at one pixel of an image only."""
    random = np.random.default_rng(8)
    pixels = random.uniform(size=(120, 2 * 36)).round(3)
    weights = np.zeros(72)
    weights[6 * 2 + 4] = 9.0
    columns = {f"p{index}": pixels[:, index].tolist() for index in range(72)}
    y = 9 * pixels[:, 6 * 2 + 4]
    network = [{"type": "flatten"}, dense([weights.tolist()], [0.0])]
    model = make_model({**columns, "y": y.tolist()}, "y", network, shape=[2, 6, 6], **RAW)
    return measured(model, work)


def test_pixels_of_an_image_have_a_map() -> None:
    found = images(module.SECONDS * module._PRODUCTS)
    assert found.pixels is not None
    assert found.clear is not None
    assert found.patch == 1
    assert (
        np.argwhere(found.pixels > 0.01).tolist() == np.argwhere(found.clear).tolist() == [[2, 4]]
    )


def test_patches_stand_in_for_pixels_where_time_is_short() -> None:
    found = images(12 * module._WORK_PER_COLUMN)
    assert found.pixels is not None
    assert (found.patch, len(found.columns)) == (2, 9)
    assert found.columns[0].name == "row 2, column 4"
    assert np.argwhere(found.pixels > 0.01).tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]]
