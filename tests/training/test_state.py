"""A run that goes on from any of its steps ends with the same bits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlcli.config import load_config
from dlcli.errors import DivergedError
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.training.run import build_trainer
from dlcli.training.device import Placement, choose_placement, configure_torch
from dlcli.training.loop import EpochResult, Progress, Trainer, fit
from dlcli.training.rows.batches import Rows, to_rows
from dlcli.training.saving.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dlcli.training.saving.state import StateError, capture, restore_state
from tests.reliability.comparing import checkpoint_differences
from tests.reliability.configs import OPTIMIZERS, PAIRS, write_config

SHORT = {"epochs": 2, "batch_size": 30}  # of 206 rows: 4 steps of at most two batches


def read_config(optimizer: str, schedule: str, **training: object) -> Prepared:
    settings = SHORT | {"device": "cpu", **training}
    path = write_config(Path("config.yaml"), optimizer, schedule, training=settings)
    return prepare(load_config(path))


def begin(prepared: Prepared) -> tuple[Trainer, dict[str, Rows], Placement]:
    training = prepared.config.training
    placement = choose_placement(training.device, training.precision)
    configure_torch(placement)
    parts = prepared.dataset.parts
    rows = {name: to_rows(part, placement.device) for name, part in parts.items()}
    return build_trainer(prepared, placement), rows, placement


def follow(trainer: Trainer, rows: dict[str, Rows]) -> Iterator[Progress | EpochResult]:
    for event in fit(trainer, rows["train"], rows["validation"]):
        yield replace(event, seconds=0.0) if isinstance(event, EpochResult) else event


def checkpoint(prepared: Prepared, trainer: Trainer) -> Checkpoint:
    state = capture(trainer)
    dataset = prepared.dataset
    weights = state.judged or state.weights
    return Checkpoint(prepared.config, dataset.fitted, dataset.checksums, 1, weights, state)


def resume_at_every_step(prepared: Prepared) -> int:
    trainer, rows, _ = begin(prepared)
    straight = []
    for index, event in enumerate(follow(trainer, rows)):
        straight.append(event)
        save_checkpoint(Path(f"{index}.safetensors"), checkpoint(prepared, trainer))
    end = checkpoint(prepared, trainer)
    for index in range(len(straight)):
        torch.manual_seed(index)  # whatever the generator was left at
        again, rows, _ = begin(prepared)
        state = load_checkpoint(Path(f"{index}.safetensors")).state
        assert state is not None
        restore_state(again, state)
        assert list(follow(again, rows)) == straight[index + 1 :]
        assert checkpoint_differences(checkpoint(prepared, again), end) == []
    return len(straight)


@pytest.mark.parametrize(("optimizer", "schedule"), PAIRS)
def test_a_run_resumed_at_any_step_ends_with_the_same_bits(optimizer: str, schedule: str) -> None:
    epochs = 3 if schedule == "reduce_on_plateau" else 2  # the first in which it can act
    prepared = read_config(optimizer, schedule, epochs=epochs)
    assert resume_at_every_step(prepared) == epochs * (4 + 1)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_half_precision_too(precision: str) -> None:
    prepared = read_config("adam", "cosine", precision=precision)
    assert resume_at_every_step(prepared) == 2 * (4 + 1)


def test_with_an_average_of_the_weights_too() -> None:
    prepared = read_config("sgd", "constant", ema={"decay": 0.7})
    assert resume_at_every_step(prepared) == 2 * (4 + 1)


def test_with_rows_of_different_lengths_too() -> None:
    words = ["nice", "bad", "so", "rain", "sun", "and"]
    lines = [
        f"{' '.join(words[row % 5 :] * (row % 7))} {words[row % 2]},{row % 2}" for row in range(45)
    ]
    Path("texts.csv").write_text("\n".join(["text,y", *lines]))
    Path("texts.yaml").write_text("""
data: {path: texts.csv, target: y, kinds: {text: text}, split: {validation: 0.2}}
model:
  layers:
    - {type: embedding, dim: 4}
    - {type: conv1d, out_channels: 4, kernel_size: 3, activation: relu}
    - {type: dropout, rate: 0.2}
    - {type: pool_time, pool: max}
    - {type: dense}
optimizer: {type: adam, lr: 0.01}
training: {batch_size: 12, epochs: 2, device: cpu}
""")
    assert resume_at_every_step(prepare(load_config(Path("texts.yaml")))) == 2 * (3 + 1)


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_on_cuda_too(optimizer: str) -> None:
    assert resume_at_every_step(read_config(optimizer, "cosine", device="cuda")) == 2 * (4 + 1)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("engine", "precision"), [("captured", "fp32"), ("captured", "bf16"), ("eager", "fp16")]
)
def test_on_cuda_in_every_way(engine: str, precision: str) -> None:
    prepared = read_config("adam", "cosine", device="cuda", engine=engine, precision=precision)
    assert resume_at_every_step(prepared) == 2 * (4 + 1)


def test_every_step_changes_what_the_tests_above_compare() -> None:
    prepared = read_config("adam", "exponential")  # cosine's last step has a rate of 0
    trainer, rows, _ = begin(prepared)
    before = checkpoint(prepared, trainer)
    for event in follow(trainer, rows):
        if isinstance(event, Progress):
            after = checkpoint(prepared, trainer)
            changed = set(checkpoint_differences(before, after))
            assert {"random/cpu", "weights/0_dense.weight", "optimizer/step"} < changed
            before = after


def test_a_state_of_a_version_whose_patience_did_not_grow_knows_the_epoch_that_improved() -> None:
    prepared = read_config("sgd", "constant", epochs=3)
    trainer, rows, _ = begin(prepared)
    list(follow(trainer, rows))
    state = capture(trainer)
    standing = replace(state.numbers.standing, reference_epoch=0)
    before = replace(state, numbers=state.numbers.model_copy(update={"standing": standing}))
    again, _, _ = begin(prepared)
    restore_state(again, before)
    assert again.watch.standing == trainer.watch.standing


def test_a_state_of_another_network_is_refused() -> None:
    small, large = read_config("adam", "cosine"), read_config("sgd", "cosine")
    trainer, rows, _ = begin(small)
    next(follow(trainer, rows))
    other, _, _ = begin(large)
    with pytest.raises(StateError, match=r"'0_dense\.bias/exp_avg' is none of this run"):
        restore_state(other, capture(trainer))


@pytest.mark.parametrize("what", ["a weight", "the optimizer's exp_avg_sq"])
def test_no_state_holds_a_number_that_is_not_finite(what: str) -> None:
    trainer, rows, _ = begin(read_config("adam", "constant"))
    next(follow(trainer, rows))
    parameter = trainer.network.get_parameter("3_dense.bias")
    flat = trainer.optimizer.parameters
    squares = dict(zip(flat.names, flat.split(trainer.optimizer.state["exp_avg_sq"]), strict=True))
    tensor = parameter.data if what == "a weight" else squares["3_dense.bias"]
    tensor[1] = torch.inf
    with pytest.raises(
        DivergedError, match=rf"{what} of model\.layers\[3\] is not finite at step 1"
    ):
        capture(trainer)
