"""Weights of rows: what is fitted to them, which are refused, and what a weight of 0 means."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.config import LoadedConfig
from dlcli.data.dataset import Dataset, load_dataset
from dlcli.data.encoding import encode_blocks
from dlcli.data.fields import concatenate
from dlcli.data.signature import WEIGHT
from dlcli.errors import DataError
from dlcli.tables import reading
from dlcli.targets.class_target import ClassTarget
from dlcli.targets.task import Task
from tests.conftest import Command, WriteConfig
from tests.data.weighted import TASKS, WEIGHTED, write_both

Load = Callable[..., LoadedConfig]
SPLIT = {"split": {"column": "part"}}


def flat(value: Any) -> list[Any]:
    """Return all values of nested data, in order, and the keys."""
    if isinstance(value, dict):
        return [item for key in value for item in (key, *flat(value[key]))]
    if isinstance(value, list):
        return [item for one in value for item in flat(one)]
    return [value]


def close(values: list[Any]) -> list[Any]:
    return [pytest.approx(one, rel=1e-9) if isinstance(one, float) else one for one in values]


def fitted_state(dataset: Dataset) -> list[Any]:
    """Return all that is fitted; classes are counted by their weight."""
    state = json.loads(dataset.fitted.model_dump_json())
    state.pop("weight")
    totals = state["target"].pop("weights", None)
    if totals is not None:
        state["target"]["counts"] = totals
    return flat(state)


@pytest.mark.parametrize(
    ("task", "scale", "streaming"),
    [
        *((task, "standard", False) for task in TASKS),
        *(("binary", scale, True) for scale in ("standard", "robust_clip", "quantile")),
    ],
)
def test_what_is_fitted_to_weighted_rows_is_fitted_to_repeated_rows(
    task: Task,
    scale: str,
    streaming: bool,
    load: Load,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 2_000)
    weighted, repeated = write_both(task, tmp_path)
    how = {**SPLIT, "streaming": streaming, "one_hot_max": 6, "scale": scale}
    found = fitted_state(load_dataset(load(weighted, "y", data={**how, **WEIGHTED})))
    wanted = fitted_state(load_dataset(load(repeated, "y", data=how)))
    plain = fitted_state(load_dataset(load(weighted, "y", data={**how, "features": FEATURES})))
    assert close(wanted) == found
    assert close(wanted) != plain


FEATURES = ["x", "kind", "code", "ok", "day"]


def test_held_and_streamed_rows_have_the_same_weights(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 2_000)
    weighted, _ = write_both("binary", tmp_path)
    held, streamed = (
        load_dataset(load(weighted, "y", data={**SPLIT, **WEIGHTED, "streaming": streaming}))
        for streaming in (False, True)
    )
    assert held.num_rows == streamed.num_rows
    assert streamed.stream is not None
    blocks = [*encode_blocks(streamed.fitted, streamed.stream, ["test"])]
    weights = concatenate([block.examples for block in blocks]).targets[WEIGHT]
    assert len(blocks) > 1
    assert np.array_equal(weights, held.parts["test"].targets[WEIGHT])
    assert weights.dtype == np.float32
    said = next(note for note in held.notes if "weight 0" in note)
    assert said.endswith("rows left out, of weight 0 (data.weight)")
    assert said in streamed.notes


def rows(*weights: object, parts: str | None = None) -> list[str]:
    lines = [f"{index},{'ab'[index % 2]},{weight}" for index, weight in enumerate(weights)]
    lines = [f"{line},{(parts or 'train')}" for line in lines]
    return ["x,y,w,part", *lines]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ("-1", "is -1, less than 0; correct it, or give the row the weight 0"),
        ("", "is missing; correct it, or give the row the weight 0, which leaves it out"),
        ("inf", "is not finite"),
        ("heavy", "is 'heavy', not a number"),
        ("1e300", "is 1e+300, not 0 and not between 1e-20 and 1e+20; correct it, or multiply"),
        ("1e-30", "is 1e-30, not 0 and not between 1e-20 and 1e+20"),
    ],
)
def test_a_weight_that_is_none_is_refused_with_its_line(
    weight: str, said: str, streaming: bool, table: Any, load: Load
) -> None:
    file = table(*rows(1, 2, 3, weight, 1, 2, weight, 1))
    data = {**WEIGHTED, "streaming": streaming}
    with pytest.raises(DataError) as error:
        load_dataset(load(file, "y", data=data))
    assert f"table.csv, line 5: the weight 'w' (data.weight) {said}" in str(error.value)
    repaired = table(*rows(1, 2, 3, 0, 1, 2, 0, 1))
    assert load_dataset(load(repaired, "y", data=data)).num_rows == {"train": 6}


def test_weights_of_any_size_can_be_brought_to_one_that_is_taken(table: Any, load: Load) -> None:
    file = table(*rows(*(f"{weight}e30" for weight in (1, 2, 3, 4))))
    with pytest.raises(DataError, match="multiply all weights by one factor: only their ratios"):
        load_dataset(load(file, "y", data=WEIGHTED))
    smaller = table(*rows(*(f"{weight}e5" for weight in (1, 2, 3, 4))))
    fitted, wanted = (
        fitted_state(load_dataset(load(one, "y", data={**WEIGHTED, "features": ["x"]})))
        for one in (smaller, table(*rows(1, 2, 3, 4), name="small.csv"))
    )
    counts = [one for one in fitted if one not in wanted]
    assert counts == [4e5, 6e5]  # of the classes: all else is the same


@pytest.mark.parametrize("streaming", [False, True])
def test_a_part_in_which_no_row_counts_is_refused(streaming: bool, table: Any, load: Load) -> None:
    lines = [*rows(1, 2, 3, 4), "7,a,0,test", "8,b,0,test"]
    data = {**WEIGHTED, **SPLIT, "streaming": streaming}
    with pytest.raises(DataError, match="line 6: every test row has the weight 0 in 'w'"):
        load_dataset(load(table(*lines), "y", data=data))
    some = load_dataset(load(table(*lines, "9,b,2,test"), "y", data=data))
    assert some.num_rows == {"train": 4, "test": 1}
    with pytest.raises(DataError, match=r"line 2: every (train )?row has the weight 0 in 'w'"):
        load_dataset(load(table(*rows(0, 0, 0, 0)), "y", data={**data, "split": {}}))
    other = table(*rows(0, 0), name="other.csv")
    with pytest.raises(DataError, match=r"other\.csv, line 2: every (test )?row has the weight 0"):
        load_dataset(load(table(*lines), "y", data={**data, "split": {}, "test_path": str(other)}))


def test_a_row_that_does_not_count_teaches_no_category_and_no_class(table: Any, load: Load) -> None:
    lines = ["x,c,y,w"]
    lines += [f"{index},{'uv'[index // 2 % 2]},{'ab'[index % 2]},2" for index in range(12)]
    lines += ["1000,rare,z,0", "0,u,a,2"]
    dataset = load_dataset(load(table(*lines), "y", data={**WEIGHTED, "scale": "minmax"}))
    x, c = dataset.fitted.columns
    assert (x.center_and_scale, c.num_slots) == ((0.0, 11.0), 2)
    assert isinstance(dataset.fitted.target, ClassTarget)
    assert dataset.fitted.target.classes == ("a", "b")
    assert dataset.fitted.target.weights == (14.0, 12.0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"weight": "wieght"}, "has no column 'wieght'; did you mean 'weight'?"),
        ({"weight": "y"}, "the target 'y' can't be `weight` too"),
        ({"weight": "weight", "features": ["x", "weight"]}, "is listed in `features`; take it out"),
        ({"weight": "weight", "kinds": {"weight": "numeric"}}, "'weight' is the weight column"),
    ],
)
def test_a_weight_column_that_can_not_be_one_is_a_problem_of_the_config(
    data: dict[str, Any], said: str, table: Any, dlcli: Command, write_config: WriteConfig
) -> None:
    file = table("x,weight,y", *(f"{index},2,{'ab'[index % 2]}" for index in range(9)))
    outcome = dlcli("validate", write_config(file, "y", data=data))
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
