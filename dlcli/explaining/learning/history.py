"""The epochs of a run, read from its folder, however the run ended."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, FiniteFloat, PositiveInt, ValidationError

from dlcli.config import Config, load_config
from dlcli.errors import ConfigError, StorageError
from dlcli.training.early_stopping import Watch
from dlcli.training.loop import StopReason


class _Loss(BaseModel):
    loss: FiniteFloat


class Epoch(BaseModel):
    """A line of metrics.jsonl. Losses are in the target's units."""

    epoch: PositiveInt
    train: _Loss
    validation: dict[str, FiniteFloat | None] | None = None  # metrics by name
    lr: FiniteFloat  # of the last step
    gradient_norm: FiniteFloat | None = None  # of the last step; None: not finite
    seconds: FiniteFloat = 0.0


class _Summary(BaseModel):
    best_epoch: int
    epochs: int
    stop_reason: StopReason
    rows: dict[str, int]


_Read = TypeVar("_Read", bound=BaseModel)


@dataclass(frozen=True)
class History:
    """A run's epochs, and how it ended. Losses are in the target's units."""

    epochs: tuple[Epoch, ...]  # in order, without those whose line can't be read
    config: Config | None  # None: it can't be read
    stop_reason: StopReason | None  # None: there is no summary
    best_epoch: int | None  # whose weights were kept; None: there is none
    rows: Mapping[str, int]  # of each part; empty where that isn't known
    notes: tuple[str, ...] = ()  # on missing or damaged files

    def __len__(self) -> int:
        return len(self.epochs)

    @cached_property
    def numbers(self) -> np.ndarray:
        """The epochs' numbers, from 1, float64 [epochs]."""
        return np.array([epoch.epoch for epoch in self.epochs], np.float64)

    @cached_property
    def train_losses(self) -> np.ndarray:
        """The mean over each epoch's examples, while the weights changed, float64 [epochs]."""
        return np.array([epoch.train.loss for epoch in self.epochs], np.float64)

    @cached_property
    def validation_losses(self) -> np.ndarray | None:
        """The loss at each epoch's end, float64 [epochs]; None where there are no such rows."""
        return self.metric("loss")

    @cached_property
    def lrs(self) -> np.ndarray:
        """The learning rate of each epoch's last step, float64 [epochs]."""
        return np.array([epoch.lr for epoch in self.epochs], np.float64)

    @property
    def headline(self) -> str | None:
        """The most important validation metric besides the loss."""
        for epoch in self.epochs:
            for name in epoch.validation or {}:
                if name != "loss":
                    return name
        return None

    @property
    def unwatched(self) -> str | None:
        """The metric that early stopping was to watch, where an epoch has no value of it."""
        stopping = self.config.training.early_stopping if self.config else None
        if stopping is None or stopping.metric == "loss":
            return None
        validated = [epoch.validation for epoch in self.epochs if epoch.validation is not None]
        lacking = any(figures.get(stopping.metric) is None for figures in validated)
        return stopping.metric if lacking else None

    def metric(self, name: str) -> np.ndarray | None:
        """Return a validation metric, NaN where it has no value, float64 [epochs].

        None where no epoch has one.
        """
        values = [(epoch.validation or {}).get(name) for epoch in self.epochs]
        if all(value is None for value in values):
            return None
        return np.array([math.nan if value is None else value for value in values], np.float64)


def read_history(*, metrics: Path, summary: Path, config: Path) -> History:
    """Read a run's files, as many as there are; StorageError where one can't be read.

    Notes say what is missing or damaged. Without a summary, the best epoch is the one as of the
    last epoch.
    """
    notes: list[str] = []
    epochs = _read_epochs(metrics, notes)
    config_of_run = _read_config(config, notes)
    end = _read_summary(summary, notes)
    if end is not None and end.epochs != (epochs[-1].epoch if epochs else 0):
        notes.append(
            f"{metrics.name} ends with epoch {epochs[-1].epoch if epochs else 0}, but the run did "
            f"{end.epochs}"
        )
    return History(
        epochs=epochs,
        config=config_of_run,
        stop_reason=end.stop_reason if end else None,
        best_epoch=(end.best_epoch if end else _best_epoch(epochs, config_of_run)) or None,
        rows=end.rows if end else {},
        notes=tuple(notes),
    )


def _read_epochs(path: Path, notes: list[str]) -> tuple[Epoch, ...]:
    text = _read_text(path)
    if text is None:
        notes.append(f"{path.name} is missing, so the epochs are unknown")
        return ()
    *lines, rest = text.split("\n")
    if rest:
        notes.append(f"the last line of {path.name} was cut off and is ignored")
    epochs: list[Epoch] = []
    damaged = []
    for number, line in enumerate(lines, 1):
        epoch = _parse(Epoch, line)
        if epoch is None or (epochs and epoch.epoch <= epochs[-1].epoch):
            damaged.append(number)
        else:
            epochs.append(epoch)
    if damaged:
        more = f", and {len(damaged) - 1} others," if len(damaged) > 1 else ""
        notes.append(
            f"line {damaged[0]} of {path.name}{more} can't be read as the next epoch and is ignored"
        )
    return tuple(epochs)


def _read_summary(path: Path, notes: list[str]) -> _Summary | None:
    text = _read_text(path)
    summary = None if text is None else _parse(_Summary, text)
    if summary is None:
        state = "is missing" if text is None else "can't be read"
        notes.append(
            f"{path.name} {state}: the run was killed or is still running, and its numbers of "
            "rows are unknown"
        )
    return summary


def _read_config(path: Path, notes: list[str]) -> Config | None:
    if not path.is_file():
        notes.append(f"{path.name} is missing, so the settings of the run are unknown")
        return None
    try:
        return load_config(path).config
    except ConfigError as error:
        notes.append(f"{path.name} can't be used: {str(error).splitlines()[0]}")
        return None


def _read_text(path: Path) -> str | None:
    """Return a file's text, None where there is no such file; StorageError."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot read it: {error.strerror}") from None


def _parse(kind: type[_Read], text: str) -> _Read | None:
    try:
        data: Any = json.loads(text)
        return kind.model_validate(data)
    except (ValueError, ValidationError, RecursionError):
        return None


def _best_epoch(epochs: tuple[Epoch, ...], config: Config | None) -> int:
    """Return the epoch whose weights would be kept; 0 if there is none."""
    if not epochs:
        return 0
    watch = Watch.of(config.training.early_stopping if config else None)
    validated = [epoch for epoch in epochs if epoch.validation is not None]
    for epoch in validated:
        watch.observe(epoch.epoch, {"loss": None, **(epoch.validation or {})})
    return watch.standing.best_epoch if validated else epochs[-1].epoch
