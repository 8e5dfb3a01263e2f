"""What training makes small: the mean of a loss over examples."""

from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everywhere

from dlcli.config.objectives import (
    BinaryCrossEntropy,
    ClassWeights,
    CrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)
from dlcli.data.target import ClassTarget, FittedTarget, NumberTarget


@dataclass(frozen=True)
class Objective:
    """A loss, called with outputs `[batch, num_outputs]` and targets `[batch]`.

    The result is the mean over the batch's examples. Class weights are factors of each example's
    loss, and the mean divides by the number of examples, not by the sum of the weights: so every
    example counts alike in whichever batch it falls.
    """

    loss: Loss
    class_weights: Tensor | None  # [classes]

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        loss = self.loss
        match loss:
            case BinaryCrossEntropy():
                weights = None if self.class_weights is None else self.class_weights[targets]
                truth = targets.to(outputs.dtype)
                if loss.label_smoothing:
                    truth = truth * (1 - loss.label_smoothing) + loss.label_smoothing / 2
                return F.binary_cross_entropy_with_logits(outputs[:, 0], truth, weights)
            case CrossEntropy():
                if self.class_weights is None:
                    return F.cross_entropy(outputs, targets, label_smoothing=loss.label_smoothing)
                each = F.cross_entropy(
                    outputs, targets, reduction="none", label_smoothing=loss.label_smoothing
                )
                return (each * self.class_weights[targets]).mean()
            case MeanSquaredError():
                return F.mse_loss(outputs[:, 0], targets)
            case MeanAbsoluteError():
                return F.l1_loss(outputs[:, 0], targets)
            case Huber():
                return F.huber_loss(outputs[:, 0], targets, delta=loss.delta)
            case _:
                assert_never(loss)

    def each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each example, [batch]: their mean is what a call returns."""
        loss = self.loss
        weights = 1.0 if self.class_weights is None else self.class_weights[targets]
        match loss:
            case BinaryCrossEntropy():
                truth = targets.to(outputs.dtype)
                if loss.label_smoothing:
                    truth = truth * (1 - loss.label_smoothing) + loss.label_smoothing / 2
                logits = outputs[:, 0]
                return weights * F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
            case CrossEntropy():
                smoothing = loss.label_smoothing
                return weights * F.cross_entropy(
                    outputs, targets, reduction="none", label_smoothing=smoothing
                )
            case MeanSquaredError():
                return F.mse_loss(outputs[:, 0], targets, reduction="none")
            case MeanAbsoluteError():
                return F.l1_loss(outputs[:, 0], targets, reduction="none")
            case Huber():
                return F.huber_loss(outputs[:, 0], targets, reduction="none", delta=loss.delta)
            case _:
                assert_never(loss)


def build_objective(loss: Loss, target: FittedTarget, device: torch.device) -> Objective:
    """Build for a target; class weights come to its device."""
    if not isinstance(target, ClassTarget) or not isinstance(
        loss, BinaryCrossEntropy | CrossEntropy
    ):
        return Objective(loss, None)
    if loss.class_weights is None:
        return Objective(loss, None)
    return Objective(loss, torch.tensor(_class_weights(loss.class_weights, target), device=device))


def loss_unit(loss: Loss, target: FittedTarget) -> float:
    """Return the factor that takes a loss from scaled targets to the target's own units."""
    if not isinstance(target, NumberTarget):
        return 1.0
    return target.scale if isinstance(loss, MeanAbsoluteError) else target.scale**2


def _class_weights(weights: ClassWeights, target: ClassTarget) -> list[float]:
    if weights == "balanced":
        return [sum(target.counts) / (len(target.counts) * count) for count in target.counts]
    return [weights.get(name, 1.0) for name in target.classes]
