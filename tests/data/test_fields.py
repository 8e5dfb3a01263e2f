"""Encoded rows by field: what is taken, joined and kept on disk is what was there."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcli.config import LoadedConfig
from dlcli.data.dataset import load_dataset
from dlcli.data.disk_cache import RowCache
from dlcli.data.fields import Examples, Field, Slots, concatenate, pad
from dlcli.data.fitted import FittedData
from tests.data.made_fields import INPUTS, TARGETS, made, make, rows_of

Load = Callable[..., LoadedConfig]


def fitted_to(load: Load, table: Callable[..., Path]) -> tuple[FittedData, Examples]:
    """Return a table of every kind of column, encoded."""
    lines = [
        f"{row},c{row % 12:02},{'ab'[row % 2]},{row if row % 3 else ''},2024-01-{row + 1:02},"
        f"k{row % 11:02},{row % 2}"
        for row in range(24)
    ]
    path = table("x,city,side,gaps,day,shop,y", *lines)
    dataset = load_dataset(load(path, "y", data={"scale": "none"}))
    return dataset.fitted, dataset.parts["train"]


def test_a_value_takes_what_its_numbers_take() -> None:
    image = Field("image", np.dtype(np.float32), (3, 4, 5))
    assert (image.size, image.num_bytes) == (60, 240)
    number = Field("target", np.dtype(np.int64), ())
    assert (number.size, number.num_bytes) == (1, 8)


def test_a_table_is_numbers_codes_and_a_target(load: Load, table: Callable[..., Path]) -> None:
    fitted, examples = fitted_to(load, table)
    fields = (*fitted.input_fields, *fitted.target_fields)
    assert [field.name for field in fields] == ["numbers", "codes", "target"]
    for field in fields:
        array = {**examples.inputs, **examples.targets}[field.name]
        assert (array.dtype, array.shape) == (field.dtype, (len(examples), *field.shape))


def test_the_slots_of_a_column_hold_its_encoding(load: Load, table: Callable[..., Path]) -> None:
    fitted, examples = fitted_to(load, table)
    slots = fitted.slots()
    assert slots["x"] == Slots("numbers", (0,))
    assert (slots["city"], slots["shop"]) == (Slots("codes", (0,)), Slots("codes", (1,)))
    assert examples.inputs["codes"][:12, 0].tolist() == list(range(1, 13))
    assert len(slots["gaps"].indices) == 2  # with an indicator
    assert examples.inputs["numbers"][:4, slots["gaps"].indices[1]].tolist() == [1, 0, 0, 1]
    taken = [(slot.field, index) for slot in slots.values() for index in slot.indices]
    wanted = [(field.name, index) for field in fitted.input_fields for index in range(field.size)]
    assert sorted(taken) == sorted(wanted)


def test_a_field_without_slots_is_left_out(load: Load, table: Callable[..., Path]) -> None:
    path = table("city,y", *[f"c{row % 12:02},{row % 2}" for row in range(24)])
    dataset = load_dataset(load(path, "y"))
    assert list(dataset.parts["train"].inputs) == ["codes"]


@settings(deadline=None)
@given(made, st.data())
def test_rows_are_taken_whole(examples: Examples, data: st.DataObject) -> None:
    rows = st.integers(0, len(examples) - 1) if len(examples) else st.nothing()
    chosen = data.draw(st.lists(rows))
    taken = examples.take(np.array(chosen, np.int64))
    every = rows_of(examples)
    assert rows_of(taken) == [every[row] for row in chosen]
    assert len(taken) == len(chosen)


@settings(deadline=None)
@given(st.lists(made, min_size=1, max_size=4))
def test_joined_blocks_have_all_rows(blocks: list[Examples]) -> None:
    joined = concatenate(blocks)
    assert rows_of(joined) == [row for block in blocks for row in rows_of(block)]
    assert len(joined) == sum(map(len, blocks))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 100))
def test_equal_rows_have_equal_bytes_and_no_others(seed: int) -> None:
    examples = make(30, seed, (TARGETS[0], INPUTS[3]))
    examples = concatenate([examples, examples.take(np.arange(29, -1, -1))])
    rows, encoded = rows_of(examples), list(examples.row_bytes())
    assert len(rows) == len(encoded)
    for first in range(60):
        for second in range(first):
            assert (encoded[first] == encoded[second]) == (rows[first] == rows[second])


def test_a_padded_field_has_zeros_behind_each_row() -> None:
    values, lengths = np.arange(1, 7, dtype=np.int32), np.array([2, 0, 3, 1])
    padded = pad(values, lengths, 4)
    assert padded.tolist() == [[1, 2, 0, 0], [0, 0, 0, 0], [3, 4, 5, 0], [6, 0, 0, 0]]
    assert padded.dtype == np.int32
    assert pad(values[:0], lengths[:0], 0).shape == (0, 0)


@settings(deadline=None, max_examples=50)
@given(st.lists(made, max_size=4), st.data())
def test_the_disk_cache_gives_back_what_it_was_given(
    blocks: list[Examples], data: st.DataObject
) -> None:
    rows = [row for block in blocks for row in rows_of(block)]
    bounds = st.tuples(st.integers(0, len(rows)), st.integers(0, len(rows))).map(sorted)
    chunks = data.draw(st.lists(bounds.map(lambda pair: (pair[0], pair[1])), max_size=5))
    with tempfile.TemporaryDirectory() as folder:
        cache = RowCache(Path(folder), INPUTS, TARGETS)
        for block in blocks:
            cache.append(block)
        found = cache.read(chunks)
        longest = cache.longest
        cache.close()
    assert len(cache) == len(rows)
    assert rows_of(found) == [row for start, stop in chunks for row in rows[start:stop]]
    for field in (*INPUTS, *TARGETS):
        assert {**found.inputs, **found.targets}[field.name].dtype == field.dtype
        if field.is_ragged:
            assert longest[field.name] == max((len(row[field.name]) for row in rows), default=0)
