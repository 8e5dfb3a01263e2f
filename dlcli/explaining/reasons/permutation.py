"""Groups of encoded features, shuffled among rows: how much the loss rises."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dlcli.data.fields import Slots
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.training.evaluation import compute_outputs
from dlcli.training.rows.batches import Rows, Tensors

_BLOCK_NUMBERS = 2**21  # of the input, at once
_MAX_PROMISE_ROWS = 500
_ROUNDING = 2e-6  # of a loss in float32: what is less may be the same, added up otherwise


@dataclass(frozen=True)
class Effort:
    """How often columns are shuffled, and in which order rows give each other their cells."""

    num_shuffles: int  # below the number of rows
    order: np.ndarray  # [rows], a permutation

    def donors(self) -> np.ndarray:
        """Return the row that each row's cell comes from, [shuffles, rows].

        In no shuffle is it the row's own, and in no two the same; each row gives as often as it
        takes.
        """
        donors = np.empty((self.num_shuffles, len(self.order)), np.int64)
        for shuffle in range(self.num_shuffles):
            donors[shuffle, self.order] = np.roll(self.order, -1 - shuffle)
        return donors


@dataclass(frozen=True)
class LossIncrease:
    """What shuffling does to the loss, in the loss's own units."""

    loss: float  # without it
    mean: np.ndarray  # [groups], not finite where answers are not
    reach: np.ndarray  # [groups], of an interval of 95 % to either side


def measure_rises(
    subject: ExplainedModel, rows: Rows, groups: Sequence[Slots], effort: Effort
) -> LossIncrease:
    """Shuffle each group of features among two rows or more.

    The mean over pairs of rows, one giving the other its cells, is a U-statistic, and its
    interval Hoeffding's (1948): Student's t over rows of what a row does on average as the one
    that takes plus the one that gives. So it covers other rows and other shuffles alike.
    """
    from scipy.special import stdtrit

    donors = effort.donors()
    num_rows = len(rows)
    own = _losses(subject, rows.inputs, subject.targets(rows))
    mean, reach = np.zeros(len(groups)), np.zeros(len(groups))
    quantile = float(stdtrit(num_rows - 1, 0.975))
    for index, group in enumerate(groups):
        cells = rows.inputs[group.field][:, group.indices]
        if (cells == cells[0]).all():
            continue  # as they are, however shuffled
        rises = _shuffled(subject, rows, group, donors) - own
        rises[np.abs(rises) <= _ROUNDING * np.abs(own)] = 0.0
        with np.errstate(invalid="ignore"):  # of losses that are endless
            taking = rises.mean(axis=0)
            giving = np.zeros(num_rows)
            np.add.at(giving, donors, rises / len(donors))
            mean[index] = taking.mean()
            reach[index] = quantile * (taking + giving).std(ddof=1) / math.sqrt(num_rows)
    return LossIncrease(float(own.mean()), mean, reach)


def promises(subject: ExplainedModel, rows: Rows, slots: Sequence[Slots]) -> np.ndarray:
    """Return what a column's rise would be were the loss linear, [columns], endless for codes.

    It takes one backward pass: for choosing among columns too many to be shuffled.
    """
    rows = rows.head(_MAX_PROMISE_ROWS)
    numbers = {
        name: tensor.clone().requires_grad_()
        for name, tensor in rows.inputs.items()
        if tensor.is_floating_point()
    }
    outputs = subject.network.eval()({**rows.inputs, **numbers})
    loss = subject.objective.each(outputs.float(), subject.targets(rows)).sum()
    gradients = torch.autograd.grad(
        loss, list(numbers.values()), allow_unused=True, materialize_grads=True
    )
    changes = {
        name: gradient * (tensor.detach().roll(1, 0) - tensor.detach())
        for (name, tensor), gradient in zip(numbers.items(), gradients, strict=True)
    }
    return np.array(
        [
            float(changes[group.field][:, group.indices].sum(1).abs().mean())
            if group.field in changes
            else math.inf
            for group in slots
        ]
    )


def _shuffled(subject: ExplainedModel, rows: Rows, group: Slots, donors: np.ndarray) -> np.ndarray:
    """Return each row's loss in each shuffle, [shuffles, rows]."""
    num_rows, cells = len(rows), rows.inputs[group.field][:, group.indices]
    together = max(1, _BLOCK_NUMBERS // (num_rows * subject.plan.signature.num_inputs))
    losses = []
    for first in range(0, len(donors), together):
        some = torch.tensor(donors[first : first + together], device=rows.device)
        repeated = rows.each(partial(_repeated, len(some)), some.numel())
        repeated.inputs[group.field][:, group.indices] = cells[some.flatten()]
        found = _losses(subject, repeated.inputs, subject.targets(repeated))
        losses.append(found.reshape(len(some), num_rows))
    return np.concatenate(losses)


def _repeated(times: int, tensor: Tensor) -> Tensor:
    """Return rows over and over, [times * rows, ...]."""
    return tensor.repeat(times, *[1] * (tensor.dim() - 1))


def _losses(subject: ExplainedModel, inputs: Tensors, targets: Tensor) -> np.ndarray:
    """Return each row's loss in its own units, float64 [rows]."""
    outputs = compute_outputs(subject.network, inputs, subject.placement)
    losses = subject.objective.each(outputs.to(targets.device), targets)
    return losses.double().cpu().numpy() * subject.loss_unit
