"""The validation rows of the runs of a stack: losses, watched figures, and outputs of folds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.data.signature import WEIGHT
from dlcli.metrics import metric_of, metrics_for
from dlcli.metrics.accumulator import compute_metrics
from dlcli.metrics.rows import ScoredRows
from dlcli.training.evaluation import to_predictions, weights_of
from dlcli.training.objective import build_objective
from dlcli.training.rows.batches import Rows, Tensors, as_shares
from dlcli.training.target_heads import heads_of
from dlcli.trials.cross_fitting import CrossFitted, mean_losses
from dlcli.trials.running.stack import Stack
from dlcli.trials.running.stacked_rows import HeldOutRows
from dlcli.trials.setup import SharedSetup

_BLOCK_NUMBERS = 2**21  # of all runs' outputs of a layer, when evaluating


@dataclass(frozen=True)
class Validated:
    """What the runs of a stack, in its order, show on their validation rows after an epoch."""

    losses: list[float | None]  # in the network's units, None where it is not finite
    watched: list[float | None] | None  # of the watched metric; None: that is the loss
    each: Tensor | None = None  # of folds: the loss of each row, [runs, longest], on the CPU
    outputs: Tensor | None = None  # of folds: [runs, longest, num_outputs] on the CPU


class StackedValidation:
    """Evaluates the runs of a stack, all of one setup, or each on the rows that its fold holds out.

    Of folds of different lengths, the shorter ones are filled up with rows that don't count.
    """

    def __init__(self, stack: Stack, metric: str) -> None:
        """Take the stack before its first step, and the name of the figure that is watched."""
        self.stack = stack
        self.metric = metric
        self.setups = stack.setups
        self.is_folded = self.setups[0].halves is not None
        self._held = HeldOutRows.of(self.setups) if self.is_folded else None
        plan, rows = stack.network.plan, self.setups[0].validation
        assert rows is not None, "there are validation rows"
        self._rows = rows
        self._objective = stack.objective.on(rows.targets[stack.target], rows.weights)
        inputs = [tensor.shape[1:] for tensor in rows.inputs.values()]
        shapes = [*inputs, *(layer.output_shape for layer in plan.outer_layers)]
        self._widest = max(int(np.prod(shape)) for shape in shapes)

    def setup_of(self, run: int) -> SharedSetup:
        """Return the setup of a run that is left."""
        network = self.stack.network
        return self.setups[network.slots[int(network.seed_of_run[run])][0]]

    def validate(self) -> Validated:
        """Compute the outputs of all runs that are left."""
        network, objective = self.stack.network, self._objective
        total = network.parameters.values.new_zeros(len(network), dtype=torch.float64)
        outputs, every = [], []
        is_kept = self.metric != "loss" or self.is_folded
        for inputs, encoded, weights in self._blocks():
            with self.stack.placement.autocast():
                block = network.outputs(inputs, are_each_runs=self.is_folded).float()
            each = objective.each(block.flatten(0, 1), encoded.flatten(0, 1))
            each = each.view(len(network), -1)
            if self.is_folded:
                every.append(each)
            if weights is not None:
                each = each * weights
            total += each.sum(1, dtype=torch.float64)
            if is_kept:
                outputs.append(block)
        means = (total / self._counts()).tolist()
        losses = [mean if np.isfinite(mean) else None for mean in means]
        kept = torch.cat(outputs, dim=1).cpu() if is_kept else None
        watched = None
        if self.metric != "loss":
            assert kept is not None
            watched = [
                self._figure(run, one, None) if losses[run] is not None else None
                for run, one in enumerate(kept)
            ]
        if not self.is_folded:
            return Validated(losses, watched)
        return Validated(losses, watched, torch.cat(every, dim=1).cpu(), kept)

    def cross_fit(self, epoch: int, run: int, shown: Validated, crossed: CrossFitted) -> None:
        """Let a run that is left take note of its outputs for the rows that its fold holds out."""
        assert shown.each is not None
        assert shown.outputs is not None
        setup = self.setup_of(run)
        assert setup.validation is not None
        num_rows = len(setup.validation)
        each, outputs = shown.each[run, :num_rows], shown.outputs[run, :num_rows]
        weights = setup.validation.weights
        weights = None if weights is None else weights.cpu()
        losses = mean_losses(each, weights, crossed.halves)
        metric = None
        if self.metric != "loss":

            def metric(mask: Tensor) -> float | None:
                return self._figure(run, outputs, mask)

        crossed.observe(epoch, losses, outputs, metric)

    def _blocks(self) -> Iterator[tuple[Tensors, Tensor, Tensor | None]]:
        """Yield inputs, encoded targets [runs, rows, …] and how much rows count, block by block."""
        network, target = self.stack.network, self.stack.target
        size = max(1, _BLOCK_NUMBERS // (len(network) * network.plan.num_members * self._widest))
        if self._held is None:
            for part in self._rows.split(size):
                targets = part.targets[target]
                yield part.inputs, targets.expand(len(network), *targets.shape), part.weights
            return
        folds, is_there = self._folds(), self._held.is_there
        start = 0
        for part in self._held.rows.split(size, dim=1):
            of_runs = part.each(lambda tensor: tensor[folds])
            counts = is_there[folds, start : start + len(part)].float()
            if part.weights is not None:
                counts = counts * of_runs.targets[WEIGHT]
            yield of_runs.inputs, of_runs.targets[target], counts
            start += len(part)

    def _counts(self) -> Tensor | float:
        """Return how much a run's rows count in all, of folds [runs]."""
        if self._held is None:
            weights = weights_of(self._rows)
            return len(self._rows) if weights is None else float(weights.sum())
        counts = self._held.is_there.double()
        if self._held.rows.weights is not None:
            counts = counts * self._held.rows.weights
        return counts.sum(1)[self._folds()]

    def _folds(self) -> Tensor:
        """Return the fold of each run that is left, int64 [runs]."""
        network = self.stack.network
        of_slot = torch.tensor([fold for fold, _ in network.slots])
        return of_slot.to(network.seed_of_run.device)[network.seed_of_run]

    def _figure(self, run: int, outputs: Tensor, mask: Tensor | None) -> float | None:
        """Return the watched metric of a run's outputs [rows, num_outputs], or of some of them."""
        setup = self.setup_of(run)
        assert setup.validation is not None
        return watched_figure(self.metric, setup, setup.validation, outputs, mask)


def watched_figure(
    metric: str, setup: SharedSetup, rows: Rows, outputs: Tensor, mask: Tensor | None = None
) -> float | None:
    """Return a metric of outputs [rows, num_outputs] on the CPU, or of those of a mask.

    Outputs after those of the rows don't count.
    """
    device = torch.device("cpu")
    objective = build_objective(setup.loss, setup.target, device)
    rows = Rows({}, rows.targets, len(rows)).each(lambda tensor: tensor.cpu())
    outputs = outputs[: len(rows)]
    if mask is not None and bool(mask.any()):
        chosen = mask.nonzero()[:, 0]
        outputs, rows = outputs[chosen], rows.take(chosen)
    name = metric_of(metric)
    heads = heads_of(objective, setup.target, device)
    head = next(one for one in heads if one.prefix + name == metric)
    outputs, rows = head.cut(outputs, rows)
    if not len(rows):
        return None
    encoded, weights = rows.targets[head.target.field], weights_of(rows)
    if name == "loss":
        [shared] = as_shares((rows,))
        return head.objective(outputs, encoded, shared.weights).item() * head.objective.unit
    metrics = [one for one in metrics_for(head.target.task) if one.name == name]
    predictions = to_predictions(outputs, head.objective.loss, head.target)
    truth = head.target.truth(encoded.numpy())
    scored = ScoredRows(head.target.scored(predictions), head.target.scored(truth))
    return compute_metrics(metrics, scored, weights)[name]
