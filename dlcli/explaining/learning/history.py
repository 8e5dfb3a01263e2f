"""The epochs of a run, read from its folder, however the run ended."""

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from dlcli.config import Config, load_config
from dlcli.errors import ConfigError, StorageError
from dlcli.metrics import metric_of
from dlcli.training.early_stopping import Watch
from dlcli.training.loop import StopReason


class _Loss(BaseModel):
    loss: FiniteFloat


class Epoch(BaseModel):
    """A line of metrics.jsonl. Losses are in the target's units."""

    epoch: Annotated[int, Field(ge=1, le=2**53)]  # as far as float64 counts
    train: _Loss
    validation: dict[str, FiniteFloat | None] | None = None  # metrics by name
    lr: FiniteFloat  # of the last step
    gradient_norm: FiniteFloat | None = None  # of the last step; None: not finite
    seconds: FiniteFloat = 0.0


@dataclass(frozen=True, eq=False)
class Epochs:
    """What is known of the epochs, in columns: a hundred thousand of them take a few MB."""

    numbers: np.ndarray  # from 1, float64 [epochs]
    train_losses: np.ndarray  # float64 [epochs]
    lrs: np.ndarray  # float64 [epochs]
    is_validated: np.ndarray  # which have validation metrics, bool [epochs]
    validation: Mapping[str, np.ndarray]  # by metric, NaN where it has no value, float64 [epochs]

    @classmethod
    def of(cls, lines: Iterable[Epoch]) -> "Epochs":
        """Take the lines one by one; none is kept."""
        numbers, losses, lrs = (array("d") for _ in range(3))
        is_validated = array("b")
        validation: dict[str, array[float]] = {}
        for line in lines:
            figures = line.validation or {}
            for name in figures:
                if name not in validation:
                    validation[name] = array("d", [math.nan]) * len(numbers)
            for name, values in validation.items():
                figure = figures.get(name)
                values.append(math.nan if figure is None else figure)
            numbers.append(line.epoch)
            losses.append(line.train.loss)
            lrs.append(line.lr)
            is_validated.append(line.validation is not None)
        return cls(
            np.array(numbers),
            np.array(losses),
            np.array(lrs),
            np.array(is_validated, bool),
            {name: np.array(values) for name, values in validation.items()},
        )

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def last(self) -> int:
        """The last epoch's number; 0 without any."""
        return int(self.numbers[-1]) if len(self) else 0


class _Summary(BaseModel):
    best_epoch: int
    epochs: int
    stop_reason: StopReason
    rows: dict[str, int]


_Read = TypeVar("_Read", bound=BaseModel)


@dataclass(frozen=True)
class History:
    """A run's epochs, and how it ended. Losses are in the target's units."""

    epochs: Epochs  # in order, without those whose line can't be read
    config: Config | None  # None: it can't be read
    stop_reason: StopReason | None  # None: there is no summary
    best_epoch: int | None  # whose weights were kept; None: there is none
    rows: Mapping[str, int]  # of each part; empty where that isn't known
    notes: tuple[str, ...] = ()  # on missing or damaged files

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def numbers(self) -> np.ndarray:
        """The epochs' numbers, from 1, float64 [epochs]."""
        return self.epochs.numbers

    @property
    def train_losses(self) -> np.ndarray:
        """The mean over each epoch's examples, while the weights changed, float64 [epochs]."""
        return self.epochs.train_losses

    @property
    def validation_losses(self) -> np.ndarray | None:
        """The loss at each epoch's end, float64 [epochs]; None where there are no such rows."""
        return self.metric("loss")

    @property
    def lrs(self) -> np.ndarray:
        """The learning rate of each epoch's last step, float64 [epochs]."""
        return self.epochs.lrs

    @property
    def headline(self) -> str | None:
        """The most important validation metric besides the loss."""
        return next((name for name in self.epochs.validation if metric_of(name) != "loss"), None)

    @property
    def unwatched(self) -> str | None:
        """The metric that early stopping was to watch, where an epoch has no value of it."""
        stopping = self.config.training.early_stopping if self.config else None
        if stopping is None or stopping.metric == "loss" or not self.epochs.is_validated.any():
            return None
        values = self.metric(stopping.metric)
        if values is None or np.isnan(values[self.epochs.is_validated]).any():
            return stopping.metric
        return None

    def metric(self, name: str) -> np.ndarray | None:
        """Return a validation metric, NaN where it has no value, float64 [epochs].

        None where no epoch has one.
        """
        values = self.epochs.validation.get(name)
        return None if values is None or np.isnan(values).all() else values


def read_history(*, metrics: Path, summary: Path, config: Path) -> History:
    """Read a run's files, as many as there are; StorageError where one can't be read.

    Notes say what is missing or damaged. Without a summary, the best epoch is the one as of the
    last epoch.
    """
    notes: list[str] = []
    epochs = _read_epochs(metrics, notes)
    return _history(epochs, _read_config(config, notes), _read_summary(summary, notes), notes)


def history_of_ended(metrics: Path, config: Config, summary: Mapping[str, Any]) -> History:
    """Return the history of a run that has just ended: its epochs are read, the rest is known."""
    notes: list[str] = []
    return _history(_read_epochs(metrics, notes), config, _Summary.model_validate(summary), notes)


def _history(
    epochs: Epochs, config: Config | None, end: _Summary | None, notes: list[str]
) -> History:
    if end is not None and end.epochs != epochs.last:
        notes.append(f"metrics.jsonl ends with epoch {epochs.last}, but the run did {end.epochs}")
    return History(
        epochs=epochs,
        config=config,
        stop_reason=end.stop_reason if end else None,
        best_epoch=(end.best_epoch if end else _best_epoch(epochs, config)) or None,
        rows=end.rows if end else {},
        notes=tuple(notes),
    )


def _read_epochs(path: Path, notes: list[str]) -> Epochs:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return Epochs.of(_parse_lines(file, path.name, notes))
    except FileNotFoundError:
        notes.append(f"{path.name} is missing, so the epochs are unknown")
        return Epochs.of(())
    except OSError as error:
        raise _unreadable(path, error) from None


def _parse_lines(lines: Iterable[str], name: str, notes: list[str]) -> Iterator[Epoch]:
    """Yield the epochs of whole lines in rising order; the notes say which were not."""
    last, first_damaged, num_damaged = 0, 0, 0
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            notes.append(f"the last line of {name} was cut off and is ignored")
            break
        epoch = _parse(Epoch, line)
        if epoch is None or epoch.epoch <= last:
            first_damaged, num_damaged = first_damaged or number, num_damaged + 1
        else:
            last = epoch.epoch
            yield epoch
    if num_damaged:
        more = f", and {num_damaged - 1} others," if num_damaged > 1 else ""
        notes.append(
            f"line {first_damaged} of {name}{more} can't be read as the next epoch and is ignored"
        )


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
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path}: cannot read it: {error.strerror}")


def _parse(kind: type[_Read], text: str) -> _Read | None:
    try:
        data: Any = json.loads(text)
        return kind.model_validate(data)
    except (ValueError, ValidationError, RecursionError):
        return None


def _best_epoch(epochs: Epochs, config: Config | None) -> int:
    """Return the epoch whose weights would be kept; 0 if there is none."""
    watch = Watch.of(config.training.early_stopping if config else None)
    if not epochs.is_validated.any():
        return epochs.last
    unknown = np.full(len(epochs), math.nan)
    losses, figures = (
        epochs.validation.get(name, unknown)[epochs.is_validated].tolist()
        for name in ("loss", watch.metric)
    )
    numbers = epochs.numbers[epochs.is_validated].astype(int).tolist()
    for number, loss, figure in zip(numbers, losses, figures, strict=True):
        watch.observe(number, {"loss": loss, watch.metric: figure})
    return watch.standing.best_epoch
