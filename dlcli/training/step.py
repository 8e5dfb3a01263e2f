"""One step of the optimizer: forward, loss, backward, step."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from operator import is_not

import torch
from torch import Tensor, nn

from dlcli.training.device import GradientScaler, Placement
from dlcli.training.engines.cuda_graph import CudaGraph
from dlcli.training.engines.op_trace import OpTrace
from dlcli.training.objective import MixedTargets, Objective
from dlcli.training.optimizers import FlatParameters, Optimizer
from dlcli.training.processes.shards import ShardedStep
from dlcli.training.rows.augmenting import Augmenter
from dlcli.training.rows.batches import Rows, aligned, as_shares


@dataclass
class _Recording:
    """What is computed of batches of some sizes, recorded."""

    copies: tuple[Rows, ...]  # what it reads
    batches: tuple[Rows, ...]  # that were copied last
    steps: OpTrace | CudaGraph


@dataclass
class Stepper:
    """Takes steps: one operation after the other (eager), or from recordings (captured)."""

    network: nn.Module
    objective: Objective
    target: str  # the field that the loss is given
    optimizer: Optimizer[FlatParameters]
    placement: Placement
    scaler: GradientScaler
    clip_norm: float | None
    is_captured: bool
    sharded: ShardedStep | None = None  # None: batches are not cut
    augmenter: Augmenter | None = None  # None: rows are as they are
    recordings: dict[Hashable, _Recording] = field(default_factory=dict)
    seen: set[Hashable] = field(default_factory=set)  # sizes of sequences, not recorded at once
    # The batches of the last step, as they were given and with weights as shares.
    _last: tuple[tuple[Rows, ...], tuple[Rows, ...]] = ((), ())

    def take_step(self, batches: tuple[Rows, ...], number: int) -> Tensor:
        """Take one step, `number` of the run, on the mean loss over all rows of the batches.

        Where batches are cut, each number has random draws of its own.
        Returns the loss and the norm of each parameter's gradient before clipping, [1 +
        parameters], on the device: reading them is what makes the CPU wait, so that is left to the
        caller.
        """
        batches = self._with_shares(batches)
        if self.sharded is None:
            figures = self._computed(self._augmented(batches), self._whole_gradient)
        else:
            figures = self._sharded_gradient(self.sharded, batches, number)
        self.scaler.step(self.optimizer)
        return figures

    def _with_shares(self, batches: tuple[Rows, ...]) -> tuple[Rows, ...]:
        """Return batches whose weights are shares of the step's total weight; themselves without.

        Where all rows are one batch, every time, that is the same one, too.
        """
        if batches[0].weights is None:
            return batches
        given, before = self._last
        if len(given) != len(batches) or any(map(is_not, given, batches)):
            before = as_shares(batches)
            self._last = batches, before
        return before

    def _augmented(self, batches: tuple[Rows, ...]) -> tuple[Rows, ...]:
        return batches if self.augmenter is None else self.augmenter(batches)

    def _whole_gradient(self, batches: tuple[Rows, ...]) -> Tensor:
        """Leave the gradient with the parameters; return what `take_step` does."""
        gradients = self.optimizer.parameters.gradients
        return self._finish(self._add_up(batches, sum(map(len, batches)), gradients))

    def _sharded_gradient(
        self, sharded: ShardedStep, batches: tuple[Rows, ...], number: int
    ) -> Tensor:
        """Do the same shard by shard, here those of this process, and sum over all of them."""
        num_rows = sum(map(len, batches))
        for shard in sharded.begin(number):
            if parts := shard.parts_of(batches):
                add_up = partial(self._add_up, num_rows=num_rows, gradients=shard.gradients)
                loss = self._computed(self._augmented(parts), add_up, shard.index, num_rows)
                shard.take_note(loss, share=sum(map(len, parts)) / num_rows)
            else:  # a batch of fewer rows than shards
                shard.sums.zero_()
        return self._finish(sharded.sum_up(num_batches=len(batches)))

    def _computed(
        self,
        batches: tuple[Rows, ...],
        function: Callable[[tuple[Rows, ...]], Tensor],
        *key: Hashable,
    ) -> Tensor:
        """Call a function, or replay it from a recording of its first call with these sizes."""
        if not self.is_captured:
            return function(tuple(batch.each(aligned) for batch in batches))
        key = (*key, *(batch.sizes for batch in batches))
        if key not in self.recordings:
            if len(batches[0].sizes) > 1 and key not in self.seen:
                # Recording takes longer than a step: of sequences, only what comes twice pays.
                self.seen.add(key)
                return function(tuple(batch.each(aligned) for batch in batches))
            copies = tuple(batch.each(torch.clone) for batch in batches)
            steps = self._record(lambda: function(copies))
            self.recordings[key] = _Recording(copies, batches, steps)
            return steps.result.clone()
        recording = self.recordings[key]
        for copy, before, batch in zip(recording.copies, recording.batches, batches, strict=True):
            if batch is not before:  # all rows are one batch, every time
                copy.copy_from(batch)
        recording.batches = batches
        return recording.steps.replay().clone()

    def _record(self, function: Callable[[], Tensor]) -> OpTrace | CudaGraph:
        device = self.placement.device
        return CudaGraph(function, device) if device.type == "cuda" else OpTrace(function)

    def _add_up(self, batches: tuple[Rows, ...], num_rows: int, gradients: list[Tensor]) -> Tensor:
        """Leave the batches' share of the gradient; return that of the mean loss over all rows."""
        losses: list[Tensor] = []
        for batch in batches:
            with self.placement.autocast():
                outputs = self.network(batch.inputs)  # [batch, num_outputs]
            shares = batch.weights
            mixed = MixedTargets.of(batch.targets, self.target)
            loss = self.objective(outputs.float(), batch.targets[self.target], shares, mixed)
            if shares is None and len(batch) < num_rows:
                # A batch's mean counts by its share of the rows: a short one weighs no row more.
                loss = loss * (len(batch) / num_rows)
            parameters = self.optimizer.parameters.parameters
            found = torch.autograd.grad(self.scaler.scaled(loss), parameters)
            if not losses:
                torch._foreach_copy_(gradients, found)
            else:
                torch._foreach_add_(gradients, found)
            losses.append(loss.detach())
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def _finish(self, loss: Tensor) -> Tensor:
        """Clip the gradient; return what `take_step` does."""
        flat = self.optimizer.parameters
        self.scaler.unscale(self.optimizer)
        figures = torch.stack([loss, *torch._foreach_norm(flat.gradients)])
        if self.clip_norm is not None:
            # The factor of torch.nn.utils.clip_grads_with_norm_.
            factor = self.clip_norm / (torch.linalg.vector_norm(figures[1:]) + 1e-6)
            flat.gradient *= factor.clamp(max=1.0)
        return figures
