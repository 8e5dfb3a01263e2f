"""Runs on augmented rows: resumed, streamed, stacked, sharded as those on rows as they are."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from dlcli.config import load_config
from dlcli.data.signature import KEPT_SHARE, SEED, Signature, partner_of
from dlcli.losses.classification import CrossEntropy
from dlcli.runs.comparison.setup import build_setup
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.training.run import build_trainer, encode_to_disk
from dlcli.training.device import choose_placement
from dlcli.training.loop import EpochResult, Trainer, fit
from dlcli.training.objective import MixedTargets, Objective
from dlcli.training.rows import batches, streamed
from dlcli.training.rows.augmenting import Augmenter
from dlcli.training.rows.batches import Rows, to_rows
from dlcli.training.rows.companions import companions_of
from dlcli.training.rows.steps import epoch_steps
from dlcli.training.rows.streamed import StreamedRows
from dlcli.training.saving.state import capture, restore_state
from dlcli.trials.running.rate_steps import take_steps
from tests.augmentations.samples import read
from tests.conftest import Command
from tests.trials.test_stacked import check_trials, trials

CPU = choose_placement("cpu", "fp32")
NUM_ROWS = 90
MIXED: list[dict[str, Any]] = [{"type": "mixup", "alpha": 1.0}, {"type": "cutmix"}]
AUGMENT: list[dict[str, Any]] = [
    {"type": "shift", "by": 0.3},
    {"type": "rotation"},
    {"type": "erasing"},
    *MIXED,
]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gather windows of a few batches."""
    monkeypatch.setattr(batches, "_WINDOW_BYTES", 1500)
    monkeypatch.setattr(streamed, "_CHUNK_BYTES", 200)
    monkeypatch.setattr(streamed, "_WINDOW_CHUNKS", 4)


def write(path: Path, **training: Any) -> Path:
    """Write a table of images of 4 × 4 pixels, and a config that learns which side is bright."""
    random = np.random.default_rng(1)
    pixels = random.normal(size=(NUM_ROWS, 16))
    bright = np.arange(NUM_ROWS) % 3
    pixels[np.arange(NUM_ROWS), 5 + bright] += 3
    columns = {f"p{index}": pixels[:, index] for index in range(16)}
    pl.DataFrame({**columns, "y": [f"class {one}" for one in bright]}).write_csv("images.csv")
    config = {
        "data": {
            "path": "images.csv",
            "target": "y",
            "scale": "none",
            "shape": [1, 4, 4],
            "split": {"validation": 0.3},
        },
        "model": {
            "layers": [
                {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "activation": "relu"},
                {"type": "flatten"},
                {"type": "dropout", "rate": 0.2},
                {"type": "dense"},
            ]
        },
        "optimizer": {"type": "adam", "lr": 0.02},
        "training": {"batch_size": 16, "epochs": 2, "augment": AUGMENT, **training},
        "report": False,
    }
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def read_config(*settings: str) -> Prepared:
    return prepare(load_config(write(Path("config.yaml")), list(settings)))


def begin(prepared: Prepared, stack: ExitStack) -> tuple[Trainer, dict[str, Any]]:
    rows: dict[str, Any] = {
        name: to_rows(part, CPU.device) for name, part in prepared.dataset.parts.items()
    }
    list(encode_to_disk(prepared.dataset, Path(), CPU.device, rows, stack))
    return build_trainer(prepared, CPU), rows


@pytest.mark.parametrize(
    "settings",
    [
        ["training.accumulate_batches=2"],
        ["data.streaming=true"],
        ["training.shards=2"],
        ["training.batch_size=full"],
    ],
    ids=" ".join,
)
def test_a_run_resumed_at_any_step_ends_with_the_same_bits(settings: list[str]) -> None:
    prepared = read_config(*settings)
    with ExitStack() as stack:
        trainer, rows = begin(prepared, stack)
        states = [capture(trainer) for _ in fit(trainer, rows["train"], rows["validation"])]
        for state in states[2:-1:3]:
            again, _ = begin(prepared, stack)
            restore_state(again, state)
            for _ in fit(again, rows["train"], rows["validation"]):
                pass
            end = capture(again)
            assert end.numbers.summed_loss == states[-1].numbers.summed_loss
            for name, weight in states[-1].weights.items():
                assert torch.equal(end.weights[name], weight)


def test_validation_rows_are_as_they_are_and_training_rows_are_not() -> None:
    results = []
    for settings in ([], ["training.augment=[]"]):
        still = ["optimizer.lr=1e-12", "training.epochs=1", "model.layers[2].rate=0.0"]
        prepared = read_config(*still, *settings)
        trainer, rows = begin(prepared, ExitStack())
        events = fit(trainer, rows["train"], rows["validation"])
        results += [event for event in events if isinstance(event, EpochResult)]
    augmented, plain = results
    assert augmented.validation is not None
    assert plain.validation is not None
    assert augmented.validation["loss"] == pytest.approx(plain.validation["loss"], rel=1e-6)
    assert augmented.train_loss != pytest.approx(plain.train_loss, rel=1e-3)


def test_stacked_trials_learn_what_each_learns_by_itself() -> None:
    setup = build_setup(read_config("training.engine=eager"), CPU)
    ends = check_trials(trials(setup, [{"type": "adam"}]))
    assert ends == {"epochs": 4}


def seen(rows: Rows | StreamedRows, epoch: int, **options: Any) -> dict[int, bytes]:
    """Return what a step learns from each row of an epoch, as bytes, by the row's target."""
    augmentations = read(*AUGMENT)
    signature = Signature(16, (), (1, 4, 4), NUM_ROWS)
    augmenter = Augmenter.of(augmentations, signature, "target")
    assert augmenter is not None
    settings = {"batch_size": 16, "accumulate": 1, "seed": 3, **options}
    found = {}
    companions = companions_of(augmentations)
    for step in epoch_steps(rows, epoch=epoch, companions=companions, **settings):
        for batch in augmenter(step):
            fields = [batch.inputs["numbers"], *batch.targets.values()]
            for row, target in enumerate(batch.targets["target"].tolist()):
                found[target] = b"".join(one[row].numpy().tobytes() for one in fields)
    return found


def held() -> Rows:
    numbers = torch.randn(NUM_ROWS, 16, generator=torch.Generator().manual_seed(5))
    return Rows({"numbers": numbers}, {"target": torch.arange(NUM_ROWS)}, NUM_ROWS)


def test_what_becomes_of_a_row_depends_on_seed_and_epoch_alone() -> None:
    first = seen(held(), epoch=1)
    assert len(first) == NUM_ROWS
    for size, accumulate in ((7, 1), (40, 2), ("full", 1)):
        assert seen(held(), epoch=1, batch_size=size, accumulate=accumulate) == first
    assert seen(held(), epoch=2).keys() == first.keys()
    for other in (seen(held(), epoch=2), seen(held(), epoch=1, seed=4)):
        assert sum(other[row] == first[row] for row in first) < NUM_ROWS / 4


def test_every_row_is_the_partner_of_one_and_brings_its_own_seed() -> None:
    companions = companions_of(read(*AUGMENT))
    steps = epoch_steps(held(), batch_size=16, accumulate=1, seed=3, epoch=1, companions=companions)
    rows = [batch.targets for [batch] in steps]
    seeds = {
        row: seed
        for some in rows
        for row, seed in zip(some["target"].tolist(), some[SEED].tolist(), strict=True)
    }
    partners = [
        pair
        for some in rows
        for pair in zip(
            some[partner_of("target")].tolist(), some[partner_of(SEED)].tolist(), strict=True
        )
    ]
    assert dict(partners) == seeds
    assert len(partners) == len(seeds) == NUM_ROWS


def test_the_loss_of_a_mixed_row_is_that_of_mixed_classes() -> None:
    outputs, kept = torch.randn(8, 4), torch.rand(8)
    first, second = torch.randint(4, (8,)), torch.randint(4, (8,))
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    soft = torch.zeros(8, 4)
    soft[torch.arange(8), first] += kept
    soft[torch.arange(8), second] += 1 - kept
    for smoothing, factors in ((0.0, None), (0.1, None), (0.0, weights)):
        loss = CrossEntropy(type="cross_entropy", label_smoothing=smoothing)
        objective = Objective(loss, factors, 1.0)
        expected = torch.nn.functional.cross_entropy(
            outputs, soft, weight=factors, label_smoothing=smoothing, reduction="none"
        )
        mixed = MixedTargets(second, kept)
        torch.testing.assert_close(objective.each(outputs, first, mixed), expected)
        torch.testing.assert_close(objective(outputs, first, None, mixed), expected.mean())
        shares = torch.rand(8)
        weighted = objective(outputs, first, shares, mixed)
        torch.testing.assert_close(weighted, (expected * shares).sum())


def test_targets_that_are_numbers_are_mixed_as_rows_are() -> None:
    numbers = torch.randn(20, 5)
    rows = Rows({"numbers": numbers}, {"target": numbers.sum(1)}, 20)
    rows = rows.seeded(torch.arange(20)).paired_with_next()
    augmenter = Augmenter.of(read(MIXED[0]), Signature(5, (), None, None), "target")
    assert augmenter is not None
    [mixed] = augmenter((rows,))
    assert set(mixed.targets) == {"target"}
    assert not torch.allclose(mixed.inputs["numbers"], numbers)
    torch.testing.assert_close(mixed.targets["target"], mixed.inputs["numbers"].sum(1))
    assert KEPT_SHARE not in mixed.targets


@pytest.fixture
def config() -> Path:
    return write(Path("config.yaml"))


def test_a_range_test_augments_too() -> None:
    losses = []
    for settings in (["training.shards=2"], [], ["training.augment=[]"]):
        setup = build_setup(read_config("model.layers[2].rate=0.0", *settings), CPU)
        resolved = trials(setup, [{"type": "sgd"}], lrs=[0.1])
        losses.append(list(take_steps(resolved, [0.1, 0.1, 0.1], 1)))
    sequential, stacked, plain = losses
    assert np.allclose(sequential, stacked, rtol=1e-4)
    assert not np.allclose(stacked, plain, rtol=1e-2)


def test_describe_says_what_is_augmented(config: Path, dlcli: Command) -> None:
    told = " ".join(dlcli("describe", config).out.split())
    assert "augmented training rows alone, anew in each epoch: shift: shifted by up to 30 %" in told


@pytest.mark.parametrize(
    ("augment", "reason", "advice"),
    [
        ("[{type: colour}]", "colour needs the values of image files", "[]"),
        ("[{type: mixup}, {type: flip}]", "move it up", "[{type: flip}, {type: mixup}]"),
        ("[{type: shift, by: 0.1}]", "give by: 0.13 or more", "[{type: shift, by: 0.13}]"),
        ("[{type: crop, area: [0.9, 0.5]}]", "[smallest, largest]", "[{type: crop}]"),
    ],
)
def test_what_does_not_fit_is_refused_with_advice_that_works(
    augment: str, reason: str, advice: str, config: Path, dlcli: Command
) -> None:
    refused = dlcli("validate", config, "--set", f"training.augment={augment}")
    assert refused.code == 2
    assert reason in refused.err
    assert dlcli("validate", config, "--set", f"training.augment={advice}").code == 0


def test_images_alone_are_rotated_and_signals_have_other_augmentations(
    config: Path, dlcli: Command
) -> None:
    signal = ("data.shape=[2, 8]", "model.layers=[{type: flatten}, {type: dense}]")
    more = [part for one in signal for part in ("--set", one)]
    refused = dlcli("validate", config, *more)
    assert refused.code == 2
    assert "rotation is for images, the rows are signals; leave it out" in refused.err
    kept = "training.augment=[{type: shift}, {type: scale}, {type: erasing}, {type: cutmix}]"
    assert dlcli("validate", config, *more, "--set", kept).code == 0
