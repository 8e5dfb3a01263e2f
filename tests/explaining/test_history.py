"""A run's epochs are read whatever state its folder is in."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.config import dump_config, load_config
from dlcli.errors import StorageError
from dlcli.explaining.learning.history import History, read_history
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.training.train import train
from tests.conftest import WriteConfig

SUMMARY = {
    "best_epoch": 2,
    "epochs": 3,
    "stop_reason": "epochs",
    "rows": {"train": 80, "validation": 20},
}


def line(epoch: int, train_loss: float, validation: dict[str, Any] | None = None) -> str:
    return json.dumps(
        {
            "epoch": epoch,
            "seconds": 0.1,
            "lr": 0.01 / epoch,
            "gradient_norm": None,
            "train": {"loss": train_loss},
            "validation": validation,
        }
    )


LINES = [
    line(1, 0.9, {"loss": 0.8, "accuracy": 0.5}),
    line(2, 0.6, {"loss": 0.5, "accuracy": 0.7}),
    line(3, 0.5, {"loss": 0.55, "accuracy": None}),
]


@pytest.fixture
def config(write_config: WriteConfig) -> Path:
    """Write a resolved config, as a run folder has it."""
    path = write_config("table.csv", "y", optimizer={"type": "sgd", "lr": 0.5})
    path.write_text(dump_config(load_config(path).config), "utf-8")
    return path


def read(text: str | None, config: Path, summary: dict[str, Any] | None = SUMMARY) -> History:
    folder = RunFolder(config.parent)
    if text is not None:
        folder.metrics.write_text(text, "utf-8")
    if summary is not None:
        folder.summary.write_text(json.dumps(summary), "utf-8")
    return read_history(metrics=folder.metrics, summary=folder.summary, config=config)


def test_a_whole_run_is_read_without_a_note(config: Path) -> None:
    history = read("\n".join(LINES) + "\n", config)
    assert history.notes == ()
    assert (len(history), history.best_epoch, history.stop_reason) == (3, 2, "epochs")
    assert history.rows == {"train": 80, "validation": 20}
    assert history.numbers.tolist() == [1, 2, 3]
    assert history.train_losses.tolist() == [0.9, 0.6, 0.5]
    assert history.lrs == pytest.approx([0.01, 0.005, 0.01 / 3])
    assert history.config is not None
    assert history.config.optimizer.lr == 0.5
    assert history.validation_losses is not None
    assert history.validation_losses.tolist() == [0.8, 0.5, 0.55]
    assert history.headline == "accuracy"
    accuracy = history.metric("accuracy")
    assert accuracy is not None
    assert np.isnan(accuracy[2])
    assert history.metric("r2") is None


def test_a_run_that_was_trained_is_read(penguins: Path, write_config: WriteConfig) -> None:
    path = write_config(penguins, "species", data={"split": {"validation": 0.2}})
    for _ in train(prepare(load_config(path)), run_dir=Path("run")):
        pass
    folder = RunFolder(Path("run"))
    history = read_history(metrics=folder.metrics, summary=folder.summary, config=folder.config)
    assert history.notes == ()
    assert (len(history), history.stop_reason, history.headline) == (2, "epochs", "accuracy")
    assert history.rows["train"] > history.rows["validation"] > 0
    assert history.config is not None
    assert history.config.training.epochs == 2


def test_a_line_that_was_cut_off_is_left_out_and_told(config: Path) -> None:
    history = read("\n".join(LINES)[:-20], config)
    assert len(history) == 2
    assert "the last line of metrics.jsonl was cut off and is ignored" in history.notes
    assert "metrics.jsonl ends with epoch 2, but the run did 3" in history.notes


@pytest.mark.parametrize(
    "damaged",
    [
        "no json",
        "[]",
        '{"epoch": 2}',
        LINES[0],  # again
        LINES[1].replace("0.6", "NaN"),
        LINES[1].replace("2", "1" + 400 * "0", 1),
        "[" * 100_000,
    ],
)
def test_a_damaged_line_is_left_out_and_told(damaged: str, config: Path) -> None:
    history = read("\n".join([LINES[0], damaged, LINES[2]]) + "\n", config)
    assert history.numbers.tolist() == [1, 3]
    assert any(note.startswith("line 2 of metrics.jsonl can't be read") for note in history.notes)


def test_a_long_history_takes_little_memory(config: Path) -> None:
    text = "".join(
        line(epoch, 1 / epoch, {"loss": 2 / epoch, "accuracy": 0.5}) + "\n"
        for epoch in range(1, 4001)
    )
    Path("metrics.jsonl").write_text(text, "utf-8")
    tracemalloc.start()
    history = read(None, config, {**SUMMARY, "epochs": 4000})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(history), history.notes) == (4000, ())
    assert peak < 0.7 * len(text)  # an object for each line takes ten times that


def test_without_a_summary_the_best_epoch_is_the_one_kept_so_far(config: Path) -> None:
    history = read("\n".join(LINES) + "\n", config, summary=None)
    assert (history.stop_reason, history.best_epoch, history.rows) == (None, 2, {})
    assert any("summary.json is missing" in note for note in history.notes)
    text = config.read_text("utf-8").replace(
        "early_stopping: null", "early_stopping: {metric: accuracy}"
    )
    config.write_text(text, "utf-8")
    worse = line(3, 0.5, {"loss": 0.4, "accuracy": 0.6})
    assert read("\n".join([*LINES[:2], worse]) + "\n", config, summary=None).best_epoch == 2


def test_without_validation_rows_the_last_epoch_is_the_best(config: Path) -> None:
    history = read(f"{line(1, 0.9)}\n{line(2, 1.0)}\n", config, summary=None)
    assert history.validation_losses is None
    assert history.headline is None
    assert history.best_epoch == 2


def test_a_run_that_diverged_has_its_epochs_up_to_there(config: Path) -> None:
    summary = {**SUMMARY, "epochs": 1, "best_epoch": 1, "stop_reason": "diverged"}
    history = read(f"{line(1, 1e30)}\n", config, summary)
    assert (history.stop_reason, history.notes) == ("diverged", ())
    assert history.train_losses.tolist() == [1e30]


def test_an_empty_folder_has_no_epochs_and_says_what_is_missing() -> None:
    history = read(None, Path("config.yaml"), None)
    assert (len(history), history.best_epoch, history.config) == (0, None, None)
    assert len(history.notes) == 3
    for name in ("metrics.jsonl", "summary.json", "config.yaml"):
        assert any(note.startswith(f"{name} is missing") for note in history.notes)


def test_a_run_without_a_finished_epoch_has_no_best_one(config: Path) -> None:
    summary = {**SUMMARY, "epochs": 0, "best_epoch": 0, "stop_reason": "sigint"}
    history = read("", config, summary)
    assert (len(history), history.best_epoch, history.notes) == (0, None, ())


def test_a_config_that_cannot_be_used_is_told(config: Path) -> None:
    config.write_text("optimizer: [", "utf-8")
    history = read("\n".join(LINES) + "\n", config)
    assert history.config is None
    assert any(note.startswith("config.yaml can't be used") for note in history.notes)


def test_what_cannot_be_read_at_all_is_an_error(config: Path) -> None:
    Path("metrics.jsonl").mkdir()
    with pytest.raises(StorageError, match="cannot read it"):
        read(None, config)
