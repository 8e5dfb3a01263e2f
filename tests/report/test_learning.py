"""The part on how a run learned shows its curves, and says what its diagnosis says."""

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from dlcli.config import Config
from dlcli.explaining.learning.diagnosis import diagnose
from dlcli.explaining.learning.finding import Change, Diagnosis, Finding, Kind
from dlcli.explaining.learning.history import Epoch, Epochs, History
from dlcli.report.learning import learning_section
from dlcli.report.page import PageSection, write_page
from dlcli.report.picture import Picture
from dlcli.training.loop import StopReason

CONFIG = Config.model_validate(
    {
        "name": "made",
        "data": {"path": "made.csv", "target": "y"},
        "model": {"layers": [{"type": "dense", "units": 40}, {"type": "dense"}]},
    }
)


def made(
    losses: list[float],
    validation: list[float] | None = None,
    *,
    figures: dict[str, list[float | None]] | None = None,
    lrs: list[float] | None = None,
    end: StopReason | None = "epochs",
    best: int | None = None,
) -> History:
    rates = lrs or [0.01] * len(losses)
    epochs = []
    for index, loss in enumerate(losses):
        judged: dict[str, float | None] | None = None
        if validation is not None:
            others = {name: values[index] for name, values in (figures or {}).items()}
            judged = {"loss": validation[index], **others}
        line = {"epoch": index + 1, "lr": rates[index], "train": {"loss": loss}}
        epochs.append(Epoch.model_validate({**line, "validation": judged}))
    return History(Epochs.of(epochs), CONFIG, end, best, {"train": 100, "validation": 60})


def part_of(history: History, constant_loss: float | None = 1.0) -> PageSection:
    return learning_section(history, diagnose(history, constant_loss=constant_loss))


def texts(picture: Picture) -> list[str]:
    """Return what is written in a picture."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture.svg)


OVERFITTED = made(
    [0.9 * 0.8**epoch for epoch in range(30)],
    [0.5 + 0.02 * abs(epoch - 8) for epoch in range(30)],
    figures={"accuracy": [0.9 - 0.01 * abs(epoch - 8) for epoch in range(30)]},
    best=9,
)


NOTHING = History(Epochs.of(()), None, None, None, {}, ("metrics.jsonl is missing",))


def test_the_part_says_the_diagnosis_its_evidence_and_the_changes() -> None:
    diagnosis = diagnose(OVERFITTED, constant_loss=1.0)
    part = learning_section(OVERFITTED, diagnosis)
    assert part.title == "Learning curves"
    assert part.paragraphs[0] == diagnosis.text
    assert part.paragraphs[1] == diagnosis.findings[0].evidence
    assert part.paragraphs[2].startswith(
        "Suggested changes, most promising first (options of `dlcli train`"
    )
    for change in diagnosis.findings[0].changes:
        assert f") {change}" in part.paragraphs[2]
    assert "--set training.early_stopping.patience=20" in part.paragraphs[2]


def test_two_findings_have_their_own_changes_by_name() -> None:
    for kind in get_args(Kind):
        other = Finding("noisy", "It is noisy.", "By 5.", (Change("be calm"),))
        finding = Finding(kind, "So it is.", "By 7.", (Change("do this"),))
        part = learning_section(NOTHING, Diagnosis((finding, other), ("the rest is silence",)))
        assert part.paragraphs[0] == "So it is. It is noisy."
        assert re.fullmatch(
            r"Suggested changes against [a-z ]+, most promising first: \(1\) do this\.",
            part.paragraphs[2],
        )
        assert (
            part.paragraphs[4]
            == "Suggested changes against noise, most promising first: (1) be calm."
        )
        assert part.paragraphs[5] == "The rest is silence."


def test_curves_best_epoch_end_and_rate_are_in_the_picture_and_in_words() -> None:
    losses, headline = part_of(OVERFITTED).pictures
    assert {"training", "validation", "best epoch: 9", "end: all epochs completed", "epoch"} < set(
        texts(losses)
    )
    assert {"loss", "learning rate", "constant baseline"} < set(texts(losses))
    assert "Training loss: 0.9 in the first epoch, 0.001393 in the last." in losses.text
    assert "minimum 0.5" in losses.text
    assert "The weights of epoch 9 were kept (diamond)." in losses.text
    assert "All 30 epochs were completed." in losses.text
    assert "constant at 0.01" in losses.text
    assert "validation accuracy" in texts(headline)
    assert headline.text == (
        "Validation accuracy: 0.82 in the first epoch, 0.69 in the last, 0.9 in epoch 9, whose "
        "weights were kept."
    )


@pytest.mark.parametrize(
    ("end", "shown", "told"),
    [
        ("early_stopping", "end: early stopping", "Early stopping ended training after epoch 3."),
        (
            "time",
            "end: time used up",
            "The time was used up (training.max_seconds) after epoch 3.",
        ),
        ("sigusr1", "end: interrupted", "The run was interrupted after epoch 3."),
        ("diverged", "end: diverged", "The run diverged after epoch 3."),
        ("sigint", "end: interrupted", "The run was interrupted after epoch 3."),
        (None, "end: last known epoch", "Epoch 3 is the last one known."),
    ],
)
def test_each_end_is_told(end: StopReason | None, shown: str, told: str) -> None:
    (losses,) = part_of(made([1.0, 0.5, 0.4], end=end)).pictures
    assert shown in texts(losses)
    assert told in losses.text


def test_a_rate_that_changes_is_told() -> None:
    history = made([1.0, 0.9, 0.8], lrs=[0.1, 0.05, 0.001], best=3)
    (picture,) = part_of(history).pictures
    assert "between 0.001 and 0.1" in picture.text
    assert "There is no validation loss." in picture.text


def test_figures_without_a_value_leave_gaps_or_no_picture() -> None:
    gap = made([1.0] * 3, [1.0] * 3, figures={"r2": [None, 0.5, 0.6]}, best=1)
    _, headline = part_of(gap).pictures
    assert headline.text == "Validation R²: 0.5 in the first epoch, 0.6 in the last."
    none = made([1.0] * 3, [1.0] * 3, figures={"r2": [None] * 3}, best=1)
    assert len(part_of(none).pictures) == 1


@pytest.mark.parametrize(
    "history",
    [
        made([0.7], [0.6], figures={"accuracy": [0.5]}, best=1),
        made([0.0] * 8, [0.0] * 8, figures={"rmse": [0.0] * 8}, lrs=[0.0] * 8, best=1),
        made([1.0, 1e30, 1e36], [1.0, 1e33, 1e38], end="diverged", best=1),
    ],
)
def test_odd_curves_are_drawn(history: History) -> None:
    part = part_of(history)
    write_page(Path("page.html"), "made", "made", [part])
    assert len(part.pictures) == (1 if history.headline is None else 2)
    assert all("nan" not in picture.text for picture in part.pictures)


def test_a_run_without_epochs_has_words_only() -> None:
    part = part_of(NOTHING)
    assert part.pictures == ()
    assert part.paragraphs == (
        "No epoch was recorded: nothing can be said about how the network learned.",
        "Metrics.jsonl is missing.",
    )


def test_ten_thousand_epochs_make_a_small_picture() -> None:
    random = np.random.default_rng(0)
    losses = np.exp(random.normal(size=10_000)).tolist()
    accuracy: list[float | None] = list(random.random(10_000))
    part = part_of(made(losses, losses, figures={"accuracy": accuracy}, best=1))
    for picture in part.pictures:
        assert len(picture.svg) < 200_000
        assert "Each point is the median of 10 epochs." in picture.text
