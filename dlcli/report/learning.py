"""Learning curves, and the diagnosis of a run."""

from collections.abc import Iterator
from typing import assert_never

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dlcli.explaining.learning.finding import Diagnosis, Finding
from dlcli.explaining.learning.history import History
from dlcli.metrics import label_of
from dlcli.report.page import PageSection
from dlcli.report.picture import COLORS, INK, Picture, draw, scale_logarithmically
from dlcli.training.loop import StopReason

_MAX_POINTS = 1_000  # of a line: more can't be seen, and make the page large
_MAX_MARKERS = 30  # points that are marked
_WIDE = 20.0  # ratio of values above which the scale is logarithmic


def learning_section(history: History, diagnosis: Diagnosis) -> PageSection:
    """Return the diagnosis, the changes that it suggests, and the curves."""
    pictures = (
        (_losses(history, diagnosis.constant_loss), _headline(history)) if len(history) else ()
    )
    return PageSection(
        "Learning curves",
        paragraphs=tuple(_paragraphs(diagnosis)),
        pictures=tuple(picture for picture in pictures if picture is not None),
    )


def _paragraphs(diagnosis: Diagnosis) -> Iterator[str]:
    yield diagnosis.text
    for finding in diagnosis.findings:
        if finding.evidence:
            yield finding.evidence
        if finding.changes:
            yield _suggest(finding, is_only=len(diagnosis.findings) == 1)
    if diagnosis.remarks:
        yield " ".join(f"{text[0].upper()}{text[1:].rstrip('.')}." for text in diagnosis.remarks)


def _suggest(finding: Finding, *, is_only: bool) -> str:
    against = "" if is_only else f" against {_NAMES[finding.kind]}"
    changes = "; ".join(f"({number}) {change}" for number, change in enumerate(finding.changes, 1))
    where = ""
    if any(change.settings for change in finding.changes):
        where = " (options of `dlcli train` with this run's config.yaml)"
    return f"Suggested changes{against}, most promising first{where}: {changes}."


_NAMES = {
    "too_few_epochs": "too few epochs",
    "unwatched": "a metric without a value",
    "lr_too_high": "too high a learning rate",
    "lr_too_low": "too low a learning rate",
    "overfitting": "overfitting",
    "underfitting": "underfitting",
    "still_improving": "ending too early",
    "noisy": "noise",
    "fine": "nothing",
}


def _losses(history: History, constant_loss: float | None) -> Picture:
    """Draw both losses and, below them, the learning rate."""
    validation = history.validation_losses

    def fill(figure: Figure) -> None:
        axes, rates = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        drawn = [_line(axes, history, history.train_losses, "training", COLORS[0], "-")]
        if validation is not None:
            drawn.append(_line(axes, history, validation, "validation", COLORS[1], "--"))
        _mark_best(axes, history, validation)
        _mark_end(axes, history)
        losses = np.concatenate(drawn)
        if constant_loss is not None and _is_near(constant_loss, losses):
            label = "constant baseline"
            axes.axhline(constant_loss, color=COLORS[6], linestyle="-.", linewidth=1.2, label=label)
        _scale(axes, losses)
        axes.set_ylabel("loss")
        figure.legend(loc="outside upper left", ncols=3)
        _line(rates, history, history.lrs, "learning rate", COLORS[2], "-")
        if history.lrs.max() > _WIDE * np.median(history.lrs) > 0:
            scale_logarithmically(rates.yaxis, max_ticks=4)
        else:
            rates.set_ylim(0.0, 1.1 * history.lrs.max() or 1.0)
            rates.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        rates.set_ylabel("learning rate")
        _count_epochs(rates, history)

    return draw(
        "losses-by-epoch",
        "Loss and learning rate by epoch",
        " ".join(_losses_caption(history, constant_loss)),
        fill,
        size=(7.5, 5.0),
    )


def _losses_caption(history: History, constant_loss: float | None) -> Iterator[str]:
    train, validation = history.train_losses, history.validation_losses
    yield f"Training loss: {train[0]:.4g} in the first epoch, {train[-1]:.4g} in the last."
    if validation is None:
        yield "There is no validation loss."
    else:
        known = validation[np.isfinite(validation)]
        yield (
            f"Validation loss: {known[0]:.4g} in the first epoch, {known[-1]:.4g} in the last, "
            f"minimum {known.min():.4g}."
        )
    if constant_loss is not None:
        yield f"The loss of the constant baseline on the training rows is {constant_loss:.4g}."
    if history.best_epoch is not None:
        yield f"The weights of epoch {history.best_epoch} were kept (diamond)."
    yield f"{_describe_end(history)}."
    low, high = history.lrs.min(), history.lrs.max()
    rates = f"between {low:.3g} and {high:.3g}" if low < high else f"constant at {high:.3g}"
    yield f"Below: the learning rate at the end of each epoch, {rates}."
    yield from _describe_thinning(history)


def _headline(history: History) -> Picture | None:
    """Draw the most important validation metric besides the loss."""
    name = history.headline
    values = None if name is None else history.metric(name)
    if name is None or values is None:
        return None
    label = label_of(name)

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        _line(axes, history, values, label, COLORS[1], "--")
        _mark_best(axes, history, values)
        _mark_end(axes, history)
        axes.set_ylabel(f"validation {label}")
        _count_epochs(axes, history)
        figure.legend(loc="outside upper left", ncols=3)

    known = np.flatnonzero(np.isfinite(values))
    best = _value_at_best(history, values)
    kept = ""
    if best is not None:
        kept = f", {best:.4g} in epoch {history.best_epoch}, whose weights were kept"
    text = (
        f"Validation {label}: {values[known[0]]:.4g} in the first epoch, "
        f"{values[known[-1]]:.4g} in the last{kept}."
    )
    return draw(
        "headline-by-epoch",
        f"Validation {label} by epoch",
        " ".join([text, *_describe_thinning(history)]),
        fill,
        size=(7.5, 3.2),
    )


def _line(
    axes: Axes, history: History, values: np.ndarray, label: str, color: str, dashes: str
) -> np.ndarray:
    """Draw values by epoch, medians of several epochs where there are many; return them."""
    step = _epochs_per_point(history)
    starts = range(0, len(values), step)
    epochs = [float(np.median(history.numbers[start : start + step])) for start in starts]
    shown = np.array([np.median(values[start : start + step]) for start in starts])
    marker = "o" if len(shown) <= _MAX_MARKERS else None
    axes.plot(
        epochs, shown, color=color, linestyle=dashes, label=label, marker=marker, markersize=3
    )
    return shown


def _epochs_per_point(history: History) -> int:
    return -(-len(history) // _MAX_POINTS)


def _describe_thinning(history: History) -> Iterator[str]:
    step = _epochs_per_point(history)
    if step > 1:
        yield f"Each point is the median of {step} epochs."


def _value_at_best(history: History, values: np.ndarray) -> float | None:
    at = np.flatnonzero(history.numbers == (history.best_epoch or 0))
    return float(values[at[0]]) if len(at) and np.isfinite(values[at[0]]) else None


def _mark_best(axes: Axes, history: History, values: np.ndarray | None) -> None:
    """Mark the epoch whose weights were kept, on its line where it has one."""
    best = history.best_epoch
    if best is None:
        return
    axes.axvline(best, color=INK, linestyle=":", linewidth=1.2, label=f"best epoch: {best}")
    value = None if values is None else _value_at_best(history, values)
    if value is not None:
        axes.plot(best, value, "D", color=INK, markersize=5)


def _mark_end(axes: Axes, history: History) -> None:
    last = float(history.numbers[-1])
    label = f"end: {_short_end(history.stop_reason)}"
    axes.axvline(last, color=INK, linestyle="-", linewidth=0.8, alpha=0.6, label=label)


def _count_epochs(axes: Axes, history: History) -> None:
    axes.set_xlabel("epoch")
    axes.set_xlim(0.0, max(2.0, 1.03 * history.numbers[-1]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _short_end(reason: StopReason | None) -> str:
    match reason:
        case "epochs":
            return "all epochs completed"
        case "early_stopping":
            return "early stopping"
        case "time":
            return "time used up"
        case "diverged":
            return "diverged"
        case "sigint" | "sigterm" | "sigusr1" | "sigusr2":
            return "interrupted"
        case None:
            return "last known epoch"
        case _:
            assert_never(reason)


def _describe_end(history: History) -> str:
    last = history.epochs[-1].epoch
    match history.stop_reason:
        case "epochs":
            return f"All {last} epochs were completed"
        case "early_stopping":
            return f"Early stopping ended training after epoch {last}"
        case "time":
            return f"The time was used up (training.max_seconds) after epoch {last}"
        case "diverged":
            return f"The run diverged after epoch {last}"
        case "sigint" | "sigterm" | "sigusr1" | "sigusr2":
            return f"The run was interrupted after epoch {last}"
        case None:
            return f"Epoch {last} is the last one known"
        case _:
            assert_never(history.stop_reason)


def _is_near(value: float, losses: np.ndarray) -> bool:
    """Return whether a line at a value leaves enough room for the losses."""
    known = losses[np.isfinite(losses)]
    return bool(known.min() - np.ptp(known) <= value <= known.max() + np.ptp(known))


def _scale(axes: Axes, values: np.ndarray) -> None:
    """Use a logarithmic scale where values differ widely and are positive."""
    known = values[np.isfinite(values)]
    if len(known) and known.min() > 0 and known.max() / known.min() > _WIDE:
        scale_logarithmically(axes.yaxis)
