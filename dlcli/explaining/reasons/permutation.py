"""The increase in loss when groups of encoded features are shuffled across rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dlcli.data.fields import Slots, lengths_of
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.on_threads import compute_each
from dlcli.explaining.weighted import mean_and_error
from dlcli.student_t import central_quantile
from dlcli.training.evaluation import compute_outputs
from dlcli.training.rows.batches import Rows, Tensors, as_shares

_BLOCK_NUMBERS = 2**21  # of the input, at once
_MAX_GRADIENT_ROWS = 500
_ROUNDING = 2e-6  # of a loss in float32: smaller differences may be due to rounding


@dataclass(frozen=True)
class ShufflePlan:
    """How often columns are shuffled, and the order in which rows pass on their cells."""

    num_shuffles: int  # below the number of rows
    order: np.ndarray  # [rows], a permutation

    def donors(self) -> np.ndarray:
        """Return the row that each row's cell comes from, [shuffles, rows].

        It is never the row itself, and never the same in two shuffles; each row gives its cell as
        often as it takes one.
        """
        donors = np.empty((self.num_shuffles, len(self.order)), np.int64)
        for shuffle in range(self.num_shuffles):
            donors[shuffle, self.order] = np.roll(self.order, -1 - shuffle)
        return donors


@dataclass(frozen=True)
class LossIncrease:
    """What shuffling does to the loss, in the units of the loss."""

    loss: float  # without shuffling
    mean: np.ndarray  # [groups], not finite where predictions are not
    reach: np.ndarray  # [groups], of an interval of 95 % to either side


def measure_loss_increase(
    model: ExplainedModel,
    rows: Rows,
    groups: Sequence[Slots],
    shuffle_plan: ShufflePlan,
    row_groups: np.ndarray | None = None,
) -> LossIncrease:
    """Shuffle each group of features across two or more rows.

    The mean over pairs of rows, one giving the other its cells, is a U-statistic, and its
    interval Hoeffding's (1948): Student's t over rows of the mean increase as taker plus that as
    giver. So it accounts for the choice of rows and of shuffles. Where rows have weights, a pair
    counts as much as the product of its two. With `row_groups`, the number of each row's group,
    from 0, [rows], the interval is over groups, whose rows needn't be independent.
    """
    donors, weights = shuffle_plan.donors(), model.weights(rows)
    num_rows = len(rows)
    losses = _losses(model, rows.inputs, model.targets(rows))
    num_units = num_rows if row_groups is None else max(2, int(row_groups.max()) + 1)
    quantile = central_quantile(0.95, num_units - 1)

    def compute(model: ExplainedModel, group: Slots) -> tuple[float, float]:
        """Return the mean increase, and how far its interval reaches."""
        cells = [rows.inputs[name][places] for name, places in _places(rows.inputs, group).items()]
        if all((some == some[0]).all() for some in cells):
            return 0.0, 0.0  # the same however they are shuffled
        increases = _shuffled(model, rows, group, donors) - losses
        increases[np.abs(increases) <= _ROUNDING * np.abs(losses)] = 0.0
        with np.errstate(invalid="ignore"):  # losses may be infinite
            if weights is not None:
                increases = _weighted(increases, weights * weights[donors])
            taking = increases.mean(axis=0)
            giving = np.zeros(num_rows)
            np.add.at(giving, donors, increases / len(donors))
            _, error = mean_and_error(taking + giving, None, row_groups)
            reach = quantile * error * math.sqrt(num_units / (num_units - 1))
            return float(taking.mean()), float(reach)

    mean, reach = np.array(compute_each(model, compute, groups), float).reshape(-1, 2).T
    return LossIncrease(float(np.average(losses, weights=weights)), mean, reach)


def _weighted(increases: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return numbers whose plain mean is the weighted one, [shuffles, rows] all.

    They spread as that mean does: it is linear in them, to first order.
    """
    mean = np.average(increases, weights=weights)
    weighted: np.ndarray = (increases - mean) * (weights / weights.mean()) + mean
    return weighted


def estimate_increase(model: ExplainedModel, rows: Rows, slots: Sequence[Slots]) -> np.ndarray:
    """Return a linear estimate of each column's increase, [columns]; infinite for embedded ones.

    It takes one backward pass, and chooses among columns that are too many to be shuffled.
    """
    rows = rows.head(_MAX_GRADIENT_ROWS)
    numbers = {
        name: tensor.clone().requires_grad_()
        for name, tensor in rows.inputs.items()
        if tensor.is_floating_point()
    }
    outputs = model.network.eval()({**rows.inputs, **numbers})
    each = model.objective.each(outputs.float(), model.targets(rows))
    [shared] = as_shares((rows,))
    loss = each.sum() if shared.weights is None else (each * shared.weights).sum() * len(rows)
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
            if group.field in changes and lengths_of(group.field) not in rows.inputs
            else math.inf
            for group in slots
        ]
    )


def _shuffled(model: ExplainedModel, rows: Rows, group: Slots, donors: np.ndarray) -> np.ndarray:
    """Return each row's loss in each shuffle, [shuffles, rows]."""
    num_rows, places = len(rows), _places(rows.inputs, group)
    together = max(1, _BLOCK_NUMBERS // (num_rows * model.plan.signature.num_inputs))
    losses = []
    for first in range(0, len(donors), together):
        some = torch.tensor(donors[first : first + together], device=rows.device)
        repeated = rows.each(partial(_repeated, len(some)), some.numel())
        for name, chosen in places.items():
            repeated.inputs[name][chosen] = rows.inputs[name][chosen][some.flatten()]
        found = _losses(model, repeated.inputs, model.targets(repeated))
        losses.append(found.reshape(len(some), num_rows))
    return np.concatenate(losses)


def _places(inputs: Tensors, group: Slots) -> dict[str, tuple[slice | tuple[int, ...], ...]]:
    """Return where a group's cells are, by field: all of a sequence, with its length."""
    if lengths_of(group.field) in inputs:
        return {group.field: (slice(None),), lengths_of(group.field): (slice(None),)}
    return {group.field: (slice(None), group.indices)}


def _repeated(times: int, tensor: Tensor) -> Tensor:
    """Return rows over and over, [times * rows, ...]."""
    return tensor.repeat(times, *[1] * (tensor.dim() - 1))


def _losses(model: ExplainedModel, inputs: Tensors, targets: Tensor) -> np.ndarray:
    """Return each row's loss in the target's units, float64 [rows]."""
    outputs = compute_outputs(model.network, inputs, model.placement)
    losses = model.objective.each(outputs.to(targets.device), targets)
    return losses.double().cpu().numpy() * model.loss_unit
