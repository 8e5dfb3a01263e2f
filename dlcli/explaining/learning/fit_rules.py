"""Rules for overfitting, underfitting, unfinished and noisy training, by the curves' shapes."""

import numpy as np

from dlcli.explaining.learning.config_changes import (
    increase_capacity,
    reduce_noise,
    regularise,
    stop_early,
    train_longer,
)
from dlcli.explaining.learning.curve_features import (
    FLAT,
    NOISY,
    NOTABLE,
    POOR,
    RISING,
    STEADY,
    CurveFeatures,
)
from dlcli.explaining.learning.finding import Change, Finding
from dlcli.explaining.learning.regularisation import restrictions

# Losses as shares of the constant baseline's, or else of the first epoch's.
_NEAR_CONSTANT = 0.9  # above it, next to nothing was learned
_LARGE = 0.2
_LITTLE = 0.004  # a difference below it doesn't matter

_TURNED = 0.05  # rise of the validation loss, relative to its minimum
_TURNED_THOUGH_STOPPED = 0.15  # with early stopping, which always waits for some rise
_KEPT_FALLING = 0.05  # fall of the training loss since then, relative to itself
_MEMORISED = 0.25  # that fall, and the gap between the losses relative to the validation loss
STILL_FALLING = 0.05  # fall over the last quarter, relative to the loss


def overfitting(curves: CurveFeatures) -> Finding | None:
    """Find out whether the validation loss rose while the training loss kept falling."""
    train, validation = curves.train, curves.validation
    if validation is None:
        return None
    gap = validation.last - train.last
    is_wide = gap >= max(_LARGE * curves.reference, validation.last / 2)
    then = float(np.interp(validation.best_epoch, train.epochs, train.smoothed))
    if _has_turned(curves, then, is_wide=is_wide):
        epochs = int(train.epochs[-1]) - validation.best_epoch
        ended = (
            f"early stopping ended the run {epochs} epochs later"
            if curves.was_stopped_early
            else "nothing stopped it"
        )
        text = (
            f"Overfitting since epoch {validation.best_epoch}: from there on the training loss "
            f"kept falling while the validation loss rose; {ended}."
        )
    elif is_wide:
        text = (
            "Overfitting: the network has memorised the training rows, and does far worse on the "
            "validation rows."
        )
    else:
        return None
    evidence = (
        f"Validation loss: minimum {validation.best:.4g} in epoch {validation.best_epoch}, "
        f"{validation.last:.4g} at the end. Training loss: {then:.4g} in that epoch, "
        f"{train.last:.4g} at the end."
    )
    changes = (*stop_early(curves.config), *regularise(curves.config))
    return Finding("overfitting", text, evidence, (*changes, Change("train on more rows")))


def _has_turned(curves: CurveFeatures, then: float, *, is_wide: bool) -> bool:
    """Return whether the validation loss rose while the training loss fell, from `then` on."""
    validation, scale, last = curves.validation, curves.reference, curves.train.last
    assert validation is not None, "overfitting needs it"
    fall = (then - last) / then if then > 0 else 0.0
    increase = validation.last - validation.lowest
    if fall < _KEPT_FALLING or increase < max(_TURNED * validation.lowest, _LITTLE * scale):
        return False
    if is_wide:
        return True
    if curves.was_stopped_early:
        return increase >= max(_TURNED_THOUGH_STOPPED * validation.lowest, NOTABLE * scale)
    gap = validation.last - last
    is_memorised = fall >= _MEMORISED and gap >= max(_MEMORISED * validation.last, NOTABLE * scale)
    return is_memorised or validation.trend(validation.turn) >= RISING


def underfitting(curves: CurveFeatures) -> Finding | None:
    """Find out whether losses are flat and near the baseline's, or high with restrictions."""
    train, level = curves.train, curves.settled_at
    is_flat = train.late_fall <= FLAT * train.last
    found = restrictions(curves.config)
    is_restricted = level >= POOR and found and curves.constant_loss is not None
    if not is_flat or not (level >= _NEAR_CONSTANT or is_restricted):
        return None
    reasons = " and ".join(restriction.text for restriction in found)
    text = "Underfitting: the network fits even the training rows poorly" + (
        f"; it has {reasons}." if found else "."
    )
    evidence = (
        f"The training loss is {train.last:.4g}{curves.relative_to_constant(train.last)} and has "
        "all but stopped falling. The features may hold no more information about the target."
    )
    return Finding("underfitting", text, evidence, tuple(increase_capacity(curves.config)))


def still_improving(curves: CurveFeatures) -> Finding | None:
    """Find out whether the run ended while its loss was still falling."""
    curve, name = curves.main, "validation" if curves.validation else "training"
    fall = curve.late_fall
    if (
        curves.was_stopped_early
        or fall < max(STILL_FALLING * curve.last, _LITTLE * curves.reference)
        or curve.late_trend > -STEADY
    ):
        return None
    num_late = max(1, len(curve) // 4)
    return Finding(
        "still_improving",
        f"Still improving: the {name} loss was still falling when the run ended.",
        f"It fell by {fall:.2g} over the last {num_late} epochs, to {curve.last:.4g}"
        f"{curves.relative_to_constant(curve.last)}.",
        (train_longer(curves.config, int(curve.epochs[-1])),),
    )


def noisy(curves: CurveFeatures) -> Finding | None:
    """Find out whether the validation loss jumps, although the training loss doesn't."""
    validation = curves.validation
    if validation is None or validation.mean_relative_rise < NOISY:
        return None
    num_rows = curves.history.rows.get("validation")
    of_rows = f" ({num_rows:,} rows)" if num_rows else ""
    return Finding(
        "noisy",
        "Noisy: the validation loss jumps from epoch to epoch, so a single epoch's loss says "
        "little.",
        f"Counting falls as 0, it rises by {validation.mean_relative_rise:.0%} per epoch on average"
        f"{of_rows}, and the training loss by {curves.train.mean_relative_rise:.0%}.",
        tuple(reduce_noise(curves.config, curves.history.rows.get("train"))),
    )
