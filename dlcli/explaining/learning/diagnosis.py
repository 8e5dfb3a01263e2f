"""A run's history → what it shows, in plain words, on what evidence, and what to change."""

from collections.abc import Iterator

from dlcli.explaining.learning.config_changes import clip, learn_at, scale_data, train_longer
from dlcli.explaining.learning.curve_features import CurveFeatures
from dlcli.explaining.learning.finding import Diagnosis, Finding
from dlcli.explaining.learning.fit_rules import (
    STILL_FALLING,
    noisy,
    over_fitting,
    still_improving,
    under_fitting,
)
from dlcli.explaining.learning.history import History
from dlcli.explaining.learning.rate_rules import lr_too_high, lr_too_low

MAX_FINDINGS = 2
MIN_EPOCHS = 6  # that more can be told from than whether losses fell
_FEW_ROWS = 50


def diagnose(history: History, *, trivial: float | None) -> Diagnosis:
    """Say which it is, on what evidence, and what to change.

    `trivial` is the loss of a constant answer, in the losses' units (`trivial_loss`); None where it
    is not known.
    """
    findings = tuple(_find(history, trivial))[:MAX_FINDINGS]
    return Diagnosis(findings, tuple(_remarks(history, trivial)), trivial)


def _find(history: History, trivial: float | None) -> Iterator[Finding]:
    if history.stop_reason == "diverged":
        yield _diverged(history)
        return
    if len(history) < MIN_EPOCHS:
        yield _too_few(history)
        return
    signs = CurveFeatures(history, trivial)
    # A rate that is far off shapes the curves so much that they say little else.
    alone = lr_too_high(signs) or lr_too_low(signs)
    if alone is not None:
        yield alone
        return
    found = [
        finding
        for rule in (over_fitting, under_fitting, still_improving, noisy)
        if (finding := rule(signs)) is not None
    ]
    yield from found or [_fine(signs)]


def _diverged(history: History) -> Finding:
    config = history.config
    after = f" after {len(history)} epochs" if len(history) != 1 else " after 1 epoch"
    losses = [f"{loss:.4g}" for loss in history.train_losses[-3:]]
    evidence = f"Losses or weights left the finite numbers{after if losses else ''}" + (
        f"; the last training losses were {', '.join(losses)}." if losses else "."
    )
    changes = (learn_at(config, 0.1), *clip(config), *scale_data(config))
    return Finding("too_hot", "The run diverged: the learning rate is too high.", evidence, changes)


def _too_few(history: History) -> Finding:
    num_epochs = len(history)
    if not num_epochs:
        text = "No epoch is known: nothing can be said of how the network learned."
        return Finding("too_few_epochs", text, "")
    losses = history.train_losses
    change = train_longer(history.config, num_epochs)
    if num_epochs == 1:
        text = "One epoch: too few to say how the network learned."
        evidence = f"Its training loss is {losses[0]:.4g}."
    else:
        text = f"{num_epochs} epochs are too few to say more than whether the loss fell."
        way = "fell" if losses[-1] < losses[0] else "did not fall"
        evidence = f"The training loss {way}: {losses[0]:.4g} first, {losses[-1]:.4g} last."
    return Finding("too_few_epochs", text, evidence, (change,))


def _fine(signs: CurveFeatures) -> Finding:
    own, name = signs.judged, "validation" if signs.validation else "training"
    if signs.was_stopped_early:
        ended = "early stopping ended the run when it fell no more"
    elif own.last - own.lowest > STILL_FALLING * own.lowest:
        ended = "what it rose again after its lowest is little"
    elif own.late_fall <= STILL_FALLING * own.last:
        ended = "it was flat at the end"
    else:
        ended = "what it still gained at the end is next to nothing"
    return Finding(
        "fine",
        f"Fine: the {name} loss fell, and {ended}.",
        f"It is {own.best:.4g} in epoch {own.best_epoch}{signs.beside_trivial(own.best)}, its "
        f"lowest, and {own.last:.4g} at the end, where the training loss is "
        f"{signs.train.last:.4g}.",
    )


def _remarks(history: History, trivial: float | None) -> Iterator[str]:
    yield from history.notes
    if not len(history):
        return
    if trivial is None:
        yield (
            "What a constant answer would reach is not known, so under-fitting can hardly be told."
        )
    if history.validation_losses is None:
        yield "There are no validation rows, so over-fitting can't be told."
    num_rows = history.rows.get("validation", 0)
    if 0 < num_rows < _FEW_ROWS:
        yield f"There are only {num_rows} validation rows: their loss is a rough guide."
