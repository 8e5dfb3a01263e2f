"""Learning curves, and the diagnosis of a run."""

from collections.abc import Iterator
from typing import assert_never

import numpy as np

from dlcli.explaining.learning.finding import Diagnosis, Finding
from dlcli.explaining.learning.history import History
from dlcli.metrics import label_of
from dlcli.numbers import number_text
from dlcli.report.charts.chart import Axis, Chart, Dots, Line, Mark, Panel, Rule
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
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
    curves: list[Mark] = [_line(history, history.train_losses, "training", 0, 0)]
    if validation is not None:
        curves.append(_line(history, validation, "validation", 1, 1))
    losses = np.concatenate([line.y for line in curves if isinstance(line, Line)])
    if constant_loss is not None and _is_near(constant_loss, losses):
        curves.append(Rule(constant_loss, "y", "constant baseline", 6, 2, 1.4))
    rate = _line(history, history.lrs, "learning rate", 2, 0)
    highest = float(history.lrs.max())
    is_peaked = highest > _WIDE * np.median(history.lrs) > 0
    loss_axis = Axis("loss", is_log=_is_wide(losses))
    rate_axis = Axis("rate", is_log=True, max_ticks=3)
    if not is_peaked:
        rate_axis = Axis("rate", low=0.0, high=1.1 * highest or 1.0, max_ticks=3)
    marks = [*curves, *_best(history, validation), _end(history)]
    chart = Chart(
        rows=(
            (Panel(marks, _epochs(history, is_hidden=True), loss_axis),),
            (Panel((rate,), _epochs(history), rate_axis),),
        ),
        height=370.0,
        heights=(3.0, 1.1),
    )
    return chart_picture(
        "losses-by-epoch",
        "Loss and learning rate by epoch",
        " ".join(_losses_caption(history, constant_loss)),
        chart,
    )


def _losses_caption(history: History, constant_loss: float | None) -> Iterator[str]:
    train, validation = history.train_losses, history.validation_losses
    yield (
        f"Training loss: {number_text(train[0], 4)} in the first epoch, "
        f"{number_text(train[-1], 4)} in the last."
    )
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

    known = np.flatnonzero(np.isfinite(values))
    best = _value_at_best(history, values)
    kept = ""
    if best is not None:
        kept = f", {number_text(best, 4)} in epoch {history.best_epoch}, whose weights were kept"
    text = (
        f"Validation {label}: {number_text(values[known[0]], 4)} in the first epoch, "
        f"{number_text(values[known[-1]], 4)} in the last{kept}."
    )
    marks = [_line(history, values, label, 1, 1), *_best(history, values), _end(history)]
    panel = Panel(marks, _epochs(history), Axis(f"validation {label}"))
    return chart_picture(
        "headline-by-epoch",
        f"Validation {label} by epoch",
        " ".join([text, *_describe_thinning(history)]),
        Chart(((panel,),), height=200.0),
    )


def _line(history: History, values: np.ndarray, name: str, color: int, dashes: int) -> Line:
    """Return values by epoch, medians of several epochs where there are many."""
    step = _epochs_per_point(history)
    starts = range(0, len(values), step)
    epochs = [float(np.median(history.numbers[start : start + step])) for start in starts]
    shown = np.array([np.median(values[start : start + step]) for start in starts])
    return Line(epochs, shown, name, color, dashes, is_marked=len(shown) <= _MAX_MARKERS)


def _epochs_per_point(history: History) -> int:
    return -(-len(history) // _MAX_POINTS)


def _describe_thinning(history: History) -> Iterator[str]:
    step = _epochs_per_point(history)
    if step > 1:
        yield f"Each point is the median of {step} epochs."


def _value_at_best(history: History, values: np.ndarray) -> float | None:
    at = np.flatnonzero(history.numbers == (history.best_epoch or 0))
    return float(values[at[0]]) if len(at) and np.isfinite(values[at[0]]) else None


def _best(history: History, values: np.ndarray | None) -> Iterator[Mark]:
    """Mark the epoch whose weights were kept, on its line where it has one."""
    best = history.best_epoch
    if best is None:
        return
    yield Rule(best, "x", f"best epoch: {best}", dashes=3, width=1.4)
    value = None if values is None else _value_at_best(history, values)
    if value is not None:
        yield Dots([best], [value], color="ink", shape="diamond", size=9.0, has_tooltip=False)


def _end(history: History) -> Rule:
    last = float(history.numbers[-1])
    return Rule(last, "x", f"end: {_short_end(history.stop_reason)}", opacity=0.6)


def _epochs(history: History, *, is_hidden: bool = False) -> Axis:
    highest = max(2.0, 1.03 * float(history.numbers[-1]))
    return Axis("epoch", 0.0, highest, is_integer=True, max_ticks=8, is_hidden=is_hidden)


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
    last = history.epochs.last
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


def _is_wide(values: np.ndarray) -> bool:
    """Return whether values differ so widely that the scale is logarithmic."""
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() / known.min() > _WIDE)
