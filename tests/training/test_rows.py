"""Batches of many fields: every row comes once, whole, in the same order from any step on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcli.config.sections.training import LastBatch, TrainingConfig
from dlcli.data.disk_cache import RowCache
from dlcli.data.fields import lengths_of
from dlcli.training.rows import batches, streamed
from dlcli.training.rows.batches import Rows, to_rows
from dlcli.training.rows.steps import epoch_steps
from dlcli.training.rows.streamed import StreamedRows
from tests.data.made_fields import INPUTS, TARGETS, make, rows_of

CPU = torch.device("cpu")
NUM_ROWS = 507
EXAMPLES = make(NUM_ROWS, seed=3)


@pytest.fixture(params=["held", "streamed"])
def rows(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rows | StreamedRows]:
    """The examples, in small windows."""
    monkeypatch.setattr(batches, "_WINDOW_BYTES", 4000)
    monkeypatch.setattr(streamed, "_CHUNK_BYTES", 700)
    monkeypatch.setattr(streamed, "_WINDOW_CHUNKS", 4)
    if request.param == "held":
        yield to_rows(EXAMPLES, CPU)
        return
    cache = RowCache(Path(), INPUTS, TARGETS)
    for start in range(0, NUM_ROWS, 90):
        cache.append(EXAMPLES.take(np.arange(start, min(start + 90, NUM_ROWS))))
    yield StreamedRows(cache, CPU)
    cache.close()


def unpadded(batch: Rows) -> list[dict[str, Any]]:
    """Return each row by itself; what stands behind a ragged field's values is zero."""
    tensors = {**batch.inputs, **batch.targets}
    ragged = [field.name for field in (*INPUTS, *TARGETS) if field.is_ragged]
    found = []
    for row in range(len(batch)):
        values = {}
        for field in (*INPUTS, *TARGETS):
            tensor = tensors[field.name][row]
            if field.name in ragged:
                length = int(tensors[lengths_of(field.name)][row])
                assert not tensor[length:].any()
                tensor = tensor[:length]
            values[field.name] = tensor.tolist()
        found.append(values)
    return found


def taken(rows: Rows | StreamedRows, **options: Any) -> list[list[list[dict[str, Any]]]]:
    settings: dict[str, Any] = {"batch_size": 32, "accumulate": 2, "seed": 0, "epoch": 1}
    return [[unpadded(batch) for batch in step] for step in epoch_steps(rows, **settings | options)]


def by_text(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(map(str, rows))


@pytest.mark.parametrize("batch_size", [7, 32, 600])
def test_an_epoch_takes_every_row_once_with_all_its_fields(
    rows: Rows | StreamedRows, batch_size: int
) -> None:
    steps = taken(rows, batch_size=batch_size)
    flat = [row for step in steps for batch in step for row in batch]
    assert by_text(flat) == by_text(rows_of(EXAMPLES))
    assert flat != rows_of(EXAMPLES)


def test_batches_have_the_types_of_their_fields(rows: Rows | StreamedRows) -> None:
    types = {"uint8": torch.uint8, "int16": torch.int16, "int32": torch.int32}
    types |= {"int64": torch.int64, "float32": torch.float32}
    for step in epoch_steps(rows, batch_size=50, accumulate=1, seed=0, epoch=2):
        for batch in step:
            tensors = {**batch.inputs, **batch.targets}
            for field in (*INPUTS, *TARGETS):
                shape = tensors[field.name].shape
                assert shape == (len(batch), *shape[1 : 1 + field.is_ragged], *field.shape)
                assert tensors[field.name].dtype == types[field.dtype.name]


@pytest.mark.parametrize("batch_size", [7, 50])
def test_from_any_step_on_an_epoch_goes_on_the_same(
    rows: Rows | StreamedRows, batch_size: int
) -> None:
    whole = taken(rows, batch_size=batch_size)
    for start in range(len(whole) + 1):
        assert taken(rows, batch_size=batch_size, start=start) == whole[start:]


def test_the_first_rows_and_a_full_batch_are_in_the_order_of_the_file(
    rows: Rows | StreamedRows,
) -> None:
    assert unpadded(rows.head(3)) == rows_of(EXAMPLES)[:3]
    assert taken(rows, batch_size="full", accumulate=1) == [[rows_of(EXAMPLES)]]


def test_rows_of_a_network_are_copied_field_by_field() -> None:
    first, second = (to_rows(make(6, seed, INPUTS[:3] + TARGETS[:1]), CPU) for seed in (1, 2))
    copy = first.each(torch.clone)
    copy.copy_from(second)
    assert values_of(copy) == values_of(second)
    assert values_of(first) != values_of(second)


def values_of(rows: Rows) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in {**rows.inputs, **rows.targets}.items()}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("batch_size", [32, 100, 506, 507, 600])
@pytest.mark.parametrize(
    ("last_batch", "rows_of_last"),
    [
        ("keep", {32: 27, 100: 7, 506: 1, 507: 507, 600: 507}),
        ("drop", {32: 32, 100: 100, 506: 506, 507: 507, 600: 507}),
        ("join", {32: 59, 100: 107, 506: 507, 507: 507, 600: 507}),
    ],
)
def test_a_short_last_batch_is_kept_dropped_or_joined(
    rows: Rows | StreamedRows,
    last_batch: LastBatch,
    rows_of_last: dict[int, int],
    batch_size: int,
    accumulate: int,
) -> None:
    settings = TrainingConfig(
        batch_size=batch_size, accumulate_batches=accumulate, last_batch=last_batch
    )
    options: dict[str, Any] = {"batch_size": batch_size, "accumulate": accumulate}
    options["last_batch"] = last_batch

    def taken_from(start: int, **others: Any) -> list[list[list[Any]]]:
        steps = epoch_steps(rows, seed=0, epoch=1, start=start, **options | others)
        return [[batch.targets[TARGETS[0].name].tolist() for batch in step] for step in steps]

    steps = taken_from(0)
    sizes = [len(batch) for step in steps for batch in step]
    assert len(steps) == settings.steps_per_epoch(NUM_ROWS)
    assert len(sizes) == settings.batches_per_epoch(NUM_ROWS)
    assert sum(sizes) == settings.rows_per_epoch(NUM_ROWS)
    assert max(sizes) == settings.rows_per_batch(NUM_ROWS)
    assert min(sizes) == settings.rows_of_smallest_shard(NUM_ROWS)
    assert sizes[-1] == rows_of_last[batch_size]
    order = [row for step in taken_from(0, last_batch="keep") for batch in step for row in batch]
    assert [row for step in steps for batch in step for row in batch] == order[: sum(sizes)]
    for start in {1, len(steps) - 1} - {len(steps)}:
        assert taken_from(start) == steps[start:]
