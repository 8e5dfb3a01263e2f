"""A network's outputs and figures on rows that it does not learn from."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlcli.data.fields import Arrays, lengths_of
from dlcli.errors import DivergedError
from dlcli.losses import Loss
from dlcli.metrics import metrics_for
from dlcli.metrics.accumulator import MetricAccumulator
from dlcli.metrics.confusion import ConfusionCounts
from dlcli.metrics.multilabel import LabelFigures
from dlcli.metrics.rows import ScoredRows
from dlcli.metrics.steps import StepFigures
from dlcli.network.members import num_members
from dlcli.targets.base import Target
from dlcli.training.device import Placement
from dlcli.training.objective import Objective
from dlcli.training.processes.group import ALONE, Group
from dlcli.training.rows.batches import (
    Rows,
    Tensors,
    aligned,
    as_shares,
    ragged_names,
    split_tensors,
    to_tensors,
)
from dlcli.training.rows.cutting import cut_to_longest

_BLOCK_ROWS = 8192
_BLOCK_NUMBERS = 2**22  # of the input: what wide rows become inside of a network is wider still
_NUMBERS_OF_ELEMENT = 32  # what an element of a sequence counts as: a code becomes a vector


def compute_outputs(
    network: nn.Module, inputs: Tensors, placement: Placement, group: Group = ALONE
) -> Tensor:
    """Return the network's outputs in evaluation mode, float32 [rows, num_outputs], on the CPU.

    The processes of a group share the blocks of rows that pass the network together.
    """
    blocks, order = _blocks(_at_least_one_row(inputs), num_members(network))
    outputs = _pass_through(network, blocks, placement, group)
    return _in_order(outputs, order)[: _num_rows(inputs)]


def _pass_through(
    network: nn.Module, blocks: Sequence[Tensors], placement: Placement, group: Group
) -> Tensor:
    """Return the outputs for blocks of rows, of which each process of a group computes some."""
    network.eval()
    shares = group.shares(len(blocks))
    with torch.inference_mode(), placement.autocast():
        mine = [network(blocks[index]).float().cpu() for index in shares[group.rank]]
        if not mine:  # of the right shape, without rows
            mine = [network(next(split_tensors(blocks[0], 1))).float().cpu()[:0]]
        sizes = [sum(_num_rows(blocks[index]) for index in share) for share in shares]
        return group.gather(torch.cat(mine), sizes)


def _blocks(inputs: Tensors, num_members: int) -> tuple[list[Tensors], Tensor | None]:
    """Cut rows into blocks that pass the network together, each once for every member.

    Where rows differ in length, they come in another order, int64 [rows]: from the shortest to the
    longest, each block as wide as its longest row needs.
    """
    order = None
    if ragged := ragged_names(inputs):
        lengths = torch.stack([inputs[lengths_of(name)] for name in ragged]).sum(0)
        order = lengths.argsort(stable=True)
        inputs = {name: tensor.index_select(0, order) for name, tensor in inputs.items()}
    numbers = _numbers_per_row(inputs) * (_NUMBERS_OF_ELEMENT if ragged else 1)
    num_rows = min(_BLOCK_ROWS, _BLOCK_NUMBERS // max(1, numbers))
    num_rows = max(1, num_rows // num_members)
    blocks: list[Tensors] = []
    for block in split_tensors(inputs, num_rows):
        cut = cut_to_longest(block)
        blocks.append({name: aligned(tensor) for name, tensor in cut.items()})
    return blocks, order


def _in_order(outputs: Tensor, order: Tensor | None) -> Tensor:
    """Return outputs of rows that came in an order as their rows were before."""
    return outputs if order is None else outputs[order.argsort().to(outputs.device)]


def _num_rows(inputs: Tensors) -> int:
    return len(next(iter(inputs.values())))


def _numbers_per_row(inputs: Tensors) -> int:
    """Return how many numbers the inputs of a row have."""
    return sum(math.prod(tensor.shape[1:]) for tensor in inputs.values())


def _at_least_one_row(inputs: Tensors) -> Tensors:
    """Return one row of zeros where there are none: some layers take no empty batch."""
    if _num_rows(inputs):
        return inputs
    return {name: tensor.new_zeros(1, *tensor.shape[1:]) for name, tensor in inputs.items()}


def to_predictions(outputs: Tensor, loss: Loss, target: Target) -> np.ndarray:
    """Return probabilities [rows, classes] or numbers in the target's units [rows], float64."""
    return target.to_target_units(loss.predictions(outputs))


def compute_predictions(
    network: nn.Module,
    inputs: Arrays,
    placement: Placement,
    loss: Loss,
    target: Target,
    temperature: float | None = None,
) -> np.ndarray:
    """Return probabilities [rows, classes] or numbers in the target's units [rows], float64.

    With a temperature, probabilities are calibrated.
    """
    outputs = compute_outputs(network, to_tensors(inputs, placement.device), placement)
    return to_predictions(loss.calibrated(outputs, temperature), loss, target)


@dataclass
class KeptOutputs:
    """The outputs of the first rows that are evaluated, [rows, outputs] on the CPU."""

    max_rows: int
    blocks: list[Tensor] = field(default_factory=list)

    def add(self, outputs: Tensor) -> None:
        """Keep the outputs of the next rows, as far as there is room."""
        lacking = self.max_rows - sum(map(len, self.blocks))
        if lacking > 0:
            self.blocks.append(outputs[:lacking])


def evaluate(
    network: nn.Module,
    objective: Objective,
    rows: Rows | Iterable[Rows],
    *,
    target: Target,
    placement: Placement,
    names: Collection[str] | None = None,
    group: Group = ALONE,
    kept: KeptOutputs | None = None,
    temperature: float | None = None,
) -> dict[str, Any]:
    """Return the loss and the named metrics, in the target's own units.

    Without names: every metric that the target has and, for classes, the confusion matrix, its
    rows the true classes and its columns the predicted ones; figures by label, or metrics by step
    of forecasts. Rows can come in blocks; memory does not grow with them then, and roc_auc is that
    of binned scores. Raises DivergedError where outputs or loss are not finite. The processes of a
    group share the work; all get the figures. The first outputs are `kept` as they are, as many as
    that has room for. With a temperature, loss and metrics are those of the calibrated
    probabilities.
    """
    metrics = [one for one in metrics_for(target.task) if names is None or one.name in names]
    blocks = [rows] if isinstance(rows, Rows) else rows
    accumulator = MetricAccumulator(metrics, is_streamed=blocks is rows)
    confusion: ConfusionCounts | None = None
    if names is None and target.class_names:
        confusion = ConfusionCounts(len(target.class_names))
    labels: LabelFigures | None = None
    if names is None and target.has_labels:
        labels = LabelFigures(target.score_names)
    steps: StepFigures | None = None
    if names is None and target.step_names:
        steps = StepFigures(metrics, target.step_names)
    total, summed_loss = 0.0, 0.0
    for block, outputs in _outputs(network, blocks, placement, group):
        if kept is not None:
            kept.add(outputs)
        outputs = objective.loss.calibrated(outputs, temperature)
        loss = _finite_loss(objective, outputs.to(placement.device), block, target)
        predictions = to_predictions(outputs, objective.loss, target)
        truth = target.truth(block.targets[target.field].cpu().numpy())
        scored = ScoredRows(
            target.scored(predictions),
            target.scored(truth),
            partial(objective.loss.log_odds, outputs),
        )
        weights = weights_of(block)
        if steps is not None:
            steps.add(target.by_step(predictions), target.by_step(truth), weights)
        accumulator.add(scored, weights)
        if confusion is not None:
            confusion.add(scored, weights)
        if labels is not None:
            labels.add(scored, weights)
        weight = len(block) if weights is None else float(weights.sum())
        total += weight
        summed_loss += loss * weight
    figures: dict[str, Any] = {"loss": summed_loss / total * objective.unit}
    figures |= accumulator.figures()
    if confusion is not None:
        figures["confusion_matrix"] = confusion.matrix.tolist()
    if labels is not None:
        figures["by_label"] = labels.figures()
    if steps is not None:
        figures["by_step"] = steps.figures()
    return figures


def figures_of_outputs(
    outputs: Tensor, objective: Objective, rows: Rows, *, target: Target, names: Collection[str]
) -> dict[str, Any]:
    """Return the loss and the named metrics of outputs for rows, float32 [rows, num_outputs].

    In the target's own units. Raises DivergedError where outputs or loss are not finite.
    """
    loss = _finite_loss(objective, outputs.to(rows.device), rows, target)
    metrics = [one for one in metrics_for(target.task) if one.name in names]
    accumulator = MetricAccumulator(metrics, is_streamed=False)
    scored = ScoredRows(
        target.scored(to_predictions(outputs, objective.loss, target)),
        target.scored(target.truth(rows.targets[target.field].cpu().numpy())),
        partial(objective.loss.log_odds, outputs),
    )
    accumulator.add(scored, weights_of(rows))
    return {"loss": loss * objective.unit, **accumulator.figures()}


def _outputs(
    network: nn.Module, blocks: Iterable[Rows], placement: Placement, group: Group
) -> Iterator[tuple[Rows, Tensor]]:
    """Yield each block with its outputs; the processes of a group take as many at once."""
    left = iter(blocks)
    while some := [*islice(left, group.num_processes)]:
        members = num_members(network)
        cut = [_blocks(rows.inputs, members) for rows in some]
        parts = [part for of_rows, _ in cut for part in of_rows]
        outputs = _pass_through(network, parts, placement, group)
        split = torch.split(outputs, [*map(len, some)])
        for rows, found, (_, order) in zip(some, split, cut, strict=True):
            yield rows, _in_order(found, order)


def weights_of(rows: Rows) -> np.ndarray | None:
    """Return how much each row counts, float64 [rows]; None: each counts once."""
    return None if rows.weights is None else rows.weights.cpu().numpy().astype(np.float64)


def _finite_loss(objective: Objective, outputs: Tensor, rows: Rows, target: Target) -> float:
    """Return the mean loss; DivergedError where that or an output is not finite."""
    [shared] = as_shares((rows,))
    loss = objective(outputs, rows.targets[target.field], shared.weights).item()
    if not (outputs.isfinite().all() and math.isfinite(loss)):
        raise DivergedError("the network's predictions are not finite")
    return loss
