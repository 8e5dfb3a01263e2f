"""How soon a run reaches a loss that all are held to."""

import math
import statistics
from collections.abc import Mapping, Sequence


def common_target(best_losses: Mapping[str, Sequence[float]]) -> float | None:
    """Return the median over candidates of the best loss that each one typically reached.

    `best_losses` are each candidate's, run by run, infinite where one diverged. Half of the
    candidates reach it, so that it is neither out of reach nor given away. None where most
    candidates have no typical loss.
    """
    typical = [statistics.median_high(losses) for losses in best_losses.values()]
    target = statistics.median_high(typical)
    return target if math.isfinite(target) else None


def epochs_to(target: float, losses: Sequence[float]) -> int | None:
    """Return the first epoch, from 1, whose loss is at most the target; None: it was missed."""
    return next((epoch for epoch, loss in enumerate(losses, 1) if loss <= target), None)
