"""Whether a run's learning rate was too high or too low, by the shape of its curves.

The thresholds of all rules were chosen on the development runs of `benchmarks/diagnosis.py`.
"""

from collections.abc import Iterator

from dlcli.explaining.learning.config_changes import (
    larger_batches,
    learn_at,
    scale_data,
    train_longer,
)
from dlcli.explaining.learning.curve_features import (
    FLAT,
    MANY_EPOCHS,
    NOTABLE,
    POOR,
    RESTLESS,
    RISING,
    CurveFeatures,
)
from dlcli.explaining.learning.finding import Finding
from dlcli.explaining.learning.regularisation import has_high_rate, restrictions

_BLOWN_UP = 2.5  # the first epoch's loss: no network starts so badly on scaled data
_WORSE_THAN_TRIVIAL = 1.04  # which any network can be cured of by its last bias
_RISEN = 0.05
_STUCK = 0.9  # nothing but the last bias is learned
_CREEPING = 0.003  # the last quarter's fall
_ALWAYS = 0.95
_WANTED = 3.0  # falls of the size of the trivial loss, in as many epochs
_FACTORS = (3.0, 10.0, 30.0, 100.0)  # by which a rate is raised


def lr_too_high(signs: CurveFeatures) -> Finding | None:
    """Tell whether losses leap, rise, or never come back from a bad start: too high a rate."""
    reason = None if signs.falls_steadily else next(_heat(signs), None)
    if reason is None:
        return None
    changes = (
        learn_at(signs.config, 0.1),
        *scale_data(signs.config),
        *larger_batches(signs.config, signs.history.rows.get("train")),
    )
    return Finding("too_hot", "The learning rate is too high.", reason, changes)


def _heat(signs: CurveFeatures) -> Iterator[str]:
    """Yield what speaks for it, the plainest first."""
    train, judged, scale = signs.train, signs.judged, signs.reference
    if min(train.mean_relative_rise, judged.mean_relative_rise) >= RESTLESS:
        also = (
            f", the validation loss by {judged.mean_relative_rise:.0%}" if signs.validation else ""
        )
        yield (
            "Losses leap: from one epoch to the next the training loss rises by "
            f"{train.mean_relative_rise:.0%} on average, falls counted as none{also}."
        )
    rise = train.last - train.lowest
    if rise >= max(FLAT * train.lowest, _RISEN * scale) and train.late_trend >= RISING:
        yield (
            f"The training loss itself rises: {train.best:.4g} in epoch {train.best_epoch}, "
            f"{train.last:.4g} at the end."
        )
    if signs.trivial is None:
        return
    is_flat = train.late_fall <= FLAT * train.last
    end = f"{train.last:.4g}{signs.beside_trivial(train.last)}"
    is_blown_up = train.first >= _BLOWN_UP * scale and signs.starts_small
    if is_blown_up and judged.last >= NOTABLE * scale:
        name = "validation" if signs.validation else "training"
        yield (
            f"The first steps blew the network up, to a training loss of {train.first:.4g}"
            f"{signs.beside_trivial(train.first)}; at the end the {name} loss is "
            f"{judged.last:.4g}{signs.beside_trivial(judged.last)}."
        )
    if train.last >= _WORSE_THAN_TRIVIAL * scale and is_flat:
        yield f"The training loss stays at {end}: steps are too long even for the last bias."
    config = signs.config
    if signs.settled_at >= POOR and is_flat and has_high_rate(config) and not restrictions(config):
        yield (
            f"The training loss is flat at {end}, and a rate of {signs.history.lrs.max():g} is "
            "far above what this optimizer is usually given."
        )


def lr_too_low(signs: CurveFeatures) -> Finding | None:
    """Tell whether losses fall all the time, in a straight line, and slowly: too low a rate."""
    train, scale = signs.train, signs.reference
    fallen = (train.first - train.last) / scale
    is_short = len(train) < MANY_EPOCHS and fallen > POOR
    if signs.falls_steadily and train.last >= POOR * scale and not is_short:
        evidence = (
            f"The training loss fell from {train.first:.4g} to {train.last:.4g}"
            f"{signs.beside_trivial(train.last)}, almost in a straight line: "
            f"{signs.straightness:.0%} as fast in the second half as in the first."
        )
    elif _creeps(signs):
        fallen = 4 * train.late_fall / scale
        evidence = (
            f"The training loss still stands at {train.last:.4g}"
            f"{signs.beside_trivial(train.last)}, and falls a little in every epoch."
        )
    else:
        return None
    factor = next((own for own in _FACTORS if own * fallen >= _WANTED), _FACTORS[-1])
    changes = (learn_at(signs.config, factor), train_longer(signs.config, len(train)))
    return Finding("too_cold", "The learning rate is too low.", evidence, changes)


def _creeps(signs: CurveFeatures) -> bool:
    """Return whether the training loss stands where a constant answer's is, and falls yet."""
    train, scale = signs.train, signs.reference
    return (
        signs.trivial is not None
        and train.last >= _STUCK * scale
        and train.mean_relative_rise == 0
        and train.late_trend <= -_ALWAYS
        and train.late_fall >= _CREEPING * scale
    )
