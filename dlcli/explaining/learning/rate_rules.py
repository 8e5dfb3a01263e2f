"""Rules for a learning rate that is too high or too low, by the curves' shapes.

The thresholds of all rules were chosen on the development runs of `benchmarks/diagnosis.py`.
"""

from collections.abc import Iterator

from dlcli.explaining.learning.config_changes import (
    larger_batches,
    scale_data,
    scale_learning_rate,
    train_longer,
)
from dlcli.explaining.learning.curve_features import (
    FLAT,
    MANY_EPOCHS,
    NOISY,
    NOTABLE,
    POOR,
    RISING,
    CurveFeatures,
)
from dlcli.explaining.learning.finding import Finding
from dlcli.explaining.learning.regularisation import has_high_rate, restrictions

_EXPLODED = 2.5  # loss of the first epoch: with scaled data, no network starts so badly
_WORSE_THAN_CONSTANT = 1.04  # which the last bias alone could repair
_RISEN = 0.05
_STUCK = 0.9  # above it, nothing but the last bias was learned
_CREEPING = 0.003  # fall over the last quarter
_ALWAYS = 0.95
_TARGET_FALL = 3.0  # times the baseline's loss in as many epochs, with the advised rate
_FACTORS = (3.0, 10.0, 30.0, 100.0)  # by which the learning rate is raised


def lr_too_high(curves: CurveFeatures) -> Finding | None:
    """Find out whether losses jump, rise, or never recover from a bad start."""
    reason = None if curves.falls_steadily else next(_high_rate_evidence(curves), None)
    if reason is None:
        return None
    changes = (
        scale_learning_rate(curves.config, 0.1),
        *scale_data(curves.config),
        *larger_batches(curves.config, curves.history.rows.get("train")),
    )
    return Finding("lr_too_high", "The learning rate is too high.", reason, changes)


def _high_rate_evidence(curves: CurveFeatures) -> Iterator[str]:
    """Yield the evidence, the clearest first."""
    train, main, scale = curves.train, curves.main, curves.reference
    if min(train.mean_relative_rise, main.mean_relative_rise) >= NOISY:
        also = (
            f", and the validation loss by {main.mean_relative_rise:.0%}"
            if curves.validation
            else ""
        )
        yield (
            "Losses jump: counting falls as 0, the training loss rises by "
            f"{train.mean_relative_rise:.0%} per epoch on average{also}."
        )
    rise = train.last - train.lowest
    if rise >= max(FLAT * train.lowest, _RISEN * scale) and train.late_trend >= RISING:
        yield (
            f"The training loss itself rises: {train.best:.4g} in epoch {train.best_epoch}, "
            f"{train.last:.4g} at the end."
        )
    if curves.constant_loss is None:
        return
    is_flat = train.late_fall <= FLAT * train.last
    end = f"{train.last:.4g}{curves.relative_to_constant(train.last)}"
    has_exploded = train.first >= _EXPLODED * scale and curves.starts_small
    if has_exploded and main.last >= NOTABLE * scale:
        name = "validation" if curves.validation else "training"
        yield (
            f"The training loss exploded in the first steps, to {train.first:.4g}"
            f"{curves.relative_to_constant(train.first)}; at the end the {name} loss is "
            f"{main.last:.4g}{curves.relative_to_constant(main.last)}."
        )
    if train.last >= _WORSE_THAN_CONSTANT * scale and is_flat:
        yield f"The training loss stays at {end}: steps are too large even for the last bias."
    config = curves.config
    if curves.settled_at >= POOR and is_flat and has_high_rate(config) and not restrictions(config):
        yield (
            f"The training loss is flat at {end}, and a learning rate of "
            f"{curves.history.lrs.max():g} is far above the usual range of this optimizer."
        )


def lr_too_low(curves: CurveFeatures) -> Finding | None:
    """Find out whether losses fall all the time, slowly, in a straight line."""
    train, scale = curves.train, curves.reference
    fallen = (train.first - train.last) / scale
    is_short = len(train) < MANY_EPOCHS and fallen > POOR
    if curves.falls_steadily and train.last >= POOR * scale and not is_short:
        evidence = (
            f"The training loss fell from {train.first:.4g} to {train.last:.4g}"
            f"{curves.relative_to_constant(train.last)} in an almost straight line: "
            f"{curves.straightness:.0%} as fast in the second half as in the first."
        )
    elif _creeps(curves):
        fallen = 4 * train.late_fall / scale
        evidence = (
            f"The training loss is still {train.last:.4g}"
            f"{curves.relative_to_constant(train.last)} and falls slightly in every epoch."
        )
    else:
        return None
    factor = next((factor for factor in _FACTORS if factor * fallen >= _TARGET_FALL), _FACTORS[-1])
    changes = (scale_learning_rate(curves.config, factor), train_longer(curves.config, len(train)))
    return Finding("lr_too_low", "The learning rate is too low.", evidence, changes)


def _creeps(curves: CurveFeatures) -> bool:
    """Return whether the training loss is near the constant baseline's and still falling."""
    train, scale = curves.train, curves.reference
    return (
        curves.constant_loss is not None
        and train.last >= _STUCK * scale
        and train.mean_relative_rise == 0
        and train.late_trend <= -_ALWAYS
        and train.late_fall >= _CREEPING * scale
    )
