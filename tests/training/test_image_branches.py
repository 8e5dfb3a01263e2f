"""Images in inputs of their own: resumed, streamed, stacked, frozen, augmented as others are."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from PIL import Image

from dlcli.config import load_config
from dlcli.runs.comparison.setup import build_setup
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.training.run import build_trainer, encode_to_disk
from dlcli.training.device import choose_placement
from dlcli.training.loop import Trainer, fit
from dlcli.training.rows.batches import to_rows
from dlcli.training.rows.steps import epoch_steps
from dlcli.training.saving.checkpoint import load_checkpoint
from dlcli.training.saving.state import capture, restore_state
from tests.conftest import Command
from tests.trials.test_stacked import check_trials, trials

CPU = choose_placement("cpu", "fp32")
NUM_ROWS = 40
AUGMENT = [{"type": "shift", "by": 0.3}, {"type": "colour", "brightness": 0.5}]
BRANCH = [
    {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "bias": False},
    {"type": "batch_norm"},
    {"type": "flatten"},
    {"type": "dropout", "rate": 0.2},
]


@pytest.fixture(autouse=True)
def _config() -> None:
    """Write a table of two images, a number and a category, and a config that learns from them."""
    random = np.random.default_rng(1)
    Path("photos").mkdir()
    for row in range(NUM_ROWS):
        for side, light in (("front", 0), ("back", 20)):
            pixels = random.integers(0, 180, (5, 5, 3)) + 50 * (row % 2) + light
            Image.fromarray(pixels.astype(np.uint8)).save(f"photos/{side}{row}.png")
    columns = {
        "front": [f"photos/front{row}.png" for row in range(NUM_ROWS)],
        "back": [f"photos/back{row}.png" for row in range(NUM_ROWS)],
        "size": random.normal(size=NUM_ROWS),
        "shop": [f"s{row % 3}" for row in range(NUM_ROWS)],
        "label": [("dark", "bright")[row % 2] for row in range(NUM_ROWS)],
    }
    pl.DataFrame(columns).write_csv("table.csv")
    config = {
        "data": {
            "path": "table.csv",
            "target": "label",
            "images": {"size": [5, 5]},
            "split": {"validation": 0.3},
        },
        "model": {
            "inputs": {"front": {"layers": BRANCH}, "back": {"layers": BRANCH}, "table": {}},
            "layers": [{"type": "dense"}],
        },
        "optimizer": {"type": "adam", "lr": 0.02},
        "training": {"batch_size": 8, "epochs": 2, "augment": AUGMENT},
        "report": False,
    }
    Path("config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")


def read_config(*settings: str) -> Prepared:
    return prepare(load_config(Path("config.yaml"), list(settings)))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def begin(prepared: Prepared, stack: ExitStack) -> tuple[Trainer, dict[str, Any]]:
    rows: dict[str, Any] = {
        name: to_rows(part, CPU.device) for name, part in prepared.dataset.parts.items()
    }
    list(encode_to_disk(prepared.dataset, Path(), CPU.device, rows, stack))
    return build_trainer(prepared, CPU), rows


@pytest.mark.parametrize("settings", [[], ["data.streaming=true"]], ids=["held", "streamed"])
def test_a_run_resumed_in_the_middle_of_an_epoch_ends_with_the_same_bits(
    settings: list[str], stack: ExitStack
) -> None:
    prepared = read_config(*settings)
    trainer, rows = begin(prepared, stack)
    states = [capture(trainer) for _ in fit(trainer, rows["train"], rows["validation"])]
    for state in states[1:-1:3]:
        again, _ = begin(prepared, stack)
        restore_state(again, state)
        for _ in fit(again, rows["train"], rows["validation"]):
            pass
        end = capture(again)
        assert end.numbers.summed_loss == states[-1].numbers.summed_loss
        for name, weight in states[-1].weights.items():
            assert torch.equal(end.weights[name], weight), name


def test_each_image_is_augmented_by_draws_of_its_own_and_numbers_are_not(
    stack: ExitStack,
) -> None:
    trainer, rows = begin(read_config(), stack)
    augmenter = trainer.stepper.augmenter
    assert augmenter is not None
    [front, back] = [one.augmented.field for one in augmenter.pipelines]
    train = rows["train"]
    same = replace(train, inputs={**train.inputs, back: train.inputs[front]})
    settings: dict[str, Any] = {"batch_size": 8, "accumulate": 1, "seed": 1, "epoch": 1}
    [batch] = next(iter(epoch_steps(same, companions="seeds", **settings)))
    [changed] = augmenter((batch,))
    assert not torch.equal(changed.inputs[front], changed.inputs[back])
    assert torch.equal(changed.inputs["numbers"], batch.inputs["numbers"])


def test_stacked_trials_learn_what_each_learns_by_itself() -> None:
    setup = build_setup(read_config("training.engine=eager"), CPU)
    assert check_trials(trials(setup, [{"type": "adam"}])) == {"epochs": 4}


def test_a_frozen_input_keeps_the_weights_of_the_run_that_it_starts_from(dlcli: Command) -> None:
    short = ("--set", "training.epochs=1", "--run-dir")
    assert dlcli("train", "config.yaml", *short, "first").code == 0
    start = ("model.start_from=first", "model.freeze=[inputs.front]", "seed=5")
    more = [word for one in start for word in ("--set", one)]
    outcome = dlcli("train", "config.yaml", *more, *short, "second")
    assert outcome.code == 0, outcome.err
    first = load_checkpoint(Path("first/best.safetensors")).weights
    second = load_checkpoint(Path("second/last.safetensors")).weights
    same = {name for name, weight in second.items() if torch.equal(weight, first[name])}
    front, back = (first[f"columns.pixels.{place}.mean"] for place in (0, 1))
    assert (back - front).mean() == pytest.approx(20, abs=8), "each is scaled by its own images"
    of_front = {name for name in second if name.startswith(("inputs.0_front.", "columns.pixels."))}
    assert "inputs.0_front.0_conv2d.weight" in of_front
    assert of_front <= same
    assert {"inputs.1_back.0_conv2d.weight", "0_dense.weight"} <= second.keys() - same


def test_optimizers_are_compared(dlcli: Command) -> None:
    words = ["--optimizers", "sgd,adam", "--lrs", "0.01", "--seeds", "2", "--run-dir", "found"]
    words += ["--set", "training.epochs=1", "--json"]
    outcome = dlcli("compare-optimizers", "config.yaml", *words)
    assert outcome.code == 0, outcome.err
    assert [len(one["runs"]) for one in outcome.json["optimizers"]] == [2, 2]
