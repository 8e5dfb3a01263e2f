"""Windows are cut from one copy of their series, in the order of any other rows."""

import numpy as np
import pytest
import torch

from dlcli.config import load_config
from dlcli.data.dataset import load_dataset
from dlcli.data.signature import NUMBERS
from dlcli.training.rows import batches
from dlcli.training.rows.batches import Rows, to_rows
from dlcli.training.rows.parts import rows_on
from dlcli.training.rows.steps import epoch_steps
from dlcli.training.rows.windowed import WindowRows
from tests.data.made_series import hourly, write_forecast

CPU = torch.device("cpu")


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> tuple[WindowRows, Rows]:
    """Training windows that are cut when they are needed, and with their own numbers each."""
    monkeypatch.setattr(batches, "_WINDOW_BYTES", 40_000)
    table = hourly(200, series=("north", "south"))
    path = write_forecast(table, window={"group": "shop", "targets": ["sales", "heat"]})
    part = load_dataset(load_config(path)).parts["train"]
    windowed = rows_on(part, CPU)
    assert isinstance(windowed, WindowRows)
    return windowed, to_rows(part, CPU)


def same(one: Rows, other: Rows) -> bool:
    tensors = {**other.inputs, **other.targets}
    return len(one) == len(other) and all(
        torch.equal(tensor, tensors[name]) for name, tensor in {**one.inputs, **one.targets}.items()
    )


def test_windows_are_those_that_have_their_own_numbers(both: tuple[WindowRows, Rows]) -> None:
    windowed, held = both
    chosen = torch.tensor([3, 150, 0])
    assert same(windowed.take(chosen), held.take(chosen))
    assert same(windowed.head(7), held.head(7))
    assert same(next(iter(windowed.blocks())), held.head(len(next(iter(windowed.blocks())))))


def test_a_step_of_the_series_is_in_memory_once(both: tuple[WindowRows, Rows]) -> None:
    windowed, held = both
    num_bytes = windowed.past.untyped_storage().nbytes()
    assert num_bytes < held.inputs[NUMBERS].nbytes / 8


@pytest.mark.parametrize("start", [0, 1, 5])
def test_batches_are_the_same_from_any_step_on(both: tuple[WindowRows, Rows], start: int) -> None:
    windowed, held = both
    found, expected = (
        [*epoch_steps(rows, batch_size=16, accumulate=2, seed=1, epoch=3, start=start)]
        for rows in (windowed, held)
    )
    assert len(found) == len(expected) == -(-len(held) // 32) - start
    for some, others in zip(found, expected, strict=True):
        assert all(map(same, some, others))


def test_a_full_batch_has_all_windows(both: tuple[WindowRows, Rows]) -> None:
    windowed, held = both
    [(batch,)] = epoch_steps(windowed, batch_size="full", accumulate=1, seed=1, epoch=1)
    assert same(batch, held)
    assert np.isfinite(batch.targets["target"].numpy()).all()
