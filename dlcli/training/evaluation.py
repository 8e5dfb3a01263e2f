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
from dlcli.training.target_heads import TargetHead, heads_of

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
    of forecasts. Of several targets, the loss is their weighted sum, and each has figures of its
    own, NAME.METRIC, on the rows that have it. Rows can come in blocks; memory does not grow with
    them then, and roc_auc is that of binned scores. Raises DivergedError where outputs or loss are
    not finite. The processes of a group share the work; all get the figures. The first outputs are
    `kept` as they are, as many as that has room for. With a temperature, loss and metrics are those
    of the calibrated probabilities.
    """
    blocks = [rows] if isinstance(rows, Rows) else rows
    device = placement.device
    sums = [
        _HeadSums(head, names, device, temperature=temperature, is_streamed=blocks is rows)
        for head in heads_of(objective, target, device)
    ]
    for block, outputs in _outputs(network, blocks, placement, group):
        if kept is not None:
            kept.add(outputs)
        for one in sums:
            one.add(outputs, block)
    return _figures(sums)


def figures_of_outputs(
    outputs: Tensor, objective: Objective, rows: Rows, *, target: Target, names: Collection[str]
) -> dict[str, Any]:
    """Return the loss and the named metrics of outputs for rows, float32 [rows, num_outputs].

    In the target's own units. Raises DivergedError where outputs or loss are not finite.
    """
    sums = [
        _HeadSums(head, names, rows.device) for head in heads_of(objective, target, rows.device)
    ]
    for one in sums:
        one.add(outputs, rows)
    return _figures(sums)


class _HeadSums:
    """Running totals of one target's figures."""

    def __init__(
        self,
        head: TargetHead,
        names: Collection[str] | None,
        device: torch.device,
        *,
        temperature: float | None = None,
        is_streamed: bool = False,
    ) -> None:
        self.head = head
        self.objective = head.objective
        self._device, self._temperature = device, temperature
        metrics = metrics_for(head.target.task)
        if names is not None:
            metrics = tuple(one for one in metrics if head.prefix + one.name in names)
        self._names = [metric.name for metric in metrics]
        self._metrics = MetricAccumulator(metrics, is_streamed=is_streamed)
        self._confusion: ConfusionCounts | None = None
        if names is None and head.target.class_names:
            self._confusion = ConfusionCounts(len(head.target.class_names))
        self._labels: LabelFigures | None = None
        if names is None and head.target.has_labels:
            self._labels = LabelFigures(head.target.score_names)
        self._steps: StepFigures | None = None
        if names is None and head.target.step_names:
            self._steps = StepFigures(metrics, head.target.step_names)
        self._weight = self._summed_loss = 0.0

    def add(self, outputs: Tensor, rows: Rows) -> None:
        """Add rows, their outputs on the CPU; DivergedError where these are not finite."""
        outputs, rows = self.head.cut(outputs, rows)
        if not len(rows):  # none of them has the target
            return
        target = self.head.target
        outputs = self.objective.loss.calibrated(outputs, self._temperature)
        loss = _finite_loss(self.objective, outputs.to(self._device), rows, target)
        predictions = to_predictions(outputs, self.objective.loss, target)
        truth = target.truth(rows.targets[target.field].cpu().numpy())
        scored = ScoredRows(
            target.scored(predictions),
            target.scored(truth),
            partial(self.objective.loss.log_odds, outputs),
        )
        weights = weights_of(rows)
        if self._steps is not None:
            self._steps.add(target.by_step(predictions), target.by_step(truth), weights)
        self._metrics.add(scored, weights)
        if self._confusion is not None:
            self._confusion.add(scored, weights)
        if self._labels is not None:
            self._labels.add(scored, weights)
        weight = len(rows) if weights is None else float(weights.sum())
        self._weight += weight
        self._summed_loss += loss * weight

    @property
    def mean_loss(self) -> float | None:
        """The mean loss in the network's units; None where no row has the target."""
        return self._summed_loss / self._weight if self._weight else None

    def figures(self) -> dict[str, Any]:
        """Return the metrics and, if it is wanted, the confusion matrix, without the loss."""
        figures: dict[str, Any] = dict.fromkeys(self._names)
        if self._weight:
            figures |= self._metrics.figures()
        if self._confusion is not None:
            figures["confusion_matrix"] = self._confusion.matrix.tolist()
        if self._labels is not None:
            figures["by_label"] = self._labels.figures()
        if self._steps is not None:
            figures["by_step"] = self._steps.figures()
        return figures


def _figures(sums: Sequence[_HeadSums]) -> dict[str, Any]:
    """Return the loss and the metrics; of several targets, the weighted sum and those of each."""
    if len(sums) == 1:
        [one] = sums
        assert one.mean_loss is not None, "there are rows, and all have the target"
        return {"loss": one.mean_loss * one.objective.unit, **one.figures()}
    losses = [one.mean_loss for one in sums]
    total = 0.0
    for one, loss in zip(sums, losses, strict=True):
        total += one.head.weight * (math.nan if loss is None else loss)
    figures: dict[str, Any] = {"loss": None if math.isnan(total) else total}
    for one, loss in zip(sums, losses, strict=True):
        figures[f"{one.head.prefix}loss"] = None if loss is None else loss * one.objective.unit
        figures |= {one.head.prefix + name: value for name, value in one.figures().items()}
    return figures


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
