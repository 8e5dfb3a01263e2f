"""The loss of who looks at no feature and gives every row the same answer."""

from typing import assert_never

import numpy as np
from torch import Tensor

from dlcli.config.objectives import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)
from dlcli.data.target import ClassTarget, FittedTarget
from dlcli.training.losses import Objective, loss_unit


def constant_baseline_loss(objective: Objective, target: FittedTarget, targets: Tensor) -> float:
    """Return the lowest mean loss of a constant answer to the training rows.

    It is in the target's own units, as the losses of a run's epochs are. The answer is the shares
    of the classes, with the objective's weights and smoothing; or the mean of `targets`, which are
    the rows' as the network is given them, [rows]; their median for the absolute error.
    """
    if isinstance(target, ClassTarget):
        return _class_loss(objective, target)
    return _number_loss(objective, targets.cpu().numpy().astype(np.float64)) * loss_unit(
        objective.loss, target
    )


def _class_loss(objective: Objective, target: ClassTarget) -> float:
    assert isinstance(objective.loss, BinaryCrossEntropy | CrossEntropy), "it is of classes"
    mass = np.array(target.counts) / sum(target.counts)
    if objective.class_weights is not None:
        mass = mass * objective.class_weights.cpu().numpy()
    smoothing = objective.loss.label_smoothing
    mass = (1 - smoothing) * mass + smoothing * mass.mean()
    return float(-(mass * np.log(mass / mass.sum())).sum())


def _number_loss(objective: Objective, numbers: np.ndarray) -> float:
    loss = objective.loss
    match loss:
        case MeanSquaredError():
            return float(numbers.var())
        case MeanAbsoluteError():
            return float(np.abs(numbers - np.median(numbers)).mean())
        case Huber():
            return _huber_loss(numbers, loss.delta)
        case BinaryCrossEntropy() | CrossEntropy():
            raise ValueError("numbers have no such loss")
        case _:
            assert_never(loss)


def _huber_loss(numbers: np.ndarray, delta: float) -> float:
    from scipy import optimize

    def mean_loss(answer: float) -> float:
        size = np.abs(numbers - answer)
        return float(np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)).mean())

    ends = (float(numbers.min()), float(numbers.max()))  # the loss is convex
    found = optimize.minimize_scalar(mean_loss, bounds=ends, method="bounded")
    return min(float(found.fun), mean_loss(float(np.median(numbers))))
