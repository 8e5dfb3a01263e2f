"""A network's outputs and figures on rows that it does not learn from."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlcli.config.sections.training import Metric
from dlcli.data.fields import Arrays
from dlcli.data.target import ClassTarget, FittedTarget, metrics_of
from dlcli.errors import DivergedError
from dlcli.losses import Loss
from dlcli.training.device import Placement
from dlcli.training.metrics import confusion_matrix, score, to_answers
from dlcli.training.objective import Objective
from dlcli.training.rows.batches import Rows, Tensors, split_tensors, to_tensors
from dlcli.training.summing import MetricAccumulator

_BLOCK_ROWS = 8192
_BLOCK_NUMBERS = 2**22  # of the input: what wide rows become inside of a network is wider still


def compute_outputs(network: nn.Module, inputs: Tensors, placement: Placement) -> Tensor:
    """Return the network's outputs in evaluation mode, float32 [rows, num_outputs], on the CPU."""
    network.eval()
    with torch.inference_mode(), placement.autocast():
        num_rows = max(1, min(_BLOCK_ROWS, _BLOCK_NUMBERS // max(1, _numbers_per_row(inputs))))
        blocks = split_tensors(_at_least_one_row(inputs), num_rows)
        outputs = torch.cat([network(block).float().cpu() for block in blocks])
        return outputs[: len(next(iter(inputs.values())))]


def _numbers_per_row(inputs: Tensors) -> int:
    """Return how many numbers the inputs of a row have."""
    return sum(math.prod(tensor.shape[1:]) for tensor in inputs.values())


def _at_least_one_row(inputs: Tensors) -> Tensors:
    """Return one row of zeros where there are none: some layers take no empty batch."""
    if len(next(iter(inputs.values()))):
        return inputs
    return {name: tensor.new_zeros(1, *tensor.shape[1:]) for name, tensor in inputs.items()}


def compute_answers(
    network: nn.Module, inputs: Arrays, placement: Placement, loss: Loss, target: FittedTarget
) -> np.ndarray:
    """Return probabilities [rows, classes] or numbers in the target's units [rows], float64."""
    tensors = to_tensors(inputs, placement.device)
    return to_answers(compute_outputs(network, tensors, placement), loss, target)


def evaluate(
    network: nn.Module,
    objective: Objective,
    rows: Rows | Iterable[Rows],
    *,
    target: FittedTarget,
    placement: Placement,
    names: Iterable[Metric] | None = None,
) -> dict[str, Any]:
    """Return the loss and the named figures, in the target's own units.

    Without names: every figure that the target has and, for classes, the confusion matrix, its
    rows the true classes and its columns the predicted ones. Of blocks of rows, figures are summed
    up, so that memory doesn't grow with them: they are the same but for rounding, and roc_auc for
    what is said in `training/summing.py`. Raises DivergedError where outputs or loss are not
    finite.
    """
    chosen = tuple(metrics_of(target) if names is None else names)
    has_matrix = names is None and isinstance(target, ClassTarget)
    if not isinstance(rows, Rows):
        return _sum_up(network, objective, rows, target, placement, chosen, has_matrix=has_matrix)
    outputs, loss = _outputs_and_loss(network, objective, rows, target, placement)
    answers = to_answers(outputs, objective.loss, target)
    truth = rows.targets[target.field].cpu().numpy()
    figures: dict[str, Any] = {"loss": loss * objective.unit}
    figures |= score(answers, truth, target, chosen)
    if has_matrix:
        figures["confusion_matrix"] = confusion_matrix(answers, truth)
    return figures


def _sum_up(
    network: nn.Module,
    objective: Objective,
    blocks: Iterable[Rows],
    target: FittedTarget,
    placement: Placement,
    names: tuple[Metric, ...],
    *,
    has_matrix: bool,
) -> dict[str, Any]:
    sums = MetricAccumulator(objective.loss, target, names, has_matrix=has_matrix)
    num_rows, summed_loss = 0, 0.0
    for block in blocks:
        outputs, loss = _outputs_and_loss(network, objective, block, target, placement)
        sums.add(outputs, block.targets[target.field].cpu().numpy())
        num_rows += len(block)
        summed_loss += loss * len(block)
    figures: dict[str, Any] = {"loss": summed_loss / num_rows * objective.unit}
    figures |= sums.figures()
    if has_matrix:
        figures["confusion_matrix"] = sums.confusion_matrix()
    return figures


def _outputs_and_loss(
    network: nn.Module,
    objective: Objective,
    rows: Rows,
    target: FittedTarget,
    placement: Placement,
) -> tuple[Tensor, float]:
    """Return outputs [rows, num_outputs], on the CPU, and the mean loss, both finite."""
    outputs = compute_outputs(network, rows.inputs, placement)
    loss = objective(outputs.to(placement.device), rows.targets[target.field]).item()
    if not (outputs.isfinite().all() and math.isfinite(loss)):
        raise DivergedError("the network's answers are not finite numbers")
    return outputs, loss
