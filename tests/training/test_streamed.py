"""An epoch of streamed rows: its order, its batches, the figures of rows that are not learned."""

import errno
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcli.config import load_config
from dlcli.data.disk_cache import RowCache
from dlcli.data.fields import Examples, Field
from dlcli.errors import StorageError
from dlcli.network.builder import build_network
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.training.run import build_trainer, encode_to_disk
from dlcli.training.device import choose_placement
from dlcli.training.evaluation import evaluate
from dlcli.training.loop import EpochResult, Progress, Trainer, fit
from dlcli.training.objective import build_objective
from dlcli.training.rows import streamed
from dlcli.training.rows.batches import Rows, epoch_order
from dlcli.training.rows.steps import epoch_steps
from dlcli.training.rows.streamed import StreamedRows
from dlcli.training.saving.state import capture, restore_state
from tests.conftest import ROOT
from tests.reliability.configs import write_config

CPU = torch.device("cpu")
NUM_ROWS = 1003


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read chunks of 10 rows of two numbers, windows of 50 rows, blocks of 100."""
    monkeypatch.setattr(streamed, "_CHUNK_BYTES", 80)
    monkeypatch.setattr(streamed, "_WINDOW_CHUNKS", 5)
    monkeypatch.setattr(streamed, "_BLOCK_BYTES", 800)


@pytest.fixture
def rows() -> Iterator[StreamedRows]:
    """1,003 rows that are told apart by their first number, and their target."""
    cache = made_cache(2)
    for first in range(0, NUM_ROWS, 90):
        index = np.arange(first, min(first + 90, NUM_ROWS))
        cache.append(examples(np.column_stack([index, -index]), index))
    yield StreamedRows(cache, CPU)
    cache.close()


def made_cache(width: int) -> RowCache:
    numbers = Field("numbers", np.dtype(np.float32), (width,))
    return RowCache(Path(), [numbers], [Field("target", np.dtype(np.int64), ())])


def examples(numbers: np.ndarray, targets: np.ndarray) -> Examples:
    return Examples({"numbers": numbers.astype(np.float32)}, {"target": targets}, len(targets))


def taken(rows: StreamedRows | Rows, *, epoch: int = 1, seed: int = 0, **options: Any) -> list[Any]:
    settings = {"batch_size": 32, "accumulate": 2, **options}
    steps = epoch_steps(rows, seed=seed, epoch=epoch, **settings)
    return [[batch.targets["target"].tolist() for batch in step] for step in steps]


class TestOrder:
    def test_an_epoch_takes_every_row_once_with_its_target(self, rows: StreamedRows) -> None:
        steps = epoch_steps(rows, batch_size=32, accumulate=2, seed=0, epoch=1)
        batches = [batch for step in steps for batch in step]
        targets = torch.cat([batch.targets["target"] for batch in batches])
        features = torch.cat([batch.inputs["numbers"] for batch in batches])
        assert sorted(targets.tolist()) == list(range(NUM_ROWS))
        assert torch.equal(features, torch.stack([targets, -targets], dim=1).float())

    def test_it_is_a_function_of_seed_and_epoch(self, rows: StreamedRows) -> None:
        first = taken(rows)
        assert taken(rows) == first
        assert taken(rows, epoch=2) != first
        assert taken(rows, seed=1) != first

    def test_neither_chunks_nor_windows_stay_in_the_order_of_the_file(
        self, rows: StreamedRows
    ) -> None:
        order = np.concatenate([batch for step in taken(rows) for batch in step])
        assert np.corrcoef(order, np.arange(NUM_ROWS))[0, 1] < 0.4
        assert (np.diff(order) == 1).mean() < 0.1

    def test_the_rows_of_one_chunk_are_shuffled_anew_in_each_epoch(self) -> None:
        cache = made_cache(1)
        cache.append(examples(np.zeros((9, 1)), np.arange(9)))
        orders = [taken(StreamedRows(cache, CPU), epoch=epoch) for epoch in (1, 2, 3)]
        assert orders[0] != orders[1] != orders[2]
        cache.close()

    @pytest.mark.parametrize("batch_size", [1, 7, 32, 50, 64, 200, 5000])
    def test_only_the_last_batch_of_an_epoch_is_short(
        self, rows: StreamedRows, batch_size: int
    ) -> None:
        steps = taken(rows, batch_size=batch_size, accumulate=3)
        sizes = [len(batch) for step in steps for batch in step]
        assert set(sizes[:-1]) <= {batch_size}
        assert sizes[-1] == (NUM_ROWS - 1) % batch_size + 1
        assert {len(step) for step in steps[:-1]} <= {3}

    @pytest.mark.parametrize("batch_size", [7, 32, 50])
    def test_from_any_step_on_it_goes_on_the_same(
        self, rows: StreamedRows, batch_size: int
    ) -> None:
        whole = taken(rows, batch_size=batch_size)
        for start in range(len(whole) + 1):
            assert taken(rows, batch_size=batch_size, start=start) == whole[start:]

    def test_it_does_not_read_what_comes_before(
        self, rows: StreamedRows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = taken(rows, accumulate=1)
        seen: list[int] = []
        real = RowCache.read

        def read(cache: RowCache, chunks: Sequence[tuple[int, int]]) -> Examples:
            found = real(cache, chunks)
            seen.append(len(found))
            return found

        monkeypatch.setattr(RowCache, "read", read)
        assert taken(rows, accumulate=1, start=len(whole) - 2) == whole[-2:]
        assert 0 < sum(seen) <= 3 * 50

    def test_rows_in_memory_keep_their_order(self) -> None:
        index = torch.arange(20_000)
        held = Rows({"numbers": index[:, None].float()}, {"target": index}, 20_000)
        whole = taken(held, accumulate=1, batch_size=48)
        flat = [row for step in whole for batch in step for row in batch]
        assert flat == epoch_order(20_000, seed=0, epoch=1).tolist()
        assert taken(held, accumulate=1, batch_size=48, start=200) == whole[200:]

    def test_blocks_are_in_the_order_of_the_file(self, rows: StreamedRows) -> None:
        targets = [block.targets["target"] for block in rows.blocks()]
        assert [len(block) for block in targets] == [100] * 10 + [3]
        assert torch.cat(targets).tolist() == list(range(NUM_ROWS))
        assert rows.head(3).inputs["numbers"].tolist() == [[0, 0], [1, -1], [2, -2]]

    def test_a_disk_that_fails_is_told_as_that(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Failing(FileIO):
            def readinto(self, _: Any) -> int:
                raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Failing("f", "w+"))
        target = Field("target", np.dtype(np.int64), ())
        cache = RowCache(Path("here"), [], [target])
        cache.append(Examples({}, {"target": np.zeros(9, np.int64)}, 9))
        steps = epoch_steps(StreamedRows(cache, CPU), batch_size=2, accumulate=1, seed=0, epoch=1)
        with pytest.raises(StorageError, match=r"^here: cannot keep the encoded rows there: Input"):
            list(steps)
        cache.close()


def read_config(name: str, *overrides: str) -> Prepared:
    shares = "data.split={validation: 0.3, test: 0.2}"
    settings = ["data.streaming=true", shares, "training.device=cpu", *overrides]
    return prepare(load_config(ROOT / "configs" / f"{name}.yaml", settings))


def place(prepared: Prepared, stack: ExitStack) -> dict[str, StreamedRows]:
    placed: dict[str, Any] = {}
    assert list(encode_to_disk(prepared.dataset, Path(), CPU, placed, stack))[-1].is_over
    return placed


@pytest.mark.parametrize("name", ["moons", "penguins", "diabetes", "final_grade", "digits"])
def test_figures_summed_up_are_those_of_all_rows_at_once(name: str) -> None:
    prepared = read_config(name)
    target = prepared.dataset.fitted.target
    placement = choose_placement("cpu", "auto")
    network = build_network(prepared.plan, seed=1)
    objective = build_objective(prepared.loss, target, CPU)
    with ExitStack() as stack:
        rows = place(prepared, stack)["train"]
        blocks = list(rows.blocks())
        assert len(blocks) > 1
        held = rows.head(len(rows))
        figures = [
            evaluate(network, objective, given, target=target, placement=placement)
            for given in (held, rows.blocks())
        ]
    assert list(figures[0]) == list(figures[1])
    assert figures[1].pop("confusion_matrix", None) == figures[0].pop("confusion_matrix", None)
    assert figures[1].pop("roc_auc", 0) == pytest.approx(figures[0].pop("roc_auc", 0), abs=1e-3)
    assert figures[1] == pytest.approx(figures[0], rel=1e-5)


def begin(prepared: Prepared, stack: ExitStack) -> tuple[Trainer, dict[str, StreamedRows]]:
    return build_trainer(prepared, choose_placement("cpu", "auto")), place(prepared, stack)


def follow(trainer: Trainer, rows: dict[str, StreamedRows]) -> Iterator[Progress | EpochResult]:
    yield from fit(trainer, rows["train"], rows["validation"])


def test_a_streamed_run_resumed_at_any_step_ends_with_the_same_bits() -> None:
    path = write_config(
        Path("config.yaml"), "adam", "one_cycle", training={"epochs": 2, "batch_size": 30}
    )
    prepared = prepare(load_config(path, ["data.streaming=true"]))
    with ExitStack() as stack:
        trainer, rows = begin(prepared, stack)
        states = [capture(trainer) for _ in follow(trainer, rows)]
        assert len(states) == 2 * (trainer.schedule.steps_per_epoch + 1)
        for state in states:
            again, _ = begin(prepared, stack)
            restore_state(again, state)
            for _ in follow(again, rows):
                pass
            end = capture(again)
            assert end.numbers.summed_loss == states[-1].numbers.summed_loss
            for name, weight in states[-1].weights.items():
                assert torch.equal(end.weights[name], weight)
            for name, weight in states[-1].best.items():
                assert torch.equal(end.best[name], weight)


def test_an_array_and_embedded_columns_are_streamed_too() -> None:
    for name, overrides in (("digits", []), ("penguins", ["data.one_hot_max=1"])):
        prepared = read_config(name, "training.epochs=2", *overrides)
        with ExitStack() as stack:
            trainer, rows = begin(prepared, stack)
            results = [event for event in follow(trainer, rows) if isinstance(event, EpochResult)]
        assert results[1].train_loss < results[0].train_loss
