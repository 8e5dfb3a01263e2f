"""Whether a network learned too much, too little or not to the end, by the shape of its curves."""

import numpy as np

from dlcli.explaining.learning.config_changes import (
    calm,
    grow,
    regularise,
    stop_early,
    train_longer,
)
from dlcli.explaining.learning.curve_features import (
    FLAT,
    NOTABLE,
    POOR,
    RESTLESS,
    RISING,
    STEADY,
    CurveFeatures,
)
from dlcli.explaining.learning.finding import Change, Finding
from dlcli.explaining.learning.regularisation import restrictions

# Losses as shares of the trivial one, or else of the first epoch's.
_TRIVIAL = 0.9  # next to nothing was learned
_LARGE = 0.2
_LITTLE = 0.004  # a difference that doesn't matter

_TURNED = 0.05  # the validation loss's rise over its lowest
_TURNED_THOUGH_STOPPED = 0.15  # with early stopping, which always sees some of it
_KEPT_FALLING = 0.05  # the training loss's fall since, over itself
_BY_HEART = 0.25  # that fall, and the distance of both losses over the validation loss
STILL_FALLING = 0.05  # the last quarter's fall over the loss


def over_fitting(signs: CurveFeatures) -> Finding | None:
    """Tell whether the validation loss turned up while the training loss kept falling."""
    train, validation = signs.train, signs.validation
    if validation is None:
        return None
    gap = validation.last - train.last
    is_wide = gap >= max(_LARGE * signs.reference, validation.last / 2)
    then = float(np.interp(validation.best_epoch, train.epochs, train.smoothed))
    if _has_turned(signs, then, is_wide=is_wide):
        epochs = int(train.epochs[-1]) - validation.best_epoch
        ended = (
            f"early stopping ended it {epochs} epochs later"
            if signs.was_stopped_early
            else "nothing stopped it"
        )
        text = (
            f"Over-fitting since epoch {validation.best_epoch}: from there the training loss "
            f"kept falling, and the validation loss rose; {ended}."
        )
    elif is_wide:
        text = (
            "Over-fitting: the training rows are learned by heart, far better than the validation "
            "rows."
        )
    else:
        return None
    evidence = (
        f"Validation loss: {validation.best:.4g} in epoch {validation.best_epoch}, its lowest, and "
        f"{validation.last:.4g} at the end; training loss: {then:.4g} then, {train.last:.4g} at "
        "the end."
    )
    changes = (*stop_early(signs.config), *regularise(signs.config))
    return Finding("over_fitting", text, evidence, (*changes, Change("learn from more rows")))


def _has_turned(signs: CurveFeatures, then: float, *, is_wide: bool) -> bool:
    """Return whether the validation loss rose while the training loss fell, from `then` on."""
    validation, scale, last = signs.validation, signs.reference, signs.train.last
    assert validation is not None, "it is about nothing else"
    fall = (then - last) / then if then > 0 else 0.0
    rise = validation.last - validation.lowest
    if fall < _KEPT_FALLING or rise < max(_TURNED * validation.lowest, _LITTLE * scale):
        return False
    if is_wide:
        return True
    if signs.was_stopped_early:
        return rise >= max(_TURNED_THOUGH_STOPPED * validation.lowest, NOTABLE * scale)
    gap = validation.last - last
    is_by_heart = fall >= _BY_HEART and gap >= max(_BY_HEART * validation.last, NOTABLE * scale)
    return is_by_heart or validation.trend(validation.turn) >= RISING


def under_fitting(signs: CurveFeatures) -> Finding | None:
    """Both losses are flat, and poor beside a constant answer's, or for a network held back."""
    train, level = signs.train, signs.settled_at
    is_flat = train.late_fall <= FLAT * train.last
    held = restrictions(signs.config)
    is_held = level >= POOR and held and signs.trivial is not None
    if not is_flat or not (level >= _TRIVIAL or is_held):
        return None
    reasons = " and ".join(own.text for own in held)
    text = "Under-fitting: the network learns too little of the training rows themselves" + (
        f"; it has {reasons}." if held else "."
    )
    evidence = (
        f"The training loss is {train.last:.4g}{signs.beside_trivial(train.last)} and falls "
        "no more, or hardly. It may also be that the columns say no more of the target."
    )
    return Finding("under_fitting", text, evidence, tuple(grow(signs.config)))


def still_improving(signs: CurveFeatures) -> Finding | None:
    """Tell whether the run ended while its loss was still falling."""
    own, name = signs.judged, "validation" if signs.validation else "training"
    fall = own.late_fall
    if (
        signs.was_stopped_early
        or fall < max(STILL_FALLING * own.last, _LITTLE * signs.reference)
        or own.late_trend > -STEADY
    ):
        return None
    num_late = max(1, len(own) // 4)
    return Finding(
        "still_improving",
        f"Still improving: the {name} loss was falling when the run ended.",
        f"It fell by {fall:.2g} in the last {num_late} epochs, to {own.last:.4g}"
        f"{signs.beside_trivial(own.last)}.",
        (train_longer(signs.config, int(own.epochs[-1])),),
    )


def noisy(signs: CurveFeatures) -> Finding | None:
    """Tell whether the validation loss jumps more than it moves, though the other doesn't."""
    validation = signs.validation
    if validation is None or validation.mean_relative_rise < RESTLESS:
        return None
    num_rows = signs.history.rows.get("validation")
    of_rows = f" ({num_rows:,} rows)" if num_rows else ""
    return Finding(
        "noisy",
        "Noisy: the validation loss jumps from epoch to epoch, so that a single epoch's says "
        "little.",
        f"On average it rises by {validation.mean_relative_rise:.0%} from one epoch to the next"
        f"{of_rows}, "
        f"falls counted as none; the training loss by {signs.train.mean_relative_rise:.0%}.",
        tuple(calm(signs.config, signs.history.rows.get("train"))),
    )
