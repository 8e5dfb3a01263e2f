"""A run's history → its diagnosis, with evidence and suggested changes."""

from collections.abc import Iterator

from dlcli.explaining.learning.config_changes import (
    clip,
    scale_data,
    scale_learning_rate,
    train_longer,
)
from dlcli.explaining.learning.curve_features import CurveFeatures
from dlcli.explaining.learning.finding import Change, Diagnosis, Finding
from dlcli.explaining.learning.fit_rules import (
    STILL_FALLING,
    noisy,
    overfitting,
    still_improving,
    underfitting,
)
from dlcli.explaining.learning.history import History
from dlcli.explaining.learning.rate_rules import lr_too_high, lr_too_low

MAX_FINDINGS = 2
MIN_EPOCHS = 6  # of fewer, nothing is said but whether the loss fell
_FEW_ROWS = 50  # validation rows whose loss is a rough guide


def diagnose(history: History, *, constant_loss: float | None) -> Diagnosis:
    """Diagnose how a run learned.

    `constant_loss` is the loss of the constant baseline (`constant_baseline_loss`), in the units of
    the losses; None where it is unknown.
    """
    findings = tuple(_find(history, constant_loss))[:MAX_FINDINGS]
    return Diagnosis(findings, tuple(_remarks(history, constant_loss)), constant_loss)


def _find(history: History, constant_loss: float | None) -> Iterator[Finding]:
    if history.stop_reason == "diverged":
        yield _diverged(history)
        return
    yield from _unwatched(history)
    if len(history) < MIN_EPOCHS:
        yield _too_few(history)
        return
    curves = CurveFeatures(history, constant_loss)
    # A learning rate that is far off shapes the curves so much that they show little else.
    rate_finding = lr_too_high(curves) or lr_too_low(curves)
    if rate_finding is not None:
        yield rate_finding
        return
    found = [
        finding
        for rule in (overfitting, underfitting, still_improving, noisy)
        if (finding := rule(curves)) is not None
    ]
    if not found and history.unwatched is None:
        found = [_fine(curves)]
    yield from found


def _diverged(history: History) -> Finding:
    config = history.config
    after = f" after {len(history)} epochs" if len(history) != 1 else " after 1 epoch"
    losses = [f"{loss:.4g}" for loss in history.train_losses[-3:]]
    evidence = f"Losses or weights were no longer finite{after if losses else ''}" + (
        f"; the last training losses were {', '.join(losses)}." if losses else "."
    )
    changes = (scale_learning_rate(config, 0.1), *clip(config), *scale_data(config))
    return Finding(
        "lr_too_high", "The run diverged: the learning rate is too high.", evidence, changes
    )


def _too_few(history: History) -> Finding:
    num_epochs = len(history)
    if not num_epochs:
        text = "No epoch was recorded: nothing can be said about how the network learned."
        return Finding("too_few_epochs", text, "")
    losses = history.train_losses
    change = train_longer(history.config, num_epochs)
    if num_epochs == 1:
        text = "One epoch is too few to say how the network learned."
        evidence = f"The training loss is {losses[0]:.4g}."
    else:
        text = f"{num_epochs} epochs are too few to say more than whether the loss fell."
        way = "fell" if losses[-1] < losses[0] else "did not fall"
        evidence = (
            f"The training loss {way}: {losses[0]:.4g} in the first epoch, {losses[-1]:.4g} in the "
            "last."
        )
    return Finding("too_few_epochs", text, evidence, (change,))


def _unwatched(history: History) -> Iterator[Finding]:
    metric = history.unwatched
    if metric is not None:
        yield Finding(
            "unwatched",
            f"Early stopping could not monitor {metric}: it has no value on the validation rows.",
            f"Without a value of {metric}, epochs can be compared by the validation loss alone.",
            (
                Change("monitor the loss", ("training.early_stopping.metric=loss",)),
                Change("hold out other validation rows (data.split)"),
            ),
        )


def _fine(curves: CurveFeatures) -> Finding:
    curve, name = curves.main, "validation" if curves.validation else "training"
    if curves.was_stopped_early:
        ended = "early stopping ended the run when it no longer improved"
    elif curve.last - curve.lowest > STILL_FALLING * curve.lowest:
        ended = "rose only slightly after its minimum"
    elif curve.late_fall <= STILL_FALLING * curve.last:
        ended = "was flat at the end"
    else:
        ended = "improved only marginally at the end"
    return Finding(
        "fine",
        f"No problems found: the {name} loss fell, and {ended}."
        if curves.was_stopped_early
        else f"No problems found: the {name} loss fell and {ended}.",
        f"Its minimum is {curve.best:.4g} in epoch {curve.best_epoch}"
        f"{curves.relative_to_constant(curve.best)}; at the end it is {curve.last:.4g}, and the "
        f"training loss {curves.train.last:.4g}.",
    )


def _remarks(history: History, constant_loss: float | None) -> Iterator[str]:
    yield from history.notes
    if not len(history):
        return
    if constant_loss is None:
        yield "the loss of the constant baseline is unknown, so underfitting can hardly be detected"
    if history.validation_losses is None:
        yield "there are no validation rows, so overfitting can't be detected"
    num_rows = history.rows.get("validation", 0)
    if 0 < num_rows < _FEW_ROWS:
        yield f"there are only {num_rows} validation rows, so their loss is a rough guide"
