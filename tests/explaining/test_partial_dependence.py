"""Partial dependence, of networks whose predictions are known."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from dlcli.columns.datetime import DatetimeColumn
from dlcli.columns.numeric import NumericColumn
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.partial_dependence import (
    ColumnDependence,
    PartialDependence,
    measure_partial_dependence,
)
from dlcli.explaining.unavailable import Unavailable
from dlcli.tables.table import Table
from dlcli.targets.number_target import NumberTarget
from dlcli.training.rows.batches import to_tensors
from tests.explaining.made import Columns, Layers, dense, make_model

RAW: dict[str, Any] = {"scale": "none", "target_scale": "none"}


def measured(model: ExplainedModel, *names: str) -> PartialDependence:
    found = measure_partial_dependence(model, names)
    assert isinstance(found, PartialDependence)
    return found


def linear_subject() -> ExplainedModel:
    """Return a network on scaled columns and target whose answer is 5 + 3 a - 2 b."""
    random = np.random.default_rng(1)
    a, b = random.normal(40, 9, 300), random.uniform(-1, 0, 300)
    columns: Columns = {"a": a.tolist(), "b": b.tolist(), "y": (5 + 3 * a - 2 * b).tolist()}
    model = make_model(columns, "y", [{"type": "dense"}])
    target, (first, second) = model.fitted.target, model.fitted.columns
    assert isinstance(target, NumberTarget)
    assert isinstance(first, NumericColumn)
    assert isinstance(second, NumericColumn)
    at_center = 5 + 3 * first.center - 2 * second.center
    with torch.no_grad():
        model.network.get_parameter("0_dense.weight").copy_(
            torch.tensor([[3 * first.scale, -2 * second.scale]]) / target.scale
        )
        model.network.get_parameter("0_dense.bias").fill_(
            (at_center - target.center) / target.scale
        )
    return model


def slopes(own: ColumnDependence, values: np.ndarray) -> np.ndarray:
    """Return the increases from place to place, for each unit of the column."""
    grid = np.array(own.grid, np.float64)
    steps = np.diff(grid).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(np.diff(values, axis=0) / steps)


def test_of_a_linear_network_it_is_a_line_with_its_slope_in_the_datas_units() -> None:
    found = measured(linear_subject(), "b", "a")
    assert [own.name for own in found.columns] == ["b", "a"]
    assert found.curves == ("y",)
    for own, slope in zip(found.columns, (-2, 3), strict=True):
        for values in (own.mean, own.low, own.high, own.lines):
            assert slopes(own, values) == pytest.approx(slope, rel=2e-3)
        assert np.quantile(own.row_values, [0.05, 0.95]) == pytest.approx(
            [own.grid[0], own.grid[-1]]
        )
    b, a = found.columns
    truth = 5 + 3 * a.row_values.mean() - 2 * np.array(b.grid, np.float64)
    assert b.mean[:, 0] == pytest.approx(truth, rel=1e-4)
    assert b.high[0, 0] - b.low[0, 0] == pytest.approx(
        3 * np.ptp(np.quantile(a.row_values, [0.1, 0.9]))
    )


def test_it_is_what_the_table_with_the_cells_replaced_gives() -> None:
    random = np.random.default_rng(2)
    columns: Columns = {
        "x": random.normal(size=80).tolist(),
        "many": [f"k{index}" for index in random.integers(0, 20, 80)],
        "y": random.choice(["no", "yes"], 80).tolist(),
    }
    network: Layers = [{"type": "dense", "units": 6, "activation": "tanh"}, {"type": "dense"}]
    model = make_model(columns, "y", network)
    (own,) = measured(model, "many").columns
    table = model.parts["test"].table
    for value, mean in zip(own.grid, own.mean[:, 0], strict=True):
        frame = table.frame.with_columns(pl.lit(value).alias("many"))
        replaced = Table(frame, "", table.numbers, "row", table.missing_values)
        rows = to_tensors(model.fitted.encode_inputs(replaced)[0], torch.device("cpu"))
        assert model.predict(rows)[:, 1].mean() == pytest.approx(mean, abs=1e-6)


def test_the_most_frequent_categories_are_shown_and_missing_is_one() -> None:
    names = [f"k{index:02d}" for index in range(30) for _ in range(40 - index)]
    cells = [*names, *[None] * 60]
    columns: Columns = {"c": cells, "y": [float(index % 7) for index in range(len(cells))]}
    found = measured(make_model(columns, "y", [{"type": "dense"}], split={}), "c")
    (own,) = found.columns
    assert own.axis == "category"
    assert own.grid == (None, *(f"k{index:02d}" for index in range(11)))
    assert own.row_values.tolist() == [60, *range(40, 29, -1)]
    assert own.num_left_out == 19


def test_truths_and_dates_are_what_they_are() -> None:
    days = np.datetime64("2024-01-01") + np.arange(200)
    columns: Columns = {
        "flag": [index % 2 == 0 for index in range(200)],
        "day": [str(day) for day in days],
        "y": np.arange(200.0).tolist(),
    }
    network = [dense([[7.0, 1.0, 0.0, 0.0, 0.0, 0.0]], [0.0])]
    model = make_model(columns, "y", network, target_scale="none")
    flag, day = measured(model, "flag", "day").columns
    assert set(flag.grid) == {"true", "false"}
    means = dict(zip(flag.grid, flag.mean[:, 0], strict=True))
    assert means["true"] - means["false"] == pytest.approx(7)
    assert day.axis == "time"
    first, last = (np.datetime64(round(float(day.grid[index] or 0)), "s") for index in (0, -1))
    assert days[0] <= first < last <= days[-1]
    _, column = model.fitted.columns
    assert isinstance(column, DatetimeColumn)
    assert slopes(day, day.mean) == pytest.approx(1 / column.scale, rel=1e-3)


def test_of_many_classes_the_most_frequent_are_followed() -> None:
    classes = [f"k{index:02d}" for index in range(60) for _ in range(4 + (index % 20 == 7))]
    random = np.random.default_rng(3)
    columns: Columns = {"x": random.normal(size=len(classes)).tolist(), "y": classes}
    found = measured(make_model(columns, "y", [{"type": "dense"}], split={}), "x")
    assert found.num_classes == 60
    assert {"k07", "k27", "k47"} < set(found.curves)
    assert found.columns[0].mean.shape == (25, 5)


def test_a_column_with_one_value_is_told_and_left_out() -> None:
    columns: Columns = {
        "still": [2.0] * 40,
        "empty": [*[1.0, 2.0] * 10, *[None] * 20],
        "part": [*["train"] * 20, *["test"] * 20],
        "x": [float(index % 3) for index in range(40)],
        "y": [float(index) for index in range(40)],
    }
    model = make_model(columns, "y", [{"type": "dense"}], split={"column": "part"})
    found = measured(model, "still", "empty", "x")
    assert found.without == ("still", "empty")
    assert found.columns[0].grid == (0.0, 1.0, 2.0)


def test_pixels_have_none() -> None:
    pixels = np.random.default_rng(4).normal(size=(20, 16))
    columns: Columns = {f"p{index}": pixels[:, index].tolist() for index in range(16)}
    network = [{"type": "flatten"}, {"type": "dense"}]
    model = make_model({**columns, "y": pixels[:, 3].tolist()}, "y", network, shape=[1, 4, 4])
    assert isinstance(measure_partial_dependence(model, ["p0"]), Unavailable)
