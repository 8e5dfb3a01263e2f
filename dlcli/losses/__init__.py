"""Losses: what training minimises, a class for each."""

from typing import Annotated, get_args

from dlcli.losses.base import Loss
from dlcli.losses.classification import BinaryCrossEntropy, CrossEntropy
from dlcli.losses.multilabel import MultilabelCrossEntropy
from dlcli.losses.ordinal import Corn
from dlcli.losses.quantile import Quantile
from dlcli.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError
from dlcli.section import ByType, type_of
from dlcli.targets.task import AnyTask

__all__ = ["LOSSES", "AnyLoss", "Loss", "default_loss", "losses_for"]

# The first one that fits a task is its default.
_Member = (
    BinaryCrossEntropy
    | Corn
    | CrossEntropy
    | MultilabelCrossEntropy
    | MeanSquaredError
    | MeanAbsoluteError
    | Huber
    | Quantile
)

LOSSES: tuple[type[_Member], ...] = get_args(_Member)
AnyLoss = Annotated[_Member, ByType()]


def losses_for(task: AnyTask) -> tuple[type[_Member], ...]:
    """Return the losses that fit a task, its default first."""
    return tuple(loss for loss in LOSSES if task in loss.tasks())


def default_loss(task: AnyTask) -> AnyLoss:
    """Return a task's default loss."""
    loss: type[_Member] = losses_for(task)[0]
    return loss.model_validate({"type": type_of(loss)})
