"""The loss of the constant baseline, which ignores all features."""

import numpy as np
from torch import Tensor

from dlcli.targets.base import Target
from dlcli.training.objective import Objective


def constant_baseline_loss(
    objective: Objective, target: Target, targets: Tensor, weights: np.ndarray | None = None
) -> float:
    """Return the lowest mean loss that constant outputs have on the training rows.

    It is in the target's units, as the losses of a run's epochs are, with the objective's class
    weights and label smoothing. `targets` are encoded, and `weights` say how much each row counts,
    [rows].
    """
    values, counts = target.training_values(targets.cpu().numpy(), weights)
    class_weights = class_weights_of(objective)
    return objective.loss.best_constant_loss(values, counts, class_weights) * objective.unit


def class_weights_of(objective: Objective) -> np.ndarray | None:
    """Return the weight of each class, float64 [classes]; None where there are none."""
    weights = objective.class_weights
    return None if weights is None else weights.cpu().double().numpy()
